//! When a run ends: after its last round, or by the plan's rules, always with its reason.
//!
//! The rules look at federated metrics only ([`crate::evaluation`]): they are opened for all, so
//! anybody can see that a rule was kept. The metrics of a round are of the model that it began
//! with. Rounds in which nothing was opened, or nothing was measured, do not count.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evaluation::{Metric, Scores};
use crate::party::Name;

/// The `[stop]` section of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopRules {
    /// Good enough.
    pub target: Option<Target>,
    /// No longer getting better.
    pub plateau: Option<Plateau>,
    /// A step of the model longer than this (L2 norm) is divergence. A model that is no longer
    /// finite always is.
    pub step_norm_max: Option<f64>,
}

/// Ends a run when a metric is as good as this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Which.
    pub metric: Metric,
    /// At least this, or at most, where less is better.
    pub value: f64,
}

/// Ends a run when a metric has not become better for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// Which.
    pub metric: Metric,
    /// Rounds with a metric that may pass without a better one.
    pub patience: u32,
    /// By how much it must be better to count as better.
    pub min_delta: f64,
}

/// Why a run is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum Ending {
    /// All its rounds were tried.
    Done {
        /// So many.
        rounds: u32,
    },
    /// The target was reached.
    Target {
        /// By the model that this round began with.
        round: u32,
        /// Which metric.
        metric: Metric,
        /// Its value.
        value: f64,
        /// The target.
        target: f64,
    },
    /// The metric did not become better.
    Plateau {
        /// In this round it was decided.
        round: u32,
        /// Which metric.
        metric: Metric,
        /// The best value.
        best: f64,
        /// Of the model that this round began with.
        best_round: u32,
        /// Rounds with a metric since.
        patience: u32,
    },
    /// The next model would have been of no use: the last good one stands.
    Diverged {
        /// The round whose aggregate was not applied.
        round: u32,
        /// What was wrong with it.
        why: String,
    },
    /// Too few owners contributed to a round, and the plan does not go on without them.
    Shortfall {
        /// The round, which was abandoned.
        round: u32,
        /// Contributions that counted.
        got: u32,
        /// Fewest that a round needs.
        needed: u32,
    },
    /// Somebody who may do so stopped it.
    Stopped {
        /// Who.
        by: Name,
    },
}

impl Ending {
    /// In one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Target { .. } => "target",
            Self::Plateau { .. } => "plateau",
            Self::Diverged { .. } => "diverged",
            Self::Shortfall { .. } => "shortfall",
            Self::Stopped { .. } => "stopped",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { rounds } => write!(f, "all {rounds} rounds were tried"),
            Self::Target { round, metric, value, target } => write!(
                f,
                "the target was reached: {metric} {value:.4} of the model that round {round} began \
                 with, {target} was asked for"
            ),
            Self::Shortfall { round, got, needed } => write!(
                f,
                "round {round} had {got} contributions, {needed} are needed, and the plan says to stop \
                 then"
            ),
            Self::Plateau { round, metric, best, best_round, patience } => write!(
                f,
                "no better {metric} for {patience} rounds, up to round {round}; the best was \
                 {best:.4}, of the model that round {best_round} began with"
            ),
            Self::Diverged { round, why } => write!(
                f,
                "diverged in round {round}: {why}; its aggregate was not applied, the model before \
                 it stands"
            ),
            Self::Stopped { by } => write!(f, "stopped by {by}"),
        }
    }
}

impl StopRules {
    /// Whether round `last` ends the run. `rounds`: those up to it in which something was measured,
    /// in order, each with its number. Only what the last round shows can end the run.
    #[must_use]
    pub fn after(&self, last: u32, rounds: &[(u32, Scores)]) -> Option<Ending> {
        rounds.last().filter(|(round, _)| *round == last)?;
        self.target_reached(rounds).or_else(|| self.plateau_reached(rounds))
    }

    /// Whether a step of this length is divergence, and why.
    #[must_use]
    pub fn too_long(&self, norm: f64) -> Option<String> {
        let most = self.step_norm_max.filter(|most| norm > *most || norm.is_nan())?;
        Some(format!("the model would move by {norm:.4}, stop.step_norm_max is {most}"))
    }

