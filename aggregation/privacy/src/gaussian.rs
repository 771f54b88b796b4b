//! The discrete Gaussian, drawn exactly.
//!
//! Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for Differential Privacy" (arXiv
//! 2004.00010), algorithm 3: a discrete Laplace draw, kept with a probability that turns its
//! distribution into the Gaussian's. Everything is an integer of at most 128 bits: no
//! floating-point noise, whose low bits would tell the number below it (Mironov, CCS 2012).
//!
//! # What is exact
//! The distribution is the discrete Gaussian's, given a uniform source of bits, but for one cut:
//! |y| < 1024 t with t = floor(sigma) + 1. The Laplace draws beyond, which never reach the
//! acceptance step, have probability e^-1024. With numerator and denominator of sigma^2 up to 2^48,
//! t <= 2^24 + 1; |y| * denominator * t is below 2^10 * 4 max(numerator, denominator) <= 2^60, its
//! square below 2^120, and 2 * numerator * denominator * t^2 below 2^100.
//!
//! # What time tells
//! This is not a constant-time sampler. Rejected tries take time that is independent of the value
//! accepted in the end. The accepted try itself does not: the Laplace draw takes one more coin for
//! each whole t of |y|, and the acceptance one for each whole of (|y| - sigma^2 / t)^2 / 2 sigma^2.
//! Whoever times a single draw to a few nanoseconds learns about how large |y| is in units of
//! sigma, not its sign, and within a step of t not its value: comparisons with secret numbers decide
//! only whether the next coin is tossed, and no memory is looked up by a secret. Whoever times a
//! whole vector learns a sum over all coordinates, among the random times of the rejections. The
//! client draws its noise at home and sends when a round's deadline says, so the protocol shows no
//! draw's time to others; processes on the same machine may see more.

use rand_core::CryptoRng;

use crate::bernoulli::exp_minus;
use crate::laplace;
use crate::variance::Variance;

/// A sampler of N_Z(0, sigma^2): an integer y with probability proportional to
/// exp(-y^2 / 2 sigma^2).
#[derive(Clone, Copy, Debug)]
pub struct Gaussian {
    numerator: i128,
    /// Of the Laplace draws: t = floor(sigma) + 1.
    scale: u64,
    /// denominator * t
    step: i128,
    /// 2 * numerator * denominator * t^2
    divisor: u128,
}

impl Gaussian {
    /// With parameter sigma^2, in squared units.
    #[must_use]
    pub fn new(variance: Variance) -> Self {
        let (numerator, denominator) = (variance.numerator(), variance.denominator());
        // The root's whole part depends on the whole part only.
        let scale = (numerator / denominator).isqrt() + 1;
        let wide = u128::from(scale);
        Self {
            numerator: i128::from(numerator),
            scale,
            step: i128::from(denominator) * i128::from(scale),
            divisor: 2 * u128::from(numerator) * u128::from(denominator) * wide * wide,
        }
    }

    /// One draw, in units.
    pub fn draw(&self, rng: &mut impl CryptoRng) -> i64 {
        loop {
            let value = laplace::draw(rng, self.scale);
            // (|y| - sigma^2 / t)^2 / (2 sigma^2), over one denominator.
            let off = i128::from(value.unsigned_abs()) * self.step - self.numerator;
            if exp_minus(rng, off.unsigned_abs() * off.unsigned_abs(), self.divisor) {
                return value;
            }
        }
    }

    /// As many independent draws as `out` is long, in units.
    pub fn fill(&self, rng: &mut impl CryptoRng, out: &mut [i64]) {
        for value in out {
            *value = self.draw(rng);
        }
    }
}

#[cfg(test)]
mod tests;
