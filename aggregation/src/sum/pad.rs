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

use pulp::Arch;
use tfhe_ntt::prime64::Plan;
use zeroize::Zeroizing;

use crate::config::{Profile, RoundConfig};
use crate::hash::Digest;
use crate::sum::gauss;
use crate::sum::mask::Mask;
use crate::sum::modulus::{PRIMES, add_mod, plans, residue};
use crate::sum::xof::Xof;

/// A key (or a sum of keys) in the transformed domain, one vector for each prime.
pub(crate) struct TransformedKey(Vec<Zeroizing<Vec<u64>>>);

/// Makes pads of one round, reusing its buffers.
pub(crate) struct Padder {
    plans: &'static [Plan],
    mask: Mask,
    scale: Scale,
    limbs: Vec<Zeroizing<Vec<u64>>>,
    words: Zeroizing<Vec<u64>>,
    noise: Zeroizing<Vec<i64>>,
    pad: Zeroizing<Vec<u128>>,
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
            plans: plans(profile),
            mask: Mask::new(round_ctx),
            scale: Scale::new(profile, bits),
            limbs: (0..profile.limbs()).map(|_| Zeroizing::new(vec![0; n])).collect(),
            words: Zeroizing::new(Vec::with_capacity(n)),
            noise: Zeroizing::new(vec![0; n]),
            pad: Zeroizing::new(vec![0; n]),
        }
    }

    /// Transforms a key; its entries are below 2^49 in absolute value.
    pub(crate) fn transform(&self, key: impl Iterator<Item = i64> + Clone) -> TransformedKey {
        let transformed = self.plans.iter().map(|plan| {
            let residues = key.clone().map(|entry| residue(entry, plan.modulus()));
            let mut limb = Zeroizing::new(Vec::with_capacity(plan.ntt_size()));
            limb.extend(residues);
            plan.fwd(&mut limb);
            limb
        });
        TransformedKey(transformed.collect())
    }

    /// The pad of chunk `chunk` with fresh noise drawn from `noise`, or with none.
    pub(crate) fn pad(
        &mut self,
        chunk: u32,
        key: &TransformedKey,
        noise: Option<&mut Xof>,
    ) -> &mut [u128] {
        for ((limb, plan), key) in (0..).zip(self.plans).zip(&key.0) {
            let product = &mut self.limbs[limb];
            self.mask.expand(chunk, limb, plan.modulus(), product);
            plan.mul_assign_normalize(product, key);
            plan.inv(product);
        }
        match noise {
            Some(xof) => gauss::sample(xof, &mut self.words, &mut self.noise),
            None => self.noise.fill(0),
        }
        let (scale, noise, pad) = (&self.scale, &self.noise, &mut self.pad);
        let limbs = self.limbs.as_slice();
        Arch::new().dispatch(
            #[inline(always)]
            || scale.apply(limbs, noise, pad),
        );
        &mut self.pad
    }
}

/// `x + noise mod prime`.
const fn noisy(x: u64, noise: i64, prime: u64) -> u64 {
    add_mod(x, residue(noise, prime), prime)
}

