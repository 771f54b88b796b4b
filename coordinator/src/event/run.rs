//! How a run went.

use std::fmt;
use std::path::PathBuf;

use covey_aggregation::evaluation::Scores;
use serde::{Deserialize, Serialize};

/// How a run went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's digest.
    pub run: String,
    /// Number of the last round: the plan's, or what the run was extended to.
    pub rounds: u32,
    /// Rounds done.
    pub rounds_done: u32,
    /// Rounds abandoned.
    pub rounds_abandoned: u32,
    /// Digest of the last parameters.
    pub model: String,
    /// The file with the last parameters, `f32` little-endian.
    pub model_path: PathBuf,
    /// Share of right answers on the test file after the last round.
    pub accuracy: Option<f64>,
    /// What owners measured together in the last round that tells, of the model it began with.
    pub federated: Option<Scores>,
    /// How it ended, in one word.
    pub ending: String,
    /// Why it ended, in a sentence.
    pub reason: String,
    /// The folder with what is published.
    pub published: PathBuf,
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, rounds_done, rounds_abandoned, reason, .. } = self;
        writeln!(f, "{rounds_done} of {rounds} rounds done, {rounds_abandoned} abandoned")?;
        writeln!(f, "over: {reason}")?;
        if let Some(scores) = &self.federated {
            writeln!(f, "the owners: {scores}")?;
        }
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "accuracy on the test data: {:.2} %", accuracy * 100.0)?;
        }
        writeln!(f, "model: {}", self.model_path.display())?;
        write!(f, "published: {}", self.published.display())
    }
}
