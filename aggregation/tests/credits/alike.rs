//! The same by a second implementation, and in floats.

use covey_aggregation::credit::{Account, CreditTerms, Debt, Evidence, RoundEvidence, Statistic};
use proptest::prelude::*;

use crate::epochs::*;
use crate::reference;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_second_implementation_settles_alike(rounds in epochs(3..8), debts in debts(9)) {
        let settlement = settled(&rounds, &debts);
        let expected = by_reference(&terms(rounds.len()), &evidence(&rounds), &debts);
        prop_assert_eq!(settlement.terms.0, expected.terms);
        prop_assert_eq!(settlement.evidence.0, expected.evidence);
        let accounts: Vec<_> = settlement.accounts.iter().map(plain).collect();
        prop_assert_eq!(accounts, expected.accounts);
    }

    #[test]
    fn floats_come_near(rounds in epochs(3..8)) {
        let settlement = settled(&rounds, &[]);
        for (index, (credit, error)) in in_floats(&rounds).into_iter().enumerate() {
            let Some(account) = settlement.of(&owner(index)) else { continue };
            prop_assert!((account.credit_micro as f64 - credit).abs() <= 20.0);
            prop_assert!((account.error_micro as f64 - error).abs() <= 20.0);
        }
    }
}

fn by_reference(
    terms: &CreditTerms,
    rounds: &[RoundEvidence],
    debts: &[Debt],
) -> reference::Settlement {
    let draft = terms.get();
    let ratio = |ratio: covey_aggregation::credit::Ratio| {
        (u64::from(ratio.numerator), u64::from(ratio.denominator))
    };
    let terms = reference::Terms {
        budget: draft.budget_micro,
        rounds: u64::from(draft.rounds),
        cap_medians: u64::from(draft.count_cap_medians),
        lambda: ratio(draft.lambda),
        interval: ratio(draft.interval),
        flag: ratio(draft.flag),
        duplicate: ratio(draft.duplicate),
        contributions_min: u64::from(draft.contributions_min),
    };
    let one = |one: &Evidence| reference::Evidence {
        owner: one.owner.0,
        count: u64::from(one.count),
        s: one.s,
        novelty: one.novelty,
        harm: one.harm,
        public: None,
    };
    let round = |round: &RoundEvidence| reference::Round {
        number: u64::from(round.round()),
        context: round.context().0,
        evidence: round.contributions().iter().map(one).collect(),
    };
    let rounds: Vec<_> = rounds.iter().map(round).collect();
    let debts: Vec<_> = debts.iter().map(|debt| (debt.owner.0, debt.micro)).collect();
    reference::settle(&terms, &rounds, &debts)
}

/// An account as the reference has it.
fn plain(account: &Account) -> reference::Account {
    let statistic = |one: Option<Statistic>| {
        one.map(|Statistic { rounds, sum, error, low, high }| {
            (u64::from(rounds), sum.into(), error.into(), low.into(), high.into())
        })
    };
    let statistics = account.statistics;
    reference::Account {
        owner: account.owner.0,
        rounds: account.rounds.into(),
        rounds_negative: account.rounds_negative.into(),
        rounds_capped: account.rounds_capped.into(),
        credit: account.credit_micro.into(),
        error: account.error_micro.into(),
        low: account.low_micro.into(),
        high: account.high_micro.into(),
        carried: account.carried_micro.into(),
        payable: account.payable_micro.into(),
        payment: account.payment_micro.into(),
        debt: account.debt_micro.into(),
        statistics: [statistics.novelty, statistics.harm, statistics.public].map(statistic),
    }
}

/// Q and se of each owner in the design note's own terms.
fn in_floats(rounds: &[Vec<Numbers>]) -> Vec<(f64, f64)> {
    let mut credits = vec![vec![0.0; rounds.len()]; rounds[0].len()];
    for (place, round) in rounds.iter().enumerate() {
        let mut counts: Vec<_> = round.iter().flatten().map(|one| f64::from(one.0)).collect();
        counts.sort_by(f64::total_cmp);
        let median = (counts[(counts.len() - 1) / 2] + counts[counts.len() / 2]) / 2.0;
        let claim = |numbers: &Numbers| {
            numbers.map_or(0.0, |(count, s, ..)| {
                f64::from(count).min((4.0 * median).floor()).sqrt() * s as f64
            })
        };
        let claims: Vec<_> = round.iter().map(claim).collect();
        let whole: f64 = claims.iter().map(|claim| claim.abs()).sum();
        for (own, claim) in credits.iter_mut().zip(claims) {
            own[place] = if whole > 0.0 { BUDGET as f64 * claim / whole } else { 0.0 };
        }
    }
    let epoch = rounds.len() as f64;
    credits
        .iter()
        .map(|own| {
            let mean = own.iter().sum::<f64>() / epoch;
            let squares: f64 = own.iter().map(|credit| (credit - mean).powi(2)).sum();
            (own.iter().sum(), (epoch * squares / (epoch - 1.0)).sqrt())
        })
        .collect()
}
