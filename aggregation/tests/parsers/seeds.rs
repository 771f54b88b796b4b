//! Inputs that parsers accept: made from `tests/vectors/round.json`, a whole small round.

use std::time::{Duration, SystemTime};

use covey_aggregation::audit::Terms as Bounds;
use covey_aggregation::audit::opening::Failure;
use covey_aggregation::audit::part::opening_bytes;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::config::{Audit, Control, HolderIndex, Noise, Profile, RoundConfig};
use covey_aggregation::credit::{CreditTerms, Debt, Evidence, RoundEvidence, TermsDraft, settle};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    AbandonReason, AuditStep, Complaint, ComplaintKind, Decline, Envelope, FromClient, FromHolder,
    HolderFault, MissingReason, NoCredit, NoteBytes, Outcome, Phase, Receipt, RecordBytes, Refusal,
    Release, Report, SignedHeader, ToClient, ToHolder,
};
use covey_aggregation::net::roster_file::to_json;
use covey_aggregation::net::{Authority, BulkAnswer, BulkRequest, IdentityKey, Request, Validity};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::credits::{credits_to_json, evidence_to_json};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::record::{HolderRecord, ParticipantRecord, RoundRecord};
use covey_aggregation::research::StatementBytes;
use covey_aggregation::roster::Roster;
use covey_aggregation::round::{Opened, Terms, Timings};
use covey_aggregation::signing::Signature;
use covey_aggregation::strategy::{ClipSteps, Kept, State};
use covey_aggregation::sum::open::Aggregate;
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::time::Time;
use covey_aggregation::wire::encode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use zeroize::Zeroizing;

use super::digest;

/// Plans of the examples: images, a table, text.
const PLANS: [&str; 3] = [
    include_str!("../../../examples/plans/digits-cnn.toml"),
    include_str!("../../../examples/plans/heart-mlp.toml"),
    include_str!("../../../examples/plans/shakespeare-transformer.toml"),
];

const CONFIGURATION: &str = "schema = \"holder/1\"\ncoordinator = \"a.example:7443\"\n\
    folder = \".\"\n[limits]\nrounds = 10\nnames = [\"a\", \"b\"]\nshare = 0.5\n";

/// Some text.
fn note() -> NoteBytes {
    NoteBytes::new(b"covey\n7\n".to_vec()).expect("short")
}

/// One contribution.
pub struct Upload {
    pub header: SignedHeader,
    pub correction: Vec<u8>,
    pub boxes: Vec<Vec<u8>>,
    pub chunks: Vec<Vec<u8>>,
}

impl Upload {
    /// Correction, boxes, chunks.
    pub fn parts(&self) -> Vec<Vec<u8>> {
        let rest = self.boxes.iter().chain(&self.chunks).cloned();
        std::iter::once(self.correction.clone()).chain(rest).collect()
    }
}

/// The round.
pub struct Seeds {
    pub config: RoundConfig,
    pub round_ctx: Digest,
    pub roster: Roster,
    pub uploads: Vec<Upload>,
    pub secrets: Vec<SealingSecret>,
    pub result: RoundResult,
    pub publication: Publication,
}

/// Evidence of eight rounds, with and without the scores that are released now and then; two owners
/// are flagged.
fn epoch() -> Vec<RoundEvidence> {
    let one = |round: u32, index: u8| {
        let s = if index == 4 { -70 } else { i64::from(round * round % 7) + 50 };
        Evidence { owner: PartyId([index; 32]), count: 9, s, novelty: s, harm: s }
    };
    let round = |round: u32| {
        let contributions = (1..=4).map(|index| one(round, index)).collect();
        let evidence = RoundEvidence::new(round, digest(round as u8), contributions)?;
        if round.is_multiple_of(2) { Ok(evidence) } else { evidence.with_public(vec![1, -2, 3, 0]) }
    };
    (1..=8).map(|number| round(number).expect("good evidence")).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("text");
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().expect("a list").iter().map(bytes).collect()
}

fn value<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    covey_aggregation::wire::decode(bytes, 1 << 20).expect("a value of the vectors")
}

