//! Scenarios by hand: what the seeds may miss, at every moment of a round.

use covey_aggregation::config::{CommitteeShape, HolderIndex};
use covey_aggregation::message::{
    AbandonReason, Decline, HolderFault, MissingReason, Outcome, Phase, Report,
};
use covey_aggregation::party::PartyId;

use crate::liars::{Lie, OwnerLie};
use crate::network::Node;
use crate::run;
use crate::scenario::{Fault, Scenario, When};
use crate::world::World;

fn outcome(world: &World) -> &Outcome {
    &world.coordinator.ended[0].1
}

fn report(world: &World) -> &Report {
    match outcome(world) {
        Outcome::Done(report) => report,
        Outcome::Abandoned { reason, report } => panic!("abandoned: {reason}; {report:?}"),
    }
}

fn reason(world: &World) -> &AbandonReason {
    match outcome(world) {
        Outcome::Done(report) => panic!("done: {report:?}"),
        Outcome::Abandoned { reason, .. } => reason,
    }
}

fn id(world: &World, owner: usize) -> PartyId {
    world.owners[owner].identity.id()
}

/// Events of a calm round: a fault after each of them is a fault at every moment.
fn moments() -> std::ops::Range<u64> {
    let (world, _) = run(Scenario::calm(1));
    0..world.events
}

fn broken(moment: u64, fault: Fault) -> World {
    let mut scenario = Scenario::calm(1);
    scenario.faults.push((When::AfterEvents(moment), fault));
    run(scenario).0
}

#[test]
fn a_calm_round_counts_everybody_blames_nobody_and_waits_for_no_deadline() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        let mut scenario = Scenario::calm(3);
        scenario.shape = shape;
        scenario.rounds = 3;
        let (world, _) = run(scenario);
        for (_, outcome) in &world.coordinator.ended {
            let Outcome::Done(report) = outcome else { panic!("{outcome:?}") };
            assert_eq!(report.counted, world.cohort);
            assert_eq!(report.faults, Vec::new());
        }
        // Training takes at most 1.5 s each; the least deadline is 8 s.
        assert!(world.now_ms < 3 * 2_500, "{} ms", world.now_ms);
    }
}

#[test]
fn any_one_of_four_holders_killed_at_any_moment_stops_nothing() {
    for moment in moments() {
        let holder = (moment % 4) as usize;
        let world = broken(moment, Fault::Kill(Node::Holder(holder)));
        assert_eq!(report(&world).counted, world.cohort, "killed after {moment} events");
    }
}

#[test]
fn any_holder_restarted_at_any_moment_stops_nothing() {
    for moment in moments() {
        let holder = (moment % 4) as usize;
        let world = broken(moment, Fault::Restart(Node::Holder(holder), 300));
        assert_eq!(report(&world).counted, world.cohort, "restarted after {moment} events");
    }
}

#[test]
fn the_coordinator_restarted_at_any_moment_loses_nothing() {
    for moment in moments() {
        let world = broken(moment, Fault::Restart(Node::Coordinator, 300));
        assert_eq!(report(&world).counted, world.cohort, "restarted after {moment} events");
    }
}

#[test]
fn an_owner_killed_at_any_moment_is_counted_or_named() {
    for moment in moments() {
        let owner = (moment % 4) as usize;
        let world = broken(moment, Fault::Kill(Node::Owner(owner)));
        let report = report(&world);
        let others = report.counted.iter().filter(|client| **client != id(&world, owner));
        assert_eq!(others.count(), 3, "killed after {moment} events");
    }
}

#[test]
fn an_owner_restarted_at_any_moment_is_counted_once() {
    for moment in moments() {
        let owner = (moment % 4) as usize;
        let world = broken(moment, Fault::Restart(Node::Owner(owner), 300));
        assert_eq!(report(&world).counted, world.cohort, "restarted after {moment} events");
    }
}

#[test]
fn two_holders_gone_at_any_moment_end_in_done_or_abandon_with_nothing_opened() {
    for moment in moments() {
        let mut scenario = Scenario::calm(1);
        for holder in [moment % 4, (moment + 1) % 4] {
            let fault = Fault::Kill(Node::Holder(holder as usize));
            scenario.faults.push((When::AfterEvents(moment), fault));
        }
        // The judge sees to it that nothing was opened if it was abandoned.
        run(scenario);
    }
}

#[test]
fn two_holders_gone_before_the_vote_release_nothing() {
    for at_ms in [0, 300] {
        let mut scenario = Scenario::calm(2);
        for holder in [1, 3] {
            scenario.faults.push((When::AtMs(at_ms), Fault::Kill(Node::Holder(holder))));
        }
        let (world, _) = run(scenario);
        let (got, needed) = (2, 3);
        let expected = match at_ms {
            0 => AbandonReason::NotCountersigned { got, needed },
            _ => AbandonReason::NotCertified { got: 0, needed },
        };
        assert_eq!(*reason(&world), expected);
        assert!(!world.witness.saw_release());
    }
}

