//! `terms.json`.

use std::sync::Arc;

use covey_aggregation::config::{
    Audit, CommitteeShape, Control, Noise, NoisePlan, Profile, Quantiser, RoundConfig, Weighting,
};
use covey_aggregation::credit::{
    CreditConfig, CreditState, Evidence, ModelStep, RoundEvidence, Training,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::wire;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex, splice_between, spliced, unhex};
use crate::reference::bytes::{hash, varint};
use crate::support::{Fixture, Terms};

fn small() -> RoundConfig {
    let terms = Terms { profile: Profile::A, dimension: 20, round: 300, ..Terms::default() };
    let mut config = Fixture::new(terms).config;
    config.contributions_min = 3;
    config
}

const fn control() -> Control {
    Control { range: 0.25, clip_norm: 4.0, owners: 2000, variate: Digest([7; 32]) }
}

fn weighted() -> RoundConfig {
    let terms = Terms {
        shape: CommitteeShape::Seven,
        weighting: Weighting::CappedExamples(1000),
        bits: 12,
        contributions_max: 1000,
        dimension: 1_000_000,
        counters: 700,
        control: Some(control()),
        ..Terms::default()
    };
    let mut config = Fixture::new(terms).config;
    config.contributions_min = 100;
    config
}

fn credited() -> RoundConfig {
    let terms = Terms { dimension: 10_000, contributions_max: 10, ..Terms::default() };
    let mut config = Fixture::new(terms).config;
    config.contributions_min = 5;
    config.quantiser.clip_norm = 8.0;
    config.beacon_commitments = (1..=4).map(|i| Digest([i; 32])).collect();
    config.audit = Audit::Closed { rows: 128 };
    config.packing = config.derive_packing().expect("a packing");
    let step = ModelStep { before: Digest([8; 32]), after: Digest([9; 32]) };
    let state = CreditState::first(Digest([10; 32])).next(&[1, 2, 300], step);
    config.credit = Some(CreditConfig { fold: 30, steps: 20, training: Training::Off, state });
    config
}

/// The same where evidence weighs updates, after one round of two owners.
fn weighed() -> RoundConfig {
    let mut config = credited();
    let credit = config.credit.as_mut().expect("it has credit");
    let one =
        |(index, s)| Evidence { owner: PartyId([index; 32]), count: 1, s, novelty: 0, harm: 0 };
    let all = [(11, 3), (12, -1)].map(one).to_vec();
    let round = RoundEvidence::new(1, Digest([13; 32]), all).expect("good evidence");
    credit.training = Training::Evidence;
    credit.state.standings = credit.state.standings.after(&round);
    config.packing = config.derive_packing().expect("a packing");
    config
}

/// The same as the small ones, with noise as long as what one owner moves a sum by.
fn noisy() -> RoundConfig {
    let terms = Terms { bits: 16, dimension: 20, ..Terms::default() };
    let mut config = Fixture::new(terms).config;
    config.contributions_min = 3;
    (config.quantiser.range, config.quantiser.clip_norm) = (64.0, 1.0);
    config.noise = Some(noise_of(&config, false));
    config
}

fn noise_of(config: &RoundConfig, has_vote: bool) -> Noise {
    let plan = NoisePlan { multiplier: 1.0, contributions_min: 3, colluding_max: 1, has_vote };
    Noise::of(plan, &config.quantiser, config.dimension).expect("it can be drawn")
}

/// The same with a vote on the clip.
fn voted() -> RoundConfig {
    let mut config = noisy();
    config.noise = Some(noise_of(&config, true));
    config
}

