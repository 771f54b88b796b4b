//! Whole rounds of the three machines with real crypto in virtual time, under loss, repetition,
//! delay and reordering, with processes that crash, vanish and lie. One seed is one run.
//!
//! Owner i adds one at coordinate i, so that the opened sum shows who is in it and how often.

mod disk;
mod liars;
mod network;
mod nodes;
mod oracle;
mod rounds;
mod scenario;
mod world;

use covey_aggregation::hash::Digest;

use scenario::Scenario;
use world::World;

/// Runs a scenario to its end and judges it.
fn run(scenario: Scenario) -> (World, Digest) {
    let mut world = World::new(scenario);
    let trace = world.run();
    world.judge();
    (world, trace)
}

#[test]
fn two_hundred_seeds_of_foul_weather_crashes_and_lies() {
    let mut done = 0;
    for seed in 0..200 {
        let (world, _) = run(Scenario::draw(seed));
        let ended = world.coordinator.ended.iter();
        done += ended
            .filter(|(_, outcome)| {
                matches!(outcome, covey_aggregation::message::Outcome::Done(_))
            })
            .count();
    }
    // Not a promise, but a seed set in which hardly anything completes would test little.
    assert!(done >= 150, "only {done} rounds were done");
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
