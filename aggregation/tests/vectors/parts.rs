//! The parts inside the secure sum: written by `src/sum/vectors.rs`, checked here from first
//! principles.

use serde_json::Value;

use crate::case::{Case, digest, hex, read, unhex};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::{Stream, hash, pack, unpack};
use crate::reference::ring::{Ring, Scaled, is_root, root};

pub(crate) fn check_mask(case: &mut Case, _: bool) {
    let (round_ctx, prime) = (case.bytes("round_ctx"), case.number("prime"));
    let stream = 4 * case.number("chunk") + case.number("limb");
    let values = Stream::new(&hash("mask", &[&round_ctx]), stream).uniform(prime, 4096);
    let first: Vec<i64> = values[..4].iter().map(|x| *x as i64).collect();
    assert_eq!(case.numbers("first"), first, "{}", case.name);
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(case.text("digest"), digest(&bytes), "{}", case.name);
}

fn thresholds(list: &Value) -> Vec<u64> {
    let number = |text: &Value| u64::from_str_radix(text.as_str().expect("text"), 16);
    let list = list.as_array().expect("a list").iter();
    list.map(number).collect::<Result<_, _>>().expect("hexadecimal digits")
}

pub(crate) fn check_gauss(case: &mut Case, _: bool) {
    let thresholds = thresholds(&case.value("thresholds"));
    let mut stream = Stream::new(&case.array("key"), case.number("stream"));
    let draws = stream.gauss(&thresholds, 4096);
    assert_eq!(case.numbers("first"), draws[..32]);
    let bytes: Vec<u8> = draws.iter().map(|x| *x as i8 as u8).collect();
    assert_eq!(case.text("digest"), digest(&bytes));

    // The table once more, to the precision of binary64. (`src/sum/gauss.rs` checks every bit.)
    let (sigma, max) = (case.text("sigma").parse::<f64>().expect("a number"), case.number("max"));
    let weight = |x: u64| (-(x as f64).powi(2) / (2.0 * sigma * sigma)).exp();
    let total = 0.5 + (1..=max).map(weight).sum::<f64>();
    assert_eq!(thresholds.len() as u64, max);
    for (k, threshold) in (0..).zip(thresholds) {
        let below = 0.5 + (1..=k).map(weight).sum::<f64>();
        let expected = below / total * 63f64.exp2();
        assert!((threshold as f64 / expected - 1.0).abs() < 1e-14, "threshold {k}");
    }
}

/// Draws as `gauss.json` has them.
fn drawn(of: &Value, number: usize) -> Vec<i64> {
    let key = unhex(of["key"].as_str().expect("text")).try_into().expect("32 bytes");
    let table = thresholds(&read("gauss.json")["valid"][0]["thresholds"]);
    Stream::new(&key, of["stream"].as_u64().expect("a number")).gauss(&table, number)
}

pub(crate) fn check_pad(case: &mut Case, _: bool) {
    let ring = Ring::of(&case.text("profile"));
    for (given, q) in case.numbers("roots").into_iter().zip(ring.primes) {
        assert_eq!(given as u64, root(*q, ring.n));
        assert!(is_root(*q, ring.n, given as u64));
    }
    let bits = case.number("pad_bits") as u32;
    let place = (&case.bytes("round_ctx")[..], case.number("chunk"), bits);
    let key = drawn(&case.value("key"), ring.n);
    let noise = drawn(&case.value("noise"), ring.n);
    for (first, whole, noise) in [
        ("first", "digest", noise),
        ("first_without_noise", "digest_without_noise", vec![0; ring.n]),
    ] {
        let words = ring.pad(place, &key, &noise, ring.n);
        let first = unpack(&case.bytes(first), bits as usize);
        assert!(words.iter().zip(first).all(|(word, got)| word.accepts(got)), "{}", case.name);
        assert_eq!(case.text(whole), whole_pad(&words, bits), "{}", case.name);
    }
}

/// Digest of a whole pad in the fixed-point rounding of the format.
fn whole_pad(words: &[Scaled], bits: u32) -> String {
    let words: Vec<u128> = words.iter().map(|word| word.fixed).collect();
    digest(&pack(&words, bits as usize))
}

pub(crate) fn check_share(case: &mut Case, _: bool) {
    let ring = Ring::of(&case.text("profile"));
    let members = case.number("committee");
    let (round_ctx, client) = (case.bytes("round_ctx"), case.bytes("client"));
    let key = drawn(&case.value("key"), ring.n);
    let residues = |q: &u64| key.iter().map(|x| x.rem_euclid(*q as i64) as u64).collect();
    let mut rest: Vec<Vec<u64>> = ring.primes.iter().map(residues).collect();
    let mut sums = vec![Vec::new(); members as usize];
    let faults = (members - 1) / 3;
    let masks = (0u16..1 << members).filter(|mask| u64::from(mask.count_ones()) == faults);
    let components = case.list("components");
    assert_eq!(components.len(), masks.clone().count());
    for (component, mask) in components.iter().zip(masks) {
        assert_eq!(component["lacking"], mask);
        let seed = unhex(component["seed"].as_str().expect("text"));
        let parts: [&[u8]; 4] = [&round_ctx, &client, &mask.to_le_bytes(), &seed];
        assert_eq!(component["commitment"], hex(&hash("component-commitment", &parts)));
        let expanded = ring.expand(&seed, &round_ctx, &client);
        let first: Vec<u64> = expanded.iter().map(|limb| limb[0]).collect();
        assert_eq!(component["first_entry"], serde_json::json!(first));
        ring.add(&mut rest, &expanded, true);
        for (holder, sums) in sums.iter_mut().enumerate() {
            if mask >> holder & 1 == 0 {
                sums.extend(ring.bytes(&expanded));
            }
        }
    }
    let correction = ring.bytes(&rest);
    assert_eq!(case.bytes("correction_first"), correction[..50]);
    assert_eq!(case.text("correction_digest"), digest(&correction), "{}", case.name);
    for (given, sums) in case.list("component_sums_digests").iter().zip(sums) {
        assert_eq!(*given, digest(&sums), "{}", case.name);
    }
}

pub(crate) fn check_box(case: &mut Case, is_valid: bool) {
    let (round_ctx, client) = (case.bytes("round_ctx"), case.bytes("client"));
    let holder = case.number("holder") as u8;
    let place = Place { round_ctx: &round_ctx, client: &client, holder };
    let (seed, sealed) = (case.bytes("holder_seed"), case.bytes("box"));
    let opened = boxes::open(&seed, &place, &sealed);
    if !is_valid {
        assert_eq!(case.refusal(), "the box does not open");
        assert!(opened.is_none(), "{}", case.name);
        return;
    }
    let (key, contents) = opened.expect("opens");
    assert_eq!(case.bytes("box_key"), key);
    assert_eq!(case.bytes("contents"), contents);
    assert_eq!(case.bytes("commitment"), boxes::commitment(&place, &key));
    let (kem, curve) = boxes::public_keys(&seed);
    assert_eq!(case.text("ml_kem_public_digest"), digest(&kem));
    assert_eq!(case.bytes("x25519_public"), curve);
}
