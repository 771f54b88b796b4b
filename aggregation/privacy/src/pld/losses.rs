//! The losses of one event, on a grid.

use crate::event::Sampled;
use crate::normal::above;

/// From here on exp(loss) is so large that what is added to it is rounded away.
const LOSS_LARGE: f64 = 40.0;

/// Which neighbour the outcome comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the one with the person: p = (1 - q) N(0, sigma^2) + q N(1, sigma^2), against
    /// N(0, sigma^2).
    Remove,
    /// From the one without: N(0, sigma^2), against p.
    Add,
}

/// The two distributions of one event's outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    sigma: f64,
    rate: f64,
    direction: Direction,
}

impl Pair {
    pub(crate) fn new(event: &Sampled, direction: Direction) -> Self {
        Self { sigma: event.noise_multiplier(), rate: event.sampling_rate(), direction }
    }

    /// The loss of outcome x: plus or minus ln(1 - q + q exp((2 x - 1) / 2 sigma^2)).
    fn loss(&self, outcome: f64) -> f64 {
        let exponent = (2.0 * outcome - 1.0) / (2.0 * self.sigma * self.sigma);
        let loss = if exponent > LOSS_LARGE {
            let out = (1.0 - self.rate) / self.rate * libm::exp(-exponent);
            exponent + libm::log(self.rate) + libm::log1p(out)
        } else if self.rate == 1.0 {
            exponent
        } else {
            libm::log1p(self.rate * libm::expm1(exponent))
        };
        if self.direction == Direction::Remove { loss } else { -loss }
    }

    /// The outcome of a loss; below all losses that there are, minus infinity (removing) or plus
    /// (adding), where both distributions have nothing.
    fn outcome(&self, loss: f64) -> f64 {
        let signed = if self.direction == Direction::Remove { loss } else { -loss };
        let exponent = if self.rate == 1.0 {
            signed
        } else if signed > LOSS_LARGE {
            let out = (1.0 - self.rate) * libm::exp(-signed);
            signed - libm::log(self.rate) + libm::log1p(-out)
        } else {
            let ratio = libm::expm1(signed) / self.rate;
            if ratio <= -1.0 {
                return f64::NEG_INFINITY;
            }
            libm::log1p(ratio)
        };
        self.sigma * self.sigma * exponent + 0.5
    }

    /// Least and largest loss of outcomes within `reach` standard deviations of either mean.
    pub(crate) fn reach(&self, reach: f64) -> (f64, f64) {
        let low = self.loss(-reach * self.sigma);
        let high = self.loss(1.0 + reach * self.sigma);
        (low.min(high), low.max(high))
    }

    /// What is between two outcomes.
    fn between(&self, low: &Edge, high: &Edge) -> Between {
        Between { without: low.without.to(high.without), with: low.with.to(high.with) }
    }

    fn edge(&self, loss: f64) -> Edge {
        let outcome = self.outcome(loss);
        Edge {
            loss,
            without: Side::of(outcome / self.sigma),
            with: Side::of((outcome - 1.0) / self.sigma),
        }
    }

    /// The probability of the outcomes, by the distribution that they come from.
    fn mass(&self, outcomes: &Between) -> f64 {
        match self.direction {
            Direction::Remove => (1.0 - self.rate) * outcomes.without + self.rate * outcomes.with,
            Direction::Add => outcomes.without,
        }
    }

    /// The probability by the distribution that they come from, less exp(`loss`) times that by the
    /// other: above 0 where the outcomes' losses are above `loss`. At most their mass.
    fn excess(&self, outcomes: &Between, loss: f64) -> f64 {
        let Between { without, with } = *outcomes;
        let excess = match self.direction {
            Direction::Remove => self.rate * with - without * (libm::expm1(loss) + self.rate),
            Direction::Add => {
                libm::exp(loss) * (without * (libm::expm1(-loss) + self.rate) - self.rate * with)
            }
        };
        excess.clamp(0.0, self.mass(outcomes))
    }
}

/// The boundary of a cell.
struct Edge {
    loss: f64,
    /// In N(0, sigma^2) and N(1, sigma^2).
    without: Side,
    with: Side,
}

