//! `opening.json` and `aggregate.json`.

use std::sync::LazyLock;

use covey_aggregation::config::{Control, Quantiser, RoundConfig, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{Aggregate, KeySum, open};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG};
use crate::reference::bytes::{hash, pack, unpack};
use crate::reference::ring::Ring;
use crate::round::base;
use crate::support::{Fixture, Terms, agreed};

/// What is opened: terms, corrections, chunks, component sums.
struct Sealed {
    config: RoundConfig,
    uploads: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    components: Vec<Vec<u8>>,
}

/// What each of the two of profile B counts: the least and the most that digits hold, and a
/// number of several digits.
const COUNTERS: [[u64; 3]; 2] = [[0, 0xffff_ffff, 1_000], [0, 0xffff_ffff, 70_000]];

/// Two updates of profile B, 20 values each, with control and counters, sealed anew.
fn two_of_b() -> &'static Sealed {
    static TWO: LazyLock<Sealed> = LazyLock::new(|| {
        let control = Control { range: 0.5, clip_norm: 2.0, owners: 10, variate: Digest([7; 32]) };
        let terms =
            Terms { dimension: 20, counters: 3, control: Some(control), ..Terms::default() };
        let fixture = Fixture::new(terms);
        let seal = |i: u32| {
            let units = [i as i32 + 1; 20];
            fixture.seal_all(i, (&units, 1), &[-100, 100].repeat(10), &COUNTERS[i as usize])
        };
        let uploads: Vec<_> = (0..2).map(seal).collect();
        let components = agreed(&fixture.combine(&fixture.releases(&uploads), &[0, 1, 2, 3]));
        let uploads = uploads.into_iter().map(|one| (one.sealed.correction, one.chunks)).collect();
        Sealed { config: fixture.config, uploads, components }
    });
    &TWO
}

/// The round of round.json.
fn three_of_a() -> &'static Sealed {
    static THREE: LazyLock<Sealed> = LazyLock::new(|| {
        let ring = Ring::of("A");
        // R_T is what all of holder T + 1's seeds add up to; a release has three of them.
        let of = |holder| crate::releases::sums(holder, &[0, 1, 2]);
        let (first, second) = (of(0), of(1));
        let components =
            vec![second[0].clone(), first[0].clone(), first[1].clone(), first[2].clone()];
        assert_eq!(components.len() * ring.n, 4 * 2048);
        let uploads = base().uploads.iter().map(|one| (one.correction.clone(), one.chunks.clone()));
        Sealed { config: base().config.clone(), uploads: uploads.collect(), components }
    });
    &THREE
}

fn sealed(profile: &str) -> &'static Sealed {
    match profile {
        "A" => three_of_a(),
        _ => two_of_b(),
    }
}

/// Adds to a word of a chunk of the first upload: (coefficient, shift, value).
fn add_to_word(chunk: &mut Vec<u8>, bits: usize, coefficient: usize, value: u128) {
    let mut words = unpack(chunk, bits);
    words[coefficient] = (words[coefficient] + value) % (1 << bits);
    *chunk = pack(&words, bits);
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().expect("a number")
}

/// Opens after the changes of a case.
fn run(profile: &str, changes: &[Value]) -> Result<(KeySum, Aggregate), String> {
    let Sealed { config, uploads, components } = sealed(profile);
    let (mut uploads, mut components) = (uploads.clone(), components.clone());
    let mut count = uploads.len() as u32;
    let ring = Ring::of(profile);
    let packing = config.packing;
    for change in changes {
        let bits = packing.pad_bits() as usize;
        match change["change"].as_str().expect("text") {
            "coordinate" => {
                let place = config.place(number(change, "coordinate"));
                let shift = packing.noise_bits + place.lane * packing.lane_bits;
                let value = u128::from(number(change, "add")) << shift;
                add_to_word(&mut uploads[0].1[0], bits, place.coefficient, value);
            }
            "noise" => {
                for coefficient in 0..number(change, "coefficients") as usize {
                    let value = u128::from(number(change, "add"));
                    add_to_word(&mut uploads[0].1[0], bits, coefficient, value);
                }
            }
            "component" => {
                let component = &mut components[number(change, "component") as usize];
                let mut limbs = ring.residues(component);
                let limb = number(change, "limb") as usize;
                let entry = &mut limbs[limb][number(change, "entry") as usize];
                *entry = (*entry + number(change, "add")) % ring.primes[limb];
                *component = ring.bytes(&limbs);
            }
            "remove component" => components.truncate(components.len() - 1),
            "cut component" => components[0].truncate(100),
            "remove upload" => uploads.truncate(uploads.len() - 1),
            "claim" => count = number(change, "count") as u32,
            other => panic!("no change {other}"),
        }
    }
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    for (correction, chunks) in &uploads {
        accumulator.add_correction(correction).expect("a good correction");
        for (index, chunk) in (0..).zip(chunks) {
            accumulator.add_chunk(index, chunk).expect("a good chunk");
        }
    }
    let key_sum = KeySum::recover(config, &accumulator, &components, count)
        .map_err(|refused| refused.to_string())?;
    let aggregate = open(config, &config.context(), &accumulator, &key_sum, count)
        .map_err(|refused| refused.to_string())?;
    Ok((key_sum, aggregate))
}

