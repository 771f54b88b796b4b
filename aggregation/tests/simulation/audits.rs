//! Audited rounds by hand: everybody honest, each cheat of owners and holders, and a fault at every
//! moment.

use covey_aggregation::audit::opening::Failure;
use covey_aggregation::audit::record::AuditRecord;
use covey_aggregation::config::{CommitteeShape, HolderIndex};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    AbandonReason, AuditStep, Decline, HolderFault, MissingReason, Outcome, Phase, Report,
    SignedHeader,
};

use crate::liars::{Lie, OwnerLie};
use crate::network::Node;
use crate::run;
use crate::scenario::{Fault, Scenario, When};
use crate::world::World;

fn audited(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    scenario.is_audited = true;
    scenario
}

fn report(world: &World) -> &Report {
    match &world.coordinator.ended[0].1 {
        Outcome::Done(report) => report,
        Outcome::Abandoned { reason, report } => panic!("abandoned: {reason}; {report:?}"),
    }
}

fn why(world: &World, owner: usize) -> Option<MissingReason> {
    let id = world.owners[owner].identity.id();
    let missing = report(world).missing.iter().find(|(client, _)| *client == id);
    missing.map(|(_, why)| *why)
}

#[test]
fn a_calm_audited_round_counts_everybody_and_blames_nobody() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        let mut scenario = audited(3);
        (scenario.shape, scenario.rounds) = (shape, 2);
        let (world, _) = run(scenario);
        for (_, outcome) in &world.coordinator.ended {
            let Outcome::Done(report) = outcome else { panic!("{outcome:?}") };
            assert_eq!(report.counted, world.cohort);
            assert_eq!(report.faults, Vec::new());
        }
        // No deadline is waited for: the least is 8 s.
        assert!(world.now_ms < 2 * 4_000, "{} ms", world.now_ms);
    }
}

#[test]
fn every_cheat_of_an_owner_is_named_and_the_sum_is_exact_without_it() {
    for (lie, expected) in [
        (OwnerLie::Garbage, MissingReason::Failed(Failure::Relation)),
        (OwnerLie::WrongCorrection, MissingReason::Failed(Failure::Relation)),
        (OwnerLie::FalseProof, MissingReason::Failed(Failure::Relation)),
        (OwnerLie::HugeNorm, MissingReason::Unproven(Some(Decline::Unprovable))),
    ] {
        let mut scenario = audited(4);
        scenario.owners = 20;
        scenario.owner_lies = vec![(1, lie)];
        let (world, _) = run(scenario);
        let got = why(&world, 1);
        let is_expected = got == Some(expected)
            || (lie == OwnerLie::FalseProof && matches!(got, Some(MissingReason::Failed(_))));
        assert!(is_expected, "{lie:?}: {got:?}");
        assert_eq!(report(&world).counted.len(), 19, "{lie:?}");
        assert_eq!(report(&world).faults, Vec::new(), "{lie:?}");
    }
}

/// A way to spoil a record.
type Spoil = fn(&mut AuditRecord);

#[test]
fn a_published_audit_is_computed_again_and_every_change_of_it_is_found() {
    let mut scenario = audited(7);
    scenario.owners = 6;
    scenario.owner_lies = vec![(1, OwnerLie::Garbage)];
    let (world, _) = run(scenario);
    let round = world.coordinator.round.as_ref().expect("the round");
    let (config, context) = (round.config(), round.context());
    let set = round.certificate().expect("certified").set;
    let record = round.audit().expect("audited");
    assert_eq!(record.rejected.len(), 1);
    let verify = |record: &AuditRecord, accepted: &[SignedHeader]| {
        record.verify((config, context), &set, (accepted, &[])).map(|checked| checked.clients.len())
    };
    assert_eq!(verify(&record, round.set()), Ok(6));
    assert!(verify(&record, &round.set()[1..]).is_err(), "one less is accepted");
    let all = record.certified(round.set());
    let spoils: [(&str, Spoil); 12] = [
        ("rejected", |record| record.rejected.clear()),
        ("rows", |record| record.rows.drawn[0].values[0] = Digest::ZERO),
        ("fewer rows", |record| record.rows.drawn.truncate(1)),
        ("proof", |record| record.proofs[0].proof[20] ^= 1),
        ("proofs", |record| drop(record.proofs.remove(0))),
        ("order", |record| record.proofs.swap(0, 1)),
        ("list", |record| record.list.votes.truncate(2)),
        ("check", |record| record.check.drawn[0].signature = record.rows.drawn[0].signature),
        ("part", |record| record.parts[0].openings[3] ^= 1),
        ("parts", |record| record.parts.swap(0, 1)),
        ("public", |record| record.public[5] ^= 1),
        ("verdict", |record| record.certificate = record.list.clone()),
    ];
    for (what, spoil) in spoils {
        let mut spoiled = record.clone();
        spoil(&mut spoiled);
        assert!(verify(&spoiled, round.set()).is_err(), "{what}");
    }
    // Whom the audit left out cannot be put back.
    let mut spoiled = record.clone();
    spoiled.rejected.clear();
    assert!(verify(&spoiled, &all).is_err());
}

