//! What a simulation tells: a line for each round, for people or for programs.

use std::collections::BTreeMap;
use std::fmt;

use covey_aggregation::evaluation::Scores;
use covey_aggregation::strategy::RoundClip;
use serde::Serialize;

/// Version of the events' JSON form.
const SCHEMA_VERSION: u32 = 1;

/// What everybody must be told of a simulation without encryption.
const NOT_ENCRYPTED: &str = "NO ENCRYPTION: updates are added in the clear, and no machine of the \
                             protocol takes part";

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// It begins.
    Simulation {
        /// The plan's name.
        plan: String,
        /// Digest of the plan's bytes.
        plan_digest: String,
        /// Whether updates are sealed.
        encrypted: bool,
        /// Whether the data are synthetic.
        synthetic: bool,
        /// Clients.
        clients: usize,
        /// Most clients of a round, by the plan.
        cohort_max: u32,
        /// Examples of all of them.
        examples: usize,
        /// Who has which.
        partition: String,
        /// Probability that a client vanishes from a round.
        dropout: f64,
        /// Who attacks.
        attacks: Vec<String>,
        /// Rounds.
        rounds: u32,
        /// Parameters of the model.
        parameters: usize,
        /// The simulation's seed.
        seed: u64,
        /// Threads that train.
        workers: usize,
        /// Digest of the parameters that it begins with.
        model: String,
    },
    /// A round is over.
    Round(RoundSummary),
    /// It is over.
    Finished(Summary),
}

/// How a round went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundSummary {
    /// The round.
    pub round: u32,
    /// Done, or abandoned: then the model stays as it was.
    pub done: bool,
    /// Why it was abandoned.
    pub reason: Option<String>,
    /// Whether updates were sealed.
    pub encrypted: bool,
    /// Clients that were offered the round.
    pub cohort: usize,
    /// Clients in the sum.
    pub counted: usize,
    /// Of them, those that attack.
    pub attackers: usize,
    /// Whether somebody is missing from the sum.
    pub degraded: bool,
    /// Clients that are missing, by reason.
    pub missing: BTreeMap<String, usize>,
    /// What the first client that declined told its owner.
    pub why_declined: Option<String>,
    /// Sum of the clients' weights, when done.
    pub weight: Option<u64>,
    /// Digest of the parameters after the round.
    pub model: String,
    /// Length (L2) of the model's step, when done.
    pub step_norm: Option<f64>,
    /// The clip, when done and where it follows the clients' updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<RoundClip>,
    /// Mean over the clients of the loss that they saw while training.
    pub training_loss: Option<f64>,
    /// Share of right answers on the test data, 0 to 1.
    pub accuracy: Option<f64>,
    /// Mean loss on the test data.
    pub loss: Option<f64>,
    /// What clients measured on held-out examples, of the model that the round began with.
    pub federated: Option<Scores>,
    /// Seconds that the round took, the evaluation left out.
    pub seconds: f64,
    /// Most memory that this process has held so far, in bytes, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

/// How a simulation went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Whether updates were sealed.
    pub encrypted: bool,
    /// Rounds done.
    pub rounds_done: u32,
    /// Rounds abandoned.
    pub rounds_abandoned: u32,
    /// Digest of the last parameters.
    pub model: String,
    /// Share of right answers on the test data after the last round.
    pub accuracy: Option<f64>,
    /// Mean loss on the test data after the last round.
    pub loss: Option<f64>,
    /// What clients measured together in the last round that tells.
    pub federated: Option<Scores>,
    /// How it ended, in one word.
    pub ending: String,
    /// Why it ended, in a sentence.
    pub reason: String,
    /// Seconds of all rounds.
    pub seconds: f64,
    /// Rounds in a minute of this machine.
    pub rounds_per_minute: f64,
    /// Most memory that this process has held, in bytes, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

/// The line that a program reads.
#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    terminal: bool,
}