#[test]
fn one_lying_holder_is_outvoted_and_named() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        for lie in Lie::ALL {
            let mut scenario = Scenario::calm(4);
            scenario.shape = shape;
            scenario.lies.push((2, lie));
            let (world, _) = run(scenario);
            let report = report(&world);
            let named: Vec<_> =
                report.faults.iter().map(|(holder, fault)| (holder.0, *fault)).collect();
            let (dropped, expected) = match lie {
                Lie::WrongRelease
                | Lie::OneWrongSum
                | Lie::TwoReleases
                | Lie::SumsOfOtherSet
                | Lie::ReleaseOfOtherSet => (0, Some(HolderFault::WrongRelease)),
                Lie::FalseContents | Lie::FalseKeys | Lie::BadSignature => {
                    (0, Some(HolderFault::FalseComplaint))
                }
                Lie::OneFalseKey => (1, None),
                Lie::Silence => (0, Some(HolderFault::Silent(Phase::Vote))),
                Lie::Refusal => (0, Some(HolderFault::Refused(Phase::Vote))),
                Lie::SecondVote => (0, Some(HolderFault::OtherVote)),
                // There is no earlier round, and no audit.
                _ => (0, None),
            };
            assert_eq!(report.counted.len(), 4 - dropped, "{lie:?}: {report:?}");
            for (_, why) in &report.missing {
                assert_eq!(*why, MissingReason::Disputed(HolderIndex(2)));
            }
            if let Some(fault) = expected {
                assert!(named.contains(&(2, fault)), "{lie:?}: {named:?}");
            }
            assert!(named.iter().all(|(holder, _)| *holder == 2), "{lie:?}: {named:?}");
        }
    }
}

#[test]
fn one_holder_missing_and_another_lying_ends_in_abandon_with_both_named() {
    for (lie, named) in [
        (Lie::WrongRelease, &[(0, HolderFault::WrongRelease)][..]),
        // The component that only holders 0 and 2 gave: nobody can tell which of them lies.
        (Lie::OneWrongSum, &[(0, HolderFault::Disagrees), (2, HolderFault::Disagrees)]),
    ] {
        let mut scenario = Scenario::calm(5);
        scenario.lies.push((0, lie));
        scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Holder(3))));
        let (world, _) = run(scenario);
        assert_eq!(*reason(&world), AbandonReason::NotReleased { got: 3, needed: 2 });
        let Outcome::Abandoned { report, .. } = outcome(&world) else { unreachable!() };
        let silent = (3, HolderFault::Silent(Phase::Select));
        for (holder, fault) in named.iter().chain([&silent]) {
            assert!(report.faults.contains(&(HolderIndex(*holder), *fault)), "{lie:?} {report:?}");
        }
    }
}

#[test]
fn seven_holders_bear_any_two_that_are_gone_or_lie() {
    for lie in Lie::ALL {
        let mut scenario = Scenario::calm(6);
        scenario.shape = CommitteeShape::Seven;
        scenario.lies.push((5, lie));
        scenario.faults.push((When::AtMs(400), Fault::Kill(Node::Holder(1))));
        let (world, _) = run(scenario);
        assert!(report(&world).counted.len() >= 3, "{lie:?}");
    }
}

#[test]
fn owners_that_send_bad_boxes_decline_or_vanish_are_each_named() {
    let mut scenario = Scenario::calm(7);
    scenario.owners = 8;
    scenario.owner_lies = vec![(0, OwnerLie::WrongCommitment), (1, OwnerLie::WrongBoxKey)];
    scenario.unwilling = vec![2];
    scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Owner(3))));
    let (world, _) = run(scenario);
    let missing = &report(&world).missing;
    let why = |owner| {
        let found = missing.iter().find(|(client, _)| *client == id(&world, owner));
        found.map(|(_, why)| *why)
    };
    // Component 0 is the one that holder 0 lacks: holder 1 is the first to find it bad.
    assert_eq!(why(0), Some(MissingReason::BadBox(HolderIndex(1))));
    assert_eq!(why(1), Some(MissingReason::Disputed(HolderIndex(0))));
    assert_eq!(why(2), Some(MissingReason::Declined(Decline::Policy)));
    assert_eq!(why(3), Some(MissingReason::NoAnswer));
    assert_eq!(report(&world).faults, Vec::new());
}

#[test]
fn a_contribution_that_encrypts_nothing_spoils_the_round_and_says_so() {
    let mut scenario = Scenario::calm(8);
    scenario.owner_lies = vec![(1, OwnerLie::Garbage)];
    let (world, _) = run(scenario);
    assert!(matches!(reason(&world), AbandonReason::Spoiled(_)));
}

#[test]
fn too_few_contributions_end_the_round_before_anything_is_voted() {
    let mut scenario = Scenario::calm(9);
    scenario.unwilling = vec![0, 1];
    let (world, _) = run(scenario);
    let expected = |got| AbandonReason::TooFewContributions { got, needed: 3 };
    assert!((0..=2).any(|got| *reason(&world) == expected(got)));
    assert!(!world.witness.saw_release());
}
