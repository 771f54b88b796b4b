//! Coins that fall by the exponential of a fraction, exactly.

use rand_core::CryptoRng;

use crate::uniform::below;

/// True with probability exp(-`numerator` / `denominator`), exactly: Canonne, Kamath, Steinke
/// 2020 (arXiv 2004.00010), algorithm 1. In integers only; nothing is rounded.
///
/// The denominator is above 0. The time of a true answer grows with the fraction's whole part, and
/// has a random part that is independent of everything but the fraction; see [`crate::gaussian`]
/// for what that tells.
pub fn exp_minus(rng: &mut impl CryptoRng, numerator: u128, denominator: u128) -> bool {
    debug_assert!(denominator > 0);
    let mut whole = numerator / denominator;
    // exp(-(1 + 1 + .. + rest)) is a product of independent coins. A long row ends by itself.
    while whole > 0 {
        if !exp_minus_fraction(rng, 1, 1) {
            return false;
        }
        whole -= 1;
    }
    exp_minus_fraction(rng, numerator % denominator, denominator)
}

/// The same for fractions of 0 to 1: the series 1 - g + g^2 / 2! - ..., as a race of coins of
/// g / 1, g / 2, g / 3, ... whose first failure decides.
fn exp_minus_fraction(rng: &mut impl CryptoRng, numerator: u128, denominator: u128) -> bool {
    // Cannot overflow: it passes k with probability 1 / k!.
    let mut tries = 1u128;
    loop {
        // A coin of g / k is one of g and one of 1 / k, which keeps the numbers short. Both are
        // always tossed.
        let first = below(rng, denominator) < numerator;
        let second = below(rng, tries) == 0;
        if !(first & second) {
            return tries % 2 == 1;
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::exp_minus;

    #[test]
    fn coins_fall_by_the_exponential_of_their_fraction() {
        const DRAWS: u32 = 400_000;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let long = 1u128 << 90;
        for (numerator, denominator) in
            [(0, 1), (1, 1), (1, 2), (1, 1_000), (355, 113), (7, 1), (long, long + 1), (5, long)]
        {
            let heads = (0..DRAWS).filter(|_| exp_minus(&mut rng, numerator, denominator)).count();
            let chance = libm::exp(-(numerator as f64) / denominator as f64);
            let (n, heads) = (f64::from(DRAWS), heads as f64);
            let deviation = (n * chance * (1.0 - chance)).sqrt();
            assert!(
                (heads - n * chance).abs() <= 5.0 * deviation + 1e-9,
                "{numerator}/{denominator}: {heads} of {n}, expected {}",
                n * chance
            );
        }
    }

    #[test]
    fn a_fraction_beyond_any_hope_ends_at_once() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        assert!((0..1_000).all(|_| !exp_minus(&mut rng, u128::MAX, 1)));
    }
}
