//! Parties that do not follow the protocol.

use std::sync::Arc;

use covey_aggregation::audit::beacon::Use;
use covey_aggregation::audit::drawing::Drawn;
use covey_aggregation::audit::part::Part;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use covey_aggregation::message::{
    Complaint, ComplaintKind, Envelope, FromHolder, Refusal, Release, SignedHeader, ToHolder, Vote,
};
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::{Identity, Statement};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{component_sums, open_envelope};

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
    /// Releases what it released in an earlier round, in the place of this round's.
    ReplayedRelease,
    /// Releases the component sums of an earlier round, signed for this one.
    ReplayedSums,
    /// Releases the sums of all but one of the certified set, signed for the certified set.
    SumsOfOtherSet,
    /// Releases the sums of all but one of the certified set, and says so.
    ReleaseOfOtherSet,
    /// Releases the sums of the certified set with everybody counted once, whatever the evidence.
    CountsOnce,
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
    /// Draws other values of beacons, properly signed.
    WrongBeacon,
    /// Opens something else in the audit, properly signed.
    WrongOpening,
    /// Opens something else first and the right thing afterwards.
    TwoOpenings,
    /// Votes for another list of proofs.
    OtherList,
    /// Votes for another verdict.
    OtherVerdict,
    /// Never says anything in an audit.
    SilentAudit,
    /// Says that the coordinator's directions are wrong.
    WrongDirections,
    /// Opens other numbers of credit, properly signed.
    WrongNumbers,
    /// Opens other numbers first and the right ones afterwards.
    TwoNumbers,
    /// Attests other evidence.
    OtherEvidence,
    /// Never says anything of credit.
    SilentCredit,
}

impl Lie {
    /// Those of an audit.
    pub(crate) const AUDIT: [Self; 6] = [
        Self::WrongBeacon,
        Self::WrongOpening,
        Self::TwoOpenings,
        Self::OtherList,
        Self::OtherVerdict,
        Self::SilentAudit,
    ];

    /// Those of a round's credit.
    pub(crate) const CREDIT: [Self; 5] = [
        Self::WrongDirections,
        Self::WrongNumbers,
        Self::TwoNumbers,
        Self::OtherEvidence,
        Self::SilentCredit,
    ];

    pub(crate) const ALL: [Self; 14] = [
        Self::WrongRelease,
        Self::OneWrongSum,
        Self::TwoReleases,
        Self::ReplayedRelease,
        Self::ReplayedSums,
        Self::SumsOfOtherSet,
        Self::ReleaseOfOtherSet,
        Self::SecondVote,
        Self::FalseContents,
        Self::FalseKeys,
        Self::OneFalseKey,
        Self::BadSignature,
        Self::Silence,
        Self::Refusal,
    ];

