//! `audit.json`: the closed audit of one contribution of one chunk.

use covey_aggregation::audit::Terms as Bounds;
use covey_aggregation::audit::check::Batch;
use covey_aggregation::audit::credit::{self, Functions};
use covey_aggregation::audit::opening::{Public, agree, judge, open};
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::config::{Audit, CommitteeShape, HolderIndex, Profile, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Envelope;
use covey_aggregation::party::PartyId;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{SealError, Sealing};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{Seeds, open_envelope};
use covey_aggregation::wire;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex, unhex};
use crate::reference::audit::{self, Sizes};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::unpack;
use crate::support::{Fixture, Terms, client};

const SET: Digest = Digest([7; 32]);
const ROWS: Digest = Digest([8; 32]);
const CHECK: Digest = Digest([9; 32]);

/// What is public of one audited contribution, and the seeds that open its boxes.
struct Scene {
    config: RoundConfig,
    boxes: Vec<Vec<u8>>,
    client: PartyId,
    correction: Vec<u8>,
    chunk: Vec<u8>,
    proof: Proof,
    seeds: Vec<Seeds>,
}

fn scene(shape: CommitteeShape) -> Scene {
    let terms = Terms { shape, profile: Profile::B, dimension: 90, ..Terms::default() };
    let Fixture { mut config, secrets, .. } = Fixture::new(terms);
    (config.audit, config.quantiser.clip_norm) = (Audit::Closed { rows: 64 }, 3.0);
    config.packing = config.derive_packing().expect("a packing exists");
    let units: Vec<i32> = (0..90).map(|i| i * 13 % 61 - 30).collect();
    let quantised = Quantised::from_units(&units, 1, &config.quantiser).expect("in range");
    let (owner, entropy) = (client(1), Zeroizing::new([0xe0; 32]));
    let sealing = Sealing::new::<SealError<()>>(&config, &owner, &quantised, &entropy);
    let Ok(sealing) = sealing else { panic!("it seals") };
    let mut sealer = sealing.sealer();
    let (bytes, leaf, kept) = sealer.seal_and_keep(0);
    let chunk = bytes.to_vec();
    let witness = sealing.witness::<()>(vec![kept]).expect("of all chunks");
    drop(sealer);
    let sealed = sealing.finish::<()>(&[leaf]).expect("it seals");
    let context = config.context();
    let open = |(h, secret): (usize, &SealingSecret)| {
        let holder = HolderIndex(h as u8);
        let envelope = Envelope::new(&sealed.header, holder, sealed.boxes[h].clone());
        let envelope = envelope.expect("a seat");
        open_envelope(&config, &context, holder, secret, &envelope).expect("opens")
    };
    let seeds = secrets.iter().enumerate().map(open).collect();
    let question = Question::new(&config, SET, ROWS).expect("audited");
    let proof = Proof::new(&question, &owner.id(), &witness, &entropy).expect("a proof");
    let (client, correction, boxes) = (owner.id(), sealed.correction, sealed.boxes);
    Scene { config, boxes, client, correction, chunk, proof, seeds }
}

fn functions(question: &Question<'_>) -> ([Vec<i64>; 3], Functions) {
    let weight = |i: i64, seed: i64| (i * 7_919 + seed * 104_729) % 65_537 - 32_768;
    let number = question.terms().projections() as i64;
    let rho = [1, 2, 3].map(|seed| (0..number).map(|i| weight(i, seed)).collect::<Vec<_>>());
    (rho.clone(), Functions::new(question, rho).expect("bounded"))
}

