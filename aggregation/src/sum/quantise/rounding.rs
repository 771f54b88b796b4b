//! Real numbers to raw coordinates: clipped, clamped, weighed, rounded at random.

use zeroize::Zeroizing;

use super::NotFinite;
use crate::config::{Quantiser, Weighting};
use crate::sum::path::dispatch;
use crate::sum::xof::Xof;

/// Values rounded together.
const BLOCK: usize = 1024;

/// Adding 1.5 * 2^52 to a number below 2^51 leaves the number, rounded to an integer, in the low
/// bits of the sum (IEEE 754 binary64): a conversion that vectorises.
const INTEGER_BITS: f64 = 6_755_399_441_055_744.0;

/// Clips, clamps, weighs and rounds `values` into `raw`, which is as long; to at most `units_max`
/// units.
pub(super) fn round_into(
    values: &[f32],
    quantiser: &Quantiser,
    weight: u32,
    units_max: u32,
    rng: &mut impl rand_core::CryptoRng,
    raw: &mut [u16],
) -> Result<(), NotFinite> {
    // Squares of finite `f32` cannot overflow a sum of 2^32 `f64`.
    let norm = l2_norm(values);
    if !norm.is_finite() {
        let index = values.iter().position(|x| !x.is_finite()).unwrap_or_default();
        return Err(NotFinite { index });
    }
    let share = match quantiser.weighting {
        Weighting::Uniform => 1.0,
        Weighting::CappedExamples(cap) => f64::from(weight) / f64::from(cap.max(1)),
    };
    let range = f64::from(quantiser.range);
    let rule = Rounding {
        clip: (f64::from(quantiser.clip_norm) / norm).min(1.0),
        range,
        units: share * f64::from(quantiser.magnitude_max()) / range,
        units_max: f64::from(units_max),
        offset: i64::from(quantiser.offset()),
    };
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut seed[..]);
    let mut xof = Xof::new(&seed, 0);
    let mut random = Zeroizing::new([0u8; 4 * BLOCK]);
    for (values, raw) in values.chunks(BLOCK).zip(raw.chunks_mut(BLOCK)) {
        let random = &mut random[..4 * values.len()];
        xof.bytes(random);
        rule.apply(values, random, raw);
    }
    Ok(())
}

/// The Euclidean norm, added up in an order that does not depend on the processor.
pub(super) fn l2_norm(update: &[f32]) -> f64 {
    let mut sums = [0f64; 16];
    let (blocks, rest) = update.as_chunks::<16>();
    dispatch(
        #[inline(always)]
        || {
            for block in blocks {
                for (sum, &x) in sums.iter_mut().zip(block) {
                    *sum += f64::from(x) * f64::from(x);
                }
            }
        },
    );
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (sums.iter().sum::<f64>() + rest).sqrt()
}

/// What happens to one value.
struct Rounding {
    clip: f64,
    range: f64,
    units: f64,
    units_max: f64,
    offset: i64,
}

impl Rounding {
    /// `raw = floor(units(value) + u) + offset` with u uniform in [0, 1), in steps of 2^-32.
    fn apply(&self, values: &[f32], random: &[u8], raw: &mut [u16]) {
        const FRACTION: u32 = 32;
        let offset = (self.offset << FRACTION) - INTEGER_BITS.to_bits() as i64;
        dispatch(
            #[inline(always)]
            || {
                let random = random.as_chunks::<4>().0;
                for ((raw, &value), random) in raw.iter_mut().zip(values).zip(random) {
                    let clamped = (f64::from(value) * self.clip).clamp(-self.range, self.range);
                    let units = (clamped * self.units).clamp(-self.units_max, self.units_max);
                    let fixed = units * (1u64 << FRACTION) as f64 + INTEGER_BITS;
                    let sum = (fixed.to_bits() as i64)
                        .wrapping_add(offset)
                        .wrapping_add(i64::from(u32::from_le_bytes(*random)));
                    *raw = (sum >> FRACTION) as u16;
                }
            },
        );
    }
}
