//! Who is flagged and who is not.

use covey_aggregation::credit::{FlagKind, RoundEvidence, settle};

use crate::epochs::*;

#[test]
fn an_owner_that_does_nothing_and_one_that_does_harm_are_flagged() {
    let rounds = steady(6, 16, |round, index| match index {
        4 => Some(0),
        5 => Some(-noisy(round, index)),
        _ => Some(noisy(round, index)),
    });
    let settlement = settled(&rounds, &[]);
    for index in 0..4 {
        assert!(account(&settlement, index).flags.is_empty(), "{:?}", account(&settlement, index));
    }
    let (idle, harmful) = (account(&settlement, 4), account(&settlement, 5));
    assert!(idle.is_flagged(FlagKind::Novelty) && !idle.is_flagged(FlagKind::Harm));
    assert!(harmful.is_flagged(FlagKind::Novelty) && harmful.is_flagged(FlagKind::Harm));
    assert_eq!((idle.payment_micro, harmful.payment_micro), (0, 0));
    assert_eq!(idle.debt_micro, 0);
    assert_eq!(harmful.debt_micro, settlement.pool_micro / 6);
}

#[test]
fn who_is_there_now_and_then_is_not_flagged_for_that() {
    let rounds =
        steady(6, 16, |round, index| (index != 5 || round % 4 == 0).then(|| noisy(round, index)));
    let settlement = settled(&rounds, &[]);
    let rare = account(&settlement, 5);
    assert_eq!((rare.rounds, rare.flags.len()), (4, 0));
    assert!(rare.payment_micro > 0);
}

#[test]
fn scores_within_the_tolerance_of_nothing_are_nothing() {
    // A ten-thousandth of the round's sum.
    let rounds = steady(10, 16, |round, index| match index {
        9 => Some(round as i64 % 2 + 1),
        _ => Some(100_000 + noisy(round, index)),
    });
    let settlement = settled(&rounds, &[]);
    let idle = account(&settlement, 9).statistics.novelty.expect("sixteen rounds");
    assert_eq!((idle.sum, idle.error), (0, 0));
    // With a thousand owners, whose even part is a thousandth, a tenth of that is something.
    let many = steady(1000, 4, |round, index| match index {
        0 => Some(noisy(round, index) / 20),
        _ => Some(noisy(round, index)),
    });
    let small = settled(&many, &[]);
    assert!(!account(&small, 0).is_flagged(FlagKind::Novelty));
}

#[test]
fn two_that_go_up_and_down_together_are_flagged_and_paid() {
    let rounds = steady(6, 16, |round, index| Some(noisy(round, index.min(4))));
    let settlement = settled(&rounds, &[]);
    let [pair] = settlement.duplicates[..] else { panic!("{:?}", settlement.duplicates) };
    assert_eq!((pair.owners, pair.rounds), ([owner(4), owner(5)], 16));
    assert_eq!(pair.correlation_millionths, 1_000_000);
    for index in 0..6 {
        let account = account(&settlement, index);
        assert_eq!(account.is_flagged(FlagKind::Duplicate), index >= 4);
        assert!(account.payment_micro > 0);
    }
}

#[test]
fn opened_folds_are_flagged_where_such_a_score_is_released() {
    let terms = terms(16);
    let rounds = steady(5, 16, |round, index| Some(noisy(round, index)));
    let with_public = |round: RoundEvidence| {
        let public = |index: usize| if index == 2 { 0 } else { noisy(3, index) };
        round.with_public((0..5).map(public).collect()).expect("good scores")
    };
    let rounds: Vec<_> = evidence(&rounds).into_iter().map(with_public).collect();
    let settlement = settle(&terms, &rounds, &[]).expect("it can be settled");
    for index in 0..5 {
        assert_eq!(account(&settlement, index).is_flagged(FlagKind::Public), index == 2);
    }
}
