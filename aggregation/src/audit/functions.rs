//! From a round's public directions to the functions of an owner's projections that its numbers are.

use serde::{Deserialize, Serialize};

use crate::audit::credit::{BadFunctions, Functions};
use crate::audit::direction::{Direction, NoDirection, REFERENCE_BITS, VALIDATION_BITS};
use crate::audit::estimate::Known;
use crate::audit::question::Question;
use crate::config::RoundConfig;
use crate::hash::{Digest, Domain, Hasher};
use crate::limits::{COUNTER_DIGITS, HISTORY_STEPS, WEIGHT_DIGITS};
use crate::wire::bounded;

/// The public vectors that a round's numbers are taken along, as integers of at most 16 bits; on the
/// wire two bytes each, little-endian. One without a direction (nothing moved) is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directions {
    /// How the fold would have trained the model.
    pub trained: Units,
    /// Down the fold's loss, on average over the way that the model went.
    pub path: Units,
    /// How the last rounds moved the model, at most three, oldest first.
    #[serde(deserialize_with = "bounded::<_, _, HISTORY_STEPS>")]
    pub steps: Vec<Units>,
}

/// Integers of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units(#[serde(with = "serde_bytes")] Vec<u8>);

impl Units {
    /// `values` on the grid of `bits` bits.
    ///
    /// # Errors
    /// [`NoDirection::NotFinite`]; what is zero throughout is empty.
    pub fn new(values: &[f32], bits: u32) -> Result<Self, NoDirection> {
        match Direction::new(values, bits) {
            Ok(direction) => {
                let narrow = |unit: &i32| (*unit as i16).to_le_bytes();
                Ok(Self(direction.units().iter().flat_map(narrow).collect()))
            }
            Err(NoDirection::Zero) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The integers.
    #[must_use]
    pub fn integers(&self) -> Vec<i32> {
        self.0.as_chunks().0.iter().map(|unit| i16::from_le_bytes(*unit).into()).collect()
    }

    /// Whether it is one number for each of `parameters`, or nothing.
    fn fits(&self, parameters: u64) -> bool {
        self.0.is_empty() || self.0.len() as u64 == 2 * parameters
    }
}

impl Directions {
    /// From what training gave, and from the last steps of the model.
    ///
    /// # Errors
    /// [`NoDirection`] when something is not finite.
    pub fn new(trained: &[f32], path: &[f32], steps: &[Vec<f32>]) -> Result<Self, NoDirection> {
        let history = |step: &Vec<f32>| Units::new(step, REFERENCE_BITS);
        Ok(Self {
            trained: Units::new(trained, VALIDATION_BITS)?,
            path: Units::new(path, REFERENCE_BITS)?,
            steps: steps.iter().map(history).collect::<Result<_, _>>()?,
        })
    }

    /// Whether all are of a round's length.
    #[must_use]
    pub fn fits(&self, config: &RoundConfig) -> bool {
        let mut all = [&self.trained, &self.path].into_iter().chain(&self.steps);
        all.all(|units| units.fits(config.dimension))
    }

    /// Digest of all.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::Direction);
        hasher.part(&(self.steps.len() as u64).to_le_bytes());
        for units in [&self.trained, &self.path].into_iter().chain(&self.steps) {
            hasher.part(&units.0);
        }
        hasher.finish()
    }

    /// The weights of the three numbers: s along the trained direction; novelty along what the last
    /// steps have not of it; harm along the path. `sums` are the opened ones of the parameters: the
    /// estimates are regressed on them, so that they add up (design note `credits-sketch`,
    /// section 4). What an owner has in digits of weights and counters counts for nothing.
    ///
    /// # Errors
    /// [`BadFunctions`].
    pub fn functions(
        &self,
        question: &Question<'_>,
        sums: &[i32],
    ) -> Result<Functions, BadFunctions> {
        let config = question.config;
        if !self.fits(config) || sums.len() as u64 != config.dimension {
            let expected = config.dimension as usize;
            return Err(BadFunctions::Length { got: sums.len(), expected });
        }
        let mut vectors = vec![self.trained.integers(), self.path.integers(), sums.to_vec()];
        vectors.extend(self.steps.iter().map(Units::integers));
        let slices: Vec<&[i32]> = vectors.iter().map(Vec::as_slice).collect();
        let digits = digits(config);
        let known = Known::with_coordinates(config, question.rows(), &slices, digits.clone());
        let count = vectors.len() + (digits.end - digits.start) as usize;
        let along = |one: usize| {
            (0..count).map(|other| f64::from(u8::from(other == one))).collect::<Vec<_>>()
        };
        let last: Vec<usize> = (3..vectors.len()).collect();
        let targets = [along(0), known.beyond(0, &last), along(1)];
        Functions::new(question, targets.map(|target| known.weights(&target)))
    }
}

/// Coordinates of the digits of a contribution's weight and counters.
pub(crate) const fn digits(config: &RoundConfig) -> std::ops::Range<u64> {
    let end = config.coordinates();
    end - WEIGHT_DIGITS as u64 - config.counters as u64 * COUNTER_DIGITS as u64..end
}
