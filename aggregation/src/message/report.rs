//! How a round ended, who took part, and who did what.

use serde::{Deserialize, Serialize};

use super::Decline;
use crate::audit::opening::Failure;
use crate::config::HolderIndex;
use crate::limits::HOLDER_FAULTS_MAX;
use crate::party::PartyId;
use crate::wire::bounded;

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The aggregate is open; who is in it and who is not.
    Done(Report),
    /// Nothing was opened.
    Abandoned {
        /// Why.
        reason: AbandonReason,
        /// Who was there and who was not.
        report: Report,
    },
}

impl Outcome {
    /// What one client is told: its own line of the report, and what holders did. The whole
    /// report for each of 10,000 clients would be 3 GB; it is in the round's publication.
    #[must_use]
    pub fn for_client(&self, client: &PartyId) -> Self {
        let own = |report: &Report| {
            let counted = report.counted.binary_search(client).is_ok();
            let missing = report.missing.binary_search_by_key(client, |(other, _)| *other);
            Report {
                counted: counted.then_some(*client).into_iter().collect(),
                missing: missing.map(|index| report.missing[index]).into_iter().collect(),
                faults: report.faults.clone(),
                no_credit: report.no_credit.clone(),
            }
        };
        match self {
            Self::Done(report) => Self::Done(own(report)),
            Self::Abandoned { reason, report } => {
                Self::Abandoned { reason: reason.clone(), report: own(report) }
            }
        }
    }
}

/// Who took part and who did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Clients in the sum, ascending.
    pub counted: Vec<PartyId>,
    /// Admitted clients not in the sum, with the reason, ascending.
    pub missing: Vec<(PartyId, MissingReason)>,
    /// Holders that failed somewhere, with what they did, ascending.
    #[serde(deserialize_with = "bounded::<_, _, HOLDER_FAULTS_MAX>")]
    pub faults: Vec<(HolderIndex, HolderFault)>,
    /// Why nobody is credited for the round, though its terms have credit and its sum is open.
    pub no_credit: Option<NoCredit>,
}

/// Why a round that is done has no evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoCredit {
    /// The coordinator did not compute the directions.
    #[error("the directions were not computed: {0}")]
    NotDirected(String),
    /// Too few holders opened the same numbers.
    #[error(
        "{got} of the holders opened the credit's numbers, {needed} equal copies of each part are needed"
    )]
    NotOpened {
        /// Holders that did.
        got: u32,
        /// f + 1.
        needed: u32,
    },
    /// The numbers do not add up to those of the published sum.
    #[error("the numbers do not add up: {0}")]
    NotSound(String),
    /// Too few holders attested the evidence.
    #[error("{got} of {needed} holders attested the evidence")]
    NotAttested {
        /// Votes.
        got: u32,
        /// Q.
        needed: u32,
    },
}

impl Report {
    /// Whether somebody is missing from the sum.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        !self.missing.is_empty()
    }
}

/// Why an admitted client is not in the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MissingReason {
    /// Nothing came by the deadline.
    #[error("no answer by the deadline")]
    NoAnswer,
    /// It said no.
    #[error("declined ({0:?})")]
    Declined(Decline),
    /// A complaint that anybody can check.
    #[error("a box for holder {} does not hold what the header commits to", .0.0)]
    BadBox(HolderIndex),
    /// A complaint that nobody can check: the client or the holder is at fault.
    #[error("holder {} could not open its box; one of the two is at fault", .0.0)]
    Disputed(HolderIndex),
    /// The round was abandoned.
    #[error("the round was abandoned")]
    Abandoned,
    /// No proof came in the audit, or the client said why it has none.
    #[error("no proof in the audit{}", .0.map_or_else(String::new, |why| format!(": {why:?}")))]
    Unproven(Option<Decline>),
    /// It did not pass the audit.
    #[error("failed the audit: {0}")]
    Failed(Failure),
}

