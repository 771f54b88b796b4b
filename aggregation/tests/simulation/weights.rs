//! Rounds in which evidence weighs updates: what decides the weights, that everybody comes to the
//! same, and that nothing is opened by others.

use std::collections::BTreeMap;

use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::credit::{
    Candidate, CreditTerms, RoundEvidence, Standings, TermsDraft, Training, weights,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    AbandonReason, FromHolder, HolderFault, Outcome, Refusal, Report, ToHolder,
};
use covey_aggregation::party::PartyId;
use covey_aggregation::publication::{
    ContributionSource, Publication, PublicationFault, RoundResult, verify,
};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{Aggregate, KeySum, Spoiled, combine, open};
use covey_aggregation::sum::share::{component_sums, open_envelope};

use crate::audit_cheats::Cheated;
use crate::credits::{credited, record};
use crate::direction::BAD_OWNERS;
use crate::liars::Lie;
use crate::network::Node;
use crate::nodes::Blobs;
use crate::run;
use crate::scenario::{Fault, Scenario, When};
use crate::world::World;

const OWNERS: usize = 8;

/// The first round that evidence of three rounds weighs.
const WEIGHED: u32 = 4;

/// Rounds of eight owners, the last two of which bring the opposite of what is wanted.
fn weighed(rounds: u32) -> Scenario {
    let mut scenario = credited(21);
    (scenario.is_weighed, scenario.owners, scenario.minimum) = (true, OWNERS, 5);
    scenario.rounds = rounds;
    scenario
}

/// How often each owner counted in a round, by its index.
fn times_in(world: &World, round: usize) -> Vec<u32> {
    let (context, outcome) = &world.coordinator.ended[round - 1];
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let times = &world.coordinator.openings[context].times;
    world.owners.iter().map(|owner| times[&owner.identity.id()]).collect()
}

fn report(world: &World, round: usize) -> &Report {
    match &world.coordinator.ended[round - 1].1 {
        Outcome::Done(report) => report,
        Outcome::Abandoned { reason, report } => panic!("abandoned: {reason}; {report:?}"),
    }
}

/// Parts of a million by the study's rule, of these owners alike in their examples.
fn by_the_rule(past: &[RoundEvidence], owners: &[PartyId]) -> BTreeMap<PartyId, u32> {
    let terms = CreditTerms::check(TermsDraft::usual(1, 16)).expect("good terms");
    let alike = |owner: &PartyId| Candidate { owner: *owner, count: 1, is_sole: false };
    let candidates: Vec<_> = owners.iter().map(alike).collect();
    let weights = weights(&terms, past, &candidates).expect("good evidence");
    weights.into_iter().map(|weight| (weight.owner, weight.millionths)).collect()
}

#[test]
fn weights_follow_the_evidence_of_the_rounds_before_and_sums_are_exact_under_them() {
    let mut past = Vec::new();
    for round in 1..=5 {
        // The same world each time, one round longer: what it published of its last round.
        let (world, _) = run(weighed(round));
        let times = times_in(&world, round as usize);
        if round < WEIGHED {
            assert_eq!(times, [1; OWNERS], "round {round}");
        } else {
            let (good, bad) = times.split_at(OWNERS - BAD_OWNERS);
            assert!(good.iter().all(|times| (2..=4).contains(times)), "{times:?}");
            assert_eq!(bad, [0; BAD_OWNERS], "round {round}");
            let owners: Vec<_> = world.owners.iter().map(|owner| owner.identity.id()).collect();
            let rule = by_the_rule(&past, &owners);
            for (one, other) in (0..OWNERS).flat_map(|i| (0..OWNERS).map(move |j| (i, j))) {
                // But for a millionth by which equals may differ.
                let is_more = rule[&owners[one]] > rule[&owners[other]] + 1;
                assert!(!is_more || times[one] >= times[other], "{times:?} {rule:?}");
            }
        }
        let record: CreditRecord = record(&world);
        assert_eq!(crate::credits::verify(&world, &record), Ok(()), "round {round}");
        // Also of those that do not count.
        assert_eq!(record.evidence.contributions().len(), OWNERS);
        past.push(record.evidence);
        let standings = past.iter().fold(Standings::default(), |all, round| all.after(round));
        assert_eq!(record.attested.attestation.state.standings, standings);
    }
}

