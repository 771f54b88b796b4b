//! `round.json`: a whole small round, every public byte of it and every secret seed. The files
//! `upload`, `complaint`, `certificate`, `release`, `opening` and `publication` start from it.

use std::sync::LazyLock;

use covey_aggregation::config::{HolderIndex, Profile, RoundConfig, cohort_digest, set_digest};
use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::message::{
    Certificate, Countersignature, Header, MissingReason, Report, SignedHeader, Vote,
};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::signing::{Identity, Signature, Statement};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{KeySum, open};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::wire;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::case::{Case, File, NAME, digest, hex, read, splice_between, spliced, unhex};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::{
    accepts, hash as plain_hash, header_digest, merkle_root, signed_bytes, unpack,
};
use crate::reference::ring::Ring;
use crate::support::{Fixture, Terms, Upload, agreed};

/// d of the round.
const DIMENSION: u64 = 20;

/// The seed of [`crate::support::identity`].
fn seed(kind: u8, index: u32) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..4].copy_from_slice(&index.to_le_bytes());
    seed
}

fn units(index: u32) -> Vec<i32> {
    (0..DIMENSION as i32).map(|i| (i * 13 + index as i32 * 50) % 255 - 127).collect()
}

/// One contribution, its parts as bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seed: [u8; 32],
    pub(crate) units: Vec<i32>,
    pub(crate) header: Vec<u8>,
    pub(crate) signature: [u8; 64],
    pub(crate) correction: Vec<u8>,
    pub(crate) boxes: Vec<Vec<u8>>,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Stored {
    fn of(index: u32, upload: &Upload) -> Self {
        let sealed = &upload.sealed;
        Self {
            seed: seed(0xc1, index),
            units: units(index),
            header: wire::encode(&sealed.header.header),
            signature: sealed.header.signature.to_bytes(),
            correction: sealed.correction.clone(),
            boxes: sealed.boxes.clone(),
            chunks: upload.chunks.clone(),
        }
    }

    pub(crate) fn header(&self) -> Header {
        wire::decode(&self.header, 1 << 20).expect("a header")
    }

    pub(crate) fn set_header(&mut self, change: impl FnOnce(&mut Header)) {
        let mut header = self.header();
        change(&mut header);
        self.header = wire::encode(&header);
    }

    pub(crate) fn signed_header(&self) -> SignedHeader {
        SignedHeader { header: self.header(), signature: Signature::from_bytes(self.signature) }
    }

    /// The client signs for what the header says now.
    pub(crate) fn sign_again(&mut self) {
        let identity = Identity::from_seed(&Zeroizing::new(self.seed));
        self.signature = SignedHeader::sign(self.header(), &identity).signature.to_bytes();
    }

    /// Puts the digests of the boxes as they are now into the header.
    pub(crate) fn commit_to_boxes(&mut self) {
        let boxes = self.boxes.iter().map(|one| hash(Domain::SealedBox, &[one])).collect();
        self.set_header(|header| header.boxes = boxes);
    }

    pub(crate) fn commit_to_correction(&mut self) {
        let digest = hash(Domain::Correction, &[&self.correction]);
        self.set_header(|header| header.correction = digest);
    }

    pub(crate) fn commit_to_chunks(&mut self) {
        let root = Digest(merkle_root(&self.chunks));
        self.set_header(|header| header.chunks_root = root);
    }

    fn part(&mut self, name: &str, index: usize) -> &mut Vec<u8> {
        match name {
            "header" => &mut self.header,
            "correction" => &mut self.correction,
            "box" => &mut self.boxes[index],
            "chunk" => &mut self.chunks[index],
            other => panic!("no part {other}"),
        }
    }

    /// What makes `changed` of this, part by part.
    pub(crate) fn changes_to(&self, changed: &Self) -> Vec<Value> {
        let (mut old, mut new) = (self.clone(), changed.clone());
        let mut parts = vec![("header", 0), ("correction", 0)];
        parts.extend((0..self.boxes.len()).map(|index| ("box", index)));
        parts.extend((0..self.chunks.len()).map(|index| ("chunk", index)));
        let mut changes = Vec::new();
        for (name, index) in parts {
            let (old, new) = (old.part(name, index), new.part(name, index));
            if old != new {
                let mut change = splice_between(old, new);
                change["part"] = json!(name);
                change["index"] = json!(index);
                changes.push(change);
            }
        }
        changes
    }

    /// Applies what [`Self::changes_to`] gives.
    pub(crate) fn change(&mut self, changes: &[Value]) {
        for change in changes {
            let index = change["index"].as_u64().expect("a number") as usize;
            let part = self.part(change["part"].as_str().expect("text"), index);
            *part = spliced(part, change);
        }
    }

    fn json(&self) -> Value {
        let hexed = |list: &[Vec<u8>]| list.iter().map(|one| hex(one)).collect::<Vec<_>>();
        json!({
            "client_seed": hex(&self.seed), "units": self.units, "header": hex(&self.header),
            "signature": hex(&self.signature), "correction": hex(&self.correction),
            "boxes": hexed(&self.boxes), "chunks": hexed(&self.chunks),
        })
    }

    fn read(value: &Value) -> Self {
        let bytes = |field: &str| unhex(value[field].as_str().expect("text"));
        let list = |field: &str| {
            let list = value[field].as_array().expect("a list").iter();
            list.map(|one| unhex(one.as_str().expect("text"))).collect()
        };
        let units = value["units"].as_array().expect("a list").iter();
        Self {
            seed: bytes("client_seed").try_into().expect("32 bytes"),
            units: units.map(|unit| unit.as_i64().expect("a number") as i32).collect(),
            header: bytes("header"),
            signature: bytes("signature").try_into().expect("64 bytes"),
            correction: bytes("correction"),
            boxes: list("boxes"),
            chunks: list("chunks"),
        }
    }
}

