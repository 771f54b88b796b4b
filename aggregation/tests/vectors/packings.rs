//! `packing.json`.

use covey_aggregation::config::{BadConfig, Control, Packing, Place, Profile, RoundConfig};
use covey_aggregation::hash::Digest;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG};
use crate::reference::numbers::{chunk_coefficients, packing};
use crate::reference::ring::Ring;
use crate::support::{Fixture, Terms};

fn profile(text: &str) -> Profile {
    match text {
        "A" => Profile::A,
        _ => Profile::B,
    }
}

/// Counters, and whether there is a control.
type Extra = (u16, bool);

/// Terms with the packing that follows from them, or, where none does, that of profile B.
fn config(profile: Profile, bits: u8, n: u32, dimension: u64, extra: Extra) -> RoundConfig {
    let (counters, control) = extra;
    let control =
        control.then_some(Control { range: 1.0, clip_norm: 1.0, owners: n, variate: Digest::ZERO });
    let terms =
        Terms { bits, contributions_max: n, dimension, counters, control, ..Terms::default() };
    let mut config = Fixture::new(terms).config;
    config.profile = profile;
    if let Some(packing) = Packing::derive(profile, bits, n) {
        config.packing = packing;
    }
    config
}

fn valid(profile: Profile, bits: u8, n: u32, dimension: u64, extra: Extra) -> Value {
    let config = config(profile, bits, n, dimension, extra);
    let last = config.coordinates() - 1;
    let places = [0, 1, dimension / 2, dimension, last].map(|i| {
        let Place { chunk, coefficient, lane } = config.place(i);
        json!([i, chunk, coefficient, lane])
    });
    json!({
        "name": format!(
            "{profile:?}, w = {bits}, n = {n}, d = {dimension}, {} counters, control {}",
            extra.0, extra.1
        ),
        "counters": extra.0, "control": extra.1, "profile": profile, "bits": bits, "contributions_max": n, "dimension": dimension,
        "lanes": config.packing.lanes, "lane_bits": config.packing.lane_bits,
        "noise_bits": config.packing.noise_bits, "coordinates": config.coordinates(),
        "chunks": config.chunks(),
        "last_chunk_coefficients": config.chunk_coefficients(config.chunks() - 1),
        "payload_bytes": config.payload_bytes(), "places": places,
    })
}

fn invalid(name: &str, change: fn(&mut Packing)) -> Value {
    let mut config = config(Profile::B, 8, 1000, 1000, (0, false));
    change(&mut config.packing);
    refused(name, &config)
}

/// 16 bits of 10,000 owners: a lane of 30 bits and 17 bits of noise are more than 46.
fn none_fits() -> Value {
    let mut config = config(Profile::A, 16, 10_000, 1000, (0, false));
    config.packing = Packing { lanes: 1, lane_bits: 30, noise_bits: 16 };
    refused("some packing, where none fits,", &config)
}

fn refused(name: &str, config: &RoundConfig) -> Value {
    let refused = config.validate_layout().expect_err("another packing");
    let Packing { lanes, lane_bits, noise_bits } = config.packing;
    json!({
        "name": name, "wrong": format!("{name} than follows from profile, w and n"),
        "counters": config.counters, "control": config.control.is_some(),
        "profile": config.profile, "bits": config.quantiser.bits,
        "contributions_max": config.contributions_max, "dimension": config.dimension,
        "lanes": lanes, "lane_bits": lane_bits, "noise_bits": noise_bits,
        "refused": refused.to_string(),
    })
}

