//! The distributed discrete Gaussian: what a sum of many owners' noise shares costs.
//!
//! Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning
//! with Secure Aggregation" (arXiv 2102.06387), section 4.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::exact;
use crate::variance::{BadVariance, Variance};

/// Terms of tau added one by one; the rest is bounded by its largest.
const TERMS: u32 = 1_000;

/// More than the rounding of a thousand additions and exponentials.
const UP: f64 = 1.0 + 1e-12;

/// A sum of integer vectors, of which each contributor adds a discrete Gaussian share to every
/// coordinate before sealing.
///
/// The sum of the shares is not a discrete Gaussian, but each coordinate's probabilities are within
/// a factor of exp(tau) of one. This is accounted for in Renyi-DP only: the paper bounds
/// divergences, from which no privacy-loss distribution follows. Poisson sampling on top of it is
/// not offered, for want of a theorem about the sampled sum.
///
/// A contributor's own share protects it from nobody who sees it. Those in league with whoever
/// looks are among the missing of [`Variance::share`], and so not among `contributors_min`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Distributed {
    /// Of one contributor, in squared units.
    share: Variance,
    /// Whose shares are in the sum for sure.
    contributors_min: u32,
    /// Whose shares may be.
    contributors_max: u32,
    /// Coordinates of the vector.
    dimension: u64,
    /// In units, after all rounding: see [`Distributed::new`].
    l1_sensitivity: f64,
    /// The same, Euclidean.
    l2_sensitivity: f64,
}

/// A sum of noise shares that the theorem does not cover.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadDistributed {
    /// The share's variance is none.
    #[error(transparent)]
    Variance(#[from] BadVariance),
    /// The theorem needs shares of sigma 1/2 or more.
    #[error("a share's variance must be at least 1/4, this is {0}/{1}")]
    Narrow(u64, u64),
    /// Nobody, or fewer at most than at least.
    #[error("between {0} and {1} contributors is no range from 1 up")]
    Contributors(u32, u32),
    /// A vector of no coordinates.
    #[error("a sum needs at least one coordinate")]
    Dimension,
    /// A sensitivity that is 0, infinite or no number.
    #[error("a sensitivity is a number above 0, these are {0} (L1) and {1} (L2)")]
    Sensitivity(f64, f64),
}

impl Distributed {
    /// The sensitivities say how far one person, there or not, moves the *integer* sum at most, in
    /// units: after clipping and scaling, and with what rounding at random may add (the paper's
    /// proposition 22). An L1 sensitivity of `f64::MAX` stands for "unknown": the root of the
    /// dimension times the L2 sensitivity is used where it is less.
    ///
    /// # Errors
    /// [`BadDistributed`], all but `Variance`.
    pub fn new(
        share: Variance,
        contributors: std::ops::RangeInclusive<u32>,
        dimension: u64,
        l1_sensitivity: f64,
        l2_sensitivity: f64,
    ) -> Result<Self, BadDistributed> {
        let (least, most) = (*contributors.start(), *contributors.end());
        if 4 * share.numerator() < share.denominator() {
            return Err(BadDistributed::Narrow(share.numerator(), share.denominator()));
        }
        if least == 0 || least > most {
            return Err(BadDistributed::Contributors(least, most));
        }
        if dimension == 0 {
            return Err(BadDistributed::Dimension);
        }
        let is_length = |length: f64| length.is_finite() && length > 0.0;
        if !is_length(l1_sensitivity) || !is_length(l2_sensitivity) {
            return Err(BadDistributed::Sensitivity(l1_sensitivity, l2_sensitivity));
        }
        Ok(Self {
            share,
            contributors_min: least,
            contributors_max: most,
            dimension,
            l1_sensitivity,
            l2_sensitivity,
        })
    }

    /// The paper's tau (theorem 1, proposition 12), of as many contributors as may be, rounded up:
    /// 10 times the sum over k = 1 .. n - 1 of exp(-2 pi^2 sigma^2 k / (k + 1)), which bounds how
    /// far the logarithm of the ratio of both probabilities varies from one integer to another.
    /// With one contributor 0: then the noise is a discrete Gaussian.
    #[must_use]
    pub fn tau(&self) -> f64 {
        let exponent = -2.0 * PI * PI * self.share.to_f64();
        let term = |k: u32| libm::exp(exponent * f64::from(k) / (f64::from(k) + 1.0));
        let last = self.contributors_max - 1;
        let first: f64 = (1..=last.min(TERMS)).map(term).sum();
        // Terms fall with k.
        let rest = f64::from(last.saturating_sub(TERMS)) * term(TERMS.saturating_add(1));
        10.0 * UP * (first + rest)
    }

    /// The Renyi divergence of any order above 1 between neighbours: the paper's proposition 14, the
    /// least of its three bounds.
    ///
    /// Rounded up: the variance is that of as few contributors as may be, tau of as many. So it
    /// never falls when the range widens.
    #[must_use]
    pub fn rdp(&self, order: f64) -> f64 {
        let (tau, dimension) = (self.tau(), self.dimension as f64);
        let sigma = (f64::from(self.contributors_min) * self.share.to_f64()).sqrt();
        let l2 = self.l2_sensitivity / sigma;
        let l1 = (self.l1_sensitivity / sigma).min(dimension.sqrt() * l2);
        // Any order: the Gaussian's divergence, and a factor of exp(tau) in every coordinate.
        let shifted = 0.5 * order * l2 * l2 + tau * dimension;
        // The same coordinate by coordinate, as concentrated divergences.
        let by_coordinate = 0.5 * order * (l2 * l2 + 2.0 * tau * l1 + tau * tau * dimension);
        let by_length = 0.5 * order * (l2 + tau * dimension.sqrt()).powi(2);
        UP * shifted.min(by_coordinate).min(by_length)
    }

    /// Tells sums apart, bit by bit.
    pub(crate) fn order(&self) -> [u64; 8] {
        let people = u64::from(self.contributors_min) << 32 | u64::from(self.contributors_max);
        let (l1, l2) = (self.l1_sensitivity.to_bits(), self.l2_sensitivity.to_bits());
        [1, self.share.numerator(), self.share.denominator(), people, self.dimension, l1, l2, 0]
    }
}

/// As stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    share_numerator: u64,
    share_denominator: u64,
    contributors_min: u32,
    contributors_max: u32,
    dimension: u64,
    #[serde(with = "exact")]
    l1_sensitivity: f64,
    #[serde(with = "exact")]
    l2_sensitivity: f64,
}

impl TryFrom<Written> for Distributed {
    type Error = BadDistributed;

    fn try_from(written: Written) -> Result<Self, BadDistributed> {
        Self::new(
            Variance::new(written.share_numerator, written.share_denominator)?,
            written.contributors_min..=written.contributors_max,
            written.dimension,
            written.l1_sensitivity,
            written.l2_sensitivity,
        )
    }
}

impl From<Distributed> for Written {
    fn from(sum: Distributed) -> Self {
        Self {
            share_numerator: sum.share.numerator(),
            share_denominator: sum.share.denominator(),
            contributors_min: sum.contributors_min,
            contributors_max: sum.contributors_max,
            dimension: sum.dimension,
            l1_sensitivity: sum.l1_sensitivity,
            l2_sensitivity: sum.l2_sensitivity,
        }
    }
}

#[cfg(test)]
mod tests;