/// The fields that a change of an upload has in the other files.
pub(crate) const CHANGES: (&str, &str) = (
    "changes",
    "of that upload: in the part (header; correction; box and chunk, by index) at `at` take \
     `remove` bytes away and put `insert` there",
);
/// Likewise.
pub(crate) const SIGNED_AGAIN: (&str, &str) =
    ("signed_again", "whether the client then signs the header again");
/// Likewise.
pub(crate) const UPLOAD: (&str, &str) = ("upload", "which upload of round.json, from 0");

/// The round as it is checked in.
pub(crate) struct Base {
    pub(crate) config: RoundConfig,
    pub(crate) round_ctx: Digest,
    pub(crate) roster: Roster,
    pub(crate) uploads: Vec<Stored>,
    pub(crate) holder_seeds: Vec<[u8; 32]>,
    pub(crate) sealing_seeds: Vec<[u8; 96]>,
    pub(crate) coordinator_seed: [u8; 32],
    pub(crate) result: RoundResult,
}

impl Base {
    pub(crate) fn holder(&self, index: usize) -> Identity {
        Identity::from_seed(&Zeroizing::new(self.holder_seeds[index]))
    }

    pub(crate) fn coordinator(&self) -> Identity {
        Identity::from_seed(&Zeroizing::new(self.coordinator_seed))
    }

    pub(crate) fn sealing_secret(&self, index: usize) -> SealingSecret {
        SealingSecret::from_seed(&Zeroizing::new(self.sealing_seeds[index]))
    }

    /// The set's digest.
    pub(crate) fn set(&self) -> Digest {
        self.result.certificate.set
    }

    /// The upload of a case, changed as it says.
    pub(crate) fn changed_upload(&self, case: &mut Case) -> Stored {
        let mut upload = self.uploads[case.number("upload") as usize].clone();
        upload.change(&case.list("changes"));
        if case.value("signed_again") == json!(true) {
            upload.sign_again();
        }
        upload
    }
}

/// What `round.json` holds.
pub(crate) fn base() -> &'static Base {
    static BASE: LazyLock<Base> = LazyLock::new(|| {
        let file = read("round.json");
        let mut case = Case::new("round.json", &file["valid"][0]);
        let list = |case: &mut Case, field: &str| case.bytes_list(field);
        let config: RoundConfig = wire::decode(&case.bytes("config"), 1 << 20).expect("terms");
        let array = |bytes: Vec<u8>| bytes.try_into().expect("32 bytes");
        Base {
            round_ctx: config.context(),
            config,
            roster: wire::decode(&case.bytes("roster"), 1 << 20).expect("a roster"),
            uploads: case.list("uploads").iter().map(Stored::read).collect(),
            holder_seeds: list(&mut case, "holder_seeds").into_iter().map(array).collect(),
            sealing_seeds: (list(&mut case, "sealing_seeds").into_iter())
                .map(|bytes| bytes.try_into().expect("96 bytes"))
                .collect(),
            coordinator_seed: case.array("coordinator_seed"),
            result: wire::decode(&case.bytes("result"), 1 << 20).expect("a result"),
        }
    });
    &BASE
}

