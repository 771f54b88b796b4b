//! Credits for training in live rounds: how often each owner's update counts in the round's sum.
//!
//! The rule is that of [`super::weights`] (design note `credits`, section 4.5: an owner's mean share
//! of the claims so far, times its count), with two changes. *The count is not in it*: where owners
//! count by their examples an update is weighed by them before it is sealed, so the sum of updates
//! has both, and where they count alike neither has. *It is rounded to small whole numbers.* Holders
//! cannot multiply an update, which is encrypted; but they can add it up several times, as sum, sum
//! of the keys and sum of the projections are linear. So a weighed sum is the plain sum of a list in
//! which owners stand several times, and every bound, every proof of exactness and every check of a
//! plain sum of as many contributions is that of the weighed one.
//!
//! # Decisions
//! - **All of it follows from the terms**
//!   ([`RoundConfig::multiplicities`](crate::config::RoundConfig::multiplicities)): the terms name what was attested of the rounds before, so whoever has countersigned terms and a
//!   set has the numbers. Nobody is told them, and nothing can be claimed.
//! - **At most twice as often as another** ([`MULTIPLICITY_MIN`], [`MULTIPLICITY_MAX`]), or not at
//!   all. What is opened of a round is the sum of its keys, S = sum of w s. To whoever knows the
//!   keys of all but a set H of honest owners, what is left of the deviation of owner j's key is, by
//!   the hint theorem, 6.4 / sqrt(2 (1 + w_j^2 / sum of the other w^2 in H)): the 3.2 of plain
//!   rounds, as long as the others' squares come to w_j^2. With weights from 1 to 15, two honest
//!   owners would have left a deviation below a half, and so the whole key and with it the update.
//!   With 2 to 4, one honest owner of the same weight is enough, or any four; two of 4 and 2 leave
//!   2.0.
//! - **Relative to the median** of the means that are above 0, not to the largest: one owner that
//!   makes much of itself moves a median by one place, and so can push out nobody.
//! - **A mean below a quarter of the median does not count** (the gate of section 4.5). Its owner is
//!   audited and measured all the same, and counts again once its mean is better.
//! - **Where too few would count, all count once.** An owner that does not count is none of the
//!   plan's minimum. With five that count (the least with credit), none has more than a third.

use std::collections::BTreeMap;

use super::standing::{Standing, Standings};
use super::weights::WEIGHT_ROUNDS_MIN;
use crate::limits::{CREDIT_CONTRIBUTIONS_MIN, MULTIPLICITY_MAX, MULTIPLICITY_MIN};
use crate::party::PartyId;

/// How often an owner counts whose mean is the median.
const TYPICAL: u128 = 3;

/// Means below one in so many parts of the median do not count.
const GATE: u128 = 4;

// If all that count are honest, the others' squares come to anybody's own.
const _: () = assert!(
    (CREDIT_CONTRIBUTIONS_MIN - 1) * MULTIPLICITY_MIN * MULTIPLICITY_MIN
        >= MULTIPLICITY_MAX * MULTIPLICITY_MAX
);
// Nobody has more than a third.
const _: () = assert!(
    3 * MULTIPLICITY_MAX <= MULTIPLICITY_MAX + (CREDIT_CONTRIBUTIONS_MIN - 1) * MULTIPLICITY_MIN
);

/// Why all updates of a round count once, though evidence weighs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountedOnce {
    /// Nobody is told from another yet.
    #[error("no owner has {WEIGHT_ROUNDS_MIN} rounds of evidence with a mean above 0")]
    NoEvidence,
    /// Too few would count.
    #[error("by their evidence only {counting} would count, the plan asks for {minimum}")]
    TooFew {
        /// So many.
        counting: u32,
        /// By the terms.
        minimum: u32,
    },
}

/// How often each of `owners` counts in a sum, in their order, after rounds that left `standings`.
///
/// # Errors
/// [`CountedOnce`]: none can be weighed, and so each counts once.
pub fn multiplicities(
    standings: &Standings,
    minimum: u32,
    owners: &[PartyId],
) -> Result<Vec<u32>, CountedOnce> {
    let times = weighed(standings, owners).ok_or(CountedOnce::NoEvidence)?;
    let counting = times.iter().filter(|times| **times > 0).count() as u32;
    if counting < minimum {
        return Err(CountedOnce::TooFew { counting, minimum });
    }
    Ok(times)
}

/// What the standings say; `None` where they tell nobody from another.
fn weighed(standings: &Standings, owners: &[PartyId]) -> Option<Vec<u32>> {
    let means: BTreeMap<&PartyId, u128> = standings.all().iter().filter_map(mean).collect();
    let newcomer = means.values().sum::<u128>().checked_div(means.len() as u128)?;
    let mut merits: Vec<u128> = means.values().copied().filter(|mean| *mean > 0).collect();
    merits.sort_unstable();
    // Of an even number the lower of the two in the middle: a mean that somebody has.
    let median = *merits.get(merits.len().checked_sub(1)? / 2)?;
    let times = |owner| times(means.get(owner).copied().unwrap_or(newcomer), median);
    Some(owners.iter().map(times).collect())
}