    /// What leaves instead of `message`.
    pub(crate) fn distort(self, liar: &mut Liar, message: FromHolder) -> Vec<FromHolder> {
        let round_ctx = *message.round_ctx();
        match (self, message) {
            (lie, FromHolder::Released(release)) => lie.distort_release(liar, *release),
            (Self::SecondVote, FromHolder::Voted { set, vote, .. }) => {
                let other = hash(Domain::Set, &[b"another set", &set.0]);
                let signature = liar.identity.sign(Statement::Vote, &round_ctx, &other.0);
                let second = Vote { holder: liar.seat, signature };
                vec![
                    FromHolder::Voted { round_ctx, set: other, vote: second },
                    FromHolder::Voted { round_ctx, set, vote },
                ]
            }
            (lie, FromHolder::Checked { total, mut complaints, .. }) => {
                let shown: Vec<_> = liar.shown.iter().map(|(header, _)| *header).collect();
                for header in &shown[..lie.false_complaints(shown.len())] {
                    complaints.push(lie.complain(&liar.identity, round_ctx, liar.seat, *header));
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
            (lie, message) => lie.distort_audit(liar, message),
        }
    }

    /// The same, of what is said in an audit.
    fn distort_audit(self, liar: &Liar, message: FromHolder) -> Vec<FromHolder> {
        let round_ctx = *message.round_ctx();
        let other = |digest: &Digest| hash(Domain::Body, &[b"another", &digest.0]);
        let vote = |statement, digest: &Digest| {
            let signature = liar.identity.sign(statement, &round_ctx, &digest.0);
            Vote { holder: liar.seat, signature }
        };
        match (self, message) {
            (
                Self::SilentAudit,
                FromHolder::Drawn { .. }
                | FromHolder::Listed { .. }
                | FromHolder::Opened(_)
                | FromHolder::Judged { .. },
            ) => Vec::new(),
            (Self::WrongBeacon, FromHolder::Drawn { usage, mut drawn, .. }) => {
                drawn.values[0] = other(&drawn.values[0]);
                let of = match usage {
                    Use::Check => liar.list.unwrap_or(Digest::ZERO),
                    _ => liar.set.unwrap_or(Digest::ZERO),
                };
                let body = Drawn::body((usage, &of), &drawn.values);
                drawn.signature = liar.identity.sign(Statement::Beacon, &round_ctx, &body);
                vec![FromHolder::Drawn { round_ctx, usage, drawn }]
            }
            (Self::WrongOpening | Self::TwoOpenings, FromHolder::Opened(part)) => {
                let mut openings = part.openings.clone();
                openings[0] ^= 1;
                let by = (liar.seat, &*liar.identity);
                let wrong = Part::sign((round_ctx, part.list), part.component, openings, by);
                let mut said = vec![FromHolder::Opened(Box::new(wrong))];
                if self == Self::TwoOpenings {
                    said.push(FromHolder::Opened(part));
                }
                said
            }
            (Self::SilentCredit, FromHolder::Credited(_) | FromHolder::Attested { .. }) => {
                Vec::new()
            }
            (Self::WrongNumbers | Self::TwoNumbers, FromHolder::Credited(part)) => {
                let mut openings = part.openings.clone();
                openings[0] ^= 1;
                let (about, by) = ((round_ctx, part.list), (liar.seat, &*liar.identity));
                let statement = Statement::CreditPart;
                let wrong = Part::sign_as(statement, about, part.component, openings, by);
                let mut said = vec![FromHolder::Credited(Box::new(wrong))];
                if self == Self::TwoNumbers {
                    said.push(FromHolder::Credited(part));
                }
                said
            }
            (Self::OtherEvidence, FromHolder::Attested { attestation, .. }) => {
                let attestation = other(&attestation);
                let vote = vote(Statement::Evidence, &attestation);
                vec![FromHolder::Attested { round_ctx, attestation, vote }]
            }
            (Self::OtherList, FromHolder::Listed { list, .. }) => {
                let list = other(&list);
                let vote = vote(Statement::ProofList, &list);
                vec![FromHolder::Listed { round_ctx, list, vote }]
            }
            (Self::OtherVerdict, FromHolder::Judged { mut verdict, .. }) => {
                verdict.set = other(&verdict.set);
                let vote = vote(Statement::Verdict, &verdict.digest());
                vec![FromHolder::Judged { round_ctx, verdict, vote }]
            }
            (_, honest) => vec![honest],
        }
    }

    fn distort_release(self, liar: &mut Liar, release: Release) -> Vec<FromHolder> {
        let (round_ctx, set) = (release.round_ctx, release.set);
        let count = release.sums.len();
        let earlier = liar.earlier(&release).cloned();
        let releases = match self {
            Self::WrongRelease => vec![falsify(&liar.identity, release, count)],
            Self::OneWrongSum => vec![falsify(&liar.identity, release, 1)],
            Self::TwoReleases => vec![falsify(&liar.identity, release.clone(), 1), release],
            Self::ReplayedRelease => vec![earlier.unwrap_or(release)],
            Self::ReplayedSums => {
                let sums = earlier.map_or_else(|| release.sums.clone(), |earlier| earlier.sums);
                vec![liar.sign(round_ctx, set, sums)]
            }
            Self::SumsOfOtherSet => vec![liar.sign(round_ctx, set, liar.sums_of_all_but_one())],
            Self::CountsOnce => {
                let sums = liar.sums_of_each_once(&set).unwrap_or_else(|| release.sums.clone());
                vec![liar.sign(round_ctx, set, sums)]
            }
            Self::ReleaseOfOtherSet => {
                let other = hash(Domain::Set, &[b"all but one", &set.0]);
                vec![liar.sign(round_ctx, other, liar.sums_of_all_but_one())]
            }
            Self::Silence => Vec::new(),
            Self::Refusal => {
                let refusal = Refusal::AlreadyVoted;
                return vec![FromHolder::Refused { round_ctx, refusal }];
            }
            _ => vec![release],
        };
        releases.into_iter().map(|release| FromHolder::Released(Box::new(release))).collect()
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

/// A lying holder: all that it has and remembers.
pub(crate) struct Liar {
    pub(crate) identity: Arc<Identity>,
    pub(crate) secret: Arc<SealingSecret>,
    pub(crate) seat: HolderIndex,
    /// The latest terms it was shown, and every envelope under them with its header's digest.
    config: Option<RoundConfig>,
    shown: Vec<(Digest, Envelope)>,
    /// What beacons are drawn for.
    set: Option<Digest>,
    list: Option<Digest>,
    /// What it would have released, were it honest, in order.
    releases: Vec<Release>,
}

impl Liar {
    pub(crate) fn new(
        identity: Arc<Identity>,
        secret: Arc<SealingSecret>,
        seat: HolderIndex,
    ) -> Self {
        Self {
            identity,
            secret,
            seat,
            config: None,
            shown: Vec::new(),
            set: None,
            list: None,
            releases: Vec::new(),
        }
    }

    /// Remembers what the coordinator says.
    pub(crate) fn hear(&mut self, message: &ToHolder) {
        match message {
            ToHolder::Propose { config, .. } if self.config.as_ref() != Some(&**config) => {
                self.config = Some((**config).clone());
                self.shown.clear();
            }
            ToHolder::Envelopes { round_ctx, batch, .. } => {
                let Some(config) = &self.config else { return };
                for envelope in batch {
                    let digest = envelope.digest(round_ctx, config.shape, self.seat);
                    let digest = digest.expect("of this committee");
                    if self.shown.iter().all(|(known, _)| *known != digest) {
                        self.shown.push((digest, envelope.clone()));
                    }
                }
            }
            ToHolder::Certified { certificate, .. } => self.set = Some(certificate.set),
            ToHolder::Listed { certificate } => self.list = Some(certificate.set),
            _ => {}
        }
    }

    /// Its release of an earlier round than `release`, which it remembers.
    fn earlier(&mut self, release: &Release) -> Option<&Release> {
        let now = release.round_ctx;
        if self.releases.iter().all(|known| known.round_ctx != now) {
            self.releases.push(release.clone());
        }
        self.releases.iter().rev().find(|known| known.round_ctx != now)
    }

    /// R_T over all contributions with a good box but the first.
    fn sums_of_all_but_one(&self) -> Vec<Vec<u8>> {
        let config = self.config.as_ref().expect("it was shown terms");
        let context = config.context();
        let open = |(_, envelope): &(Digest, Envelope)| {
            let opened = open_envelope(config, &context, self.seat, &self.secret, envelope);
            Some((envelope.client, opened.ok()?))
        };
        let seeds: Vec<(PartyId, _)> = self.shown.iter().filter_map(open).collect();
        let seeds = seeds.iter().skip(1).map(|(client, seeds)| (*client, seeds));
        component_sums(config, &context, self.seat, seeds)
    }

    /// R_T over all contributions that it was shown, each once, where these are the set.
    fn sums_of_each_once(&self, set: &Digest) -> Option<Vec<Vec<u8>>> {
        let config = self.config.as_ref()?;
        let context = config.context();
        let mut shown: Vec<_> = self.shown.iter().collect();
        shown.sort_by_key(|(_, envelope)| envelope.client);
        let headers: Vec<Digest> = shown.iter().map(|(header, _)| *header).collect();
        if covey_aggregation::config::set_digest(&context, &headers) != *set {
            return None;
        }
        let open = |(_, envelope): &&(Digest, Envelope)| {
            let opened = open_envelope(config, &context, self.seat, &self.secret, envelope);
            Some((envelope.client, opened.ok()?))
        };
        let seeds = shown.iter().map(open).collect::<Option<Vec<_>>>()?;
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        Some(component_sums(config, &context, self.seat, seeds))
    }

    fn sign(&self, round_ctx: Digest, set: Digest, sums: Vec<Vec<u8>>) -> Release {
        let body = Release::body(&set, &sums);
        let signature = self.identity.sign(Statement::Release, &round_ctx, &body);
        Release { round_ctx, set, holder: self.seat, sums, signature }
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
    /// Every box has its contents broken: every holder can prove it.
    BrokenContents,
    /// A key commitment that holder 0 cannot match: nobody can tell who is at fault.
    WrongBoxKey,
    /// Holder 0's box is random bytes: nobody can tell who is at fault.
    RandomBox,
    /// Chunks that are no encryption of anything: the sum opens to nonsense.
    Garbage,
    /// A correction that makes no key of the seeds: the sum of the keys is not short.
    WrongCorrection,
    /// Holder 0's box is a byte short: it is refused before it is stored.
    ShortBox,
    /// Two sealed updates, each of them good, and both of them sent every time.
    TwoMessages,
    /// An update that is much longer than the terms allow. (Without an audit nobody sees it.)
    HugeNorm,
    /// A proof of other projections than its own, properly signed.
    FalseProof,
    /// An update as long as the terms allow, and one example declared for it.
    Undercounts,
}

impl OwnerLie {
    pub(crate) const ALL: [Self; 8] = [
        Self::ShortBox,
        Self::WrongCommitment,
        Self::BrokenContents,
        Self::WrongBoxKey,
        Self::RandomBox,
        Self::Garbage,
        Self::WrongCorrection,
        Self::TwoMessages,
    ];

    /// Whether one such contribution in the set is enough for nothing to open.
    pub(crate) const fn spoils(self) -> bool {
        matches!(self, Self::Garbage | Self::WrongCorrection)
    }

    /// Whether a holder can only say that something is wrong.
    pub(crate) const fn is_undecidable(self) -> bool {
        matches!(self, Self::WrongBoxKey | Self::RandomBox)
    }

    pub(crate) fn distort(self, identity: &Identity, mut upload: Upload) -> Upload {
        let mut header = upload.header.header;
        let other = hash(Domain::Body, &[b"something else"]);
        match self {
            Self::WrongCommitment => header.components[0] = other,
            Self::BrokenContents => {
                for (sealed_box, digest) in upload.boxes.iter_mut().zip(&mut header.boxes) {
                    // Behind both key exchanges.
                    sealed_box[1088 + 32] ^= 1;
                    *digest = hash(Domain::SealedBox, &[sealed_box]);
                }
            }
            Self::WrongBoxKey => header.box_keys[0] = other,
            Self::RandomBox => {
                let mut noise = other;
                for bytes in upload.boxes[0].chunks_mut(32) {
                    noise = hash(Domain::Body, &[&noise.0]);
                    bytes.copy_from_slice(&noise.0[..bytes.len()]);
                }
                header.boxes[0] = hash(Domain::SealedBox, &[&upload.boxes[0]]);
            }
            Self::ShortBox => {
                upload.boxes[0].pop();
                header.boxes[0] = hash(Domain::SealedBox, &[&upload.boxes[0]]);
            }
            Self::Garbage => {
                for byte in &mut upload.chunks[0] {
                    *byte ^= 0x55;
                }
                let leaves = (0..).zip(&upload.chunks).map(|(i, bytes)| chunk_leaf(i, bytes));
                header.chunks_root = merkle_root(&leaves.collect::<Vec<_>>());
            }
            Self::WrongCorrection => {
                // Still below the prime in every entry.
                upload.correction.fill(0);
                header.correction = hash(Domain::Correction, &[&upload.correction]);
            }
            Self::TwoMessages | Self::HugeNorm | Self::FalseProof | Self::Undercounts => {}
        }
        upload.header = SignedHeader::sign(header, identity);
        upload
    }
}
