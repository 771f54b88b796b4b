//! The public masks A: the same for all clients of a round, bound to its terms, so that nobody
//! chooses them.

use crate::hash::{Digest, Domain, hash};
use crate::sum::xof::Xof;

/// Streams set aside per chunk; limb l of chunk j is stream `4 j + l`.
const STREAMS_PER_CHUNK: u64 = 4;

/// The masks of one round.
pub(crate) struct Mask {
    key: [u8; 32],
}

impl Mask {
    /// The masks of the round `round_ctx`.
    pub(crate) fn new(round_ctx: &Digest) -> Self {
        Self { key: hash(Domain::Mask, &[&round_ctx.0]).0 }
    }

    /// A of chunk `chunk` modulo the prime of limb `limb`, already in the transformed domain.
    pub(crate) fn expand(&self, chunk: u32, limb: usize, prime: u64, out: &mut [u64]) {
        let stream = u64::from(chunk) * STREAMS_PER_CHUNK + limb as u64;
        Xof::new(&self.key, stream).uniform(prime, out);
    }
}
