//! Adding ciphertexts and corrections: one accumulator per round, however many contributions,
//! with 16 bytes for each coefficient (8 in the small profile; 4 bytes per parameter with four
//! lanes). Sums of corrections are reduced modulo each prime.
//!
//! A contribution that counts several times is added several times. Additions commute, so any order
//! will do. What is kept is how many contributions each part
//! holds; only when all hold the same number is there a sum ([`Accumulator::count`]).

use std::ops::Range;

use crate::config::{BadConfig, RoundConfig};
use crate::sum::contribution::{BadContribution, check_chunk, check_correction};
use crate::sum::fields::Fields;
use crate::sum::modulus::{add_mod, primes};
use crate::sum::pack::unpack_residues;

/// The running sum of a round.
pub struct Accumulator {
    config: RoundConfig,
    fields: Fields,
    /// Of every coefficient that travels, in order.
    words: Vec<u64>,
    /// Of the corrections: entry by entry, limbs side by side.
    correction: Vec<u64>,
    /// How many corrections were added.
    corrections: u32,
    /// For each chunk, how many contributions it was added of.
    chunks: Vec<u32>,
}

impl Accumulator {
    /// Zero.
    ///
    /// # Errors
    /// [`BadConfig`] when no lengths follow from the terms.
    pub fn new(config: &RoundConfig) -> Result<Self, BadConfig> {
        config.validate_layout()?;
        let fields = Fields::new(config.packing.pad_bits());
        let last = config.chunks() - 1;
        let n = config.profile.ring_dimension();
        let coefficients = last as usize * n + config.chunk_coefficients(last);
        Ok(Self {
            config: config.clone(),
            words: vec![0; coefficients * fields.per_word()],
            fields,
            correction: vec![0; n * config.profile.limbs()],
            corrections: 0,
            chunks: vec![0; config.chunks() as usize],
        })
    }

    /// Adds the correction of one more contribution. It comes before that contribution's chunks.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length, unreduced entry, more contributions than the terms
    /// allow. Nothing is added then.
    pub fn add_correction(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        self.add_correction_times(bytes, 1)
    }

    /// The same, `times` times over; where that is none, the bytes are checked all the same.
    ///
    /// # Errors
    /// As [`Self::add_correction`].
    pub fn add_correction_times(
        &mut self,
        bytes: &[u8],
        times: u32,
    ) -> Result<(), BadContribution> {
        check_correction(&self.config, bytes)?;
        if times > self.config.summands_max() - self.corrections {
            return Err(BadContribution::TooMany);
        }
        (0..times).for_each(|_| self.add_residues(bytes));
        self.corrections += times;
        Ok(())
    }

    fn add_residues(&mut self, bytes: &[u8]) {
        let primes = primes(self.config.profile).iter().cycle();
        for ((sum, entry), prime) in
            self.correction.iter_mut().zip(unpack_residues(bytes)).zip(primes)
        {
            *sum = add_mod(*sum, entry, *prime);
        }
    }

    /// Adds chunk `index` of one contribution.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length; no such chunk, or this chunk of every contribution
    /// whose correction came was added already. Nothing is added then.
    pub fn add_chunk(&mut self, index: u32, bytes: &[u8]) -> Result<(), BadContribution> {
        self.add_chunk_times(index, bytes, 1)
    }

    /// The same, `times` times over; where that is none, the bytes are checked all the same.
    ///
    /// # Errors
    /// As [`Self::add_chunk`].
    pub fn add_chunk_times(
        &mut self,
        index: u32,
        bytes: &[u8],
        times: u32,
    ) -> Result<(), BadContribution> {
        if index >= self.config.chunks() {
            return Err(BadContribution::Order);
        }
        check_chunk(&self.config, index, bytes)?;
        self.whole().add(index, &vec![bytes; times as usize])
    }

    /// Divides the chunks among at most `parts` strips, to be added to on as many threads.
    pub fn strips(&mut self, parts: usize) -> Vec<Strip<'_>> {
        let share = self.chunks.len().div_ceil(parts.max(1)).max(1) as u32;
        let mut strips = Vec::new();
        let mut rest = self.whole();
        while rest.counts.len() > share as usize {
            let (strip, others) = rest.split(share);
            strips.push(strip);
            rest = others;
        }
        strips.push(rest);
        strips
    }

    fn whole(&mut self) -> Strip<'_> {
        Strip {
            config: &self.config,
            fields: &self.fields,
            corrections: self.corrections,
            first: 0,
            words: &mut self.words,
            counts: &mut self.chunks,
        }
    }

    /// Contributions added; `None` while some part of one is missing.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        let is_whole = self.chunks.iter().all(|&count| count == self.corrections);
        is_whole.then_some(self.corrections)
    }

    /// The terms this was made for.
    pub(crate) const fn config(&self) -> &RoundConfig {
        &self.config
    }

    /// Sums of the words of chunk `index`, one or two fields each ([`Fields::join`]), and how
    /// many fields a word has.
    pub(crate) fn chunk(&self, index: u32) -> (&[u64], usize) {
        let per_word = self.fields.per_word();
        let start = index as usize * self.config.profile.ring_dimension() * per_word;
        let fields = self.config.chunk_coefficients(index) * per_word;
        (&self.words[start..start + fields], per_word)
    }

    /// Sum of the corrections: entry by entry, limbs side by side.
    pub(crate) fn correction(&self) -> &[u64] {
        &self.correction
    }
}

/// Some chunks of an accumulator.
pub struct Strip<'a> {
    config: &'a RoundConfig,
    fields: &'a Fields,
    corrections: u32,
    first: u32,
    words: &'a mut [u64],
    counts: &'a mut [u32],
}

impl Strip<'_> {
    /// Which chunks.
    #[must_use]
    pub fn chunks(&self) -> Range<u32> {
        self.first..self.first + self.counts.len() as u32
    }

    /// Adds chunk `index` of each of `contributions`. Several at once are faster than one after
    /// the other.
    ///
    /// # Errors
    /// [`BadContribution`]: wrong length; a chunk of another strip, or more contributions than
    /// corrections came. Nothing is added then.
    pub fn add(&mut self, index: u32, contributions: &[&[u8]]) -> Result<(), BadContribution> {
        let at = index.checked_sub(self.first).ok_or(BadContribution::Order)? as usize;
        let count = self.counts.get_mut(at).ok_or(BadContribution::Order)?;
        let open = (self.corrections - *count) as usize;
        if contributions.len() > open {
            return Err(BadContribution::Order);
        }
        contributions.iter().try_for_each(|bytes| check_chunk(self.config, index, bytes))?;
        let per_chunk = self.config.profile.ring_dimension() * self.fields.per_word();
        let fields = self.config.chunk_coefficients(index) * self.fields.per_word();
        let words = &mut self.words[at * per_chunk..][..fields];
        self.fields.add(contributions, words);
        *count += contributions.len() as u32;
        Ok(())
    }
}

impl<'a> Strip<'a> {
    /// The first `chunks` chunks, and the others.
    fn split(self, chunks: u32) -> (Self, Self) {
        let n = self.config.profile.ring_dimension();
        let (words, other_words) =
            self.words.split_at_mut(chunks as usize * n * self.fields.per_word());
        let (counts, other_counts) = self.counts.split_at_mut(chunks as usize);
        let Strip { config, fields, corrections, first, .. } = self;
        let strip = |first, words: &'a mut [u64], counts: &'a mut [u32]| Strip {
            config,
            fields,
            corrections,
            first,
            words,
            counts,
        };
        (strip(first, words, counts), strip(first + chunks, other_words, other_counts))
    }
}