fn roster(fixture: &Fixture, coordinator: PartyId, clients: &[PartyId]) -> Roster {
    let name = |text: String| Name::try_from(text).expect("a name");
    let member = |text: String, id, role| Member { name: name(text), id, role, sealing_key: None };
    let mut members = vec![member("middle".into(), coordinator, Role::Coordinator)];
    for (h, seat) in fixture.config.committee.iter().enumerate() {
        let holder = member(format!("holder-{h}"), seat.holder, Role::Holder);
        members.push(Member { sealing_key: Some(seat.sealing_key.clone()), ..holder });
    }
    for (i, id) in clients.iter().enumerate() {
        members.push(member(format!("owner-{i}"), *id, Role::DataOwner));
    }
    Roster::founding(name("test".into()), Digest::ZERO, members)
}

/// Terms with a roster and a cohort of four owners, by ascending key: (id, index).
fn fixture() -> (Fixture, Roster, Vec<(PartyId, u32)>) {
    let terms = Terms { profile: Profile::A, dimension: DIMENSION, ..Terms::default() };
    let mut fixture = Fixture::new(terms);
    let identity = |seed| Identity::from_seed(&Zeroizing::new(seed)).id();
    let mut clients: Vec<_> = (0..4).map(|i| (identity(seed(0xc1, i)), i)).collect();
    clients.sort_unstable();
    let cohort: Vec<_> = clients.iter().map(|(id, _)| *id).collect();
    let roster = roster(&fixture, identity(seed(0xc0, 0)), &cohort);
    fixture.config.federation = roster.digest();
    fixture.config.cohort = cohort_digest(&cohort);
    fixture.config.contributions_min = 3;
    fixture.round_ctx = fixture.config.context();
    (fixture, roster, clients)
}

fn result(fixture: &Fixture, uploads: &[Upload], cohort: Vec<PartyId>) -> RoundResult {
    let (config, round_ctx) = (&fixture.config, fixture.round_ctx);
    let headers: Vec<SignedHeader> = uploads.iter().map(|u| u.sealed.header.clone()).collect();
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    uploads.iter().for_each(|upload| fixture.add(&mut accumulator, upload));
    let components = agreed(&fixture.combine(&fixture.releases(uploads), &[0, 1, 2, 3]));
    let key_sum = KeySum::recover(config, &accumulator, &components, 3).expect("short");
    let aggregate = open(config, &round_ctx, &accumulator, &key_sum, 3).expect("opens");
    let digests: Vec<_> = headers.iter().map(|signed| signed.header.digest()).collect();
    let set = set_digest(&round_ctx, &digests);
    let sign = |h: u8, statement, body: &[u8]| {
        let signature = fixture.holders[usize::from(h)].sign(statement, &round_ctx, body);
        (HolderIndex(h), signature)
    };
    let vote = |h| {
        let (holder, signature) = sign(h, Statement::Vote, &set.0);
        Vote { holder, signature }
    };
    let countersign = |h| {
        let (holder, signature) = sign(h, Statement::Config, &round_ctx.0);
        Countersignature { holder, signature }
    };
    let counted: Vec<_> = uploads.iter().map(Upload::client).collect();
    let missing = cohort.iter().filter(|client| !counted.contains(client));
    let missing = missing.map(|client| (*client, MissingReason::NoAnswer)).collect();
    RoundResult {
        countersignatures: [0, 1, 3].map(countersign).to_vec(),
        certificate: Certificate { round_ctx, set, votes: [0, 2, 3].map(vote).to_vec() },
        audit: None,
        config: config.clone(),
        cohort,
        headers,
        key_sum: key_sum.to_bytes(),
        aggregate,
        report: Report { counted, missing, faults: Vec::new(), no_credit: None },
    }
}

