//! Dividing a whole exactly: nothing is lost, and no order decides.

use crate::hash::{Digest, Domain, hash};
use crate::limits::{BUDGET_MICRO_MAX, CONTRIBUTIONS_MAX, EPOCH_ROUNDS_MAX, SCORE_MAX};
use crate::party::PartyId;

use super::evidence::{Evidence, RoundEvidence};
use super::flag::SHARE_UNITS;
use super::terms::CreditTerms;

/// Bits after the point of the square root of a number of examples. A claim is off by less than one
/// part in 2^32 by it, and so is a credit: with a budget of 1000 credits (2^30 micro-credits) by less
/// than one micro-credit.
pub const ROOT_FRACTION_BITS: u32 = 32;

/// A score below one in so many parts of the round's sum of absolute scores counts as 0, and below
/// one in [`TOLERANCE_OF_MEAN`] parts of their mean: estimates from a sketch are never exactly 0
/// (design note on the sketch, section 3).
const TOLERANCE_OF_SUM: u128 = 10_000;

/// With ten owners this is [`TOLERANCE_OF_SUM`]; with a thousand, whose mean is a thousandth of the
/// sum, a part of the sum alone would count small honest scores as 0.
const TOLERANCE_OF_MEAN: u128 = 1000;

/// Largest claim of one owner in a round: a root of 16 and 32 bits times a score of 53.
const CLAIM_MAX: u128 = 1 << (16 + ROOT_FRACTION_BITS + 53);

// What `part_of` needs of the sums that it divides by: claims of a round, and what a pool is divided
// by. Neither has more than 2^24 parts: owners of an epoch are at most 10,000 in each round.
const _: () = assert!(
    CLAIM_MAX * (CONTRIBUTIONS_MAX as u128) < WHOLE_MAX
        && SCORE_MAX as u128 * (TOLERANCE_OF_MEAN * CONTRIBUTIONS_MAX as u128) < WHOLE_MAX
        && (BUDGET_MICRO_MAX as u128 * EPOCH_ROUNDS_MAX as u128) << 24 < WHOLE_MAX
);

/// Largest whole that [`part_of`] divides by.
const WHOLE_MAX: u128 = 1 << 126;

/// `total * part / whole`, rounded down, and the remainder. `part` is at most `whole`, which is not
/// 0 and at most [`WHOLE_MAX`].
///
/// By doubling, bit by bit of `total`: the product itself may have more than 128 bits.
fn part_of(total: u64, part: u128, whole: u128) -> (u64, u128) {
    let (mut quotient, mut remainder) = (0, 0);
    for bit in (0..u64::BITS - total.leading_zeros()).rev() {
        quotient *= 2;
        remainder *= 2;
        if total >> bit & 1 == 1 {
            remainder += part;
        }
        // Below three wholes, so at most twice.
        while remainder >= whole {
            remainder -= whole;
            quotient += 1;
        }
    }
    (quotient, remainder)
}

/// Divides `total` in proportion to `weights` by largest remainder, so that the parts add up to
/// `total`. Of equal remainders that come first whose digest by `tie` is smaller. All parts are 0
/// where all weights are.
///
/// A weight of 0 gets nothing: what is left over is less than the number of remainders above 0.
pub(super) fn apportion(total: u64, weights: &[u128], tie: impl Fn(usize) -> Digest) -> Vec<u64> {
    let whole: u128 = weights.iter().sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let divided: Vec<_> = weights.iter().map(|weight| part_of(total, *weight, whole)).collect();
    let mut parts: Vec<_> = divided.iter().map(|(part, _)| *part).collect();
    let left = (total - parts.iter().sum::<u64>()) as usize;
    if left > 0 {
        let remainder = |index: usize| divided[index].1;
        let mut order: Vec<_> = (0..weights.len()).filter(|&index| remainder(index) > 0).collect();
        order.sort_unstable_by(|&a, &b| {
            remainder(b).cmp(&remainder(a)).then_with(|| tie(a).cmp(&tie(b)))
        });
        order.iter().take(left).for_each(|&index| parts[index] += 1);
    }
    parts
}

/// Who goes first among equals: by a digest, so that neither an order nor a low key decides.
/// `place` is what is divided there: a round's context, or an epoch's evidence.
pub(super) fn tie(place: &Digest, owner: &PartyId) -> Digest {
    hash(Domain::CreditTie, &[&place.0, &owner.0])
}

/// Examples that count at most in a round: so many times the median, which of an even number of
/// counts is the mean of the two in the middle; rounded down.
pub(super) fn count_cap(terms: &CreditTerms, counts: impl Iterator<Item = u32>) -> u64 {
    cap_of(terms.get().count_cap_medians, counts)
}

fn cap_of(medians: u32, counts: impl Iterator<Item = u32>) -> u64 {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    let middle = |index: usize| counts.get(index).copied().map_or(0, u64::from);
    let twice_median = middle(counts.len().saturating_sub(1) / 2) + middle(counts.len() / 2);
    u64::from(medians) * twice_median / 2
}

/// A count up to the cap.
pub(super) fn capped(count: u32, cap: u64) -> u128 {
    u128::from(u64::from(count).min(cap))
}

