//! Adding ciphertexts and corrections.

use crate::config::{BadConfig, RoundConfig};
use crate::sum::contribution::BadContribution;

/// The running sum of a round.
pub struct Accumulator {
    count: u32,
}

impl Accumulator {
    /// Zero.
    ///
    /// # Errors
    /// [`BadConfig`] when no lengths follow from the terms.
    pub fn new(config: &RoundConfig) -> Result<Self, BadConfig> {
        let _ = config;
        unimplemented!()
    }

    /// Adds the correction of the next contribution. It comes before the chunks.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length, unreduced entry, out of order. Nothing is added then.
    pub fn add_correction(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        let _ = bytes;
        unimplemented!()
    }

    /// Adds chunk `index`; chunks come in order.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length, out of order. Nothing is added then.
    pub fn add_chunk(&mut self, index: u32, bytes: &[u8]) -> Result<(), BadContribution> {
        let _ = (index, bytes);
        unimplemented!()
    }

    /// Counts the contribution whose correction and chunks were just added.
    ///
    /// # Errors
    /// [`BadContribution::Incomplete`].
    pub fn finish_contribution(&mut self) -> Result<(), BadContribution> {
        unimplemented!()
    }

    /// Adds another accumulator of the same round, made beside this one.
    ///
    /// # Errors
    /// [`BadContribution::Incomplete`] when either is in the middle of a contribution.
    pub fn merge(&mut self, other: Self) -> Result<(), BadContribution> {
        let _ = other;
        unimplemented!()
    }

    /// Contributions added.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}
