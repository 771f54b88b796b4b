//! Bytes that an owner sends in a round, as its terms have them.

use covey_aggregation::audit::Terms;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use serde::Serialize;

/// Bytes of the signature of a proof.
const SIGNATURE_BYTES: u64 = 64;

/// Bytes by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Of ciphertext.
    pub update: u64,
    /// Of keys, for the holders.
    pub keys: u64,
    /// Of proof, where rounds are audited.
    pub proof: u64,
}

impl Volume {
    /// What the terms of a round ask for.
    #[must_use]
    pub fn of(terms: &RoundConfig) -> Self {
        let boxes = terms.shape.members() * box_bytes(terms);
        let audit = terms.is_audited().then(|| Terms::new(terms).ok()).flatten();
        Self {
            update: terms.payload_bytes(),
            keys: (correction_bytes(terms) + boxes) as u64,
            proof: audit.map_or(0, |audit| Proof::length(&audit) as u64 + SIGNATURE_BYTES),
        }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.update + self.keys + self.proof
    }
}
