//! The privacy-loss distribution: tighter than Renyi-DP, for Gaussians on Poisson samples.
//!
//! # Method
//! The loss of an outcome is the logarithm of the ratio of its probabilities with and without one
//! person. Losses of independent events add up, so their distributions convolve; the delta of any
//! epsilon is the expectation of max(0, 1 - exp(epsilon - loss)) (Sommer, Meiser, Mohammadi 2019;
//! Koskela, Jalko, Honkela 2020, arXiv 1906.03049). Both neighbours (one more, one less) are
//! computed, and the larger number is given.
//!
//! 1. `losses`: one event's distribution on a grid, by "Connect the dots" (Doroshenko and others
//!    2022, arXiv 2207.04380): the grid's distribution dominates the true one.
//! 2. `tilt`: all of it multiplied by exp(theta loss), theta near the order that Renyi-DP would
//!    pick, so that the losses that decide are the bulk and not a tail below rounding; and the
//!    window of losses that is kept.
//! 3. `convolution`: powers and products of transforms, with a bound on rounding for each cell.
//! 4. `tail`: back to epsilon and delta.
//!
//! # Which way it is rounded
//! Epsilon and delta are upper bounds. Splitting losses moves them up; losses above the grid count
//! as infinite; what is above the window is added to delta by Chernoff's bound; what wraps around
//! from below can only add; the bound on rounding in the transforms is added to every cell; and
//! delta is raised by 10^-9 of itself, and 10^-14 for each step, for the rounding of the rest (logarithms, exponentials and
//! `erfc` are right to a few units of 2^-53). The last is a margin and not a proof in interval
//! arithmetic.
//!
//! # How monotone it is
//! The distribution computed depends on the grid, and a grid that is fitted ([`Grid::cells`]) on all
//! events. More steps, larger rates, less noise and smaller deltas give no smaller epsilon but for
//! what the grid adds, below 10^-3 of it at the default and deltas from 10^-9 (property tests). At
//! deltas of 10^-12 and few steps of rates of 10^-4, the bound on the transforms' rounding adds up to
//! a hundredth.

pub(crate) mod convolution;
pub(crate) mod losses;
pub(crate) mod tail;
pub(crate) mod tilt;

use convolution::Convolution;
use losses::{Direction, Losses, Pair};
use tail::Tail;
use tilt::{Part, Tilt};

use crate::delta::{DELTA_MIN, Delta};
use crate::event::{NOISE_MULTIPLIER_BOUNDS, Sampled};

/// Bounds of the number of cells, both powers of two.
const CELLS_BOUNDS: (u32, u32) = (1 << 10, 1 << 22);

/// Cells of one event's distribution in the first, coarse pass, which finds tilt and window.
const CELLS_COARSE: f64 = 2048.0;

/// How fine losses are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid(Spacing);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    Cells(u32),
    Interval(f64),
}

/// Not a grid.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadGrid {
    /// Not a power of two from 2^10 to 2^22.
    #[error("a grid has 2^10 to 2^22 cells, a power of two, not {0}")]
    Cells(u32),
    /// Not a length.
    #[error("a grid's interval is a number from 1e-12 to 1, this is {0}")]
    Interval(f64),
}

impl Default for Grid {
    /// 65,536 cells: within 1 % of the limit for up to a million steps (tests `golden`, `properties`).
    fn default() -> Self {
        Self(Spacing::Cells(1 << 16))
    }
}

impl Grid {
    /// As many cells over the losses that matter, however far they reach. Time grows with it.
    ///
    /// # Errors
    /// [`BadGrid::Cells`].
    pub fn cells(cells: u32) -> Result<Self, BadGrid> {
        let (least, most) = CELLS_BOUNDS;
        if cells.is_power_of_two() && (least..=most).contains(&cells) {
            Ok(Self(Spacing::Cells(cells)))
        } else {
            Err(BadGrid::Cells(cells))
        }
    }

    /// Cells of a fixed width in losses (nats), as in `dp-accounting`, where it is 10^-4 unless told
    /// otherwise. Doubled until 2^22 cells are enough: the result is then larger, not smaller.
    ///
    /// # Errors
    /// [`BadGrid::Interval`].
    pub fn interval(interval: f64) -> Result<Self, BadGrid> {
        if (1e-12..=1.0).contains(&interval) {
            Ok(Self(Spacing::Interval(interval)))
        } else {
            Err(BadGrid::Interval(interval))
        }
    }

    /// Interval and number of cells for a window of losses, and for the losses of one event.
    fn fit(self, window: f64, reach: f64) -> (f64, usize) {
        // Two cells are lost to alignment.
        let needed = |interval: f64| window / interval + 2.0;
        match self.0 {
            Spacing::Cells(cells) => {
                let count = f64::from(cells);
                ((window / (count - 2.0)).max(reach / (2.0 * count)), cells as usize)
            }
            Spacing::Interval(mut interval) => {
                let (least, most) = CELLS_BOUNDS;
                while needed(interval) > f64::from(most) || reach / interval > 2.0 * f64::from(most)
                {
                    interval *= 2.0;
                }
                let cells = (needed(interval).ceil() as usize).next_power_of_two();
                (interval, cells.max(least as usize))
            }
        }
    }
}

