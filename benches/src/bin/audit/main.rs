//! What the closed audit costs an owner, the coordinator and a holder, beside what the same check
//! costs in the clear: the norm of a plain update. Times are of one thread, in its CPU time.
//! And how often honest owners at the plan's clip are rejected.
//!
//! `COVEY_PATH=portable`: without vector instructions of our own choosing.

mod rejection;
mod round;

use clap::Parser;
use covey_aggregation::config::CommitteeShape;
use covey_aggregation::sum::path::Path;
use covey_benches::{CLOCK, Report};

const DIMENSIONS: [u64; 2] = [1_000_000, 10_000_000];

/// Rows, as plans have them.
const ROWS: u16 = 128;

/// What the closed audit costs an owner, the coordinator and a holder, beside the norm of a plain
/// update; and how often honest owners at the clip are rejected.
#[derive(Parser)]
struct Args {
    /// A million parameters only.
    #[arg(long)]
    quick: bool,
    /// One JSON object for each figure.
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    if std::env::var("COVEY_PATH").is_ok_and(|path| path == "portable") {
        Path::force_portable();
    }
    let report = Report::new(args.json);
    let path = Path::current().name();
    report.note(&format!("one thread, {CLOCK}, medians, path {path}; holders m, parameters d,"));
    report.note("rows J, most contributions n, bits w, lanes / lane bits / noise bits");
    for dimension in DIMENSIONS.into_iter().filter(|&d| d <= DIMENSIONS[0] || !args.quick) {
        for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
            round::measure(&report, dimension, shape);
        }
    }
    rejection::measure(&report);
}
