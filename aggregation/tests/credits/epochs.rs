//! Epochs to settle: random ones, and steady ones.

use covey_aggregation::credit::{
    Account, CreditTerms, Debt, Evidence, RoundEvidence, Settlement, TermsDraft, settle,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use proptest::prelude::*;

pub(crate) const BUDGET: u64 = 1_000_000_000;

/// An owner's numbers in a round; `None` where it is absent.
pub(crate) type Numbers = Option<(u32, i64, i64, i64)>;

pub(crate) fn owner(index: usize) -> PartyId {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(index as u64).to_be_bytes());
    PartyId(key)
}

pub(crate) fn context(round: u32) -> Digest {
    let mut digest = [3; 32];
    digest[..4].copy_from_slice(&round.to_be_bytes());
    Digest(digest)
}

/// Evidence of rounds from 1 on, by round and owner.
pub(crate) fn evidence(rounds: &[Vec<Numbers>]) -> Vec<RoundEvidence> {
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

pub(crate) fn terms(rounds: usize) -> CreditTerms {
    let draft = TermsDraft { contributions_min: 3, ..TermsDraft::usual(BUDGET, rounds as u32) };
    CreditTerms::check(draft).expect("good terms")
}

pub(crate) fn settled(rounds: &[Vec<Numbers>], carried: &[Debt]) -> Settlement {
    settle(&terms(rounds.len()), &evidence(rounds), carried).expect("it can be settled")
}

/// The account of owner `index`.
pub(crate) fn account(settlement: &Settlement, index: usize) -> &Account {
    settlement.of(&owner(index)).expect("an account")
}

/// Rounds of `owners` owners, most of them there most of the time, three always.
pub(crate) fn epochs(owners: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Numbers>>> {
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

pub(crate) fn debts(owners: usize) -> impl Strategy<Value = Vec<Debt>> {
    proptest::collection::vec(proptest::option::of(1..=2 * BUDGET), owners).prop_map(|debts| {
        let debt = |(index, micro): (usize, Option<u64>)| {
            micro.map(|micro| Debt { owner: owner(index), micro })
        };
        debts.into_iter().enumerate().filter_map(debt).collect()
    })
}

/// Changes what owner `index` sends.
pub(crate) fn changed(
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

/// Rounds in which owner i has `score(round, i)` as every score and 100 examples.
pub(crate) fn steady(
    owners: usize,
    rounds: usize,
    score: impl Fn(usize, usize) -> Option<i64>,
) -> Vec<Vec<Numbers>> {
    let one = |round, index| score(round, index).map(|score| (100, score, score, score));
    (0..rounds).map(|round| (0..owners).map(|index| one(round, index)).collect()).collect()
}

/// Some noise around 1000 that no two owners have in common.
pub(crate) fn noisy(round: usize, index: usize) -> i64 {
    1000 + ((round * 7919 + index * 104_729 + round * index * 31) % 401) as i64 - 200
}
