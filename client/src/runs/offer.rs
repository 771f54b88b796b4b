//! A run that was offered.

use std::fmt;

use covey_aggregation::hash::Digest;
use covey_aggregation::time::Time;
use serde::{Deserialize, Serialize};

use super::digits;

/// A run, as far as this client was told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The run.
    #[serde(with = "digits")]
    pub run: Digest,
    /// Digest of its plan.
    #[serde(with = "digits")]
    pub plan: Digest,
    /// The plan's name.
    pub name: String,
    /// The plan's purpose.
    pub purpose: String,
    /// The first round that was offered.
    pub first_round: u32,
    /// The latest.
    pub last_round: u32,
    /// Rounds of the plan.
    pub rounds: u32,
    /// When the first round was offered, in milliseconds since 1970.
    pub first_offered: Time,
    /// When the latest was.
    pub last_offered: Time,
    /// What the policy made of the latest.
    pub standing: Standing,
    /// The rules against it, with their codes.
    pub why: Vec<String>,
}

/// What the policy made of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The policy allowed it.
    Allowed,
    /// It took no part, and asks its owner.
    Asks,
    /// It took no part: a rule is against it.
    Refused,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "allowed",
            Self::Asks => "asks",
            Self::Refused => "refused",
        })
    }
}
