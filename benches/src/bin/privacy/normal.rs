//! The normal distribution, and what a Gaussian mechanism allows.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Halvings of an interval until `f64` has no more.
const HALVINGS: u32 = 100;

/// Below the number that is wanted and above it, for any probability that is asked for.
const FARTHEST: f64 = 40.0;

/// The chance of a standard normal number to be below `x`.
pub(crate) fn below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The number that a standard normal one is below with this probability.
pub(crate) fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-FARTHEST, FARTHEST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if below(middle) < probability { low = middle } else { high = middle }
    }
    low
}

/// What the mean of normal values is beyond, in standard errors that are estimated from them, with
/// 2.5 %: Student's distribution of so many degrees of freedom, 1 or more.
pub(crate) fn student(freedom: u64) -> f64 {
    // From 10 on the series (Abramowitz and Stegun 26.7.5) is good to three digits.
    const FEW: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    let few = usize::try_from(freedom.max(1) - 1).ok().and_then(|place| FEW.get(place));
    let (z, v) = (1.959_964f64, freedom as f64);
    few.copied().unwrap_or_else(|| {
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + first / v + second / v.powi(2) + third / v.powi(3)
    })
}

/// The largest AUC that any attack on a Gaussian mechanism has: its two distributions are normal
/// and `mu` standard deviations apart.
pub(crate) fn auc_max(mu: f64) -> f64 {
    below(mu * FRAC_1_SQRT_2)
}

/// Epsilon of that mechanism at `delta` (Balle and Wang 2018, theorem 8; Dong, Roth, Su 2022,
/// corollary 2.13). 0 where nothing is told apart.
pub(crate) fn epsilon(mu: f64, delta: f64) -> f64 {
    if mu <= 0.0 {
        return 0.0;
    }
    let spent = |epsilon: f64| {
        below(mu / 2.0 - epsilon / mu) - epsilon.exp() * below(-mu / 2.0 - epsilon / mu)
    };
    // At epsilon = mu^2 / 2 + 40 mu the first term is 0.
    let (mut low, mut high) = (0.0, mu * mu / 2.0 + FARTHEST * mu);
    if spent(low) <= delta {
        return 0.0;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if spent(middle) > delta { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_turn_probabilities_around() {
        for (probability, x) in [(0.5, 0.0), (0.975, 1.959_964), (0.001, -3.090_232)] {
            assert!((quantile(probability) - x).abs() < 1e-6, "{probability}");
        }
    }

    #[test]
    fn students_quantiles_are_published_ones() {
        for (freedom, t) in [(1, 12.706), (9, 2.262), (10, 2.228), (19, 2.093), (999, 1.962)] {
            assert!((student(freedom) - t).abs() < 1e-3, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn epsilons_are_published_ones_and_grow_with_mu() {
        // sigma = 1, delta = 1e-5: 4.3772 (by the analytic calibration of Balle and Wang).
        assert!((epsilon(1.0, 1e-5) - 4.377).abs() < 2e-3, "{}", epsilon(1.0, 1e-5));
        assert!(epsilon(0.5, 1e-5) < epsilon(0.6, 1e-5));
        assert_eq!(epsilon(0.0, 1e-5), 0.0);
        assert_eq!(epsilon(1e-9, 1e-5), 0.0);
    }
}
