//! From a ciphertext's words to elements of Z_q: `bh = round((b - offset mod 2^P) q / 2^P) mod q`,
//! where the offset is what all owners add alike ([`RoundConfig::centre`]).

use crate::audit::element::{Element, MODULUS};
use crate::config::{Packing, RoundConfig};

/// The lift of one round's words.
#[derive(Clone)]
pub(crate) struct Lift<'a> {
    config: &'a RoundConfig,
    packing: Packing,
    mask: u128,
    /// The offset of a coefficient that carries nothing but units.
    whole: u128,
}

impl<'a> Lift<'a> {
    pub(crate) fn new(config: &'a RoundConfig) -> Self {
        let packing = config.packing;
        let units = (0..packing.lanes).map(|_| config.quantiser.offset() as u16);
        let mask = (1 << packing.pad_bits()) - 1;
        Self { config, packing, mask, whole: message(&packing, units) }
    }

    /// Calls `each` with every lifted word of chunk `chunk`, below or equal to q, in order.
    #[inline(always)]
    pub(crate) fn for_chunk(&self, chunk: u32, bytes: &[u8], mut each: impl FnMut(usize, u128)) {
        let lanes = u64::from(self.packing.lanes);
        let first = u64::from(chunk) * self.config.chunk_coordinates();
        let units = self.config.vector_coordinates();
        for c in 0..self.config.chunk_coefficients(chunk) {
            let start = first + c as u64 * lanes;
            let offset = if start + lanes <= units {
                self.whole
            } else {
                message(&self.packing, (start..start + lanes).map(|i| self.config.centre(i)))
            };
            let word = word(bytes, c, self.packing.pad_bits()) & self.mask;
            each(c, self.scale(word.wrapping_sub(offset) & self.mask));
        }
    }

    /// `round(word q / 2^P)`, for a word of P bits, 65 <= P <= 100. The product has up to 200 bits.
    #[inline(always)]
    pub(crate) const fn scale(&self, word: u128) -> u128 {
        scale(word, self.packing.pad_bits())
    }

    /// Delta_l for each lane: `round(q 2^(R + l L - P))`, what one unit in lane l becomes.
    pub(crate) fn factors(&self) -> Vec<Element> {
        let Packing { lane_bits, noise_bits, .. } = self.packing;
        let unit = |lane| 1u128 << (noise_bits + lane * lane_bits);
        let factor = |lane| Element::of_reduced(self.scale(unit(lane)));
        (0..self.packing.lanes).map(factor).collect()
    }
}

#[inline(always)]
const fn scale(word: u128, bits: u32) -> u128 {
    const LOW: u128 = (1 << 64) - 1;
    let (word_high, word_low) = (word >> 64, word & LOW);
    let (q_high, q_low) = (MODULUS >> 64, MODULUS & LOW);
    let low = word_low * q_low;
    let middle = word_low * q_high + word_high * q_low + (low >> 64);
    // Half of 2^P is a whole multiple of 2^64; what is dropped below 2^64 carries into nothing.
    let middle = middle + (1 << (bits - 65));
    let high = word_high * q_high + (middle >> 64);
    (high << (128 - bits)) + ((middle & LOW) >> (bits - 64))
}

/// The lanes of one coefficient, above the noise bits.
fn message(packing: &Packing, lanes: impl DoubleEndedIterator<Item = u16>) -> u128 {
    let lanes = lanes.rev();
    let message = lanes.fold(0u128, |message, raw| message << packing.lane_bits | u128::from(raw));
    message << packing.noise_bits
}

/// Word `index` of a stream of words of `bits` bits, with higher bits of what follows it.
#[inline(always)]
fn word(bytes: &[u8], index: usize, bits: u32) -> u128 {
    let bit = index * bits as usize;
    let rest = &bytes[bit / 8..];
    let load = match rest.first_chunk::<16>() {
        Some(load) => *load,
        None => {
            let mut load = [0; 16];
            load[..rest.len()].copy_from_slice(rest);
            load
        }
    };
    u128::from_le_bytes(load) >> (bit % 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::terms::tests::audited;
    use crate::sum::pack::tests::reference;

    /// `round(word q / 2^P)` by long division, a bit of the word at a time.
    fn slow(word: u128, bits: u32) -> u128 {
        // The integer part of word q / 2^P, and its fraction in units of 2^-P.
        let (mut whole, mut fraction) = (0u128, 0u128);
        for i in (0..bits).rev() {
            (whole, fraction) = (2 * whole, 2 * fraction);
            if word >> i & 1 == 1 {
                whole += MODULUS >> bits;
                fraction += MODULUS & ((1 << bits) - 1);
            }
            whole += fraction >> bits;
            fraction &= (1 << bits) - 1;
        }
        whole + (fraction >> (bits - 1))
    }

    proptest! {
        #[test]
        fn scaling_rounds_to_the_nearest(word in any::<u128>(), bits in 82u32..=90) {
            let mask = (1u128 << bits) - 1;
            for word in [word & mask, 0, 1, mask, mask / 2, mask / 2 + 1] {
                prop_assert_eq!(scale(word, bits), slow(word, bits));
            }
        }
    }

    #[test]
    fn words_are_read_where_they_were_packed_and_their_offsets_taken_off() {
        let config = audited(30_000, 100, 64);
        let lift = Lift::new(&config);
        let lanes = u64::from(config.packing.lanes);
        let bits = config.packing.pad_bits();
        let last = config.chunks() - 1;
        let coefficients = config.chunk_coefficients(last);
        let words: Vec<u128> = (0..coefficients as u128)
            .map(|c| (c + 1).wrapping_mul(0x1234_5678_9abc_def0_1234_5678_9abc_def1) & lift.mask)
            .collect();
        let bytes = reference(&words, bits);
        assert_eq!(bytes.len(), config.chunk_bytes(last));
        let mut next = 0;
        lift.for_chunk(last, &bytes, |c, got| {
            assert_eq!(c, next);
            next += 1;
            let mut word = words[c];
            let start = u64::from(last) * config.chunk_coordinates() + c as u64 * lanes;
            for l in 0..lanes {
                let shift = config.packing.noise_bits + l as u32 * config.packing.lane_bits;
                word = word.wrapping_sub(u128::from(config.centre(start + l)) << shift);
            }
            assert_eq!(got, slow(word & lift.mask, bits));
        });
        assert_eq!(next, coefficients);
    }

    #[test]
    fn centres_are_those_of_what_an_owner_does_not_choose() {
        let mut config = audited(100, 10, 64);
        config.counters = 1;
        let centres: Vec<u16> = (0..config.coordinates() + 3).map(|i| config.centre(i)).collect();
        assert_eq!(centres[..100], [128; 100]);
        assert_eq!(centres[100..164], [1; 64]);
        assert_eq!(centres[164..172], [128; 8]);
        assert_eq!(centres[172..], [0; 3]);
    }
}
