//! The sum of the keys of a set, recovered from corrections and component sums.

use crate::config::RoundConfig;
use crate::hash::{Digest, Domain, hash};
use crate::sum::accumulator::Accumulator;
use crate::sum::gauss::GAUSS_MAX;
use crate::sum::modulus::{add_mod, primes};
use crate::sum::pack::unpack_residues;

use super::combine::is_vector;
use super::whole;

/// The opened sum of the keys of a set. Published, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySum {
    pub(super) entries: Vec<i32>,
}

/// The component sums and corrections do not add up to a sum of short keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShort {
    /// The accumulator holds another number of contributions.
    #[error("{} contributions were added, the set has {expected}", whole(*.added))]
    Count {
        /// In the accumulator; `None` if some only in part.
        added: Option<u32>,
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
        if accumulator.count() != Some(count) {
            return Err(NotShort::Count { added: accumulator.count(), expected: count });
        }
        let (got, expected) = (components.len(), config.shape.components().len());
        if got != expected || accumulator.config() != config {
            return Err(NotShort::Components { got, expected });
        }
        if let Some(bad) = components.iter().position(|bytes| !is_vector(config, bytes)) {
            return Err(NotShort::Component(bad));
        }
        let primes = primes(config.profile);
        let mut total = accumulator.correction().to_vec();
        for bytes in components {
            let residues = unpack_residues(bytes).zip(primes.iter().cycle());
            for (total, (residue, prime)) in total.iter_mut().zip(residues) {
                *total = add_mod(*total, residue, *prime);
            }
        }
        let entry = |(at, limbs): (usize, &[u64])| {
            let mut centred = limbs.iter().zip(primes).map(|(&x, &prime)| centre(x, prime));
            let first = centred.next().filter(|&first| centred.all(|other| other == first));
            first.and_then(|entry| short(entry, count)).ok_or(NotShort::Entry { entry: at })
        };
        let entries =
            total.chunks(primes.len()).enumerate().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// From published bytes.
    ///
    /// # Errors
    /// [`NotShort`].
    pub fn from_bytes(config: &RoundConfig, bytes: &[u8]) -> Result<Self, NotShort> {
        let (got, expected) = (bytes.len(), config.profile.ring_dimension() * 4);
        if got != expected {
            return Err(NotShort::Length { got, expected });
        }
        let entries: Vec<i32> =
            bytes.as_chunks().0.iter().map(|entry| i32::from_le_bytes(*entry)).collect();
        let too_long = |&entry: &i32| short(entry.into(), config.summands_max()).is_none();
        match entries.iter().position(too_long) {
            Some(entry) => Err(NotShort::Entry { entry }),
            None => Ok(Self { entries }),
        }
    }

    /// To publish: each entry as a little-endian `i32`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
    }

    /// Digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::KeySum, &[&self.to_bytes()])
    }
}

/// The representative of `x` nearest to zero.
const fn centre(x: u64, prime: u64) -> i64 {
    if x > prime / 2 { x as i64 - prime as i64 } else { x as i64 }
}

/// `entry`, if `count` keys can add up to it.
fn short(entry: i64, count: u32) -> Option<i32> {
    let is_short = entry.abs() <= GAUSS_MAX * i64::from(count);
    i32::try_from(entry).ok().filter(|_| is_short)
}
