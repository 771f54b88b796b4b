//! `seal.json`: sealed updates of profile B.

use covey_aggregation::config::{CommitteeShape, Control, RoundConfig, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{Sealed, seal};
use covey_aggregation::wire;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::case::{Case, File, NAME, digest, hex};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::unpack;
use crate::reference::ring::Ring;
use crate::round::lanes_of;
use crate::support::{Fixture, Terms};

/// What is sealed, and by whom.
struct Input {
    config: RoundConfig,
    client_seed: [u8; 32],
    entropy: [u8; 32],
    units: Vec<i32>,
    weight: u32,
    control: Vec<i32>,
    counters: Vec<u64>,
}

impl Input {
    fn seal(&self) -> (Sealed, Vec<Vec<u8>>) {
        let identity = Identity::from_seed(&Zeroizing::new(self.client_seed));
        let mut quantised = Quantised::from_units(&self.units, self.weight, &self.config.quantiser)
            .and_then(|quantised| quantised.with_counters(&self.counters))
            .expect("units and counters within the quantiser's range");
        if let Some(terms) = &self.config.control {
            quantised = quantised.with_control_units(&self.control, terms).expect("in range");
        }
        let (entropy, mut chunks) = (Zeroizing::new(self.entropy), Vec::new());
        let sealed = seal(&self.config, &identity, &quantised, &entropy, &mut chunks);
        (sealed.expect("seals"), chunks)
    }
}

fn valid(name: &str, terms: Terms, weight: u32, counters: &[u64]) -> Value {
    let max = (1 << (terms.bits - 1)) - 1;
    let units: Vec<i32> =
        (0..terms.dimension as i32).map(|i| i * 13 % (2 * max + 1) - max).collect();
    let config = Fixture::new(terms).config;
    let control = match config.control {
        Some(_) => units.iter().map(|unit| -unit).collect(),
        None => Vec::new(),
    };
    let (client_seed, entropy, counters) = ([0xc1; 32], [0xe0; 32], counters.to_vec());
    let input = Input { config, client_seed, entropy, units, weight, control, counters };
    let (sealed, chunks) = input.seal();
    json!({
        "name": name, "config": hex(&wire::encode(&input.config)),
        "round_ctx": input.config.context().to_string(),
        "sealing_seeds": (1..=terms.shape.members()).map(|h| hex(&[h as u8; 96])).collect::<Vec<_>>(),
        "client_seed": hex(&input.client_seed), "entropy": hex(&input.entropy),
        "units": input.units, "weight": weight, "control": input.control,
        "counters": input.counters,
        "header": hex(&wire::encode(&sealed.header.header)),
        "header_digest": sealed.header.header.digest().to_string(),
        "signature": hex(&sealed.header.signature.to_bytes()),
        "correction_digest": digest(&sealed.correction),
        "box_digests": sealed.boxes.iter().map(|one| digest(one)).collect::<Vec<_>>(),
        "chunks": chunks.iter().map(|chunk| hex(chunk)).collect::<Vec<_>>(),
    })
}

pub(crate) fn file() -> File {
    let seven = Terms {
        shape: CommitteeShape::Seven,
        bits: 12,
        contributions_max: 1000,
        dimension: 9,
        weighting: Weighting::CappedExamples(60_000),
        ..Terms::default()
    };
    let small = Terms { dimension: 20, ..Terms::default() };
    let control = Control { range: 0.5, clip_norm: 2.0, owners: 10, variate: Digest([7; 32]) };
    File {
        about: "sealed updates of profile B. What is random in them hangs on entropy, identity, \
                round and update in a way that another implementation need not share; it can open \
                the boxes, and so the chunks, with the holders' seeds",
        step: "steps 4 to 8",
        fields: &[
            NAME,
            ("config", "the terms, encoded"),
            ("round_ctx", "the round's context"),
            ("sealing_seeds", "96 secret bytes of each holder, as in box.json"),
            ("client_seed", "the client's Ed25519 seed"),
            ("entropy", "32 bytes"),
            ("units", "the signed integers"),
            ("weight", "what the owner counts"),
            ("control", "the signed integers of the second vector; empty: there is none"),
            ("counters", "the exact integers beside them"),
            ("header", "the encoded header"),
            ("header_digest", "its digest, the contribution's name"),
            ("signature", "over the encoded header, as `header`"),
            ("correction_digest", "H(body) of the correction"),
            ("box_digests", "H(body) of each box"),
            ("chunks", "the chunks"),
        ],
        valid: vec![
            valid("four holders, owners alike", small, 1, &[]),
            valid("seven holders, 54,321 examples", seven, 54_321, &[]),
            valid("two counters", Terms { counters: 2, ..small }, 1, &[0, 0xfedc_ba98]),
            valid(
                "a control and counters of 16 bits a digit",
                Terms { bits: 16, counters: 3, control: Some(control), ..small },
                1,
                &[(1 << 48) - 1, 65_536, 1],
            ),
        ],
        invalid: Vec::new(),
    }
}

pub(crate) fn check(case: &mut Case, _: bool) {
    let config: RoundConfig = wire::decode(&case.bytes("config"), 1 << 20).expect("terms");
    let round_ctx = case.bytes("round_ctx");
    let input = Input {
        config,
        client_seed: case.array("client_seed"),
        entropy: case.array("entropy"),
        units: case.numbers("units").into_iter().map(|unit| unit as i32).collect(),
        weight: case.number("weight") as u32,
        control: case.numbers("control").into_iter().map(|unit| unit as i32).collect(),
        counters: case.numbers("counters").into_iter().map(|counter| counter as u64).collect(),
    };
    assert_eq!(input.config.context().0[..], round_ctx);
    let (sealed, chunks) = input.seal();
    let header = &sealed.header.header;
    assert_eq!(case.bytes("header"), wire::encode(header));
    assert_eq!(case.digest("header_digest"), header.digest());
    assert_eq!(case.signature("signature"), sealed.header.signature);
    assert_eq!(sealed.header.verify(), Ok(()));
    assert_eq!(case.text("correction_digest"), digest(&sealed.correction));
    let boxes = case.list("box_digests");
    assert!(boxes.iter().zip(&sealed.boxes).all(|(given, one)| *given == digest(one)));
    assert_eq!(case.bytes_list("chunks"), chunks, "{}", case.name);

    // The naive implementation opens the boxes, puts the key together and opens the chunk.
    let (ring, client) = (Ring::of("B"), header.client.0);
    let seeds = case.bytes_list("sealing_seeds");
    let contents: Vec<_> = (sealed.boxes.iter().zip(&seeds).enumerate())
        .map(|(holder, (sealed, seed))| {
            let place = Place { round_ctx: &round_ctx, client: &client, holder: holder as u8 };
            boxes::open(seed, &place, sealed).expect("opens").1
        })
        .collect();
    let (members, faults) = (seeds.len(), (seeds.len() as u32 - 1) / 3);
    let components: Vec<u16> =
        (0..1 << members).filter(|mask: &u16| mask.count_ones() == faults).collect();
    let mut key = ring.residues(&sealed.correction);
    for component in &components {
        let holder = component.trailing_ones() as usize;
        let known = components.iter().filter(|other| *other >> holder & 1 == 0);
        let at = known.take_while(|other| *other != component).count();
        let seed = &contents[holder][32 * at..32 * at + 32];
        ring.add(&mut key, &ring.expand(seed, &round_ctx, &client), false);
    }
    let key = ring.short(&key, 64);
    let packing = input.config.packing;
    let bits = packing.pad_bits() as usize;
    let shape =
        (bits, packing.lanes as usize, packing.lane_bits as usize, packing.noise_bits as usize);
    let raw = lanes_of(ring, &round_ctx, &key, &unpack(&chunks[0], bits), shape);
    let w = u32::from(input.config.quantiser.bits);
    let digits = |value: u64| (0..4).map(move |i| value >> (i * w) & ((1 << w) - 1));
    let mut expected: Vec<u64> = (input.units.iter().chain(&input.control))
        .map(|unit| (unit + (1 << (w - 1))) as u64)
        .chain([1; 64])
        .chain(digits(input.weight.into()))
        .chain(input.counters.iter().flat_map(|counter| digits(*counter)))
        .collect();
    expected.resize(raw.len(), 0);
    assert_eq!(raw, expected, "{}", case.name);
}
