//! Settlements of chosen epochs.

use covey_aggregation::credit::{CreditTerms, Debt, TermsDraft, settle};
use covey_aggregation::limits::{BUDGET_MICRO_MAX, SCORE_MAX};

use crate::epochs::*;

#[test]
fn the_largest_numbers_are_settled_exactly() {
    let draft = TermsDraft { contributions_min: 3, ..TermsDraft::usual(BUDGET_MICRO_MAX, 1024) };
    let terms = CreditTerms::check(draft).expect("good terms");
    let rounds: Vec<Vec<Numbers>> = (0..1024)
        .map(|round| {
            let sign = |index: usize| if (round + index).is_multiple_of(3) { -1 } else { 1 };
            let one = |index| {
                let score = sign(index) * SCORE_MAX;
                Some((u32::MAX, score, score, -score))
            };
            (0..8).map(one).collect()
        })
        .collect();
    let settlement = settle(&terms, &evidence(&rounds), &[]).expect("it can be settled");
    assert_eq!(settlement.pool_micro, 1024 * BUDGET_MICRO_MAX);
    let paid: u64 = settlement.accounts.iter().map(|account| account.payment_micro).sum();
    assert_eq!(paid, settlement.pool_micro);
    // All claims are equal, so every round is an eighth of the budget for or against.
    for (index, account) in settlement.accounts.iter().enumerate() {
        let against = (0..1024).filter(|round| (round + index).is_multiple_of(3)).count() as i64;
        let eighths = 1024 - 2 * against;
        assert_eq!(account.credit_micro, eighths * BUDGET_MICRO_MAX as i64 / 8);
        assert_eq!(account.rounds_negative as i64, against);
    }
}

#[test]
fn ten_thousand_owners_are_settled_exactly() {
    let rounds = steady(10_000, 2, |round, index| Some(noisy(round, index)));
    let settlement = settled(&rounds, &[]);
    let paid: u64 = settlement.accounts.iter().map(|account| account.payment_micro).sum();
    assert_eq!((paid, settlement.accounts.len()), (2 * BUDGET, 10_000));
}

#[test]
fn nothing_is_paid_where_nobody_is_to_be_paid() {
    for score in [0, -5] {
        let settlement = settled(&steady(4, 6, |_, _| Some(score)), &[]);
        assert_eq!((settlement.pool_micro, settlement.paid_micro), (6 * BUDGET, 0));
        assert!(settlement.accounts.iter().all(|account| account.payment_micro == 0));
    }
}

#[test]
fn a_split_or_a_claim_of_more_examples_pays_little() {
    let paid = |owners: usize, count: &dyn Fn(usize) -> u32| {
        let rounds: Vec<Vec<Numbers>> =
            steady(owners, 16, |round, index| Some(noisy(round, index)))
                .into_iter()
                .map(|round| {
                    let numbers = round.into_iter().enumerate();
                    numbers.map(|(i, one)| one.map(|(_, s, n, h)| (count(i), s, n, h))).collect()
                })
                .collect();
        let settlement = settled(&rounds, &[]);
        move |index: usize| account(&settlement, index).payment_micro
    };
    let honest = paid(10, &|_| 100)(0);
    let claimed = paid(10, &|index| if index == 0 { 500 } else { 100 })(0);
    let split = paid(11, &|index| if index == 0 || index == 10 { 50 } else { 100 });
    let split = split(0) + split(10);
    // The design note's targets; 2 and 1.41 by the rule, less what the own gain takes of the whole.
    assert!(10 * claimed < 23 * honest && claimed > honest, "{claimed} {honest}");
    assert!(10 * split < 15 * honest && split > honest, "{split} {honest}");
}

#[test]
fn rounds_without_evidence_give_nothing() {
    let terms = terms(16);
    let rounds = evidence(&steady(4, 5, |round, index| Some(noisy(round, index))));
    let settlement = settle(&terms, &rounds, &[]).expect("it can be settled");
    assert_eq!((settlement.pool_micro, settlement.paid_micro), (5 * BUDGET, 5 * BUDGET));
}

#[test]
fn a_debt_outlives_an_epoch_without_its_owner() {
    let rounds = steady(4, 6, |round, index| Some(noisy(round, index)));
    let debt = Debt { owner: owner(9), micro: 12_345 };
    let settlement = settled(&rounds, &[debt]);
    let absent = account(&settlement, 9);
    assert_eq!((absent.rounds, absent.credit_micro, absent.payment_micro), (0, 0, 0));
    assert_eq!(settlement.debts(), [debt]);
}
