//! The pad that hides a chunk: `round((A s + e) 2^P / q) mod 2^P`, one word of P bits for each
//! coefficient (design note, section 4, step 4).
//!
//! # The scaling is exact enough
//! With two primes, `x = CRT(x1, x2) = x1 + q1 t` with `t = (x2 - x1) / q1 mod q2`, hence
//! `x 2^P / q = t 2^P / q2 + x1 2^P / q`. Both factors are held with 64 fractional bits, rounded
//! down: an error below 2^-64 each, times t < 2^50 and x1 < 2^50. So the rounding is off by less
//! than `1/2 + 2^-13` instead of 1/2; with one prime, `1/2 + 2^-14`. `Packing::derive` leaves
//! room for it: it counts n + 4 halves where n + 1 roundings take place, and 3/2 > (n + 1) 2^-13
//! for every n up to 10,000.

use zeroize::Zeroizing;

use crate::config::{Profile, RoundConfig};
use crate::hash::Digest;
use crate::sum::gauss::{self, GAUSS_MAX};
use crate::sum::mask::Mask;
use crate::sum::modulus::{PRIMES, pow_mod, residue, transforms};
use crate::sum::path::dispatch;
use crate::sum::product::{multiply, subtract_and_multiply};
use crate::sum::transform::Transform;
use crate::sum::xof::Xof;

/// A key (or a sum of keys) in the transformed domain, one vector for each prime; divided by N, so
/// that the inverse transform of a product needs no more.
pub(crate) struct TransformedKey(Vec<Zeroizing<Vec<u64>>>);

/// Makes pads of one round, reusing its buffers.
pub(crate) struct Padder {
    transforms: &'static [Transform],
    mask: Mask,
    scale: Scale,
    limbs: Vec<Zeroizing<Vec<u64>>>,
    words: Zeroizing<Vec<u64>>,
    noise: Zeroizing<Vec<i64>>,
}

impl Padder {
    /// For the round `round_ctx`.
    pub(crate) fn new(config: &RoundConfig, round_ctx: &Digest) -> Self {
        Self::with_bits(config.profile, config.packing.pad_bits(), round_ctx)
    }

    /// For words of `bits` bits.
    pub(crate) fn with_bits(profile: Profile, bits: u32, round_ctx: &Digest) -> Self {
        let n = profile.ring_dimension();
        Self {
            transforms: transforms(profile),
            mask: Mask::new(round_ctx),
            scale: Scale::new(profile, bits),
            limbs: (0..profile.limbs()).map(|_| Zeroizing::new(vec![0; n])).collect(),
            words: Zeroizing::new(vec![0; n]),
            noise: Zeroizing::new(vec![0; n]),
        }
    }

    /// Transforms a key; its entries are below 2^49 in absolute value.
    pub(crate) fn transform(
        &self,
        key: impl ExactSizeIterator<Item = i64> + Clone,
    ) -> TransformedKey {
        self.transform_by(key, residue)
    }

    /// Transforms a public sum of keys, of any length: not in constant time.
    pub(crate) fn transform_sum(&self, sum: &[i128]) -> TransformedKey {
        let of = |&entry: &i128, prime: u64| entry.rem_euclid(i128::from(prime)) as u64;
        self.transform_by(sum.iter(), of)
    }

    fn transform_by<T>(
        &self,
        key: impl ExactSizeIterator<Item = T> + Clone,
        residue: impl Fn(T, u64) -> u64,
    ) -> TransformedKey {
        let limb = |transform: &Transform| {
            let prime = transform.prime();
            let mut limb = Zeroizing::new(vec![0; key.len()]);
            for (value, entry) in limb.iter_mut().zip(key.clone()) {
                *value = residue(entry, prime);
            }
            transform.forward(&mut limb);
            for value in limb.iter_mut() {
                *value = transform.length_inverse().times(*value, prime);
            }
            limb
        };
        TransformedKey(self.transforms.iter().map(limb).collect())
    }