impl Seeds {
    pub fn read() -> Self {
        let text = include_str!("../vectors/round.json");
        let file: Value = serde_json::from_str(text).expect("JSON");
        let case = &file["valid"][0];
        let signature =
            |value: &Value| Signature::from_bytes(bytes(value).try_into().expect("64 bytes"));
        let upload = |value: &Value| Upload {
            header: SignedHeader {
                header: self::value(&bytes(&value["header"])),
                signature: signature(&value["signature"]),
            },
            correction: bytes(&value["correction"]),
            boxes: list(&value["boxes"]),
            chunks: list(&value["chunks"]),
        };
        let secret = |bytes: Vec<u8>| {
            SealingSecret::from_seed(&Zeroizing::new(bytes.try_into().expect("96 bytes")))
        };
        let config: RoundConfig = value(&bytes(&case["config"]));
        let result: RoundResult = value(&bytes(&case["result"]));
        let signature = signature(&case["publication_signature"]);
        Self {
            round_ctx: config.context(),
            config,
            roster: value(&bytes(&case["roster"])),
            uploads: case["uploads"].as_array().expect("a list").iter().map(upload).collect(),
            secrets: list(&case["sealing_seeds"]).into_iter().map(secret).collect(),
            publication: Publication { result: result.clone(), signature },
            result,
        }
    }

    /// The bounds of the round as if it were audited.
    pub fn audit(&self) -> Bounds {
        let mut config = self.config.clone();
        (config.profile, config.audit) = (Profile::B, Audit::Closed { rows: 64 });
        Bounds::new(&config).expect("can be audited")
    }

    /// Zeros, and numbers as large as they may be in the salt and the range rows, which have no
    /// other rule.
    pub fn audit_proof(&self) -> Vec<Vec<u8>> {
        let length = Proof::length(&self.audit());
        let mut filled = vec![0; length];
        filled[..16].fill(0xff);
        filled[length - 576..].fill(0x7f);
        vec![vec![0; length], filled]
    }

    pub fn audit_openings(&self) -> Vec<Vec<u8>> {
        let length = opening_bytes(&self.audit());
        [0, 1, 3].map(|count| vec![0; count * length]).to_vec()
    }

    pub fn audit_values(&self) -> Vec<Vec<u8>> {
        [0, 2, 8].map(|count| vec![0; count * 25]).to_vec()
    }

    pub fn strategy_state(&self) -> Vec<Vec<u8>> {
        let numbers = || vec![0.5, -1.0, f64::MAX];
        let clip = ClipSteps::new(-70);
        let kept = [
            State::default(),
            State::of(Kept::Momentum { velocity: numbers() }),
            State::of(Kept::Control { variate: numbers() }),
            State { clip, ..State::default() },
            State { kept: Kept::Adaptive { first: numbers(), second: numbers() }, clip },
        ];
        kept.iter().map(State::encode).collect()
    }

    fn set(&self) -> Vec<Digest> {
        self.uploads.iter().map(|upload| upload.header.header.digest()).collect()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let report = self.result.report.clone();
        let client = self.result.cohort[0];
        let faults = [
            HolderFault::Silent(Phase::Vote),
            HolderFault::Refused(Phase::Select),
            HolderFault::WrongRelease,
            HolderFault::FalseComplaint,
            HolderFault::Disagrees,
            HolderFault::OtherVote,
            HolderFault::WrongBeacon,
            HolderFault::WrongOpening,
            HolderFault::OtherVerdict,
            HolderFault::Silent(Phase::Audit),
        ];
        let missing = [
            MissingReason::NoAnswer,
            MissingReason::Declined(Decline::Data),
            MissingReason::BadBox(HolderIndex(1)),
            MissingReason::Disputed(HolderIndex(2)),
            MissingReason::Abandoned,
            MissingReason::Unproven(Some(Decline::Lost)),
            MissingReason::Unproven(None),
            MissingReason::Failed(Failure::Range),
        ];
        let full = Report {
            counted: self.result.cohort.clone(),
            missing: missing.map(|reason| (client, reason)).to_vec(),
            faults: faults.map(|fault| (HolderIndex(3), fault)).to_vec(),
            no_credit: Some(NoCredit::NotOpened { got: 1, needed: 2 }),
        };
        let reasons = [
            AbandonReason::NotCountersigned { got: 1, needed: 3 },
            AbandonReason::TooFewContributions { got: 2, needed: 300 },
            AbandonReason::NotCertified { got: 2, needed: 3 },
            AbandonReason::NotReleased { got: 1, needed: 2 },
            AbandonReason::Spoiled("why".into()),
            AbandonReason::Stopped,
            AbandonReason::NotAudited { step: AuditStep::Open, got: 1, needed: 2 },
        ];
        let abandoned = reasons.map(|reason| Outcome::Abandoned { reason, report: full.clone() });
        [vec![Outcome::Done(report)], abandoned.to_vec()].concat()
    }

