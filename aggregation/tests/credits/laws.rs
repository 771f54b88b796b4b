//! What holds for any evidence.

use covey_aggregation::credit::{
    Account, Candidate, Debt, RoundEvidence, Settlement, explain, settle, weights,
};
use covey_aggregation::wire;
use proptest::prelude::*;

use crate::epochs::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_micro_credit_is_paid_or_nothing_is(
        rounds in epochs(3..9),
        debts in debts(10),
    ) {
        let settlement = settled(&rounds, &debts);
        let payments = settlement.accounts.iter().map(|one| one.payment_micro).sum::<u64>();
        let is_payable = settlement.accounts.iter().any(|one| one.payable_micro > 0);
        prop_assert_eq!(settlement.pool_micro, BUDGET * rounds.len() as u64);
        prop_assert_eq!(payments, settlement.paid_micro);
        prop_assert_eq!(settlement.paid_micro, if is_payable { settlement.pool_micro } else { 0 });
        for account in &settlement.accounts {
            prop_assert!(account.payable_micro > 0 || account.payment_micro == 0);
        }
        // So do the credits of a round, by their absolute values.
        let (terms, evidence) = (terms(rounds.len()), evidence(&rounds));
        let mut totals = vec![0; rounds.len()];
        for account in &settlement.accounts {
            let why = explain(&terms, &evidence, &settlement, &account.owner).expect("an account");
            prop_assert_eq!(why.rounds.len() as u32, account.rounds);
            prop_assert_eq!(
                why.rounds.iter().map(|round| round.credit_micro).sum::<i64>(),
                account.credit_micro
            );
            for round in why.rounds {
                totals[round.round as usize - 1] += round.credit_micro.unsigned_abs();
            }
        }
        for (round, total) in rounds.iter().zip(totals) {
            let is_scored = round.iter().flatten().any(|(_, s, _, _)| *s != 0);
            prop_assert_eq!(total, if is_scored { BUDGET } else { 0 });
        }
    }

    #[test]
    fn no_order_of_the_input_changes_anything(
        rounds in epochs(3..7),
        debts in debts(7),
        seed in any::<u64>(),
    ) {
        let terms = terms(rounds.len());
        let expected = settle(&terms, &evidence(&rounds), &debts);
        let rotate = seed as usize % rounds.len();
        let mut shuffled: Vec<_> = evidence(&rounds)
            .into_iter()
            .map(|round| {
                let mut contributions = round.contributions().to_vec();
                let middle = seed as usize % contributions.len();
                contributions.rotate_left(middle);
                RoundEvidence::new(round.round(), *round.context(), contributions)
            })
            .collect::<Result<_, _>>()
            .expect("good evidence");
        shuffled.rotate_left(rotate);
        let mut debts = debts;
        debts.reverse();
        prop_assert_eq!(settle(&terms, &shuffled, &debts), expected);
        let candidates: Vec<_> = (0..7)
            .map(|i| Candidate { owner: owner(i), count: 10 + i as u32, is_sole: i % 3 == 0 })
            .collect();
        let mut reversed = candidates.clone();
        reversed.reverse();
        prop_assert_eq!(
            weights(&terms, &shuffled, &reversed),
            weights(&terms, &evidence(&rounds), &candidates)
        );
    }

    #[test]
    fn who_adds_nothing_gets_nothing(rounds in epochs(4..8)) {
        let rounds = changed(&rounds, 3, |_, (count, _, novelty, harm)| {
            Some((count, 0, novelty, harm))
        });
        let settlement = settled(&rounds, &[]);
        if let Some(null) = settlement.of(&owner(3)) {
            prop_assert_eq!((null.credit_micro, null.error_micro, null.payment_micro), (0, 0, 0));
        }
    }

    #[test]
    fn equals_are_credited_alike_up_to_the_last_unit_of_each_round(rounds in epochs(4..8)) {
        let mut rounds = rounds;
        rounds.iter_mut().for_each(|round| round[3] = round[0]);
        let settlement = settled(&rounds, &[]);
        let (one, other) = (account(&settlement, 0), account(&settlement, 3));
        let apart = one.credit_micro.abs_diff(other.credit_micro);
        prop_assert!(apart <= rounds.len() as u64);
    }

    #[test]
    fn the_unit_of_a_rounds_scores_does_not_matter(
        rounds in epochs(3..7),
        factors in proptest::collection::vec(1i64..100_000, 10),
        debts in debts(7),
    ) {
        let scaled: Vec<Vec<Numbers>> = (rounds.iter().zip(factors))
            .map(|(round, k)| {
                let times = |(count, s, n, h): (u32, i64, i64, i64)| (count, k * s, k * n, k * h);
                round.iter().map(|numbers| numbers.map(times)).collect()
            })
            .collect();
        let (one, other) = (settled(&rounds, &debts), settled(&scaled, &debts));
        prop_assert_eq!(&one.duplicates, &other.duplicates);
        for (one, other) in one.accounts.iter().zip(&other.accounts) {
            // Only who is first among equals may differ, as it comes from the evidence's digest.
            prop_assert!(one.payment_micro.abs_diff(other.payment_micro) <= 1);
            let other = Account { payment_micro: one.payment_micro, ..other.clone() };
            prop_assert_eq!(one, &other);
        }
    }

    #[test]
    fn an_owner_split_in_two_gains_at_most_the_root_of_two(
        rounds in epochs(3..8),
        half in 500u32..1000,
    ) {
        // Within the cap of everybody, before and after.
        let whole: Vec<Vec<Numbers>> = rounds
            .iter()
            .map(|round| {
                let one = |(index, numbers): (usize, &Numbers)| {
                    let (count, s, n, h) = (*numbers)?;
                    let count = if index == 0 { 2 * half } else { 1000 + count % 1000 };
                    Some((count, if index == 0 { s.abs() } else { s }, n, h))
                };
                round.iter().enumerate().map(one).collect()
            })
            .collect();
        let mut split = changed(&whole, 0, |_, (_, s, n, h)| Some((half, s, n, h)));
        split.iter_mut().for_each(|round| round.push(round[0]));
        let (one, two) = (settled(&whole, &[]), settled(&split, &[]));
        let (one, last) = (account(&one, 0).credit_micro, rounds[0].len());
        let both = account(&two, 0).credit_micro + account(&two, last).credit_micro;
        // One unit of rounding for each part and round.
        let (both, one) = (both - 2 * rounds.len() as i64, one + rounds.len() as i64);
        prop_assert!(both <= 0 || i128::from(both).pow(2) <= 2 * i128::from(one).pow(2));
    }

    #[test]
    fn five_times_the_examples_claimed_gain_at_most_the_root_of_five(rounds in epochs(3..8)) {
        let honest = changed(&rounds, 0, |_, (count, s, n, h)| Some((count, s.abs(), n, h)));
        let claimed = changed(&honest, 0, |_, (count, s, n, h)| Some((5 * count, s, n, h)));
        let (honest, claimed) = (settled(&honest, &[]), settled(&claimed, &[]));
        let honest = account(&honest, 0).credit_micro + rounds.len() as i64;
        let claimed = account(&claimed, 0).credit_micro - rounds.len() as i64;
        prop_assert!(claimed <= 0 || i128::from(claimed).pow(2) <= 5 * i128::from(honest).pow(2));
    }

    #[test]
    fn good_and_bad_rounds_by_turns_are_not_paid(
        round in proptest::collection::vec((1u32..5000, 1i64..100_000), 3..8),
        turns in 1..5usize,
    ) {
        let rounds: Vec<Vec<Numbers>> = (0..2 * turns)
            .map(|place| {
                let sign = if place % 2 == 0 { 1 } else { -1 };
                let one = |(index, (count, s)): (usize, &(u32, i64))| {
                    Some((*count, if index == 0 { sign * s } else { *s }, 1, 1))
                };
                round.iter().enumerate().map(one).collect()
            })
            .collect();
        let settlement = settled(&rounds, &[]);
        let by_turns = account(&settlement, 0);
        prop_assert_eq!(by_turns.payment_micro, 0);
        prop_assert!(by_turns.credit_micro.unsigned_abs() <= turns as u64);
    }

    #[test]
    fn a_bad_epoch_is_taken_off_a_good_one(
        rounds in epochs(3..7),
        share in 1u64..=100,
    ) {
        let good = changed(&rounds, 0, |_, (count, s, n, h)| Some((count, s.abs(), n, h)));
        let free = settled(&good, &[]);
        let owed = BUDGET * share / 100;
        let indebted = settled(&good, &[Debt { owner: owner(0), micro: owed }]);
        let (free, indebted) = (account(&free, 0), account(&indebted, 0));
        prop_assert_eq!(indebted.credit_micro, free.credit_micro);
        prop_assert_eq!(indebted.payable_micro, free.payable_micro.saturating_sub(owed));
        prop_assert!(indebted.payment_micro <= free.payment_micro);
    }

    #[test]
    fn a_debt_is_what_is_below_zero_and_at_most_an_average_credit(
        rounds in epochs(3..9),
        debts in debts(12),
    ) {
        let settlement = settled(&rounds, &debts);
        let owners = settlement.accounts.iter().filter(|one| one.rounds > 0).count() as u64;
        let average = settlement.pool_micro / owners;
        for account in &settlement.accounts {
            let balance = account.credit_micro - account.carried_micro as i64;
            let below = u64::try_from(-balance).unwrap_or(0);
            prop_assert_eq!(account.debt_micro, below.min(average));
            prop_assert!(account.debt_micro == 0 || account.payment_micro == 0);
        }
        prop_assert!(settle(&terms(rounds.len()), &evidence(&rounds), &settlement.debts()).is_ok());
    }

    #[test]
    fn flags_change_no_payment(rounds in epochs(3..7), scores in any::<[i32; 8]>()) {
        let mut flagged = rounds.clone();
        for (place, round) in flagged.iter_mut().enumerate() {
            for (index, numbers) in round.iter_mut().enumerate() {
                let score = |by: usize| i64::from(scores[(place + by * index) % 8]);
                *numbers = numbers.map(|(count, s, ..)| (count, s, score(1), score(3)));
            }
        }
        let (one, other) = (settled(&rounds, &[]), settled(&flagged, &[]));
        prop_assert_eq!(one.duplicates, other.duplicates);
        for (one, other) in one.accounts.iter().zip(&other.accounts) {
            let key = |account: &Account| {
                (account.owner, account.credit_micro, account.payable_micro, account.debt_micro)
            };
            prop_assert_eq!(key(one), key(other));
            prop_assert!(one.payment_micro.abs_diff(other.payment_micro) <= 1);
        }
    }

    #[test]
    fn evidence_and_settlements_are_read_as_they_were_written(
        rounds in epochs(3..6),
        debts in debts(6),
    ) {
        let settlement = settled(&rounds, &debts);
        let bytes = wire::encode(&settlement);
        prop_assert_eq!(wire::decode::<Settlement>(&bytes, bytes.len()), Ok(settlement.clone()));
        let text = serde_json::to_string(&settlement).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Settlement>(&text).expect("read"), settlement);
        for round in evidence(&rounds) {
            let public = (0..round.contributions().len() as i64).collect();
            for round in [round.clone(), round.with_public(public).expect("good scores")] {
                let bytes = wire::encode(&round);
                let read = wire::decode::<RoundEvidence>(&bytes, bytes.len());
                prop_assert_eq!(read, Ok(round.clone()));
                let text = serde_json::to_string(&round).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<RoundEvidence>(&text).expect("read"), round);
            }
        }
    }
}
