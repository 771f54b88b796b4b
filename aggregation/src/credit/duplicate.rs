//! Owners whose scores go up and down together: the same data twice, or one owner under two names.

use serde::{Deserialize, Serialize};

use super::flag::DUPLICATE_ROUNDS_MIN;
use super::terms::Ratio;
use crate::party::PartyId;

/// Parts of [`Duplicate::correlation_millionths`].
const MILLION: u32 = 1_000_000;

/// Two owners for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Who, ascending.
    pub owners: [PartyId; 2],
    /// Rounds that both took part in.
    pub rounds: u32,
    /// Correlation of their shares of s over these rounds, rounded down.
    pub correlation_millionths: u32,
}

/// An owner's shares of s, each with the place of its round in the epoch, ascending.
pub(super) struct Series {
    pub(super) owner: PartyId,
    pub(super) shares: Vec<(u32, i64)>,
}

/// The pairs whose correlation is at least `threshold` over at least [`DUPLICATE_ROUNDS_MIN`] common
/// rounds. `series` ascending by owner. Takes a step for each pair and common round: a second for
/// ten thousand owners in an epoch of 16 rounds.
pub(super) fn duplicates(series: &[Series], threshold: Ratio) -> Vec<Duplicate> {
    let long: Vec<_> =
        series.iter().filter(|one| one.shares.len() >= DUPLICATE_ROUNDS_MIN as usize).collect();
    let mut found = Vec::new();
    for (index, one) in long.iter().enumerate() {
        for other in &long[index + 1..] {
            let moments = Moments::of(&one.shares, &other.shares);
            if moments.rounds >= DUPLICATE_ROUNDS_MIN && moments.is_at_least(threshold) {
                found.push(Duplicate {
                    owners: [one.owner, other.owner],
                    rounds: moments.rounds,
                    correlation_millionths: moments.millionths(),
                });
            }
        }
    }
    found
}

/// Sums over the rounds that two series have in common. Shares are below 2^30 and rounds at most
/// 2^10, so sums of products are below 2^70 and the three moments below 2^81.
#[derive(Default)]
struct Moments {
    rounds: u32,
    sums: [i128; 2],
    squares: [i128; 2],
    products: i128,
    is_equal: bool,
}

impl Moments {
    fn of(one: &[(u32, i64)], other: &[(u32, i64)]) -> Self {
        let mut moments = Self { is_equal: true, ..Self::default() };
        let mut rest = other.iter().peekable();
        for &(round, x) in one {
            while rest.next_if(|(other, _)| *other < round).is_some() {}
            let Some(&(_, y)) = rest.next_if(|(other, _)| *other == round) else { continue };
            moments.is_equal &= x == y;
            let (x, y) = (i128::from(x), i128::from(y));
            moments.rounds += 1;
            moments.sums[0] += x;
            moments.sums[1] += y;
            moments.squares[0] += x * x;
            moments.squares[1] += y * y;
            moments.products += x * y;
        }
        moments
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
            return self.is_equal && self.squares[0] > 0;
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

    fn series(values: &[i64]) -> Vec<(u32, i64)> {
        (0..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn correlation_is_exact_to_the_millionth_below() {
        let one = series(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let same = Moments::of(&one, &series(&[10, 20, 30, 40, 50, 60, 70, 80]));
        assert_eq!((same.rounds, same.millionths()), (8, 1_000_000));
        // Neighbours exchanged: 8 * 200 - 36^2 and 8 * 204 - 36^2.
        let swapped = Moments::of(&one, &series(&[2, 1, 4, 3, 6, 5, 8, 7]));
        let (covariance, variances) = swapped.covariance();
        assert_eq!((covariance, variances), (304, [336, 336]));
        assert_eq!(swapped.millionths(), 904_761);
        let opposite = Moments::of(&one, &series(&[8, 7, 6, 5, 4, 3, 2, 1]));
        assert!(!opposite.is_at_least(Ratio::thousandths(1)));
    }

    #[test]
    fn only_common_rounds_are_compared_and_few_are_not_enough() {
        let id = |index| PartyId([index; 32]);
        let every = |step: u32| (0..20).filter(move |round| round % step == 0);
        let wave = |round: u32| i64::from(round * round % 7) + 1;
        let all = Series { owner: id(1), shares: every(1).map(|i| (i, wave(i))).collect() };
        let even = Series { owner: id(2), shares: every(2).map(|i| (i, 3 * wave(i))).collect() };
        let third = Series { owner: id(3), shares: every(3).map(|i| (i, wave(i))).collect() };
        let found = duplicates(&[all, even, third], Ratio::thousandths(1000));
        // Seven and four rounds in common with the third are too few.
        let [pair] = found[..] else { panic!("{found:?}") };
        assert_eq!((pair.owners, pair.rounds), ([id(1), id(2)], 10));
        assert_eq!(pair.correlation_millionths, 1_000_000);
    }

    #[test]
    fn owners_that_never_change_are_one_only_if_they_are_equal() {
        let constant = series(&[5; 9]);
        let threshold = Ratio::thousandths(980);
        assert!(Moments::of(&constant, &constant).is_at_least(threshold));
        assert!(!Moments::of(&constant, &series(&[6; 9])).is_at_least(threshold));
        assert!(!Moments::of(&series(&[0; 9]), &series(&[0; 9])).is_at_least(threshold));
        assert!(
            !Moments::of(&constant, &series(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).is_at_least(threshold)
        );
    }

    #[test]
    fn the_largest_shares_do_not_overflow() {
        let most = super::super::flag::SHARE_UNITS as i64;
        let swing = |sign: i64| -> Vec<_> {
            (0..crate::limits::EPOCH_ROUNDS_MAX)
                .map(|round| (round, if round % 2 == 0 { most } else { sign * most }))
                .collect()
        };
        let moments = Moments::of(&swing(-1), &swing(-1));
        let widest = Ratio { numerator: MILLION, denominator: MILLION };
        assert!(moments.is_at_least(widest));
        assert_eq!(moments.millionths(), MILLION);
    }
}