impl Event {
    const fn is_encrypted(&self) -> bool {
        match self {
            Self::Simulation { encrypted, .. } => *encrypted,
            Self::Round(summary) => summary.encrypted,
            Self::Finished(summary) => summary.encrypted,
        }
    }

    /// One line of JSON, without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let terminal = matches!(self, Self::Finished(_));
        let warning = (!self.is_encrypted()).then_some(NOT_ENCRYPTED);
        let line = Line { schema_version: SCHEMA_VERSION, event: self, warning, terminal };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulation {
                plan,
                encrypted,
                synthetic,
                clients,
                cohort_max,
                examples,
                partition,
                dropout,
                attacks,
                rounds,
                parameters,
                seed,
                workers,
                ..
            } => {
                if !encrypted {
                    writeln!(f, "*** {NOT_ENCRYPTED} ***")?;
                }
                if *synthetic {
                    writeln!(f, "*** SYNTHETIC DATA: metrics mean nothing; give --data ***")?;
                }
                write!(
                    f,
                    "simulation of {plan}: {rounds} rounds, {clients} clients (at most {cohort_max} \
                     a round), {examples} examples {partition}, dropout {dropout}, {parameters} \
                     parameters, seed {seed}, {workers} threads"
                )?;
                if !attacks.is_empty() {
                    write!(f, "\nattacks: {}", attacks.join(", "))?;
                }
                Ok(())
            }
            Self::Round(summary) => summary.fmt(f),
            Self::Finished(summary) => summary.fmt(f),
        }
    }
}

/// What every line says of a simulation without encryption.
const fn label(encrypted: bool) -> &'static str {
    if encrypted { "" } else { " [NO ENCRYPTION]" }
}

/// Bytes as people read them.
struct Mebibytes(Option<u64>);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{:.1} MiB", bytes as f64 / (1 << 20) as f64),
            None => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for RoundSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}{}: ", self.round, label(self.encrypted))?;
        match &self.reason {
            None => write!(f, "done, {} of {} counted", self.counted, self.cohort)?,
            Some(reason) => write!(f, "abandoned, nothing was opened: {reason}")?,
        }
        if self.attackers > 0 {
            write!(f, ", {} of them attack", self.attackers)?;
        }
        if let Some(loss) = self.training_loss {
            write!(f, ", training loss {loss:.4}")?;
        }
        if let (Some(accuracy), Some(loss)) = (self.accuracy, self.loss) {
            write!(f, ", test accuracy {:.2} %, loss {loss:.4}", accuracy * 100.0)?;
        }
        if let Some(clip) = &self.clip {
            write!(f, ", {clip}")?;
        }
        let (seconds, memory) = (self.seconds, Mebibytes(self.peak_memory_bytes));
        write!(f, ", {seconds:.2} s, peak memory {memory}")?;
        if let Some(scores) = &self.federated {
            write!(f, "\n  the clients, of the model it began with: {scores}")?;
        }
        if self.degraded {
            let reasons: Vec<_> =
                self.missing.iter().map(|(why, count)| format!("{count} {why}")).collect();
            write!(f, "\n  degraded: {}", reasons.join("; "))?;
        }
        if let Some(why) = &self.why_declined {
            write!(f, "\n  the first that declined: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds_done, rounds_abandoned, reason, rounds_per_minute, .. } = self;
        writeln!(
            f,
            "finished{}: {reason}; {rounds_done} rounds done, {rounds_abandoned} abandoned",
            label(self.encrypted)
        )?;
        if let (Some(accuracy), Some(loss)) = (self.accuracy, self.loss) {
            writeln!(f, "test data      accuracy {:.2} %, loss {loss:.4}", accuracy * 100.0)?;
        }
        if let Some(scores) = &self.federated {
            writeln!(f, "clients        {scores}")?;
        }
        writeln!(f, "model          {}", self.model)?;
        writeln!(f, "speed          {rounds_per_minute:.1} rounds a minute")?;
        write!(f, "peak memory    {}", Mebibytes(self.peak_memory_bytes))
    }
}
