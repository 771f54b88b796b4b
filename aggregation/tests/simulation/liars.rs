//! Parties that do not follow the protocol.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use covey_aggregation::message::{
    Complaint, ComplaintKind, FromHolder, Refusal, Release, SignedHeader, Vote,
};
use covey_aggregation::signing::{Identity, Statement};

use crate::network::Upload;

/// What a lying holder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Releases wrong component sums, properly signed.
    WrongRelease,
    /// Releases one wrong component sum.
    OneWrongSum,
    /// Releases wrong sums first and right ones afterwards.
    TwoReleases,
    /// Votes for another set as well, and for that one first.
    SecondVote,
    /// Complains of a good box with a key that is not its key.
    FalseContents,
    /// Says of every box that its key does not match.
    FalseKeys,
    /// Says so of one box.
    OneFalseKey,
    /// Complains with a signature that is not its own over this.
    BadSignature,
    /// Never answers after it countersigned.
    Silence,
    /// Refuses everything after it countersigned.
    Refusal,
}

impl Lie {
    pub(crate) const ALL: [Self; 10] = [
        Self::WrongRelease,
        Self::OneWrongSum,
        Self::TwoReleases,
        Self::SecondVote,
        Self::FalseContents,
        Self::FalseKeys,
        Self::OneFalseKey,
        Self::BadSignature,
        Self::Silence,
        Self::Refusal,
    ];

    /// What leaves instead of `message`. `headers` are contributions the holder was shown.
    pub(crate) fn distort(
        self,
        identity: &Identity,
        seat: HolderIndex,
        headers: &[Digest],
        message: FromHolder,
    ) -> Vec<FromHolder> {
        let round_ctx = *message.round_ctx();
        match (self, message) {
            (Self::WrongRelease, FromHolder::Released(release)) => {
                let count = release.sums.len();
                vec![FromHolder::Released(Box::new(falsify(identity, *release, count)))]
            }
            (Self::OneWrongSum, FromHolder::Released(release)) => {
                vec![FromHolder::Released(Box::new(falsify(identity, *release, 1)))]
            }
            (Self::TwoReleases, FromHolder::Released(release)) => {
                let wrong = falsify(identity, (*release).clone(), 1);
                vec![FromHolder::Released(Box::new(wrong)), FromHolder::Released(release)]
            }
            (Self::SecondVote, FromHolder::Voted { set, vote, .. }) => {
                let other = hash(Domain::Set, &[b"another set", &set.0]);
                let signature = identity.sign(Statement::Vote, &round_ctx, &other.0);
                let second = Vote { holder: seat, signature };
                vec![
                    FromHolder::Voted { round_ctx, set: other, vote: second },
                    FromHolder::Voted { round_ctx, set, vote },
                ]
            }
            (lie, FromHolder::Checked { total, mut complaints, .. }) => {
                for header in &headers[..lie.false_complaints(headers.len())] {
                    complaints.push(lie.complain(identity, round_ctx, seat, *header));
                }
                if self == Self::Silence {
                    return Vec::new();
                }
                vec![if self == Self::Refusal {
                    FromHolder::Refused { round_ctx, refusal: Refusal::Conflict }
                } else {
                    FromHolder::Checked { round_ctx, total, complaints }
                }]
            }
            (_, countersigned @ FromHolder::Countersigned { .. }) => vec![countersigned],
            (Self::Silence, _) => Vec::new(),
            (Self::Refusal, _) => {
                vec![FromHolder::Refused { round_ctx, refusal: Refusal::AlreadyVoted }]
            }
            (_, honest) => vec![honest],
        }
    }

    fn false_complaints(self, contributions: usize) -> usize {
        match self {
            Self::FalseKeys => contributions,
            Self::FalseContents | Self::OneFalseKey | Self::BadSignature => contributions.min(1),
            _ => 0,
        }
    }

    fn complain(
        self,
        identity: &Identity,
        round_ctx: Digest,
        holder: HolderIndex,
        header: Digest,
    ) -> Complaint {
        let kind = match self {
            Self::FalseContents => ComplaintKind::Contents { box_key: [7; 32] },
            _ => ComplaintKind::Key,
        };
        let said = if self == Self::BadSignature { &Digest::ZERO } else { &header };
        let body = Complaint::body(said, holder, &kind);
        let signature = identity.sign(Statement::Complaint, &round_ctx, &body);
        Complaint { round_ctx, header, holder, kind, signature }
    }
}

/// Changes the first `count` sums, and signs.
fn falsify(identity: &Identity, mut release: Release, count: usize) -> Release {
    for sum in &mut release.sums[..count] {
        sum[0] ^= 1;
    }
    let body = Release::body(&release.set, &release.sums);
    release.signature = identity.sign(Statement::Release, &release.round_ctx, &body);
    release
}

/// What a lying owner does to its sealed update before it signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerLie {
    /// A seed commitment that the boxes do not match: every holder of that seed can prove it.
    WrongCommitment,
    /// A key commitment that holder 0 cannot match: nobody can tell who is at fault.
    WrongBoxKey,
    /// Chunks that are no encryption of anything: the sum opens to nonsense.
    Garbage,
}

impl OwnerLie {
    pub(crate) fn distort(self, identity: &Identity, mut upload: Upload) -> Upload {
        let mut header = upload.header.header;
        let other = hash(Domain::Body, &[b"something else"]);
        match self {
            Self::WrongCommitment => header.components[0] = other,
            Self::WrongBoxKey => header.box_keys[0] = other,
            Self::Garbage => {
                for byte in &mut upload.chunks[0] {
                    *byte ^= 0x55;
                }
                let leaves = (0..).zip(&upload.chunks).map(|(i, bytes)| chunk_leaf(i, bytes));
                header.chunks_root = merkle_root(&leaves.collect::<Vec<_>>());
            }
        }
        upload.header = SignedHeader::sign(header, identity);
        upload
    }
}
