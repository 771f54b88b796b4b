//! Runs begin and end.

use covey_aggregation::credit::CreditTerms;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, PartyId};
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::form::hex;

/// A plan will be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanAccepted {
    /// The run: drawn when the plan was launched.
    #[serde(with = "hex")]
    pub run: Digest,
    /// The plan's name.
    pub name: Name,
    /// The plan's text (TOML), word for word; none where it is too long for an entry.
    pub text: Option<String>,
    /// The same as a document.
    pub document: Document,
    /// The digest by which rounds name the plan ([`covey_aggregation::plan::Plan::digest`]).
    #[serde(with = "hex")]
    pub plan: Digest,
    /// Who launched it.
    #[serde(with = "hex")]
    pub launched_by: PartyId,
    /// Rounds that are asked for.
    pub rounds: u32,
    /// The first of them.
    pub first_round: u32,
    /// Numbers that travel in an update.
    pub parameters: u64,
    /// What its credits are settled by; none where it gives none.
    pub terms: Option<CreditTerms>,
    /// Estimate of the floating-point operations of training on one example once
    /// ([`crate::compute::flops_per_example`]); none where the plan does not say what is computed.
    pub flops_per_example: Option<u64>,
}

/// A run has other rounds than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunExtended {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Rounds that are asked for now; more than before.
    pub rounds: u32,
    /// What its credits are settled by now; none where it gives none.
    pub terms: Option<CreditTerms>,
    /// By whom.
    #[serde(with = "hex")]
    pub by: PartyId,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All its rounds were tried.
    Done,
    /// Its metric became as good as its plan asks for.
    Target,
    /// Its metric became no better.
    Plateau,
    /// The next model would have been of no use.
    Diverged,
    /// Too few owners contributed.
    Shortfall,
    /// Somebody who may do so stopped it.
    Stopped,
}

/// A run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnded {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Its last round.
    pub round: u32,
    /// How.
    pub how: Ended,
    /// The reason in words.
    pub why: String,
    /// The model that it came to.
    #[serde(with = "hex")]
    pub model: Digest,
}

impl PlanAccepted {
    pub(super) fn subject(&self) -> String {
        format!("run/{}", self.run)
    }
}

impl RunExtended {
    pub(super) fn subject(&self) -> String {
        format!("run/{}/rounds/{}", self.run, self.rounds)
    }
}

impl RunEnded {
    pub(super) fn subject(&self) -> String {
        format!("run/{}/ended/{}", self.run, self.round)
    }
}
