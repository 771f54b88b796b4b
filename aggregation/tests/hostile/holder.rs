//! Holders that lie, are silent, or are gone.

use covey_aggregation::config::{CommitteeShape, HolderIndex};
use covey_aggregation::message::{AbandonReason, HolderFault, Phase, Report};

use crate::liars::Lie;
use crate::network::Node;
use crate::scenario::{Fault, Scenario, When};
use crate::world::World;
use crate::{abandoned, done, run};

const SHAPES: [CommitteeShape; 2] = [CommitteeShape::Four, CommitteeShape::Seven];
const LIAR: usize = 2;

fn subsets(members: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0u32..1 << members)
        .filter(move |mask| mask.count_ones() as usize == size)
        .map(move |mask| (0..members).filter(|h| mask >> h & 1 == 1).collect())
}

fn scenario(shape: CommitteeShape) -> Scenario {
    let mut scenario = Scenario::calm(31);
    (scenario.shape, scenario.owners) = (shape, 5);
    scenario
}

/// Two rounds with one holder that lies.
fn with(shape: CommitteeShape, lie: Lie) -> World {
    let mut scenario = scenario(shape);
    scenario.rounds = 2;
    scenario.lies = vec![(LIAR, lie)];
    run(scenario)
}

fn named(report: &Report) -> Vec<(usize, HolderFault)> {
    report.faults.iter().map(|(holder, fault)| (usize::from(holder.0), *fault)).collect()
}

/// In the second round everybody is counted, and of the holders the liar alone is named.
#[track_caller]
fn assert_outvoted(lie: Lie, faults: &[HolderFault]) {
    for shape in SHAPES {
        let world = with(shape, lie);
        let report = done(&world, 1);
        assert_eq!(report.counted, world.cohort, "{shape:?}");
        let expected: Vec<_> = faults.iter().map(|fault| (LIAR, *fault)).collect();
        assert_eq!(named(report), expected, "{shape:?}");
    }
}

#[test]
fn holder_with_a_wrong_release_is_outvoted_and_named() {
    for lie in [Lie::WrongRelease, Lie::OneWrongSum, Lie::TwoReleases] {
        assert_outvoted(lie, &[HolderFault::WrongRelease]);
    }
}

/// Its signature is good, but for a round that is over: it could be a late message of an honest
/// holder, so nobody is named for it, and the round does without it.
#[test]
fn holder_with_a_release_of_an_earlier_round_is_not_listened_to() {
    assert_outvoted(Lie::ReplayedRelease, &[]);
}

#[test]
fn holder_with_the_sums_of_an_earlier_round_is_outvoted_and_named() {
    assert_outvoted(Lie::ReplayedSums, &[HolderFault::WrongRelease]);
}

#[test]
fn holder_with_the_sums_of_another_set_is_outvoted_and_named() {
    assert_outvoted(Lie::SumsOfOtherSet, &[HolderFault::WrongRelease]);
}

#[test]
fn holder_with_a_release_for_another_set_is_named() {
    assert_outvoted(Lie::ReleaseOfOtherSet, &[HolderFault::WrongRelease]);
}

#[test]
fn holder_with_a_second_vote_is_named() {
    assert_outvoted(Lie::SecondVote, &[HolderFault::OtherVote]);
}

#[test]
fn holder_that_is_silent_is_named() {
    assert_outvoted(Lie::Silence, &[HolderFault::Silent(Phase::Vote)]);
}

#[test]
fn holder_that_refuses_everything_is_named() {
    let refused = [Phase::Vote, Phase::Release].map(HolderFault::Refused);
    assert_outvoted(Lie::Refusal, &refused);
}

#[test]
fn holder_with_false_complaints_is_named() {
    for lie in [Lie::FalseContents, Lie::FalseKeys, Lie::BadSignature] {
        assert_outvoted(lie, &[HolderFault::FalseComplaint]);
    }
}

/// Every choice of up to f holders, gone from the beginning or in the middle.
#[test]
fn every_f_holders_that_are_gone_stop_nothing_and_are_named() {
    for shape in SHAPES {
        for size in 1..=shape.faults() {
            for (index, gone) in subsets(shape.members(), size).enumerate() {
                let mut scenario = scenario(shape);
                let at_ms = [0, 900][index % 2];
                for &holder in &gone {
                    let fault = Fault::Kill(Node::Holder(holder));
                    scenario.faults.push((When::AtMs(at_ms), fault));
                }
                let world = run(scenario);
                let report = done(&world, 0);
                assert_eq!(report.counted, world.cohort, "{gone:?}");
                let phase = if at_ms == 0 { Phase::Select } else { Phase::Vote };
                let silent: Vec<_> =
                    gone.iter().map(|holder| (*holder, HolderFault::Silent(phase))).collect();
                assert_eq!(named(report), silent, "{gone:?}");
            }
        }
    }
}

