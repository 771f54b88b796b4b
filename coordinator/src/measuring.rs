//! What an audit needs of every stored contribution, computed on threads of its own: each streams
//! its contributions from the disk chunk by chunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use covey_aggregation::audit::opening::Public;
use covey_aggregation::audit::rereading::{Rereading, Signed};
use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::round::OpenFailure;

use crate::storage::blobs::Blobs;

/// What is to be measured.
pub struct Measuring {
    /// The round's terms.
    pub config: Arc<RoundConfig>,
    /// The contributions, in order.
    pub headers: Arc<[SignedHeader]>,
    /// H(U).
    pub set: Digest,
    /// The beacon of the rows.
    pub rows: Digest,
    /// The beacon of the check.
    pub check: Digest,
    /// Where the contributions are.
    pub blobs: Arc<Blobs>,
    /// Most threads.
    pub threads: usize,
    /// Set when nobody wants the result any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Measuring {
    /// The public values of each contribution.
    ///
    /// # Errors
    /// [`OpenFailure::Unavailable`]: this machine's fault. Contributions were checked when they
    /// came, so what does not fit now is the disk's.
    pub fn run(&self) -> Result<Vec<Public>, OpenFailure> {
        let config = Arc::clone(&self.config);
        let rereading = Rereading::new(config, self.set, self.rows, &self.check);
        let rereading = rereading.map_err(|error| unavailable(&error))?;
        let each = self.headers.len().div_ceil(self.threads.max(1)).max(1);
        let parts: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (self.headers.chunks(each))
                .map(|some| {
                    let rereading = &rereading;
                    scope.spawn(move || {
                        some.iter().map(|one| self.measure(rereading, one)).collect()
                    })
                })
                .collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Vec::with_capacity(self.headers.len());
        for part in parts {
            let part: Result<Vec<Public>, OpenFailure> =
                part.map_err(|_| OpenFailure::Unavailable("a worker died".to_owned()))?;
            all.extend(part?);
        }
        Ok(all)
    }

    fn measure(&self, rereading: &Rereading, signed: &SignedHeader) -> Result<Public, OpenFailure> {
        let header = &signed.header;
        let (name, correction, chunks_root) =
            (header.digest(), header.correction, header.chunks_root);
        let stored = self.blobs.contribution(self.config.round, &name);
        let bytes = stored.correction().map_err(|error| unavailable(&error))?;
        let changed = |error: &dyn std::fmt::Display| {
            let what = format!("it is not what its owner signed for: {error}");
            unavailable(&stored.damaged(what))
        };
        let signed = Signed { header: name, correction, chunks_root };
        let mut reading = rereading.begin(signed, &bytes).map_err(|error| changed(&error))?;
        let mut chunks = stored.chunks(0).map_err(|error| unavailable(&error))?;
        let mut buffer = vec![0; self.config.chunk_bytes(0)];
        for index in 0..self.config.chunks() {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(OpenFailure::Unavailable("the program is stopping".to_owned()));
            }
            let chunk = &mut buffer[..self.config.chunk_bytes(index)];
            chunks.next(chunk).map_err(|error| unavailable(&error))?;
            reading.chunk(chunk).map_err(|error| changed(&error))?;
        }
        reading.finish().map_err(|error| changed(&error))
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> OpenFailure {
    OpenFailure::Unavailable(error.to_string())
}
