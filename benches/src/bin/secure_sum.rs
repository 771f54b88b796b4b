//! What the secure sum costs the client, the coordinator and a holder, and what the same work
//! costs in the clear. Figures are of one thread.

use std::hint::black_box;

use covey_aggregation::config::{
    Audit, CommitteeShape, HolderIndex, KeyLayer, Packing, Profile, Quantiser, RoundConfig, Seat,
    Weighting,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Envelope;
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::sum::open::{KeySum, combine, open};
use covey_aggregation::sum::quantise::{Quantised, quantise};
use covey_aggregation::sum::seal::{ChunkSink, Sealed, seal};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{component_sums, open_envelope};
use covey_benches::{CLOCK, Figure, Report, median_ns};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tfhe::core_crypto::prelude::*;
use zeroize::Zeroizing;

/// The first prime of the secure sum's modulus.
const PRIME: u64 = (1 << 50) - (1 << 14) + 1;

/// Clients really summed for the opening (the terms allow up to n).
const SUMMED: u32 = 3;

fn main() {
    let report = Report::from_arguments();
    report.note(&format!("one thread, {CLOCK}, best of several; ratio to the plain baseline"));
    for (profile, dimension, n, bits) in [
        (Profile::B, 100_000, 10, 8),
        (Profile::B, 100_000, 1000, 8),
        (Profile::B, 1_000_000, 100, 8),
        (Profile::B, 1_000_000, 1000, 8),
        (Profile::B, 1_000_000, 1000, 16),
        (Profile::A, 100_000, 100, 8),
    ] {
        vector(&report, &Bench::new(profile, CommitteeShape::Four, dimension, n, bits));
    }
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        key_layer(&report, &Bench::new(Profile::B, shape, 1, 1000, 8));
    }
    key_layer(&report, &Bench::new(Profile::A, CommitteeShape::Four, 1, 1000, 8));
    transforms(&report);
    naive(&report);
}

/// A sink that only looks at the bytes.
struct Counting(u64);

impl ChunkSink for Counting {
    type Error = std::convert::Infallible;

    fn chunk(&mut self, _index: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += black_box(bytes).len() as u64;
        Ok(())
    }
}

struct Bench {
    config: RoundConfig,
    secrets: Vec<SealingSecret>,
    terms: String,
}

impl Bench {
    fn new(profile: Profile, shape: CommitteeShape, dimension: u64, n: u32, bits: u8) -> Self {
        let secret = |h| SealingSecret::from_seed(&Zeroizing::new([h as u8 + 1; 96]));
        let secrets: Vec<_> = (0..shape.members()).map(secret).collect();
        let seat = |(h, secret): (usize, &SealingSecret)| Seat {
            holder: identity(100 + h as u8).id(),
            sealing_key: secret.public(),
        };
        let packing = Packing::derive(profile, bits, n).expect("a packing exists");
        let weighting = Weighting::Uniform;
        let config = RoundConfig {
            federation: Digest([1; 32]),
            run: Digest([2; 32]),
            round: 1,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension,
            profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser { bits, range: 0.1, clip_norm: 50.0, weighting },
            packing,
            contributions_min: 2,
            contributions_max: n,
            shape,
            committee: secrets.iter().enumerate().map(seat).collect(),
            cohort: Digest([6; 32]),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            collect_ms: 1000,
        };
        let Packing { lanes, lane_bits, noise_bits } = packing;
        let terms = format!(
            "{profile:?} m={} d={dimension} n={n} w={bits} {lanes}/{lane_bits}/{noise_bits}",
            shape.members()
        );
        Self { config, secrets, terms }
    }

    fn seal(&self, client: u8, update: &Quantised, sink: &mut Vec<Vec<u8>>) -> Sealed {
        sink.clear();
        let entropy = Zeroizing::new([client; 32]);
        seal(&self.config, &identity(client), update, &entropy, sink).expect("seals")
    }

    fn repeats(&self) -> usize {
        if self.config.dimension > 500_000 { 7 } else { 25 }
    }

    /// Nanoseconds per parameter.
    fn per(&self, ns: f64) -> f64 {
        ns / self.config.dimension as f64
    }

    fn figure(&self, name: &'static str, ns: f64) -> Figure {
        Figure::new(name, &self.terms, self.per(ns), "ns/parameter")
    }

    fn quantise(&self, update: &[f32]) -> Quantised {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        quantise(update, &self.config.quantiser, 1, &mut rng).expect("finite")
    }
}

fn identity(index: u8) -> Identity {
    Identity::from_seed(&Zeroizing::new([index; 32]))
}

fn update(dimension: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..dimension).map(|_| rng.random_range(-0.1f32..0.1)).collect()
}

