//! Adding packed words of P bits to sums of 64-bit fields.
//!
//! A word is taken apart into fields of at most 48 bits (one up to 48 bits, else two), each of
//! which has a 64-bit sum of its own. 2^16 such fields fit into a sum, more than any round adds
//! (`CONTRIBUTIONS_MAX`), so no carry is handled until the sum is read.

use crate::limits::CONTRIBUTIONS_MAX;
use crate::sum::pack::{GROUP, WORD_BITS_MAX};
use crate::sum::path::Path;

/// Widest field.
const FIELD_BITS: u32 = 48;

const _: () = assert!((CONTRIBUTIONS_MAX as u64) < 1 << (64 - FIELD_BITS));
const _: () = assert!(WORD_BITS_MAX <= 2 * FIELD_BITS);

/// Mask of an offset into a group, which is below 96.
const OFFSET_MASK: usize = 127;

/// Bytes that any offset and a 16-byte load from there can reach.
const WINDOW_BYTES: usize = OFFSET_MASK + 16;

/// Contributions added in one pass over the sums, so that the sums are read and written that much
/// less often than the contributions; about as many streams as processors fetch ahead.
const CONTRIBUTIONS_PER_PASS: usize = 8;

/// One field of a group of eight words.
#[derive(Clone, Copy, Default)]
struct Field {
    /// First byte of the field in the group.
    offset: usize,
    /// Bits of that byte before the field.
    shift: u64,
    mask: u64,
}

/// How words of P bits are taken apart.
#[derive(Clone)]
pub(crate) struct Fields {
    bits: u32,
    /// Of a group; the first 8 or all 16 are in use.
    fields: [Field; 2 * GROUP],
}

impl Fields {
    /// For words of `bits` bits, at most [`WORD_BITS_MAX`].
    pub(crate) fn new(bits: u32) -> Self {
        let per_word = per_word(bits);
        let field = |i: usize| {
            let (word, part) = (i / per_word, i % per_word);
            let start = word * bits as usize + part * FIELD_BITS as usize;
            let width =
                if part + 1 == per_word { bits - part as u32 * FIELD_BITS } else { FIELD_BITS };
            Field { offset: start / 8, shift: start as u64 % 8, mask: (1 << width) - 1 }
        };
        let mut fields = [Field::default(); 2 * GROUP];
        for (i, slot) in fields[..GROUP * per_word].iter_mut().enumerate() {
            *slot = field(i);
        }
        Self { bits, fields }
    }

    /// Sums that belong to one word.
    pub(crate) const fn per_word(&self) -> usize {
        per_word(self.bits)
    }

    /// The sum of words whose fields have these sums, modulo 2^128.
    #[inline(always)]
    pub(crate) fn join(sums: &[u64]) -> u128 {
        match sums {
            [low, high] => u128::from(*low).wrapping_add(u128::from(*high) << FIELD_BITS),
            [sum] => u128::from(*sum),
            _ => unreachable!("one or two fields"),
        }
    }

    /// Adds the words of each of `contributions` to `sums`.
    ///
    /// # Panics
    /// When a contribution has not as many words as there are sums for.
    pub(crate) fn add(&self, contributions: &[&[u8]], sums: &mut [u64]) {
        let groups = sums.len() / (GROUP * self.per_word());
        let bytes = groups * self.bits as usize;
        assert!(contributions.iter().all(|packed| packed.len() == bytes), "length by the terms");
        for contributions in contributions.chunks(CONTRIBUTIONS_PER_PASS) {
            let done = match Path::current() {
                #[cfg(target_arch = "x86_64")]
                Path::Ifma | Path::Avx2 => x86::add(self, contributions, sums),
                _ => 0,
            };
            self.add_plainly(contributions, sums, done);
        }
    }

    /// Adds the groups from `first` on.
    fn add_plainly(&self, contributions: &[&[u8]], sums: &mut [u64], first: usize) {
        let fields = &self.fields[..GROUP * self.per_word()];
        let starts = (0..).step_by(self.bits as usize);
        let groups = starts.zip(sums.chunks_exact_mut(fields.len()));
        for (start, sums) in groups.skip(first) {
            for packed in contributions {
                let mut padded = [0; WINDOW_BYTES];
                let window = window(packed, start, &mut padded);
                for (sum, field) in sums.iter_mut().zip(fields) {
                    let bytes = window[field.offset..].first_chunk().expect("within the window");
                    *sum += u64::from_le_bytes(*bytes) >> field.shift & field.mask;
                }
            }
        }
    }
}

const fn per_word(bits: u32) -> usize {
    bits.div_ceil(FIELD_BITS) as usize
}

/// The group at `start` and what follows it, or zeros where nothing does.
#[inline(always)]
fn window<'a>(
    packed: &'a [u8],
    start: usize,
    padded: &'a mut [u8; WINDOW_BYTES],
) -> &'a [u8; WINDOW_BYTES] {
    let rest = &packed[start..];
    if let Some(window) = rest.first_chunk() {
        return window;
    }
    padded[..rest.len()].copy_from_slice(rest);
    padded
}

