//! How much an owner's next update counts.

use covey_aggregation::credit::{Candidate, WEIGHT_MILLIONTHS, Weight, weights};
use proptest::prelude::*;

use crate::epochs::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn weights_add_up_and_their_floors_hold(
        rounds in epochs(3..9),
        counts in proptest::collection::vec((1u32..5000, any::<bool>()), 1..12),
    ) {
        let candidate = |(index, (count, is_sole))| {
            Candidate { owner: owner(index), count, is_sole }
        };
        let candidates: Vec<_> = counts.into_iter().enumerate().map(candidate).collect();
        let weights = weights(&terms(rounds.len()), &evidence(&rounds), &candidates)
            .expect("good candidates");
        let total: u32 = weights.iter().map(|weight| weight.millionths).sum();
        prop_assert_eq!(total, WEIGHT_MILLIONTHS);
        let sole = candidates.iter().filter(|one| one.is_sole).count() as u32;
        let floor = 50_000.min(500_000 / sole.max(1));
        for (weight, candidate) in weights.iter().zip(&candidates) {
            prop_assert_eq!(weight.owner, candidate.owner);
            prop_assert!(!candidate.is_sole || weight.millionths >= floor);
        }
    }
}

fn candidates(owners: usize, sole: &[usize]) -> Vec<Candidate> {
    let one = |index| Candidate { owner: owner(index), count: 100, is_sole: sole.contains(&index) };
    (0..owners).map(one).collect()
}

fn weighed(rounds: &[Vec<Numbers>], candidates: &[Candidate]) -> Vec<u32> {
    let weights = weights(&terms(16), &evidence(rounds), candidates).expect("good candidates");
    weights.iter().map(|Weight { millionths, .. }| *millionths).collect()
}

#[test]
fn before_the_third_round_examples_alone_count() {
    let rounds = steady(4, 3, |_, index| Some(if index == 3 { -1000 } else { 1000 }));
    assert_eq!(weighed(&rounds[..2], &candidates(4, &[])), [250_000; 4]);
    let third = weighed(&rounds, &candidates(4, &[]));
    assert_eq!(third[3], 0);
    assert_eq!(third.iter().sum::<u32>(), 1_000_000);
    assert!(third[..3].iter().all(|weight| (333_333..=333_334).contains(weight)), "{third:?}");
}

#[test]
fn a_newcomer_counts_as_the_others_do() {
    let rounds = steady(4, 5, |_, index| Some(if index == 3 { -1000 } else { 1000 }));
    let weights = weighed(&rounds, &candidates(5, &[]));
    // The others' mean is three quarters of what the good have.
    assert_eq!((weights[3], weights[4]), (0, 200_000));
    assert!(weights[..3].iter().all(|weight| (266_666..=266_667).contains(weight)), "{weights:?}");
}

#[test]
fn the_only_owner_of_a_class_counts_five_percent_at_least() {
    let rounds = steady(4, 5, |_, index| Some(if index == 3 { -1000 } else { 1000 }));
    let weights = weighed(&rounds, &candidates(4, &[3]));
    assert_eq!(weights[3], 50_000);
    assert!(weights[..3].iter().all(|weight| (316_666..=316_667).contains(weight)), "{weights:?}");
}

#[test]
fn where_nobody_helped_examples_alone_count() {
    let rounds = steady(4, 5, |_, _| Some(-1000));
    assert_eq!(weighed(&rounds, &candidates(4, &[])), [250_000; 4]);
}