/// Everything proportional to the number of parameters.
fn vector(report: &Report, bench: &Bench) {
    let update = update(bench.config.dimension);
    let quantised = bench.quantise(&update);
    client(report, bench, &update);
    coordinator(report, bench, &update, &quantised);
    wire(report, bench);
    let opening = opening(bench, &quantised);
    let plain = median_ns(bench.repeats(), || {
        let mean: Vec<f32> = black_box(&update).iter().map(|x| x / 3.0).collect();
        black_box(mean);
    });
    report.figure(&bench.figure("open", opening).beside("f32 mean", bench.per(plain)));
}

fn client(report: &Report, bench: &Bench, update: &[f32]) {
    let mut bytes = Vec::new();
    let copy = bench.per(median_ns(bench.repeats(), || {
        bytes.clear();
        bytes.extend(black_box(update).iter().flat_map(|x| x.to_le_bytes()));
        black_box(&bytes);
    }));
    let mut quantised = bench.quantise(update);
    let quantising = median_ns(bench.repeats(), || quantised = bench.quantise(black_box(update)));
    let entropy = Zeroizing::new([1; 32]);
    let sealing = median_ns(bench.repeats(), || {
        let mut sink = Counting(0);
        let sealed = seal(&bench.config, &identity(1), &quantised, &entropy, &mut sink);
        black_box(sealed.expect("seals"));
    });
    let figures = [
        ("client.quantise", quantising),
        ("client.seal", sealing),
        ("client.total", quantising + sealing),
    ];
    for (name, ns) in figures {
        report.figure(&bench.figure(name, ns).beside("f32 copy and serialise", copy));
    }
}

fn coordinator(report: &Report, bench: &Bench, update: &[f32], quantised: &Quantised) {
    let (config, repeats) = (&bench.config, bench.repeats());
    let mut sums = vec![0f32; update.len()];
    let plain_add = median_ns(repeats, || {
        for (sum, x) in sums.iter_mut().zip(black_box(update)) {
            *sum += x;
        }
        black_box(&sums);
    });
    let mut chunks = Vec::new();
    let sealed = bench.seal(1, quantised, &mut chunks);
    let mut target = vec![0u8; chunks.iter().map(Vec::len).sum()];
    let plain_copy = median_ns(repeats, || {
        let mut rest = target.as_mut_slice();
        for chunk in black_box(&chunks) {
            let (now, later) = rest.split_at_mut(chunk.len());
            now.copy_from_slice(chunk);
            rest = later;
        }
        black_box(&target);
    });
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    let adding = median_ns(repeats.min(config.contributions_max as usize), || {
        add(&mut accumulator, &sealed, &chunks);
    });
    let payload = config.payload_bytes() as f64;
    let figure = bench.figure("coordinator.add", adding);
    report.figure(&figure.beside("f32 add", bench.per(plain_add)));
    let rate = Figure::new("coordinator.rate", &bench.terms, payload / adding, "GB/s");
    report.figure(&rate.beside("memcpy", payload / plain_copy));
}

fn wire(report: &Report, bench: &Bench) {
    let (config, terms) = (&bench.config, &bench.terms);
    let d = config.dimension as f64;
    let fixed = correction_bytes(config) + box_bytes(config) * config.shape.members();
    let payload = config.payload_bytes() as f64;
    for (name, bytes) in [("wire.payload", payload), ("wire.total", payload + fixed as f64)] {
        report.figure(&Figure::new(name, terms, bytes / d, "B/parameter").beside("f32", 4.0));
    }
}

fn add(accumulator: &mut Accumulator, sealed: &Sealed, chunks: &[Vec<u8>]) {
    accumulator.add_correction(&sealed.correction).expect("good");
    for (index, chunk) in (0..).zip(chunks) {
        accumulator.add_chunk(index, chunk).expect("good");
    }
}

/// Nanoseconds to open a sum of a few.
fn opening(bench: &Bench, quantised: &Quantised) -> f64 {
    let (config, round_ctx) = (&bench.config, bench.config.context());
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    let mut seeds: Vec<Vec<_>> = bench.secrets.iter().map(|_| Vec::new()).collect();
    let mut chunks = Vec::new();
    for client in 0..SUMMED as u8 {
        let sealed = bench.seal(client, quantised, &mut chunks);
        add(&mut accumulator, &sealed, &chunks);
        for (h, secret) in bench.secrets.iter().enumerate() {
            let envelope = envelope(&sealed, h);
            let opened = open_envelope(config, &round_ctx, holder(h), secret, &envelope);
            seeds[h].push((identity(client).id(), opened.expect("a good box")));
        }
    }
    let releases: Vec<Vec<Vec<u8>>> = seeds
        .iter()
        .enumerate()
        .map(|(h, seeds)| {
            let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
            component_sums(config, &round_ctx, holder(h), seeds)
        })
        .collect();
    let given: Vec<_> = (0..).map(holder).zip(releases.iter().map(Vec::as_slice)).collect();
    let components: Vec<_> = combine(config, &given).components.into_iter().flatten().collect();
    let key_sum = KeySum::recover(config, &accumulator, &components, SUMMED).expect("short");
    median_ns(bench.repeats(), || {
        black_box(open(config, &round_ctx, &accumulator, &key_sum, SUMMED).expect("opens"));
    })
}