/// c of every contribution of a round: the root of its capped count, with
/// [`ROOT_FRACTION_BITS`] bits after the point, times s.
pub(super) fn claims(terms: &CreditTerms, round: &RoundEvidence) -> Vec<i128> {
    claims_of(terms.get().count_cap_medians, round)
}

/// The same, with counts capped at so many times the median.
pub(super) fn claims_of(medians: u32, round: &RoundEvidence) -> Vec<i128> {
    let cap = cap_of(medians, round.contributions().iter().map(|one| one.count));
    let claim = |evidence: &Evidence| {
        let root = (capped(evidence.count, cap) << (2 * ROOT_FRACTION_BITS)).isqrt();
        // Below 2^48.
        root as i128 * i128::from(evidence.s)
    };
    round.contributions().iter().map(claim).collect()
}

/// q of every contribution of a round, in micro-credits: the budget divided by |c|, each part with
/// the sign of its c. Their absolute values add up to the budget, or all are 0.
pub(super) fn credits(terms: &CreditTerms, round: &RoundEvidence, claims: &[i128]) -> Vec<i64> {
    let weights: Vec<_> = claims.iter().map(|claim| claim.unsigned_abs()).collect();
    let owners = round.contributions();
    let tie = |index: usize| tie(round.context(), &owners[index].owner);
    let parts = apportion(terms.get().budget_micro, &weights, tie);
    // At most the budget, below 2^40.
    let signed = |(part, claim): (u64, &i128)| part as i64 * claim.signum() as i64;
    parts.into_iter().zip(claims).map(signed).collect()
}

/// Each of these numbers as a part of the sum of their absolute values, in [`SHARE_UNITS`], rounded
/// towards 0; all are 0 where the sum is.
pub(super) fn shares(values: &[i128]) -> Vec<i64> {
    let whole: u128 = values.iter().map(|value| value.unsigned_abs()).sum();
    let share = |value: &i128| match whole {
        0 => 0,
        // At most SHARE_UNITS, below 2^30.
        _ => part_of(SHARE_UNITS, value.unsigned_abs(), whole).0 as i64 * value.signum() as i64,
    };
    values.iter().map(share).collect()
}

/// The same of scores, of which those within the tolerance of 0 count as 0.
pub(super) fn score_shares(scores: impl Iterator<Item = i64>) -> Vec<i64> {
    let scores: Vec<_> = scores.map(i128::from).collect();
    let whole: u128 = scores.iter().map(|score| score.unsigned_abs()).sum();
    let parts = TOLERANCE_OF_SUM.max(TOLERANCE_OF_MEAN * scores.len() as u128);
    let counted: Vec<_> = scores
        .into_iter()
        .map(|score| if score.unsigned_abs() * parts < whole { 0 } else { score })
        .collect();
    shares(&counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_quotient_and_the_remainder_of_the_product() {
        let numbers = [1u128, 2, 3, 7, 10, 1000, 999_983, 1 << 40, (1 << 60) - 1];
        for whole in numbers {
            for part in numbers.into_iter().chain([0]).filter(|part| *part <= whole) {
                for total in [0u64, 1, 2, 5, 63, 64, 1_000_000_007] {
                    let product = u128::from(total) * part;
                    let expected = ((product / whole) as u64, product % whole);
                    assert_eq!(part_of(total, part, whole), expected);
                }
            }
        }
        // Products of more than 128 bits.
        let whole = WHOLE_MAX;
        assert_eq!(part_of(u64::MAX, whole, whole), (u64::MAX, 0));
        assert_eq!(part_of(u64::MAX, whole / 2, whole), (u64::MAX / 2, whole / 2));
        assert_eq!(
            part_of(u64::MAX, whole - 1, whole),
            (u64::MAX - 1, whole - u128::from(u64::MAX))
        );
    }

    #[test]
    fn of_equal_remainders_the_smaller_digest_is_first() {
        let digest = |order: [u8; 3]| move |index: usize| Digest([order[index]; 32]);
        assert_eq!(apportion(4, &[1, 1, 1], digest([3, 1, 2])), [1, 2, 1]);
        assert_eq!(apportion(5, &[1, 1, 1], digest([3, 1, 2])), [1, 2, 2]);
        // The larger remainder is before any digest, and a weight of 0 gets nothing.
        assert_eq!(apportion(1, &[2, 3, 0], digest([1, 2, 0])), [0, 1, 0]);
        assert_eq!(apportion(7, &[0, 0, 0], digest([1, 2, 3])), [0, 0, 0]);
    }

    #[test]
    fn the_cap_is_of_the_median_and_rounded_down() {
        let draft = super::super::TermsDraft { count_cap_medians: 3, ..draft() };
        let terms = CreditTerms::check(draft).expect("good terms");
        assert_eq!(count_cap(&terms, [5, 1, 9].into_iter()), 15);
        assert_eq!(count_cap(&terms, [5, 1, 9, 6].into_iter()), 16);
        assert_eq!(count_cap(&terms, std::iter::empty()), 0);
        assert_eq!(count_cap(&terms, [u32::MAX; 2].into_iter()), 3 * u64::from(u32::MAX));
    }

    const fn draft() -> super::super::TermsDraft {
        super::super::TermsDraft::usual(1000, 16)
    }
}
