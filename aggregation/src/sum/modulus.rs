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

use tfhe_ntt::prime64::Plan;

use crate::config::Profile;

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
pub(crate) const fn add_mod(a: u64, b: u64, prime: u64) -> u64 {
    let sum = a + b;
    let (reduced, borrow) = sum.overflowing_sub(prime);
    reduced.wrapping_add(prime & (borrow as u64).wrapping_neg())
}

/// `(a - b) mod prime` for reduced `a` and `b`.
pub(crate) const fn sub_mod(a: u64, b: u64, prime: u64) -> u64 {
    let (difference, borrow) = a.overflowing_sub(b);
    difference.wrapping_add(prime & (borrow as u64).wrapping_neg())
}

/// One plan for each prime of the profile. The tables of roots take 0.4 ms to compute, hence are
/// kept.
///
/// # Panics
/// Never: that both primes have transforms of both lengths is tested.
pub(crate) fn plans(profile: Profile) -> &'static [Plan] {
    static SMALL: LazyLock<Vec<Plan>> = LazyLock::new(|| compute_plans(Profile::A));
    static LARGE: LazyLock<Vec<Plan>> = LazyLock::new(|| compute_plans(Profile::B));
    match profile {
        Profile::A => &SMALL,
        Profile::B => &LARGE,
    }
}

fn compute_plans(profile: Profile) -> Vec<Plan> {
    let plan = |&prime: &u64| {
        Plan::try_new(profile.ring_dimension(), prime).expect("2N divides prime - 1")
    };
    primes(profile).iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mul_mod(a: u64, b: u64, modulus: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
    }

    fn pow_mod(base: u64, mut exponent: u64, modulus: u64) -> u64 {
        let (mut square, mut power) = (base % modulus, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = mul_mod(power, square, modulus);
            }
            square = mul_mod(square, square, modulus);
            exponent >>= 1;
        }
        power
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
            for plan in plans(profile) {
                let prime = plan.modulus();
                // X^(n-1) * X^2 = X^(n+1) = -X.
                let (mut a, mut b) = (vec![0; n], vec![0; n]);
                (a[n - 1], b[2]) = (1, 1);
                plan.fwd(&mut a);
                plan.fwd(&mut b);
                plan.mul_assign_normalize(&mut a, &b);
                plan.inv(&mut a);
                let mut expected = vec![0; n];
                expected[1] = prime - 1;
                assert_eq!(a, expected);
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
