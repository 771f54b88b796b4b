//! The adjoint of the masks: for a public vector r over all coefficients, the g of Z_q^N with
//! `<g, s> = <r, A s>` for every key s.
//!
//! A s of one chunk is the product of polynomials a(X) s(X) modulo X^N + 1; its adjoint is the
//! product with a(X^-1). Entry i of a transform is the polynomial's value at `root^(2 bitrev(i) + 1)`
//! ([`crate::sum::transform`]), whose inverse is entry N - 1 - i: so a(X^-1) is the mask read
//! backwards.

use crate::config::Profile;
use crate::hash::Digest;
use crate::sum::mask::Mask;
use crate::sum::modulus::{add_mod, transforms};
use crate::sum::product::multiply;
use crate::sum::transform::Transform;

/// Adds up A* r chunk by chunk.
pub(crate) struct Adjoint {
    transforms: &'static [Transform],
    mask: Mask,
    /// In the transformed domain.
    sums: Vec<Vec<u64>>,
    expanded: Vec<u64>,
}

impl Adjoint {
    /// Of the masks of the round `round_ctx`.
    pub(crate) fn new(profile: Profile, round_ctx: &Digest) -> Self {
        let n = profile.ring_dimension();
        Self {
            transforms: transforms(profile),
            mask: Mask::new(round_ctx),
            sums: vec![vec![0; n]; profile.limbs()],
            expanded: vec![0; n],
        }
    }

    /// Adds chunk `chunk`, whose entries of r modulo each prime are `limbs`, N of them, which are
    /// overwritten.
    pub(crate) fn add(&mut self, chunk: u32, limbs: &mut [Vec<u64>]) {
        for (limb, ((r, transform), sum)) in
            limbs.iter_mut().zip(self.transforms).zip(&mut self.sums).enumerate()
        {
            let prime = transform.prime();
            self.mask.expand(chunk, limb, prime, &mut self.expanded);
            self.expanded.reverse();
            transform.forward(r);
            multiply(r, &self.expanded, prime);
            for (sum, value) in sum.iter_mut().zip(r.iter()) {
                *sum = add_mod(*sum, *value, prime);
            }
        }
    }

    /// g, modulo each prime.
    pub(crate) fn finish(mut self) -> Vec<Vec<u64>> {
        for (sum, transform) in self.sums.iter_mut().zip(self.transforms) {
            let prime = transform.prime();
            transform.inverse(sum);
            for value in sum.iter_mut() {
                *value = transform.length_inverse().times(*value, prime);
            }
        }
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sum::modulus::{primes, residue};
    use crate::sum::pad::Padder;
    use crate::sum::xof::Xof;

    #[test]
    fn adjoint_moves_the_masks_to_the_other_side_of_the_product() {
        let round_ctx = Digest([9; 32]);
        for profile in [Profile::A, Profile::B] {
            let n = profile.ring_dimension();
            let key = crate::sum::gauss::tests::draws(4, n);
            let mut padder = Padder::with_bits(profile, 40, &round_ctx);
            let transformed = padder.transform(key.iter().copied());
            let mut adjoint = Adjoint::new(profile, &round_ctx);
            let product = |a: &[u64], b: &[u64], prime: u64| {
                let terms = a.iter().zip(b).map(|(&a, &b)| u128::from(a) * u128::from(b));
                terms.fold(0, |sum, term| (sum + term) % u128::from(prime))
            };
            let mut left = vec![0u128; profile.limbs()];
            for chunk in [0, 1, 5] {
                let mut r: Vec<Vec<u64>> = vec![vec![0; n]; profile.limbs()];
                for (limb, &prime) in r.iter_mut().zip(primes(profile)) {
                    Xof::new(&[chunk as u8; 32], prime).uniform(prime, limb);
                }
                for (limb, &prime) in primes(profile).iter().enumerate() {
                    let masked = padder.product(chunk, limb, &transformed);
                    let sum = left[limb] + product(&r[limb], masked, prime);
                    left[limb] = sum % u128::from(prime);
                }
                adjoint.add(chunk, &mut r);
            }
            for ((g, &prime), left) in adjoint.finish().iter().zip(primes(profile)).zip(left) {
                let key: Vec<u64> = key.iter().map(|&entry| residue(entry, prime)).collect();
                assert_eq!(product(g, &key, prime), left);
            }
        }
    }
}
