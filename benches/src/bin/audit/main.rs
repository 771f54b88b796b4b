//! What the closed audit costs an owner, the coordinator and a holder, beside what the same check
//! costs in the clear: the norm of a plain update. Times are of one thread, in its CPU time.
//! And how often honest owners at the plan's clip are rejected.
//!
//! `--json`: one object per figure. `--quick`: a million parameters only.
//! `COVEY_PATH=portable`: without vector instructions of our own choosing.

mod rejection;
mod round;

use covey_aggregation::config::CommitteeShape;
use covey_aggregation::sum::path::Path;
use covey_benches::{CLOCK, Report};

const DIMENSIONS: [u64; 2] = [1_000_000, 10_000_000];

/// Rows, as plans have them.
const ROWS: u16 = 128;

fn main() {
    if std::env::var("COVEY_PATH").is_ok_and(|path| path == "portable") {
        Path::force_portable();
    }
    let report = Report::from_arguments();
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let path = Path::current().name();
    report.note(&format!("one thread, {CLOCK}, medians, path {path}; holders m, parameters d,"));
    report.note("rows J, most contributions n, bits w, lanes / lane bits / noise bits");
    for dimension in DIMENSIONS.into_iter().filter(|&d| d <= DIMENSIONS[0] || !is_quick) {
        for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
            round::measure(&report, dimension, shape);
        }
    }
    rejection::measure(&report);
}
