//! Every message of a round. Behaviour is in the machines; here are shapes, and the bytes that
//! signatures cover. Bulk bytes (a contribution's correction, boxes and chunks; plans; models)
//! travel on streams of their own (`net`), never in these.

mod certificate;
mod header;
mod refusal;
mod report;

use serde::{Deserialize, Serialize};

pub use self::certificate::{BadCertificate, Certificate, Countersignature, Vote, countersigned};
pub use self::header::{Envelope, Header, SignedHeader};
pub(crate) use self::header::{box_digest, contents_digest};
pub use self::refusal::{Decline, Refusal};
pub use self::report::{
    AbandonReason, AuditStep, HolderFault, MissingReason, NoCredit, Outcome, Phase, Report,
};

use crate::audit::beacon::Use;
use crate::audit::crediting::Directed;
use crate::audit::deal::{Deal, SealedKey};
use crate::audit::drawing::{Drawing, Drawn};
use crate::audit::list::Proven;
use crate::audit::part::{Agreed, Part};
use crate::audit::verdict::Verdict;
use crate::config::{HolderIndex, RoundConfig};
use crate::credit::Attested;
use crate::hash::{Digest, Domain, hash};
use crate::limits::{
    BYTE_STRINGS_MAX, CONSISTENCY_HASHES_MAX, NOTE_BYTES_MAX, POOL_EXAMPLES_MAX,
    PROOFS_PER_MESSAGE_MAX, RECORD_PROOF_BYTES_MAX,
};
use crate::party::PartyId;
use crate::research::StatementBytes;
use crate::roster::Roster;
use crate::signing::Signature;
use crate::wire::{self, BoundedBytes, bounded};

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
    #[serde(with = "crate::wire::byte_strings")]
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

/// Coordinator to holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToHolder {
    /// Please countersign these terms. `cohort` is the list behind `config.cohort`.
    Propose {
        /// The terms.
        config: Box<RoundConfig>,
        /// Admitted clients, ascending.
        cohort: Vec<PartyId>,
        /// The beacon keys that this holder knows, sealed to it; none when the audit is off.
        #[serde(deserialize_with = "bounded::<_, _, BYTE_STRINGS_MAX>")]
        beacons: Vec<SealedKey>,
        /// What the state of the credit in the terms goes on from; none at a pool's first round.
        attested: Option<Box<Attested>>,
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
    /// The set is certified; please release. Where the round is audited: please draw the beacon of
    /// the audit's rows.
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
    /// Please deal beacon keys.
    Deal {
        /// Digest of the roster.
        federation: Digest,
    },
    /// The audit begins: proofs follow. When all have come, please vote for their list. Asked again
    /// while some are missing, a holder says that it lacks them.
    List {
        /// U.
        set: Vec<Digest>,
        /// Of U.
        certificate: Certificate,
        /// The beacon of the rows.
        rows: Drawing,
        /// Proofs in all.
        total: u32,
    },
    /// Some proofs of the round.
    Proofs {
        /// The round.
        round_ctx: Digest,
        /// At most [`PROOFS_PER_MESSAGE_MAX`].
        #[serde(deserialize_with = "bounded::<_, _, PROOFS_PER_MESSAGE_MAX>")]
        batch: Vec<Proven>,
    },
    /// The list of proofs is certified; please draw the beacon of the check.
    Listed {
        /// Of the list.
        certificate: Certificate,
    },
    /// Please open the proofs.
    OpenProofs {
        /// Of the list.
        certificate: Certificate,
        /// The beacon of the check.
        check: Drawing,
    },
    /// What others opened of a component that this holder lacks.
    Part {
        /// The round.
        round_ctx: Digest,
        /// The openings and who signed them.
        part: Box<Agreed>,
    },
    /// Please judge. Asked again while parts are missing, a holder says that it lacks them.
    Judge {
        /// The round.
        round_ctx: Digest,
        /// Public values of all proofs of the list
        /// ([`crate::audit::verdict::encode_public`]).
        #[serde(with = "serde_bytes")]
        public: Vec<u8>,
    },
    /// The verdict is certified; please release for the set that it accepts.
    Accepted {
        /// U', in order.
        set: Vec<Digest>,
        /// What is certified.
        verdict: Verdict,
        /// The proof.
        certificate: Certificate,
    },
    /// The sum is open: please open three numbers of each accepted client. Asked again while a holder
    /// computes the directions, it says nothing.
    Credit(Box<CreditQuestion>),
    /// What others opened of the credit's numbers, of a component that this holder lacks.
    CreditPart {
        /// The round.
        round_ctx: Digest,
        /// The openings and who signed them.
        part: Box<Agreed>,
    },
    /// Please attest the evidence that the numbers make. Asked again while parts are missing, a
    /// holder says that it lacks them.
    Attest {
        /// The round.
        round_ctx: Digest,
    },
    /// Please sign the next roster. Asked again while it is open.
    Approve {
        /// It.
        roster: Box<Roster>,
    },
    /// Please cosign the ledger's checkpoint (C2SP tlog-witness). Asked again while too few have.
    Cosign {
        /// The size that the proof goes on from.
        old_size: u64,
        /// That nothing has changed since, hash by hash.
        #[serde(deserialize_with = "bounded::<_, _, CONSISTENCY_HASHES_MAX>")]
        proof: Vec<Digest>,
        /// The signed note.
        checkpoint: NoteBytes,
        /// The checkpoint that is published, with all its cosignatures; none before the first. A holder
        /// that finds one of its own on it and does not remember it has lost what it knew.
        published: Option<NoteBytes>,
    },
}

