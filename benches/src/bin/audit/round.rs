//! One owner's way through an audit, step by step.

use std::hint::black_box;

use covey_aggregation::audit::check::Batch;
use covey_aggregation::audit::credit::{self, Functions};
use covey_aggregation::audit::opening::{Opening, Public, agree, judge, open};
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::config::{
    Audit, CommitteeShape, HolderIndex, Packing, Profile, Quantiser, RoundConfig, Weighting,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Envelope;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::path::Path;
use covey_aggregation::sum::quantise::{Quantised, quantise};
use covey_aggregation::sum::seal::{SealError, Sealed, Sealing};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{Seeds, open_envelope};
use covey_benches::{Figure, Report, RoundChoice, Terms, identity, median_ns};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zeroize::Zeroizing;

use crate::ROWS;

/// Most contributions.
const CONTRIBUTIONS_MAX: u32 = 1000;

/// Bits of a unit.
const BITS: u8 = 8;

/// Bytes of a signature, which a proof is sent with.
const SIGNATURE_BYTES: usize = 64;

/// Root mean square of an update at the clip, in units, as the design note has it.
const CLIP_UNITS: f32 = 8.0;

/// An audited round whose clip is [`CLIP_UNITS`] for each parameter.
pub(crate) fn round(dimension: u64, shape: CommitteeShape) -> (RoundConfig, Vec<SealingSecret>) {
    let range = 0.1;
    let step = range / 127.0;
    let clip_norm = CLIP_UNITS * step * (dimension as f32).sqrt();
    let quantiser = Quantiser { bits: BITS, range, clip_norm, weighting: Weighting::Uniform };
    let (profile, audit) = (Profile::B, Audit::Closed { rows: ROWS });
    let contributions_max = CONTRIBUTIONS_MAX;
    RoundChoice { profile, shape, dimension, contributions_max, quantiser, audit }.round()
}

/// A round, one owner's sealed update, and a holder's seeds of it.
struct Scene {
    config: RoundConfig,
    owner: Identity,
    quantised: Quantised,
    secrets: Vec<SealingSecret>,
    update: Vec<f32>,
}

impl Scene {
    fn new(dimension: u64, shape: CommitteeShape) -> Self {
        let (config, secrets) = round(dimension, shape);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        // Uniform of a root mean square of 7 units, below the clip, so that rounding cannot pass it.
        let width = 7.0 * 3f32.sqrt() * config.quantiser.step() as f32;
        let update: Vec<f32> = (0..dimension).map(|_| rng.random_range(-width..width)).collect();
        let quantised = quantise(&update, &config.quantiser, 1, &mut rng).expect("finite");
        Self { config, owner: identity(1), quantised, secrets, update }
    }

    fn sealing(&self) -> Sealing<'_> {
        let entropy = Zeroizing::new([5; 32]);
        Sealing::new::<SealError<()>>(&self.config, &self.owner, &self.quantised, &entropy)
            .unwrap_or_else(|_| panic!("it seals"))
    }

    fn seeds(&self, sealed: &Sealed, holder: usize) -> Seeds {
        let index = HolderIndex(holder as u8);
        let sealed_box = sealed.boxes[holder].clone();
        let envelope = Envelope::new(&sealed.header, index, sealed_box).expect("a seat");
        let context = self.config.context();
        open_envelope(&self.config, &context, index, &self.secrets[holder], &envelope)
            .expect("a good box")
    }

    fn repeats(&self) -> usize {
        if self.config.dimension > 2_000_000 { 3 } else { 9 }
    }

    fn terms(&self) -> Terms {
        let RoundConfig { dimension, shape, packing, .. } = &self.config;
        let Packing { lanes, lane_bits, noise_bits } = packing;
        let holders = shape.members();
        Terms {
            text: format!(
                "m={holders} d={dimension} J={ROWS} n={CONTRIBUTIONS_MAX} w={BITS} \
                 {lanes}/{lane_bits}/{noise_bits}"
            ),
            d: *dimension,
            n_max: CONTRIBUTIONS_MAX,
            w: BITS,
            profile: "B".to_owned(),
            holders,
            path: Path::current().name(),
        }
    }
}

