//! Four squares that add up to a number (Lagrange, 1770): the slack that proves a bound.
//!
//! Greedy: the largest root or one a little below it, then the same of the rest; what is left is
//! small enough for a search for two squares. Three squares miss only 4^a (8b + 7), two squares
//! are common among small numbers, so a few tries are enough. Runs at the owner, on a number that
//! depends on its update; how long it takes is seen by nobody but the owner's own machine.

/// Tries of the first and of the second root.
const FIRST_TRIES: u128 = 1024;
const SECOND_TRIES: u128 = 64;

/// Largest rest whose two squares are searched for, some thousand roots: what two roots leave of
/// a number of 88 bits.
const SEARCHED_MAX: u128 = 1 << 26;

/// a, b, c, d with a^2 + b^2 + c^2 + d^2 = n. `None` is not known to happen for any n (the tests
/// try millions); the caller then has no proof to give.
pub(crate) fn four_squares(n: u128) -> Option<[i64; 4]> {
    // Factors of 4 first, so that the search is not left with a number of few representations.
    if n > 0 && n.is_multiple_of(4) {
        return four_squares(n / 4).map(|roots| roots.map(|root| 2 * root));
    }
    let first = n.isqrt();
    (first.saturating_sub(FIRST_TRIES)..=first).rev().find_map(|a| {
        let rest = n - a * a;
        let second = rest.isqrt();
        let (b, [c, d]) = (second.saturating_sub(SECOND_TRIES)..=second)
            .rev()
            .map(|b| (b, rest - b * b))
            .take_while(|(_, rest)| *rest <= SEARCHED_MAX)
            .find_map(|(b, rest)| two_squares(rest).map(|roots| (b, roots)))?;
        Some([a, b, c, d].map(|root| root as i64))
    })
}

fn two_squares(n: u128) -> Option<[u128; 2]> {
    let larger = (0..=n.isqrt()).rev().take_while(|larger| 2 * larger * larger >= n);
    larger
        .map(|larger| [larger, (n - larger * larger).isqrt()])
        .find(|[larger, smaller]| larger * larger + smaller * smaller == n)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_sum(n: u128) {
        let roots = four_squares(n).unwrap_or_else(|| panic!("no four squares for {n}"));
        let sum: u128 = roots.iter().map(|&root| u128::from(root.unsigned_abs()).pow(2)).sum();
        assert_eq!(sum, n);
    }

    #[test]
    fn every_small_number_and_those_that_need_all_four_are_sums() {
        (0..20_000).for_each(is_sum);
        for e in 0..40 {
            for odd in [1, 2, 3, 5, 6, 7, 14, 15, 23] {
                is_sum(odd * 4u128.pow(e));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_number_that_a_bound_leaves_is_a_sum(n in any::<u128>(), bits in 1u32..=88) {
            is_sum(n >> (128 - bits));
        }
    }
}
