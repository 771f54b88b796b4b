//! Laws of credits over random evidence, and what a second implementation makes of the same.

#[path = "vectors/reference/bytes.rs"]
#[allow(dead_code, reason = "also a module of the vectors")]
mod bytes;
#[path = "vectors/reference/credits.rs"]
#[allow(dead_code, reason = "also a module of the vectors")]
mod reference;

use covey_aggregation::credit::{
    Account, Candidate, CreditTerms, Debt, Evidence, FlagKind, RoundEvidence, Settlement,
    Statistic, TermsDraft, WEIGHT_MILLIONTHS, Weight, explain, settle, weights,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{BUDGET_MICRO_MAX, SCORE_MAX};
use covey_aggregation::party::PartyId;
use covey_aggregation::wire;
use proptest::prelude::*;

const BUDGET: u64 = 1_000_000_000;

/// An owner's numbers in a round; `None` where it is absent.
type Numbers = Option<(u32, i64, i64, i64)>;

fn owner(index: usize) -> PartyId {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(index as u64).to_be_bytes());
    PartyId(key)
}

fn context(round: u32) -> Digest {
    let mut digest = [3; 32];
    digest[..4].copy_from_slice(&round.to_be_bytes());
    Digest(digest)
}

/// Evidence of rounds from 1 on, by round and owner.
fn evidence(rounds: &[Vec<Numbers>]) -> Vec<RoundEvidence> {
    let round = |(round, numbers): (u32, &Vec<Numbers>)| {
        let one = |(index, numbers): (usize, &Numbers)| {
            let (count, s, novelty, harm) = (*numbers)?;
            Some(Evidence { owner: owner(index), count, s, novelty, harm })
        };
        let contributions = numbers.iter().enumerate().filter_map(one).collect();
        RoundEvidence::new(round, context(round), contributions).expect("good evidence")
    };
    (1..).zip(rounds).map(round).collect()
}

fn terms(rounds: usize) -> CreditTerms {
    let draft = TermsDraft { contributions_min: 3, ..TermsDraft::usual(BUDGET, rounds as u32) };
    CreditTerms::check(draft).expect("good terms")
}

fn settled(rounds: &[Vec<Numbers>], carried: &[Debt]) -> Settlement {
    settle(&terms(rounds.len()), &evidence(rounds), carried).expect("it can be settled")
}

/// The account of owner `index`.
fn account(settlement: &Settlement, index: usize) -> &Account {
    settlement.of(&owner(index)).expect("an account")
}

/// Rounds of `owners` owners, most of them there most of the time, three always.
fn epochs(owners: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Numbers>>> {
    (owners, 2..10usize).prop_flat_map(|(owners, rounds)| {
        let score = || prop_oneof![4 => -1000i64..100_000, 1 => Just(0i64)];
        let numbers = (1u32..5000, score(), score(), score());
        let one = (0..10u8, numbers).prop_map(|(chance, numbers)| (chance > 0, numbers));
        let round = proptest::collection::vec(one, owners).prop_map(|round| {
            let one = |(index, (is_there, numbers))| (is_there || index < 3).then_some(numbers);
            round.into_iter().enumerate().map(one).collect()
        });
        proptest::collection::vec(round, rounds)
    })
}

fn debts(owners: usize) -> impl Strategy<Value = Vec<Debt>> {
    proptest::collection::vec(proptest::option::of(1..=2 * BUDGET), owners).prop_map(|debts| {
        let debt = |(index, micro): (usize, Option<u64>)| {
            micro.map(|micro| Debt { owner: owner(index), micro })
        };
        debts.into_iter().enumerate().filter_map(debt).collect()
    })
}

/// Changes what owner `index` sends.
fn changed(
    rounds: &[Vec<Numbers>],
    index: usize,
    change: impl Fn(usize, (u32, i64, i64, i64)) -> Numbers,
) -> Vec<Vec<Numbers>> {
    let mut rounds = rounds.to_vec();
    for (place, round) in rounds.iter_mut().enumerate() {
        round[index] = round[index].and_then(|numbers| change(place, numbers));
    }
    rounds
}

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

/// Rounds in which owner i has `score(round, i)` as every score and 100 examples.
fn steady(
    owners: usize,
    rounds: usize,
    score: impl Fn(usize, usize) -> Option<i64>,
) -> Vec<Vec<Numbers>> {
    let one = |round, index| score(round, index).map(|score| (100, score, score, score));
    (0..rounds).map(|round| (0..owners).map(|index| one(round, index)).collect()).collect()
}

/// Some noise around 1000 that no two owners have in common.
fn noisy(round: usize, index: usize) -> i64 {
    1000 + ((round * 7919 + index * 104_729 + round * index * 31) % 401) as i64 - 200
}

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
