//! The sum of the keys of a set, recovered from corrections and component sums.
//!
//! Honest keys are short, and so is their sum. Without the audit a sum that is not short means that
//! something went wrong, and it is not opened. With the audit a long key is no lie: what an owner's
//! contribution says was checked against whatever key its shares make up, so one that drew a long
//! key harms its own secrecy and nothing else. Were it refused here, any owner could spoil any
//! round, unseen (design note `closed-audit`, section 4, Release).

use crate::config::RoundConfig;
use crate::hash::{Digest, Domain, hash};
use crate::sum::accumulator::Accumulator;
use crate::sum::gauss::GAUSS_MAX;
use crate::sum::modulus::{add_mod, primes, sub_mod};
use crate::sum::pack::unpack_residues;
use crate::sum::pad::inverse_of_first_prime;

use super::combine::is_vector;
use super::whole;

/// Bytes of an entry of a short sum.
const SHORT_BYTES: usize = 4;

/// Bytes of an entry of a long sum: below q, which has 100 bits.
const LONG_BYTES: usize = 16;

/// The opened sum of the keys of a set. Published, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySum {
    /// Representatives modulo q, nearest to zero.
    pub(super) entries: Vec<i128>,
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
    /// An entry is longer than n keys can make, or differs between the primes; or, where keys may be
    /// long, it is not below q / 2.
    #[error("entry {entry} of the key sum is not short")]
    Entry {
        /// Which.
        entry: usize,
    },
    /// Not the bytes of a key sum: a short one, or one that is long where it may be.
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
            let entry = centre(limbs, primes);
            let is_allowed = config.is_audited() || is_short(entry, count);
            is_allowed.then_some(entry).ok_or(NotShort::Entry { entry: at })
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
        let (got, expected) = (bytes.len(), config.profile.ring_dimension() * SHORT_BYTES);
        let most = config.summands_max();
        if got == expected {
            let entries = bytes.as_chunks().0.iter().map(|entry| i32::from_le_bytes(*entry));
            let entries: Vec<i128> = entries.map(i128::from).collect();
            let is_too_long = |&entry: &i128| !config.is_audited() && !is_short(entry, most);
            return match entries.iter().position(is_too_long) {
                Some(entry) => Err(NotShort::Entry { entry }),
                None => Ok(Self { entries }),
            };
        }
        if !config.is_audited() || got != config.profile.ring_dimension() * LONG_BYTES {
            return Err(NotShort::Length { got, expected });
        }
        let entries = bytes.as_chunks().0.iter().map(|entry| i128::from_le_bytes(*entry));
        let entries: Vec<i128> = entries.collect();
        let modulus = modulus(primes(config.profile)).cast_signed();
        if let Some(entry) = entries.iter().position(|entry| entry.abs() > modulus / 2) {
            return Err(NotShort::Entry { entry });
        }
        // One sum has one form.
        let is_long = entries.iter().any(|entry| i32::try_from(*entry).is_err());
        is_long.then_some(Self { entries }).ok_or(NotShort::Length { got, expected })
    }

    /// To publish: each entry as a little-endian `i32`; where one does not fit, each as an `i128`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let short = self.entries.iter().map(|&entry| i32::try_from(entry));
        match short.collect::<Result<Vec<_>, _>>() {
            Ok(short) => short.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
            Err(_) => self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
        }
    }

    /// Digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::KeySum, &[&self.to_bytes()])
    }
}

/// The representative nearest to zero of what has these residues.
fn centre(limbs: &[u64], primes: &[u64]) -> i128 {
    let x = match (limbs, primes) {
        (&[x1, x2], &[q1, q2]) => {
            let difference = sub_mod(x2, x1 % q2, q2);
            let t = u128::from(difference) * u128::from(inverse_of_first_prime()) % u128::from(q2);
            u128::from(x1) + u128::from(q1) * t
        }
        _ => limbs.first().copied().map_or(0, u128::from),
    };
    let modulus = modulus(primes);
    if x > modulus / 2 { x.cast_signed() - modulus.cast_signed() } else { x.cast_signed() }
}

fn modulus(primes: &[u64]) -> u128 {
    primes.iter().map(|&prime| u128::from(prime)).product()
}

/// Whether `count` keys can add up to `entry`.
fn is_short(entry: i128, count: u32) -> bool {
    entry.abs() <= i128::from(GAUSS_MAX) * i128::from(count)
}