/// What a holder that lies this way in a first round is named for, if anybody can tell.
fn faults_of(lie: Lie) -> Vec<HolderFault> {
    match lie {
        Lie::WrongRelease
        | Lie::OneWrongSum
        | Lie::TwoReleases
        | Lie::SumsOfOtherSet
        | Lie::ReleaseOfOtherSet => vec![HolderFault::WrongRelease],
        Lie::FalseContents | Lie::FalseKeys | Lie::BadSignature => {
            vec![HolderFault::FalseComplaint]
        }
        Lie::Silence => vec![HolderFault::Silent(Phase::Vote)],
        Lie::Refusal => [Phase::Vote, Phase::Release].map(HolderFault::Refused).to_vec(),
        Lie::SecondVote => vec![HolderFault::OtherVote],
        // No round of these is audited.
        _ => Vec::new(),
    }
}

/// Every choice of up to f holders, with every lie somewhere among them.
#[test]
fn every_f_holders_that_lie_stop_nothing_and_are_named() {
    let mut told = Vec::new();
    for shape in SHAPES {
        let mut lies = Lie::ALL.iter().copied().cycle();
        for liars in (1..=shape.faults()).flat_map(|size| subsets(shape.members(), size)) {
            let mut scenario = scenario(shape);
            scenario.lies = liars.iter().copied().zip(&mut lies).collect();
            told.extend(scenario.lies.iter().map(|(_, lie)| *lie));
            let expected: Vec<_> = scenario
                .lies
                .iter()
                .flat_map(|(liar, lie)| faults_of(*lie).into_iter().map(|fault| (*liar, fault)))
                .collect();
            let text = format!("{:?}", scenario.lies);
            let world = run(scenario);
            let report = done(&world, 0);
            assert_eq!(named(report), expected, "{text}");
            // An undecidable complaint costs its client the round.
            assert!(report.counted.len() >= 5 - liars.len(), "{text}");
        }
    }
    assert!(Lie::ALL.iter().all(|lie| told.contains(lie)), "every lie was told");
}

/// One of four is missing, and another one lies in every sum it releases: what only those two and
/// one other know came in no two equal copies. Nothing opens, both are named.
#[test]
fn every_choice_of_one_missing_and_one_lying_of_four_ends_in_abandon_with_both_named() {
    for missing in 0..4 {
        for liar in (0..4).filter(|liar| *liar != missing) {
            let mut scenario = scenario(CommitteeShape::Four);
            scenario.lies = vec![(liar, Lie::WrongRelease)];
            scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Holder(missing))));
            let world = run(scenario);
            let (reason, report) = abandoned(&world, 0);
            assert_eq!(*reason, AbandonReason::NotReleased { got: 3, needed: 2 });
            assert!(world.coordinator.openings.is_empty(), "nothing was opened");
            for (holder, fault) in
                [(missing, HolderFault::Silent(Phase::Select)), (liar, HolderFault::WrongRelease)]
            {
                let fault = (HolderIndex(holder as u8), fault);
                assert!(report.faults.contains(&fault), "{missing} {liar}: {report:?}");
            }
        }
    }
}

/// One of seven is missing and another one lies: two of seven in all, so everything opens.
#[test]
fn every_choice_of_one_missing_and_one_lying_of_seven_stops_nothing_and_both_are_named() {
    for missing in 0..7 {
        for liar in (0..7).filter(|liar| *liar != missing) {
            let mut scenario = scenario(CommitteeShape::Seven);
            scenario.lies = vec![(liar, Lie::WrongRelease)];
            scenario.faults.push((When::AtMs(0), Fault::Kill(Node::Holder(missing))));
            let world = run(scenario);
            let report = done(&world, 0);
            assert_eq!(report.counted, world.cohort);
            let mut expected =
                [(missing, HolderFault::Silent(Phase::Select)), (liar, HolderFault::WrongRelease)];
            expected.sort_by_key(|(holder, _)| *holder);
            assert_eq!(named(report), expected);
        }
    }
}
