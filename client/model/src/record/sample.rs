//! Poisson samples: every example is in or not, by a coin of its own.

use rand::Rng as _;
use rand_chacha::ChaCha20Rng;

/// 2^64
const WHOLE: f64 = 18_446_744_073_709_551_616.0;

/// Draws the sample of one step after the other.
pub(super) struct Sampler {
    examples: usize,
    /// Draws of 64 bits below it are in: never more likely than the rate says.
    bound: u128,
    rng: ChaCha20Rng,
}

impl Sampler {
    /// Of so many examples, each in with probability `rate`.
    pub(super) fn new(examples: usize, rate: f64, rng: ChaCha20Rng) -> Self {
        // The product is exact and the cast cuts what is below one.
        Self { examples, bound: (rate * WHOLE) as u128, rng }
    }

    /// The numbers of the examples that are in, in order.
    pub(super) fn draw(&mut self) -> Vec<usize> {
        let Self { examples, bound, rng } = self;
        (0..*examples).filter(|_| u128::from(rng.next_u64()) < *bound).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn sampler(examples: usize, rate: f64) -> Sampler {
        Sampler::new(examples, rate, ChaCha20Rng::from_seed([5; 32]))
    }

    #[test]
    fn a_rate_of_one_takes_all_and_other_rates_their_share() {
        assert_eq!(sampler(5, 1.0).draw(), [0, 1, 2, 3, 4]);
        let mut sampler = sampler(1000, 0.1);
        let (mut sizes, mut often) = (Vec::new(), vec![0_u32; 1000]);
        for _ in 0..1000 {
            let sample = sampler.draw();
            sizes.push(sample.len() as f64);
            sample.into_iter().for_each(|one| often[one] += 1);
        }
        let mean = sizes.iter().sum::<f64>() / 1000.0;
        let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / 999.0;
        // Of a binomial: 100 and 90. Four standard deviations of either are 1.2 and 16.
        assert!((mean - 100.0).abs() < 1.2 && (variance - 90.0).abs() < 16.0, "{mean} {variance}");
        // Five standard deviations of each example's own count are 47.
        assert!(often.iter().all(|count| (50..150).contains(count)), "{often:?}");
    }

    #[test]
    fn samples_of_a_small_rate_are_often_empty() {
        let mut sampler = sampler(10, 0.01);
        let empty = (0..1000).filter(|_| sampler.draw().is_empty()).count();
        // 0.99^10 is 0.904; four standard deviations are 37.
        assert!((867..=941).contains(&empty), "{empty}");
    }
}