#[test]
fn where_too_few_would_count_all_count_once() {
    let mut scenario = weighed(WEIGHED);
    scenario.minimum = (OWNERS - BAD_OWNERS + 1) as u32;
    let (world, _) = run(scenario);
    assert_eq!(times_in(&world, WEIGHED as usize), [1; OWNERS]);
}

#[test]
fn whoever_is_restarted_at_any_moment_comes_to_the_same_weights() {
    let (calm, _) = run(weighed(WEIGHED));
    let expected = times_in(&calm, WEIGHED as usize);
    let (before, _) = run(weighed(WEIGHED - 1));
    // From the terms of the weighed round on to its end.
    for (at, moment) in (before.events..calm.events).step_by(10).enumerate() {
        let holder = Node::Holder(at / 3 % 4);
        let fault = match at % 3 {
            0 => Fault::Restart(holder, 300),
            1 => Fault::Kill(holder),
            _ => Fault::Restart(Node::Coordinator, 300),
        };
        let mut scenario = weighed(WEIGHED);
        scenario.faults.push((When::AfterEvents(moment), fault));
        let (world, _) = run(scenario);
        let report = report(&world, WEIGHED as usize);
        assert_eq!(report.no_credit, None, "{fault:?} after {moment} events");
        let times = times_in(&world, WEIGHED as usize);
        assert_eq!(times, expected, "{fault:?} after {moment} events");
        assert_eq!(crate::credits::verify(&world, &record(&world)), Ok(()), "{fault:?}");
    }
}

#[test]
fn a_holder_that_counts_everybody_once_is_outvoted_and_named() {
    let mut scenario = weighed(WEIGHED);
    scenario.lies = vec![(2, Lie::CountsOnce)];
    let (world, _) = run(scenario);
    let report = report(&world, WEIGHED as usize);
    let named = (HolderIndex(2), HolderFault::WrongRelease);
    assert!(report.faults.iter().all(|fault| *fault == named), "{report:?}");
    let (calm, _) = run(weighed(WEIGHED));
    let round = WEIGHED as usize;
    assert_eq!(times_in(&world, round), times_in(&calm, round));
}