    /// A s of chunk `chunk` modulo the prime of limb `limb`.
    pub(crate) fn product(&mut self, chunk: u32, limb: usize, key: &TransformedKey) -> &[u64] {
        let (product, transform) = (&mut self.limbs[limb], &self.transforms[limb]);
        self.mask.expand(chunk, limb, transform.prime(), product);
        multiply(product, &key.0[limb], transform.prime());
        transform.inverse(product);
        product
    }

    /// The pad of chunk `chunk` with fresh noise drawn from `noise`, or with none: calls `each`
    /// with the words of the first coefficients, as many as `each` has items to go with them.
    ///
    /// `each` should be marked `#[inline(always)]`: it becomes part of the scaling's loop.
    pub(crate) fn pad<T>(
        &mut self,
        chunk: u32,
        key: &TransformedKey,
        noise: Option<&mut Xof>,
        items: impl Iterator<Item = T>,
        each: impl FnMut(T, u128),
    ) {
        for limb in 0..self.limbs.len() {
            self.product(chunk, limb, key);
        }
        self.scale.divide(&mut self.limbs);
        match noise {
            Some(xof) => gauss::sample(xof, &mut self.words, &mut self.noise),
            None => self.noise.fill(0),
        }
        let (scale, limbs, noise) = (&self.scale, self.limbs.as_slice(), self.noise.as_slice());
        dispatch(
            #[inline(always)]
            || scale.each(limbs, noise, items, each),
        );
    }
}

/// `x -> round(x 2^P / q) mod 2^P` in fixed point.
struct Scale {
    /// `2^P - 1`.
    mask: u128,
    /// One prime: `floor(2^(P+64) / q1)`. Two: `floor(2^(P+64) / (q1 q2))`.
    first: u64,
    /// Two primes: `floor(2^(P+64) / q2)`, high and low word.
    second: (u64, u64),
    /// Two primes: `q1^-1 mod q2`.
    inverse: u64,
}

/// Half a unit of the last place, below which 64 fractional bits lie.
const HALF: u128 = 1 << 63;

impl Scale {
    fn new(profile: Profile, bits: u32) -> Self {
        let mask = (1 << bits) - 1;
        let [q1, q2] = PRIMES.map(u128::from);
        match profile {
            Profile::A => {
                let first = power_of_two_over(bits + 64, q1) as u64;
                Self { mask, first, second: (0, 0), inverse: 0 }
            }
            Profile::B => {
                let first = power_of_two_over(bits + 64, q1 * q2) as u64;
                let second = power_of_two_over(bits + 64, q2);
                let second = ((second >> 64) as u64, second as u64);
                Self { mask, first, second, inverse: inverse_of_first_prime() }
            }
        }
    }

    /// Residues x1, x2 to x1, t with x = x1 + q1 t.
    fn divide(&self, limbs: &mut [Zeroizing<Vec<u64>>]) {
        if let [one, two] = limbs {
            subtract_and_multiply(two, one, self.inverse, PRIMES[1]);
        }
    }

    /// Scales what [`Self::divide`] left, plus noise.
    #[inline(always)]
    fn each<T>(
        &self,
        limbs: &[Zeroizing<Vec<u64>>],
        noise: &[i64],
        items: impl Iterator<Item = T>,
        mut each: impl FnMut(T, u128),
    ) {
        match limbs {
            [one] => {
                for ((item, &x), &noise) in items.zip(one.iter()).zip(noise) {
                    each(item, self.one(x, noise));
                }
            }
            [one, two] => {
                for (((item, &x), &t), &noise) in items.zip(one.iter()).zip(two.iter()).zip(noise) {
                    each(item, self.two(x, t, noise));
                }
            }
            _ => unreachable!("a profile has one or two primes"),
        }
    }

