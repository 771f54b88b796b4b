//! The discrete Gaussian of keys and noise: standard deviation parameter 6.4, cut at 64.

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

/// Draws scanned together: fills the vector registers of AVX2 without spilling.
const LANES: usize = 16;

/// Fills `out` with draws; each uses one word of `xof`: the low 63 bits pick the absolute value
/// (the number of thresholds not above them), the top bit is the sign. The whole table is read
/// for every draw, without a branch, so time tells nothing.
///
/// # Panics
/// When `out` is no multiple of 16 long.
pub(crate) fn sample(xof: &mut Xof, words: &mut Zeroizing<Vec<u64>>, out: &mut [i64]) {
    assert!(out.len().is_multiple_of(LANES), "whole blocks only");
    words.resize(out.len(), 0);
    xof.words(words);
    let words = words.as_chunks::<LANES>().0;
    let out = out.as_chunks_mut::<LANES>().0;
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (words, out) in words.iter().zip(out) {
                scan(words, out);
            }
        },
    );
}

#[inline(always)]
fn scan(words: &[u64; LANES], out: &mut [i64; LANES]) {
    let mut uniform = [0i64; LANES];
    for (uniform, word) in uniform.iter_mut().zip(words) {
        *uniform = (word & (u64::MAX >> 1)) as i64;
    }
    let mut count = [0i64; LANES];
    for below in &BELOW {
        for (count, uniform) in count.iter_mut().zip(&uniform) {
            *count += i64::from(uniform > below);
        }
    }
    for ((out, count), word) in out.iter_mut().zip(&count).zip(words) {
        let sign = (*word as i64) >> 63;
        *out = (count ^ sign) - sign;
    }
}
