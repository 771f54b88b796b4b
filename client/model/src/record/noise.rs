//! Gaussian noise, in steps of a grid.
//!
//! A standard normal is drawn by the polar method (Marsaglia & Bray, 1964) in 64-bit floats,
//! multiplied by the standard deviation and rounded to a whole number of steps, at least 2^21 of
//! which are one standard deviation wherever the accountant takes the noise multiplier. The sum
//! that it is added to is whole as well. A continuous Gaussian added to the same sum and then
//! rounded gives the same result as one that is rounded before it is added, and rounding what is
//! private keeps it private: so the guarantee is the continuous Gaussian's, and no low bits of a
//! floating-point sum tell the number below it (Mironov, CCS 2012).
//!
//! What remains is that the normal is computed: from two uniform numbers in steps of 2^-53, with
//! errors of a few times 2^-53 of its size, and never beyond 12.1 standard deviations (a true one is
//! with a probability of 2e-33). Rounding hides the steps, of which each multiple of the grid
//! has many. The accountant counts none of this; the noise of the federation's sum, which is drawn
//! exactly (covey-privacy's `gaussian`), has no such remainder.
//!
//! Time: a draw takes another try with probability 0.21, whatever its value in the end.

use rand::Rng as _;
use rand_chacha::ChaCha20Rng;

use super::grid::{Grid, nearest};

/// 2^-53
const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// Draws noise.
pub(super) struct Noise {
    /// Standard deviation in steps.
    deviation: f64,
    rng: ChaCha20Rng,
    /// The second of a pair.
    spare: Option<f64>,
}

impl Noise {
    /// With a standard deviation of so many clipping norms.
    pub(super) fn new(multiplier: f64, grid: Grid, rng: ChaCha20Rng) -> Self {
        Self { deviation: multiplier * grid.clip_norm(), rng, spare: None }
    }

    /// Adds noise to every number, in steps.
    pub(super) fn add_to(&mut self, numbers: &mut [i64]) {
        for number in numbers {
            // Below 12.1 times 1e6 times 2^27, which is below 2^51.
            *number += nearest(self.deviation * self.normal()) as i64;
        }
    }

    /// A standard normal.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (self.signed(), self.signed());
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * libm::log(square) / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Uniform between -1 and 1: the odd multiples of 2^-53, so that none is zero and both signs
    /// are alike.
    fn signed(&mut self) -> f64 {
        let odd = (self.rng.next_u64() as i64 >> 10) | 1;
        odd as f64 * UNIT
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const DRAWS: usize = 1_000_000;

    fn draws(multiplier: f64, seed: u8) -> Vec<i64> {
        let grid = Grid::new(1.0, 10);
        let mut noise = Noise::new(multiplier, grid, ChaCha20Rng::from_seed([seed; 32]));
        let mut numbers = vec![0; DRAWS];
        noise.add_to(&mut numbers);
        numbers
    }

    #[test]
    fn noise_has_the_moments_of_a_gaussian() {
        for (multiplier, seed) in [(0.05, 1), (1.0, 2), (7.5, 3), (1e6, 4)] {
            let deviation = multiplier * Grid::new(1.0, 10).clip_norm();
            let numbers: Vec<f64> =
                draws(multiplier, seed).iter().map(|x| *x as f64 / deviation).collect();
            let moment = |power| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / DRAWS as f64;
            // Standard errors of the moments: 1, sqrt 2, sqrt 15, sqrt 96 thousandths.
            let expected =
                [(1, 0.0, 0.001), (2, 1.0, 0.001_42), (3, 0.0, 0.003_88), (4, 3.0, 0.0098)];
            for (power, mean, error) in expected {
                let found = moment(power);
                assert!((found - mean).abs() < 4.5 * error, "{multiplier}, {power}: {found}");
            }
            let lag = numbers.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / DRAWS as f64;
            assert!(lag.abs() < 0.0045, "{lag}");
        }
    }

    /// 200 bins of the same probability.
    #[test]
    fn noise_has_the_shape_of_a_gaussian() {
        let deviation = 1.1 * Grid::new(1.0, 10).clip_norm();
        let mut bins = [0_u32; 200];
        for number in draws(1.1, 5) {
            let below = 0.5 * libm::erfc(-(number as f64) / deviation / std::f64::consts::SQRT_2);
            bins[((below * 200.0) as usize).min(199)] += 1;
        }
        let each = DRAWS as f64 / 200.0;
        let square: f64 = bins.iter().map(|count| (f64::from(*count) - each).powi(2) / each).sum();
        // 199 degrees of freedom: mean 199, standard deviation 20.
        assert!((120.0..300.0).contains(&square), "{square}");
    }

    #[test]
    fn noise_adds_to_what_is_there_and_hangs_on_the_seed_alone() {
        assert_eq!(draws(1.0, 1), draws(1.0, 1));
        assert_ne!(draws(1.0, 1), draws(1.0, 2));
        let noise = || Noise::new(2.0, Grid::new(1.0, 10), ChaCha20Rng::from_seed([6; 32]));
        let (mut zeros, mut sum) = ([0; 8], [1_i64 << 40; 8]);
        noise().add_to(&mut zeros);
        noise().add_to(&mut sum);
        assert_eq!(zeros.map(|x| x + (1 << 40)), sum);
    }
}