    /// `round((x + noise) 2^P / q1)`.
    #[inline(always)]
    fn one(&self, x: u64, noise: i64) -> u128 {
        self.rounded(0, u128::from(lift(x, noise)) * u128::from(self.first))
    }

    /// `round((x1 + noise + q1 t) 2^P / q)`. The noise is added to x1 without reducing it.
    #[inline(always)]
    fn two(&self, x1: u64, t: u64, noise: i64) -> u128 {
        let (high, low) = self.second;
        let t = u128::from(t);
        let fraction = t * u128::from(low) + u128::from(lift(x1, noise)) * u128::from(self.first);
        self.rounded(t * u128::from(high), fraction)
    }

    /// `whole + round(fraction / 2^64) mod 2^P`, the fraction without what [`lift`] added to it.
    #[inline(always)]
    fn rounded(&self, whole: u128, fraction: u128) -> u128 {
        let lifted = LIFT as u128 * u128::from(self.first);
        let fraction = (fraction + HALF) as i128 - lifted as i128;
        whole.wrapping_add((fraction >> 64) as u128) & self.mask
    }
}

/// What makes a residue with noise positive.
const LIFT: u64 = GAUSS_MAX as u64;

/// `x + noise + LIFT`.
#[inline(always)]
const fn lift(x: u64, noise: i64) -> u64 {
    x + (noise + LIFT as i64) as u64
}

/// `floor(2^exponent / divisor)` by long division, for results below 2^128.
fn power_of_two_over(exponent: u32, divisor: u128) -> u128 {
    let (mut quotient, mut rest) = (0u128, 1u128);
    for _ in 0..exponent {
        rest <<= 1;
        quotient <<= 1;
        if rest >= divisor {
            rest -= divisor;
            quotient |= 1;
        }
    }
    quotient
}

