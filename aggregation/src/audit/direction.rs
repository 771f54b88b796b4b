//! Public directions as integers: what clients' updates are compared with.
//!
//! Training gives floats, which differ from machine to machine; the integers are the record. Who
//! recomputes a direction compares floats with it and everything else exactly.

use crate::hash::{Digest, Domain, Hasher};

/// Bits of the validation direction: with six, ranks of credits are those of the floats (design
/// note `credits`, section 4.3).
pub const VALIDATION_BITS: u32 = 6;

/// Bits of directions that only take something off: steps of the past, and the path. Finer, so that
/// a replayed step has no novelty left.
pub const REFERENCE_BITS: u32 = 12;

/// A direction: one integer for each parameter, the largest in absolute value
/// `2^(bits - 1) - 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    units: Vec<i32>,
}

/// Numbers that have no direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDirection {
    /// A number is not finite: the direction's training exploded.
    #[error("number {index} is not finite")]
    NotFinite {
        /// The first such number.
        index: usize,
    },
    /// All are zero: nothing moved.
    #[error("all numbers are zero")]
    Zero,
}

impl Direction {
    /// `values` on the grid of `bits` bits, 2..=16: scaled so that the largest is at its end, and
    /// rounded to the nearest.
    ///
    /// # Errors
    /// [`NoDirection`].
    ///
    /// # Panics
    /// When `bits` is out of range.
    pub fn new(values: &[f32], bits: u32) -> Result<Self, NoDirection> {
        assert!((2..=16).contains(&bits), "{bits} bits");
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(NoDirection::NotFinite { index });
        }
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        if largest == 0.0 {
            return Err(NoDirection::Zero);
        }
        let end = f64::from((1 << (bits - 1)) - 1);
        let scale = end / f64::from(largest);
        let units = values.iter().map(|&value| (f64::from(value) * scale).round_ties_even() as i32);
        Ok(Self { units: units.collect() })
    }

    /// The integers.
    #[must_use]
    pub fn units(&self) -> &[i32] {
        &self.units
    }

    /// Cosine of the angle to `values`, as many as the integers; zero if there are no others.
    #[must_use]
    pub fn cosine(&self, values: &[f32]) -> f64 {
        let pairs =
            || self.units.iter().map(|&x| f64::from(x)).zip(values.iter().map(|&y| f64::from(y)));
        let product: f64 = pairs().map(|(x, y)| x * y).sum();
        let (mine, theirs) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x * x, b + y * y));
        if self.units.len() == values.len() && mine * theirs > 0.0 {
            product / (mine * theirs).sqrt()
        } else {
            0.0
        }
    }

    /// Digest of the integers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::Direction);
        hasher.part(&(self.units.len() as u64).to_le_bytes());
        self.units.iter().for_each(|unit| hasher.raw(&unit.to_le_bytes()));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_at_the_grids_end_and_the_rest_in_proportion() {
        let direction = Direction::new(&[0.5, -1.0, 0.24, 0.0, 0.017], 6).expect("a direction");
        assert_eq!(direction.units(), [16, -31, 7, 0, 1]);
        let direction = Direction::new(&[f32::MAX, f32::MIN], 12).expect("a direction");
        assert_eq!(direction.units(), [2047, -2047]);
        let direction = Direction::new(&[f32::from_bits(1), 0.0], 6).expect("a direction");
        assert_eq!(direction.units(), [31, 0]);
    }

    #[test]
    fn nothing_and_what_is_no_number_have_no_direction() {
        assert_eq!(Direction::new(&[0.0, -0.0], 6), Err(NoDirection::Zero));
        assert_eq!(Direction::new(&[], 6), Err(NoDirection::Zero));
        let infinite = Direction::new(&[1.0, f32::INFINITY, f32::NAN], 6);
        assert_eq!(infinite, Err(NoDirection::NotFinite { index: 1 }));
    }

    #[test]
    fn cosine_is_of_the_integers_and_scale_does_not_matter() {
        let values: Vec<f32> = (0..1000).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let direction = Direction::new(&values, 6).expect("a direction");
        assert!(direction.cosine(&values) > 0.999);
        let other: Vec<f32> = values.iter().map(|value| -7.0 * value).collect();
        assert!(direction.cosine(&other) < -0.999);
        assert_eq!(direction.cosine(&values[1..]), 0.0);
        assert_eq!(direction.cosine(&[0.0; 1000]), 0.0);
    }

    #[test]
    fn digests_tell_directions_apart() {
        let digest = |values: &[f32]| Direction::new(values, 6).expect("a direction").digest();
        assert_eq!(digest(&[1.0, 0.5]), digest(&[2.0, 1.0]));
        assert_ne!(digest(&[1.0, 0.5]), digest(&[0.5, 1.0]));
        assert_ne!(digest(&[1.0]), digest(&[1.0, 0.0]));
    }
}
