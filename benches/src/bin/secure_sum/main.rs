//! What the secure sum costs the client, the coordinator and a holder, and what the same work
//! costs in the clear. Figures are of one thread, in its CPU time, but for what two threads
//! gain, which is in wall time.
//!
//! `--json`: one object per figure. `--quick`: up to a million parameters only. `--links`: nothing but
//! how fast an upload travels.
//! `COVEY_PATH=portable`: without vector instructions of our own choosing.

#[path = "../../../../aggregation/tests/net/federation.rs"]
mod enrolled;
mod federation;
mod footprint;
mod key_layer;
mod links;
#[cfg(feature = "naive")]
mod naive;
// The client's own: its crate would bring AVX-512 back into a build without.
#[path = "../../../../client/src/sealing.rs"]
mod sealing;
mod vector;

use covey_aggregation::config::{CommitteeShape, Packing, Profile};
use covey_aggregation::sum::path::Path;
use covey_benches::{CLOCK, Report};

use federation::{Choice, Federation, update};

const DIMENSIONS: [u64; 4] = [100_000, 1_000_000, 10_000_000, 50_000_000];

/// Largest dimension of a quick run.
const QUICK: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var("COVEY_PATH").is_ok_and(|path| path == "portable") {
        Path::force_portable();
    }
    if let [argument, case] = arguments.as_slice()
        && argument == footprint::ARGUMENT
    {
        footprint::run(case);
        return;
    }
    let report = Report::from_arguments();
    if arguments.iter().any(|argument| argument == "--links") {
        links::measure(&report);
        return;
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let path = Path::current().name();
    report.note(&format!(
        "one thread, {CLOCK}, medians, path {path}; profile, holders m, parameters"
    ));
    report.note("d, most contributions n, bits w, lanes / lane bits / noise bits; ratio to plain");
    let dimensions = DIMENSIONS.into_iter().filter(|&d| d <= QUICK || !is_quick);
    let update = update(dimensions.clone().max().unwrap_or(0));
    for dimension in dimensions {
        sweep(&report, dimension, &update);
    }
    for (profile, shape) in [
        (Profile::B, CommitteeShape::Four),
        (Profile::B, CommitteeShape::Seven),
        (Profile::A, CommitteeShape::Four),
    ] {
        let choice = Choice { profile, shape, dimension: 1, contributions_max: 1000, bits: 8 };
        key_layer::measure(&report, &Federation::new(choice));
    }
    footprint::measure(&report);
    links::measure(&report);
    #[cfg(feature = "naive")]
    naive::measure(&report, &Federation::new(main_case(Profile::B, 1_000_000)).terms);
}

const fn main_case(profile: Profile, dimension: u64) -> Choice {
    Choice { profile, shape: CommitteeShape::Four, dimension, contributions_max: 1000, bits: 8 }
}

/// All widths and cohorts of one dimension.
fn sweep(report: &Report, dimension: u64, update: &[f32]) {
    let profiles: &[Profile] =
        if dimension > 200_000 { &[Profile::B] } else { &[Profile::B, Profile::A] };
    for &profile in profiles {
        for bits in [8, 12, 16] {
            for contributions_max in [10, 100, 1000, 10_000] {
                if Packing::derive(profile, bits, contributions_max).is_none() {
                    continue;
                }
                let choice = Choice { contributions_max, bits, ..main_case(profile, dimension) };
                vector::measure(report, &Federation::new(choice), update);
            }
        }
    }
    if dimension >= 1_000_000 {
        vector::threads(report, &Federation::new(main_case(Profile::B, dimension)), update);
    }
}
