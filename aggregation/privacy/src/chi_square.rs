//! Pearson's test of draws against a distribution, for the tests of the samplers.

/// Cells that would expect fewer are joined with the tail.
const EXPECTED_MIN: f64 = 10.0;

/// Standard deviations of a statistic that a right sampler passes with probability 1 - 10^-6.
const LIMIT: f64 = 4.75;

/// Counts of integers, up to a bound in absolute value; beyond it, counts of the two tails.
pub(crate) struct ChiSquare<F> {
    chance: F,
    bound: i64,
    counts: Vec<u64>,
    total: u64,
}

impl<F: Fn(i64) -> f64> ChiSquare<F> {
    pub(crate) fn new(chance: F, bound: i64) -> Self {
        Self { chance, bound, counts: vec![0; 2 * bound as usize + 1], total: 0 }
    }

    pub(crate) fn count(&mut self, value: i64) {
        self.total += 1;
        if value.abs() <= self.bound {
            self.counts[(value + self.bound) as usize] += 1;
        }
    }

    /// How many standard deviations the statistic is above its mean (Wilson and Hilferty's cube
    /// root, which is good in the tail).
    pub(crate) fn deviations(&self) -> f64 {
        let total = self.total as f64;
        let (mut statistic, mut cells) = (0.0, 0u32);
        // What is counted in no cell of its own.
        let (mut rest_expected, mut rest) = (total, total);
        for (value, &count) in (-self.bound..=self.bound).zip(&self.counts) {
            let (expected, count) = (total * (self.chance)(value), count as f64);
            if expected >= EXPECTED_MIN {
                statistic += (count - expected).powi(2) / expected;
                cells += 1;
                rest_expected -= expected;
                rest -= count;
            }
        }
        if rest_expected >= EXPECTED_MIN {
            statistic += (rest - rest_expected).powi(2) / rest_expected;
        } else {
            cells -= 1;
        }
        let freedom = f64::from(cells);
        let spread = 2.0 / (9.0 * freedom);
        ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
    }

    pub(crate) fn check(&self, what: &str) {
        let deviations = self.deviations();
        assert!(deviations < LIMIT, "{what}: {deviations} standard deviations off");
    }
}
