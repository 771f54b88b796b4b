//! Elements of Z_q, q = q1 q2 of profile B, as pairs of residues.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use zeroize::{Zeroize, Zeroizing};

use crate::sum::modulus::{Factor, PRIMES, add_mod, pow_mod, reduce_once, residue, sub_mod};
use crate::sum::pack::{GROUP, pack_residues, unpack_residues};
use crate::sum::product::Barrett;
use crate::sum::xof::Xof;

/// q.
pub(crate) const MODULUS: u128 = PRIMES[0] as u128 * PRIMES[1] as u128;

const BARRETT: [Barrett; 2] = [Barrett::new(PRIMES[0]), Barrett::new(PRIMES[1])];

/// `q1^-1 mod q2`.
const FIRST_INVERSE: Factor =
    Factor::new(pow_mod(PRIMES[0] % PRIMES[1], PRIMES[1] - 2, PRIMES[1]), PRIMES[1]);

/// Elements of a group as they are packed: 50 bytes.
const GROUP_ELEMENTS: usize = GROUP / 2;
const GROUP_BYTES: usize = 50;

/// An element of Z_q.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Element(pub(crate) [u64; 2]);

impl Element {
    /// Zero.
    pub const ZERO: Self = Self([0; 2]);

    /// One.
    pub const ONE: Self = Self([1; 2]);

    fn pairwise(self, other: Self, f: impl Fn(usize, u64, u64) -> u64) -> Self {
        Self([f(0, self.0[0], other.0[0]), f(1, self.0[1], other.0[1])])
    }

    /// The multiplicative inverse; zero where a residue is zero. Of public numbers.
    pub(crate) fn inverse(self) -> Self {
        self.pairwise(Self::ZERO, |limb, x, _| pow_mod(x, PRIMES[limb] - 2, PRIMES[limb]))
    }

    /// The representative in (-q/2, q/2).
    #[must_use]
    pub fn centred(self) -> i128 {
        let [first, second] = self.0;
        let prime = PRIMES[1];
        // The first prime is less than twice the second, so one subtraction reduces.
        let difference = sub_mod(second, reduce_once(first, prime), prime);
        let multiple = FIRST_INVERSE.times(difference, prime);
        let value = u128::from(first) + u128::from(PRIMES[0]) * u128::from(multiple);
        if value > MODULUS / 2 { value as i128 - MODULUS as i128 } else { value as i128 }
    }

    /// `value mod q`, of a number below q.
    pub(crate) const fn of_reduced(value: u128) -> Self {
        Self([(value % PRIMES[0] as u128) as u64, (value % PRIMES[1] as u128) as u64])
    }
}

impl From<i64> for Element {
    fn from(value: i64) -> Self {
        // Below a prime in absolute value in nearly all uses, where no division is needed.
        if value.unsigned_abs() < PRIMES[1] {
            Self(PRIMES.map(|prime| residue(value, prime)))
        } else {
            Self(PRIMES.map(|prime| value.rem_euclid(prime as i64) as u64))
        }
    }
}

impl From<i128> for Element {
    fn from(value: i128) -> Self {
        Self(PRIMES.map(|prime| value.rem_euclid(i128::from(prime)) as u64))
    }
}

impl Add for Element {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.pairwise(other, |limb, a, b| add_mod(a, b, PRIMES[limb]))
    }
}

impl Sub for Element {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.pairwise(other, |limb, a, b| sub_mod(a, b, PRIMES[limb]))
    }
}

impl Mul for Element {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.pairwise(other, |limb, a, b| BARRETT[limb].times(a, b))
    }
}

