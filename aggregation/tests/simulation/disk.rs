//! A journal that survives its process: what is stored is stored, what was on its way may or may
//! not be.

use covey_aggregation::record::Sequence;
use covey_aggregation::wire;
use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest record: a certificate's round with all headers stays far below.
const RECORD_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct Journal {
    durable: Vec<Vec<u8>>,
    pending: Vec<Vec<u8>>,
}

impl Journal {
    pub(crate) fn append(&mut self, sequence: Sequence, record: &impl Serialize) {
        let place = (self.durable.len() + self.pending.len()) as u64;
        assert_eq!(sequence, Sequence(place), "records come in order, each once");
        self.pending.push(wire::encode(record));
    }

    /// The flush that covers everything up to `upto` returned.
    pub(crate) fn flush(&mut self, upto: Sequence) {
        let count = (upto.0 + 1).saturating_sub(self.durable.len() as u64) as usize;
        self.durable.extend(self.pending.drain(..count.min(self.pending.len())));
    }

    /// The process dies: some records on their way reach the disk, without anybody being told.
    pub(crate) fn crash(&mut self, rng: &mut impl RngExt) {
        let kept = rng.random_range(0..=self.pending.len());
        self.durable.extend(self.pending.drain(..kept));
        self.pending.clear();
    }

    pub(crate) fn replay<R: Serialize + DeserializeOwned>(&self) -> Vec<R> {
        let decode = |bytes: &Vec<u8>| wire::decode(bytes, RECORD_BYTES_MAX).expect("as encoded");
        self.durable.iter().map(decode).collect()
    }
}
