//! Words of P bits as a little-endian bit stream. Eight words fill exactly P bytes, and every
//! chunk is whole groups of eight, so there are no spare bits anywhere.

use crate::sum::modulus::RESIDUE_BITS;

/// Words of a group.
pub(crate) const GROUP: usize = 8;

/// Widest word.
pub(crate) const WORD_BITS_MAX: u32 = 96;

/// Writes words of P bits, whole groups of eight.
pub(crate) struct Packer<'a> {
    bits: u32,
    /// The packed bytes, and [`PACKER_SLACK`] more.
    out: &'a mut [u8],
    /// Bits written.
    position: usize,
    /// The bits of the last byte begun.
    open: u128,
}

/// Bytes that the last 16-byte store reaches beyond the packed ones, at most.
pub(crate) const PACKER_SLACK: usize = 16;

impl<'a> Packer<'a> {
    /// Into the beginning of `out`.
    pub(crate) fn new(bits: u32, out: &'a mut [u8]) -> Self {
        debug_assert!(bits <= WORD_BITS_MAX);
        Self { bits, out, position: 0, open: 0 }
    }

    /// Writes `word`, which is below 2^bits.
    #[inline(always)]
    pub(crate) fn push(&mut self, word: u128) {
        let byte = self.position / 8;
        // At most 7 bits and 96: no more than fit.
        let value = word << (self.position % 8) | self.open;
        self.out[byte..byte + 16].copy_from_slice(&value.to_le_bytes());
        self.position += self.bits as usize;
        self.open = value >> (8 * (self.position / 8 - byte));
    }
}

/// Appends residues as 50-bit words (their number a multiple of eight).
pub(crate) fn pack_residues(residues: &[u64], out: &mut Vec<u8>) {
    debug_assert!(residues.len().is_multiple_of(GROUP));
    let (start, bytes) = (out.len(), residues.len() * RESIDUE_BITS as usize / 8);
    out.resize(start + bytes + PACKER_SLACK, 0);
    let mut packer = Packer::new(RESIDUE_BITS, &mut out[start..]);
    residues.iter().for_each(|&residue| packer.push(residue.into()));
    out.truncate(start + bytes);
}

/// Reads 50-bit words: the inverse of [`pack_residues`]. A rest of less than eight is ignored.
pub(crate) fn unpack_residues(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(RESIDUE_BITS as usize).flat_map(|group| {
        std::array::from_fn::<u64, GROUP, _>(|i| {
            let bit = i * RESIDUE_BITS as usize;
            // 50 bits at an offset of 0, 2, 4 or 6 bits: within 56 bits, that is 7 bytes.
            let mut load = [0; 8];
            load[..7].copy_from_slice(&group[bit / 8..bit / 8 + 7]);
            u64::from_le_bytes(load) >> (bit % 8) & ((1 << RESIDUE_BITS) - 1)
        })
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Groups of words of `bits` bits.
    pub(crate) fn words(bits: u32, seed: &[u128], groups: usize) -> Vec<u128> {
        let mask = (1u128 << bits) - 1;
        let word = |i: usize| seed[i % seed.len()].rotate_left(i as u32 * 7) & mask;
        (0..groups * GROUP).map(word).collect()
    }

    /// Bit by bit, straight from the definition.
    pub(crate) fn reference(words: &[u128], bits: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; words.len() * bits as usize / 8];
        for (i, word) in words.iter().enumerate() {
            for bit in 0..bits as usize {
                let at = i * bits as usize + bit;
                bytes[at / 8] |= ((word >> bit & 1) as u8) << (at % 8);
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn stream_is_little_endian_bits(
            bits in 1..=WORD_BITS_MAX,
            seed in proptest::collection::vec(any::<u128>(), 1..5),
            groups in 1usize..5,
        ) {
            let words = words(bits, &seed, groups);
            let mut bytes = vec![0xff; groups * bits as usize + PACKER_SLACK];
            let mut packer = Packer::new(bits, &mut bytes);
            words.iter().for_each(|&word| packer.push(word));
            prop_assert_eq!(&bytes[..groups * bits as usize], &reference(&words, bits));
        }

        #[test]
        fn residues_round_trip(seed in proptest::collection::vec(0u64..1 << 50, 8..=8)) {
            let mut bytes = Vec::new();
            pack_residues(&seed, &mut bytes);
            let words: Vec<u128> = seed.iter().map(|&word| u128::from(word)).collect();
            prop_assert_eq!(&bytes, &reference(&words, 50));
            prop_assert_eq!(unpack_residues(&bytes).collect::<Vec<_>>(), seed);
        }
    }
}