/// `q1^-1 mod q2`, by Fermat: `q1^(q2 - 2)`.
pub(crate) const fn inverse_of_first_prime() -> u64 {
    let [q1, q2] = PRIMES;
    pow_mod(q1, q2 - 2, q2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Quotient and remainder of `x 2^bits / q`, bit by bit.
    fn exact(x: u128, bits: u32, q: u128) -> (u128, u128) {
        let (mut quotient, mut rest) = (0, x);
        for _ in 0..bits {
            rest <<= 1;
            quotient <<= 1;
            if rest >= q {
                rest -= q;
                quotient |= 1;
            }
        }
        (quotient, rest)
    }

    /// The fixed-point result is the rounded one, or its neighbour when the fraction is within
    /// 2^-13 of a half.
    fn assert_rounds(got: u128, x: u128, bits: u32, q: u128) {
        let (floor, rest) = exact(x, bits, q);
        let mask = (1 << bits) - 1;
        let nearest = (floor + u128::from(rest > q / 2)) & mask;
        let from_half = rest.abs_diff(q / 2);
        let is_close = from_half <= (q >> 13) + 1;
        let other = (floor + u128::from(rest <= q / 2)) & mask;
        assert!(got == nearest || (is_close && got == other), "{x} at {bits} bits");
    }

    proptest! {
        #[test]
        fn two_primes_scale_like_exact_division(
            x in 0..u128::from(PRIMES[0]) * u128::from(PRIMES[1]),
            bits in 4u32..=96,
        ) {
            let [q1, q2] = PRIMES.map(u128::from);
            let got = Scale::new(Profile::B, bits).two((x % q1) as u64, (x / q1) as u64, 0);
            assert_rounds(got, x, bits, q1 * q2);
        }

        #[test]
        fn one_prime_scales_like_exact_division(x in 0..PRIMES[0], bits in 4u32..=46) {
            let got = Scale::new(Profile::A, bits).one(x, 0);
            assert_rounds(got, x.into(), bits, PRIMES[0].into());
        }
    }

    #[test]
    fn noise_is_added_before_scaling_also_across_the_ends() {
        let [q1, q2] = PRIMES.map(u128::from);
        let q = q1 * q2;
        for bits in [8, 82, 96] {
            for noise in [-64i64, -1, 0, 1, 64] {
                for x in [0, 1, 63, q1 - 1, q1, q - 64, q - 1] {
                    let sum = (x as i128 + i128::from(noise)).rem_euclid(q as i128) as u128;
                    let scale = Scale::new(Profile::B, bits);
                    let got = scale.two((x % q1) as u64, (x / q1) as u64, noise);
                    assert_rounds(got, sum, bits, q);
                }
                for x in [0, 1, 63, q1 - 64, q1 - 1] {
                    let bits = bits.min(46);
                    let sum = (x as i128 + i128::from(noise)).rem_euclid(q1 as i128) as u128;
                    let got = Scale::new(Profile::A, bits).one(x as u64, noise);
                    assert_rounds(got, sum, bits, q1);
                }
            }
        }
    }

    #[test]
    fn scaling_holds_at_the_ends() {
        let [q1, q2] = PRIMES.map(u128::from);
        for bits in [8, 82, 96] {
            let scale = Scale::new(Profile::B, bits);
            for x in [0, 1, q1 - 1, q1, q2, q1 * q2 / 2, q1 * q2 / 2 + 1, q1 * q2 - 1] {
                let got = scale.two((x % q1) as u64, (x / q1) as u64, 0);
                assert_rounds(got, x, bits, q1 * q2);
            }
        }
    }

    #[test]
    fn pad_is_the_rounded_negacyclic_product_plus_noise() {
        for (profile, bits) in [(Profile::A, 40), (Profile::B, 82)] {
            let n = profile.ring_dimension();
            let round_ctx = Digest([7; 32]);
            let mask = Mask::new(&round_ctx);
            let key = crate::sum::gauss::tests::draws(3, n);
            let mut padder = Padder::with_bits(profile, bits, &round_ctx);
            let transformed = padder.transform(key.iter().copied());
            let mut got = vec![0; n];
            let mut noise = Xof::new(&[4; 32], 0);
            padder.pad(5, &transformed, Some(&mut noise), got.iter_mut(), |got, word| *got = word);
            let noise = crate::sum::gauss::tests::draws(4, n);

            // A in the ordinary domain, and some coefficients of A s + e by the definition.
            let masks: Vec<Vec<u64>> = (0..)
                .zip(transforms(profile))
                .map(|(limb, transform)| {
                    let mut a = vec![0; n];
                    mask.expand(5, limb, transform.prime(), &mut a);
                    transform.inverse(&mut a);
                    let length = transform.length_inverse();
                    a.iter().map(|&x| length.times(x, transform.prime())).collect()
                })
                .collect();
            for c in [0, 1, n / 2 + 3, n - 1] {
                let limbs: Vec<u128> = masks
                    .iter()
                    .zip(PRIMES)
                    .map(|(a, q)| {
                        let product: i128 = (0..n)
                            .map(|i| {
                                let sign = if i <= c { 1 } else { -1 };
                                i128::from(a[(c + n - i) % n]) * sign * i128::from(key[i])
                            })
                            .sum();
                        (product + i128::from(noise[c])).rem_euclid(i128::from(q)) as u128
                    })
                    .collect();
                let (x, q) = match limbs[..] {
                    [x] => (x, u128::from(PRIMES[0])),
                    [x1, x2] => {
                        let [q1, q2] = PRIMES.map(u128::from);
                        let t = (x2 + q2 * 2 - x1) % q2 * u128::from(inverse_of_first_prime()) % q2;
                        (x1 + q1 * t, q1 * q2)
                    }
                    _ => unreachable!("one or two limbs"),
                };
                assert_rounds(got[c], x, bits, q);
            }
        }
    }

    #[test]
    fn inverse_is_one() {
        let [q1, q2] = PRIMES.map(u128::from);
        assert_eq!(q1 * u128::from(inverse_of_first_prime()) % q2, 1);
    }
}
