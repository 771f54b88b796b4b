//! Measured speed. Every figure has a unit and stands beside a plain baseline of the same run,
//! so that a slow or busy machine slows both.
//!
//! `cargo run --release -p covey-benches --bin secure_sum` prints a table; with `--json` one JSON
//! object per line. `--bin training` measures training beside PyTorch, `--bin credit_quality` how
//! well credits tell what data are worth, `--bin privacy` what privacy costs and what attacks find,
//! `--bin crowd` and `--bin load` what one coordinator bears.

mod arguments;
mod clock;
#[cfg(feature = "crowd")]
pub mod crowd;
mod figure;
mod memory;
mod process;
mod round;

pub use arguments::number;
pub use clock::{CLOCK, median_ns, now_ns, process_ns};
pub use figure::{Conditions, Figure, Report, Terms};
pub use memory::peak_bytes;
pub use process::Process;
pub use round::{RoundChoice, identity};