/// `x -> round(x 2^P / q) mod 2^P` in fixed point.
struct Scale {
    /// `2^P - 1`.
    mask: u128,
    /// One prime: `floor(2^(P+64) / q1)`. Two: `floor(2^(P+64) / (q1 q2))`.
    first: u64,
    /// Two primes: `floor(2^(P+64) / q2)`, high and low word.
    second: (u64, u64),
    /// `q1^-1 mod q2`, and that times 2^64 / q2 rounded down (Shoup's quotient).
    inverse: (u64, u64),
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
                Self { mask, first, second: (0, 0), inverse: (0, 0) }
            }
            Profile::B => {
                let first = power_of_two_over(bits + 64, q1 * q2) as u64;
                let second = power_of_two_over(bits + 64, q2);
                let inverse = inverse_of_first_prime();
                let quotient = ((u128::from(inverse) << 64) / q2) as u64;
                Self {
                    mask,
                    first,
                    second: ((second >> 64) as u64, second as u64),
                    inverse: (inverse, quotient),
                }
            }
        }
    }

    /// Scales residues plus noise.
    #[inline(always)]
    fn apply(&self, limbs: &[Zeroizing<Vec<u64>>], noise: &[i64], pad: &mut [u128]) {
        match limbs {
            [one] => {
                for ((pad, &x), &noise) in pad.iter_mut().zip(one.iter()).zip(noise) {
                    *pad = self.one(noisy(x, noise, PRIMES[0]));
                }
            }
            [one, two] => {
                let residues = one.iter().zip(two.iter());
                for ((pad, (&x, &y)), &noise) in pad.iter_mut().zip(residues).zip(noise) {
                    *pad = self.two(noisy(x, noise, PRIMES[0]), noisy(y, noise, PRIMES[1]));
                }
            }
            _ => unreachable!("a profile has one or two primes"),
        }
    }

    #[inline(always)]
    fn one(&self, x: u64) -> u128 {
        ((u128::from(x) * u128::from(self.first) + HALF) >> 64) & self.mask
    }

    #[inline(always)]
    fn two(&self, x1: u64, x2: u64) -> u128 {
        let q2 = PRIMES[1];
        // q1 > q2 > q1 - 2^18, so one q2 does not make the difference positive, two do.
        let difference = x2 + 2 * q2 - x1;
        let (inverse, quotient) = self.inverse;
        // Shoup: the estimate of the quotient is at most one too small.
        let estimate = ((u128::from(difference) * u128::from(quotient)) >> 64) as u64;
        let t = difference.wrapping_mul(inverse).wrapping_sub(estimate.wrapping_mul(q2));
        let t = u128::from(add_mod(t, 0, q2));
        let (high, low) = self.second;
        let fraction = t * u128::from(low) + u128::from(x1) * u128::from(self.first) + HALF;
        (t * u128::from(high) + (fraction >> 64)) & self.mask
    }
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
fn inverse_of_first_prime() -> u64 {
    let [q1, q2] = PRIMES.map(u128::from);
    let (mut power, mut square, mut exponent) = (1, q1 % q2, q2 - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power * square % q2;
        }
        square = square * square % q2;
        exponent >>= 1;
    }
    power as u64
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
            let got = Scale::new(Profile::B, bits).two((x % q1) as u64, (x % q2) as u64);
            assert_rounds(got, x, bits, q1 * q2);
        }

        #[test]
        fn one_prime_scales_like_exact_division(x in 0..PRIMES[0], bits in 4u32..=46) {
            let got = Scale::new(Profile::A, bits).one(x);
            assert_rounds(got, x.into(), bits, PRIMES[0].into());
        }
    }

    #[test]
    fn scaling_holds_at_the_ends() {
        let [q1, q2] = PRIMES.map(u128::from);
        for bits in [8, 82, 96] {
            let scale = Scale::new(Profile::B, bits);
            for x in [0, 1, q1 - 1, q1, q2, q1 * q2 / 2, q1 * q2 / 2 + 1, q1 * q2 - 1] {
                assert_rounds(scale.two((x % q1) as u64, (x % q2) as u64), x, bits, q1 * q2);
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
            let got = padder.pad(5, &transformed, Some(&mut Xof::new(&[4; 32], 0))).to_vec();
            let noise = crate::sum::gauss::tests::draws(4, n);

            // A in the ordinary domain, and some coefficients of A s + e by the definition.
            let masks: Vec<Vec<u64>> = (0..)
                .zip(plans(profile))
                .map(|(limb, plan)| {
                    let mut a = vec![0; n];
                    mask.expand(5, limb, plan.modulus(), &mut a);
                    plan.inv(&mut a);
                    plan.normalize(&mut a);
                    a
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