fn holder(index: usize) -> HolderIndex {
    HolderIndex(index as u8)
}

fn envelope(sealed: &Sealed, holder: usize) -> Envelope {
    Envelope { header: sealed.header.clone(), sealed_box: sealed.boxes[holder].clone() }
}

/// What does not depend on the number of parameters.
fn key_layer(report: &Report, bench: &Bench) {
    let (config, terms, round_ctx) = (&bench.config, &bench.terms, bench.config.context());
    let quantised = bench.quantise(&update(1));
    let mut chunks = Vec::new();
    let micros = |ns: f64| ns / 1e3;
    let sealing = median_ns(25, || {
        black_box(bench.seal(1, &quantised, &mut chunks));
    });
    let sealed = bench.seal(1, &quantised, &mut chunks);
    let envelope = envelope(&sealed, 0);
    let open = || open_envelope(config, &round_ctx, holder(0), &bench.secrets[0], &envelope);
    let opening = median_ns(25, || {
        black_box(open().is_ok());
    });
    let seeds = open().expect("a good box");
    let client: PartyId = identity(1).id();
    const CLIENTS: usize = 50;
    let summing = median_ns(7, || {
        let clients = (0..CLIENTS).map(|_| (client, &seeds));
        black_box(component_sums(config, &round_ctx, holder(0), clients));
    });
    let figure = |name, ns| Figure::new(name, terms, micros(ns), "us/client");
    report.figure(&figure("key.client", sealing));
    report.figure(&figure("key.holder.open", opening));
    report.figure(&figure("key.holder.sum", summing / CLIENTS as f64));
    let bytes = correction_bytes(config) + box_bytes(config) * config.shape.members();
    report.figure(&Figure::new("key.bytes", terms, bytes as f64, "B/client"));
}

/// One inverse transform with `tfhe-ntt` itself, and the same plan through `tfhe`.
fn transforms(report: &Report) {
    let n = 4096;
    let plan = tfhe_ntt::prime64::Plan::try_new(n, PRIME).expect("a plan");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let input: Vec<u64> = (0..n).map(|_| rng.random_range(0..PRIME)).collect();
    let mut direct = input.clone();
    let direct_ns = median_ns(500, || plan.inv(black_box(&mut direct)));
    let size = PolynomialSize(n);
    let modulus = CiphertextModulus::<u64>::new(u128::from(PRIME));
    let through = tfhe::core_crypto::commons::math::ntt::ntt64::Ntt64::new(modulus, size);
    let mut transformed = Polynomial::from_container(input);
    let mut standard = Polynomial::new(0u64, size);
    let through_ns = median_ns(500, || {
        standard.as_mut().fill(0);
        through.as_view().add_backward(standard.as_mut_view(), transformed.as_mut_view());
        black_box(&standard);
    });
    let per = |ns: f64| ns / n as f64;
    let terms = "N=4096, one prime, tfhe Ntt64";
    let figure = Figure::new("ntt.inverse", terms, per(through_ns), "ns/coefficient");
    report.figure(&figure.beside("tfhe-ntt Plan", per(direct_ns)));
}

/// Encryption with tfhe's own GLWE, as it comes.
fn naive(report: &Report) {
    for n in [2048, 4096] {
        let (dimension, size) = (GlweDimension(1), PolynomialSize(n));
        let mut boxed = new_seeder();
        let seeder = boxed.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut generator =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let key: GlweSecretKeyOwned<u64> =
            allocate_and_generate_new_binary_glwe_secret_key(dimension, size, &mut secret);
        let noise = DynamicDistribution::new_t_uniform(if n == 2048 { 17 } else { 3 });
        let message = PlaintextList::new(1u64 << 40, PlaintextCount(n));
        let modulus = CiphertextModulus::new_native();
        let mut ciphertext = GlweCiphertext::new(0u64, dimension.to_glwe_size(), size, modulus);
        let ns = median_ns(12, || {
            encrypt_glwe_ciphertext(&key, &mut ciphertext, &message, noise, &mut generator);
            black_box(&ciphertext);
        });
        let terms = format!("tfhe GLWE, q=2^64, N={n}");
        report.figure(&Figure::new("naive.encrypt", &terms, ns / n as f64, "ns/coefficient"));
    }
}
