//! The discrete Gaussian of keys and noise: standard deviation parameter 6.4, cut at 64.

use pulp::{Scalar, Simd, WithSimd};
use zeroize::Zeroizing;

use crate::sum::path::dispatch;
use crate::sum::xof::Xof;

/// Largest absolute value drawn.
pub(crate) const GAUSS_MAX: i64 = 64;

/// `THRESHOLDS[k] = round(2^63 (rho(0)/2 + rho(1) + .. + rho(k)) / (rho(0)/2 + .. + rho(64)))`
/// with `rho(x) = exp(-x^2 / (2 6.4^2))`: 63 exact bits. Zero has half its weight because both
/// signs make it. From `k = 59` on the tail is below half a unit.
pub(crate) const THRESHOLDS: [u64; GAUSS_MAX as usize] = [
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
    dispatch(Scan { words, out });
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A non-negative number in fixed point: little-endian limbs, the upper two the integer part.
    #[derive(Clone, PartialEq, Eq)]
    struct Fixed([u64; LIMBS]);

    /// 384 fractional bits: terms grow to 2^70, so more than 300 exact bits remain.
    const LIMBS: usize = 8;

    impl Fixed {
        fn one() -> Self {
            let mut limbs = [0; LIMBS];
            limbs[LIMBS - 2] = 1;
            Self(limbs)
        }

        fn times(&self, factor: u64) -> Self {
            let mut carry = 0u128;
            Self(self.0.map(|limb| {
                let product = u128::from(limb) * u128::from(factor) + carry;
                carry = product >> 64;
                product as u64
            }))
        }

        fn over(&self, divisor: u64) -> Self {
            let (mut limbs, mut rest) = ([0; LIMBS], 0u128);
            for (quotient, limb) in limbs.iter_mut().zip(self.0).rev() {
                let dividend = rest << 64 | u128::from(limb);
                *quotient = (dividend / u128::from(divisor)) as u64;
                rest = dividend % u128::from(divisor);
            }
            Self(limbs)
        }

        fn plus(&self, other: &Self) -> Self {
            let mut carry = false;
            Self(std::array::from_fn(|i| {
                let (sum, first) = self.0[i].overflowing_add(other.0[i]);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                sum
            }))
        }

        fn minus(&self, other: &Self) -> Self {
            let mut borrow = false;
            Self(std::array::from_fn(|i| {
                let (difference, first) = self.0[i].overflowing_sub(other.0[i]);
                let (difference, second) = difference.overflowing_sub(u64::from(borrow));
                borrow = first || second;
                difference
            }))
        }

        fn is_at_most(&self, other: &Self) -> bool {
            self.0.iter().rev().le(other.0.iter().rev())
        }
    }

    /// `exp(-x^2 / (2 6.4^2)) = exp(-25 x^2 / 2048)` by its power series.
    fn weight(x: u64) -> Fixed {
        let (mut sums, mut term) = ([Fixed::one(), Fixed([0; LIMBS])], Fixed::one());
        for k in 1.. {
            term = term.times(25 * x * x).over(2048 * k);
            if term == Fixed([0; LIMBS]) {
                break;
            }
            sums[k as usize % 2] = sums[k as usize % 2].plus(&term);
        }
        sums[0].minus(&sums[1])
    }

    #[test]
    fn table_is_the_cumulative_distribution_to_63_bits() {
        let mut cumulative = vec![weight(0).over(2)];
        for x in 1..=GAUSS_MAX as u64 {
            cumulative.push(cumulative[x as usize - 1].plus(&weight(x)));
        }
        let total = cumulative.pop().expect("the last is the sum of all");
        for (k, (sum, threshold)) in cumulative.iter().zip(THRESHOLDS).enumerate() {
            // |2^63 sum - threshold total| <= total / 2
            let twice = sum.times(1 << 63).times(2);
            let nearest = total.times(threshold).times(2);
            assert!(twice.is_at_most(&nearest.plus(&total)), "threshold {k} is too small");
            assert!(nearest.is_at_most(&twice.plus(&total)), "threshold {k} is too large");
        }
        assert_eq!(REACHABLE, 59);
    }

    /// Draws from a fixed seed.
    pub(crate) fn draws(seed: u8, number: usize) -> Vec<i64> {
        let mut out = vec![0; number];
        sample(&mut Xof::new(&[seed; 32], 0), &mut Zeroizing::new(Vec::new()), &mut out);
        out
    }

    #[test]
    fn draw_counts_thresholds_whatever_the_vector_width() {
        let number = 1003;
        let mut words = vec![0; number];
        Xof::new(&[8; 32], 0).words(&mut words);
        let expected: Vec<i64> = words
            .iter()
            .map(|word| {
                let uniform = word & (u64::MAX >> 1);
                let magnitude = THRESHOLDS.iter().filter(|&&t| uniform >= t).count() as i64;
                if word >> 63 == 1 { -magnitude } else { magnitude }
            })
            .collect();
        assert_eq!(draws(8, number), expected);
        for (word, expected) in words.iter().zip(expected) {
            assert_eq!(scan(Scalar, [*word]), [expected]);
        }
    }

    #[test]
    fn thresholds_are_met_exactly_at_their_edges() {
        for (k, &threshold) in THRESHOLDS.iter().enumerate().take(REACHABLE) {
            let sign = 1 << 63;
            assert_eq!(scan(Scalar, [threshold]), [k as i64 + 1]);
            assert_eq!(scan(Scalar, [threshold - 1]), [k as i64]);
            assert_eq!(scan(Scalar, [threshold | sign]), [-(k as i64) - 1]);
        }
    }

    #[test]
    fn a_million_draws_have_the_gaussians_moments_and_shape() {
        let number = 1_000_000;
        let draws = draws(1, number);
        let n = number as f64;
        let mean = draws.iter().sum::<i64>() as f64 / n;
        let variance = draws.iter().map(|x| (x * x) as f64).sum::<f64>() / n;
        let fourth = draws.iter().map(|x| (x * x * x * x) as f64).sum::<f64>() / n;
        let sigma2 = 6.4f64 * 6.4;
        // Five standard errors: sigma / sqrt(n), sigma^2 sqrt(2 / n), sigma^4 sqrt(96 / n).
        assert!(mean.abs() < 5.0 * 6.4 / n.sqrt(), "mean {mean}");
        assert!((variance - sigma2).abs() < 5.0 * sigma2 * (2.0 / n).sqrt(), "variance {variance}");
        let kurtosis = fourth / (sigma2 * sigma2);
        assert!((kurtosis - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "kurtosis {kurtosis}");

        // Chi-square over -25..=25 and the two tails, against exp() itself.
        let rho = |x: i64| (-((x * x) as f64) / (2.0 * sigma2)).exp();
        let total: f64 = (-64..=64).map(rho).sum();
        let bins = 25;
        let mut chi_square = 0.0;
        for bin in -bins - 1..=bins + 1 {
            let holds = |x: i64| x.clamp(-bins - 1, bins + 1) == bin;
            let expected = n * (-64..=64).filter(|&x| holds(x)).map(rho).sum::<f64>() / total;
            let observed = draws.iter().filter(|&&x| holds(x)).count() as f64;
            chi_square += (observed - expected).powi(2) / expected;
        }
        let freedom = (2 * bins + 2) as f64;
        let deviation = (chi_square - freedom) / (2.0 * freedom).sqrt();
        assert!(deviation.abs() < 4.0, "chi-square {chi_square} at {freedom} degrees");
    }

    #[test]
    fn signs_are_even_and_neighbours_unrelated() {
        let draws = draws(2, 1_000_000);
        let n = draws.len() as f64;
        let positive = draws.iter().filter(|&&x| x > 0).count() as f64;
        let negative = draws.iter().filter(|&&x| x < 0).count() as f64;
        assert!((positive - negative).abs() < 5.0 * n.sqrt());
        let product: i64 = draws.windows(2).map(|pair| pair[0] * pair[1]).sum();
        assert!((product as f64 / n).abs() < 5.0 * 6.4 * 6.4 / n.sqrt());
    }
}