/// The fields in order: name, type, value.
fn fields(config: &RoundConfig) -> Vec<(String, &'static str, Value)> {
    let mut fields = Vec::new();
    let mut field = |name: &str, kind, value| fields.push((name.to_owned(), kind, value));
    let float = |value: f32| json!(format!("{:08x}", value.to_bits()));
    field("federation", "bytes", json!(config.federation.to_string()));
    field("run", "bytes", json!(config.run.to_string()));
    field("round", "varint", json!(config.round));
    field("plan", "bytes", json!(config.plan.to_string()));
    field("manifest", "bytes", json!(config.manifest.to_string()));
    field("model", "bytes", json!(config.model.to_string()));
    field("dimension", "varint", json!(config.dimension));
    let is_a = config.profile == Profile::A;
    field("profile (0: A, 1: B)", "varint", json!(if is_a { 0 } else { 1 }));
    field("key_layer (0: replicated seeds)", "varint", json!(0));
    let Quantiser { bits, range, clip_norm, weighting } = config.quantiser;
    field("quantiser.bits", "byte", json!(bits));
    field("quantiser.range", "float", float(range));
    field("quantiser.clip_norm", "float", float(clip_norm));
    match weighting {
        Weighting::Uniform => field("quantiser.weighting (0: uniform)", "varint", json!(0)),
        Weighting::CappedExamples(cap) => {
            field("quantiser.weighting (1: capped examples)", "varint", json!(1));
            field("quantiser.weighting: the cap", "varint", json!(cap));
        }
    }
    field("counters", "varint", json!(config.counters));
    match &config.control {
        None => field("control (0: none)", "byte", json!(0)),
        Some(control) => {
            field("control (1: one)", "byte", json!(1));
            field("control.range", "float", float(control.range));
            field("control.clip_norm", "float", float(control.clip_norm));
            field("control.owners", "varint", json!(control.owners));
            field("control.variate", "bytes", json!(control.variate.to_string()));
        }
    }
    match &config.noise {
        None => field("noise (0: none)", "byte", json!(0)),
        Some(noise) => {
            field("noise (1: some)", "byte", json!(1));
            field("noise.share_numerator", "varint", json!(noise.share_numerator));
            field("noise.share_denominator", "varint", json!(noise.share_denominator));
            field("noise.colluding_max", "varint", json!(noise.colluding_max));
            field("noise.signal_squared_max", "varint", json!(noise.signal_squared_max));
            field("noise.vote_units", "varint", json!(noise.vote_units));
        }
    }
    field("packing.lanes", "varint", json!(config.packing.lanes));
    field("packing.lane_bits", "varint", json!(config.packing.lane_bits));
    field("packing.noise_bits", "varint", json!(config.packing.noise_bits));
    field("contributions_min", "varint", json!(config.contributions_min));
    field("contributions_max", "varint", json!(config.contributions_max));
    let is_four = config.shape == CommitteeShape::Four;
    field("shape (0: four, 1: seven)", "varint", json!(if is_four { 0 } else { 1 }));
    field("committee: seats", "varint", json!(config.committee.len()));
    for (h, seat) in config.committee.iter().enumerate() {
        let name = |part: &str| format!("committee, seat {h}: {part}");
        field(&name("holder"), "bytes", json!(hex(&seat.holder.0)));
        let kem = &seat.sealing_key.ml_kem;
        field(&name("bytes of the ML-KEM key"), "varint", json!(kem.len()));
        field(&name("ML-KEM key"), "bytes", json!(hex(kem)));
        field(&name("X25519 key"), "bytes", json!(hex(&seat.sealing_key.x25519)));
    }
    field("cohort", "bytes", json!(config.cohort.to_string()));
    field("beacon_commitments: number", "varint", json!(config.beacon_commitments.len()));
    for (i, commitment) in config.beacon_commitments.iter().enumerate() {
        let name = format!("beacon_commitments, component {i}");
        field(&name, "bytes", json!(commitment.to_string()));
    }
    match config.audit {
        Audit::Off => field("audit (0: off)", "varint", json!(0)),
        Audit::Closed { rows } => {
            field("audit (1: closed)", "varint", json!(1));
            field("audit: rows", "varint", json!(rows));
        }
    }
    match &config.credit {
        None => field("credit (0: none)", "byte", json!(0)),
        Some(CreditConfig { fold, steps, training, state }) => {
            field("credit (1: one)", "byte", json!(1));
            field("credit.fold", "varint", json!(fold));
            field("credit.steps", "varint", json!(steps));
            let is_weighed = *training == Training::Evidence;
            field("credit.training (0: off, 1: evidence)", "varint", json!(u8::from(is_weighed)));
            field("credit.state.pool", "bytes", json!(state.pool.to_string()));
            field("credit.state.opened", "varint", json!(state.opened));
            field("credit.state.retired", "bytes", json!(state.retired.to_string()));
            field("credit.state.steps: number", "varint", json!(state.steps.len()));
            for (i, step) in state.steps.iter().enumerate() {
                let name = |part: &str| format!("credit.state.steps, {i}: {part}");
                field(&name("before"), "bytes", json!(step.before.to_string()));
                field(&name("after"), "bytes", json!(step.after.to_string()));
            }
            let standings = state.standings.all();
            field("credit.state.standings: number", "varint", json!(standings.len()));
            for (i, standing) in standings.iter().enumerate() {
                let name = |part: &str| format!("credit.state.standings, {i}: {part}");
                field(&name("owner"), "bytes", json!(hex(&standing.owner.0)));
                field(&name("share (zigzag)"), "varint", json!(zigzag(standing.share)));
                field(&name("rounds"), "varint", json!(standing.rounds));
            }
        }
    }
    field("collect_ms", "varint", json!(config.collect_ms));
    fields
}

