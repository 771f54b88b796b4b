//! `quantise.json`.

use std::convert::Infallible;

use covey_aggregation::config::{Quantiser, Weighting};
use covey_aggregation::sum::quantise::{Quantised, quantise};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::bytes::Stream;
use crate::reference::numbers::Rule;

/// A source of randomness that gives these 32 bytes.
struct Seed([u8; 32]);

impl TryRng for Seed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the quantiser takes a seed of 32 bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the quantiser takes a seed of 32 bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Seed {}

fn floats(values: &[f32]) -> Vec<String> {
    values.iter().map(|value| format!("{:08x}", value.to_bits())).collect()
}

fn float(text: &Value) -> f32 {
    let bits = u32::from_str_radix(text.as_str().expect("text"), 16).expect("eight digits");
    f32::from_bits(bits)
}

fn input(name: &str, update: &[f32], quantiser: &Quantiser, examples: u32) -> Value {
    let cap = match quantiser.weighting {
        Weighting::Uniform => 0,
        Weighting::CappedExamples(cap) => cap,
    };
    json!({
        "name": name, "update": floats(update), "bits": quantiser.bits,
        "range": floats(&[quantiser.range])[0], "clip_norm": floats(&[quantiser.clip_norm])[0],
        "cap": cap, "examples": examples, "seed": hex(&[9; 32]),
    })
}

fn valid(name: &str, update: &[f32], quantiser: &Quantiser, examples: u32) -> Value {
    let mut case = input(name, update, quantiser, examples);
    let quantised = quantise(update, quantiser, examples, &mut Seed([9; 32])).expect("finite");
    case["units"] = json!(quantised.units().collect::<Vec<_>>());
    case["weight"] = json!(quantised.weight());
    case
}

fn invalid(name: &str, at: usize, value: f32) -> Value {
    let mut update = vec![0.25; 40];
    update[at] = value;
    let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
    let mut case = input(name, &update, &quantiser, 1);
    let refused = quantise(&update, &quantiser, 1, &mut Seed([9; 32])).err().expect("not finite");
    case["wrong"] = json!(format!("value {at} is {value}"));
    case["refused"] = json!(refused.to_string());
    case
}

const fn quantiser(bits: u8, range: f32, clip_norm: f32, weighting: Weighting) -> Quantiser {
    Quantiser { bits, range, clip_norm, weighting }
}

pub(crate) fn file() -> File {
    let wave: Vec<f32> = (0..40i16).map(|i| (f32::from(i) - 20.0) / 32.0).collect();
    let ends = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e30, -1e30, 1e-30, 0.5];
    let uniform = Weighting::Uniform;
    File {
        about: "an update's integers: clipped to clip_norm (Euclidean, in binary64, in the order \
                that tests/vectors/reference/numbers.rs writes out), clamped to range, times \
                weight / cap, divided by the step range / (2^(w-1) - 1), rounded at random: \
                floor(round(units 2^32) + u) / 2^32, u the next four bytes of XOF(seed, 0)",
        step: "step 3, Quantise",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("update", "the values, each the 32 bits of an IEEE 754 binary32, as a number in hex"),
            ("bits", "w: bits of a coordinate"),
            ("range", "largest absolute value, likewise"),
            ("clip_norm", "largest Euclidean norm, likewise"),
            ("cap", "largest number of examples that counts; 0: every owner counts as one"),
            ("examples", "the owner's examples"),
            ("seed", "32 bytes"),
            ("units", "the signed integers; a coordinate is unit + 2^(w-1)"),
            ("weight", "what the owner counts"),
        ],
        valid: vec![
            valid("within range", &wave, &quantiser(8, 1.0, 100.0, uniform), 1),
            valid("clipped to a norm of one", &wave, &quantiser(8, 1.0, 1.0, uniform), 1),
            valid("clamped", &ends, &quantiser(8, 0.75, f32::MAX, uniform), 1),
            valid("two bits", &wave, &quantiser(2, 0.5, 100.0, uniform), 1),
            valid("sixteen bits", &wave, &quantiser(16, 1.0, 100.0, uniform), 1),
            valid(
                "three of ten examples",
                &wave,
                &quantiser(12, 1.0, 100.0, Weighting::CappedExamples(10)),
                3,
            ),
            valid(
                "more examples than the cap",
                &wave,
                &quantiser(12, 1.0, 100.0, Weighting::CappedExamples(10)),
                99,
            ),
            valid(
                "no example counts as one",
                &wave,
                &quantiser(12, 1.0, 100.0, Weighting::CappedExamples(10)),
                0,
            ),
            valid("nothing but zeros", &[0.0; 9], &quantiser(8, 1.0, 1.0, uniform), 1),
        ],
        invalid: vec![
            invalid("not a number", 3, f32::NAN),
            invalid("infinity", 0, f32::INFINITY),
            invalid("minus infinity, last", 39, f32::NEG_INFINITY),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let update: Vec<f32> = case.list("update").iter().map(float).collect();
    let (range, clip_norm) = (float(&case.value("range")), float(&case.value("clip_norm")));
    let (bits, cap, examples) = (case.number("bits"), case.number("cap"), case.number("examples"));
    let weighting = match cap {
        0 => Weighting::Uniform,
        cap => Weighting::CappedExamples(cap as u32),
    };
    let quantiser = quantiser(bits as u8, range, clip_norm, weighting);
    let seed: [u8; 32] = case.array("seed");
    let result = quantise(&update, &quantiser, examples as u32, &mut Seed(seed));
    if !is_valid {
        let refused = result.err().expect("not finite");
        assert_eq!(refused.to_string(), case.refusal(), "{}", case.name);
        return;
    }
    let quantised: Quantised = result.unwrap_or_else(|_| panic!("{}", case.name));
    let (units, weight) = (case.numbers("units"), case.number("weight"));
    assert!(quantised.units().map(i64::from).eq(units.iter().copied()), "{}", case.name);
    assert_eq!(u64::from(quantised.weight()), weight);
    assert_eq!(weight, if cap == 0 { 1 } else { examples.clamp(1, cap) });
    let rule = Rule { bits: bits as u32, range, clip_norm, cap: (cap > 0).then_some(cap) };
    let random = Stream::new(&seed, 0).bytes(4 * update.len());
    assert_eq!(rule.units(&update, weight, &random), units, "{}", case.name);
}
