//! Adding ciphertexts and corrections: one accumulator per round, 16 bytes for each coefficient
//! (4 bytes per parameter with four lanes). Sums of words wrap modulo 2^128, of which the low P
//! bits are the sum modulo 2^P; sums of corrections are reduced modulo each prime.

use crate::config::{BadConfig, RoundConfig};
use crate::sum::contribution::{BadContribution, check_chunk, check_correction};
use crate::sum::modulus::{add_mod, primes};
use crate::sum::pack::{add_packed, unpack_residues};

/// The running sum of a round.
pub struct Accumulator {
    config: RoundConfig,
    /// Of every coefficient that travels, in order.
    words: Vec<u128>,
    /// Of the corrections: entry by entry, limbs side by side.
    correction: Vec<u64>,
    count: u32,
    /// Within a contribution: its next chunk.
    next_chunk: Option<u32>,
}

impl Accumulator {
    /// Zero.
    ///
    /// # Errors
    /// [`BadConfig`] when no lengths follow from the terms.
    pub fn new(config: &RoundConfig) -> Result<Self, BadConfig> {
        config.validate_layout()?;
        let last = config.chunks() - 1;
        let n = config.profile.ring_dimension();
        Ok(Self {
            config: config.clone(),
            words: vec![0; last as usize * n + config.chunk_coefficients(last)],
            correction: vec![0; n * config.profile.limbs()],
            count: 0,
            next_chunk: None,
        })
    }

    /// Adds the correction of the next contribution. It comes before the chunks.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length, unreduced entry, out of order, more contributions than
    /// the terms allow. Nothing is added then.
    pub fn add_correction(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        if self.next_chunk.is_some() {
            return Err(BadContribution::Order);
        }
        if self.count == self.config.contributions_max {
            return Err(BadContribution::TooMany);
        }
        check_correction(&self.config, bytes)?;
        let primes = primes(self.config.profile).iter().cycle();
        for ((sum, entry), prime) in
            self.correction.iter_mut().zip(unpack_residues(bytes)).zip(primes)
        {
            *sum = add_mod(*sum, entry, *prime);
        }
        self.next_chunk = Some(0);
        Ok(())
    }

    /// Adds chunk `index`; chunks come in order.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length, out of order. Nothing is added then.
    pub fn add_chunk(&mut self, index: u32, bytes: &[u8]) -> Result<(), BadContribution> {
        let next = self.next_chunk.ok_or(BadContribution::Order)?;
        check_chunk(&self.config, next, index, bytes)?;
        let start = index as usize * self.config.profile.ring_dimension();
        let words = &mut self.words[start..start + self.config.chunk_coefficients(index)];
        add_packed(bytes, self.config.packing.pad_bits(), words);
        self.next_chunk = Some(next + 1);
        Ok(())
    }

    /// Counts the contribution whose correction and chunks were just added.
    ///
    /// # Errors
    /// [`BadContribution::Incomplete`].
    pub fn finish_contribution(&mut self) -> Result<(), BadContribution> {
        if self.next_chunk != Some(self.config.chunks()) {
            return Err(BadContribution::Incomplete);
        }
        self.next_chunk = None;
        self.count += 1;
        Ok(())
    }

    /// Adds another accumulator of the same round, made beside this one. Any grouping gives the
    /// same sums.
    ///
    /// # Errors
    /// [`BadContribution`]: another round, either is in the middle of a contribution, or both
    /// together hold more than the terms allow. Nothing is added then.
    pub fn merge(&mut self, other: Self) -> Result<(), BadContribution> {
        if self.config != other.config {
            return Err(BadContribution::OtherRound);
        }
        if self.next_chunk.is_some() || other.next_chunk.is_some() {
            return Err(BadContribution::Incomplete);
        }
        if self.count + other.count > self.config.contributions_max {
            return Err(BadContribution::TooMany);
        }
        for (sum, word) in self.words.iter_mut().zip(&other.words) {
            *sum = sum.wrapping_add(*word);
        }
        let primes = primes(self.config.profile).iter().cycle();
        for ((sum, entry), prime) in self.correction.iter_mut().zip(&other.correction).zip(primes) {
            *sum = add_mod(*sum, *entry, *prime);
        }
        self.count += other.count;
        Ok(())
    }

    /// Contributions added.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The terms this was made for.
    pub(crate) const fn config(&self) -> &RoundConfig {
        &self.config
    }

    /// Sums of the words of chunk `index`.
    pub(crate) fn chunk(&self, index: u32) -> &[u128] {
        let start = index as usize * self.config.profile.ring_dimension();
        &self.words[start..start + self.config.chunk_coefficients(index)]
    }

    /// Sum of the corrections: entry by entry, limbs side by side.
    pub(crate) fn correction(&self) -> &[u64] {
        &self.correction
    }
}
