//! Products modulo a prime of 50 bits, a vector of them at a time.
//!
//! With vector instructions in binary64: `h = x y` rounded, `l = x y - h` exactly (a fused
//! multiply-add), `k = round(h / prime)`, result `(h - k prime) + l`. Why it is exact: h / prime is
//! computed with a relative error below 3 2^-53, that is below 3/8 as it is below 2^50; so k is
//! less than 7/8 off and |h - k prime| < 2^50, an integer that binary64 holds. This is the method
//! of FLINT's `fft_small`. Elsewhere in integers, with Barrett's estimate of the quotient.
//!
//! Neither branches on what it multiplies, and no operand is subnormal.

use pulp::{Simd, WithSimd};

use crate::sum::modulus::reduce_once;
use crate::sum::path::{Path, dispatch};

/// `values[i] <- values[i] factors[i] mod prime`, all of them reduced.
pub(crate) fn multiply(values: &mut [u64], factors: &[u64], prime: u64) {
    match Path::current() {
        Path::Portable => {
            let barrett = Barrett::new(prime);
            for (value, &factor) in values.iter_mut().zip(factors) {
                *value = barrett.times(*value, factor);
            }
        }
        Path::Ifma | Path::Avx2 => dispatch(Products { values, factors, prime }),
    }
}

/// `values[i] <- (values[i] - others[i]) factor mod prime`: `values` and `factor` reduced,
/// `others` reduced modulo a prime less than 2^18 above this one.
pub(crate) fn subtract_and_multiply(values: &mut [u64], others: &[u64], factor: u64, prime: u64) {
    match Path::current() {
        Path::Portable => {
            let barrett = Barrett::new(prime);
            for (value, &other) in values.iter_mut().zip(others) {
                // One prime does not make the difference positive, two do.
                let difference = reduce_once(*value + 2 * prime - other, 2 * prime);
                *value = barrett.times(reduce_once(difference, prime), factor);
            }
        }
        Path::Ifma | Path::Avx2 => dispatch(Differences { values, others, factor, prime }),
    }
}

/// A prime, and `floor(2^113 / prime)`.
pub(crate) struct Barrett {
    prime: u64,
    reciprocal: u64,
}

impl Barrett {
    pub(crate) const fn new(prime: u64) -> Self {
        Self { prime, reciprocal: ((1u128 << 113) / prime as u128) as u64 }
    }

    /// `x y mod prime`, for x and y below the prime.
    pub(crate) const fn times(&self, x: u64, y: u64) -> u64 {
        let product = x as u128 * y as u128;
        // At most two too small: one for each factor rounded down.
        let estimate = (((product >> 49) * self.reciprocal as u128) >> 64) as u64;
        let rest = (product as u64).wrapping_sub(estimate.wrapping_mul(self.prime));
        reduce_once(reduce_once(rest, 2 * self.prime), self.prime)
    }
}

/// 2^52: from here to 2^53, binary64 numbers are the integers, in the low bits.
const INTEGERS: f64 = (1u64 << 52) as f64;

/// Arithmetic modulo a prime in vectors of binary64.
struct Modular<S: Simd> {
    simd: S,
    prime: S::f64s,
    minus_prime: S::f64s,
    inverse: S::f64s,
    integers: S::f64s,
    /// 1.5 2^52: adding and subtracting it rounds numbers below 2^51 in absolute value.
    rounding: S::f64s,
}

impl<S: Simd> Modular<S> {
    #[inline(always)]
    fn new(simd: S, prime: u64) -> Self {
        let number = |x| simd.splat_f64s(x);
        let prime = prime as f64;
        Self {
            simd,
            prime: number(prime),
            minus_prime: number(-prime),
            inverse: number(1.0 / prime),
            integers: number(INTEGERS),
            rounding: number(1.5 * INTEGERS),
        }
    }

    /// From integers below 2^52.
    #[inline(always)]
    fn load(&self, x: S::u64s) -> S::f64s {
        let simd = self.simd;
        let bits = simd.or_u64s(x, simd.transmute_u64s_f64s(self.integers));
        simd.sub_f64s(simd.transmute_f64s_u64s(bits), self.integers)
    }