/// A case: `scene` as it is, with what the library makes of it.
fn case(name: &str, scene: &Scene) -> Value {
    let Scene { config, client, proof, .. } = scene;
    let question = Question::new(config, SET, ROWS).expect("audited");
    let check = question.check(&CHECK);
    let batch = Batch::new(&question, &check);
    let about = (client, proof);
    let answer = |seeds: &Seeds| open(&question, &check, &batch, about, seeds);
    let answers: Vec<_> = scene.seeds.iter().map(answer).collect();
    let product = batch.product(&question, [&scene.chunk[..]].into_iter());
    let public = Public::new(&batch, &scene.correction, product).expect("a vector over Z_q");
    let opened = agree(config.shape, &answers.iter().cloned().map(Some).collect::<Vec<_>>());
    let parts = opened.expect("all answered").parts;
    let verdict = judge(&question, &check, about, &public, &parts);
    let verdict = verdict.map_or_else(|failure| failure.to_string(), |()| "passes".to_owned());
    let (rho, functions) = functions(&question);
    let open = |seeds: &Seeds| credit::open(&question, &functions, about, seeds);
    let parts: Vec<_> = scene.seeds.iter().map(|seeds| Some(open(seeds))).collect();
    let numbers = agree(config.shape, &parts).expect("all answered").parts;
    let numbers = credit::numbers(&functions, proof, &numbers).map(|number| number.to_string());
    let residues = |parts: &Option<Vec<[covey_aggregation::audit::Element; 3]>>| {
        let parts = parts.iter().flatten();
        parts.map(|part| part.map(|element| element.residues())).collect::<Vec<_>>()
    };
    let bounds = question.terms();
    let openings = answers
        .iter()
        .map(|parts| parts.iter().map(|opening| hex(&opening.to_bytes())).collect::<Vec<_>>());
    json!({
        "name": name, "config": hex(&wire::encode(config)),
        "round_ctx": config.context().to_string(),
        "rows": bounds.rows, "lanes": bounds.packing.lanes,
        "lane_bits": bounds.packing.lane_bits, "noise_bits": bounds.packing.noise_bits,
        "coefficients": bounds.coefficients, "norm_squared_max": bounds.norm_squared_max,
        "set": SET.to_string(), "rows_beacon": ROWS.to_string(), "check_beacon": CHECK.to_string(),
        "client": hex(&client.0),
        "sealing_seeds": (1..=config.shape.members()).map(|h| hex(&[h as u8; 96])).collect::<Vec<_>>(),
        "boxes": scene.boxes.iter().map(|one| hex(one)).collect::<Vec<_>>(),
        "correction": hex(&scene.correction), "chunk": hex(&scene.chunk),
        "proof": hex(&proof.to_bytes()),
        "openings": openings.collect::<Vec<_>>(),
        "functions": rho, "number_parts": parts.iter().map(residues).collect::<Vec<_>>(),
        "numbers": numbers, "verdict": verdict,
    })
}

/// The same with something changed, and why it does not pass.
fn refused(name: &str, wrong: &str, change: impl FnOnce(&mut Scene)) -> Value {
    let mut scene = scene(CommitteeShape::Four);
    change(&mut scene);
    let mut case = case(name, &scene);
    let fields = case.as_object_mut().expect("an object");
    let verdict = fields.remove("verdict").expect("there is one");
    fields.insert("wrong".to_owned(), wrong.into());
    fields.insert("refused".to_owned(), verdict);
    case
}

/// The proof with one byte changed, if it still is one.
fn changed(scene: &mut Scene, from_end: usize, bits: u8) {
    let bounds = Bounds::new(&scene.config).expect("audited");
    let mut bytes = scene.proof.to_bytes();
    let at = bytes.len() - from_end;
    bytes[at] ^= bits;
    scene.proof = Proof::from_bytes(&bounds, &bytes).expect("a proof in form");
}

