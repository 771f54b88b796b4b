//! Whole rounds of the three machines with real crypto in virtual time, under loss, repetition,
//! delay and reordering, with processes that crash, vanish and lie. One seed is one run.
//!
//! Owner i adds one at coordinate i, so that the opened sum shows who is in it and how often.

mod audit_cheats;
mod audits;
mod cheat;
mod credit_cheats;
mod credits;
mod direction;
mod disk;
mod driving;
mod events;
mod faults;
mod liars;
mod network;
mod nodes;
mod oracle;
mod rounds;
mod scenario;
mod stage;
mod weights;
mod world;

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use covey_aggregation::hash::Digest;
use covey_aggregation::message::Outcome;

use scenario::Scenario;
use world::World;

/// Names the one seed to run.
const SEED_VARIABLE: &str = "COVEY_SIMULATION_SEED";

/// What came of some lives.
#[derive(Debug, Default)]
struct Lives {
    /// Rounds that were done.
    done: usize,
    /// Rounds that were abandoned.
    abandoned: usize,
    /// Lives in which all faults stopped and the last round then counted everybody.
    recovered: usize,
    /// Failures of disks.
    disk_faults: u64,
}

/// Runs a scenario to its end and judges it.
fn run(scenario: Scenario) -> (World, Digest) {
    let (world, trace, _) = run_and_judge(scenario);
    (world, trace)
}

fn run_and_judge(scenario: Scenario) -> (World, Digest, bool) {
    let mut world = World::new(scenario);
    let trace = world.run();
    let recovered = world.judge();
    (world, trace, recovered)
}

/// As many as there are cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Runs these seeds on all cores. A seed that fails says how to run it alone.
fn run_seeds(seeds: std::ops::Range<u64>) -> Lives {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let lives = Mutex::new(Lives::default());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    match catch_unwind(|| run_seed(seed).0) {
                        Ok(life) => lives.lock().expect("not poisoned").add(&life),
                        Err(_) => failed.lock().expect("not poisoned").push(seed),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("not poisoned");
    let replay = failed.first().map(|seed| {
        format!(
            "{SEED_VARIABLE}={seed} cargo test --release --workspace --test simulation \
             the_seed_of_the_environment -- --nocapture"
        )
    });
    assert!(failed.is_empty(), "seeds {failed:?} fail; replay: {}", replay.unwrap_or_default());
    lives.into_inner().expect("not poisoned")
}

/// One life, and its trace.
fn run_seed(seed: u64) -> (Lives, Digest) {
    let is_done = |(_, outcome): &&(Digest, Outcome)| matches!(outcome, Outcome::Done(_));
    let (world, trace, recovered) = run_and_judge(Scenario::draw(seed));
    let ended = &world.coordinator.ended;
    let done = ended.iter().filter(is_done).count();
    let (abandoned, recovered) = (ended.len() - done, usize::from(recovered));
    (Lives { done, abandoned, recovered, disk_faults: world.witness.disk_faults }, trace)
}

impl Lives {
    const fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.abandoned += other.abandoned;
        self.recovered += other.recovered;
        self.disk_faults += other.disk_faults;
    }
}

#[test]
fn the_seed_of_the_environment() {
    let Ok(seed) = std::env::var(SEED_VARIABLE) else { return };
    let seed = seed.parse().expect("a seed is a number");
    println!("{:#?}", Scenario::draw(seed));
    let (lives, trace) = run_seed(seed);
    let (_, again) = run_seed(seed);
    println!("seed {seed}: {lives:?}, trace {trace}, again {again}");
    assert_eq!(trace, again, "the same seed is the same run");
}

#[test]
fn two_hundred_seeds_of_foul_weather_crashes_and_lies() {
    let lives = run_seeds(0..200);
    println!("{lives:?}");
    // Not promises, but seeds in which hardly anything completes or breaks would test little.
    assert!(lives.done >= 150 && lives.abandoned >= 10, "{lives:?}");
    assert!(lives.recovered >= 20 && lives.disk_faults >= 500, "{lives:?}");
}

#[test]
#[ignore = "takes half an hour; run it before a release and after a change of a machine"]
fn ten_thousand_seeds_of_foul_weather_crashes_and_lies() {
    println!("{:?}", run_seeds(200..10_200));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        let (_, first) = run(Scenario::draw(seed));
        let (_, second) = run(Scenario::draw(seed));
        assert_eq!(first, second, "seed {seed}");
        let (_, other) = run(Scenario::draw(seed + 1));
        assert_ne!(first, other, "seed {seed}");
    }
}