    #[inline(always)]
    fn store(&self, x: S::f64s) -> S::u64s {
        let simd = self.simd;
        let bits = simd.transmute_u64s_f64s(simd.add_f64s(x, self.integers));
        simd.xor_u64s(bits, simd.transmute_u64s_f64s(self.integers))
    }

    /// `x y mod prime`, for integers below 2^50 in absolute value.
    #[inline(always)]
    fn times(&self, x: S::f64s, y: S::f64s) -> S::f64s {
        let simd = self.simd;
        let high = simd.mul_f64s(x, y);
        let low = simd.mul_add_f64s(x, y, simd.neg_f64s(high));
        let quotient = simd.mul_f64s(high, self.inverse);
        let quotient = simd.sub_f64s(simd.add_f64s(quotient, self.rounding), self.rounding);
        let rest = simd.add_f64s(simd.mul_add_f64s(quotient, self.minus_prime, high), low);
        let is_negative = simd.less_than_f64s(rest, simd.splat_f64s(0.0));
        simd.select_f64s(is_negative, simd.add_f64s(rest, self.prime), rest)
    }
}

struct Products<'a> {
    values: &'a mut [u64],
    factors: &'a [u64],
    prime: u64,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let modular = Modular::new(simd, self.prime);
        let (values, rest) = S::as_mut_simd_u64s(self.values);
        let (factors, _) = S::as_simd_u64s(self.factors);
        assert!(rest.is_empty(), "whole vectors");
        for (value, factor) in values.iter_mut().zip(factors) {
            *value = modular.store(modular.times(modular.load(*value), modular.load(*factor)));
        }
    }
}

struct Differences<'a> {
    values: &'a mut [u64],
    others: &'a [u64],
    factor: u64,
    prime: u64,
}

impl WithSimd for Differences<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let modular = Modular::new(simd, self.prime);
        let factor = simd.splat_f64s(self.factor as f64);
        let (values, rest) = S::as_mut_simd_u64s(self.values);
        let (others, _) = S::as_simd_u64s(self.others);
        assert!(rest.is_empty(), "whole vectors");
        for (value, other) in values.iter_mut().zip(others) {
            let difference = simd.sub_f64s(modular.load(*value), modular.load(*other));
            *value = modular.store(modular.times(difference, factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sum::modulus::PRIMES;

    fn product(x: u64, y: u64, prime: u64) -> u64 {
        (u128::from(x) * u128::from(y) % u128::from(prime)) as u64
    }

    /// Numbers near the ends and the middle, and any.
    fn residues(prime: u64) -> impl Strategy<Value = u64> {
        let near = |x: u64| (x.saturating_sub(3)..=x + 3).prop_map(move |x| x.min(prime - 1));
        prop_oneof![near(0), near(prime / 2), near(prime - 1), near(1 << 49), 0..prime]
    }

    proptest! {
        #[test]
        fn both_ways_multiply_exactly(
            which in 0usize..2,
            pairs in proptest::collection::vec((residues(PRIMES[1]), residues(PRIMES[1])), 16..=16),
        ) {
            let prime = PRIMES[which];
            let (x, y): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let expected: Vec<u64> = x.iter().zip(&y).map(|(&x, &y)| product(x, y, prime)).collect();
            let mut got = x.clone();
            multiply(&mut got, &y, prime);
            prop_assert_eq!(&got, &expected);
            let barrett = Barrett::new(prime);
            let got: Vec<u64> = x.iter().zip(&y).map(|(&x, &y)| barrett.times(x, y)).collect();
            prop_assert_eq!(&got, &expected);
        }

        #[test]
        fn differences_are_multiplied_exactly(
            pairs in proptest::collection::vec((residues(PRIMES[1]), residues(PRIMES[0])), 16..=16),
            factor in residues(PRIMES[1]),
        ) {
            let prime = PRIMES[1];
            let (mut x, y): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let difference = |(&x, &y): (&u64, &u64)| (x + 2 * prime - y) % prime;
            let expected: Vec<u64> =
                x.iter().zip(&y).map(difference).map(|d| product(d, factor, prime)).collect();
            subtract_and_multiply(&mut x, &y, factor, prime);
            prop_assert_eq!(x, expected);
        }
    }
}
