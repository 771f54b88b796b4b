//! Owners whose scores go up and down together: the same data twice, or one owner under two names.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::flag::DUPLICATE_ROUNDS_MIN;
use super::terms::Ratio;
use crate::party::PartyId;

/// Parts of [`Duplicate::correlation_millionths`].
const MILLION: u32 = 1_000_000;

/// Two owners for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// Who, ascending.
    #[serde(with = "super::form::hex_pair")]
    pub owners: [PartyId; 2],
    /// Rounds that both took part in.
    pub rounds: u32,
    /// Correlation of their shares of s over these rounds, rounded down.
    pub correlation_millionths: u32,
}

/// An owner's shares of s over an epoch, round by round.
pub(super) struct Series {
    pub(super) owner: PartyId,
    /// `None` where the owner was absent.
    shares: Vec<Option<i64>>,
    rounds: u32,
    sum: i128,
    squares: i128,
}

impl Series {
    /// `shares`: each with the place of its round in the epoch of `rounds` rounds.
    pub(super) fn new(owner: PartyId, shares: &[(u32, i64)], rounds: usize) -> Self {
        let mut dense = vec![None; rounds];
        shares.iter().for_each(|&(place, share)| dense[place as usize] = Some(share));
        let values = || shares.iter().map(|(_, share)| i128::from(*share));
        Self {
            owner,
            shares: dense,
            rounds: shares.len() as u32,
            sum: values().sum(),
            squares: values().map(|share| share * share).sum(),
        }
    }

    fn is_always_there(&self) -> bool {
        self.rounds as usize == self.shares.len()
    }
}

/// The pairs whose correlation is at least `threshold` over at least [`DUPLICATE_ROUNDS_MIN`] common
/// rounds; of each owner the one it goes most with (of equals the smallest key), so that a crowd of
/// one owner's names makes no longer list than other owners do. `series` ascending by owner.
///
/// Takes a step for each pair and round.
pub(super) fn duplicates(series: &[Series], threshold: Ratio) -> Vec<Duplicate> {
    let long: Vec<_> = series.iter().filter(|one| one.rounds >= DUPLICATE_ROUNDS_MIN).collect();
    // The correlation with the other that an owner goes most with so far, and who that is.
    let mut best: Vec<Option<(u32, usize)>> = vec![None; long.len()];
    for one in 0..long.len() {
        for other in one + 1..long.len() {
            let moments = Moments::of(long[one], long[other]);
            if moments.rounds < DUPLICATE_ROUNDS_MIN || !moments.is_at_least(threshold) {
                continue;
            }
            let millionths = moments.millionths();
            for (owner, with) in [(one, other), (other, one)] {
                // Others come in ascending order.
                if best[owner].is_none_or(|(so_far, _)| millionths > so_far) {
                    best[owner] = Some((millionths, with));
                }
            }
        }
    }
    let pairs: BTreeSet<_> = (best.iter().enumerate())
        .filter_map(|(owner, best)| best.map(|(_, with)| (owner.min(with), owner.max(with))))
        .collect();
    let pair = |(one, other): (usize, usize)| {
        let moments = Moments::of(long[one], long[other]);
        Duplicate {
            owners: [long[one].owner, long[other].owner],
            rounds: moments.rounds,
            correlation_millionths: moments.millionths(),
        }
    };
    pairs.into_iter().map(pair).collect()
}

/// Sums over the rounds that two series have in common. Shares are below 2^30 and rounds at most
/// 2^10, so sums of products are below 2^70 and the three moments below 2^81.
struct Moments {
    rounds: u32,
    sums: [i128; 2],
    squares: [i128; 2],
    products: i128,
}

impl Moments {
    fn of(one: &Series, other: &Series) -> Self {
        let mut moments = Self {
            rounds: one.rounds,
            sums: [one.sum, other.sum],
            squares: [one.squares, other.squares],
            products: 0,
        };
        if !one.is_always_there() || !other.is_always_there() {
            let common = |a: &Series, b: &Series| -> Vec<i128> {
                let pairs = a.shares.iter().zip(&b.shares);
                pairs.filter_map(|(x, y)| y.and(*x).map(i128::from)).collect()
            };
            let values = [common(one, other), common(other, one)];
            moments.rounds = values[0].len() as u32;
            moments.sums = [0, 1].map(|i: usize| values[i].iter().sum());
            moments.squares = [0, 1].map(|i: usize| values[i].iter().map(|x| x * x).sum());
        }
        for (x, y) in one.shares.iter().zip(&other.shares) {
            if let (Some(x), Some(y)) = (x, y) {
                // Below 2^60.
                moments.products += i128::from(x * y);
            }
        }
        moments
    }

    /// Whether the two are equal in every common round.
    fn is_equal(&self) -> bool {
        // The sum of squared differences.
        self.squares[0] + self.squares[1] == 2 * self.products
    }

    /// m^2 times the covariance and the two variances.
    fn covariance(&self) -> (i128, [u128; 2]) {
        let rounds = i128::from(self.rounds);
        // Variances are not below 0 (Cauchy-Schwarz).
        let variance = |i: usize| (rounds * self.squares[i] - self.sums[i].pow(2)) as u128;
        let covariance = rounds * self.products - self.sums[0] * self.sums[1];
        (covariance, [variance(0), variance(1)])
    }

