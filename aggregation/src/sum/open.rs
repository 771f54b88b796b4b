//! From the holders' component sums to the opened aggregate.

use crate::config::{HolderIndex, Quantiser, RoundConfig};
use crate::hash::Digest;
use crate::sum::accumulator::Accumulator;

/// What the holders' releases agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// R_T for each component in canonical order; `None` where no f + 1 holders agree.
    pub components: Vec<Option<Vec<u8>>>,
    /// Holders that gave something else than the agreed value, ascending.
    pub liars: Vec<HolderIndex>,
}

/// Takes for each component the value that f + 1 holders give equally.
#[must_use]
pub fn combine(config: &RoundConfig, releases: &[(HolderIndex, &[Vec<u8>])]) -> Combined {
    let _ = (config, releases);
    unimplemented!()
}

/// The opened sum of the keys of a set. Published, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySum {
    entries: Vec<i32>,
}

/// The component sums and corrections do not add up to a sum of short keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShort {
    /// The accumulator holds another number of contributions.
    #[error("{added} contributions were added, the set has {expected}")]
    Count {
        /// In the accumulator.
        added: u32,
        /// In the set.
        expected: u32,
    },
    /// Not one component sum per component.
    #[error("{got} component sums, {expected} expected")]
    Components {
        /// Given.
        got: usize,
        /// By the committee's shape.
        expected: usize,
    },
    /// A component sum has a wrong length or an unreduced entry.
    #[error("component sum {0} is malformed")]
    Component(usize),
    /// An entry is longer than n keys can make, or differs between the primes.
    #[error("entry {entry} of the key sum is not short")]
    Entry {
        /// Which.
        entry: usize,
    },
    /// Not the bytes of a key sum.
    #[error("{got} bytes, a key sum has {expected}")]
    Length {
        /// Bytes given.
        got: usize,
        /// By the terms.
        expected: usize,
    },
}

impl KeySum {
    /// S = sum d + sum over T of R_T.
    ///
    /// # Errors
    /// [`NotShort`].
    pub fn recover(
        config: &RoundConfig,
        accumulator: &Accumulator,
        components: &[Vec<u8>],
        count: u32,
    ) -> Result<Self, NotShort> {
        let _ = (config, accumulator, components, count);
        unimplemented!()
    }

    /// From published bytes.
    ///
    /// # Errors
    /// [`NotShort`].
    pub fn from_bytes(config: &RoundConfig, bytes: &[u8]) -> Result<Self, NotShort> {
        let _ = (config, bytes);
        unimplemented!()
    }

    /// To publish: each entry as a little-endian `i32`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
    }

    /// Digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        unimplemented!()
    }
}

/// The sum does not open to what honest contributions give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// The accumulator holds another number of contributions.
    #[error("{added} contributions were added, the set has {expected}")]
    Count {
        /// In the accumulator.
        added: u32,
        /// In the set.
        expected: u32,
    },
    /// Key sum or accumulator are of another round's shape.
    #[error("key sum or accumulator of another shape")]
    Shape,
    /// A sentinel is not the number of contributions.
    #[error("sentinel {0} is not the number of contributions")]
    Sentinel(usize),
    /// The noise is larger than honest contributions make.
    #[error("coefficient {coefficient} of chunk {chunk} has too much noise")]
    Noise {
        /// Chunk.
        chunk: u32,
        /// Coefficient.
        coefficient: usize,
    },
    /// A sum outside what n quantised values can add up to.
    #[error("coordinate {0} is outside what quantised values add up to")]
    Coordinate(u64),
    /// The sum of weights is impossible.
    #[error("the sum of weights is impossible")]
    Weight,
}

/// The opened sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Contributions.
    pub count: u32,
    /// Sum of their weights.
    pub weight: u64,
    /// Sums of signed units, one per parameter.
    pub sums: Vec<i64>,
}

impl Aggregate {
    /// The weighted mean of the updates.
    #[must_use]
    pub fn mean(&self, quantiser: &Quantiser) -> Vec<f32> {
        let _ = quantiser;
        unimplemented!()
    }

    /// Digest of count, weight and sums.
    #[must_use]
    pub fn digest(&self) -> Digest {
        unimplemented!()
    }
}

/// Opens the sum of `count` contributions.
///
/// # Errors
/// [`Spoiled`].
pub fn open(
    config: &RoundConfig,
    round_ctx: &Digest,
    accumulator: &Accumulator,
    key_sum: &KeySum,
    count: u32,
) -> Result<Aggregate, Spoiled> {
    let _ = (config, round_ctx, accumulator, key_sum, count);
    unimplemented!()
}