/// A signed number as an unsigned one: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The bytes of a field, from its type and value alone.
fn encoded(kind: &str, value: &Value) -> Vec<u8> {
    let text = || value.as_str().expect("text");
    match kind {
        "bytes" => unhex(text()),
        "varint" => varint(value.as_u64().expect("a number")),
        "byte" => vec![value.as_u64().expect("a number") as u8],
        "float" => unhex(text()).into_iter().rev().collect(),
        other => panic!("no type {other}"),
    }
}

fn valid(name: &str, config: &RoundConfig) -> Value {
    let fields = fields(config).into_iter().map(|(field, kind, value)| {
        let bytes = hex(&encoded(kind, &value));
        json!({ "field": field, "type": kind, "value": value, "bytes": bytes })
    });
    json!({
        "name": name, "terms": fields.collect::<Vec<_>>(),
        "encoding": hex(&wire::encode(config)), "round_ctx": config.context().to_string(),
    })
}

/// What is wrong with an encoding, in the library's words.
fn refusal(encoding: &[u8]) -> Option<String> {
    match wire::decode::<RoundConfig>(encoding, 1 << 20) {
        Err(malformed) => Some(malformed.to_string()),
        Ok(config) => config.validate().err().map(|bad| bad.to_string()),
    }
}

fn invalid(name: &str, wrong: &str, change: impl Fn(&mut Vec<u8>)) -> Value {
    let base = wire::encode(&small());
    let mut bytes = base.clone();
    change(&mut bytes);
    let refused = refusal(&bytes).unwrap_or_else(|| panic!("{name} is accepted"));
    let splice = splice_between(&base, &bytes);
    json!({ "name": name, "wrong": wrong, "splice": splice, "refused": refused })
}

fn bad(name: &str, wrong: &str, change: fn(&mut RoundConfig)) -> Value {
    invalid(name, wrong, |bytes| {
        let mut config = small();
        change(&mut config);
        *bytes = wire::encode(&config);
    })
}

