//! Rounds with credit by hand: everybody honest, each cheat of holders and coordinator, and a fault at
//! every moment.

use covey_aggregation::audit::beacon::Use;
use covey_aggregation::audit::credit::Functions;
use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::weighing::Weights;
use covey_aggregation::config::{CommitteeShape, HolderIndex, Weighting, set_digest};
use covey_aggregation::credit::pool::retired_digest;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{HolderFault, NoCredit, Outcome, Phase, Report};

use crate::direction::pool;
use crate::liars::{Lie, OwnerLie};
use crate::network::Node;
use crate::run;
use crate::scenario::{Fault, Scenario, When};
use crate::world::World;

pub(crate) fn credited(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    (scenario.is_audited, scenario.has_credit) = (true, true);
    scenario
}

fn report(world: &World) -> &Report {
    match &world.coordinator.ended[0].1 {
        Outcome::Done(report) => report,
        Outcome::Abandoned { reason, report } => panic!("abandoned: {reason}; {report:?}"),
    }
}

/// What is published of the last round's credit.
pub(crate) fn record(world: &World) -> CreditRecord {
    let round = world.coordinator.round.as_ref().expect("a round");
    let credit = round.credit().expect("it is credited");
    CreditRecord {
        fold: round.fold().expect("drawn").clone(),
        retired: round.terms().retired.clone(),
        directed: credit.directed.clone(),
        directions: world.coordinator.directions[round.context()].clone(),
        parts: credit.parts.to_vec(),
        carries: credit.carries.to_vec(),
        weights: credit.weights,
        evidence: credit.evidence.clone(),
        attested: credit.attested.clone(),
    }
}

/// Computes a record again, from everything else that the last round published.
pub(crate) fn verify(world: &World, record: &CreditRecord) -> Result<(), String> {
    let round = world.coordinator.round.as_ref().expect("a round");
    let (config, audit) = (round.config(), round.audit().expect("audited"));
    let set = round.certificate().expect("certified").set;
    let (rows, _) = audit.rows.beacon(config, round.context(), (Use::Rows, &set)).expect("drawn");
    let question = Question::new(config, set, rows).expect("audited terms");
    let headers: Vec<_> = round.set().iter().map(|signed| signed.header.digest()).collect();
    let accepted = set_digest(round.context(), &headers);
    let proofs: Vec<_> = audit
        .proofs
        .iter()
        .filter(|proven| round.set().iter().any(|signed| signed.header.client == proven.client))
        .map(|proven| {
            let proof = Proof::from_bytes(question.terms(), &proven.proof).expect("well-formed");
            (proven.client, proven.examples, proof)
        })
        .collect();
    let owners: Vec<_> =
        proofs.iter().map(|(client, count, proof)| (*client, *count, proof)).collect();
    let sums = &world.coordinator.openings[round.context()].aggregate.sums;
    record.verify(&question, &accepted, &owners, sums).map_err(|bad| bad.to_string())
}

#[test]
fn calm_rounds_give_everybody_evidence_that_adds_up_and_never_draw_an_example_twice() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        let mut scenario = credited(3);
        (scenario.shape, scenario.rounds) = (shape, 3);
        let (world, _) = run(scenario);
        for (_, outcome) in &world.coordinator.ended {
            let Outcome::Done(report) = outcome else { panic!("{outcome:?}") };
            assert_eq!(report.counted, world.cohort);
            assert_eq!((&report.faults, &report.no_credit), (&Vec::new(), &None));
        }
        // No deadline is waited for: the least is 8 s.
        assert!(world.now_ms < 3 * 4_000, "{} ms", world.now_ms);
        let record = record(&world);
        assert_eq!(verify(&world, &record), Ok(()));
        let owners = record.evidence.contributions().iter().map(|one| one.owner);
        assert!(owners.eq(world.cohort.iter().copied()));
        assert!(record.evidence.contributions().iter().any(|one| one.s != 0));
        // 28 examples a round: seven of each of four classes.
        let state = &record.attested.attestation.state;
        assert_eq!((state.opened, state.steps.len()), (3, 3));
        assert_eq!(state.retired, retired_digest(&pool(), &world.coordinator.credit.retired));
        assert_eq!(world.coordinator.credit.retired.len(), 3 * 28);
    }
}

/// A way to spoil a record.
type Spoil = fn(&mut CreditRecord);