    fn refusals() -> Vec<Refusal> {
        vec![
            Refusal::UnknownRound,
            Refusal::Malformed("why".into()),
            Refusal::Terms("these".into()),
            Refusal::SetSize { got: 2, min: 3, max: 300 },
            Refusal::BadSet("that".into()),
            Refusal::Busy { retry_after_ms: 1000 },
            Refusal::BadBeacon("why".into()),
            Refusal::Misread(PartyId([7; 32])),
            Refusal::Directions("why".into()),
            Refusal::Evidence("why".into()),
        ]
    }

    fn complaints(&self) -> Vec<Complaint> {
        let (round_ctx, header) = (self.round_ctx, self.set()[0]);
        let signature = self.publication.signature;
        let kinds = [ComplaintKind::Contents { box_key: [7; 32] }, ComplaintKind::Key];
        kinds
            .map(|kind| Complaint { round_ctx, header, holder: HolderIndex(1), kind, signature })
            .to_vec()
    }

    fn releases(&self) -> Vec<Release> {
        let (round_ctx, set) = (self.round_ctx, self.result.certificate.set);
        let signature = self.publication.signature;
        let vector = self.uploads[0].correction.clone();
        [vec![vector; 3], vec![vec![1, 2, 3]; 3], Vec::new()]
            .map(|sums| Release { round_ctx, set, holder: HolderIndex(1), sums, signature })
            .to_vec()
    }

    fn receipt(&self) -> Receipt {
        let signature = self.publication.signature;
        Receipt { round_ctx: self.round_ctx, header: self.set()[0], signature }
    }

    pub fn to_holder(&self) -> Vec<Vec<u8>> {
        let (round_ctx, set) = (self.round_ctx, self.set());
        let envelope = |upload: &Upload| {
            let sealed_box = upload.boxes[0].clone();
            Envelope::new(&upload.header, HolderIndex(0), sealed_box).expect("a seat")
        };
        let batch: Vec<_> = self.uploads.iter().map(envelope).collect();
        let small = Envelope { sealed_box: vec![1, 2], ..batch[0].clone() };
        let certificate = self.result.certificate.clone();
        let mut messages = vec![
            ToHolder::Propose {
                config: Box::new(self.config.clone()),
                cohort: self.result.cohort.clone(),
                beacons: Vec::new(),
                attested: None,
            },
            ToHolder::Envelopes { round_ctx, total: 3, batch },
            ToHolder::Envelopes { round_ctx, total: 1, batch: vec![small] },
            ToHolder::Set { round_ctx, set: set.clone() },
            ToHolder::Certified { set, certificate },
            ToHolder::Approve { roster: Box::new(self.certified_roster().roster) },
            ToHolder::Cosign {
                old_size: 3,
                proof: vec![digest(4); 2],
                checkpoint: note(),
                published: Some(note()),
            },
        ];
        messages.extend(
            self.outcomes().into_iter().map(|outcome| ToHolder::Ended { round_ctx, outcome }),
        );
        messages.extend(self.audit_to_holder());
        messages.iter().map(encode).collect()
    }