impl Neg for Element {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Element {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Element {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Element {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

impl Zeroize for Element {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// `number` elements of the stream `stream` under `key`: limb l is the XOF's stream `2 stream + l`.
pub(crate) fn expand(key: &[u8; 32], stream: u64, number: usize) -> Zeroizing<Vec<Element>> {
    let mut elements = Zeroizing::new(vec![Element::ZERO; number]);
    let mut limb = Zeroizing::new(vec![0; number]);
    for (l, &prime) in PRIMES.iter().enumerate() {
        Xof::new(key, 2 * stream + l as u64).uniform(prime, &mut limb);
        for (element, &residue) in elements.iter_mut().zip(limb.iter()) {
            element.0[l] = residue;
        }
    }
    elements
}

/// Bytes of `number` packed elements: 12.5 each, whole groups of four.
pub(crate) const fn packed_bytes(number: usize) -> usize {
    number.div_ceil(GROUP_ELEMENTS) * GROUP_BYTES
}

/// Appends elements, packed; the last group is filled with zeros.
pub(crate) fn pack(elements: &[Element], out: &mut Vec<u8>) {
    let mut residues: Vec<u64> = elements.iter().flat_map(|element| element.0).collect();
    residues.resize(elements.len().next_multiple_of(GROUP_ELEMENTS) * 2, 0);
    pack_residues(&residues, out);
}

/// Reads `number` packed elements; `None` unless these are the bytes that [`pack`] makes of them.
pub(crate) fn unpack(bytes: &[u8], number: usize) -> Option<Vec<Element>> {
    if bytes.len() != packed_bytes(number) {
        return None;
    }
    let residues: Vec<u64> = unpack_residues(bytes).collect();
    let mut elements: Vec<Element> =
        residues.chunks_exact(2).map(|pair| Element([pair[0], pair[1]])).collect();
    let is_reduced = elements.iter().all(|e| e.0[0] < PRIMES[0] && e.0[1] < PRIMES[1]);
    let is_filled = elements[number..].iter().all(|element| *element == Element::ZERO);
    elements.truncate(number);
    (is_reduced && is_filled).then_some(elements)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any element, those near zero and half of q among them.
    pub(crate) fn element() -> impl Strategy<Value = (Element, i128)> {
        let q = MODULUS as i128;
        let near = |x: i128| (x - 3..=x + 3).boxed();
        prop_oneof![near(0), near(q / 2 - 4), near(-q / 2 + 4), (-q / 2..=q / 2).boxed()]
            .prop_map(|value| (Element::from(value), value))
    }

    fn modulo(value: i128) -> i128 {
        let q = MODULUS as i128;
        let reduced = value.rem_euclid(q);
        if reduced > q / 2 { reduced - q } else { reduced }
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_integers_modulo_q((a, x) in element(), (b, y) in element()) {
            prop_assert_eq!(a.centred(), x);
            prop_assert_eq!((a + b).centred(), modulo(x + y));
            prop_assert_eq!((a - b).centred(), modulo(x - y));
            prop_assert_eq!((-a).centred(), modulo(-x));
            for (limb, prime) in PRIMES.iter().map(|&prime| i128::from(prime)).enumerate() {
                let expected = x.rem_euclid(prime) * y.rem_euclid(prime) % prime;
                prop_assert_eq!(i128::from((a * b).0[limb]), expected);
            }
        }

        #[test]
        fn inverses_multiply_to_one((a, _) in element()) {
            prop_assume!(a.0[0] != 0 && a.0[1] != 0);
            prop_assert_eq!(a * a.inverse(), Element::ONE);
        }

        #[test]
        fn small_numbers_are_what_they_are(x in any::<i64>()) {
            prop_assert_eq!(Element::from(x), Element::from(i128::from(x)));
            prop_assert_eq!(Element::from(x).centred(), i128::from(x));
        }

        #[test]
        fn packed_elements_have_one_form(
            elements in proptest::collection::vec(element(), 1..20),
        ) {
            let elements: Vec<Element> = elements.into_iter().map(|(element, _)| element).collect();
            let mut bytes = Vec::new();
            pack(&elements, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(elements.len()));
            prop_assert_eq!(unpack(&bytes, elements.len()), Some(elements.clone()));
            prop_assert_eq!(unpack(&bytes[1..], elements.len()), None);
            if !elements.len().is_multiple_of(GROUP_ELEMENTS) {
                *bytes.last_mut().expect("not empty") = 1;
                prop_assert_eq!(unpack(&bytes, elements.len()), None);
            }
        }
    }

    #[test]
    fn residues_that_are_not_reduced_are_refused() {
        let mut bytes = Vec::new();
        let all = (1 << 50) - 1;
        pack_residues(&[PRIMES[0], 0, 0, 0, 0, 0, 0, 0], &mut bytes);
        assert_eq!(unpack(&bytes, 4), None);
        bytes.clear();
        pack_residues(&[0, all, 0, 0, 0, 0, 0, 0], &mut bytes);
        assert_eq!(unpack(&bytes, 4), None);
    }

    #[test]
    fn streams_of_a_key_do_not_repeat_each_other() {
        let draw = |key: u8, stream| expand(&[key; 32], stream, 5).to_vec();
        assert_eq!(draw(1, 0)[..3], expand(&[1; 32], 0, 3)[..]);
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }
}
