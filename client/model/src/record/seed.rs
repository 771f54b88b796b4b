//! The secret that samples and noise are drawn from.

use rand::SeedableRng as _;
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};
use zeroize::{Zeroize as _, Zeroizing};

use crate::random::key;

/// 32 bytes that nobody else knows, from the operating system's generator, for one fit. Samples,
/// noise and dropout follow from them and hide the examples only as long as they are secret: the
/// plan's seed and what is derived of it are public and never serve. Wiped when dropped; not
/// printed, not cloned. The generators that are seeded of it live as long as the fit and are dropped
/// without being wiped: `rand_chacha` cannot.
pub struct RecordSeed([u8; 32]);

impl RecordSeed {
    /// Of secret bytes. The caller wipes its own copy.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// A generator of its own for `purpose`.
    pub(super) fn rng(&self, purpose: &str) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(*self.key(purpose))
    }

    /// Where a pass draws its dropout from. Secret as well: with masks that others know, the place
    /// of an example in the sample would show in its gradient.
    pub(super) fn dropout(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(*self.key("record-dropout"))
    }

    fn key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(key(purpose, &[&self.0]).0)
    }
}

impl Drop for RecordSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