/// `max(0, mean)` of an owner with enough rounds, with 32 bits after the point; below 2^62.
fn mean(standing: &Standing) -> Option<(&PartyId, u128)> {
    let share = standing.share.max(0).unsigned_abs();
    let mean = (u128::from(share) << 32).checked_div(standing.rounds.into())?;
    (standing.rounds >= WEIGHT_ROUNDS_MIN).then_some((&standing.owner, mean))
}

/// To the nearest, halves up. Whoever is in is counted at least [`MULTIPLICITY_MIN`] times.
fn times(mean: u128, median: u128) -> u32 {
    if GATE * mean < median {
        return 0;
    }
    let nearest = (2 * TYPICAL * mean + median) / (2 * median);
    nearest.clamp(MULTIPLICITY_MIN.into(), MULTIPLICITY_MAX.into()) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credit::{Evidence, RoundEvidence};
    use crate::hash::Digest;

    fn owner(index: usize) -> PartyId {
        PartyId([index as u8 + 1; 32])
    }

    fn owners(count: usize) -> Vec<PartyId> {
        (0..count).map(owner).collect()
    }

    /// How often each counts, once where none can be weighed.
    fn counted(standings: &Standings, minimum: u32, owners: &[PartyId]) -> Vec<u32> {
        let times = multiplicities(standings, minimum, owners);
        times.unwrap_or_else(|_| vec![1; owners.len()])
    }

    /// Standings after so many rounds of these scores.
    fn after(rounds: u32, scores: &[i64]) -> Standings {
        (1..=rounds).fold(Standings::default(), |standings, round| {
            let one = |(index, &s): (usize, &i64)| Evidence {
                owner: owner(index),
                count: 1,
                s,
                novelty: 0,
                harm: 0,
            };
            let all = scores.iter().enumerate().map(one).collect();
            let round = RoundEvidence::new(round, Digest([round as u8; 32]), all);
            standings.after(&round.expect("good evidence"))
        })
    }

    #[test]
    fn before_the_third_round_all_count_once() {
        let scores = [100, 100, 100, 100, 100, 100, -100];
        for (rounds, expected) in [(0, [1; 7]), (2, [1; 7]), (3, [3, 3, 3, 3, 3, 3, 0])] {
            assert_eq!(counted(&after(rounds, &scores), 5, &owners(7)), expected);
        }
    }

    #[test]
    fn weights_follow_the_mean_against_the_median() {
        let scores = [100, 100, 100, 24, 27, 26, 83, 84, 116, 117, 1_000_000, 0, -7];
        // Of eleven above 0 the median is 100.
        let expected = [3, 3, 3, 0, 2, 2, 2, 3, 3, 4, 4, 0, 0];
        assert_eq!(counted(&after(5, &scores), 5, &owners(13)), expected);
    }

    #[test]
    fn a_newcomer_counts_as_the_others_do_on_average() {
        let standings = after(4, &[100, 100, 100, 100, 100, 100, -100, -100]);
        // Three quarters of the median: 2.25.
        assert_eq!(counted(&standings, 5, &owners(9))[8], 2);
    }

    #[test]
    fn one_that_makes_much_of_itself_pushes_out_nobody() {
        for much in [100, 1000, 1_000_000_000] {
            let standings = after(3, &[much, 90, 100, 100, 110]);
            let times = counted(&standings, 5, &owners(5));
            assert!(times.iter().all(|times| *times >= 2), "{much}: {times:?}");
        }
    }

    #[test]
    fn with_too_few_that_count_all_count_once() {
        let standings = after(3, &[100, 100, 100, 100, -1, -1, -1, -1]);
        let too_few = CountedOnce::TooFew { counting: 4, minimum: 5 };
        assert_eq!(multiplicities(&standings, 5, &owners(8)), Err(too_few));
        assert_eq!(counted(&standings, 4, &owners(8)), [3, 3, 3, 3, 0, 0, 0, 0]);
        // Who is missing from the set decides nothing but that.
        assert_eq!(counted(&standings, 4, &owners(8)[1..]), [1; 7]);
        let bad = after(3, &[-1, -2, -3]);
        assert_eq!(multiplicities(&bad, 3, &owners(3)), Err(CountedOnce::NoEvidence));
    }

    proptest! {
        #[test]
        fn nobody_outweighs_the_others_whatever_the_evidence(
            scores in proptest::collection::vec(-1000i64..1000, 5..40),
            rounds in 0u32..6,
            missing in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let standings = after(rounds, &scores);
            let set: Vec<_> =
                (0..scores.len()).filter(|index| !missing[*index]).map(owner).collect();
            let times = counted(&standings, 5, &set);
            prop_assert_eq!(times.len(), set.len());
            let total: u32 = times.iter().sum();
            let counting = times.iter().filter(|times| **times > 0).count();
            prop_assert!(counting >= set.len().min(5));
            prop_assert!(total <= MULTIPLICITY_MAX * set.len() as u32);
            let squares: u32 = times.iter().map(|times| times * times).sum();
            for one in times.iter().filter(|_| set.len() >= 5) {
                prop_assert!(3 * one <= total && 2 * one * one <= squares, "{times:?}");
            }
            // Equals count alike, whatever their names: nothing hangs on an order.
            let all = counted(&standings, 5, &owners(scores.len()));
            for (i, j) in (0..scores.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
                prop_assert!(scores[i] != scores[j] || all[i] == all[j]);
                prop_assert!(scores[i] < scores[j] || all[i] >= all[j]);
            }
        }
    }
}
