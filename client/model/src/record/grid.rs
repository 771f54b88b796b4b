//! The step that clipped gradients and their noise are rounded to.

/// Steps within the clipping norm, as a power of two: from 2^26 to 2^27.
const BITS: i32 = 26;

/// What rounding adds to one number at most, in steps. Half a step, and what 64-bit arithmetic on
/// numbers below 2^28 may add to it.
const ROUNDING_MAX: f64 = 0.51;

/// Covers the errors of a norm that is computed in 64 bits.
const DOWN: f64 = 1.0 - 1.0 / (1_u64 << 40) as f64;

/// 1.5 2^52: numbers near it are whole, so that adding and subtracting it rounds, ties to even.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The multiples of a power of two that numbers are rounded to, and what they are clipped to.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// The power of two.
    step: f64,
    /// The clipping norm, in steps.
    clip_norm: f64,
    /// What gradients are clipped to, in steps: rounded, they are at most `clip_norm` long.
    limit: f64,
}

impl Grid {
    /// For gradients of so many numbers, clipped to `clip_norm`.
    pub(super) fn new(clip_norm: f64, numbers: usize) -> Self {
        let step = libm::scalbn(1.0, libm::ilogb(clip_norm) - BITS);
        let clip_norm = clip_norm / step;
        let rounding = ROUNDING_MAX * (numbers as f64).sqrt();
        Self { step, clip_norm, limit: (clip_norm * DOWN - rounding).max(0.0) }
    }

    /// The power of two.
    pub(super) const fn step(&self) -> f64 {
        self.step
    }

    /// The clipping norm, in steps.
    pub(super) const fn clip_norm(&self) -> f64 {
        self.clip_norm
    }

    /// What the gradient of an example is multiplied by, into steps, if its norm is a number.
    pub(super) fn factor(&self, norm: f64) -> Option<f64> {
        norm.is_finite().then(|| (self.limit / norm).min(1.0 / self.step))
    }
}

/// The nearest whole number, of one of at most 2^51.
pub(super) fn nearest(number: f64) -> f64 {
    (number + ROUNDER) - ROUNDER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_a_power_of_two_far_below_the_norm() {
        for clip_norm in [1e-6, 0.3, 1.0, 1.5, 7.0, 1e6] {
            let grid = Grid::new(clip_norm, 1000);
            assert_eq!(grid.step(), libm::scalbn(1.0, libm::ilogb(grid.step())));
            let steps = clip_norm / grid.step();
            assert!((67_108_864.0..134_217_728.0).contains(&steps), "{clip_norm}: {steps}");
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_ties_to_even() {
        for (number, expected) in [
            (0.4, 0.0),
            (0.5, 0.0),
            (1.5, 2.0),
            (-0.6, -1.0),
            (-2.5, -2.0),
            (536_870_911.7, 536_870_912.0),
        ] {
            assert_eq!(nearest(number), expected, "{number}");
        }
    }

    #[test]
    fn a_gradient_below_the_norm_keeps_its_size_and_one_that_is_no_number_has_none() {
        let grid = Grid::new(1.0, 100);
        assert_eq!(grid.factor(0.5), Some(1.0 / grid.step()));
        assert_eq!(grid.factor(0.0), Some(1.0 / grid.step()));
        let clipped = grid.factor(4.0).map(|factor| 4.0 * factor * grid.step());
        assert!(clipped.is_some_and(|norm| norm < 1.0 && norm > 0.999_999), "{clipped:?}");
        assert_eq!((grid.factor(f64::NAN), grid.factor(f64::INFINITY)), (None, None));
    }
}
