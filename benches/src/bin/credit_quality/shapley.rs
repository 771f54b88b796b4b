//! The Shapley value from what every coalition is worth.

/// Each player's value. `worth[S]` is that of the players whose bits are set in S; there are 2^n.
///
/// # Panics
/// When their number is no power of two.
pub(crate) fn shapley(worth: &[f64]) -> Vec<f64> {
    assert!(worth.len().is_power_of_two());
    let players = worth.len().trailing_zeros() as usize;
    // By the number of others that are there already: 1 / (n (n - 1 over s)).
    let mut weights = vec![1.0 / players as f64; players];
    for others in 1..players {
        weights[others] = weights[others - 1] * others as f64 / (players - others) as f64;
    }
    let value = |player: usize| {
        let without = (0..worth.len()).filter(|set| set >> player & 1 == 0);
        let gain = |set: usize| {
            let others = set.count_ones() as usize;
            weights[others] * (worth[set | 1 << player] - worth[set])
        };
        without.map(gain).sum()
    };
    (0..players).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: &[f64], right: &[f64]) {
        assert_eq!(left.len(), right.len());
        let apart = left.iter().zip(right).map(|(left, right)| (left - right).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-12, "{left:?} {right:?}");
    }

    #[test]
    fn the_glove_game_has_its_known_values() {
        // One left glove (player 0) and two right ones: a pair is worth 1.
        let worth: Vec<f64> =
            (0..8).map(|set: u32| f64::from(u8::from(set & 1 == 1 && set & 6 != 0))).collect();
        close(&shapley(&worth), &[2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]);
    }

    #[test]
    fn a_sum_of_shares_gives_each_its_share() {
        let shares = [0.5, -1.0, 0.0, 2.0, 0.25];
        let of = |set: usize| (0..5).filter(|one| set >> one & 1 == 1).map(|one| shares[one]).sum();
        let worth: Vec<f64> = (0..32).map(of).collect();
        close(&shapley(&worth), &shares);
    }

    #[test]
    fn values_add_up_to_what_all_are_worth() {
        let worth: Vec<f64> = (0..1024u32).map(|set| f64::from(set * 37 % 101)).collect();
        let sum: f64 = shapley(&worth).iter().sum();
        assert!((sum - (worth[1023] - worth[0])).abs() < 1e-9);
    }
}
