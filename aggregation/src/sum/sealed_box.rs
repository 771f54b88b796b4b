//! Boxes that only one holder can open: ML-KEM-768 and X25519 together.

use zeroize::Zeroizing;

use crate::config::SealingKey;

/// A holder's secret keys. Zeroised when dropped; no `Debug`, no `Clone`.
pub struct SealingSecret {
    seed: Zeroizing<[u8; 96]>,
}

impl SealingSecret {
    /// From 96 secret bytes: 64 for ML-KEM-768 (d, z of FIPS 203), 32 for X25519.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 96]>) -> Self {
        Self { seed: seed.clone() }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        let _ = &self.seed;
        unimplemented!()
    }
}