fn valid(name: &str, profile: &str, changes: &[Value]) -> Value {
    let (key_sum, aggregate) = run(profile, changes).expect(name);
    json!({
        "name": name, "profile": profile, "changes": changes,
        "key_sum_digest": key_sum.digest().to_string(), "sums": aggregate.sums,
        "weight": aggregate.weight, "aggregate_digest": aggregate.digest().to_string(),
        "control": aggregate.control, "counters": aggregate.counters,
    })
}

fn invalid(name: &str, wrong: &str, profile: &str, change: Value) -> Value {
    let changes = [change];
    let refused = run(profile, &changes).expect_err(name);
    json!({
        "name": name, "wrong": wrong, "profile": profile, "changes": changes, "refused": refused,
    })
}

pub(crate) fn file() -> File {
    let component = |entry: u64, limb: u64, add: u64| {
        json!({
            "change": "component", "component": 1, "entry": entry, "limb": limb, "add": add,
        })
    };
    let coordinate = |coordinate: u64, add: u64| json!({ "change": "coordinate", "coordinate": coordinate, "add": add });
    let q1 = (1u64 << 50) - (1 << 14) + 1;
    File {
        about: "recovering the key sum and opening. Profile A: the round of round.json. Profile B: \
                two updates of twenty ones and twenty twos, each with a control and three counters, \
                as tests/support seals them",
        step: "step 12, Open",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("profile", "which round"),
            (
                "changes",
                "before opening, of the first upload or the agreed component sums. \
              coordinate: add so much to that coordinate's lane; noise: add so many units of the \
              last place to so many coefficients of the chunk; component: add to one entry of \
              R_T in one prime; remove component, cut component (to 100 bytes), remove upload: \
              the last one; claim: as if there were so many contributions",
            ),
            ("key_sum_digest", "H(key-sum; N little-endian 32-bit integers)"),
            ("sums", "of signed units"),
            ("weight", "sum of the weights"),
            ("control", "sums of signed units of the second vector"),
            ("counters", "sums of the counters"),
            ("aggregate_digest", "as in aggregate.json"),
        ],
        valid: vec![
            valid("as it was sent, A", "A", &[]),
            valid("as it was sent, B", "B", &[]),
            valid("a lie within the plausible range is not told", "A", &[coordinate(7, 5)]),
        ],
        invalid: vec![
            invalid(
                "not short",
                "an entry of the key sum is 1000 too large, A",
                "A",
                component(5, 0, 1000),
            ),
            invalid(
                "not short below",
                "an entry is 1000 too small",
                "A",
                component(2047, 0, q1 - 1000),
            ),
            invalid("limbs differ", "an entry differs between the primes", "B", component(9, 1, 1)),
            invalid("limbs differ, first", "likewise, in the first prime", "B", component(9, 0, 1)),
            invalid(
                "a component missing",
                "three of four",
                "A",
                json!({ "change": "remove component" }),
            ),
            invalid("a component cut", "100 bytes", "A", json!({ "change": "cut component" })),
            invalid(
                "a contribution missing",
                "two of three added",
                "A",
                json!({ "change": "remove upload" }),
            ),
            invalid(
                "another count",
                "three added, two claimed",
                "A",
                json!({ "change": "claim", "count": 2 }),
            ),
            invalid("sentinel wrong", "sentinel 20 is one too large", "A", coordinate(20 + 20, 1)),
            invalid("first sentinel wrong", "sentinel 0", "A", coordinate(20, 4095)),
            invalid(
                "coordinate out of range",
                "beyond what three can add up to",
                "A",
                coordinate(7, 1000),
            ),
            invalid(
                "weight impossible",
                "second digit one too large",
                "A",
                coordinate(20 + 64 + 1, 1),
            ),
            invalid(
                "control out of range, B",
                "beyond what two can add up to",
                "B",
                coordinate(20 + 3, 55),
            ),
            invalid(
                "digit of a counter too large, B",
                "beyond what two can add up to, though the sum as a whole is possible",
                "B",
                coordinate(40 + 64 + 4 + 8, 511),
            ),
            invalid(
                "counter too large, B",
                "more than two counters can add up to",
                "B",
                coordinate(40 + 64 + 4 + 4, 1),
            ),
            invalid("padding not zero", "behind the last coordinate", "A", coordinate(88, 1)),
            invalid(
                "noise too large",
                "half of what the noise bits hold is added",
                "A",
                json!({ "change": "noise", "coefficients": 30, "add": 8 }),
            ),
            invalid(
                "noise too large, B",
                "likewise",
                "B",
                json!({ "change": "noise", "coefficients": 12, "add": 8 }),
            ),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let (profile, changes) = (case.text("profile"), case.list("changes"));
    let result = run(&profile, &changes);
    if !is_valid {
        assert_eq!(result.err(), Some(case.refusal()), "{}", case.name);
        return;
    }
    let (key_sum, aggregate) = result.expect("opens");
    assert_eq!(case.digest("key_sum_digest").0, hash("key-sum", &[&key_sum.to_bytes()]));
    assert_eq!(key_sum.digest().0, hash("key-sum", &[&key_sum.to_bytes()]));
    assert_eq!(case.sums("sums"), aggregate.sums);
    assert_eq!(case.number("weight"), aggregate.weight);
    assert_eq!(case.digest("aggregate_digest"), aggregate.digest());
    assert_eq!(case.sums("control"), aggregate.control);
    let counters = case.numbers("counters").into_iter().map(|sum| sum as u64);
    assert_eq!(counters.collect::<Vec<_>>(), aggregate.counters);
    let (control, counters) = match profile.as_str() {
        "A" => (Vec::new(), Vec::new()),
        _ => ([-200, 200].repeat(10), (0..3).map(|i| COUNTERS[0][i] + COUNTERS[1][i]).collect()),
    };
    assert_eq!((&aggregate.control, &aggregate.counters), (&control, &counters));
    // Plain addition of what was sealed, and of what was changed.
    let mut plain: Vec<i32> = match profile.as_str() {
        "A" => (0..20).map(|i| base().uploads.iter().map(|one| one.units[i]).sum()).collect(),
        _ => vec![3; 20],
    };
    for change in changes {
        plain[number(&change, "coordinate") as usize] += number(&change, "add") as i32;
    }
    assert_eq!(aggregate.sums, plain, "{}", case.name);
}

fn aggregate_case(name: &str, aggregate: &Aggregate, cap: u32) -> Value {
    let Aggregate { count, weight, sums, control, counters } = aggregate;
    let mean = aggregate.mean(&quantiser(cap)).into_iter();
    json!({
        "name": name, "count": count, "weight": weight, "sums": sums, "cap": cap,
        "control": control, "counters": counters,
        "digest": aggregate.digest().to_string(),
        "mean": mean.map(|value| format!("{:08x}", value.to_bits())).collect::<Vec<_>>(),
    })
}

/// w = 8 and a range of 0.5.
const fn quantiser(cap: u32) -> Quantiser {
    let weighting = match cap {
        0 => Weighting::Uniform,
        cap => Weighting::CappedExamples(cap),
    };
    Quantiser { bits: 8, range: 0.5, clip_norm: 1.0, weighting }
}

pub(crate) fn aggregates() -> File {
    let plain = |count, weight, sums: &[i32]| Aggregate {
        count,
        weight,
        sums: sums.to_vec(),
        control: Vec::new(),
        counters: Vec::new(),
    };
    let sums = [0, 1, -1, 127 * 3, -127 * 3, 77];
    let full = Aggregate {
        control: vec![5, -5, 0, 1, 2, 3],
        counters: vec![0, 7, 1 << 60],
        ..plain(3, 3, &sums)
    };
    let refused = |name: &str, change: fn(&mut Value)| {
        let mut value = aggregate_case(name, &full, 0);
        change(&mut value);
        value["wrong"] = json!(format!("{name} than the digest is of"));
        value["refused"] = json!("another digest");
        value
    };
    File {
        about: "the opened aggregate: H(aggregate; count in four bytes, weight in eight bytes, the \
                counters in eight bytes each as one part, the number of the control's sums in \
                eight bytes, and then, without a length, each sum of the update and each of the \
                control in eight bytes, two's complement); and the mean \
                of updates, sum step / count, or sum step cap / weight, step = 0.5 / 127",
        step: "step 12, Open",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("count", "contributions"),
            ("weight", "sum of their weights"),
            ("sums", "sums of signed units"),
            ("control", "the same of the second vector"),
            ("counters", "sums of the counters"),
            ("cap", "cap of the weights; 0: owners alike"),
            ("digest", "32 bytes"),
            ("mean", "each the 32 bits of a binary32, as a number in hex"),
        ],
        valid: vec![
            aggregate_case("owners alike", &plain(3, 3, &sums), 0),
            aggregate_case("weighted", &plain(3, 17, &sums), 10),
            aggregate_case("no parameter", &plain(3, 3, &[]), 0),
            aggregate_case("extreme sums", &plain(10_000, 10_000, &[i32::MIN, i32::MAX]), 0),
            aggregate_case("control and counters", &full, 0),
        ],
        invalid: vec![
            refused("another count", |value| value["count"] = json!(4)),
            refused("another weight", |value| value["weight"] = json!(4)),
            refused("a sum more", |value| {
                value["sums"].as_array_mut().expect("a list").push(json!(0))
            }),
            refused("another order", |value| {
                value["sums"].as_array_mut().expect("a list").swap(1, 2)
            }),
            refused("a sum moved to the control", |value| {
                let moved = value["sums"].as_array_mut().expect("a list").pop().expect("a sum");
                value["control"].as_array_mut().expect("a list").insert(0, moved);
            }),
            refused("another control", |value| value["control"][0] = json!(6)),
            refused("another counter", |value| value["counters"][1] = json!(8)),
            refused("a counter fewer", |value| {
                value["counters"].as_array_mut().expect("a list").pop();
            }),
        ],
    }
}

