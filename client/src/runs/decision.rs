//! What an owner said to a run.

use std::fmt;

use covey_aggregation::hash::Digest;
use covey_aggregation::time::Time;
use serde::{Deserialize, Serialize};

use super::digits;

/// What an owner said. It holds for one plan of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Digest of the plan.
    #[serde(with = "digits")]
    pub plan: Digest,
    /// Yes or no.
    pub answer: Answer,
    /// Why.
    pub reason: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: Time,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The purpose is allowed, for this run. All other rules stay.
    Approved,
    /// The run is not joined, whatever its purpose.
    Denied,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
        })
    }
}