/// With AVX2: four fields to a register, each half of it taken from one 16-byte load.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::cast;
    use pulp::x86::V3;

    use super::{Fields, GROUP, OFFSET_MASK, WINDOW_BYTES};

    /// Where the fields of one register come from.
    #[derive(Clone, Copy)]
    struct Register {
        /// First byte of each half's load.
        offsets: [usize; 2],
        /// Bytes of a half that its two fields begin with.
        shuffle: __m256i,
        shift: __m256i,
        mask: __m256i,
    }

    impl Register {
        fn new(fields: &Fields, first: usize) -> Self {
            let four: [_; 4] = std::array::from_fn(|i| fields.fields[first + i]);
            let offsets = [four[0].offset, four[2].offset];
            let byte = |i: usize| {
                let (field, within) = (i / 8, i % 8);
                (four[field].offset - offsets[field / 2] + within) as u8
            };
            Self {
                offsets,
                shuffle: cast(std::array::from_fn::<u8, 32, _>(byte)),
                shift: cast(four.map(|field| field.shift)),
                mask: cast(four.map(|field| field.mask)),
            }
        }

        #[inline(always)]
        fn add(&self, simd: V3, window: &[u8; WINDOW_BYTES], sum: __m256i) -> __m256i {
            let half = |offset: usize| {
                // The mask changes nothing, but tells the compiler that the load is in bounds.
                let offset = offset & OFFSET_MASK;
                cast::<[u8; 16], _>(*window[offset..].first_chunk().expect("within the window"))
            };
            let both = simd.avx._mm256_set_m128i(half(self.offsets[1]), half(self.offsets[0]));
            let fields = simd.avx2._mm256_shuffle_epi8(both, self.shuffle);
            let fields = simd.avx2._mm256_srlv_epi64(fields, self.shift);
            simd.avx2._mm256_add_epi64(sum, simd.avx2._mm256_and_si256(fields, self.mask))
        }
    }

    /// Adds all groups but the last few, whose loads would reach too far; returns how many.
    pub(super) fn add(fields: &Fields, contributions: &[&[u8]], sums: &mut [u64]) -> usize {
        let simd = V3::try_new().expect("the path says so");
        match fields.per_word() {
            1 => add_registers::<{ GROUP / 4 }>(simd, fields, contributions, sums),
            _ => add_registers::<{ GROUP / 2 }>(simd, fields, contributions, sums),
        }
    }

    /// With `R` registers to a group.
    fn add_registers<const R: usize>(
        simd: V3,
        fields: &Fields,
        contributions: &[&[u8]],
        sums: &mut [u64],
    ) -> usize {
        let registers: [_; R] = std::array::from_fn(|r| Register::new(fields, 4 * r));
        let group_bytes = fields.bits as usize;
        let bytes = sums.len() / (4 * R) * group_bytes;
        let groups = (bytes + group_bytes).saturating_sub(WINDOW_BYTES) / group_bytes;
        simd.vectorize(
            #[inline(always)]
            || {
                let sums = sums.as_chunks_mut::<4>().0.as_chunks_mut::<R>().0;
                for (group, sums) in sums[..groups].iter_mut().enumerate() {
                    let mut totals: [__m256i; R] = sums.map(cast);
                    for packed in contributions {
                        let window = packed[group * group_bytes..].first_chunk();
                        let window = window.expect("not of the last groups");
                        totals = std::array::from_fn(|r| registers[r].add(simd, window, totals[r]));
                    }
                    *sums = totals.map(cast);
                }
            },
        );
        groups
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sum::pack::tests::{reference, words};

    proptest! {
        #[test]
        fn every_path_adds_what_was_packed(
            bits in 1..=WORD_BITS_MAX,
            seed in proptest::collection::vec(any::<u128>(), 1..5),
            groups in 1usize..40,
            copies in 1usize..20,
        ) {
            let words = words(bits, &seed, groups);
            let packed = reference(&words, bits);
            let contributions = vec![packed.as_slice(); copies];
            let fields = Fields::new(bits);
            let mut sums = vec![0; words.len() * fields.per_word()];
            fields.add(&contributions, &mut sums);
            let mut plain = vec![0; sums.len()];
            fields.add_plainly(&contributions, &mut plain, 0);
            prop_assert_eq!(&sums, &plain);
            for (sums, word) in sums.chunks(fields.per_word()).zip(&words) {
                prop_assert_eq!(Fields::join(sums), word * copies as u128);
            }
        }
    }

    #[test]
    fn the_greatest_words_of_the_most_contributions_do_not_overflow() {
        for bits in [46, 48, 49, 95, 96] {
            let word = (1u128 << bits) - 1;
            let packed = reference(&[word; GROUP], bits);
            let fields = Fields::new(bits);
            let mut sums = vec![0; GROUP * fields.per_word()];
            for _ in 0..CONTRIBUTIONS_MAX {
                fields.add(&[&packed], &mut sums);
            }
            for sums in sums.chunks(fields.per_word()) {
                assert_eq!(Fields::join(sums), word * u128::from(CONTRIBUTIONS_MAX));
            }
        }
    }
}
