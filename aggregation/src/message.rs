//! Every message of a round. Behaviour is in the machines; here are shapes, and the bytes that
//! signatures cover. Bulk bytes (a contribution's correction, boxes and chunks; plans; models)
//! travel on streams of their own (`net`), never in these.

use serde::{Deserialize, Serialize};

use crate::config::{HolderIndex, RoundConfig};
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::signing::{BadSignature, Identity, Signature, Statement};
use crate::wire;

/// What a client binds itself to: hashes of everything it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The round.
    pub round_ctx: Digest,
    /// The client.
    pub client: PartyId,
    /// com_T for every component, in canonical order.
    pub components: Vec<Digest>,
    /// Commitment to the AEAD key of each holder's box, in the committee's order. What makes a
    /// complaint checkable by anybody.
    pub box_keys: Vec<Digest>,
    /// Digest of each holder's box, in the committee's order.
    pub boxes: Vec<Digest>,
    /// Digest of the correction d.
    pub correction: Digest,
    /// Merkle root over the chunks.
    pub chunks_root: Digest,
}

impl Header {
    /// The name of this contribution in sets.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Header, &[&wire::encode(self)])
    }
}

/// A header and its client's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHeader {
    /// What is signed.
    pub header: Header,
    /// By `header.client`.
    pub signature: Signature,
}

impl SignedHeader {
    /// Signs a header.
    #[must_use]
    pub fn sign(header: Header, identity: &Identity) -> Self {
        let body = wire::encode(&header);
        let signature = identity.sign(Statement::Header, &header.round_ctx, &body);
        Self { header, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let body = wire::encode(&self.header);
        let header = &self.header;
        header.client.verify(Statement::Header, &header.round_ctx, &body, &self.signature)
    }
}

/// What one holder is sent of one contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The contribution.
    pub header: SignedHeader,
    /// The box sealed to this holder.
    pub sealed_box: Vec<u8>,
}

/// Why a holder complains about a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ComplaintKind {
    /// The key inside opens the box commitment, but the box does not open under it or does not
    /// hold the committed seeds. Anybody can check it with the key: the client is at fault.
    Contents {
        /// The box's AEAD key.
        box_key: [u8; 32],
    },
    /// The key that the holder decapsulates is not the committed one. Nobody else can check it:
    /// either the client or the holder is at fault, and both are named.
    Key,
}

/// A holder's signed "this box is bad".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The round.
    pub round_ctx: Digest,
    /// The contribution.
    pub header: Digest,
    /// Who complains.
    pub holder: HolderIndex,
    /// Why.
    pub kind: ComplaintKind,
    /// By the holder, over the fields above.
    pub signature: Signature,
}

impl Complaint {
    /// The bytes the signature covers.
    #[must_use]
    pub fn body(header: &Digest, holder: HolderIndex, kind: &ComplaintKind) -> Vec<u8> {
        wire::encode(&(header, holder, kind))
    }
}

/// A holder's vote: hashes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who votes.
    pub holder: HolderIndex,
    /// Over the set's digest, as [`Statement::Vote`].
    pub signature: Signature,
}

/// Q votes for one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The round.
    pub round_ctx: Digest,
    /// H(U).
    pub set: Digest,
    /// At least Q votes, by ascending holder.
    pub votes: Vec<Vote>,
}

/// No certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// For another round.
    #[error("a certificate of another round")]
    OtherRound,
    /// Fewer than Q votes, or one holder counted twice.
    #[error("{got} distinct votes, {needed} needed")]
    TooFewVotes {
        /// Distinct votes.
        got: usize,
        /// Q.
        needed: usize,
    },
    /// A vote by nobody of the committee, or not signed by its holder.
    #[error("vote of holder {0}: not a member's valid signature")]
    Vote(u8),
}

impl Certificate {
    /// Checks Q distinct valid votes for `set` in the round of `config`, whose context is
    /// `round_ctx`.
    ///
    /// # Errors
    /// [`BadCertificate`], by the first fault.
    pub fn verify(&self, config: &RoundConfig, round_ctx: &Digest) -> Result<(), BadCertificate> {
        if self.round_ctx != *round_ctx {
            return Err(BadCertificate::OtherRound);
        }
        for vote in &self.votes {
            let bad = BadCertificate::Vote(vote.holder.0);
            let seat =
                config.committee.get(usize::from(vote.holder.0)).ok_or_else(|| bad.clone())?;
            seat.holder
                .verify(Statement::Vote, round_ctx, &self.set.0, &vote.signature)
                .map_err(|_| bad)?;
        }
        let ascending = self.votes.windows(2).all(|pair| pair[0].holder < pair[1].holder);
        let (got, needed) = (self.votes.len(), config.shape.quorum());
        if !ascending || got < needed {
            return Err(BadCertificate::TooFewVotes { got, needed });
        }
        Ok(())
    }
}

/// A holder's component sums for a certified set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The round.
    pub round_ctx: Digest,
    /// H(U).
    pub set: Digest,
    /// Who releases.
    pub holder: HolderIndex,
    /// R_T for each component this holder knows, in canonical order; each
    /// [`crate::config::Profile::key_vector_bytes`] long.
    pub sums: Vec<Vec<u8>>,
    /// Over [`Release::body`].
    pub signature: Signature,
}

impl Release {
    /// The bytes the signature covers.
    #[must_use]
    pub fn body(set: &Digest, sums: &[Vec<u8>]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![&set.0];
        parts.extend(sums.iter().map(Vec::as_slice));
        hash(Domain::Release, &parts).0.to_vec()
    }
}

