//! The discrete Laplace distribution.

use rand_core::CryptoRng;

use crate::bernoulli::exp_minus;
use crate::uniform::below;

/// Steps of one scale that a draw may be away from 0. An unbounded sampler goes there with
/// probability e^-1024 < 2^-1477, which no experiment tells from never; the bound lets callers
/// compute in 128 bits.
pub(crate) const STEPS_MAX: u64 = 1024;

/// An integer y with probability proportional to exp(-|y| / `scale`), |y| < 1024 `scale`:
/// Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), algorithm 2 with s = 1. In integers only.
/// The scale is 1 to 2^32.
pub(crate) fn draw(rng: &mut impl CryptoRng, scale: u64) -> i64 {
    debug_assert!((1..=1 << 32).contains(&scale));
    loop {
        let within = below(rng, u128::from(scale)) as u64;
        if !exp_minus(rng, u128::from(within), u128::from(scale)) {
            continue;
        }
        let mut steps = 0;
        while steps < STEPS_MAX && exp_minus(rng, 1, 1) {
            steps += 1;
        }
        let magnitude = (within + scale * steps) as i64;
        let negative = below(rng, 2) as i64;
        // Zero has one sign, else it would be twice as likely.
        if steps == STEPS_MAX || (negative == 1 && magnitude == 0) {
            continue;
        }
        // Without a branch on the sign.
        return (magnitude ^ -negative) + negative;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::draw;
    use crate::chi_square::ChiSquare;

    #[test]
    fn draws_fall_off_by_the_exponential_of_their_distance_from_zero() {
        for scale in [1u64, 2, 9] {
            let mut rng = ChaCha20Rng::seed_from_u64(scale);
            let rate = libm::exp(-1.0 / scale as f64);
            let chance = |y: i64| (1.0 - rate) / (1.0 + rate) * rate.powi(y.unsigned_abs() as i32);
            let mut test = ChiSquare::new(chance, 20 * scale as i64);
            for _ in 0..200_000 {
                test.count(draw(&mut rng, scale));
            }
            test.check(&format!("scale {scale}"));
        }
    }
}
