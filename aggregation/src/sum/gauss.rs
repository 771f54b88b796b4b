//! The discrete Gaussian of keys and noise: standard deviation parameter 6.4, cut at 64.

use pulp::{Arch, Scalar, Simd, WithSimd};
use zeroize::Zeroizing;

use crate::sum::xof::Xof;

/// Largest absolute value drawn.
pub(crate) const GAUSS_MAX: i64 = 64;

/// `THRESHOLDS[k] = round(2^63 (rho(0)/2 + rho(1) + .. + rho(k)) / (rho(0)/2 + .. + rho(64)))`
/// with `rho(x) = exp(-x^2 / (2 6.4^2))`: 63 exact bits. Zero has half its weight because both
/// signs make it. From `k = 59` on the tail is below half a unit.
const THRESHOLDS: [u64; GAUSS_MAX as usize] = [
    0x07fa_95a0_3250_f92c,
    0x17be_3053_9feb_e8c4,
    0x26f0_ad9d_6ed2_ef4f,
    0x353c_cff6_628a_4f78,
    0x425d_2e40_7871_2c9e,
    0x4e1f_ecc7_357e_d7b0,
    0x5868_5c9a_11dc_a355,
    0x612e_8387_42ad_3abb,
    0x687c_d725_9248_791f,
    0x6e6c_a9b5_45fb_ce62,
    0x7321_e15c_77cc_b268,
    0x76c6_90bc_595a_5e1b,
    0x7986_efd4_a4ec_9094,
    0x7b8e_0de3_546c_fd86,
    0x7d03_69c6_477d_f558,
    0x7e09_76a4_67d9_e792,
    0x7ebc_f407_bed3_1ef0,
    0x7f34_edb8_8312_c300,
    0x7f83_305a_74fb_91b3,
    0x7fb5_01cf_0c92_3ff3,
    0x7fd3_f47a_156b_de77,
    0x7fe6_b778_e322_e20c,
    0x7ff1_d0fc_c299_fcac,
    0x7ff8_3985_20ed_2eea,
    0x7ffb_d5d4_15e7_d919,
    0x7ffd_d20a_b1f9_d99c,
    0x7ffe_e2bb_d417_e933,
    0x7fff_7185_e2d4_7855,
    0x7fff_ba7c_fd7f_c99b,
    0x7fff_dedf_caae_e4fc,
    0x7fff_f094_d181_39be,
    0x7fff_f8fd_99b0_4027,
    0x7fff_fce3_5227_ff8f,
    0x7fff_fea6_918b_a8b0,
    0x7fff_ff6d_bc5f_3c37,
    0x7fff_ffc3_85ad_dd02,
    0x7fff_ffe7_94d2_9314,
    0x7fff_fff6_5f6d_428f,
    0x7fff_fffc_4b39_a64d,
    0x7fff_fffe_9b5f_78b5,
    0x7fff_ffff_7d1d_e1f4,
    0x7fff_ffff_d119_e425,
    0x7fff_ffff_ef97_b653,
    0x7fff_ffff_fa65_5a2c,
    0x7fff_ffff_fe21_9941,
    0x7fff_ffff_ff64_4173,
    0x7fff_ffff_ffce_803b,
    0x7fff_ffff_fff0_a44d,
    0x7fff_ffff_fffb_591a,
    0x7fff_ffff_fffe_9fdd,
    0x7fff_ffff_ffff_9a5b,
    0x7fff_ffff_ffff_e35c,
    0x7fff_ffff_ffff_f81f,
    0x7fff_ffff_ffff_fde2,
    0x7fff_ffff_ffff_ff72,
    0x7fff_ffff_ffff_ffdc,
    0x7fff_ffff_ffff_fff7,
    0x7fff_ffff_ffff_fffe,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0000,
];

/// Thresholds that a 63-bit number can reach.
const REACHABLE: usize = {
    let mut k = 0;
    while THRESHOLDS[k] < 1 << 63 {
        k += 1;
    }
    k
};

/// The reachable thresholds less one, so that `u >= threshold` is the signed comparison
/// `u > threshold - 1`, which processors have.
const BELOW: [i64; REACHABLE] = {
    let mut below = [0; REACHABLE];
    let mut k = 0;
    while k < REACHABLE {
        below[k] = (THRESHOLDS[k] - 1) as i64;
        k += 1;
    }
    below
};

/// Registers of draws scanned together, so that comparisons of one do not wait for another's.
const REGISTERS: usize = 4;

/// Fills `out` with draws; each uses one word of `xof`: the low 63 bits pick the absolute value
/// (the number of thresholds not above them), the top bit is the sign. The whole table is read
/// for every draw, without a branch, so time tells nothing.
pub(crate) fn sample(xof: &mut Xof, words: &mut Zeroizing<Vec<u64>>, out: &mut [i64]) {
    words.resize(out.len(), 0);
    xof.words(words);
    Arch::new().dispatch(Scan { words, out });
}

/// The scan, written for whatever vectors the processor has. (Left to itself, the compiler
/// vectorises along the table: 13.5 instead of 7.9 ns per draw with AVX2, output included.)
struct Scan<'a> {
    words: &'a [u64],
    out: &'a mut [i64],
}

impl WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (words, words_rest) = S::as_simd_u64s(self.words);
        let (out, out_rest) = S::as_mut_simd_i64s(self.out);
        let (words, words_few) = words.as_chunks::<REGISTERS>();
        let (out, out_few) = out.as_chunks_mut::<REGISTERS>();
        for (words, out) in words.iter().zip(out) {
            *out = scan(simd, *words);
        }
        for (word, out) in words_few.iter().zip(out_few) {
            [*out] = scan(simd, [*word]);
        }
        for (word, out) in words_rest.iter().zip(out_rest) {
            [*out] = scan(Scalar, [*word]);
        }
    }
}

#[inline(always)]
fn scan<S: Simd, const N: usize>(simd: S, words: [S::u64s; N]) -> [S::i64s; N] {
    let (zero, one) = (simd.splat_i64s(0), simd.splat_i64s(1));
    let low = simd.splat_u64s(u64::MAX >> 1);
    let uniform = words.map(|word| simd.transmute_i64s_u64s(simd.and_u64s(word, low)));
    let mut count = [zero; N];
    for below in BELOW {
        let below = simd.splat_i64s(below);
        for (count, uniform) in count.iter_mut().zip(uniform) {
            let above = simd.greater_than_i64s(uniform, below);
            *count = simd.add_i64s(*count, simd.select_i64s(above, one, zero));
        }
    }
    let mut draws = count;
    for ((draw, count), word) in draws.iter_mut().zip(count).zip(words) {
        let sign = simd.less_than_i64s(simd.transmute_i64s_u64s(word), zero);
        *draw = simd.select_i64s(sign, simd.sub_i64s(zero, count), count);
    }
    draws
}