pub(crate) fn measure(report: &Report, dimension: u64, shape: CommitteeShape) {
    let scene = Scene::new(dimension, shape);
    let (config, terms, repeats) = (&scene.config, scene.terms(), scene.repeats());
    let per = |ns: f64| ns / dimension as f64;
    let norm = per(median_ns(repeats, || {
        let square: f32 = black_box(&scene.update).iter().map(|x| x * x).sum();
        black_box(square.sqrt());
    }));
    let rate = |name, ns| {
        let figure = Figure::new(name, &terms, per(ns), "ns/parameter");
        report.figure(&figure.beside("f32 norm", norm));
    };
    let time = |name, ns: f64| report.figure(&Figure::new(name, &terms, ns / 1e3, "us/client"));
    let bytes =
        |name, bytes: usize| report.figure(&Figure::new(name, &terms, bytes as f64, "B/client"));

    let sealing = scene.sealing();
    let mut sealer = sealing.sealer();
    let all = 0..config.chunks();
    let sealing_alone = median_ns(repeats.min(3), || {
        for chunk in all.clone() {
            black_box(sealer.seal(chunk));
        }
    });
    rate("client.seal", sealing_alone);
    let mut kept = Vec::new();
    let keeping = median_ns(repeats.min(3), || {
        kept = all.clone().map(|chunk| sealer.seal_and_keep(chunk).2).collect();
    });
    rate("client.seal_and_keep", keeping);
    let sealed = all.map(|chunk| {
        let (bytes, leaf) = sealer.seal(chunk);
        (bytes.to_vec(), leaf)
    });
    let (chunks, leaves): (Vec<Vec<u8>>, Vec<_>) = sealed.unzip();
    let witness = sealing.witness::<()>(kept).expect("of all chunks");
    drop(sealer);
    let sealed = sealing.finish::<()>(&leaves).expect("it seals");

    let question = Question::new(config, Digest([7; 32]), Digest([8; 32])).expect("audited");
    let client = scene.owner.id();
    let prove =
        || Proof::new(&question, &client, &witness, &Zeroizing::new([3; 32])).expect("a proof");
    rate("client.prove", median_ns(repeats, || drop(black_box(prove()))));
    let proof = prove();
    bytes("client.bytes", Proof::length(question.terms()) + SIGNATURE_BYTES);

    let check = question.check(&Digest([9; 32]));
    rate(
        "round.batch",
        median_ns(repeats.min(5), || drop(black_box(Batch::new(&question, &check)))),
    );
    let batch = Batch::new(&question, &check);
    let product = || batch.product(&question, chunks.iter().map(Vec::as_slice));
    rate(
        "coordinator.product",
        median_ns(repeats, || {
            black_box(product());
        }),
    );
    let public = Public::new(&batch, &sealed.correction, product()).expect("a vector over Z_q");

    let about = (&client, &proof);
    let seeds: Vec<Seeds> = (0..shape.members()).map(|h| scene.seeds(&sealed, h)).collect();
    let answer = |seeds: &Seeds| open(&question, &check, &batch, about, seeds);
    time("holder.open", median_ns(25, || drop(black_box(answer(&seeds[0])))));
    let answers: Vec<Option<Vec<Opening>>> = seeds.iter().map(answer).map(Some).collect();
    bytes("holder.bytes.in", Proof::length(question.terms()) + SIGNATURE_BYTES);
    bytes("holder.bytes.out", answers[0].iter().flatten().map(Opening::bytes).sum());
    let verdict = || {
        let opened = agree(config.shape, &answers).expect("all answered");
        judge(&question, &check, about, &public, &opened.parts)
    };
    assert_eq!(verdict(), Ok(()), "an honest contribution passes");
    time(
        "coordinator.judge",
        median_ns(25, || {
            assert!(black_box(verdict()).is_ok());
        }),
    );

    let rho = [1, 2, 3].map(|i| vec![i << 20; question.terms().projections()]);
    let functions = Functions::new(&question, rho).expect("bounded");
    time(
        "credit.open",
        median_ns(25, || drop(black_box(credit::open(&question, &functions, about, &seeds[0])))),
    );
}
