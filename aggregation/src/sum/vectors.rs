//! Known answers for the parts that are not public, in `tests/vectors/*.json`: made once by
//! `cargo test -p covey-aggregation -- --ignored write_vectors`, checked by every test run, and
//! meant for other implementations too. What they pin from outside is tested beside the parts:
//! the cipher, the table, the product and the rounding against their definitions.

use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::{CommitteeShape, HolderIndex, Profile};
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::sum::gauss::{self, tests::draws};
use crate::sum::mask::Mask;
use crate::sum::modulus::primes;
use crate::sum::pack::{PACKER_SLACK, Packer};
use crate::sum::pad::Padder;
use crate::sum::sealed_box::{self, Place, SealingSecret, decapsulate};
use crate::sum::share::vectors::share_vector;
use crate::sum::xof::Xof;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digest of bytes too long to print.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hash(Domain::Body, &[bytes]).to_string()
}

fn mask_vectors() -> Value {
    let cases =
        [(1u8, 0u32, 0usize), (1, 0, 1), (1, 7, 0), (2, 0, 0)].map(|(round, chunk, limb)| {
            let round_ctx = Digest([round; 32]);
            let prime = primes(Profile::B)[limb];
            let mut out = vec![0; 4096];
            Mask::new(&round_ctx).expand(chunk, limb, prime, &mut out);
            let bytes: Vec<u8> = out.iter().flat_map(|x| x.to_le_bytes()).collect();
            json!({
                "round_ctx": round_ctx.to_string(), "chunk": chunk, "limb": limb, "prime": prime,
                "first": out[..4], "digest": digest(&bytes),
            })
        });
    json!({ "valid": cases })
}

fn gauss_vectors() -> Value {
    let drawn = draws(1, 4096);
    let bytes: Vec<u8> = drawn.iter().map(|&x| x as i8 as u8).collect();
    let thresholds: Vec<String> =
        gauss::THRESHOLDS.iter().map(|threshold| format!("{threshold:016x}")).collect();
    json!({
        "sigma": 6.4, "max": gauss::GAUSS_MAX, "thresholds": thresholds,
        "valid": [{
            "key": hex(&[1; 32]), "stream": 0, "first": drawn[..32], "digest": digest(&bytes),
        }],
    })
}

fn pad_vectors() -> Value {
    let cases = [(Profile::A, 40), (Profile::B, 82), (Profile::B, 96)].map(|(profile, bits)| {
        let round_ctx = Digest([7; 32]);
        let mut padder = Padder::with_bits(profile, bits, &round_ctx);
        let key = padder.transform(draws(3, profile.ring_dimension()).into_iter());
        let mut packed = |noise: Option<&mut Xof>| {
            let n = profile.ring_dimension();
            let mut bytes = vec![0; n * bits as usize / 8 + PACKER_SLACK];
            let mut packer = Packer::new(bits, &mut bytes);
            padder.pad(5, &key, noise, 0..n, |_, word| packer.push(word));
            bytes.truncate(n * bits as usize / 8);
            bytes
        };
        let noisy = packed(Some(&mut Xof::new(&[4; 32], 0)));
        let silent = packed(None);
        json!({
            "profile": profile, "pad_bits": bits, "round_ctx": round_ctx.to_string(), "chunk": 5,
            "key": "draws of gauss under key 03.., stream 0",
            "noise": "draws of gauss under key 04.., stream 0",
            "first": hex(&noisy[..bits as usize]), "digest": digest(&noisy),
            "digest_without_noise": digest(&silent),
        })
    });
    json!({ "valid": cases })
}

fn share_vectors() -> Value {
    let cases = [
        (Profile::A, CommitteeShape::Four),
        (Profile::B, CommitteeShape::Four),
        (Profile::B, CommitteeShape::Seven),
    ];
    json!({ "valid": cases.map(|(profile, shape)| share_vector(profile, shape)) })
}

fn box_vectors() -> Value {
    let secret = SealingSecret::from_seed(&Zeroizing::new([1; 96]));
    let (round_ctx, client) = (Digest([3; 32]), PartyId([4; 32]));
    let place = Place { round_ctx: &round_ctx, client: &client, holder: HolderIndex(2) };
    let contents = [5; 96];
    let mut rng = Xof::new(&[6; 32], 0);
    let (sealed, key) =
        sealed_box::seal(&secret.public(), place, &contents, &mut rng).expect("a valid key");

    let opens = |place: Place<'_>, sealed: &[u8]| {
        decapsulate(&secret, place, sealed).is_some_and(|key| key.open(sealed).is_some())
    };
    let changed = |at: usize| {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        changed
    };
    let invalid = [
        ("another round", opens(Place { round_ctx: &Digest([9; 32]), ..place }, &sealed)),
        ("another client", opens(Place { client: &PartyId([9; 32]), ..place }, &sealed)),
        ("another holder", opens(Place { holder: HolderIndex(1), ..place }, &sealed)),
        ("first byte of the ML-KEM ciphertext changed", opens(place, &changed(0))),
        ("first byte of the X25519 key changed", opens(place, &changed(1088))),
        ("first byte of the contents changed", opens(place, &changed(1120))),
        ("last byte of the tag changed", opens(place, &changed(sealed.len() - 1))),
        ("last byte missing", opens(place, &sealed[..sealed.len() - 1])),
    ];
    let invalid = invalid.map(|(name, opens)| json!({ "name": name, "opens": opens }));
    json!({
        "valid": [{
            "holder_seed": hex(&[1; 96]),
            "ml_kem_public_digest": digest(&secret.public().ml_kem),
            "x25519_public": hex(&secret.public().x25519),
            "round_ctx": round_ctx.to_string(), "client": hex(&client.0), "holder": 2,
            "contents": hex(&contents), "box": hex(&sealed), "box_key": hex(&key.publish()),
            "commitment": key.commitment(place).to_string(), "opens": opens(place, &sealed),
        }],
        "invalid": invalid,
    })
}

fn all() -> [(&'static str, Value); 5] {
    [
        ("mask.json", mask_vectors()),
        ("gauss.json", gauss_vectors()),
        ("pad.json", pad_vectors()),
        ("share.json", share_vectors()),
        ("box.json", box_vectors()),
    ]
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

#[test]
fn parts_give_the_known_answers() {
    for (name, computed) in all() {
        let text = std::fs::read_to_string(path(name)).expect("the vectors are checked in");
        let known: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(computed, known, "{name}");
    }
}

#[test]
fn boxes_out_of_place_or_changed_do_not_open() {
    let vectors = box_vectors();
    assert_eq!(vectors["valid"][0]["opens"], true);
    for case in vectors["invalid"].as_array().expect("a list") {
        assert_eq!(case["opens"], false, "{}", case["name"]);
    }
}

#[test]
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    for (name, computed) in all() {
        let text = serde_json::to_string_pretty(&computed).expect("JSON") + "\n";
        std::fs::write(path(name), text).expect("writable");
    }
}
