//! How one party says no to another.

use serde::{Deserialize, Serialize};

use crate::party::{PartyId, Role};

/// Why a client does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decline {
    /// The owner's own rules forbid it.
    Policy,
    /// The data do not fit the plan.
    Data,
    /// Training failed.
    Training,
    /// The terms are not acceptable: not countersigned, another federation, a bad plan.
    Terms,
    /// The program is shutting down.
    Leaving,
    /// What a proof is made of is gone: the program was started again after it had sealed.
    Lost,
    /// The sealed update is beyond what the audit allows, and has no proof.
    Unprovable,
}

/// A coded "no" to a peer: a closed list, no free text from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A round the receiver does not know, or that is over.
    #[error("no such round, or it is over")]
    UnknownRound,
    /// Not now.
    #[error("not in this phase of the round")]
    WrongPhase,
    /// The sender is not in the round.
    #[error("not a member of this round")]
    NotAdmitted,
    /// Does not decode, has a wrong length, or names somebody else.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A signature does not verify.
    #[error("a signature does not verify")]
    BadSignature,
    /// The same sender sent something else before; the first stands.
    #[error("in conflict with an earlier message, which stands")]
    Conflict,
    /// Terms that the receiver will not accept.
    #[error("unacceptable terms: {0}")]
    Terms(String),
    /// The holder has already signed other terms for this run and round, or a later round.
    #[error("a replay: this round, or a later one, is already signed")]
    Replayed,
    /// The holder has already voted for another set.
    #[error("already voted for another set in this round")]
    AlreadyVoted,
    /// Fewer contributions than the terms' minimum (or more than the maximum).
    #[error("a set of {got} contributions, the terms say {min}..={max}")]
    SetSize {
        /// Size proposed.
        got: u32,
        /// n_min.
        min: u32,
        /// n_max.
        max: u32,
    },
    /// The set names a contribution twice, one client twice, one not sent, or a bad one.
    #[error("an unacceptable set: {0}")]
    BadSet(String),
    /// The certificate does not verify.
    #[error("no valid certificate")]
    BadCertificate,
    /// A beacon that the holders' values do not make.
    #[error("no valid beacon: {0}")]
    BadBeacon(String),
    /// The coordinator's public values of a contribution are not those of its bytes.
    #[error("the coordinator's numbers for the contribution of {0} are not those of its bytes")]
    Misread(PartyId),
    /// The coordinator's fold, directions or functions are not those that the holder computes.
    #[error("the credit's numbers are not opened: {0}")]
    Directions(String),
    /// What the numbers come to does not add up with the published sum.
    #[error("the evidence is not attested: {0}")]
    Evidence(String),
    /// Over a limit.
    #[error("over a limit; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The person who runs the receiver has not said yet.
    #[error("it waits for the word of the person who runs it (covey-committee members list)")]
    Undecided,
    /// The person who runs the receiver says no.
    #[error("the person who runs it does not approve")]
    Disapproved,
    /// Only somebody in another role may do that.
    #[error("a {role} may not do this; it is for a {needs}")]
    NotAllowed {
        /// What the sender is.
        role: Role,
        /// What it takes.
        needs: Role,
    },
}

impl Refusal {
    /// A stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownRound => "UNKNOWN_ROUND",
            Self::WrongPhase => "WRONG_PHASE",
            Self::NotAdmitted => "NOT_ADMITTED",
            Self::Malformed(_) => "MALFORMED",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::Conflict => "CONFLICT",
            Self::Terms(_) => "TERMS",
            Self::Replayed => "REPLAYED",
            Self::AlreadyVoted => "ALREADY_VOTED",
            Self::SetSize { .. } => "SET_SIZE",
            Self::BadSet(_) => "BAD_SET",
            Self::BadCertificate => "BAD_CERTIFICATE",
            Self::BadBeacon(_) => "BAD_BEACON",
            Self::Misread(_) => "MISREAD",
            Self::Directions(_) => "DIRECTIONS",
            Self::Evidence(_) => "EVIDENCE",
            Self::Busy { .. } => "BUSY",
            Self::Undecided => "UNDECIDED",
            Self::Disapproved => "DISAPPROVED",
            Self::NotAllowed { .. } => "NOT_ALLOWED",
        }
    }
}
