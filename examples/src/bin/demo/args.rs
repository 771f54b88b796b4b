//! What was typed.

use std::path::PathBuf;

use clap::Parser;
use covey_coordinator::storage::blobs::settings::ObjectsUrl;

use crate::scenario::Scenario;

/// Most rounds that the demo runs.
pub(crate) const ROUNDS_MAX: u32 = 500;

/// A whole federation on this machine: one coordinator, four key holders and some data owners
/// as separate processes, over QUIC on loopback, with the real encryption.
///
/// Trains a small CNN on the handwritten digits of `examples/data`, split unevenly by label, and
/// ends with a check from outside. One owner vanishes in the middle of a round and one key holder
/// is killed in another; both rounds still complete.
///
/// Each owner is credited for what its updates do for a validation pool that is no owner's. Two
/// owners have nothing to give: see --scenario.
#[derive(Parser, Debug)]
#[command(name = "demo", version, about, long_about, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Seed of the split, of the initial weights and of every owner's shuffling
    #[arg(long, default_value_t = 7, value_name = "N",
        value_parser = clap::value_parser!(u64).range(0..1 << 62))]
    pub(crate) seed: u64,

    /// Honest data owners
    #[arg(long, default_value_t = 6, value_name = "N",
        value_parser = clap::value_parser!(u32).range(3..=50))]
    pub(crate) clients: u32,

    /// Who takes part. In `mixed` there are two owners more than --clients: the first has real rows
    /// whose labels are drawn at random, the second has none and trains on noise
    #[arg(long, value_enum, default_value_t = Scenario::Mixed, value_name = "WHO")]
    pub(crate) scenario: Scenario,

    /// Rounds
    #[arg(long, default_value_t = 10, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    pub(crate) rounds: u32,

    /// Whether what owners were found to bring weighs their next updates
    #[arg(long, value_enum, default_value_t = Training::Off, value_name = "WORD")]
    pub(crate) training: Training,

    /// So many of the owners, from the first on, train on the NVIDIA card cuda:0 and on nothing
    /// else; needs a build with `--features cuda`. No owner vanishes then, because a card's kernels
    /// take a while to be compiled in the first round
    #[arg(long, default_value_t = 0, value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=50))]
    pub(crate) cuda_owners: u32,

    /// Keep the federation's folder (keys, states, published rounds, logs) in this new folder
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "covey-demo")]
    pub(crate) keep: Option<PathBuf>,

    /// Keep bulk bytes in a bucket, below a prefix of this run's own: s3://BUCKET/PREFIX. The server and
    /// the keys are in the usual variables of the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...)
    #[arg(long, value_name = "URL")]
    pub(crate) objects: Option<ObjectsUrl>,

    /// Train on other data: a folder with IDX image and label files (plain or .gz), or with CSV
    /// files that have a `label` column; a file or pair named test or t10k is the test set, else
    /// a fifth is held out
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The coordinator keeps its records on this PostgreSQL server instead of in SQLite files:
    /// postgres://USER@HOST/DATABASE, under a prefix of its own that stays there
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,

    /// In the end serve the page of the federation's ledger until Ctrl-C, also where standard output is no
    /// terminal
    #[arg(long)]
    pub(crate) page: bool,

    /// One JSON object per line on standard output; the last has "terminal":true
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whether evidence weighs updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Training {
    /// All updates count once.
    Off,
    /// From the fourth round on, an owner's counts by the evidence of the rounds before, or not at
    /// all
    Evidence,
}

impl Args {
    /// Data owners, honest or not.
    pub(crate) fn owners(&self) -> usize {
        self.scenario.roles(self.clients as usize).len()
    }
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release --bin demo
  cargo run --release --bin demo -- --clients 10 --rounds 20 --seed 3
  cargo run --release --bin demo -- --scenario honest
  cargo run --release --bin demo -- --page
  cargo run --release --bin demo -- --training evidence
  cargo run --release --bin demo -- --data-dir ./mnist --keep ./look-inside
  cargo run --release --bin demo -- --json | tail -n 1";
