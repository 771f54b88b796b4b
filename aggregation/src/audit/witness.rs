//! What an owner keeps between its sealed update and its proof.

use zeroize::Zeroizing;

use crate::audit::element::{Element, MODULUS};
use crate::audit::lift::Lift;
use crate::audit::projection::Projections;
use crate::audit::question::Question;
use crate::config::RoundConfig;
use crate::sum::modulus::{Factor, PRIMES, RESIDUE_BITS, add_mod, reduce_once, sub_mod};

/// 2^50 mod q1: what the upper part of a lifted word, which is two as wide as a residue, counts.
const UPPER: Factor = Factor::new((1 << RESIDUE_BITS) % PRIMES[0], PRIMES[0]);

const _: () = assert!(MODULUS >> (2 * RESIDUE_BITS) == 0);

/// One chunk's part of a [`Witness`].
pub struct ChunkWitness {
    pub(crate) index: u32,
    /// u: an owner's own coordinates, k for each coefficient.
    units: Zeroizing<Vec<i16>>,
    /// nu: what the lifted ciphertext has beyond key and coordinates, in units of 1 modulo q.
    noise: Zeroizing<Vec<i32>>,
}

impl ChunkWitness {
    /// From the raw coordinates of chunk `index`, its sealed bytes, and A s modulo the first prime.
    /// The noise is small, so one prime tells it all.
    pub(crate) fn new(
        config: &RoundConfig,
        index: u32,
        coordinates: &[u16],
        bytes: &[u8],
        masked: &[u64],
    ) -> Self {
        let lanes = config.packing.lanes as usize;
        let coefficients = config.chunk_coefficients(index);
        let first = u64::from(index) * config.chunk_coordinates();
        let own = (first..).zip(&coordinates[..coefficients * lanes]);
        let own = own.map(|(i, &raw)| (i32::from(raw) - i32::from(config.centre(i))) as i16);
        let units: Zeroizing<Vec<i16>> = Zeroizing::new(own.collect());
        let mut noise = Zeroizing::new(vec![0; coefficients]);
        let lift = Lift::new(config);
        let prime = PRIMES[0];
        let factors: Vec<Factor> =
            lift.factors().iter().map(|factor| Factor::new(factor.0[0], prime)).collect();
        lift.for_chunk(index, bytes, |c, lifted| {
            let low = lifted as u64 & ((1 << RESIDUE_BITS) - 1);
            let high = UPPER.times((lifted >> RESIDUE_BITS) as u64, prime);
            let mut rest = sub_mod(add_mod(reduce_once(low, prime), high, prime), masked[c], prime);
            for (factor, &unit) in factors.iter().zip(&units[c * lanes..]) {
                let unit = Element::from(i64::from(unit)).0[0];
                rest = sub_mod(rest, factor.times(unit, prime), prime);
            }
            noise[c] = centred(rest);
        });
        Self { index, units, noise }
    }
}

/// The small number that `residue` is modulo the first prime.
const fn centred(residue: u64) -> i32 {
    let prime = PRIMES[0] as i64;
    let is_upper = (prime / 2 - residue as i64) >> 63;
    (residue as i64 - (prime & is_upper)) as i32
}

/// The seeds of an owner's key, its coordinates and its noise. Secret: zeroised when dropped; no
/// `Debug`, no `Clone`.
pub struct Witness {
    /// Of all components, in canonical order.
    pub(crate) seeds: Vec<Zeroizing<[u8; 32]>>,
    chunks: Vec<ChunkWitness>,
}

impl Witness {
    /// `chunks` are those of all chunks, in order.
    pub(crate) const fn new(seeds: Vec<Zeroizing<[u8; 32]>>, chunks: Vec<ChunkWitness>) -> Self {
        Self { seeds, chunks }
    }

    /// Y and N.
    pub(crate) fn project(&self, question: &Question<'_>) -> Projections {
        let lanes = question.terms.packing.lanes as usize;
        let mut projections = Projections::new(lanes, question.terms.rows);
        for chunk in &self.chunks {
            let place = (question.config, &question.rows);
            projections.add(place, chunk.index, &chunk.units, &chunk.noise);
        }
        projections
    }

    /// Y alone: what the owner's published numbers are linear functions of.
    #[must_use]
    pub fn sketch(&self, question: &Question<'_>) -> Zeroizing<Vec<i64>> {
        self.project(question).updates
    }

    /// Squared norm of the owner's coordinates, in units.
    #[must_use]
    pub fn norm_squared(&self) -> u64 {
        let units = self.chunks.iter().flat_map(|chunk| chunk.units.iter());
        units.map(|&unit| u64::from(unit.unsigned_abs()).pow(2)).sum()
    }

    /// The coordinates and the noise, for tests that check what is projected.
    #[cfg(test)]
    pub(crate) fn vectors(&self) -> (Vec<i32>, Vec<i32>) {
        let units = self.chunks.iter().flat_map(|chunk| chunk.units.iter().copied().map(i32::from));
        (
            units.collect(),
            self.chunks.iter().flat_map(|chunk| chunk.noise.iter().copied()).collect(),
        )
    }
}