#[test]
fn every_change_of_published_evidence_weight_fold_or_direction_is_found() {
    let mut scenario = credited(7);
    (scenario.owners, scenario.rounds) = (6, 2);
    let (world, _) = run(scenario);
    let honest = record(&world);
    assert_eq!(verify(&world, &honest), Ok(()));
    let carry = covey_aggregation::audit::carry::Carry { coordinate: 0, by: 1 };
    assert_eq!(honest.carries, []);
    let mut spoiled = honest.clone();
    spoiled.carries.push(carry);
    assert!(verify(&world, &spoiled).is_err(), "a carry that is none");
    let spoils: [(&str, Spoil); 14] = [
        ("fold", |record| record.fold.drawn[0].values[0] = Digest::ZERO),
        ("fewer of the fold", |record| record.fold.drawn.truncate(1)),
        ("retired", |record| record.retired.push(239)),
        ("examples", |record| record.directed.examples[0] ^= 1),
        ("model", |record| record.directed.after = Digest::ZERO),
        ("direction", |record| record.directions.path = record.directions.trained.clone()),
        ("functions", |record| record.directed.functions[0] ^= 1),
        ("rest", |record| record.directed.rest[0] += 1),
        ("part", |record| record.parts[0].openings[3] ^= 1),
        ("parts", |record| record.parts.swap(0, 1)),
        ("declared weight", |record| record.weights.declared += 1),
        ("weight in the sum", |record| record.weights.sealed += 1),
        ("votes", |record| record.attested.certificate.votes.truncate(2)),
        ("state", |record| record.attested.attestation.state.opened += 1),
    ];
    for (what, spoil) in spoils {
        let mut spoiled = honest.clone();
        spoil(&mut spoiled);
        assert!(verify(&world, &spoiled).is_err(), "{what}");
    }
    for which in 0..3 {
        let mut all = honest.evidence.contributions().to_vec();
        let one = &mut all[2];
        *[&mut one.s, &mut one.novelty, &mut one.harm][which] += 1;
        let mut spoiled = honest.clone();
        let round = (honest.evidence.round(), *honest.evidence.context());
        spoiled.evidence =
            covey_aggregation::credit::RoundEvidence::new(round.0, round.1, all).expect("in range");
        assert!(verify(&world, &spoiled).is_err(), "score {which}");
    }
}

#[test]
fn a_holder_that_lies_about_credit_is_outvoted_and_named() {
    for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
        for lie in Lie::CREDIT {
            let mut scenario = credited(5);
            scenario.shape = shape;
            scenario.lies = vec![(2, lie)];
            let (world, _) = run(scenario);
            let report = report(&world);
            assert_eq!(report.no_credit, None, "{lie:?}: {report:?}");
            assert_eq!(verify(&world, &record(&world)), Ok(()), "{lie:?}");
            let named = report.faults.iter().all(|(holder, _)| *holder == HolderIndex(2));
            assert!(named, "{lie:?}: {report:?}");
        }
    }
}

#[test]
fn one_holder_missing_and_another_lying_leaves_a_round_done_without_credit() {
    for lie in Lie::CREDIT {
        let mut scenario = credited(6);
        scenario.lies = vec![(0, lie)];
        scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Holder(3))));
        let (world, _) = run(scenario);
        let report = report(&world);
        assert_eq!(report.counted, world.cohort, "{lie:?}");
        let expected = match lie {
            Lie::OtherEvidence => matches!(report.no_credit, Some(NoCredit::NotAttested { .. })),
            _ => matches!(report.no_credit, Some(NoCredit::NotOpened { .. })),
        };
        assert!(expected, "{lie:?}: {report:?}");
        let fault = match lie {
            Lie::WrongDirections => HolderFault::Refused(Phase::Credit),
            Lie::OtherEvidence => HolderFault::OtherVerdict,
            Lie::TwoNumbers => HolderFault::WrongOpening,
            Lie::SilentCredit => HolderFault::Silent(Phase::Credit),
            // Which of two is wrong cannot be told.
            _ => continue,
        };
        assert!(report.faults.contains(&(HolderIndex(0), fault)), "{lie:?}: {report:?}");
    }
}

/// Moments of a calm round with credit: after every fourth event.
fn moments() -> impl Iterator<Item = u64> {
    let (world, _) = run(credited(1));
    (0..world.events).step_by(4)
}