/// What a holder is asked for a round's credit: everything that it cannot know by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreditQuestion {
    /// U', in order.
    pub set: Vec<Digest>,
    /// What is certified of the audit.
    pub verdict: Verdict,
    /// The proof.
    pub certificate: Certificate,
    /// The beacon of the fold.
    pub fold: Drawing,
    /// Examples of the pool that earlier folds opened, ascending.
    #[serde(deserialize_with = "bounded::<_, _, POOL_EXAMPLES_MAX>")]
    pub retired: Vec<u32>,
    /// What the coordinator computed; a holder computes it for itself.
    pub directed: Directed,
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
    /// The beacon keys that I deal.
    Dealt(Box<Deal>),
    /// My values of a beacon.
    Drawn {
        /// The round.
        round_ctx: Digest,
        /// Which beacon.
        usage: Use,
        /// The values.
        drawn: Drawn,
    },
    /// I hold all proofs, and vote for their list.
    Listed {
        /// The round.
        round_ctx: Digest,
        /// H(Lambda).
        list: Digest,
        /// The vote.
        vote: Vote,
    },
    /// My part of what is opened, for one component.
    Opened(Box<Part>),
    /// My verdict.
    Judged {
        /// The round.
        round_ctx: Digest,
        /// The verdict.
        verdict: Verdict,
        /// The vote for its digest.
        vote: Vote,
    },
    /// My part of the credit's numbers, for one component.
    Credited(Box<Part>),
    /// I attest the evidence.
    Attested {
        /// The round.
        round_ctx: Digest,
        /// Digest of the attestation.
        attestation: Digest,
        /// The vote for it.
        vote: Vote,
    },
    /// I sign the roster.
    Approved {
        /// Its digest.
        roster: Digest,
        /// The signature of it.
        vote: Vote,
    },
    /// I cosign the ledger's checkpoint.
    Cosigned {
        /// BLAKE3 digest of the note.
        note: Digest,
        /// The line of my signature.
        line: NoteBytes,
    },
    /// I do not cosign it.
    NotCosigned {
        /// BLAKE3 digest of the note.
        note: Digest,
        /// The size that I know, where it is not the one that the proof goes on from.
        size: Option<u64>,
        /// A code of C2SP tlog-witness: 400, 403, 404, 409 or 422.
        code: u16,
    },
}

/// A signed note, or a line of one: text of at most [`NOTE_BYTES_MAX`] bytes, not checked.
pub type NoteBytes = BoundedBytes<NOTE_BYTES_MAX>;

/// An entry of the ledger with the proof that it is there: at most [`RECORD_PROOF_BYTES_MAX`] bytes, not
/// checked.
pub type RecordBytes = BoundedBytes<RECORD_PROOF_BYTES_MAX>;

impl FromHolder {
    /// The round it is about.
    #[must_use]
    pub const fn round_ctx(&self) -> &Digest {
        match self {
            Self::Countersigned { round_ctx, .. }
            | Self::Checked { round_ctx, .. }
            | Self::Voted { round_ctx, .. }
            | Self::Lacking { round_ctx }
            | Self::Drawn { round_ctx, .. }
            | Self::Listed { round_ctx, .. }
            | Self::Judged { round_ctx, .. }
            | Self::Attested { round_ctx, .. }
            | Self::Refused { round_ctx, .. } => round_ctx,
            Self::Released(release) => &release.round_ctx,
            Self::Opened(part) | Self::Credited(part) => &part.round_ctx,
            // Of no round: once for a roster.
            Self::Dealt(deal) => &deal.federation,
            Self::Approved { roster, .. } => roster,
            // Of the ledger.
            Self::Cosigned { note, .. } | Self::NotCosigned { note, .. } => note,
        }
    }
}

impl FromClient {
    /// The round it is about, or the run.
    #[must_use]
    pub const fn round_ctx(&self) -> &Digest {
        match self {
            Self::Declined { round_ctx, .. }
            | Self::Pending { round_ctx }
            | Self::Unrecorded { about: round_ctx }
            | Self::Report { round_ctx, .. }
            | Self::Proven { round_ctx, .. } => round_ctx,
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
    /// Your contribution is in the agreed set: please prove that it is small.
    Prove {
        /// The round.
        round_ctx: Digest,
        /// Of U.
        certificate: Certificate,
        /// The beacon of the rows.
        rows: Drawing,
    },
    /// Your round, or your credits of a run, are in the ledger, and a quorum of the committee has cosigned
    /// it.
    Recorded {
        /// The round's context, or the run.
        about: Digest,
        /// Its entry and the proof.
        record: RecordBytes,
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
    /// My proof.
    Proven {
        /// The round.
        round_ctx: Digest,
        /// The proof.
        proven: Box<Proven>,
    },
    /// I lack the proof that a round, or my credits of a run, are in the ledger. Answered by
    /// [`ToClient::Recorded`] once they are.
    Unrecorded {
        /// The round's context, or the run.
        about: Digest,
    },
    /// What the round took me, for the ledger: a signed statement. Nobody answers.
    Report {
        /// The round.
        round_ctx: Digest,
        /// What is signed, with the signature.
        statement: StatementBytes,
    },
}

/// The coordinator's signed promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The round.
    pub round_ctx: Digest,
    /// The contribution.
    pub header: Digest,
    /// By the coordinator over `header`, as [`crate::signing::Statement::Receipt`].
    pub signature: Signature,
}