/// All that happened, as Gaussians on Poisson samples.
#[derive(Clone, Debug)]
pub struct Pld {
    pairs: Vec<(Sampled, u64)>,
    grid: Grid,
}

/// What is asked.
#[derive(Clone, Copy)]
enum Question {
    EpsilonAt(f64),
    DeltaAt(f64),
}

impl Pld {
    /// Of each event and how often it happened. Gaussians without sampling become one, as they
    /// compose exactly (Dong, Roth, Su 2022, corollary 2).
    #[must_use]
    pub fn new(events: &[(Sampled, u64)], grid: Grid) -> Self {
        let happened = events.iter().filter(|(_, count)| *count > 0);
        let (full, mut pairs): (Vec<_>, Vec<_>) =
            happened.partition(|(event, _)| event.sampling_rate() == 1.0);
        let precision: f64 = full
            .iter()
            .map(|(event, count)| *count as f64 / event.noise_multiplier().powi(2))
            .sum();
        let noise = precision.powf(-0.5);
        match Sampled::new(noise.min(NOISE_MULTIPLIER_BOUNDS.1), 1.0) {
            Ok(one) if !full.is_empty() => pairs.push((one, 1)),
            // So little noise in all that losses would leave f64: event by event, then.
            _ => pairs.extend(full),
        }
        Self { pairs, grid }
    }

    /// An epsilon of at least 0 such that what happened is (epsilon, `delta`)-private: rounded up,
    /// see the module. Infinite only where every finite number would be a guess.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> f64 {
        self.answer(Question::EpsilonAt(delta.get()))
    }

    /// A delta of at most 1 such that what happened is (`epsilon`, delta)-private: rounded up, see
    /// the module. The epsilon is at least 0; below, 0 is taken.
    #[must_use]
    pub fn delta(&self, epsilon: f64) -> f64 {
        self.answer(Question::DeltaAt(epsilon.max(0.0)))
    }

    fn answer(&self, question: Question) -> f64 {
        if self.pairs.is_empty() {
            return 0.0;
        }
        let less = self.answer_one_way(question, Direction::Remove);
        // Without sampling one way mirrors the other.
        if self.pairs.iter().all(|(event, _)| event.sampling_rate() == 1.0) {
            return less;
        }
        less.max(self.answer_one_way(question, Direction::Add))
    }

    fn answer_one_way(&self, question: Question, direction: Direction) -> f64 {
        let coarse = |delta: f64| {
            self.parts(direction, delta, |pair, reach| {
                let (low, high) = pair.reach(reach);
                (high - low) / CELLS_COARSE
            })
        };
        let (delta, tilt) = match question {
            Question::EpsilonAt(delta) => (delta, Tilt::for_delta(&coarse(delta), delta)),
            Question::DeltaAt(epsilon) => {
                // What delta may be is known only from a tilt.
                let rough = coarse(1e-12);
                let delta = Tilt::delta_bound(&rough, epsilon).clamp(DELTA_MIN, 0.5);
                (delta, Tilt::for_epsilon(&coarse(delta), epsilon))
            }
        };
        let reach = self.reach(delta);
        let widest = self.pairs.iter().map(|(event, _)| {
            let (low, high) = Pair::new(event, direction).reach(reach);
            high - low
        });
        let (interval, cells) = self.grid.fit(tilt.width(), widest.fold(0.0, f64::max));
        let parts = self.parts(direction, delta, |_, _| interval);
        let sum = Convolution::new(&parts, &tilt, cells);
        let tail = Tail::new(&parts, &tilt, sum);
        match question {
            Question::EpsilonAt(delta) => tail.epsilon(delta),
            Question::DeltaAt(epsilon) => tail.delta(epsilon),
        }
    }

    fn parts(
        &self,
        direction: Direction,
        delta: f64,
        interval: impl Fn(&Pair, f64) -> f64,
    ) -> Vec<Part> {
        let reach = self.reach(delta);
        let part = |(event, count): &(Sampled, u64)| {
            let pair = Pair::new(event, direction);
            Part { losses: Losses::new(&pair, interval(&pair, reach), reach), count: *count }
        };
        self.pairs.iter().map(part).collect()
    }

    /// Standard deviations of the noise beyond which all events together happen with less than a
    /// millionth of delta: exp(-z^2 / 2) bounds the tail.
    fn reach(&self, delta: f64) -> f64 {
        let steps: f64 = self.pairs.iter().map(|(_, count)| *count as f64).sum();
        (2.0 * libm::log(1e6 * steps / delta)).sqrt()
    }
}

#[cfg(test)]
mod tests;