/// What a holder did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HolderFault {
    /// No answer in a phase.
    #[error("no answer in phase {0:?}")]
    Silent(Phase),
    /// It refused.
    #[error("refused in phase {0:?}")]
    Refused(Phase),
    /// Its component sums differ from those that f + 1 others agree on, are malformed, or are for
    /// a set that was not certified.
    #[error("released wrong component sums")]
    WrongRelease,
    /// A complaint that does not hold.
    #[error("made a false complaint")]
    FalseComplaint,
    /// Its component sums differ from another's, and too few others released to tell which of
    /// the two is wrong. Both are named.
    #[error("released other component sums than another holder; one of them lies")]
    Disagrees,
    /// A signed vote for a set that it was not asked to vote for.
    #[error("voted for another set than the one proposed")]
    OtherVote,
    /// Its values of a beacon differ from those that f + 1 others agree on.
    #[error("drew other values of a beacon than the others")]
    WrongBeacon,
    /// Its part of what an audit opens differs from what f + 1 others agree on.
    #[error("opened something else in the audit than the others")]
    WrongOpening,
    /// A signed vote for another list of proofs, or for another verdict, than follow from what it
    /// was sent.
    #[error("voted for another list of proofs or another verdict than the others")]
    OtherVerdict,
}

/// The phases of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Holders countersign the terms.
    Select,
    /// Clients train and contribute.
    Collect,
    /// Holders check the envelopes and vote on the set.
    Vote,
    /// Holders release the key of the certified set; the sum is opened.
    Release,
    /// Over: the aggregate is open.
    Done,
    /// Over: nothing was opened.
    Abandon,
    /// Between Vote and Release, where the round is audited: clients prove that what they sent is
    /// small, holders check it and agree on the set that passes.
    Audit,
    /// After Release, where the terms have credit: holders open three numbers of each accepted client
    /// and attest the evidence that they make.
    Credit,
}

impl Phase {
    /// Whether the key of a sum may be with the coordinator by now, or the round is over.
    #[must_use]
    pub const fn is_release_or_later(self) -> bool {
        matches!(self, Self::Release | Self::Credit | Self::Done | Self::Abandon)
    }
}

/// The steps of phase Audit that holders take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AuditStep {
    /// The beacon of the rows.
    #[error("drew the beacon of the rows")]
    Rows,
    /// The votes for the list of proofs.
    #[error("voted for the list of proofs")]
    List,
    /// The beacon of the check.
    #[error("drew the beacon of the check")]
    Check,
    /// The openings.
    #[error("opened the proofs")]
    Open,
    /// The verdict.
    #[error("voted for the verdict")]
    Judge,
}

/// Why a round was abandoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AbandonReason {
    /// Too few holders countersigned the terms.
    #[error("{got} of {needed} holders countersigned the terms by the deadline")]
    NotCountersigned {
        /// Signatures.
        got: u32,
        /// Q.
        needed: u32,
    },
    /// Too few contributions.
    #[error("{got} contributions, at least {needed} needed")]
    TooFewContributions {
        /// Contributions.
        got: u32,
        /// n_min.
        needed: u32,
    },
    /// Too few votes.
    #[error("{got} of {needed} holders voted by the deadline")]
    NotCertified {
        /// Votes.
        got: u32,
        /// Q.
        needed: u32,
    },
    /// Some component was not released equally by f + 1 holders.
    #[error("{got} of the holders released, and some part of the key lacks {needed} equal copies")]
    NotReleased {
        /// Releases.
        got: u32,
        /// f + 1.
        needed: u32,
    },
    /// The sum opened to nonsense: some contribution was not honestly encrypted (which one
    /// cannot be told with the audit off).
    #[error("the sum does not open: {0}")]
    Spoiled(String),
    /// The coordinator was told to stop.
    #[error("stopped by the operator")]
    Stopped,
    /// Too few holders took part in a step of the audit, or too few agreed.
    #[error("{got} of the holders {step} by the deadline, and {needed} that agree are needed")]
    NotAudited {
        /// The step.
        step: AuditStep,
        /// Holders that answered.
        got: u32,
        /// How many must agree.
        needed: u32,
    },
}
