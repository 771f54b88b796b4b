//! What integers may come to, so that a sum of updates with noise cannot wrap.

use std::f64::consts::LN_2;

use crate::variance::Variance;

/// Bits of the probability that one contribution has a coordinate beyond [`coordinate_max`]. Noise
/// beyond it is drawn anew, so what is sent is that close to what is accounted for: 10^4
/// contributions in each of 10^4 rounds are off by less than 10^-19 in total variation.
const COORDINATE_BITS: f64 = 90.0;

/// Bits of the probability that one contribution's noise is longer than [`norm_squared_max`]: as
/// rare as an honest contribution that fails the audit by itself.
const NORM_BITS: f64 = 40.0;

/// ln(1 / beta) of Kairouz, Liu, Steinke 2021, proposition 22: rounding at random is longer than
/// [`rounded_norm_squared_max`] with a probability of at most e^-8, and is done again then.
const ROUNDING_NATS: f64 = 8.0;

/// Covers the rounding of a handful of floating-point operations.
const UP: f64 = 1.0 + 1e-12;

/// The largest noise of any of `dimension` coordinates, in units: by a union bound over both tails
/// of all of them, which are no heavier than a Gaussian's (Canonne, Kamath, Steinke 2020, corollary
/// 17).
#[must_use]
pub fn coordinate_max(share: Variance, dimension: u64) -> u64 {
    let nats = libm::log(2.0 * dimension as f64) + COORDINATE_BITS * LN_2;
    // A float too large for the integer becomes its largest value.
    (UP * (2.0 * nats * share.to_f64()).sqrt()).ceil() as u64
}

/// The largest squared length of the noise of `dimension` coordinates, in squared units: that of a
/// sub-Gaussian vector (Hsu, Kakade, Zhang 2012, theorem 1), sigma^2 (d + 2 sqrt(d t) + 2 t).
#[must_use]
pub fn norm_squared_max(share: Variance, dimension: u64) -> u64 {
    let (d, nats) = (dimension as f64, NORM_BITS * LN_2);
    (UP * share.to_f64() * (d + 2.0 * (d * nats).sqrt() + 2.0 * nats)).ceil() as u64
}

/// The largest squared length, in squared units, of a vector of length `norm` whose `dimension`
/// coordinates are rounded up or down at random so that their expectation is kept: Kairouz, Liu,
/// Steinke 2021, proposition 22. It holds for what is kept, not only with high probability.
#[must_use]
pub fn rounded_norm_squared_max(norm: f64, dimension: u64) -> u64 {
    let root = (dimension as f64).sqrt();
    let always = (norm + root) * (norm + root);
    let spread = (2.0 * ROUNDING_NATS).sqrt() * (norm + root / 2.0);
    let likely = norm * norm + dimension as f64 / 4.0 + spread;
    (UP * always.min(likely)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::gaussian::Gaussian;

    #[test]
    fn bounds_are_those_of_the_formulas() {
        let share = Variance::new(10_000, 1).expect("a variance");
        // sqrt(2 (ln 2,000,000 + 62.38)) = 12.4 standard deviations.
        assert_eq!(coordinate_max(share, 1_000_000), 1241);
        let squared = norm_squared_max(share, 1_000_000) as f64 / 1e10;
        assert!((1.0105..1.0107).contains(&squared), "{squared}");
        // What is whole is rounded up as well.
        assert_eq!(rounded_norm_squared_max(100.0, 1), 10_202);
        assert_eq!(rounded_norm_squared_max(100.0, 1_000_000), 262_401);
    }

    #[test]
    fn noise_and_rounding_keep_within_their_bounds() {
        let share = Variance::new(12_345, 7).expect("a variance");
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let gaussian = Gaussian::new(share);
        let mut noise = vec![0; 20_000];
        gaussian.fill(&mut rng, &mut noise);
        let most = noise.iter().map(|value| value.unsigned_abs()).max().expect("some");
        let bound = coordinate_max(share, 20_000);
        // Four standard deviations are common among so many, twelve are not.
        assert!(most <= bound && 4 * most > bound, "{most} of {bound}");
        let squared: u64 = noise.iter().map(|value| value.unsigned_abs().pow(2)).sum();
        let bound = norm_squared_max(share, 20_000);
        assert!(squared <= bound && squared as f64 > 0.85 * bound as f64, "{squared} of {bound}");
    }

    #[test]
    fn bounds_grow_with_all_that_they_bound() {
        let share = |variance| Variance::new(variance, 3).expect("a variance");
        for (d, e) in [(1, 2), (1_000, 1_001), (1 << 32, (1 << 32) + 1)] {
            for (v, w) in [(1, 2), (1_000_000, 1_000_003)] {
                assert!(coordinate_max(share(v), d) <= coordinate_max(share(w), e));
                assert!(norm_squared_max(share(v), d) < norm_squared_max(share(w), e));
            }
            assert!(rounded_norm_squared_max(5.0, d) <= rounded_norm_squared_max(5.1, e));
        }
        assert!(coordinate_max(share(3 << 46), 1 << 32) > 1 << 26);
    }
}
