//! Everything proportional to the number of parameters.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::sum::open::{KeySum, combine, open};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{Sealed, seal};
use covey_aggregation::sum::share::{component_sums, open_envelope};
use covey_benches::{Figure, Report, identity, median_ns};

use crate::federation::{Counting, Federation, entropy, envelope, holder};
use crate::sealing;

/// Clients really summed for the opening (the terms allow up to n).
const SUMMED: u32 = 2;

/// Bytes of contributions added in a row: more than caches hold, as a server sees them.
const COLD_BYTES: usize = 96 << 20;

/// Contributions added side by side, as the coordinator does.
const AT_ONCE: usize = 8;

/// `update` is longer than the terms' dimension or as long.
pub(crate) fn measure(report: &Report, federation: &Federation, update: &[f32]) {
    let update = &update[..federation.config.dimension as usize];
    let quantised = federation.quantise(update);
    client(report, federation, update);
    let mut chunks = Vec::new();
    let sealed = federation.seal(0, &quantised, &mut chunks);
    coordinator(report, federation, update, &chunks);
    wire(report, federation);
    let opening = opening(federation, &quantised, sealed, chunks);
    let plain = median_ns(federation.repeats(), || {
        let mean: Vec<f32> = black_box(update).iter().map(|x| x / 3.0).collect();
        black_box(mean);
    });
    report.figure(&federation.figure("open", opening).beside("f32 mean", federation.per(plain)));
}

fn client(report: &Report, federation: &Federation, update: &[f32]) {
    let repeats = federation.repeats();
    let copy = federation.per(median_ns(repeats, || {
        let mut bytes = Vec::with_capacity(4 * update.len());
        bytes.extend(black_box(update).iter().flat_map(|x| x.to_le_bytes()));
        black_box(&bytes);
    }));
    let mut quantised = federation.quantise(update);
    let quantising = median_ns(repeats, || quantised = federation.quantise(black_box(update)));
    let sealing = median_ns(repeats, || {
        let mut sink = Counting(0);
        let (owner, entropy) = (identity(1), entropy(1));
        let sealed = seal(&federation.config, &owner, &quantised, &entropy, &mut sink);
        black_box(sealed.expect("seals"));
    });
    let figures = [
        ("client.quantise", quantising),
        ("client.seal", sealing),
        ("client.total", quantising + sealing),
    ];
    for (name, ns) in figures {
        report.figure(&federation.figure(name, ns).beside("f32 copy and serialise", copy));
    }
}

/// How much faster two threads seal than one, as the client divides the work, in wall time. Another
/// job on the machine spoils it, so beside it stands what two sealings that share nothing gain from
/// being done side by side: no division of the work can do better on this machine.
pub(crate) fn threads(report: &Report, federation: &Federation, update: &[f32]) {
    let quantised = federation.quantise(&update[..federation.config.dimension as usize]);
    let median = |mut ratios: Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    // In turn, so that all three see the same machine.
    let (mut divided, mut apart) = (Vec::new(), Vec::new());
    for _ in 0..federation.repeats().max(5) {
        let alone = seal_on(1, federation, &quantised);
        divided.push(alone / seal_on(2, federation, &quantised));
        apart.push(2.0 * alone / seal_twice(federation, &quantised));
    }
    let figure = Figure::new("client.two_threads", &federation.terms, median(divided), "x");
    report.figure(&figure.beside("two sealings side by side", median(apart)));
}

/// Seconds that two whole sealings take at the same time.
fn seal_twice(federation: &Federation, quantised: &Quantised) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| black_box(seal_on(1, federation, quantised)));
        }
    });
    start.elapsed().as_secs_f64()
}

/// Seconds that a sealing takes on `threads` threads; on one without any division.
fn seal_on(threads: usize, federation: &Federation, quantised: &Quantised) -> f64 {
    let (config, owner, entropy) = (&federation.config, identity(1), entropy(1));
    let mut sink = Counting(0);
    let start = Instant::now();
    let sealed = match threads {
        1 => seal(config, &owner, quantised, &entropy, &mut sink),
        _ => sealing::seal(config, &owner, quantised, &entropy, threads, &mut sink)
            .map(|(sealed, _)| sealed),
    };
    black_box(sealed.expect("valid terms"));
    start.elapsed().as_secs_f64()
}

