//! The number-theoretic transform: `tfhe-ntt` where it has vector instructions for it, and
//! the same transform written out plainly elsewhere.
//!
//! The plain one follows Longa and Naehrig, "Speeding up the Number Theoretic Transform" (ePrint
//! 2016/504), algorithms 1 and 2, with Shoup's multiplication (Harvey, "Faster arithmetic for
//! number-theoretic transforms", 2014). It is also the definition of the format's order and root:
//! entry i of a transform is the polynomial's value at `root^(2 bitrev(i) + 1)`.

use tfhe_ntt::prime64::Plan;

use crate::sum::modulus::{Factor, add_mod, pow_mod, sub_mod};
use crate::sum::path::Path;

/// Transforms of one length modulo one prime.
pub(crate) struct Transform {
    plan: Plan,
    roots: Vec<Factor>,
    inverse_roots: Vec<Factor>,
    length_inverse: Factor,
}

impl Transform {
    /// With a `root` of order 2 `length`.
    ///
    /// # Panics
    /// When `tfhe-ntt` has no transform for them: a fault of the constants.
    pub(crate) fn new(length: usize, prime: u64, root: u64) -> Self {
        let inverse = |x| pow_mod(x, prime - 2, prime);
        let powers = |base| {
            let bits = length.trailing_zeros();
            let exponent = |i: usize| (i.reverse_bits() >> (usize::BITS - bits)) as u64;
            (0..length).map(|i| Factor::new(pow_mod(base, exponent(i), prime), prime)).collect()
        };
        Self {
            plan: Plan::try_new(length, prime).expect("2N divides prime - 1"),
            roots: powers(root),
            inverse_roots: powers(inverse(root)),
            length_inverse: Factor::new(inverse(length as u64), prime),
        }
    }

    /// The prime.
    pub(crate) fn prime(&self) -> u64 {
        self.plan.modulus()
    }

    /// The inverse of the length: what [`Self::inverse`] leaves out.
    pub(crate) const fn length_inverse(&self) -> Factor {
        self.length_inverse
    }

    /// From coefficients to values.
    pub(crate) fn forward(&self, values: &mut [u64]) {
        match Path::current() {
            Path::Portable => forward(&self.roots, self.prime(), values),
            Path::Ifma | Path::Avx2 => self.plan.fwd(values),
        }
    }

    /// From values to coefficients, times the length.
    pub(crate) fn inverse(&self, values: &mut [u64]) {
        match Path::current() {
            Path::Portable => inverse(&self.inverse_roots, self.prime(), values),
            Path::Ifma | Path::Avx2 => self.plan.inv(values),
        }
    }
}

fn forward(roots: &[Factor], prime: u64, values: &mut [u64]) {
    let mut half = values.len() / 2;
    while half > 0 {
        let blocks = values.len() / (2 * half);
        for (block, root) in values.chunks_exact_mut(2 * half).zip(&roots[blocks..]) {
            let (low, high) = block.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                let turned = root.times(*high, prime);
                (*low, *high) = (add_mod(*low, turned, prime), sub_mod(*low, turned, prime));
            }
        }
        half /= 2;
    }
}

fn inverse(roots: &[Factor], prime: u64, values: &mut [u64]) {
    let mut half = 1;
    while half < values.len() {
        let blocks = values.len() / (2 * half);
        for (block, root) in values.chunks_exact_mut(2 * half).zip(&roots[blocks..]) {
            let (low, high) = block.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                let difference = sub_mod(*low, *high, prime);
                (*low, *high) = (add_mod(*low, *high, prime), root.times(difference, prime));
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;
    use crate::sum::modulus::transforms;
    use crate::sum::xof::Xof;

    #[test]
    fn plain_transform_is_that_of_tfhe_ntt() {
        for profile in [Profile::A, Profile::B] {
            for transform in transforms(profile) {
                let prime = transform.prime();
                let mut input = vec![0; profile.ring_dimension()];
                Xof::new(&[7; 32], 0).uniform(prime, &mut input);
                let (mut ours, mut theirs) = (input.clone(), input.clone());
                forward(&transform.roots, prime, &mut ours);
                transform.plan.fwd(&mut theirs);
                assert_eq!(ours, theirs);
                inverse(&transform.inverse_roots, prime, &mut ours);
                transform.plan.inv(&mut theirs);
                assert_eq!(ours, theirs);
                let length = transform.length_inverse();
                let back: Vec<u64> = ours.iter().map(|&x| length.times(x, prime)).collect();
                assert_eq!(back, input);
            }
        }
    }

    #[test]
    fn values_are_at_odd_powers_of_the_root_in_bit_reversed_order() {
        let transform = &transforms(Profile::A)[0];
        let (prime, n) = (transform.prime(), Profile::A.ring_dimension());
        let root = crate::sum::modulus::roots(Profile::A)[0];
        // The polynomial 5 + 3 X^7.
        let mut values = vec![0; n];
        (values[0], values[7]) = (5, 3);
        forward(&transform.roots, prime, &mut values);
        for (i, value) in values.iter().enumerate() {
            let place = (i.reverse_bits() >> (usize::BITS - n.trailing_zeros())) as u64;
            let x = pow_mod(root, 2 * place + 1, prime);
            let seventh = Factor::new(3, prime).times(pow_mod(x, 7, prime), prime);
            assert_eq!(*value, add_mod(5, seventh, prime));
        }
    }
}