    fn target_reached(&self, rounds: &[(u32, Scores)]) -> Option<Ending> {
        let Target { metric, value: target } = self.target?;
        let (round, scores) = rounds.last()?;
        let value = scores.get(metric)?;
        let is_reached = if metric.is_gain() { value >= target } else { value <= target };
        is_reached.then_some(Ending::Target { round: *round, metric, value, target })
    }

    fn plateau_reached(&self, rounds: &[(u32, Scores)]) -> Option<Ending> {
        let Plateau { metric, patience, min_delta } = self.plateau?;
        // Nothing new was measured, so nothing new is decided.
        rounds.last()?.1.get(metric)?;
        let mut measured =
            rounds.iter().filter_map(|(round, scores)| Some((*round, scores.get(metric)?)));
        let (mut best_round, mut best) = measured.next()?;
        let (mut since, mut round) = (0, best_round);
        for (now, value) in measured {
            let gain = if metric.is_gain() { value - best } else { best - value };
            round = now;
            if gain > min_delta {
                (best_round, best, since) = (now, value, 0);
            } else {
                since += 1;
            }
        }
        let is_over = since >= patience;
        is_over.then_some(Ending::Plateau { round, metric, best, best_round, patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(metric: Metric, values: &[Option<f64>]) -> Vec<(u32, Scores)> {
        let scores = |value: &Option<f64>| Scores {
            examples: 10,
            metrics: value.iter().map(|value| (metric, *value)).collect(),
        };
        (1..).zip(values.iter().map(scores)).collect()
    }

    #[test]
    fn a_target_ends_the_run_in_the_round_that_shows_it() {
        let target = |metric, value| StopRules {
            target: Some(Target { metric, value }),
            ..StopRules::default()
        };
        let accuracy = target(Metric::Accuracy, 0.9);
        let seen = rounds(Metric::Accuracy, &[Some(0.5), None, Some(0.9)]);
        assert_eq!(accuracy.after(1, &seen[..1]), None);
        assert_eq!(accuracy.after(2, &seen[..2]), None);
        let ending = accuracy.after(3, &seen).expect("reached");
        assert_eq!(ending.word(), "target");
        assert!(ending.to_string().contains("accuracy 0.9000 of the model that round 3"));
        let loss = target(Metric::Loss, 0.4);
        assert_eq!(loss.after(1, &rounds(Metric::Loss, &[Some(0.41)])), None);
        assert!(loss.after(1, &rounds(Metric::Loss, &[Some(0.39)])).is_some());
        // A later round in which nothing was measured shows nothing new.
        assert_eq!(loss.after(2, &rounds(Metric::Loss, &[Some(0.39)])), None);
        // Another metric says nothing about it.
        assert_eq!(loss.after(1, &rounds(Metric::Accuracy, &[Some(0.1)])), None);
    }

    #[test]
    fn a_plateau_ends_the_run_after_its_patience() {
        let rules = StopRules {
            plateau: Some(Plateau { metric: Metric::Loss, patience: 2, min_delta: 0.1 }),
            ..StopRules::default()
        };
        // 0.95 is better than 1.0, but not by more than 0.1.
        let values = [Some(1.0), Some(0.95), Some(0.8), None, Some(0.75), Some(0.72), Some(0.1)];
        let seen = rounds(Metric::Loss, &values);
        let ends: Vec<_> =
            (1..=6).map(|until| rules.after(until as u32, &seen[..until]).is_some()).collect();
        assert_eq!(ends, [false, false, false, false, false, true]);
        let (best, best_round, patience) = (0.8, 3, 2);
        let metric = Metric::Loss;
        let expected = Ending::Plateau { round: 6, metric, best, best_round, patience };
        assert_eq!(rules.after(6, &seen[..6]), Some(expected));
        assert_eq!(rules.after(1, &[]), None);
    }

    #[test]
    fn a_step_that_is_too_long_is_told() {
        let rules = StopRules { step_norm_max: Some(2.0), ..StopRules::default() };
        assert_eq!(rules.too_long(2.0), None);
        assert!(rules.too_long(2.1).is_some() && rules.too_long(f64::NAN).is_some());
        assert_eq!(StopRules::default().too_long(1e300), None);
        let ending = Ending::Diverged { round: 4, why: rules.too_long(9.0).expect("too long") };
        assert!(ending.to_string().contains("the model before it stands"));
    }
}
