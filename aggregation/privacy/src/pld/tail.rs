//! From tilted probabilities of losses back to epsilon and delta.

use super::convolution::Convolution;
use super::tilt::{Part, Tilt, ln_moment};

/// Raises delta by more than the rounding of exponentials and sums, relatively.
const RAISE: f64 = 1e-9;

/// The same for every step, whose masses are right to some 10^-15 of the tilted whole.
const RAISE_STEP: f64 = 1e-14;

/// The distribution of the sum of all losses, over a window.
pub(crate) struct Tail {
    sum: Convolution,
    theta: f64,
    /// ln E exp(theta loss)
    ln_moment: f64,
    /// Bounds the probability of losses that are infinite, or above the window.
    beyond: f64,
    /// Factor of delta.
    up: f64,
}

impl Tail {
    pub(crate) fn new(parts: &[Part], tilt: &Tilt, sum: Convolution) -> Self {
        let infinite: f64 = parts.iter().map(|part| part.count as f64 * part.losses.infinite).sum();
        let top = (sum.first + sum.masses.len() as i64) as f64 * sum.interval;
        // Chernoff's bound for the grid that was used.
        let above = libm::exp(ln_moment(parts, tilt.steeper) - tilt.steeper * top);
        let ln_moment = ln_moment(parts, tilt.theta);
        let steps: f64 = parts.iter().map(|part| part.count as f64).sum();
        Self {
            sum,
            theta: tilt.theta,
            ln_moment,
            beyond: infinite + above.min(1.0),
            up: 1.0 + RAISE + RAISE_STEP * steps,
        }
    }

    /// The least epsilon of at least 0 whose delta is at most `delta`.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let delta = delta / self.up;
        if self.beyond >= delta {
            return f64::INFINITY;
        }
        let mut upper = Upper::new(self);
        while let Some(loss) = upper.loss() {
            if upper.excess > delta {
                let epsilon = loss + libm::log1p((upper.excess - delta) / upper.weighted);
                return (epsilon + 1e-12 * epsilon.abs()).max(0.0);
            }
            if loss < 0.0 {
                return 0.0;
            }
            upper.descend();
        }
        // The whole window is allowed; what is below it was not looked at.
        (self.sum.first as f64 * self.sum.interval).max(0.0)
    }

    /// The delta of an epsilon of at least 0.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let mut upper = Upper::new(self);
        while let Some(loss) = upper.loss() {
            if loss <= epsilon {
                let delta = upper.excess - libm::expm1(epsilon - loss) * upper.weighted;
                return (self.up * delta).clamp(self.beyond.min(1.0), 1.0);
            }
            upper.descend();
        }
        // Below the window nothing is known.
        1.0
    }
}

/// A walk from the largest loss down. From the present loss up to the next, the delta of an epsilon
/// is `excess - (exp(epsilon - loss) - 1) * weighted`. Sums of positive terms only.
struct Upper<'a> {
    tail: &'a Tail,
    /// Cells from here down are not in the sums yet.
    cells: usize,
    /// 1 - exp(-interval)
    fall: f64,
    /// Delta at the present loss: the sum over all above of probability * (1 - exp(present - loss)).
    excess: f64,
    /// The sum over all above of probability * exp(present - loss); infinite losses have none.
    weighted: f64,
}

impl<'a> Upper<'a> {
    fn new(tail: &'a Tail) -> Self {
        let fall = -libm::expm1(-tail.sum.interval);
        Self { tail, cells: tail.sum.masses.len(), fall, excess: tail.beyond, weighted: 0.0 }
    }

    /// The present loss.
    fn loss(&self) -> Option<f64> {
        let index = self.cells.checked_sub(1)?;
        Some((self.tail.sum.first + index as i64) as f64 * self.tail.sum.interval)
    }

    fn descend(&mut self) {
        let Some(loss) = self.loss() else { return };
        self.cells -= 1;
        let tilted = self.tail.sum.masses[self.cells];
        let mass = tilted * libm::exp(self.tail.ln_moment - self.tail.theta * loss);
        let fallen = (self.weighted + mass) * self.fall;
        self.excess += fallen;
        self.weighted += mass - fallen;
    }
}