pub(crate) fn file() -> File {
    let (fixture, roster, clients) = fixture();
    let uploads: Vec<Upload> =
        clients[..3].iter().map(|(_, i)| fixture.seal(*i, &units(*i), 1)).collect();
    let cohort: Vec<_> = clients.iter().map(|(id, _)| *id).collect();
    let stored: Vec<_> = (clients.iter().zip(&uploads))
        .map(|((_, index), upload)| Stored::of(*index, upload).json())
        .collect();
    let result = result(&fixture, &uploads, cohort.clone());
    let coordinator = Identity::from_seed(&Zeroizing::new(seed(0xc0, 0)));
    let publication = Publication::sign(result.clone(), &coordinator);
    let sums = agreed(&fixture.combine(&fixture.releases(&uploads), &[0, 1, 2, 3]));
    let case = json!({
        "name": "three owners of four, profile A, four holders",
        "config": hex(&wire::encode(&fixture.config)),
        "roster": hex(&wire::encode(&roster)),
        "cohort": cohort.iter().map(|id| hex(&id.0)).collect::<Vec<_>>(),
        "coordinator_seed": hex(&seed(0xc0, 0)),
        "holder_seeds": (0..4).map(|h| hex(&seed(0xa0, h))).collect::<Vec<_>>(),
        "sealing_seeds": (1..5).map(|h| hex(&[h; 96])).collect::<Vec<_>>(),
        "uploads": stored,
        "component_sum_digests": sums.iter().map(|sum| digest(sum)).collect::<Vec<_>>(),
        "key_sum": hex(&result.key_sum),
        "sums": result.aggregate.sums, "weight": result.aggregate.weight,
        "result": hex(&wire::encode(&result)),
        "publication_signature": hex(&publication.signature.to_bytes()),
    });
    File {
        about: "a whole small round: what everybody sent, the secrets they sent it with, and what \
                came out",
        step: "steps 1 to 13",
        fields: &[
            NAME,
            ("config", "the terms, encoded"),
            ("roster", "the roster, encoded"),
            ("cohort", "the admitted owners' public keys, ascending"),
            ("coordinator_seed", "Ed25519 seed, 32 bytes"),
            ("holder_seeds", "Ed25519 seeds of the holders, in the committee's order"),
            ("sealing_seeds", "96 secret bytes of each holder, as in box.json"),
            (
                "uploads",
                "by ascending client: its Ed25519 seed; the signed integers it sealed; the \
              encoded header; its signature; the correction; a box per holder; the chunks",
            ),
            ("component_sum_digests", "H(body) of R_T for each component in canonical order"),
            ("key_sum", "S: 2048 signed 32-bit integers"),
            ("sums", "the opened sums of signed units"),
            ("weight", "the opened sum of weights"),
            ("result", "the round's result, encoded: all of the publication but its signature"),
            ("publication_signature", "by the coordinator over the result, as `publication`"),
        ],
        valid: vec![case],
        invalid: Vec::new(),
    }
}

