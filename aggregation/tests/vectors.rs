//! Known answers for a whole sealed update, in `tests/vectors/seal.json` (the parts have theirs
//! beside the code). Written by `cargo test -p covey-aggregation -- --ignored write_vectors`.

mod support;

use std::path::PathBuf;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::message::SignedHeader;
use covey_aggregation::sum::open::KeySum;
use covey_aggregation::wire;
use serde_json::{Value, json};
use support::{Fixture, Terms, Upload, agreed, client};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(bytes: &[u8]) -> String {
    hash(Domain::Body, &[bytes]).to_string()
}

fn units(index: u32) -> Vec<i32> {
    (0..20).map(|i| (i * 13 + index as i32 * 50) % 255 - 127).collect()
}

fn upload_vector(upload: &Upload, index: u32) -> Value {
    let sealed = &upload.sealed;
    json!({
        "identity_seed": format!("{} then c1..", hex(&index.to_le_bytes())),
        "entropy": format!("{} then 00..", hex(&index.to_le_bytes())),
        "units": units(index), "weight": 1,
        "header": hex(&wire::encode(&sealed.header.header)),
        "name": sealed.header.header.digest().to_string(),
        "signed_header_digest": digest(&wire::encode(&sealed.header)),
        "correction_digest": digest(&sealed.correction),
        "box_digests": sealed.boxes.iter().map(|sealed| digest(sealed)).collect::<Vec<_>>(),
        "chunks": upload.chunks.iter().map(|chunk| hex(chunk)).collect::<Vec<_>>(),
    })
}

/// Changed uploads and what they are refused with.
fn invalid_vectors(fixture: &Fixture) -> Vec<Value> {
    let refused = |name: &str, change: fn(&mut Upload)| {
        let mut upload = fixture.seal(0, &units(0), 1);
        change(&mut upload);
        let refused = fixture.check(&upload).expect_err(name);
        json!({ "name": name, "refused": refused.to_string() })
    };
    vec![
        refused("header of another round", |u| u.sealed.header.header.round_ctx = Digest::ZERO),
        refused("header not signed by its client", |u| {
            u.sealed.header.header.client = client(1).id();
        }),
        refused("one box commitment missing", |u| {
            u.sealed.header.header.box_keys.truncate(3);
            u.sealed.header = SignedHeader::sign(u.sealed.header.header.clone(), &client(0));
        }),
        refused("correction one byte short", |u| u.sealed.correction.truncate(51_199)),
        refused("last entry of the correction not reduced", |u| {
            u.sealed.correction[51_193..].fill(0xff);
        }),
        refused("last bit of the correction changed", |u| u.sealed.correction[51_199] ^= 1),
        refused("last byte of the last box changed", |u| u.sealed.boxes[3][1231] ^= 1),
        refused("chunk cut after 100 bytes", |u| u.chunks[0].truncate(100)),
        refused("last byte of the chunk changed", |u| {
            *u.chunks[0].last_mut().expect("some") ^= 1;
        }),
    ]
}

fn seal_vectors() -> Value {
    let fixture = Fixture::new(Terms { dimension: 20, ..Terms::default() });
    let uploads: Vec<_> = (0..2).map(|index| fixture.seal(index, &units(index), 1)).collect();
    let releases = fixture.releases(&uploads);
    let components = agreed(&fixture.combine(&releases, &[0, 1, 2, 3]));
    let aggregate = fixture.open(&uploads);
    let mut accumulator =
        covey_aggregation::sum::accumulator::Accumulator::new(&fixture.config).expect("valid");
    uploads.iter().for_each(|upload| fixture.add(&mut accumulator, upload));
    let key_sum =
        KeySum::recover(&fixture.config, &accumulator, &components, 2).expect("short keys");
    let sealed: Vec<_> = (0..).zip(&uploads).map(|(i, upload)| upload_vector(upload, i)).collect();
    json!({
        "config": hex(&wire::encode(&fixture.config)),
        "round_ctx": fixture.round_ctx.to_string(),
        "sealing_seeds": "96 bytes of 01, 02, 03, 04",
        "valid": sealed,
        "component_digests": components.iter().map(|sum| digest(sum)).collect::<Vec<_>>(),
        "key_sum_digest": key_sum.digest().to_string(),
        "count": aggregate.count, "weight": aggregate.weight, "sums": aggregate.sums,
        "aggregate_digest": aggregate.digest().to_string(),
        "invalid": invalid_vectors(&fixture),
    })
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "seal.json"].iter().collect()
}

#[test]
fn a_sealed_update_is_the_known_one() {
    let text = std::fs::read_to_string(path()).expect("the vectors are checked in");
    let known: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(seal_vectors(), known);
}

#[test]
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    let text = serde_json::to_string_pretty(&seal_vectors()).expect("JSON") + "\n";
    std::fs::write(path(), text).expect("writable");
}