fn coordinator(report: &Report, federation: &Federation, update: &[f32], chunks: &[Vec<u8>]) {
    let (config, repeats) = (&federation.config, federation.repeats());
    let payload = config.payload_bytes() as usize;
    // Each in memory of its own, so that adding them reads what no cache holds.
    let most = (COLD_BYTES / payload).max(2).min(config.contributions_max as usize);
    let contributions: Vec<Vec<Vec<u8>>> = (0..most).map(|_| chunks.to_vec()).collect();
    let plain: Vec<Vec<f32>> = (0..most).map(|_| update.to_vec()).collect();
    let each = |ns: f64| ns / most as f64;

    let mut sums = vec![0f32; update.len()];
    let plain_add = each(median_ns(repeats, || {
        for vector in &plain {
            for (sum, x) in sums.iter_mut().zip(black_box(vector)) {
                *sum += x;
            }
        }
        black_box(&sums);
    }));
    let mut target = vec![0u8; payload];
    let plain_copy = each(median_ns(repeats, || {
        for contribution in &contributions {
            let mut rest = target.as_mut_slice();
            for chunk in black_box(contribution) {
                let (now, later) = rest.split_at_mut(chunk.len());
                now.copy_from_slice(chunk);
                rest = later;
            }
            black_box(&mut target);
        }
    }));
    let mut adding = Vec::new();
    for _ in 0..repeats {
        let mut accumulator = Accumulator::new(config).expect("valid terms");
        for _ in 0..most {
            accumulator.add_correction(&vec![0; correction_bytes(config)]).expect("good");
        }
        // Once more than measured, so that the sums' memory is there.
        add(&mut accumulator, &contributions[..1]);
        let rest = &contributions[..most - 1];
        let ns = median_ns(1, || add(&mut accumulator, rest));
        adding.push(ns / rest.len() as f64);
    }
    adding.sort_by(f64::total_cmp);
    let adding = adding[adding.len() / 2];
    let figure = federation.figure("coordinator.add", adding);
    report.figure(&figure.beside("f32 add", federation.per(plain_add)));
    let rate = Figure::new("coordinator.rate", &federation.terms, payload as f64 / adding, "GB/s");
    report.figure(&rate.beside("memcpy", payload as f64 / plain_copy));
}

/// Chunks only; what the corrections cost is with the key layer.
fn add(accumulator: &mut Accumulator, contributions: &[Vec<Vec<u8>>]) {
    for mut strip in accumulator.strips(1) {
        for some in contributions.chunks(AT_ONCE) {
            for index in strip.chunks() {
                let chunks: Vec<&[u8]> =
                    some.iter().map(|chunks| chunks[index as usize].as_slice()).collect();
                strip.add(index, &chunks).expect("good");
            }
        }
    }
}

fn wire(report: &Report, federation: &Federation) {
    let (config, terms) = (&federation.config, &federation.terms);
    let d = config.dimension as f64;
    let fixed = (correction_bytes(config) + box_bytes(config) * config.shape.members()) as f64;
    let payload = config.payload_bytes() as f64;
    for (name, bytes) in [("wire.payload", payload), ("wire.total", payload + fixed)] {
        report.figure(&Figure::new(name, terms, bytes / d, "B/parameter").beside("f32", 4.0));
    }
    // From here on a contribution is smaller than plain f32; zero where it never is.
    let bits = f64::from(config.packing.pad_bits()) / f64::from(config.packing.lanes);
    let saved = 4.0 - bits / 8.0;
    let even = if saved > 0.0 { (fixed / saved).ceil() } else { 0.0 };
    report.figure(&Figure::new("wire.break_even", terms, even, "parameters"));
}

/// Nanoseconds to open a sum of a few.
fn opening(
    federation: &Federation,
    quantised: &Quantised,
    first: Sealed,
    first_chunks: Vec<Vec<u8>>,
) -> f64 {
    let (config, round_ctx) = (&federation.config, federation.config.context());
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    let mut seeds: Vec<Vec<_>> = federation.secrets.iter().map(|_| Vec::new()).collect();
    let (mut sealed, mut chunks) = (first, first_chunks);
    for client in 0..SUMMED as u8 {
        if client > 0 {
            sealed = federation.seal(client, quantised, &mut chunks);
        }
        accumulator.add_correction(&sealed.correction).expect("good");
        for (index, chunk) in (0..).zip(&chunks) {
            accumulator.add_chunk(index, chunk).expect("good");
        }
        for (h, secret) in federation.secrets.iter().enumerate() {
            let envelope = envelope(&sealed, h);
            let opened = open_envelope(config, &round_ctx, holder(h), secret, &envelope);
            seeds[h].push((identity(client).id(), opened.expect("a good box")));
        }
    }
    let sums = |(h, seeds): (usize, &Vec<_>)| {
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        component_sums(config, &round_ctx, holder(h), seeds)
    };
    let releases: Vec<Vec<Vec<u8>>> = seeds.iter().enumerate().map(sums).collect();
    let given: Vec<_> = (0..).map(holder).zip(releases.iter().map(Vec::as_slice)).collect();
    let components: Vec<_> = combine(config, &given).components.into_iter().flatten().collect();
    let key_sum = KeySum::recover(config, &accumulator, &components, SUMMED).expect("short");
    median_ns(federation.repeats(), || {
        black_box(open(config, &round_ctx, &accumulator, &key_sum, SUMMED).expect("opens"));
    })
}