    /// Whether the correlation is at least `ratio`, exactly: `(cov d)^2 >= (n var)(n var)`, each
    /// factor below 2^102 and the products in 256 bits. Two that never change have none; they are
    /// taken as one where they are equal and not 0.
    fn is_at_least(&self, ratio: Ratio) -> bool {
        let (covariance, variances) = self.covariance();
        if variances == [0, 0] {
            return self.is_equal() && self.squares[0] > 0;
        }
        if covariance <= 0 || variances.contains(&0) {
            return false;
        }
        let left = covariance as u128 * u128::from(ratio.denominator);
        let right = variances.map(|variance| variance * u128::from(ratio.numerator));
        wide_product(left, left) >= wide_product(right[0], right[1])
    }

    /// The correlation in millionths, rounded down; at least 0.
    fn millionths(&self) -> u32 {
        let is_at_least =
            |millionths| self.is_at_least(Ratio { numerator: millionths, denominator: MILLION });
        let (mut low, mut high) = (0, MILLION + 1);
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            if is_at_least(middle) { low = middle } else { high = middle }
        }
        low
    }
}

/// The whole product, its upper half first.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    let (low, high) = a.carrying_mul(b, 0);
    (high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u8) -> PartyId {
        PartyId([index; 32])
    }

    fn series(index: u8, values: &[i64]) -> Series {
        let shares: Vec<_> = (0..).zip(values.iter().copied()).collect();
        Series::new(id(index), &shares, values.len())
    }

    fn moments(one: &[i64], other: &[i64]) -> Moments {
        Moments::of(&series(1, one), &series(2, other))
    }

    #[test]
    fn correlation_is_exact_to_the_millionth_below() {
        let one = [1, 2, 3, 4, 5, 6, 7, 8];
        let same = moments(&one, &[10, 20, 30, 40, 50, 60, 70, 80]);
        assert_eq!((same.rounds, same.millionths()), (8, 1_000_000));
        // Neighbours exchanged: 8 * 200 - 36^2 and 8 * 204 - 36^2.
        let swapped = moments(&one, &[2, 1, 4, 3, 6, 5, 8, 7]);
        assert_eq!(swapped.covariance(), (304, [336, 336]));
        assert_eq!(swapped.millionths(), 904_761);
        let opposite = moments(&one, &[8, 7, 6, 5, 4, 3, 2, 1]);
        assert!(!opposite.is_at_least(Ratio::thousandths(1)));
    }

    #[test]
    fn only_common_rounds_are_compared_and_few_are_not_enough() {
        let every = |step: u32| (0..20).filter(move |round| round % step == 0);
        let wave = |round: u32| i64::from(round * round % 7) + 1;
        let owner = |index, step: u32, times: i64| {
            let shares: Vec<_> = every(step).map(|round| (round, times * wave(round))).collect();
            Series::new(id(index), &shares, 20)
        };
        let all = [owner(1, 1, 1), owner(2, 2, 3), owner(3, 3, 1)];
        let found = duplicates(&all, Ratio::thousandths(1000));
        // Seven and four rounds in common with the third are too few.
        let [pair] = found[..] else { panic!("{found:?}") };
        assert_eq!((pair.owners, pair.rounds), ([id(1), id(2)], 10));
        assert_eq!(pair.correlation_millionths, 1_000_000);
    }

    #[test]
    fn a_crowd_is_named_owner_by_owner_and_not_pair_by_pair() {
        let wave: Vec<i64> = (0..16).map(|round| round * round % 7 + 1).collect();
        let nearly: Vec<i64> = wave.iter().map(|share| 1000 * share + share % 2).collect();
        let crowd: Vec<_> = (1..100).map(|index| series(index, &wave)).collect();
        let found = duplicates(&crowd, Ratio::thousandths(980));
        let pairs: Vec<_> = found.iter().map(|pair| pair.owners).collect();
        assert_eq!(pairs, (2..100).map(|index| [id(1), id(index)]).collect::<Vec<_>>());
        // Everybody is named with the one it goes most with.
        let three = [series(1, &nearly), series(2, &wave), series(3, &wave)];
        let found = duplicates(&three, Ratio::thousandths(980));
        let pairs: Vec<_> = found.iter().map(|pair| pair.owners).collect();
        assert_eq!(pairs, [[id(1), id(2)], [id(2), id(3)]]);
        assert!(found[0].correlation_millionths < 1_000_000);
    }

    #[test]
    fn owners_that_never_change_are_one_only_if_they_are_equal() {
        let threshold = Ratio::thousandths(980);
        let is_one = |one: &[i64], other: &[i64]| moments(one, other).is_at_least(threshold);
        assert!(is_one(&[5; 9], &[5; 9]));
        assert!(!is_one(&[5; 9], &[6; 9]));
        assert!(!is_one(&[0; 9], &[0; 9]));
        assert!(!is_one(&[5; 9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]));
    }

    #[test]
    fn the_largest_shares_do_not_overflow() {
        let most = super::super::flag::SHARE_UNITS as i64;
        let rounds = 0..crate::limits::EPOCH_ROUNDS_MAX;
        let swing: Vec<_> = rounds.map(|round| if round % 2 == 0 { most } else { -most }).collect();
        let moments = moments(&swing, &swing);
        assert!(moments.is_at_least(Ratio { numerator: MILLION, denominator: MILLION }));
        assert_eq!(moments.millionths(), MILLION);
    }
}