#[test]
fn with_one_holder_gone_and_another_counting_everybody_once_nothing_is_opened() {
    let mut scenario = weighed(WEIGHED);
    scenario.lies = vec![(2, Lie::CountsOnce)];
    let (before, _) = run(weighed(WEIGHED - 1));
    let when = When::AfterEvents(before.events + 4);
    scenario.faults.push((when, Fault::Kill(Node::Holder(0))));
    let (world, _) = run(scenario);
    let (context, outcome) = &world.coordinator.ended[WEIGHED as usize - 1];
    let Outcome::Abandoned { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(matches!(reason, AbandonReason::NotReleased { .. }), "{reason}");
    assert!(!world.coordinator.openings.contains_key(context));
}

/// The honest proposal of the weighed round, to a holder that has been in the rounds before.
fn proposed() -> (Cheated, ToHolder) {
    let mut cheated = Cheated::of(weighed(WEIGHED));
    let is_weighed = |message: &&ToHolder| matches!(message, ToHolder::Propose { config, .. } if config.round == WEIGHED);
    let at = cheated.told.iter().position(|message| is_weighed(&message)).expect("a proposal");
    let (before, honest) = (cheated.told[..at].to_vec(), cheated.told[at].clone());
    for message in before {
        cheated.tell(message);
    }
    (cheated, honest)
}

/// A way to claim other weights.
type Claim = fn(&mut RoundConfig, &RoundConfig);

#[test]
fn terms_that_claim_other_weights_are_not_countersigned() {
    let (mut cheated, honest) = proposed();
    let claims: [(&str, Claim); 4] = [
        ("nothing is known of anybody", |config, _| {
            config.credit.as_mut().expect("credit").state.standings = Standings::default();
        }),
        ("one more round of evidence", |config, _| {
            let state = &mut config.credit.as_mut().expect("credit").state;
            let one = |standing: &covey_aggregation::credit::Standing| {
                covey_aggregation::credit::Evidence {
                    owner: standing.owner,
                    count: 1,
                    s: 1,
                    novelty: 0,
                    harm: 0,
                }
            };
            let all = state.standings.all().iter().map(one).collect();
            let round = RoundEvidence::new(9, Digest::ZERO, all).expect("good evidence");
            state.standings = state.standings.after(&round);
        }),
        ("all count once", |config, _| {
            let credit = config.credit.as_mut().expect("credit");
            credit.training = Training::Off;
            credit.state.standings = Standings::default();
        }),
        ("those of a round before", |config, first| {
            let state = &first.credit.as_ref().expect("credit").state;
            config.credit.as_mut().expect("credit").state.standings = state.standings.clone();
        }),
    ];
    let first = cheated.told.iter().find_map(|message| match message {
        ToHolder::Propose { config, .. } => Some(config.clone()),
        _ => None,
    });
    let first = first.expect("a first round");
    for (what, claim) in claims {
        let mut other = honest.clone();
        let ToHolder::Propose { config, .. } = &mut other else { unreachable!() };
        claim(config, &first);
        config.packing = config.derive_packing().expect("a packing");
        assert!(matches!(cheated.refusal(other), Some(Refusal::Terms(_))), "{what}");
    }
    let said = cheated.tell(honest);
    assert!(matches!(said[..], [FromHolder::Countersigned { .. }]), "{said:?}");
}

impl ContributionSource for &Blobs {
    type Error = String;

    fn correction(&mut self, _: &PartyId, contribution: &Digest) -> Result<Vec<u8>, String> {
        Ok(self.0.get(contribution).ok_or("gone")?.correction.clone())
    }

    fn chunk(&mut self, _: &PartyId, contribution: &Digest, at: u32) -> Result<Vec<u8>, String> {
        Ok(self.0.get(contribution).ok_or("gone")?.chunks[at as usize].clone())
    }
}

/// The last round, as it is published; without its credit, whose model the simulation makes up.
fn published(world: &World) -> RoundResult {
    let round = world.coordinator.round.as_ref().expect("a round");
    let opening = &world.coordinator.openings[round.context()];
    RoundResult {
        config: round.config().clone(),
        cohort: world.cohort.clone(),
        countersignatures: round.countersignatures().to_vec(),
        headers: round.set().to_vec(),
        certificate: round.certificate().expect("certified").clone(),
        audit: round.audit().map(Box::new),
        key_sum: opening.key_sum.clone(),
        aggregate: opening.aggregate.clone(),
        report: report(world, world.coordinator.ended.len()).clone(),
    }
}

fn check(world: &World, result: RoundResult) -> Result<u32, PublicationFault> {
    let publication = Publication::sign(result, &world.coordinator.identity);
    let checked = verify(&publication, &world.roster, &mut &world.coordinator.blobs);
    checked.map(|verified| verified.count)
}

/// The sum of the published set with each counted so often, and the sum of the keys with each so
/// often: as if all holders and the coordinator worked together.
fn colluding(
    world: &World,
    result: &RoundResult,
    [summed, released]: [&[u32]; 2],
) -> Result<(Aggregate, KeySum), Spoiled> {
    let (config, context) = (&result.config, result.config.context());
    let names: Vec<_> = result.headers.iter().map(|signed| signed.header.digest()).collect();
    let uploads: Vec<_> = names.iter().map(|name| &world.coordinator.blobs.0[name]).collect();
    let mut accumulator = Accumulator::new(config).expect("good terms");
    for (upload, times) in uploads.iter().zip(summed) {
        accumulator.add_correction_times(&upload.correction, *times).expect("good");
        for (index, chunk) in (0..).zip(&upload.chunks) {
            accumulator.add_chunk_times(index, chunk, *times).expect("good");
        }
    }
    let release = |(holder, node): (usize, &crate::nodes::HolderNode)| {
        let index = HolderIndex(holder as u8);
        let open = |upload: &std::rc::Rc<crate::network::Upload>| {
            let envelope = upload.envelope(holder);
            let seeds = open_envelope(config, &context, index, &node.secret, &envelope);
            (upload.header.header.client, seeds.unwrap_or_else(|bad| panic!("{bad}")))
        };
        let opened: Vec<_> = uploads.iter().map(|upload| open(upload)).collect();
        let seeds = opened.iter().map(|(client, seeds)| (*client, seeds)).zip(released);
        let as_often = seeds.flat_map(|(seeds, times)| vec![seeds; *times as usize]);
        (index, component_sums(config, &context, index, as_often))
    };
    let releases: Vec<_> = world.holders.iter().enumerate().map(release).collect();
    let releases: Vec<_> = releases.iter().map(|(index, sums)| (*index, &sums[..])).collect();
    let components = combine(config, &releases).components.into_iter();
    let components: Vec<_> = components.map(|one| one.expect("agreed")).collect();
    let count = summed.iter().sum();
    // Holders' parts of other sums make no short key; in an audited sum long ones are opened with.
    let key_sum = KeySum::recover(config, &accumulator, &components, count);
    let key_sum = key_sum.expect("an audited sum takes keys of any length");
    Ok((open(config, &context, &accumulator, &key_sum, count)?, key_sum))
}

#[test]
fn a_published_sum_of_other_weights_is_found() {
    let (world, _) = run(weighed(WEIGHED));
    let honest = published(&world);
    assert_eq!(check(&world, honest.clone()), Ok(OWNERS as u32));
    let owners = honest.headers.iter().map(|signed| signed.header.client);
    let times = honest.config.multiplicities(owners);
    let again = colluding(&world, &honest, [&times, &times]).expect("it opens");
    assert_eq!(again.0, honest.aggregate);

    // What other weights give is another sum, even if everybody who has a part in it works together.
    let counting = times.iter().position(|times| *times > 0).expect("somebody counts");
    let bad = times.iter().position(|times| *times == 0).expect("somebody does not");
    let (mut less, mut more) = (times.clone(), times.clone());
    (less[counting], more[bad]) = (times[counting] - 1, 1);
    for other in [vec![1; OWNERS], less, more] {
        let (aggregate, key_sum) = colluding(&world, &honest, [&other, &other]).expect("it opens");
        assert_ne!(aggregate, honest.aggregate);
        let mut lie = RoundResult { aggregate, ..honest.clone() };
        let fault = check(&world, lie.clone()).expect_err("a lie");
        assert!(matches!(fault, PublicationFault::Aggregate { .. }), "{fault}");
        lie.key_sum = key_sum.to_bytes();
        let fault = check(&world, lie).expect_err("a lie");
        assert!(matches!(fault, PublicationFault::Spoiled(_)), "{fault}");
        // And where holders release by the terms, the coordinator's other sum opens to nothing.
        let alone = colluding(&world, &honest, [&other, &times]);
        assert!(matches!(alone, Err(Spoiled::Garbage { .. })), "{:?}", alone.err());
    }

    // Nor can the terms be published with other evidence.
    let mut lie = honest;
    lie.config.credit.as_mut().expect("credit").state.standings = Standings::default();
    assert!(check(&world, lie).is_err());
}
