//! Federated evaluation: each owner measures the model that a round begins with on examples that
//! it keeps out of training, and what it finds travels as counters beside its update. Opened are
//! sums over owners, never one owner's figures.
//!
//! A [`Layout`] follows from the plan and says what each counter counts; a [`Tally`] is one
//! owner's; [`Layout::read`] turns the opened sums into [`Scores`].
//!
//! Losses and errors are real numbers. They are capped for each example, added up in binary64 and
//! rounded once for each owner to units of 2^-10 nats or 2^-16 of the largest error, so a mean
//! over e examples of n owners is off by at most n / e half units.

mod figure;
mod layout;
mod tally;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::figure::{largest, log_odds, log_softmax, macro_f1, mean};
pub use self::layout::{Implausible, Layout};
pub use self::tally::Tally;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of examples whose class got the largest output.
    Accuracy,
    /// Mean cross-entropy in nats, each example's at most [`LOSS_MAX_NATS`].
    Loss,
    /// Mean over classes of the harmonic mean of precision and recall. A class that neither
    /// occurs nor is predicted does not count.
    MacroF1,
    /// Area under the ROC curve, from histograms of the log odds: of the second class where there
    /// are two, else the mean over classes, each against the rest.
    Auroc,
    /// Mean absolute error, each example's at most the plan's `error_max`, in the unit in which the
    /// model sees the target.
    Mae,
    /// Square root of the mean squared error, likewise.
    Rmse,
    /// e to the mean cross-entropy of a token.
    Perplexity,
}

impl Metric {
    /// All of them, with their names in plans.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("accuracy", Self::Accuracy),
        ("loss", Self::Loss),
        ("macro_f1", Self::MacroF1),
        ("auroc", Self::Auroc),
        ("mae", Self::Mae),
        ("rmse", Self::Rmse),
        ("perplexity", Self::Perplexity),
    ];

    /// The name in plans.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }

    /// Whether more is better.
    #[must_use]
    pub const fn is_gain(self) -> bool {
        matches!(self, Self::Accuracy | Self::MacroF1 | Self::Auroc)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Largest cross-entropy that one example counts with, in nats: a probability of 10^-7.
pub const LOSS_MAX_NATS: f64 = 16.0;

/// Units of a nat.
const LOSS_UNITS: f64 = 1024.0;

/// Units of the largest error, and of its square.
const ERROR_UNITS: f64 = 65_536.0;

/// Bins of a histogram of log odds.
const BINS: usize = 64;

/// Log odds at and beyond which all fall into the last bin; a bin is a quarter wide.
const LOG_ODDS_MAX: f64 = 8.0;

/// What the owners of one round measured together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Examples (tokens, where every token is predicted) that were measured on.
    pub examples: u64,
    /// The metrics; none where there was no example.
    pub metrics: BTreeMap<Metric, f64>,
}

impl Scores {
    /// One of them.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(&metric).copied()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {} held-out examples", self.examples)?;
        self.metrics.iter().try_for_each(|(metric, value)| write!(f, ", {metric} {value:.4}"))
    }
}
