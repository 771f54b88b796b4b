//! One test for every liar in every role, at the level of whole rounds: the real machines and the
//! real encryption, and one party or a few that follow the protocol but for one lie. Each test
//! says what the lie comes to, who is named for it, and that nothing else is opened.
#![allow(dead_code, reason = "of the simulation's modules only parts are used")]

#[path = "../simulation/direction.rs"]
mod direction;
#[path = "../simulation/disk.rs"]
mod disk;
#[path = "../simulation/driving.rs"]
mod driving;
#[path = "../simulation/events.rs"]
mod events;
#[path = "../simulation/faults.rs"]
mod faults;
#[path = "../simulation/liars.rs"]
mod liars;
#[path = "../simulation/network.rs"]
mod network;
#[path = "../simulation/nodes.rs"]
mod nodes;
#[path = "../simulation/oracle.rs"]
mod oracle;
#[path = "../simulation/scenario.rs"]
mod scenario;
#[path = "../simulation/stage.rs"]
mod stage;
#[path = "../simulation/world.rs"]
mod world;

mod client;
mod coordinator;
mod holder;

use covey_aggregation::message::{AbandonReason, MissingReason, Outcome, Report};

use scenario::Scenario;
use world::World;

/// Runs a scenario to its end and has it judged: exact sums of who is counted, everybody named
/// once, no honest holder accused, nothing opened in a round that is abandoned.
fn run(scenario: Scenario) -> World {
    let mut world = World::new(scenario);
    world.run();
    world.judge();
    world
}

/// The report of a round that was done.
#[track_caller]
fn done(world: &World, round: usize) -> &Report {
    match &world.coordinator.ended[round].1 {
        Outcome::Done(report) => report,
        Outcome::Abandoned { reason, report } => panic!("abandoned: {reason}; {report:?}"),
    }
}

/// Why a round was abandoned, and its report.
#[track_caller]
fn abandoned(world: &World, round: usize) -> (&AbandonReason, &Report) {
    match &world.coordinator.ended[round].1 {
        Outcome::Done(report) => panic!("done: {report:?}"),
        Outcome::Abandoned { reason, report } => (reason, report),
    }
}

/// What a report says of an owner that is not counted.
fn missing(world: &World, report: &Report, owner: usize) -> Option<MissingReason> {
    let id = world.owners[owner].identity.id();
    report.missing.iter().find(|(client, _)| *client == id).map(|(_, why)| *why)
}
