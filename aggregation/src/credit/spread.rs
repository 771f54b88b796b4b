//! A sum over rounds and how far it may be off, in integers.

use crate::limits::{BUDGET_MICRO_MAX, EPOCH_ROUNDS_MAX};

/// Values of an owner over rounds, each at most [`BUDGET_MICRO_MAX`] in absolute value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    rounds: u32,
    sum: i64,
    squares: u128,
}

// E Q^2 and Q^2, E times a sum of squares, are computed below.
const _: () = assert!(
    (BUDGET_MICRO_MAX as u128 * EPOCH_ROUNDS_MAX as u128).pow(2) < i128::MAX as u128
        && BUDGET_MICRO_MAX as u128 * (EPOCH_ROUNDS_MAX as u128) < i64::MAX as u128
);

impl Spread {
    /// Adds the value of a round.
    pub(super) fn add(&mut self, value: i64) {
        self.rounds += 1;
        self.sum += value;
        self.squares += u128::from(value.unsigned_abs()).pow(2);
    }

    /// Rounds with a value.
    pub(super) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The sum.
    pub(super) const fn sum(&self) -> i64 {
        self.sum
    }

    /// Standard error of the sum over `rounds` rounds (at least 2, and not fewer than there are
    /// values; those without a value count as 0), rounded up: `sqrt(E) sd`, with the sample standard
    /// deviation, is `sqrt((E sum q^2 - (sum q)^2) / (E - 1))`, exactly.
    pub(super) fn error(&self, rounds: u32) -> u64 {
        let rounds = u128::from(rounds);
        // Not below 0 (Cauchy-Schwarz).
        let spread = rounds * self.squares - u128::from(self.sum.unsigned_abs()).pow(2);
        root_up(spread.div_ceil(rounds - 1))
    }
}

/// The square root, rounded up, of a number below 2^126.
fn root_up(square: u128) -> u64 {
    let root = square.isqrt();
    let root = root + u128::from(root * root < square);
    // Below 2^63.
    root as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_a_sum_of_independent_rounds_rounded_up() {
        let mut spread = Spread::default();
        [1, 2, 3, 4].into_iter().for_each(|value| spread.add(value));
        assert_eq!((spread.rounds(), spread.sum()), (4, 10));
        // Sample variance 5/3, of the sum 20/3; its root is 2.58.
        assert_eq!(spread.error(4), 3);
        // Absent from four more: mean 1.25, squares 30: (8 * 30 - 100) / 7 = 20, root 4.47.
        assert_eq!(spread.error(8), 5);
        let mut constant = Spread::default();
        [-7, -7, -7].into_iter().for_each(|value| constant.add(value));
        assert_eq!(constant.error(3), 0);
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let most = BUDGET_MICRO_MAX as i64;
        let (mut same, mut alternating) = (Spread::default(), Spread::default());
        for round in 0..EPOCH_ROUNDS_MAX {
            same.add(most);
            alternating.add(if round % 2 == 0 { most } else { -most });
        }
        assert_eq!(same.error(EPOCH_ROUNDS_MAX), 0);
        assert_eq!(same.sum(), most * i64::from(EPOCH_ROUNDS_MAX));
        assert_eq!(alternating.sum(), 0);
        // sqrt(1024^2 / 1023) times the value, 32.0156...
        assert_eq!(alternating.error(EPOCH_ROUNDS_MAX) / 1_000_000_000, 32_015);
    }
}
