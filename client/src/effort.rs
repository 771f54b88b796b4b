//! What a round took this machine. It is told to the federation only where the owner's policy says so
//! (`limits.report_compute`), signed, as the owner's own word: nobody can check it, and no credit
//! hangs on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::files;
use covey_aggregation::research::StatementBytes;
use covey_aggregation::roster::Roster;
use covey_aggregation::signing::Identity;
use covey_aggregation::time::Time;
use covey_ledger::statement::{Compute as Said, Says, Statement};
use covey_model::device::Compute;
use serde::{Deserialize, Serialize};

/// Result of the reference benchmark, in the state folder.
const BENCHMARK_FILE: &str = "benchmark.json";

/// Bytes of that file at most.
const BENCHMARK_BYTES_MAX: u64 = 4096;

/// Rounds that are remembered: more than can be under way.
const ROUNDS_MAX: usize = 64;

/// What one round took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    pub(crate) run: Digest,
    pub(crate) round: u32,
    /// Examples, each as often as it was trained on.
    pub(crate) examples: u64,
    /// How long training and sealing took, in milliseconds.
    pub(crate) device_ms: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

impl Default for Effort {
    fn default() -> Self {
        let (run, round, examples, device_ms, bytes_up, bytes_down) = (Digest::ZERO, 0, 0, 0, 0, 0);
        Self { run, round, examples, device_ms, bytes_up, bytes_down }
    }
}

/// The rounds under way. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Efforts {
    rounds: Arc<Mutex<BTreeMap<Digest, Effort>>>,
    benchmark: PathBuf,
    is_told: bool,
}

/// The benchmark as it is kept: it is run once for each device.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Benchmark {
    device: String,
    mflops: u64,
}

impl Efforts {
    /// Of a client with this state folder.
    pub(crate) fn new(state: &Path, is_told: bool) -> Self {
        Self { rounds: Arc::default(), benchmark: state.join(BENCHMARK_FILE), is_told }
    }

    /// Notes something of a round.
    pub(crate) fn note(&self, round_ctx: &Digest, change: impl FnOnce(&mut Effort)) {
        if !self.is_told {
            return;
        }
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if rounds.len() >= ROUNDS_MAX && !rounds.contains_key(round_ctx) {
            rounds.pop_first();
        }
        change(rounds.entry(*round_ctx).or_default());
    }

    /// What this owner says of a round that has counted; none where it says nothing, or a program
    /// before this one did the work.
    pub(crate) fn statement(
        &self,
        round_ctx: &Digest,
        (identity, roster): (&Identity, &Roster),
        compute: &Compute,
        now: Time,
    ) -> Option<StatementBytes> {
        let effort =
            self.rounds.lock().unwrap_or_else(PoisonError::into_inner).remove(round_ctx)?;
        let Effort { run, round, examples, device_ms, bytes_up, bytes_down } = effort;
        if device_ms == 0 {
            return None;
        }
        let benchmark_mflops = self.benchmark(compute);
        let says = Says::Compute(Said {
            run,
            round,
            examples,
            device_ms,
            bytes_up,
            bytes_down,
            benchmark_mflops,
        });
        let (federation, member) = (roster.authority, identity.id());
        let statement = Statement { federation, member, number: now.0, says };
        StatementBytes::new(serde_json::to_vec(&statement.sign(identity)).ok()?)
    }

    /// What this device does of the reference benchmark: run once, then known. 0 where it cannot be run.
    fn benchmark(&self, compute: &Compute) -> u64 {
        let device = compute.to_string();
        if let Some(known) = self.known().filter(|known| known.device == device) {
            return known.mflops;
        }
        let Ok(mflops) = compute.reference_mflops() else { return 0 };
        let known = serde_json::to_vec(&Benchmark { device, mflops }).unwrap_or_default();
        // Where it cannot be kept it is run again after the next start.
        let _ = files::write_durably(&self.benchmark, &known);
        mflops
    }

    /// What was kept; a file that is damaged or of another version is made anew.
    fn known(&self) -> Option<Benchmark> {
        serde_json::from_slice(&files::read(&self.benchmark, BENCHMARK_BYTES_MAX).ok()?).ok()
    }
}