    pub fn holder_says(&self) -> Vec<Vec<u8>> {
        let (round_ctx, vote) = (self.round_ctx, self.result.certificate.votes[0].clone());
        let signature = self.result.countersignatures[0].clone();
        let set = self.result.certificate.set;
        let mut messages = vec![
            FromHolder::Countersigned { round_ctx, signature },
            FromHolder::Checked { round_ctx, total: 3, complaints: self.complaints() },
            FromHolder::Voted { round_ctx, set, vote },
            FromHolder::Lacking { round_ctx },
            FromHolder::Approved {
                roster: digest(1),
                vote: self.certified_roster().votes[0].clone(),
            },
            FromHolder::Cosigned { note: digest(2), line: note() },
            FromHolder::NotCosigned { note: digest(2), size: Some(7), code: 409 },
        ];
        let refused = Self::refusals().into_iter();
        messages.extend(refused.map(|refusal| FromHolder::Refused { round_ctx, refusal }));
        messages.extend(self.releases().into_iter().map(|one| FromHolder::Released(Box::new(one))));
        messages.extend(self.audit_holder_says());
        messages.iter().map(encode).collect()
    }

    pub fn to_client(&self) -> Vec<Vec<u8>> {
        let round_ctx = self.round_ctx;
        let mut messages = vec![
            ToClient::Open {
                config: Box::new(self.config.clone()),
                countersignatures: self.result.countersignatures.clone(),
            },
            ToClient::Receipt(self.receipt()),
        ];
        let refused = Self::refusals().into_iter();
        messages.extend(refused.map(|refusal| ToClient::Refused { round_ctx, refusal }));
        let ended = self.outcomes().into_iter();
        messages.extend(ended.map(|outcome| ToClient::Ended { round_ctx, outcome }));
        let (certificate, rows) = (self.result.certificate.clone(), self.drawing());
        messages.push(ToClient::Prove { round_ctx, certificate, rows });
        let record = RecordBytes::new(b"{}".to_vec()).expect("short");
        messages.push(ToClient::Recorded { about: round_ctx, record });
        messages.iter().map(encode).collect()
    }

    pub fn client_says(&self) -> Vec<Vec<u8>> {
        let round_ctx = self.round_ctx;
        let declined = FromClient::Declined { round_ctx, reason: Decline::Policy };
        let proven = FromClient::Proven { round_ctx, proven: Box::new(self.proven()) };
        let unrecorded = FromClient::Unrecorded { about: round_ctx };
        let statement = StatementBytes::new(b"{}".to_vec()).expect("short");
        let report = FromClient::Report { round_ctx, statement };
        let messages = [declined, FromClient::Pending { round_ctx }, proven, unrecorded, report];
        messages.iter().map(encode).collect()
    }

    pub fn bulk_request(&self) -> Vec<Vec<u8>> {
        let header = Box::new(self.uploads[0].header.clone());
        let requests = [
            BulkRequest::Plan(digest(1)),
            BulkRequest::Model(digest(2)),
            BulkRequest::Contribution(header),
            BulkRequest::Stored(digest(3)),
        ];
        requests.iter().map(encode).collect()
    }

    pub fn bulk_answer(&self) -> Vec<Vec<u8>> {
        let answers = [
            BulkAnswer::Follows { bytes: 300 },
            BulkAnswer::Accepted { from: 0 },
            BulkAnswer::Stored,
        ];
        let refused = Self::refusals().into_iter().map(BulkAnswer::Refused);
        answers.into_iter().chain(refused).map(|answer| encode(&answer)).collect()
    }