/// Countersignature of a round's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersignature {
    /// Who signs.
    pub holder: HolderIndex,
    /// Over `round_ctx`, as [`Statement::Config`].
    pub signature: Signature,
}

/// Checks Q distinct countersignatures of the terms `round_ctx`.
#[must_use]
pub fn countersigned(
    config: &RoundConfig,
    round_ctx: &Digest,
    signatures: &[Countersignature],
) -> bool {
    let valid = |one: &Countersignature| {
        config.committee.get(usize::from(one.holder.0)).is_some_and(|seat| {
            let body = round_ctx.0;
            seat.holder.verify(Statement::Config, round_ctx, &body, &one.signature).is_ok()
        })
    };
    let ascending = signatures.windows(2).all(|pair| pair[0].holder < pair[1].holder);
    ascending && signatures.len() >= config.shape.quorum() && signatures.iter().all(valid)
}

/// Coordinator to holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToHolder {
    /// Please countersign these terms. `cohort` is the list behind `config.cohort`.
    Propose {
        /// The terms.
        config: Box<RoundConfig>,
        /// Admitted clients, ascending.
        cohort: Vec<PartyId>,
    },
    /// Some contributions of the round; check them. `total` tells when all have come.
    Envelopes {
        /// The round.
        round_ctx: Digest,
        /// Contributions in all.
        total: u32,
        /// At most [`crate::limits::ENVELOPES_PER_MESSAGE_MAX`].
        batch: Vec<Envelope>,
    },
    /// Please vote for this set (ordered header digests).
    Set {
        /// The round.
        round_ctx: Digest,
        /// U.
        set: Vec<Digest>,
    },
    /// The set is certified; please release.
    Certified {
        /// U, for a holder that was away.
        set: Vec<Digest>,
        /// The proof.
        certificate: Certificate,
    },
    /// The round is over; forget its secrets.
    Ended {
        /// The round.
        round_ctx: Digest,
        /// How.
        outcome: Outcome,
    },
}

/// Holder to coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHolder {
    /// I accept these terms.
    Countersigned {
        /// The round.
        round_ctx: Digest,
        /// The signature.
        signature: Countersignature,
    },
    /// I have checked all envelopes.
    Checked {
        /// The round.
        round_ctx: Digest,
        /// How many I have.
        total: u32,
        /// What is wrong with some.
        complaints: Vec<Complaint>,
    },
    /// I vote for the set.
    Voted {
        /// The round.
        round_ctx: Digest,
        /// H(U).
        set: Digest,
        /// The vote.
        vote: Vote,
    },
    /// My component sums.
    Released(Box<Release>),
    /// I cannot answer: I lack the round's terms or envelopes (after a restart, say).
    Lacking {
        /// The round.
        round_ctx: Digest,
    },
    /// No.
    Refused {
        /// The round.
        round_ctx: Digest,
        /// Why.
        refusal: Refusal,
    },
}

impl FromHolder {
    /// The round it is about.
    #[must_use]
    pub const fn round_ctx(&self) -> &Digest {
        match self {
            Self::Countersigned { round_ctx, .. }
            | Self::Checked { round_ctx, .. }
            | Self::Voted { round_ctx, .. }
            | Self::Lacking { round_ctx }
            | Self::Refused { round_ctx, .. } => round_ctx,
            Self::Released(release) => &release.round_ctx,
        }
    }
}

impl FromClient {
    /// The round it is about.
    #[must_use]
    pub const fn round_ctx(&self) -> &Digest {
        match self {
            Self::Declined { round_ctx, .. } | Self::Pending { round_ctx } => round_ctx,
        }
    }
}

/// Coordinator to client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToClient {
    /// A round begins.
    Open {
        /// The terms.
        config: Box<RoundConfig>,
        /// At least Q countersignatures, by ascending holder.
        countersignatures: Vec<Countersignature>,
    },
    /// Your contribution is stored: it will be counted, or named with the reason.
    Receipt(Receipt),
    /// No.
    Refused {
        /// The round.
        round_ctx: Digest,
        /// Why.
        refusal: Refusal,
    },
    /// The round is over.
    Ended {
        /// The round.
        round_ctx: Digest,
        /// How, as [`Outcome::for_client`].
        outcome: Outcome,
    },
}

/// Client to coordinator (contributions themselves come on a bulk stream).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromClient {
    /// I will not take part in this round.
    Declined {
        /// The round.
        round_ctx: Digest,
        /// Why.
        reason: Decline,
    },
    /// I have contributed; how did the round end? Answered by [`ToClient::Ended`] once it has.
    Pending {
        /// The round.
        round_ctx: Digest,
    },
}

/// The coordinator's signed promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The round.
    pub round_ctx: Digest,
    /// The contribution.
    pub header: Digest,
    /// By the coordinator over `header`, as [`Statement::Receipt`].
    pub signature: Signature,
}

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
    /// Over a limit.
    #[error("over a limit; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
}

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
    pub faults: Vec<(HolderIndex, HolderFault)>,
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
    /// Its component sums differ from those that f + 1 others agree on.
    #[error("released wrong component sums")]
    WrongRelease,
    /// A complaint that does not hold.
    #[error("made a false complaint")]
    FalseComplaint,
    /// Its component sums differ from another's, and too few others released to tell which of
    /// the two is wrong. Both are named.
    #[error("released other component sums than another holder; one of them lies")]
    Disagrees,
}

/// The phases of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
}
