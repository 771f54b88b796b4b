//! A coded "no" to a researcher.

use serde::{Deserialize, Serialize};

use super::{RunState, Text};
use crate::hash::Digest;
use crate::party::{Name, Role};

/// Why the coordinator does not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Only researchers may submit, watch or order runs.
    #[error("a {role} may not do this; it takes the certificate of a researcher")]
    NotResearcher {
        /// What the sender is.
        role: Role,
    },
    /// The coordinator carries out the plan that its settings name, and nothing else.
    #[error(
        "this coordinator carries out the one plan that its settings name, and takes no others"
    )]
    Closed,
    /// There is none.
    #[error("there is no such run")]
    NoSuchRun,
    /// The beginning of a digest that several runs have.
    #[error("{matches} runs begin like this; give more digits, or the name")]
    Ambiguous {
        /// How many.
        matches: u32,
    },
    /// Another run has this name.
    #[error("the name is that of run {}, of another plan, submitted by {by}", .run.short())]
    NameTaken {
        /// Which.
        run: Digest,
        /// Who submitted it.
        by: Name,
    },
    /// Another researcher's run.
    #[error("the run is {by}'s; only {by} may do this to it")]
    NotYours {
        /// Whose.
        by: Name,
    },
    /// The run is over.
    #[error("the run is over: {state}")]
    Over {
        /// How it ended.
        state: RunState,
    },
    /// It is being stopped, which cannot be taken back.
    #[error("the run is being stopped already")]
    Stopping,
    /// So many runs wait already.
    #[error("{runs_max} runs are not over yet; stop one, or wait")]
    TooMany {
        /// The limit.
        runs_max: u32,
    },
    /// So many runs of this researcher wait already.
    #[error(
        "{runs_max} of your runs are not over yet, which is what the operator allows each researcher; stop one, or wait"
    )]
    TooManyOfYours {
        /// The limit.
        runs_max: u32,
    },
    /// The plan has more rounds than the operator allows.
    #[error("the plan has {rounds} rounds, the operator allows {rounds_max}")]
    TooManyRounds {
        /// The plan's.
        rounds: u32,
        /// The limit.
        rounds_max: u32,
    },
    /// The round is not published, or has no such part.
    #[error("that is not published of this round")]
    NotPublished,
    /// Over a limit, or trouble with the coordinator's disk.
    #[error("not now; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The ledger's rules forbid the statement, or its signature is not the sender's.
    #[error("the statement is not recorded: {why}")]
    NotRecorded {
        /// Why.
        why: Text,
    },
    /// Not a request of this version.
    #[error("the request makes no sense; do both sides run the same version?")]
    Malformed,
}

impl Refusal {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotResearcher { .. } => "NOT_A_RESEARCHER",
            Self::Closed => "NO_SUBMISSIONS",
            Self::NoSuchRun => "RUN_NOT_FOUND",
            Self::Ambiguous { .. } => "RUN_AMBIGUOUS",
            Self::NameTaken { .. } => "NAME_TAKEN",
            Self::NotYours { .. } => "NOT_YOUR_RUN",
            Self::Over { .. } => "RUN_OVER",
            Self::Stopping => "RUN_STOPPING",
            Self::TooMany { .. } | Self::TooManyOfYours { .. } => "TOO_MANY_RUNS",
            Self::TooManyRounds { .. } => "TOO_MANY_ROUNDS",
            Self::NotPublished => "NOT_PUBLISHED",
            Self::Busy { .. } => "BUSY",
            Self::NotRecorded { .. } => "NOT_RECORDED",
            Self::Malformed => "MALFORMED",
        }
    }
}
