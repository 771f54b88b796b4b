//! Known answers for the parts that are not public, in `tests/vectors/*.json`: made once by
//! `cargo test -p covey-aggregation -- --ignored write_vectors`, checked by every test run, and
//! meant for other implementations too. `tests/vectors/main.rs` has the files of the public parts,
//! and checks these here against a second implementation.

use std::path::Path;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::config::{CommitteeShape, HolderIndex, Profile};
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::sum::gauss::{self, tests::draws};
use crate::sum::mask::Mask;
use crate::sum::modulus::{primes, roots};
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

/// A file: what it is, the protocol's step, what the fields mean, and the cases.
fn file(
    (about, step): (&str, &str),
    fields: &[(&str, &str)],
    valid: impl Into<Vec<Value>>,
    invalid: impl Into<Vec<Value>>,
) -> Value {
    let fields: Map<String, Value> =
        fields.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    json!({
        "about": about, "step": step, "fields": fields,
        "valid": valid.into(), "invalid": invalid.into(),
    })
}

const NAME: (&str, &str) = ("name", "name of the case");
const ROUND_CTX: (&str, &str) = ("round_ctx", "the round's context, 32 bytes");
const PROFILE: (&str, &str) = ("profile", "A (N = 2048, q1) or B (N = 4096, q1 and q2)");

fn mask_vectors() -> Value {
    let cases = [
        ("first chunk, first prime", 1u8, 0u32, 0usize),
        ("first chunk, second prime", 1, 0, 1),
        ("chunk 7", 1, 7, 0),
        ("another round", 2, 0, 0),
    ]
    .map(|(name, round, chunk, limb)| {
        let round_ctx = Digest([round; 32]);
        let prime = primes(Profile::B)[limb];
        let mut out = vec![0; 4096];
        Mask::new(&round_ctx).expand(chunk, limb, prime, &mut out);
        let bytes: Vec<u8> = out.iter().flat_map(|x| x.to_le_bytes()).collect();
        json!({
            "name": name, "round_ctx": round_ctx.to_string(), "chunk": chunk, "limb": limb,
            "prime": prime, "first": out[..4], "digest": digest(&bytes),
        })
    });
    let fields = [
        NAME,
        ROUND_CTX,
        ("chunk", "number of the chunk, from 0"),
        ("limb", "number of the prime, from 0"),
        ("prime", "the prime"),
        ("first", "the first four values of A, in the transformed domain"),
        ("digest", "H(body) of 4096 values, eight little-endian bytes each"),
    ];
    file(("the public masks of a round", "step 2, Mask"), &fields, cases, [])
}

fn gauss_vectors() -> Value {
    let drawn = draws(1, 4096);
    let bytes: Vec<u8> = drawn.iter().map(|&x| x as i8 as u8).collect();
    let thresholds: Vec<String> =
        gauss::THRESHOLDS.iter().map(|threshold| format!("{threshold:016x}")).collect();
    let case = json!({
        "name": "4096 draws", "key": hex(&[1; 32]), "stream": 0,
        "sigma": "6.4", "max": gauss::GAUSS_MAX, "thresholds": thresholds,
        "first": drawn[..32], "digest": digest(&bytes),
    });
    let fields = [
        NAME,
        ("key", "key of the stream, 32 bytes"),
        ("stream", "number of the stream"),
        ("sigma", "deviation, that is exp(-x^2 / (2 sigma^2)) is the weight of x"),
        ("max", "largest absolute value"),
        ("thresholds", "64 numbers of 64 bits: 2^63 times the distribution of the absolute value"),
        ("first", "the first draws; each takes eight bytes of the stream"),
        ("digest", "H(body) of 4096 draws, one byte each, two's complement"),
    ];
    let about = "draws of the discrete Gaussian: of the word's low 63 bits, the number of \
                 thresholds that are not above them; negative when the top bit is set";
    file((about, "steps 4 and 5, Key and Encrypt"), &fields, [case], [])
}

/// Where a key or noise of the vectors comes from: draws of `gauss.json` under this key.
fn drawn_under(seed: u8) -> Value {
    json!({ "key": hex(&[seed; 32]), "stream": 0 })
}

fn pad_vectors() -> Value {
    let cases = [(Profile::A, 40), (Profile::B, 82), (Profile::B, 96)].map(|(profile, bits)| {
        let round_ctx = Digest([7; 32]);
        let n = profile.ring_dimension();
        let mut padder = Padder::with_bits(profile, bits, &round_ctx);
        let key = padder.transform(draws(3, n).into_iter());
        let mut packed = |noise: Option<&mut Xof>| {
            let mut bytes = vec![0; n * bits as usize / 8 + PACKER_SLACK];
            let mut packer = Packer::new(bits, &mut bytes);
            padder.pad(5, &key, noise, 0..n, |_, word| packer.push(word));
            bytes.truncate(n * bits as usize / 8);
            bytes
        };
        let noisy = packed(Some(&mut Xof::new(&[4; 32], 0)));
        let silent = packed(None);
        json!({
            "name": format!("{profile:?} with {bits} bits"),
            "profile": profile, "pad_bits": bits, "round_ctx": round_ctx.to_string(), "chunk": 5,
            "roots": roots(profile), "key": drawn_under(3), "noise": drawn_under(4),
            "first": hex(&noisy[..bits as usize]), "digest": digest(&noisy),
            "first_without_noise": hex(&silent[..bits as usize]),
            "digest_without_noise": digest(&silent),
        })
    });
    let fields = [
        NAME,
        PROFILE,
        ROUND_CTX,
        ("pad_bits", "P: bits of a word"),
        ("chunk", "number of the chunk"),
        (
            "roots",
            "for each prime the root of order 2 N of the transform: value i of a mask is the \
          polynomial at root^(2 bitrev(i) + 1)",
        ),
        ("key", "s: N draws as in gauss.json, by key and stream"),
        ("noise", "e: N draws, likewise"),
        ("first", "the first eight words of the pad as a bit stream, P bytes"),
        (
            "digest",
            "H(body) of the whole pad as a bit stream, N P / 8 bytes; the rounding is the \
          fixed-point one of src/sum/pad.rs, in which a word may be one off where the quotient \
          lies within 2^-13 of a half",
        ),
        ("first_without_noise", "like first, with e = 0"),
        ("digest_without_noise", "like digest, with e = 0"),
    ];
    file(("the pad of a chunk", "step 5, Encrypt"), &fields, cases, [])
}