    pub fn round_record(&self) -> Vec<Vec<u8>> {
        let at = Time(1_000);
        let timings = Timings {
            select_ms: 1_000,
            collect_ms: self.config.collect_ms,
            collect_again_ms: 0,
            vote_ms: 3_000,
            release_ms: 4_000,
            audit_ms: 2_500,
            resend_ms: 100,
        };
        let (config, cohort) = (self.config.clone(), self.result.cohort.clone());
        let opened = Opened { aggregate: digest(1), key_sum: digest(2), count: 3, weight: 3 };
        let mut records = vec![
            RoundRecord::Opened {
                terms: Box::new(Terms {
                    config,
                    cohort,
                    timings,
                    beacons: Vec::new(),
                    retired: vec![1, 2, 300],
                    attested: Some(Box::new(self.attested())),
                }),
                at,
            },
            RoundRecord::Collecting {
                countersignatures: self.result.countersignatures.clone(),
                at,
            },
            RoundRecord::Contributed { header: Box::new(self.uploads[0].header.clone()), at },
            RoundRecord::Declined { client: self.result.cohort[0], reason: Decline::Leaving },
            RoundRecord::Checking { at },
            RoundRecord::Voting {
                set: self.set(),
                dropped: vec![(self.result.cohort[0], MissingReason::BadBox(HolderIndex(1)))],
                faults: vec![(HolderIndex(2), HolderFault::FalseComplaint)],
                at,
            },
            RoundRecord::Certified { certificate: self.result.certificate.clone(), at },
        ];
        records.extend(self.audit_records(at));
        for outcome in self.outcomes() {
            records.push(RoundRecord::Ended { outcome, opened: Some(opened), at });
        }
        records.iter().map(encode).collect()
    }

    pub fn holder_record(&self) -> Vec<Vec<u8>> {
        let (run, round_ctx, set) = (digest(1), self.round_ctx, digest(3));
        let records = [
            HolderRecord::Countersigned { run, round: 300, round_ctx },
            HolderRecord::Voted { run, round_ctx, set },
            HolderRecord::Released { run, round_ctx, set },
            HolderRecord::Listed { run, round_ctx, list: set },
            HolderRecord::Judged { run, round_ctx, verdict: set },
            HolderRecord::Approved { number: 300, roster: set },
        ];
        records.iter().map(encode).collect()
    }

    pub fn participant_record(&self) -> Vec<Vec<u8>> {
        let (run, round_ctx, header) = (digest(1), self.round_ctx, digest(3));
        let records = [
            ParticipantRecord::Sealed { run, round: 300, round_ctx, header },
            ParticipantRecord::Receipted { receipt: self.receipt() },
            ParticipantRecord::Ended { round_ctx, counted: true },
        ];
        records.iter().map(encode).collect()
    }

    pub fn signed_header(&self) -> Vec<Vec<u8>> {
        self.uploads.iter().map(|upload| encode(&upload.header)).collect()
    }

    pub fn release(&self) -> Vec<Vec<u8>> {
        self.releases().iter().map(encode).collect()
    }

    pub fn certificate(&self) -> Vec<Vec<u8>> {
        vec![encode(&self.result.certificate)]
    }

    pub fn complaint(&self) -> Vec<Vec<u8>> {
        self.complaints().iter().map(encode).collect()
    }

    pub fn outcome(&self) -> Vec<Vec<u8>> {
        self.outcomes().iter().map(encode).collect()
    }

    pub fn aggregate(&self) -> Vec<Vec<u8>> {
        let none = Aggregate { sums: Vec::new(), ..self.result.aggregate.clone() };
        let whole = Aggregate {
            control: vec![0, -1, i32::MAX, i32::MIN],
            counters: vec![0, 300, u64::MAX],
            ..self.result.aggregate.clone()
        };
        [&self.result.aggregate, &none, &whole].map(encode).to_vec()
    }

    pub fn publication(&self) -> Vec<Vec<u8>> {
        let mut small = self.publication.clone();
        small.result.key_sum.truncate(9);
        small.result.config.committee.truncate(1);
        let mut audited = small.clone();
        audited.result.audit = Some(Box::new(self.audit_record()));
        vec![self.publication.encode(), small.encode(), audited.encode()]
    }

    pub fn terms(&self) -> Vec<Vec<u8>> {
        let owners = self.config.contributions_max;
        let control = Control { range: 0.5, clip_norm: 2.0, owners, variate: digest(1) };
        let whole = RoundConfig { control: Some(control), counters: 5, ..self.config.clone() };
        assert_eq!(whole.validate(), Ok(()));
        // Noise that is nobody's is a message too.
        let noise = Noise {
            share_numerator: 1 << 40,
            share_denominator: 3,
            colluding_max: 1,
            signal_squared_max: 1 << 20,
            vote_units: 9,
        };
        let noisy = RoundConfig { noise: Some(noise), ..self.config.clone() };
        [&self.config, &whole, &noisy].map(encode).to_vec()
    }

