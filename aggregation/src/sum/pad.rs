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
        let profile = config.profile;
        let n = profile.ring_dimension();
        Self {
            plans: plans(profile),
            mask: Mask::new(round_ctx),
            scale: Scale::new(profile, config.packing.pad_bits()),
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