pub(crate) fn file() -> File {
    let mut cases = Vec::new();
    for bits in [8, 12, 16] {
        for n in [10, 100, 1000, 10_000] {
            cases.push(valid(Profile::B, bits, n, 1_000_000, (0, false)));
            if (bits, n) != (16, 10_000) {
                cases.push(valid(Profile::A, bits, n, 20_000, (0, false)));
            }
        }
    }
    for dimension in [1, 20_411, 20_412, 20_413] {
        cases.push(valid(Profile::B, 8, 100, dimension, (0, false)));
    }
    cases.push(valid(Profile::B, 2, 1, 1, (0, false)));
    for extra in [(1, false), (0, true), (4096, true)] {
        cases.push(valid(Profile::B, 8, 100, 30_000, extra));
    }
    cases.push(valid(Profile::A, 2, 3, 1, (3, true)));
    File {
        about: "the packing that follows from profile, w and n, and where coordinates lie",
        step: "Parameters; Formats, Index formula",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("profile", "A (N = 2048, log2 q = 50, P <= 46) or B (4096, 100, 96)"),
            ("bits", "w: bits of a coordinate"),
            ("contributions_max", "n: most contributions that may be summed"),
            ("dimension", "d: parameters"),
            ("counters", "counters beside the update"),
            ("control", "whether there is a second vector of d coordinates"),
            ("lanes", "k: lanes of a coefficient"),
            ("lane_bits", "L: bits of a lane"),
            ("noise_bits", "R: bits below the lanes"),
            (
                "coordinates",
                "d, or 2 d with a control; 64 sentinels, 4 weight digits, 4 digits of each counter",
            ),
            ("chunks", "chunks of a contribution"),
            ("last_chunk_coefficients", "coefficients of the last chunk that travel"),
            ("payload_bytes", "bytes of all chunks"),
            ("places", "[coordinate, chunk, coefficient within it, lane]"),
        ],
        valid: cases,
        invalid: vec![
            invalid("one noise bit fewer", |packing| packing.noise_bits -= 1),
            invalid("one noise bit more", |packing| packing.noise_bits += 1),
            invalid("one lane fewer", |packing| packing.lanes -= 1),
            invalid("one lane more", |packing| packing.lanes += 1),
            invalid("lanes one bit narrower", |packing| packing.lane_bits -= 1),
            none_fits(),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let text = case.text("profile");
    let (bits, n) = (case.number("bits") as u8, case.number("contributions_max") as u32);
    let dimension = case.number("dimension");
    let given = Packing {
        lanes: case.number("lanes") as u32,
        lane_bits: case.number("lane_bits") as u32,
        noise_bits: case.number("noise_bits") as u32,
    };
    let ring = Ring::of(&text);
    let naive = packing(ring.modulus_bits, ring.pad_bits_max, bits.into(), n.into());
    let is_naive = naive == (given.lanes, given.lane_bits, given.noise_bits);
    assert_eq!(is_naive, is_valid, "{}: {naive:?}", case.name);
    let (counters, control) = (case.number("counters"), case.value("control") == json!(true));
    let mut config = self::config(profile(&text), bits, n, dimension, (counters as u16, control));
    config.packing = given;
    if !is_valid {
        let refused = config.validate_layout().expect_err("another packing");
        assert!(matches!(refused, BadConfig::Packing { .. }));
        assert_eq!(refused.to_string(), case.refusal());
        return;
    }
    assert_eq!(config.validate_layout(), Ok(()));
    let lanes = u64::from(given.lanes);
    let coordinates = dimension * if control { 2 } else { 1 } + 64 + 4 + 4 * counters;
    let coefficients = chunk_coefficients(coordinates, lanes, ring.n as u64);
    assert_eq!(case.number("coordinates"), coordinates);
    assert_eq!(case.number("chunks"), coefficients.len() as u64);
    assert_eq!(case.number("last_chunk_coefficients"), *coefficients.last().expect("some"));
    let pad_bits = u64::from(given.lanes * given.lane_bits + given.noise_bits);
    let payload = case.number("payload_bytes");
    assert_eq!(payload, coefficients.iter().sum::<u64>() * pad_bits / 8);
    assert_eq!(payload, config.payload_bytes());
    for (index, coefficients) in (0..).zip(coefficients) {
        assert_eq!(config.chunk_coefficients(index) as u64, coefficients);
    }
    for place in case.list("places") {
        let part = |at: usize| place[at].as_u64().expect("a number");
        let (i, n) = (part(0), ring.n as u64);
        assert_eq!((part(1), part(2), part(3)), (i / (n * lanes), i / lanes % n, i % lanes));
        let Place { chunk, coefficient, lane } = config.place(i);
        let place = (u64::from(chunk), coefficient as u64, u64::from(lane));
        assert_eq!(place, (part(1), part(2), part(3)));
    }
}