pub(crate) fn check_aggregate(case: &mut Case, is_valid: bool) {
    let aggregate = Aggregate {
        count: case.number("count") as u32,
        weight: case.number("weight"),
        sums: case.sums("sums"),
        control: case.sums("control"),
        counters: case.numbers("counters").into_iter().map(|sum| sum as u64).collect(),
    };
    let (digest, cap) = (case.digest("digest"), case.number("cap"));
    let mean = case.list("mean");
    assert_eq!(aggregate.digest() == digest, is_valid, "{}", case.name);
    let mut input = Vec::new();
    let counters: Vec<u8> = aggregate.counters.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    let parts: [&[u8]; 4] = [
        &aggregate.count.to_le_bytes(),
        &aggregate.weight.to_le_bytes(),
        &counters,
        &(aggregate.control.len() as u64).to_le_bytes(),
    ];
    for part in parts {
        input.extend_from_slice(&(part.len() as u64).to_le_bytes());
        input.extend_from_slice(part);
    }
    let sums = aggregate.sums.iter().chain(&aggregate.control);
    input.extend(sums.flat_map(|&sum| i64::from(sum).to_le_bytes()));
    assert_eq!(aggregate.digest().0, blake3::derive_key("covey/v1/aggregate", &input));
    if !is_valid {
        case.refusal();
        return;
    }
    let means = aggregate.mean(&quantiser(cap as u32));
    for ((given, mean), sum) in mean.iter().zip(means).zip(&aggregate.sums) {
        assert_eq!(*given, format!("{:08x}", mean.to_bits()));
        let (top, bottom) =
            if cap == 0 { (1, aggregate.count.into()) } else { (cap, aggregate.weight) };
        let plain = *sum as f64 * 0.5 / 127.0 * top as f64 / bottom as f64;
        assert!((f64::from(mean) - plain).abs() <= plain.abs() * 1e-6, "{}", case.name);
    }
}