pub(crate) fn file() -> File {
    File {
        about: "a round's terms: their encoding, and round_ctx = H(round-config; encoding)",
        step: "step 1, Terms",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            (
                "terms",
                "after the version byte 01, in this order: field, type, value, bytes. Types: \
              bytes as they are; varint: seven bits a byte, lowest first, top bit set on all but \
              the last; byte; float: the 32 bits of a binary32, value as a number in hex, bytes \
              little-endian",
            ),
            ("encoding", "the whole"),
            ("round_ctx", "32 bytes"),
            (
                "splice",
                "of the first valid case's encoding: at `at` take `remove` bytes away and \
              put `insert` there",
            ),
        ],
        valid: vec![
            valid("profile A, four holders, owners alike", &small()),
            valid("profile B, seven holders, owners weighted, counters and control", &weighted()),
            valid("noise", &noisy()),
            valid("noise and a vote on the clip", &voted()),
            valid("audit and credit", &credited()),
            valid("audit and credit, and evidence weighs updates", &weighed()),
        ],
        invalid: vec![
            invalid("another version", "the first byte is 2", |bytes| bytes[0] = 2),
            invalid("empty", "no byte", Vec::clear),
            invalid("cut short", "the last byte is missing", |bytes| {
                bytes.pop();
            }),
            invalid("a byte too many", "a zero byte follows", |bytes| bytes.push(0)),
            invalid("a long form of a number", "round 300 in three bytes", |bytes| {
                assert_eq!(bytes[65..67], [0xac, 2]);
                bytes.splice(65..67, [0xac, 0x82, 0]);
            }),
            invalid("an unknown profile", "profile 2", |bytes| {
                assert_eq!(bytes[67 + 96..67 + 98], [20, 0]);
                bytes[67 + 97] = 2;
            }),
            bad("two contributions suffice", "each could read the other's", |config| {
                config.contributions_min = 2;
            }),
            bad("a minimum above the maximum", "n_min is 11, n_max 10", |config| {
                config.contributions_min = 11;
            }),
            bad("round 0", "rounds count from 1", |config| config.round = 0),
            bad("no parameter", "d is 0", |config| config.dimension = 0),
            bad("one bit", "w is 1", |config| config.quantiser.bits = 1),
            bad("no range", "the range is 0", |config| config.quantiser.range = 0.0),
            bad("an endless clip", "clip_norm is infinite", |config| {
                config.quantiser.clip_norm = f32::INFINITY;
            }),
            bad("a cap of no example", "the cap is 0", |config| {
                config.quantiser.weighting = Weighting::CappedExamples(0);
            }),
            bad("too many counters", "one more than 4096", |config| config.counters = 4097),
            bad("a control without range", "its range is 0", |config| {
                config.control = Some(Control { range: 0.0, ..control() });
            }),
            bad("a control without end", "its clip_norm is not a number", |config| {
                config.control = Some(Control { clip_norm: f32::NAN, ..control() });
            }),
            bad(
                "a control of too few owners",
                "a mean over two, three must contribute",
                |config| {
                    config.control = Some(Control { owners: 2, ..control() });
                },
            ),
            bad(
                "noise in other terms",
                "both terms of its fraction are twice as large",
                |config| {
                    *config = noisy();
                    let noise = config.noise.as_mut().expect("noise");
                    noise.share_numerator *= 2;
                    noise.share_denominator *= 2;
                },
            ),
            bad("noise without room", "a share of standard deviation 2^15", |config| {
                *config = noisy();
                let noise = config.noise.as_mut().expect("noise");
                (noise.share_numerator, noise.share_denominator) = (1 << 30, 1);
            }),
            bad("noise of nobody", "all three owners may be in league", |config| {
                *config = noisy();
                config.noise.as_mut().expect("noise").colluding_max = 3;
            }),
            bad("noise of shorter updates", "half the squared length of the clip", |config| {
                *config = noisy();
                config.noise.as_mut().expect("noise").signal_squared_max /= 2;
            }),
            bad("a vote without room", "as large as all that coordinates hold", |config| {
                *config = voted();
                config.noise.as_mut().expect("noise").vote_units = 32_767;
            }),
            bad("noise beside counters", "a counter leaves without any", |config| {
                *config = noisy();
                config.counters = 1;
            }),
            bad("noise beside weights", "their sum leaves without any", |config| {
                *config = noisy();
                config.quantiser.weighting = Weighting::CappedExamples(9);
            }),
            bad("a thinner packing", "one lane fewer than derived", |config| {
                config.packing.lanes -= 1;
            }),
            bad("a seat too few", "three seats of four", |config| {
                config.committee.pop();
            }),
            bad("a holder twice", "seats 0 and 3 are the same holder's", |config| {
                config.committee[3].holder = config.committee[0].holder;
            }),
            bad("a short sealing key", "an ML-KEM key of 1183 bytes", |config| {
                Arc::make_mut(&mut config.committee[1].sealing_key.ml_kem).pop();
            }),
            bad("credit without an audit", "nothing is shared that it comes of", |config| {
                config.credit = credited().credit;
            }),
            bad("evidence that weighs nothing", "training is off, standings are there", |config| {
                *config = weighed();
                let credit = config.credit.as_mut().expect("it has credit");
                credit.training = Training::Off;
            }),
            bad("evidence weighs a sum of four", "five must contribute", |config| {
                *config = weighed();
                config.contributions_min = 4;
            }),
            bad("no room for weighed sums", "the packing of plain ones", |config| {
                *config = weighed();
                config.packing = credited().packing;
            }),
            invalid("standings out of order", "the second owner's is first", |bytes| {
                let standings = [11, 12].map(|index| [index; 32]);
                *bytes = wire::encode(&weighed());
                let at = standings.map(|owner| {
                    let found = bytes.windows(32).position(|window| *window == owner);
                    found.expect("its standing")
                });
                bytes[at[0]..at[0] + 32].copy_from_slice(&standings[1]);
                bytes[at[1]..at[1] + 32].copy_from_slice(&standings[0]);
            }),
            bad("a beacon without an audit", "one beacon commitment", |config| {
                config.beacon_commitments.push(config.model);
            }),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    if !is_valid {
        let bytes = spliced(&wire::encode(&small()), &case.value("splice"));
        assert_eq!(refusal(&bytes), Some(case.refusal()), "{}", case.name);
        return;
    }
    let mut bytes = vec![1];
    let terms = case.list("terms");
    for term in &terms {
        let part = encoded(term["type"].as_str().expect("text"), &term["value"]);
        assert_eq!(term["bytes"], hex(&part));
        bytes.extend(part);
    }
    assert_eq!(case.bytes("encoding"), bytes);
    let config: RoundConfig = wire::decode(&bytes, 1 << 20).expect("decodes");
    assert_eq!(config.validate(), Ok(()));
    let round_ctx = case.digest("round_ctx");
    assert_eq!(config.context(), round_ctx);
    assert_eq!(round_ctx.0, hash("round-config", &[&bytes]));
    // The names are those of the library's fields, and their values its values.
    let named = serde_json::to_value(&config).expect("JSON");
    for (term, (name, _, value)) in terms.iter().zip(fields(&config)) {
        assert_eq!((&term["field"], &term["value"]), (&json!(name), &value));
        let top = name.split([' ', ',', ':', '.']).next().expect("a first word");
        assert!(named.get(top).is_some(), "{name}");
    }
}