#[test]
fn a_lying_holder_is_outvoted_and_named() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        for lie in Lie::AUDIT {
            let mut scenario = audited(5);
            scenario.shape = shape;
            scenario.lies = vec![(2, lie)];
            let (world, _) = run(scenario);
            let report = report(&world);
            assert_eq!(report.counted, world.cohort, "{lie:?}: {report:?}");
            let fault = match lie {
                Lie::WrongBeacon => HolderFault::WrongBeacon,
                Lie::WrongOpening | Lie::TwoOpenings => HolderFault::WrongOpening,
                Lie::OtherList | Lie::OtherVerdict => HolderFault::OtherVerdict,
                _ => HolderFault::Silent(Phase::Audit),
            };
            let named = report.faults.iter().all(|(holder, _)| *holder == HolderIndex(2));
            assert!(named, "{lie:?}: {report:?}");
            let is_named = report.faults.contains(&(HolderIndex(2), fault));
            // Values that were not needed any more when they came are not compared.
            let may_be_late =
                matches!(lie, Lie::WrongBeacon | Lie::WrongOpening | Lie::TwoOpenings)
                    || fault == HolderFault::Silent(Phase::Audit);
            assert!(is_named || may_be_late, "{lie:?}: {report:?}");
        }
    }
}

#[test]
fn one_holder_missing_and_another_lying_opens_nothing() {
    for (lie, step) in [
        (Lie::WrongBeacon, AuditStep::Rows),
        (Lie::OtherList, AuditStep::List),
        (Lie::WrongOpening, AuditStep::Open),
        (Lie::OtherVerdict, AuditStep::Judge),
    ] {
        let mut scenario = audited(6);
        scenario.lies = vec![(0, lie)];
        scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Holder(3))));
        let (world, _) = run(scenario);
        let Outcome::Abandoned { reason, report } = &world.coordinator.ended[0].1 else {
            panic!("{lie:?}: {:?}", world.coordinator.ended)
        };
        let at = matches!(reason, AbandonReason::NotAudited { step: at, .. } if *at == step);
        assert!(at, "{lie:?}: {reason}; {report:?}");
        assert!(!world.witness.saw_release());
    }
}

/// Each holder reads what failed again, finds that it is as good as its client says, and signs no
/// verdict that leaves it out.
#[test]
fn a_holder_that_finds_other_public_values_refuses_its_verdict() {
    let mut scenario = audited(8);
    scenario.owners = 6;
    scenario.misreads = true;
    let (world, _) = run(scenario);
    let Outcome::Abandoned { reason, report } = &world.coordinator.ended[0].1 else {
        panic!("{:?}", world.coordinator.ended)
    };
    let step = AuditStep::Judge;
    assert!(
        matches!(reason, AbandonReason::NotAudited { step: at, .. } if *at == step),
        "{reason}"
    );
    let refused =
        report.faults.iter().filter(|(_, fault)| *fault == HolderFault::Refused(Phase::Audit));
    assert!(refused.count() >= 2, "{report:?}");
    assert!(!world.witness.saw_release());
}

/// Moments of a calm audited round: after every third event.
fn moments() -> impl Iterator<Item = u64> {
    let (world, _) = run(audited(1));
    (0..world.events).step_by(3)
}

fn broken(moment: u64, fault: Fault) -> World {
    let mut scenario = audited(1);
    scenario.faults.push((When::AfterEvents(moment), fault));
    run(scenario).0
}

#[test]
fn any_holder_killed_or_restarted_at_any_moment_stops_nothing() {
    for moment in moments() {
        let holder = Node::Holder((moment % 4) as usize);
        for fault in [Fault::Kill(holder), Fault::Restart(holder, 300)] {
            let world = broken(moment, fault);
            assert_eq!(report(&world).counted, world.cohort, "{fault:?} after {moment} events");
        }
    }
}

#[test]
fn the_coordinator_restarted_at_any_moment_loses_nothing() {
    for moment in moments() {
        let world = broken(moment, Fault::Restart(Node::Coordinator, 300));
        assert_eq!(report(&world).counted, world.cohort, "after {moment} events");
    }
}

#[test]
fn an_owner_gone_at_any_moment_is_counted_or_named_with_its_reason() {
    let mut lost = 0;
    for moment in moments() {
        let owner = (moment % 4) as usize;
        for fault in [Fault::Kill(Node::Owner(owner)), Fault::Restart(Node::Owner(owner), 300)] {
            let world = broken(moment, fault);
            assert!(report(&world).counted.len() >= 3, "{fault:?} after {moment} events");
            match why(&world, owner) {
                None | Some(MissingReason::Unproven(None) | MissingReason::NoAnswer) => {}
                // It sealed, and was started again before it proved.
                Some(MissingReason::Unproven(Some(Decline::Lost))) => lost += 1,
                why => panic!("{fault:?} after {moment} events: {why:?}"),
            }
        }
    }
    assert!(lost > 0);
}

#[test]
fn foul_weather_ends_audited_rounds_done_or_abandoned_and_never_wrong() {
    let mut done = 0;
    for seed in 0..12 {
        let mut scenario = Scenario::draw(seed);
        scenario.is_audited = true;
        scenario.owners = scenario.owners.min(12);
        scenario.minimum = scenario.minimum.min(5);
        scenario.unwilling.retain(|owner| *owner < 12);
        scenario.owner_lies.retain(|(owner, _)| *owner < 12);
        scenario.faults.retain(|(_, fault)| {
            let (Fault::Kill(node) | Fault::Restart(node, _)) = fault;
            !matches!(node, Node::Owner(owner) if *owner >= 12)
        });
        scenario.cuts.retain(|cut| !matches!(cut.node, Node::Owner(owner) if owner >= 12));
        let (world, _) = run(scenario);
        let ended = world.coordinator.ended.iter();
        done += ended.filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))).count();
    }
    assert!(done >= 6, "{done}");
}
