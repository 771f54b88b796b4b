//! A client's key for one round.

use zeroize::{Zeroize, Zeroizing};

use crate::config::Profile;
use crate::hash::{Digest, Domain, Hasher};
use crate::signing::Identity;
use crate::sum::gauss;
use crate::sum::quantise::Quantised;
use crate::sum::xof::Xof;

/// Everything random of one sealing, as streams under one secret.
///
/// Hedged: the secret hangs on fresh entropy, on the identity's secret, on the round and on the
/// update itself. If the entropy is ever repeated (a restored snapshot of a machine, a broken
/// generator), another update or another round still gets another key, and the same update in the
/// same round gives the same bytes again.
pub(crate) struct ClientRandomness {
    secret: Zeroizing<[u8; 32]>,
}

/// Streams of a client's randomness. The noise of chunk j is stream `NOISE + j`.
const KEY: u64 = 0;
const SEEDS: u64 = 1;
const BOXES: u64 = 2;
const NOISE: u64 = 1 << 32;

impl ClientRandomness {
    pub(crate) fn new(
        identity: &Identity,
        entropy: &Zeroizing<[u8; 32]>,
        round_ctx: &Digest,
        quantised: &Quantised,
    ) -> Self {
        let mut hasher = Hasher::new(Domain::ClientRng);
        quantised.hash_into(&mut hasher);
        let mut message = hasher.finish();
        let secret = identity.hedge(Domain::ClientRng, &[&entropy[..], &round_ctx.0, &message.0]);
        message.0.zeroize();
        Self { secret }
    }

    /// For the seeds of the key's shares.
    pub(crate) fn seeds(&self) -> Xof {
        Xof::new(&self.secret, SEEDS)
    }

    /// For the sealed boxes.
    pub(crate) fn boxes(&self) -> Xof {
        Xof::new(&self.secret, BOXES)
    }

    /// For the noise of one chunk.
    pub(crate) fn noise(&self, chunk: u32) -> Xof {
        Xof::new(&self.secret, NOISE + u64::from(chunk))
    }
}

/// A key s: Gaussian entries, in the clear. It has no `Clone`; sealing consumes it, so a program
/// cannot seal two updates under one key.
pub(crate) struct ClientKey {
    entries: Zeroizing<Vec<i64>>,
}

impl ClientKey {
    /// Draws the key.
    pub(crate) fn draw(profile: Profile, randomness: &ClientRandomness) -> Self {
        let mut entries = Zeroizing::new(vec![0; profile.ring_dimension()]);
        let mut words = Zeroizing::new(Vec::with_capacity(entries.len()));
        gauss::sample(&mut Xof::new(&randomness.secret, KEY), &mut words, &mut entries);
        Self { entries }
    }

    /// A key that a test chose.
    #[cfg(test)]
    pub(crate) fn of_entries(entries: Vec<i64>) -> Self {
        Self { entries: Zeroizing::new(entries) }
    }

    /// The entries.
    pub(crate) fn entries(&self) -> &[i64] {
        &self.entries
    }
}