fn share_vectors() -> Value {
    let cases = [
        (Profile::A, CommitteeShape::Four),
        (Profile::B, CommitteeShape::Four),
        (Profile::B, CommitteeShape::Seven),
    ];
    let cases = cases.map(|(profile, shape)| {
        let mut case = share_vector(profile, shape);
        case["name"] = json!(format!("{profile:?}, {} holders", shape.members()));
        case["key"] = drawn_under(3);
        case
    });
    let fields = [
        NAME,
        PROFILE,
        ROUND_CTX,
        ("committee", "m: number of holders"),
        ("client", "the client's public key, 32 bytes"),
        ("key", "s: N draws as in gauss.json, by key and stream"),
        (
            "components",
            "in canonical order: `lacking` has bit h set when holder h lacks the \
          component; its seed; com_T; the first entry of its expansion, one number per prime",
        ),
        ("correction_first", "the first 50 bytes of d"),
        ("correction_digest", "H(body) of d"),
        (
            "component_sums_digests",
            "for each holder H(body) of its expanded components, one after \
          the other, in canonical order, for this client alone",
        ),
    ];
    file(("a shared key", "step 6, Share"), &fields, cases, [])
}

fn box_vectors() -> Value {
    let secret = SealingSecret::from_seed(&Zeroizing::new([1; 96]));
    let (round_ctx, client) = (Digest([3; 32]), PartyId([4; 32]));
    let place = Place { round_ctx: &round_ctx, client: &client, holder: HolderIndex(2) };
    let contents = [5; 96];
    let mut rng = Xof::new(&[6; 32], 0);
    let (sealed, key) =
        sealed_box::seal(&secret.public(), place, &contents, &mut rng).expect("a valid key");
    let case = json!({
        "name": "a box of 96 bytes", "holder_seed": hex(&[1; 96]),
        "ml_kem_public_digest": digest(&secret.public().ml_kem),
        "x25519_public": hex(&secret.public().x25519),
        "round_ctx": round_ctx.to_string(), "client": hex(&client.0), "holder": 2,
        "contents": hex(&contents), "box": hex(&sealed), "box_key": hex(&key.publish()),
        "commitment": key.commitment(place).to_string(),
    });

    let refused = |name: &str, place: Place<'_>, sealed: &[u8]| {
        let opened = decapsulate(&secret, place, sealed).and_then(|key| key.open(sealed));
        assert!(opened.is_none(), "{name}");
        json!({
            "name": name, "wrong": format!("{name}; all else as in the valid case"),
            "holder_seed": hex(&[1; 96]), "round_ctx": place.round_ctx.to_string(),
            "client": hex(&place.client.0), "holder": place.holder.0, "box": hex(sealed),
            "refused": "the box does not open",
        })
    };
    let changed = |at: usize| {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        changed
    };
    let top_bit = {
        let mut changed = sealed.clone();
        changed[1119] ^= 128;
        changed
    };
    let invalid = [
        refused("another round", Place { round_ctx: &Digest([9; 32]), ..place }, &sealed),
        refused("another client", Place { client: &PartyId([9; 32]), ..place }, &sealed),
        refused("another holder", Place { holder: HolderIndex(1), ..place }, &sealed),
        refused("first byte of the ML-KEM ciphertext changed", place, &changed(0)),
        refused("first byte of the X25519 key changed", place, &changed(1088)),
        refused("top bit of the X25519 key, which RFC 7748 ignores, changed", place, &top_bit),
        refused("first byte of the contents changed", place, &changed(1120)),
        refused("last byte of the tag changed", place, &changed(sealed.len() - 1)),
        refused("last byte missing", place, &sealed[..sealed.len() - 1]),
        refused("nothing behind the ML-KEM ciphertext", place, &sealed[..1088]),
    ];
    let fields = [
        NAME,
        ROUND_CTX,
        ("wrong", "what is wrong, in words"),
        ("refused", "the refusal"),
        ("holder_seed", "the holder's 96 secret bytes: d and z of ML-KEM-768, then X25519"),
        ("ml_kem_public_digest", "H(body) of the encapsulation key, 1184 bytes"),
        ("x25519_public", "the X25519 public key"),
        ("client", "the client's public key, 32 bytes"),
        ("holder", "place of the holder in the committee, from 0"),
        ("contents", "what is sealed"),
        ("box", "the box"),
        ("box_key", "its ChaCha20-Poly1305 key"),
        ("commitment", "what the header says of that key"),
    ];
    file(("sealed boxes", "step 7, Seal"), &fields, [case], invalid)
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
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    for (name, computed) in all() {
        let text = serde_json::to_string_pretty(&computed).expect("JSON") + "\n";
        std::fs::write(path(name), text).expect("writable");
    }
}
