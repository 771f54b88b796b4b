//! Seeded draws: every purpose has its own stream, keyed by a hash of what it is for. burn's
//! process-wide generator is never used, so that clients in one process do not disturb each
//! other.

use covey_aggregation::hash::{Digest, Domain, hash};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The digest that keys a stream.
pub(crate) fn key(purpose: &str, parts: &[&[u8]]) -> Digest {
    let mut all = vec![purpose.as_bytes()];
    all.extend_from_slice(parts);
    hash(Domain::Training, &all)
}

/// A stream of its own for `purpose` and `parts`.
#[must_use]
pub fn stream(purpose: &str, parts: &[&[u8]]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(key(purpose, parts).0)
}

/// Uniform in `0 <= x < 1`, in steps of 2^-24: exact in `f32` on every machine.
pub(crate) fn unit_f32(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in `0 < x <= 1`, in steps of 2^-53.
pub fn unit_f64(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// One draw of the standard normal distribution (Box & Muller, 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * unit_f64(rng).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit_f64(rng)).cos()
}

/// A whole number below `bound` (above 0), without bias (Lemire, 2019).
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    let mut product = u128::from(rng.next_u64()) * u128::from(bound);
    let threshold = bound.wrapping_neg() % bound;
    while (product as u64) < threshold {
        product = u128::from(rng.next_u64()) * u128::from(bound);
    }
    (product >> 64) as u64
}

/// Fisher-Yates.
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_different_streams() {
        let draw = |purpose, part: &[u8]| stream(purpose, &[part]).next_u64();
        assert_eq!(draw("a", b"x"), draw("a", b"x"));
        assert_ne!(draw("a", b"x"), draw("b", b"x"));
        assert_ne!(draw("a", b"x"), draw("a", b"y"));
    }

    #[test]
    fn a_shuffle_moves_every_item_everywhere() {
        // 5000 shuffles of 5: each item about 1000 times at each place (4 sigma = 114).
        let mut counts = [[0u32; 5]; 5];
        let mut rng = stream("test", &[]);
        for _ in 0..5000 {
            let mut items = [0, 1, 2, 3, 4];
            shuffle(&mut items, &mut rng);
            for (place, item) in items.into_iter().enumerate() {
                counts[place][item] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|count| (880..1120).contains(count)), "{counts:?}");
    }

    #[test]
    fn unit_draws_stay_inside_their_interval() {
        let mut rng = stream("test", &[]);
        let mean =
            (0..10_000).map(|_| unit_f32(&mut rng)).inspect(|x| assert!((0.0..1.0).contains(x)));
        let mean = mean.sum::<f32>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert!((0..10_000).map(|_| unit_f64(&mut rng)).all(|x| x > 0.0 && x <= 1.0));
    }
}
