//! The variance of noise, as a ratio of integers, and what each client adds of it.

/// Largest numerator and denominator. Keeps every product of the sampler below 2^121: see
/// [`crate::gaussian`].
pub const TERM_MAX: u64 = 1 << 48;

/// The parameter sigma^2 of a discrete Gaussian, in squared units of the sum: a fraction in lowest
/// terms, both of which are 1 to [`TERM_MAX`].
///
/// It is an upper bound of the distribution's variance, and within 10^-7 of it from sigma^2 = 1 on
/// (Canonne, Kamath, Steinke 2020, arXiv 2004.00010, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    numerator: u64,
    denominator: u64,
}

/// A variance that cannot be drawn exactly, or cannot be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVariance {
    /// Nothing, or a division by nothing.
    #[error("a variance is a ratio of two numbers above 0, this is {0} / {1}")]
    Zero(u64, u64),
    /// In lowest terms still too long for exact arithmetic.
    #[error("a variance is a ratio of numbers up to 2^48, this is {0} / {1}")]
    TooLong(u64, u64),
    /// Nobody would be left to add noise.
    #[error("of {clients} clients {missing} may be missing, so nobody needs to add noise")]
    NobodyLeft {
        /// Clients that add noise.
        clients: u32,
        /// How many of them may be missing or in league with whoever looks.
        missing: u32,
    },
}

impl Variance {
    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`BadVariance::Zero`] and [`BadVariance::TooLong`].
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, BadVariance> {
        if numerator == 0 || denominator == 0 {
            return Err(BadVariance::Zero(numerator, denominator));
        }
        let common = common_divisor(numerator, denominator);
        let (numerator, denominator) = (numerator / common, denominator / common);
        if numerator > TERM_MAX || denominator > TERM_MAX {
            return Err(BadVariance::TooLong(numerator, denominator));
        }
        Ok(Self { numerator, denominator })
    }

    /// What each of `clients` adds so that any `clients - missing` of them together carry at least
    /// this variance: a part of `clients - missing`, exactly where the denominator stays within
    /// [`TERM_MAX`], else rounded up to a multiple of 1 / [`TERM_MAX`].
    ///
    /// The variances of independent noise add up, but a sum of discrete Gaussians is not quite a
    /// discrete Gaussian; [`crate::distributed`] accounts for the difference.
    ///
    /// # Errors
    /// [`BadVariance::NobodyLeft`] unless `missing < clients`.
    pub fn share(self, clients: u32, missing: u32) -> Result<Self, BadVariance> {
        let least = match clients.checked_sub(missing) {
            None | Some(0) => return Err(BadVariance::NobodyLeft { clients, missing }),
            Some(least) => u64::from(least),
        };
        let common = common_divisor(self.numerator, least);
        let numerator = self.numerator / common;
        // Below 2^48 * 2^32.
        let denominator = u128::from(self.denominator) * u128::from(least / common);
        if denominator <= u128::from(TERM_MAX) {
            return Self::new(numerator, denominator as u64);
        }
        // The share is below 1 here, so the numerator is at most TERM_MAX.
        let rounded = (u128::from(numerator) * u128::from(TERM_MAX)).div_ceil(denominator);
        Self::new(rounded as u64, TERM_MAX)
    }

    /// In lowest terms.
    #[must_use]
    pub fn numerator(self) -> u64 {
        self.numerator
    }

    /// In lowest terms.
    #[must_use]
    pub fn denominator(self) -> u64 {
        self.denominator
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Both are below 2^53, so there is one rounding.
        self.numerator as f64 / self.denominator as f64
    }
}

/// Euclid's; both above 0.
fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variance_is_kept_in_lowest_terms_and_refused_where_sampling_could_overflow() {
        let variance = Variance::new(6 << 50, 4 << 50).expect("3 / 2");
        assert_eq!((variance.numerator(), variance.denominator()), (3, 2));
        assert_eq!(Variance::new(0, 1), Err(BadVariance::Zero(0, 1)));
        assert_eq!(Variance::new(1, 0), Err(BadVariance::Zero(1, 0)));
        assert!(Variance::new(TERM_MAX, TERM_MAX - 1).is_ok());
        assert_eq!(Variance::new(TERM_MAX + 1, 1), Err(BadVariance::TooLong(TERM_MAX + 1, 1)));
        assert_eq!(Variance::new(1, TERM_MAX + 1), Err(BadVariance::TooLong(1, TERM_MAX + 1)));
    }

    #[test]
    fn shares_of_those_that_must_be_left_carry_the_whole_variance_and_hardly_more() {
        for (numerator, denominator) in [(1, 1), (123_456, 7), (TERM_MAX, 1), (1, TERM_MAX)] {
            let whole = Variance::new(numerator, denominator).expect("a variance");
            for (clients, missing) in [(1, 0), (10, 3), (1_000, 1), (u32::MAX, 0)] {
                let share = whole.share(clients, missing).expect("a share");
                let least = u128::from(clients - missing);
                // share * least >= whole, cross-multiplied.
                let carried =
                    u128::from(share.numerator()) * least * u128::from(whole.denominator());
                let needed = u128::from(whole.numerator()) * u128::from(share.denominator());
                assert!(carried >= needed, "{whole:?} {clients} {missing}");
                // At most one unit of 1 / TERM_MAX for each.
                let unit = least * u128::from(whole.denominator());
                assert!(carried - needed < unit, "{whole:?} {clients} {missing}");
            }
        }
        let seven = Variance::new(70, 3).expect("a variance").share(10, 3).expect("a share");
        assert_eq!((seven.numerator(), seven.denominator()), (10, 3));
    }

    #[test]
    fn noise_that_nobody_would_add_is_refused() {
        let variance = Variance::new(1, 1).expect("a variance");
        for (clients, missing) in [(0, 0), (3, 3), (3, 4)] {
            assert_eq!(
                variance.share(clients, missing),
                Err(BadVariance::NobodyLeft { clients, missing })
            );
        }
    }
}