fn broken(moment: u64, fault: Fault) -> World {
    let mut scenario = credited(1);
    scenario.faults.push((When::AfterEvents(moment), fault));
    run(scenario).0
}

#[test]
fn a_holder_or_the_coordinator_gone_at_any_moment_costs_nobody_its_credit() {
    for moment in moments() {
        let holder = Node::Holder((moment / 4 % 4) as usize);
        for fault in [
            Fault::Kill(holder),
            Fault::Restart(holder, 300),
            Fault::Restart(Node::Coordinator, 300),
        ] {
            let world = broken(moment, fault);
            let report = report(&world);
            assert_eq!(report.counted, world.cohort, "{fault:?} after {moment} events");
            assert_eq!(report.no_credit, None, "{fault:?} after {moment} events");
            assert_eq!(verify(&world, &record(&world)), Ok(()), "{fault:?} after {moment}");
        }
    }
}

#[test]
fn foul_weather_ends_rounds_with_or_without_credit_and_never_with_wrong_evidence() {
    let mut with_evidence = 0;
    for seed in 0..10 {
        let mut scenario = Scenario::draw(seed);
        (scenario.is_audited, scenario.has_credit) = (true, true);
        scenario.owners = scenario.owners.min(8);
        scenario.minimum = scenario.minimum.min(5);
        scenario.unwilling.retain(|owner| *owner < 8);
        scenario.owner_lies.retain(|(owner, _)| *owner < 8);
        scenario.faults.retain(|(_, fault)| {
            let (Fault::Kill(node) | Fault::Restart(node, _)) = fault;
            !matches!(node, Node::Owner(owner) if *owner >= 8)
        });
        scenario.cuts.retain(|cut| !matches!(cut.node, Node::Owner(owner) if owner >= 8));
        let (world, _) = run(scenario);
        let is_credited = |outcome: &Outcome| matches!(outcome, Outcome::Done(report) if report.no_credit.is_none());
        let (_, last) = world.coordinator.ended.last().expect("rounds ended");
        if is_credited(last) {
            assert_eq!(verify(&world, &record(&world)), Ok(()), "seed {seed}");
            with_evidence += 1;
        }
    }
    assert!(with_evidence >= 4, "{with_evidence}");
}

/// Owners count by their examples, and one says that it has a single one, for an update as long as any
/// may be.
#[test]
fn an_owner_that_declares_too_little_is_told_of_and_gains_little_and_costs_nobody_its_credit() {
    let mut scenario = credited(9);
    (scenario.owners, scenario.weighting) = (6, Weighting::CappedExamples(100));
    let (world, _) = run(scenario.clone());
    let honest = record(&world);
    // 2, 5, 8, 11, 14 and 17 examples.
    assert_eq!(honest.weights, Weights { declared: 57, sealed: 57 });

    scenario.owner_lies = vec![(4, OwnerLie::Undercounts)];
    let (world, _) = run(scenario);
    let report = report(&world);
    assert_eq!((&report.counted, &report.no_credit), (&world.cohort, &None));
    let record = record(&world);
    assert_eq!(record.weights, Weights { declared: 57 - 14 + 1, sealed: 57 });
    assert_eq!(verify(&world, &record), Ok(()));
    let owners = record.evidence.contributions().iter().map(|one| one.owner);
    assert!(owners.eq(world.cohort.iter().copied()));

    // A hundredth of what it sent is as far as an update goes, not a hundred times as far.
    let round = world.coordinator.round.as_ref().expect("a round");
    let set = round.certificate().expect("certified").set;
    let rows = &round.audit().expect("audited").rows;
    let rows = rows.beacon(round.config(), round.context(), (Use::Rows, &set)).expect("drawn").0;
    let question = Question::new(round.config(), set, rows).expect("audited terms");
    let functions = Functions::from_bytes(&question, &record.directed.functions).expect("three");
    let reach = functions.reach(&question);
    let (_, liar) = record.evidence.of(&world.owners[4].identity.id()).expect("credited");
    let scores = [liar.s, liar.novelty, liar.harm].map(|score| i128::from(score.abs()));
    assert!(scores.iter().zip(reach).all(|(score, reach)| *score <= reach), "{scores:?} {reach:?}");
    assert_eq!(scores[0], reach[0]);
}