/// A place on the normal distribution: the tail on its own side, which keeps small differences
/// precise.
#[derive(Clone, Copy)]
struct Side {
    is_above: bool,
    tail: f64,
}

impl Side {
    fn of(x: f64) -> Self {
        Self { is_above: x > 0.0, tail: above(x.abs()) }
    }

    /// The probability from here up to `high`.
    fn to(self, high: Self) -> f64 {
        let mass = match (self.is_above, high.is_above) {
            (true, _) => self.tail - high.tail,
            (false, true) => 1.0 - self.tail - high.tail,
            (false, false) => high.tail - self.tail,
        };
        mass.max(0.0)
    }
}

/// Probabilities of some outcomes, without and with the person.
struct Between {
    without: f64,
    with: f64,
}

/// A distribution of losses that dominates an event's: probabilities of multiples of an interval,
/// and of infinity.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    pub(crate) interval: f64,
    /// Loss of the first mass, in intervals.
    pub(crate) first: i64,
    pub(crate) masses: Vec<f64>,
    pub(crate) infinite: f64,
}

impl Losses {
    /// By "Connect the dots" (Doroshenko and others 2022, algorithm 1), cell by cell: what has
    /// losses between two multiples goes to these two such that its probability stays as it is
    /// under both distributions. So delta is right at every multiple, and above the truth between.
    /// Losses of outcomes beyond `reach` standard deviations are rounded up to the least multiple,
    /// or split between the largest and infinity.
    pub(crate) fn new(pair: &Pair, interval: f64, reach: f64) -> Self {
        let (low, high) = pair.reach(reach);
        let first = (low / interval).floor();
        let last = (high / interval).ceil().max(first + 1.0);
        let count = (last - first) as usize + 1;
        let mut masses = vec![0.0; count];
        let least = Side { is_above: false, tail: 0.0 };
        let most = Side { is_above: true, tail: 0.0 };
        let (nothing, everything) = (
            Edge { loss: f64::NEG_INFINITY, without: least, with: least },
            Edge { loss: f64::INFINITY, without: most, with: most },
        );
        let ordered = |low: &Edge, high: &Edge| match pair.direction {
            Direction::Remove => pair.between(low, high),
            Direction::Add => pair.between(high, low),
        };
        // Adding turns outcomes round: the largest loss has the least outcome.
        let (bottom, top) = match pair.direction {
            Direction::Remove => (nothing, everything),
            Direction::Add => (everything, nothing),
        };
        let mut edge = pair.edge(first * interval);
        masses[0] = pair.mass(&ordered(&bottom, &edge));
        let share = -libm::expm1(-interval);
        for index in 1..count {
            let next = pair.edge((first + index as f64) * interval);
            let cell = ordered(&edge, &next);
            let mass = pair.mass(&cell);
            let up = (pair.excess(&cell, edge.loss) / share).min(mass);
            masses[index - 1] += mass - up;
            masses[index] += up;
            edge = next;
        }
        let cell = ordered(&edge, &top);
        let infinite = pair.excess(&cell, edge.loss);
        masses[count - 1] += pair.mass(&cell) - infinite;
        Self { interval, first: first as i64, masses, infinite }
    }

    /// The finite loss at an index.
    pub(crate) fn loss(&self, index: usize) -> f64 {
        (self.first + index as i64) as f64 * self.interval
    }

    /// ln E exp(theta loss), over finite losses.
    pub(crate) fn ln_moment(&self, theta: f64) -> f64 {
        let factor = libm::exp(-theta.abs() * self.interval);
        // Horner's scheme towards the loss that weighs most, so that nothing overflows.
        let (sum, heaviest) = if theta >= 0.0 {
            let sum = self.masses.iter().fold(0.0, |sum, mass| sum * factor + mass);
            (sum, self.masses.len() - 1)
        } else {
            (self.masses.iter().rev().fold(0.0, |sum, mass| sum * factor + mass), 0)
        };
        // All mass may be so far away that it underflows.
        libm::log(sum.max(f64::MIN_POSITIVE)) + theta * self.loss(heaviest)
    }
}
