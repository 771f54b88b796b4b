//! Stored contributions that a holder reads again before it signs a verdict: fetched from the
//! coordinator beside the holder's other work, one after another, and never held whole.

use std::collections::BTreeSet;

use covey_aggregation::audit::opening::Public;
use covey_aggregation::audit::rereading::{Rereading, Signed};
use covey_aggregation::hash::Digest;
use covey_aggregation::net::bulk::Bulk;
use covey_aggregation::sum::contribution::correction_bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A contribution that was read again.
pub(crate) struct Reread {
    /// The round.
    pub(crate) round_ctx: Digest,
    /// Digest of its header.
    pub(crate) header: Digest,
    /// Its public values; none when its bytes are not what its client signed.
    pub(crate) public: Option<Public>,
}

/// Contributions that are being read.
pub(crate) struct Rereads {
    tasks: JoinSet<Digest>,
    /// Rounds of which some are.
    rounds: BTreeSet<Digest>,
    read: (mpsc::Sender<Reread>, mpsc::Receiver<Reread>),
}

impl Default for Rereads {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), rounds: BTreeSet::new(), read: mpsc::channel(1) }
    }
}

impl Rereads {
    /// Reads these contributions of a round, unless that is under way.
    pub(crate) fn begin(
        &mut self,
        bulk: &Bulk,
        round_ctx: Digest,
        rereading: Rereading,
        contributions: Vec<Signed>,
    ) {
        if !self.rounds.insert(round_ctx) {
            return;
        }
        let (bulk, read) = (bulk.clone(), self.read.0.clone());
        self.tasks.spawn(async move {
            for signed in contributions {
                // What cannot be fetched is asked for again with the next question.
                let Some(public) = fetch(&bulk, &rereading, signed).await else { break };
                let reread = Reread { round_ctx, header: signed.header, public };
                if read.send(reread).await.is_err() {
                    break;
                }
            }
            round_ctx
        });
    }

    /// The next contribution that was read. Cancel-safe; for ever while none is being read.
    pub(crate) async fn next(&mut self) -> Option<Reread> {
        loop {
            tokio::select! {
                biased;
                read = self.read.1.recv() => return read,
                Some(done) = self.tasks.join_next() => match done {
                    Ok(round_ctx) => {
                        self.rounds.remove(&round_ctx);
                    }
                    // Which one died is not known: reading another one twice does no harm.
                    Err(_) => self.rounds.clear(),
                },
            }
        }
    }
}

/// The public values of one contribution, or that its bytes are not what was signed. `None` when
/// they do not come.
async fn fetch(bulk: &Bulk, rereading: &Rereading, signed: Signed) -> Option<Option<Public>> {
    let config = rereading.config();
    let mut correction = vec![0; correction_bytes(config)];
    let bytes = correction.len() as u64 + config.payload_bytes();
    let mut incoming = bulk.stored(&signed.header, bytes).await.ok()?;
    incoming.read_exact(&mut correction).await.ok()?;
    let Ok(mut reading) = rereading.begin(signed, &correction) else { return Some(None) };
    let mut chunk = vec![0; config.chunk_bytes(0)];
    for index in 0..config.chunks() {
        let chunk = &mut chunk[..config.chunk_bytes(index)];
        incoming.read_exact(chunk).await.ok()?;
        if reading.chunk(chunk).is_err() {
            return Some(None);
        }
    }
    incoming.expect_end().await.ok()?;
    Some(reading.finish().ok())
}
