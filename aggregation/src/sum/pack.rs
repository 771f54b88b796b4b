//! Words of P bits as a little-endian bit stream. Eight words fill exactly P bytes, and every
//! chunk is whole groups of eight, so there are no spare bits anywhere.

use crate::sum::modulus::RESIDUE_BITS;

/// Words of a group.
const GROUP: usize = 8;

/// Widest word.
pub(crate) const WORD_BITS_MAX: u32 = 96;

/// Bytes that a 16-byte load may reach beyond a group.
const SLACK: usize = 16;

/// Appends `words`, each below 2^bits, to `out`.
pub(crate) fn pack(words: &[u128], bits: u32, out: &mut Vec<u8>) {
    debug_assert!(words.len().is_multiple_of(GROUP) && bits <= WORD_BITS_MAX);
    let mut open = 0u64; // bits not yet written
    let mut used = 0;
    let mut push = |value: u64, width: u32| {
        open |= value << used;
        if used + width < 64 {
            used += width;
            return;
        }
        out.extend_from_slice(&open.to_le_bytes());
        let taken = 64 - used;
        open = if taken == 64 { 0 } else { value >> taken };
        used = used + width - 64;
    };
    for &word in words {
        if bits <= 64 {
            push(word as u64, bits);
        } else {
            push(word as u64, 64);
            push((word >> 64) as u64, bits - 64);
        }
    }
    out.extend_from_slice(&open.to_le_bytes()[..used as usize / 8]);
}

/// Adds the words in `bytes` to `sums`, wrapping; only the low `bits` bits of a sum mean
/// something.
///
/// # Panics
/// When `bytes` is not `sums.len() * bits / 8` long or `sums` not whole groups of eight.
pub(crate) fn add_packed(bytes: &[u8], bits: u32, sums: &mut [u128]) {
    let group_bytes = bits as usize;
    assert!(sums.len().is_multiple_of(GROUP), "whole groups only");
    assert_eq!(bytes.len(), sums.len() / GROUP * group_bytes, "length by the terms");
    let mask = (1u128 << bits) - 1;
    let place: [(usize, u32); GROUP] =
        std::array::from_fn(|i| (i * bits as usize / 8, (i as u32 * bits) % 8));
    let add = |window: &[u8], sums: &mut [u128; GROUP]| {
        for (sum, (offset, shift)) in sums.iter_mut().zip(place) {
            let load: [u8; 16] = window[offset..offset + 16].try_into().expect("16 bytes");
            *sum = sum.wrapping_add((u128::from_le_bytes(load) >> shift) & mask);
        }
    };
    for (i, sums) in sums.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let start = i * group_bytes;
        if let Some(window) = bytes.get(start..start + group_bytes + SLACK) {
            add(window, sums);
        } else {
            let mut window = [0; WORD_BITS_MAX as usize + SLACK];
            window[..bytes.len() - start].copy_from_slice(&bytes[start..]);
            add(&window, sums);
        }
    }
}

/// Appends residues as 50-bit words (their number a multiple of eight).
pub(crate) fn pack_residues(residues: &[u64], out: &mut Vec<u8>) {
    debug_assert!(residues.len().is_multiple_of(GROUP));
    for group in residues.chunks(GROUP) {
        let words: [u128; GROUP] = std::array::from_fn(|i| u128::from(group[i]));
        pack(&words, RESIDUE_BITS, out);
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bit by bit, straight from the definition.
    fn reference(words: &[u128], bits: u32) -> Vec<u8> {
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
        fn stream_is_little_endian_bits_and_adds_back(
            bits in 1..=WORD_BITS_MAX,
            seed in proptest::collection::vec(any::<u128>(), 1..5),
            groups in 1usize..5,
        ) {
            let mask = (1u128 << bits) - 1;
            let words: Vec<u128> = (0..groups * GROUP)
                .map(|i| seed[i % seed.len()].rotate_left(i as u32 * 7) & mask)
                .collect();
            let mut bytes = Vec::new();
            pack(&words, bits, &mut bytes);
            prop_assert_eq!(&bytes, &reference(&words, bits));
            let mut sums = vec![3u128; words.len()];
            add_packed(&bytes, bits, &mut sums);
            for (sum, word) in sums.iter().zip(&words) {
                prop_assert_eq!(*sum, word + 3);
            }
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
