//! Rounds.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::{Deserialize, Serialize};

use super::member::SeatVote;
use crate::document::{Document, Held};
use crate::form::hex;

/// A round is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundClosed {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// From 1.
    pub round: u32,
    /// Digest of its terms.
    #[serde(with = "hex")]
    pub round_ctx: Digest,
    /// How it ended.
    pub outcome: RoundOutcome,
    /// Why it was abandoned, or nobody is credited though credit was planned.
    pub reason: Option<String>,
    /// Owners that were asked.
    pub invited: u32,
    /// Owners whose contribution arrived, be it counted or not.
    pub joined: u32,
    /// Owners in the sum.
    pub counted: u32,
    /// What became of every invited owner, ascending by key.
    pub owners: Held<Vec<Participation>>,
    /// What holders did wrong, ascending.
    pub faults: Vec<SeatFault>,
    /// The model that it began with.
    #[serde(with = "hex")]
    pub model_before: Digest,
    /// The model that it came to; the same where nothing was opened, or it diverged.
    #[serde(with = "hex")]
    pub model_after: Digest,
    /// What was opened; none where nothing was.
    pub published: Option<Published>,
    /// Metrics, ascending by name and source.
    pub metrics: Vec<Metric>,
    /// How long each phase took, in order.
    pub phases_ms: Vec<PhaseSpan>,
    /// Bytes that owners and coordinator exchanged.
    pub traffic: Option<Traffic>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundOutcome {
    /// The sum of all invited owners is open.
    Done,
    /// The sum is open, without some of them.
    Degraded,
    /// Nothing was opened.
    Abandoned,
}

/// What became of an invited owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participation {
    /// Who.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// Why it is not in the sum; none where it is.
    pub missing: Option<Missing>,
}

/// Why an owner is not in a sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// In a word.
    pub code: MissingCode,
    /// In words.
    pub why: String,
}

/// Why an owner is not in a sum ([`covey_aggregation::message::MissingReason`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingCode {
    /// Nothing came by the deadline.
    NoAnswer,
    /// It said no.
    Declined,
    /// A box does not hold what its header commits to.
    BadBox,
    /// A holder could not open its box: one of the two is at fault.
    Disputed,
    /// It contributed, and the round was abandoned.
    Abandoned,
    /// It gave no proof in the audit.
    Unproven,
    /// It did not pass the audit.
    Failed,
}

/// What a holder did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatFault {
    /// Its place in the committee.
    pub holder: u8,
    /// What it did.
    pub fault: String,
}

/// What was opened in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The publication ([`covey_aggregation::publication::Publication`]), by which all of this can
    /// be checked.
    pub document: Document,
    /// The same bytes' plain BLAKE3 digest.
    #[serde(with = "hex")]
    pub blake3: Digest,
    /// Digest of the opened sum.
    #[serde(with = "hex")]
    pub aggregate: Digest,
    /// What its weights come to.
    pub weight: u64,
    /// Digest of the set of contributions that the committee certified.
    #[serde(with = "hex")]
    pub set: Digest,
    /// The votes for it, ascending.
    pub votes: Vec<SeatVote>,
    /// What is published about each owner alone, by name; the values stand in the round's evidence.
    pub released: Vec<String>,
    /// What opening the sum told about one owner, where updates carried noise: epsilon of this round
    /// alone, at a delta of [`ROUND_DELTA`], in millionths, rounded up. Of several rounds both add up.
    pub epsilon_millionths: Option<u64>,
}

/// Delta of each round's [`Published::epsilon_millionths`].
pub const ROUND_DELTA: f64 = 1e-6;

/// A metric of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Who measured it.
    pub by: MeasuredBy,
    /// Its value in millionths, rounded to the nearest.
    pub millionths: i64,
}

/// Who measured a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeasuredBy {
    /// The coordinator, on its own file, of the model that the round came to.
    Coordinator,
    /// The owners together, of the model that the round began with; opened with the sum.
    Owners,
}

/// How long a phase took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpan {
    /// Its name.
    pub phase: String,
    /// So many milliseconds.
    pub ms: u64,
}

/// Bytes between owners and coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// From owners.
    pub up: u64,
    /// To owners.
    pub down: u64,
}

impl RoundClosed {
    pub(super) fn subject(&self) -> String {
        format!("round/{}/{}", self.run, self.round)
    }
}
