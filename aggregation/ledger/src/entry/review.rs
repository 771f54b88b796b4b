//! Disputes, proposals, votes and what comes of them.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::{Deserialize, Serialize};

use crate::document::Held;
use crate::form::hex;
use crate::statement::Signed;

macro_rules! signed {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// What was signed.
            pub signed: Signed,
        }

        impl $name {
            pub(super) fn subject(&self) -> String {
                self.signed.subject()
            }
        }
    )*};
}

signed! {
    /// A member doubts a credit: [`crate::statement::Dispute`].
    DisputeOpened;
    /// It does so no longer: [`crate::statement::Withdraw`].
    DisputeWithdrawn;
    /// A reviewer votes: [`crate::statement::Vote`].
    VoteCast;
    /// A member proposes something: [`crate::statement::Proposal`].
    ProposalOpened;
}

/// How a dispute or a proposal was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A quorum said yes.
    Upheld,
    /// A quorum said no.
    Rejected,
    /// No quorum said either in time: everything stays as it is.
    Lapsed,
}

/// How a resolution changes what an owner is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Whose.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// What is added, in micro-credits; below 0 it is taken off.
    pub micro: i64,
}

/// A dispute is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The dispute ([`crate::statement::Signed::id`]).
    #[serde(with = "hex")]
    pub dispute: Digest,
    /// How.
    pub verdict: Verdict,
    /// The votes that made it so, ascending.
    #[serde(with = "hex::list")]
    pub votes: Vec<Digest>,
    /// What changes, ascending by owner; nothing where it was not upheld.
    pub differences: Held<Vec<Difference>>,
    /// When the window of the run's credits closes, or closed: what is open until then, in milliseconds
    /// since the Unix epoch.
    pub window_end_ms: u64,
}

/// A proposal is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalDecided {
    /// The proposal ([`crate::statement::Signed::id`]).
    #[serde(with = "hex")]
    pub proposal: Digest,
    /// How.
    pub verdict: Verdict,
    /// The votes that made it so, ascending.
    #[serde(with = "hex::list")]
    pub votes: Vec<Digest>,
}

impl Resolution {
    pub(super) fn subject(&self) -> String {
        format!("resolution/{}", self.dispute)
    }
}

impl ProposalDecided {
    pub(super) fn subject(&self) -> String {
        format!("decision/{}", self.proposal)
    }
}
