//! Which losses matter: an exponential tilt and a window around what it makes likely.
//!
//! Everything here only decides how tight the result is. Any tilt and any window give an upper
//! bound; the two Chernoff bounds that enter the result are recomputed for the fine grid
//! ([`super::tail`]).

use super::losses::Losses;

/// An event's losses and how often they are added.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) losses: Losses,
    pub(crate) count: u64,
}

/// ln E exp(theta (sum of all finite losses)).
pub(crate) fn ln_moment(parts: &[Part], theta: f64) -> f64 {
    parts.iter().map(|part| part.count as f64 * part.losses.ln_moment(theta)).sum()
}

/// The logarithm of a bound on delta for any tilt: of E max(0, 1 - exp(epsilon - loss)), as
/// max(0, 1 - exp(-x)) <= exp(theta x) theta^theta / (1 + theta)^(1 + theta) (Canonne, Kamath,
/// Steinke 2020, arXiv 2004.00010, lemma in the proof of proposition 12). Convex in the tilt.
fn ln_delta(parts: &[Part], theta: f64, epsilon: f64) -> f64 {
    let factor = -theta * libm::log1p(1.0 / theta) - libm::log1p(theta);
    ln_moment(parts, theta) - theta * epsilon + factor
}

/// Least tilt that is looked at, as a part of one over how far losses reach, and largest, in ones
/// over their standard deviation: far beyond what deltas down to 10^-30 ask for.
const THETA_BOUNDS: (f64, f64) = (1e-4, 1e5);

/// What losses above the window add to delta at most, as a part of it.
const ABOVE: f64 = 1e-5;

/// Of the tilted distribution, what is outside the window at each end, at most. It wraps around to
/// the other end; where it lands above epsilon, it adds at most some
/// [`PRECISION`] times this part of delta.
const OUTSIDE: f64 = 1e-9;

/// How much larger than the least bound on delta that of the tilt may be. More would
/// show the transforms' rounding, less the grid where few people are sampled (a hundred times as
/// much noise or a tenth of the cells, both measured at a rate of 10^-4).
const PRECISION: f64 = 100.0;

/// Steps of a golden-section search over the logarithms of tilts, 0.618^48 < 10^-9 of the whole.
const STEPS: u32 = 48;

/// A tilt, and the window that belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tilt {
    pub(crate) theta: f64,
    /// Least and largest sum of losses that is kept.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The exponent of Chernoff's bound on losses above the window.
    pub(crate) steeper: f64,
}

impl Tilt {
    /// Where epsilon at delta is to be found: the tilt of the least epsilon that [`ln_delta`] allows.
    pub(crate) fn for_delta(parts: &[Part], delta: f64) -> Self {
        let target = libm::log(delta);
        let least = |theta: f64| (ln_delta(parts, theta, 0.0) - target) / theta;
        let theta = Search::new(parts).minimise(least);
        // No epsilon is below 0.
        match least(theta) {
            ..0.0 => Self::for_epsilon(parts, 0.0),
            epsilon => Self::around(parts, theta, epsilon),
        }
    }

    /// Where delta at epsilon is to be found.
    pub(crate) fn for_epsilon(parts: &[Part], epsilon: f64) -> Self {
        let theta = Search::new(parts).minimise(|theta| ln_delta(parts, theta, epsilon));
        Self::around(parts, theta, epsilon)
    }

    /// A bound on delta at epsilon.
    pub(crate) fn delta_bound(parts: &[Part], epsilon: f64) -> f64 {
        let theta = Search::new(parts).minimise(|theta| ln_delta(parts, theta, epsilon));
        libm::exp(ln_delta(parts, theta, epsilon))
    }

    /// With the least tilt that keeps precision, as a steep one makes far losses likely, and the
    /// window wide.
    fn around(parts: &[Part], steepest: f64, epsilon: f64) -> Self {
        let search = Search::new(parts);
        let best = ln_delta(parts, steepest, epsilon);
        let theta = search.least(steepest, |theta| {
            ln_delta(parts, theta, epsilon) <= best + libm::log(PRECISION)
        });
        let base = ln_moment(parts, theta);
        let (above, outside) = (libm::log(ABOVE) + best, libm::log(OUTSIDE));
        let untilted = |steeper: f64| (ln_moment(parts, steeper) - above) / steeper;
        let up = |by: f64| (ln_moment(parts, theta + by) - base - outside) / by;
        let down = |by: f64| (ln_moment(parts, theta - by) - base - outside) / by;
        let steeper = search.minimise(untilted);
        let top = untilted(steeper).max(up(search.minimise(up)));
        let bottom = -down(search.minimise(down));
        let sum = |of: fn(&Losses) -> f64| -> f64 {
            parts.iter().map(|part| part.count as f64 * of(&part.losses)).sum()
        };
        let least = sum(|losses| losses.loss(0));
        let most = sum(|losses| losses.loss(losses.masses.len() - 1));
        let high = top.min(most);
        // Room for the grid's rounding where the window would be a point.
        let low = bottom.max(least).min(high - 1e-9 * (most - least));
        Self { theta, low, high, steeper }
    }

    pub(crate) fn width(&self) -> f64 {
        self.high - self.low
    }
}

/// The logarithms of tilts between which to look.
struct Search {
    low: f64,
    high: f64,
}

impl Search {
    fn new(parts: &[Part]) -> Self {
        let mut variance = 0.0;
        let mut farthest = 0.0f64;
        for Part { losses, count } in parts {
            let ends = [losses.loss(0), losses.loss(losses.masses.len() - 1)];
            farthest = ends.into_iter().fold(farthest, |farthest, loss| farthest.max(loss.abs()));
            let squares = losses.masses.iter().enumerate();
            // About 0 and not the mean, which is as good for a scale.
            let square: f64 = squares.map(|(index, mass)| mass * losses.loss(index).powi(2)).sum();
            variance += *count as f64 * square;
        }
        let deviation = variance.sqrt();
        let (least, most) = THETA_BOUNDS;
        Self { low: libm::log(least / deviation.max(farthest)), high: libm::log(most / deviation) }
    }

    /// Where a function with one valley is least, nearly.
    fn minimise(&self, function: impl Fn(f64) -> f64) -> f64 {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let Self { mut low, mut high } = *self;
        let at = |ln_theta: f64| function(libm::exp(ln_theta));
        let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        let (mut at_left, mut at_right) = (at(left), at(right));
        for _ in 0..STEPS {
            if at_left <= at_right {
                (high, right, at_right) = (right, left, at_left);
                left = high - GOLDEN * (high - low);
                at_left = at(left);
            } else {
                (low, left, at_left) = (left, right, at_right);
                right = low + GOLDEN * (high - low);
                at_right = at(right);
            }
        }
        libm::exp(0.5 * (low + high))
    }

    /// The least tilt up to one that meets a condition such that all between do, nearly.
    fn least(&self, met: f64, condition: impl Fn(f64) -> bool) -> f64 {
        let (mut low, mut high) = (self.low, libm::log(met));
        for _ in 0..STEPS / 2 {
            let middle = 0.5 * (low + high);
            if condition(libm::exp(middle)) { high = middle } else { low = middle }
        }
        libm::exp(high)
    }
}
