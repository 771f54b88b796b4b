//! Memory: each case in a process of its own, whose peak it reports.

use std::hint::black_box;
use std::process::Command;

use covey_aggregation::config::{CommitteeShape, Profile};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::correction_bytes;
use covey_aggregation::sum::seal::seal;
use covey_benches::{Figure, Report, identity, peak_bytes};

use crate::federation::{Choice, Counting, Federation, entropy, update};

/// Argument of a process that only measures its memory.
pub(crate) const ARGUMENT: &str = "--footprint";

const DIMENSION: u64 = 10_000_000;

/// The least and most contributions whose adding is compared.
const CONTRIBUTIONS: [u32; 2] = [10, 1000];

fn federation() -> Federation {
    Federation::new(Choice {
        profile: Profile::B,
        shape: CommitteeShape::Four,
        dimension: DIMENSION,
        contributions_max: 1000,
        bits: 8,
    })
}

pub(crate) fn measure(report: &Report) {
    let terms = federation().terms;
    let update = 4.0 * DIMENSION as f64;
    let figure = |name, bytes: f64| {
        Figure::new(name, &terms, bytes / 1e6, "MB").beside("the f32 update", update / 1e6)
    };
    let [Some(client), Some(few), Some(many)] =
        ["client", "10", "1000"].map(|case| child(case).map(|bytes| bytes as f64))
    else {
        report.note("memory: this system does not tell a process's peak");
        return;
    };
    report.figure(&figure("memory.client", client));
    report.figure(&figure("memory.coordinator.10", few));
    report.figure(&figure("memory.coordinator.1000", many));
    let growth = Figure::new("memory.growth", &terms, many / few, "x");
    report.figure(&growth.beside("10 contributions", 1.0));
}

fn child(case: &str) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program).args([ARGUMENT, case]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The child's part: does the work and prints the peak.
pub(crate) fn run(case: &str) {
    match case.parse::<u32>() {
        Ok(contributions) if CONTRIBUTIONS.contains(&contributions) => add(contributions),
        _ => seal_one(),
    }
    if let Some(bytes) = peak_bytes() {
        println!("{bytes}");
    }
}

fn seal_one() {
    let federation = federation();
    let quantised = federation.quantise(&update(DIMENSION));
    let (owner, entropy) = (identity(1), entropy(1));
    let mut sink = Counting(0);
    let sealed = seal(&federation.config, &owner, &quantised, &entropy, &mut sink);
    black_box(sealed.expect("seals"));
}

/// Adds contributions that come chunk by chunk, eight at a time.
fn add(contributions: u32) {
    const AT_ONCE: usize = 8;
    let config = federation().config;
    let mut accumulator = Accumulator::new(&config).expect("valid terms");
    let correction = vec![0; correction_bytes(&config)];
    for _ in 0..contributions {
        accumulator.add_correction(&correction).expect("good");
    }
    let buffers = vec![vec![0x5a; config.chunk_bytes(0)]; AT_ONCE];
    let mut rest = contributions as usize;
    while rest > 0 {
        let now = rest.min(AT_ONCE);
        for mut strip in accumulator.strips(1) {
            for index in strip.chunks() {
                let bytes = config.chunk_bytes(index);
                let chunks: Vec<&[u8]> =
                    buffers[..now].iter().map(|buffer| &buffer[..bytes]).collect();
                strip.add(index, &chunks).expect("good");
            }
        }
        rest -= now;
    }
    assert_eq!(accumulator.count(), Some(contributions));
    black_box(&accumulator);
}
