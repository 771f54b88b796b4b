//! How a round went.

use std::fmt;
use std::path::PathBuf;

use covey_aggregation::config::HolderIndex;
use covey_aggregation::evaluation::Scores;
use covey_aggregation::message::{HolderFault, MissingReason, Outcome, Phase, Report};
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::roster::Roster;
use covey_aggregation::strategy::RoundClip;
use serde::{Deserialize, Serialize};

use crate::weighing::Weighing;

/// How a round went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundSummary {
    /// The round.
    pub round: u32,
    /// Done, or abandoned.
    pub done: bool,
    /// Why it was abandoned.
    pub reason: Option<String>,
    /// Owners in the sum.
    pub counted: Vec<Name>,
    /// Owners not in the sum, and why.
    pub missing: Vec<Absence>,
    /// Holders that failed, and how.
    pub faults: Vec<Absence>,
    /// Sum of the owners' weights, when done.
    pub weight: Option<u64>,
    /// Digest of the aggregate, when done.
    pub aggregate: Option<String>,
    /// Digest of the parameters after the round.
    pub model: String,
    /// The published bundle, when done.
    pub publication: Option<PathBuf>,
    /// Share of right answers on the test file, 0 to 1.
    pub accuracy: Option<f64>,
    /// Mean loss on the test file.
    pub loss: Option<f64>,
    /// What owners measured on held-out examples, of the model that the round began with.
    pub federated: Option<Scores>,
    /// Why there is no such measurement although the plan asks for it.
    pub implausible: Option<String>,
    /// Milliseconds in each phase that this program saw from its beginning.
    pub phases_ms: Vec<(Phase, u64)>,
    /// Adding and opening, in milliseconds (part of Release).
    pub opening_ms: Option<u64>,
    /// Computing the directions of the credit, in milliseconds (part of Credit).
    #[serde(default)]
    pub directing_ms: Option<u64>,
    /// Why nobody is credited for it, though its terms have credit and its sum is open.
    #[serde(default)]
    pub no_credit: Option<String>,
    /// How often each owner counts in the sum, where the plan lets evidence weigh updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighing: Option<Weighing>,
    /// The clip, when done and where it follows the owners' updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<RoundClip>,
}

/// Somebody, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Who.
    pub name: Name,
    /// Why.
    pub why: String,
}

impl RoundSummary {
    /// The part that the round's report tells.
    #[must_use]
    pub fn of(round: u32, outcome: &Outcome, roster: &Roster) -> Self {
        let (reason, report) = match outcome {
            Outcome::Done(report) => (None, report),
            Outcome::Abandoned { reason, report } => (Some(reason.to_string()), report),
        };
        Self {
            round,
            done: reason.is_none(),
            reason,
            counted: report.counted.iter().filter_map(|id| name(roster, id)).collect(),
            missing: missing(report, roster),
            faults: faults(report, roster),
            weight: None,
            aggregate: None,
            model: String::new(),
            publication: None,
            accuracy: None,
            loss: None,
            federated: None,
            implausible: None,
            phases_ms: Vec::new(),
            opening_ms: None,
            directing_ms: None,
            no_credit: report.no_credit.as_ref().map(ToString::to_string),
            weighing: None,
            clip: None,
        }
    }
}

impl fmt::Display for RoundSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: ", self.round)?;
        match &self.reason {
            None => write!(f, "done, {} counted", self.counted.len())?,
            Some(reason) => write!(f, "abandoned, nothing was opened: {reason}")?,
        }
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", accuracy * 100.0)?;
        }
        if let Some(clip) = &self.clip {
            write!(f, ", {clip}")?;
        }
        if let Some(scores) = &self.federated {
            write!(f, "\n  the owners, of the model it began with: {scores}")?;
        }
        if let Some(why) = &self.implausible {
            write!(f, "\n  the owners' measurements are not used: {why}")?;
        }
        if let Some(weighing) = &self.weighing {
            write!(f, "\n  {weighing}")?;
        }
        for absence in &self.missing {
            write!(f, "\n  {} is not in the sum: {}", absence.name, absence.why)?;
        }
        for absence in &self.faults {
            write!(f, "\n  holder {}: {}", absence.name, absence.why)?;
        }
        Ok(())
    }
}

fn name(roster: &Roster, id: &PartyId) -> Option<Name> {
    roster.member(id).map(|member| member.name.clone())
}

fn missing(report: &Report, roster: &Roster) -> Vec<Absence> {
    let of = |(id, reason): &(_, MissingReason)| {
        Some(Absence { name: name(roster, id)?, why: reason.to_string() })
    };
    report.missing.iter().filter_map(of).collect()
}

fn faults(report: &Report, roster: &Roster) -> Vec<Absence> {
    let committee = roster.committee();
    let of = |(holder, fault): &(HolderIndex, HolderFault)| {
        let seat = committee.get(usize::from(holder.0))?;
        Some(Absence { name: name(roster, &seat.holder)?, why: fault.to_string() })
    };
    report.faults.iter().filter_map(of).collect()
}