pub(crate) fn file() -> File {
    File {
        about: "one contribution audited: proof, what every holder answers, verdict, and three \
                numbers of it",
        step: "The closed audit",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("config", "the round's terms, encoded; audited"),
            ("round_ctx", "their context"),
            ("rows", "J"),
            ("lanes", "k"),
            ("lane_bits", "L"),
            ("noise_bits", "R"),
            ("coefficients", "D"),
            ("norm_squared_max", "C^2"),
            ("set", "digest of the agreed set"),
            ("rows_beacon", "key of the rows: entry c of row j is bits 2c, 2c + 1 of XOF(key, j)"),
            ("check_beacon", "key of the check: stream 0 the weights, stream 1 the point"),
            ("client", "who proves"),
            ("sealing_seeds", "each holder's 96 secret bytes"),
            ("boxes", "each holder's sealed box, with its seeds of the client's key"),
            ("correction", "d, packed"),
            ("chunk", "the sealed chunk"),
            ("proof", "salt, corrections of v, p and mu, masked range rows"),
            ("openings", "for each holder, for each of its components: f_r(t), p(t), Z, packed"),
            ("functions", "the weights of the projections in each number"),
            ("number_parts", "for each holder and component: its part of each number, residues"),
            ("numbers", "the numbers, in decimal digits"),
            ("verdict", "passes, or the check that does not"),
        ],
        valid: vec![
            case("four holders", &scene(CommitteeShape::Four)),
            case("seven holders", &scene(CommitteeShape::Seven)),
        ],
        invalid: vec![
            refused("a changed ciphertext", "one bit of a lane", |scene| scene.chunk[4] ^= 0x40),
            refused("a changed correction", "one bit of d", |scene| scene.correction[77] ^= 1),
            refused("a range row out of range", "z_96 is too large", |scene| {
                changed(scene, 1, 0x40);
            }),
            refused("a changed range row", "z_96 is another", |scene| changed(scene, 6, 1)),
            refused("another mask", "the correction of a mask is another", |scene| {
                changed(scene, 96 * 6 + 50, 1);
            }),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let config: RoundConfig = wire::decode(&case.bytes("config"), 1 << 20).expect("terms");
    let round_ctx = case.bytes("round_ctx");
    assert_eq!(config.context().0[..], round_ctx);
    let sizes = Sizes {
        rows: case.number("rows") as usize,
        lanes: case.number("lanes") as usize,
        lane_bits: case.number("lane_bits") as u32,
        noise_bits: case.number("noise_bits") as u32,
        coefficients: case.number("coefficients") as usize,
        norm_squared: case.number("norm_squared_max").into(),
    };
    let bounds = Bounds::new(&config).expect("audited");
    assert_eq!([bounds.update_bound, bounds.noise_bound], sizes.bounds());
    assert_eq!((bounds.rows, bounds.entries()), (sizes.rows, sizes.entries()));
    assert_eq!(bounds.coefficients, sizes.coefficients as u64);
    // Clip 3, step 1/127, and four digits of a weight, each within 128 of its middle.
    assert_eq!(sizes.norm_squared, 381 * 381 + 4 * 128 * 128);
    let (set, client) = (case.bytes("set"), case.bytes("client"));
    let (proof, correction) = (case.bytes("proof"), case.bytes("correction"));
    let words = own_words(&sizes, &case.bytes("chunk"));
    let public = audit::Public {
        sizes,
        round_ctx: &round_ctx,
        set: &set,
        rows_beacon: case.array("rows_beacon"),
        check_beacon: case.array("check_beacon"),
        client: &client,
        correction: &correction,
        words: &words,
        proof: &proof,
    };
    let audit = audit::Audit::new(public);
    let held = held_seeds(case, &round_ctx, &client);
    let seeds = all_seeds(&held, config.shape);
    let openings = seeds.iter().map(|seed| audit.component(seed)).collect::<Vec<_>>();
    let functions: Vec<Vec<i64>> =
        serde_json::from_value(case.value("functions")).expect("lists of integers");
    let answers = case.list("openings");
    let number_parts = case.list("number_parts");
    assert_eq!((answers.len(), number_parts.len()), (held.len(), held.len()));
    for (held, (answers, parts)) in held.iter().zip(answers.iter().zip(&number_parts)) {
        let expected = held.iter().map(|seed| {
            let place = seeds.iter().position(|other| other == seed).expect("one of all");
            (
                hex(&openings[place].bytes()),
                [0, 1, 2].map(|i| audit.number_of_component(&functions[i], seed)),
            )
        });
        let (opened, numbers): (Vec<_>, Vec<_>) = expected.unzip();
        assert_eq!(*answers, json!(opened), "{}", case.name);
        assert_eq!(*parts, json!(numbers), "{}", case.name);
    }
    let numbers: Vec<String> =
        functions.iter().map(|rho| audit.number(rho, &seeds).to_string()).collect();
    assert_eq!(case.value("numbers"), json!(numbers), "{}", case.name);
    let told = if is_valid { case.text("verdict") } else { case.refusal() };
    let verdict = audit.verdict(&openings);
    assert_eq!(is_valid, verdict == "passes", "{}", case.name);
    assert!(told.starts_with(verdict), "{}: {told}, here {verdict}", case.name);
}

/// The chunk's words less what every owner adds: 128 to each of 90 units, 1 to each of 64
/// sentinels, 128 to each of four digits.
fn own_words(sizes: &Sizes, chunk: &[u8]) -> Vec<u128> {
    let bits = sizes.lanes as u32 * sizes.lane_bits + sizes.noise_bits;
    let mut words = unpack(chunk, bits as usize);
    let offsets = [128u128; 90].into_iter().chain([1; 64]).chain([128; 4]);
    for (i, offset) in offsets.enumerate() {
        let shift = sizes.noise_bits + (i % sizes.lanes) as u32 * sizes.lane_bits;
        let word = &mut words[i / sizes.lanes];
        *word = word.wrapping_sub(offset << shift) % (1 << bits);
    }
    words
}

/// Each holder's seeds, from its box.
fn held_seeds(case: &mut Case, round_ctx: &[u8], client: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let boxes = case.bytes_list("boxes");
    let secrets = case.list("sealing_seeds");
    assert_eq!(boxes.len(), secrets.len());
    let open = |(holder, (sealed, secret)): (u8, (&Vec<u8>, &Value))| {
        let secret = unhex(secret.as_str().expect("text"));
        let place = Place { round_ctx, client, holder };
        let (_, contents) = boxes::open(&secret, &place, sealed).expect("a good box");
        contents.chunks(32).map(<[u8]>::to_vec).collect()
    };
    (0..).zip(boxes.iter().zip(&secrets)).map(open).collect()
}

/// The seed of every component, in canonical order: ascending masks of the holders that lack it.
fn all_seeds(held: &[Vec<Vec<u8>>], shape: CommitteeShape) -> Vec<Vec<u8>> {
    let members = held.len() as u16;
    let masks = (0..1u16 << members).filter(|mask| mask.count_ones() as usize == shape.faults());
    let masks: Vec<u16> = masks.collect();
    let known = |holder: usize| masks.iter().filter(move |mask| **mask >> holder & 1 == 0);
    let seed = |mask: &u16| {
        let holder = (0..held.len()).find(|h| mask >> h & 1 == 0).expect("one knows it");
        let place = known(holder).position(|other| other == mask).expect("it does");
        held[holder][place].clone()
    };
    masks.iter().map(seed).collect()
}