    pub fn frame(&self) -> Vec<Vec<u8>> {
        let framed = |body: &Vec<u8>| [&(body.len() as u32).to_le_bytes()[..], body].concat();
        let mut bodies = [self.greeting(), self.client_says(), self.welcome()].concat();
        // Proofs are longer than the frames of this parser.
        bodies.retain(|body| body.len() < 4096);
        let stream: Vec<u8> = bodies.iter().flat_map(framed).collect();
        [0, 6, 255].map(|step| [&[step][..], &stream].concat()).to_vec()
    }

    pub fn contribution(&self) -> Vec<Vec<u8>> {
        let headers = self.signed_header().into_iter().map(|bytes| [vec![0], bytes].concat());
        let changed = [vec![1], vec![1, 0, 9, 0, 1], vec![2, 5, 0, 0, 0, 2, 1, 2, 0]];
        headers.chain(changed).collect()
    }

    pub fn sealed_box(&self) -> Vec<Vec<u8>> {
        self.uploads.iter().map(|upload| upload.boxes[0].clone()).collect()
    }

    pub fn key_vectors(&self) -> Vec<Vec<u8>> {
        vec![
            self.uploads[0].correction.clone(),
            self.result.key_sum.clone(),
            vec![0],
            vec![0xff, 0xff, 0xff, 0x7f],
            [64 * self.config.contributions_max as i32, -3].map(i32::to_le_bytes).concat(),
        ]
    }

    pub fn plan(&self) -> Vec<Vec<u8>> {
        PLANS.map(|plan| plan.as_bytes().to_vec()).to_vec()
    }

    pub fn configuration(&self) -> Vec<Vec<u8>> {
        vec![CONFIGURATION.as_bytes().to_vec()]
    }

    pub fn roster(&self) -> Vec<Vec<u8>> {
        let mut small = self.roster.clone();
        small.members.truncate(1);
        [&self.roster, &small].map(|roster| to_json(roster).into_bytes()).to_vec()
    }

    pub fn evidence(&self) -> Vec<Vec<u8>> {
        epoch().iter().map(encode).collect()
    }

    pub fn evidence_file(&self) -> Vec<Vec<u8>> {
        let text = |round| evidence_to_json(&digest(7), round).into_bytes();
        epoch().iter().map(text).collect()
    }

    pub fn credits_file(&self) -> Vec<Vec<u8>> {
        let draft = TermsDraft { contributions_min: 3, ..TermsDraft::usual(1000, 8) };
        let terms = CreditTerms::check(draft).expect("good terms");
        let debts = [Debt { owner: PartyId([9; 32]), micro: 5 }];
        let settlement = settle(&terms, &epoch(), &debts).expect("it can be settled");
        vec![credits_to_json(&terms, &debts, &settlement).into_bytes()]
    }

    pub fn request(&self) -> Vec<Vec<u8>> {
        let key = IdentityKey::from_seed(Zeroizing::new([1; 32]));
        let name = || "a".parse().expect("a name");
        let owner = Request::create(&key, name(), Role::DataOwner, None);
        let holder = Request::create(&key, name(), Role::Holder, Some(self.secrets[0].public()));
        [owner, holder].map(|one| one.expect("a request").to_json().into_bytes()).to_vec()
    }

    pub fn member_certificate(&self) -> Vec<Vec<u8>> {
        let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let federation = self.roster.federation.clone();
        let authority = Authority::create(federation, Zeroizing::new([1; 32]), from);
        let authority = authority.expect("an authority");
        let validity = Validity { from, days: 7 };
        let issue = |index: usize| {
            let pem = authority.issue(&self.roster.members[index], validity).expect("issued");
            CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec()
        };
        vec![issue(0), issue(1), issue(self.roster.members.len() - 1)]
    }
}
