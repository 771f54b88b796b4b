//! The primes of the modulus and their number-theoretic transforms.
//!
//! # Whose transform
//! `tfhe_ntt::prime64::Plan`, directly. `tfhe` reaches the same plan through
//! `core_crypto::commons::math::ntt::ntt64::Ntt64`, but that has no pointwise product and *adds*
//! its inverse to the output, a further pass. Measured with N = 4096 on AVX2 (`secure_sum` of
//! `covey-benches`, figure `ntt.inverse`): 6.0 ns per coefficient directly, 7.0 through `Ntt64`.
//! So `tfhe` is not needed at run time; tests use its security curve, benches its GLWE encryption.
//!
//! Order and root of the transform are those of `tfhe-ntt` 0.7.1 and part of the format, because
//! the public masks are drawn in the transformed domain. The version is pinned exactly and
//! `tests/vectors/pad.json` would tell a change.

use std::sync::LazyLock;

use crate::config::Profile;
use crate::sum::transform::Transform;

/// Bits of a residue.
pub(crate) const RESIDUE_BITS: u32 = 50;

/// The two largest primes below 2^50 that are 1 modulo 2^14, so that negacyclic transforms of
/// length 4096 (and 2048) exist: 2^50 - 2^14 + 1 and 2^50 - 13 2^14 + 1.
pub(crate) const PRIMES: [u64; 2] = [1_125_899_906_826_241, 1_125_899_906_629_633];

/// The primes of a profile's modulus.
pub(crate) const fn primes(profile: Profile) -> &'static [u64] {
    PRIMES.split_at(profile.limbs()).0
}

/// `x mod prime` for a small signed `x` (|x| < prime).
pub(crate) const fn residue(x: i64, prime: u64) -> u64 {
    (x + ((x >> 63) & prime as i64)) as u64
}

/// `(a + b) mod prime` for reduced `a` and `b`.
#[inline(always)]
pub(crate) const fn add_mod(a: u64, b: u64, prime: u64) -> u64 {
    add_if_negative((a + b).wrapping_sub(prime), prime)
}

/// `(a - b) mod prime` for reduced `a` and `b`.
#[inline(always)]
pub(crate) const fn sub_mod(a: u64, b: u64, prime: u64) -> u64 {
    add_if_negative(a.wrapping_sub(b), prime)
}

/// `x + prime` for a negative `x`, else `x`, as two's complement. The mask comes from the sign bit:
/// of one that comes from a borrow the compiler makes a conditional jump.
#[inline(always)]
const fn add_if_negative(x: u64, prime: u64) -> u64 {
    x.wrapping_add(prime & ((x as i64) >> 63) as u64)
}

/// A fixed factor and `floor(factor 2^64 / prime)`, with which products cost three
/// multiplications (Shoup).
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    value: u64,
    quotient: u64,
}

impl Factor {
    /// A factor below `prime`, public: computed by a division.
    pub(crate) const fn new(value: u64, prime: u64) -> Self {
        Self { value, quotient: (((value as u128) << 64) / prime as u128) as u64 }
    }

    /// `x factor mod prime`, for any x.
    #[inline(always)]
    pub(crate) const fn times(self, x: u64, prime: u64) -> u64 {
        // The estimate of the quotient is at most one too small.
        let estimate = ((x as u128 * self.quotient as u128) >> 64) as u64;
        let rest = x.wrapping_mul(self.value).wrapping_sub(estimate.wrapping_mul(prime));
        reduce_once(rest, prime)
    }
}

/// `x mod prime` for `x` below 2 `prime`.
#[inline(always)]
pub(crate) const fn reduce_once(x: u64, prime: u64) -> u64 {
    add_mod(x, 0, prime)
}

/// `base^exponent mod prime`, of public numbers.
pub(crate) const fn pow_mod(base: u64, mut exponent: u64, prime: u64) -> u64 {
    let (mut square, mut power) = (base as u128 % prime as u128, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power * square % prime as u128;
        }
        square = square * square % prime as u128;
        exponent >>= 1;
    }
    power as u64
}

