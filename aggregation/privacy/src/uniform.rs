//! Uniform integers.

use rand_core::CryptoRng;

/// A uniform integer below `bound`, which is above 0. Takes 8 or 16 bytes of `rng` for each try,
/// of which fewer than two are needed on average. The number of tries is independent of what is
/// returned, and the division that modulo would need is avoided.
pub(crate) fn below(rng: &mut impl CryptoRng, bound: u128) -> u128 {
    debug_assert!(bound > 0);
    let highest = bound.saturating_sub(1);
    if let Ok(highest) = u64::try_from(highest) {
        // `| 1` as a shift by 64 is none.
        let mask = u64::MAX >> (highest | 1).leading_zeros();
        loop {
            let value = rng.next_u64() & mask;
            if value <= highest {
                return u128::from(value);
            }
        }
    }
    let mask = u128::MAX >> highest.leading_zeros();
    loop {
        let value = ((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())) & mask;
        if value <= highest {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::below;

    #[test]
    fn every_integer_below_the_bound_is_as_likely() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for bound in [1u128, 2, 3, 7, 64, 100] {
            let mut counts = vec![0u32; bound as usize];
            let draws = 20_000 * bound as u32;
            for _ in 0..draws {
                counts[below(&mut rng, bound) as usize] += 1;
            }
            for count in counts {
                // Six standard deviations of 20,000.
                assert!((19_150..=20_850).contains(&count), "{bound}: {count}");
            }
        }
    }

    #[test]
    fn long_bounds_are_used_in_full() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for bound in [(1u128 << 64) + 1, 3 << 90, u128::MAX] {
            let third = bound / 3;
            let mut counts = [0u32; 3];
            for _ in 0..30_000 {
                let value = below(&mut rng, bound);
                assert!(value < bound);
                counts[(value / third).min(2) as usize] += 1;
            }
            assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        }
    }
}
