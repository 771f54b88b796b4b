//! Why an owner is credited what it is.

use covey_aggregation::credit::{Debt, explain, settle};

use crate::epochs::*;

#[test]
fn an_explanation_has_the_numbers_and_what_would_change_them() {
    let rounds = steady(5, 16, |round, index| match (index, round) {
        (0, 3 | 9) => None,
        (0, 5) => Some(-noisy(round, index)),
        _ => Some(noisy(round, index)),
    });
    let (terms, evidence) = (terms(16), evidence(&rounds));
    let debt = Debt { owner: owner(0), micro: 50_000_000 };
    let settlement = settle(&terms, &evidence, &[debt]).expect("it can be settled");
    let why = explain(&terms, &evidence, &settlement, &owner(0)).expect("an account");
    let paid = why.account.payment_micro;
    assert_eq!((why.account.rounds, why.account.rounds_negative), (14, 1));
    assert_eq!(why.changes.len(), 4);
    for change in &why.changes {
        assert!(change.payment_micro > paid, "{change:?}");
    }
    let text = why.words(&|party| format!("owner {}", party.0[7])).to_string();
    for part in [
        "owner 0 is paid",
        "14 of 16 rounds",
        "In 1 of its rounds the credit was below 0",
        "less 50.00 owed from before",
        "none.",
        "nothing owed from before",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(explain(&terms, &evidence, &settlement, &owner(7)), None);
}