/// Roots of unity of order 2N for each prime of the profile, as `tfhe-ntt` takes them. Part of
/// the format.
pub(crate) const fn roots(profile: Profile) -> &'static [u64] {
    match profile {
        Profile::A => &[765_727_830_662_934],
        Profile::B => &[1_094_367_314_627_419, 709_280_883_825_816],
    }
}

/// One transform for each prime of the profile. The tables of roots take a millisecond to
/// compute, hence are kept.
pub(crate) fn transforms(profile: Profile) -> &'static [Transform] {
    static SMALL: LazyLock<Vec<Transform>> = LazyLock::new(|| compute_transforms(Profile::A));
    static LARGE: LazyLock<Vec<Transform>> = LazyLock::new(|| compute_transforms(Profile::B));
    match profile {
        Profile::A => &SMALL,
        Profile::B => &LARGE,
    }
}

fn compute_transforms(profile: Profile) -> Vec<Transform> {
    let pairs = primes(profile).iter().zip(roots(profile));
    pairs.map(|(&prime, &root)| Transform::new(profile.ring_dimension(), prime, root)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mul_mod(a: u64, b: u64, modulus: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
    }

    /// Miller-Rabin with the first twelve primes is exact below 3.3e24 (Sorenson, Webster 2015).
    fn is_prime(n: u64) -> bool {
        let twos = (n - 1).trailing_zeros();
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].iter().all(|&base| {
            let mut x = pow_mod(base, (n - 1) >> twos, n);
            let mut squares = (0..twos).map(|_| {
                let now = x;
                x = mul_mod(x, x, n);
                now
            });
            let first = squares.next().expect("n is odd");
            first == 1 || first == n - 1 || squares.any(|y| y == n - 1)
        })
    }

    #[test]
    fn primes_are_the_two_largest_below_2_to_the_50_with_the_roots_needed() {
        let candidates = (1u64..).map(|i| (1u64 << 50) + 1 - (i << 14));
        let found: Vec<u64> = candidates.filter(|&q| is_prime(q)).take(2).collect();
        assert_eq!(found, PRIMES);
    }

    #[test]
    fn transform_multiplies_modulo_x_to_the_n_plus_one() {
        for profile in [Profile::A, Profile::B] {
            let n = profile.ring_dimension();
            for transform in transforms(profile) {
                let prime = transform.prime();
                // X^(n-1) * X^2 = X^(n+1) = -X.
                let (mut a, mut b) = (vec![0; n], vec![0; n]);
                (a[n - 1], b[2]) = (1, 1);
                transform.forward(&mut a);
                transform.forward(&mut b);
                for (a, b) in a.iter_mut().zip(b) {
                    *a = transform.length_inverse().times(mul_mod(*a, b, prime), prime);
                }
                transform.inverse(&mut a);
                let mut expected = vec![0; n];
                expected[1] = prime - 1;
                assert_eq!(a, expected);
            }
        }
    }

    #[test]
    fn shoups_product_is_the_product() {
        for q in PRIMES {
            for x in [0, 1, 2, q / 2, q - 1, u64::MAX] {
                for factor in [0, 1, 77, q / 3, q - 1] {
                    let expected = (u128::from(x) * u128::from(factor) % u128::from(q)) as u64;
                    assert_eq!(Factor::new(factor, q).times(x, q), expected);
                }
            }
        }
    }

    #[test]
    fn small_arithmetic_is_modular() {
        let q = PRIMES[0];
        assert_eq!(residue(-3, q), q - 3);
        assert_eq!(residue(64, q), 64);
        assert_eq!(add_mod(q - 1, q - 1, q), q - 2);
        assert_eq!(add_mod(1, 2, q), 3);
        assert_eq!(add_mod(q - 1, 1, q), 0);
        assert_eq!(sub_mod(1, 2, q), q - 1);
        assert_eq!(sub_mod(5, 2, q), 3);
    }
}