/// Opens the round again with nothing but the file and the naive implementation.
pub(crate) fn check(case: &mut Case, _: bool) {
    let config = case.bytes("config");
    let round_ctx = plain_hash("round-config", &[&config]);
    let roster = plain_hash("roster", &[&case.bytes("roster")]);
    assert_eq!(config[1..33], roster, "the terms begin with the roster's digest");
    let ring = Ring::of("A");
    let seeds = case.bytes_list("sealing_seeds");
    let uploads: Vec<_> = case.list("uploads").iter().map(Stored::read).collect();
    let cohort = case.bytes_list("cohort");
    assert!(cohort.is_sorted());

    let zero = || vec![vec![0u64; ring.n]];
    let mut corrections = zero();
    let mut components = vec![zero(); 4];
    let (bits, lanes, lane_bits, noise_bits) = (40, 3, 12, 4);
    let mut words = vec![0u128; 32];
    for upload in &uploads {
        let client = &upload.header[33..65];
        assert!(cohort.iter().any(|one| one == client));
        check_header(upload, &round_ctx);
        let mut expanded = vec![None; 4];
        for (holder, (sealed, seed)) in upload.boxes.iter().zip(&seeds).enumerate() {
            let place = Place { round_ctx: &round_ctx, client, holder: holder as u8 };
            let (key, contents) = boxes::open(seed, &place, sealed).expect("opens");
            let at = 66 + 4 * 32 + 1 + holder * 32;
            assert_eq!(upload.header[at..at + 32], boxes::commitment(&place, &key));
            // Component T is the one that holder T lacks.
            let known = (0..4).filter(|component| *component != holder);
            for (component, seed) in known.zip(contents.chunks(32)) {
                let mask = 1u16 << component;
                let parts: [&[u8]; 4] = [&round_ctx, client, &mask.to_le_bytes(), seed];
                let at = 66 + component * 32;
                assert_eq!(upload.header[at..at + 32], plain_hash("component-commitment", &parts));
                let vector = ring.expand(seed, &round_ctx, client);
                let first = expanded[component].get_or_insert_with(|| vector.clone());
                assert_eq!(*first, vector, "holders were given different seeds");
            }
        }
        let correction = ring.residues(&upload.correction);
        ring.add(&mut corrections, &correction, false);
        let mut key = correction;
        for (sum, vector) in components.iter_mut().zip(expanded) {
            let vector = vector.expect("every component is known to three");
            ring.add(sum, &vector, false);
            ring.add(&mut key, &vector, false);
        }
        // One client's key alone opens its own chunk to what it sealed.
        let key = ring.short(&key, 64);
        let own = unpack(&upload.chunks[0], bits);
        let raw = lanes_of(ring, &round_ctx, &key, &own, (bits, lanes, lane_bits, noise_bits));
        let expected: Vec<u64> = (upload.units.iter().map(|unit| (unit + 128) as u64))
            .chain([1; 64])
            .chain([1, 0, 0, 0])
            .chain([0; 8])
            .collect();
        assert_eq!(raw, expected);
        words.iter_mut().zip(own).for_each(|(sum, word)| *sum = (*sum + word) % (1 << bits));
    }
    let digests = case.list("component_sum_digests");
    for (sum, given) in components.iter().zip(digests) {
        assert_eq!(given, digest(&ring.bytes(sum)));
        ring.add(&mut corrections, sum, false);
    }
    let key_sum = ring.short(&corrections, 3 * 64);
    let bytes: Vec<u8> = key_sum.iter().flat_map(|entry| (*entry as i32).to_le_bytes()).collect();
    assert_eq!(case.bytes("key_sum"), bytes);
    let raw = lanes_of(ring, &round_ctx, &key_sum, &words, (bits, lanes, lane_bits, noise_bits));
    let sums: Vec<i64> = raw[..20].iter().map(|raw| *raw as i64 - 3 * 128).collect();
    assert_eq!(case.numbers("sums"), sums);
    assert!(raw[20..84].iter().all(|sentinel| *sentinel == 3));
    assert_eq!(case.number("weight"), raw[84]);
    for (i, sum) in sums.iter().enumerate() {
        let plain: i32 = uploads.iter().map(|upload| upload.units[i]).sum();
        assert_eq!(*sum, i64::from(plain));
    }

    let result = case.bytes("result");
    let coordinator = Identity::from_seed(&Zeroizing::new(case.array("coordinator_seed")));
    let message = signed_bytes("publication", &round_ctx, &result);
    let signature = case.array("publication_signature");
    assert!(accepts(&coordinator.id().0, &message, &signature));
    assert_eq!(result[1..config.len()], config[1..], "the result begins with the terms");
    assert_eq!(case.bytes_list("holder_seeds").len(), 4);
}

/// An encoded header: version, round, client, then counted lists of digests, then two digests.
fn check_header(upload: &Stored, round_ctx: &[u8]) {
    let (header, client) = (&upload.header, &upload.header[33..65]);
    assert_eq!((header[0], &header[1..33]), (1, round_ctx));
    let mut expected = header[..65].to_vec();
    expected.push(4);
    expected.extend_from_slice(&header[66..66 + 4 * 32]);
    expected.push(4);
    expected.extend_from_slice(&header[66 + 4 * 32 + 1..66 + 8 * 32 + 1]);
    expected.push(4);
    for sealed in &upload.boxes {
        expected.extend(plain_hash("sealed-box", &[sealed]));
    }
    expected.extend(plain_hash("correction", &[&upload.correction]));
    expected.extend(merkle_root(&upload.chunks));
    assert_eq!(*header, expected);
    let public = client.try_into().expect("32 bytes");
    let message = signed_bytes("header", round_ctx, &header_digest(header));
    assert!(accepts(&public, &message, &upload.signature));
    assert_eq!(header_digest(header), upload.header().digest().0);
}

/// The lanes under a key: `(words - pad + 2^(R-1)) / 2^R`, cut into lanes.
pub(crate) fn lanes_of(
    ring: Ring,
    round_ctx: &[u8],
    key: &[i64],
    words: &[u128],
    (bits, lanes, lane_bits, noise_bits): (usize, usize, usize, usize),
) -> Vec<u64> {
    let pad = ring.pad((round_ctx, 0, bits as u32), key, &vec![0; ring.n], words.len());
    let modulus = 1u128 << bits;
    let open = |(word, pad): (&u128, &crate::reference::ring::Scaled)| {
        let value = (word + modulus - pad.fixed + (1 << (noise_bits - 1))) % modulus;
        let lanes_only = value >> noise_bits;
        (0..lanes)
            .map(move |lane| (lanes_only >> (lane * lane_bits) & ((1 << lane_bits) - 1)) as u64)
    };
    words.iter().zip(&pad).flat_map(open).collect()
}
