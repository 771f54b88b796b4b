//! From real numbers to integers of w bits.
//!
//! In this order: an update longer than `clip_norm` is scaled down to it; each value is clamped to
//! `range`; it is multiplied by `weight / cap` when owners are weighted; it is divided by the step
//! and rounded up or down at random so that its expectation is kept.

use zeroize::Zeroizing;

use crate::config::{Quantiser, RoundConfig, Weighting};
use crate::hash::Hasher;
use crate::limits::{SENTINELS, WEIGHT_DIGITS};
use crate::sum::path::dispatch;
use crate::sum::xof::Xof;

/// An owner's update as integers, ready to be sealed. Secret: zeroised when dropped; no `Debug`,
/// no `Clone`.
pub struct Quantised {
    /// `unit + 2^(w-1)`, from 1 to `2^w - 1`.
    raw: Zeroizing<Vec<u16>>,
    weight: u32,
    quantiser: Quantiser,
}

/// The update holds a value that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {index} of the update is not finite")]
pub struct NotFinite {
    /// The first such parameter.
    pub index: usize,
}

/// Integers that the quantiser cannot have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnits {
    /// A unit beyond ±(2^(w-1) - 1).
    #[error("unit {index} is beyond the quantiser's range")]
    Range {
        /// The first such unit.
        index: usize,
    },
    /// A weight that the weighting does not allow.
    #[error("weight {weight} is not allowed by the round's weighting")]
    Weight {
        /// As given.
        weight: u32,
    },
}

/// Values rounded together.
const BLOCK: usize = 1024;

/// Coordinates hashed at once; as bytes they fit a second-level cache.
const HASHED_AT_ONCE: usize = 1 << 15;

/// Adding 1.5 * 2^52 to a number below 2^51 leaves the number, rounded to an integer, in the low
/// bits of the sum (IEEE 754 binary64): a conversion that vectorises.
const INTEGER_BITS: f64 = 6_755_399_441_055_744.0;

/// Clips, clamps, weighs and rounds an update by the quantiser of validated terms
/// ([`RoundConfig::validate_layout`]). `examples` counts only where owners are weighted.
/// Takes 32 bytes of `rng` as a seed. Rounding is unbiased up to 2^-32 of a step; the same seed
/// gives the same result everywhere.
///
/// # Errors
/// [`NotFinite`].
pub fn quantise(
    update: &[f32],
    quantiser: &Quantiser,
    examples: u32,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<Quantised, NotFinite> {
    // Squares of finite `f32` cannot overflow a sum of 2^32 `f64`.
    let norm = l2_norm(update);
    if !norm.is_finite() {
        let index = update.iter().position(|x| !x.is_finite()).unwrap_or_default();
        return Err(NotFinite { index });
    }
    let (weight, share) = match quantiser.weighting {
        Weighting::Uniform => (1, 1.0),
        Weighting::CappedExamples(cap) => {
            let weight = examples.clamp(1, cap.max(1));
            (weight, f64::from(weight) / f64::from(cap.max(1)))
        }
    };
    let range = f64::from(quantiser.range);
    let rule = Rounding {
        clip: (f64::from(quantiser.clip_norm) / norm).min(1.0),
        range,
        units: share * f64::from(quantiser.magnitude_max()) / range,
        magnitude_max: f64::from(quantiser.magnitude_max()),
        offset: i64::from(quantiser.offset()),
    };
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut seed[..]);
    let mut xof = Xof::new(&seed, 0);
    let mut raw = Zeroizing::new(vec![0u16; update.len()]);
    let mut random = Zeroizing::new([0u8; 4 * BLOCK]);
    for (values, raw) in update.chunks(BLOCK).zip(raw.chunks_mut(BLOCK)) {
        let random = &mut random[..4 * values.len()];
        xof.bytes(random);
        rule.apply(values, random, raw);
    }
    Ok(Quantised { raw, weight, quantiser: *quantiser })
}

/// The Euclidean norm, added up in an order that does not depend on the processor.
fn l2_norm(update: &[f32]) -> f64 {
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
    magnitude_max: f64,
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
                    let units =
                        (clamped * self.units).clamp(-self.magnitude_max, self.magnitude_max);
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

impl Quantised {
    /// From integers that are already quantised.
    ///
    /// # Errors
    /// [`BadUnits`].
    pub fn from_units(units: &[i32], weight: u32, quantiser: &Quantiser) -> Result<Self, BadUnits> {
        let is_allowed = match quantiser.weighting {
            Weighting::Uniform => weight == 1,
            Weighting::CappedExamples(cap) => (1..=cap).contains(&weight),
        };
        if !is_allowed {
            return Err(BadUnits::Weight { weight });
        }
        let magnitude_max = quantiser.magnitude_max();
        if let Some(index) = units.iter().position(|unit| unit.unsigned_abs() > magnitude_max) {
            return Err(BadUnits::Range { index });
        }
        let offset = quantiser.offset() as i32;
        let raw = Zeroizing::new(units.iter().map(|unit| (unit + offset) as u16).collect());
        Ok(Self { raw, weight, quantiser: *quantiser })
    }

    /// The signed units.
    pub fn units(&self) -> impl Iterator<Item = i32> + '_ {
        let offset = self.quantiser.offset() as i32;
        self.raw.iter().map(move |&raw| i32::from(raw) - offset)
    }

    /// How much this owner counts.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// How it was quantised.
    #[must_use]
    pub const fn quantiser(&self) -> &Quantiser {
        &self.quantiser
    }

    /// Hashes everything that will be sealed.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        hasher.part(&self.weight.to_le_bytes());
        // In blocks, as this is what all threads of a sealing wait for. Coordinates of up to
        // eight bits are a byte each.
        let mut bytes = Zeroizing::new(vec![0; 2 * HASHED_AT_ONCE]);
        for raw in self.raw.chunks(HASHED_AT_ONCE) {
            let width = if self.quantiser.bits <= 8 {
                bytes.iter_mut().zip(raw).for_each(|(byte, raw)| *byte = *raw as u8);
                1
            } else {
                let pairs = bytes.as_chunks_mut::<2>().0.iter_mut();
                pairs.zip(raw).for_each(|(pair, raw)| *pair = raw.to_le_bytes());
                2
            };
            hasher.raw(&bytes[..width * raw.len()]);
        }
    }

    /// The raw coordinates of chunk `index`: parameters, sentinels, weight digits, and zeros as
    /// padding; written to `out`, which is as long as they, unless they are parameters only.
    pub(crate) fn coordinates<'a>(
        &'a self,
        config: &RoundConfig,
        index: u32,
        out: &'a mut [u16],
    ) -> &'a [u16] {
        let start = u64::from(index) * config.chunk_coordinates();
        let parameters = self.raw.get(start as usize..).unwrap_or_default();
        if let Some(whole) = parameters.get(..out.len()) {
            return whole;
        }
        let direct = parameters.len().min(out.len());
        out[..direct].copy_from_slice(&parameters[..direct]);
        let digit_mask = (1u32 << self.quantiser.bits) - 1;
        for (i, out) in (start + direct as u64..).zip(&mut out[direct..]) {
            let beyond = (i - self.raw.len() as u64) as usize;
            *out = match beyond.checked_sub(SENTINELS) {
                None => 1,
                Some(digit) if digit < WEIGHT_DIGITS => {
                    let shift = digit as u32 * u32::from(self.quantiser.bits);
                    (self.weight.checked_shr(shift).unwrap_or(0) & digit_mask) as u16
                }
                Some(_) => 0,
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantiser(bits: u8, range: f32, clip_norm: f32, weighting: Weighting) -> Quantiser {
        Quantiser { bits, range, clip_norm, weighting }
    }

    fn units(update: &[f32], quantiser: &Quantiser, examples: u32, seed: u8) -> Vec<i32> {
        let mut rng = Xof::new(&[seed; 32], 0);
        quantise(update, quantiser, examples, &mut rng).expect("finite").units().collect()
    }

    #[test]
    fn ends_of_the_range_are_exact_and_nothing_lies_beyond() {
        for bits in [2, 8, 12, 16] {
            let quantiser = quantiser(bits, 0.75, 1e9, Weighting::Uniform);
            let max = quantiser.magnitude_max() as i32;
            let update = [0.75, -0.75, 0.0, 1e4, -1e4, 7e5, -0.0];
            for seed in 0..20 {
                assert_eq!(units(&update, &quantiser, 1, seed), [max, -max, 0, max, -max, max, 0]);
            }
        }
    }

    #[test]
    fn rounding_keeps_the_expectation() {
        let quantiser = quantiser(8, 127.0, 1e9, Weighting::Uniform);
        for value in [0.25f32, -0.25, 3.7, -100.01] {
            let update = vec![value; 100_000];
            let units = units(&update, &quantiser, 1, 3);
            let floor = value.floor() as i32;
            assert!(units.iter().all(|&unit| unit == floor || unit == floor + 1));
            let mean = units.iter().map(|&unit| f64::from(unit)).sum::<f64>() / 1e5;
            // Five standard errors of at most 1/2.
            assert!((mean - f64::from(value)).abs() < 2.5 / 1e5f64.sqrt(), "{value}: {mean}");
        }
    }

    #[test]
    fn a_long_update_is_scaled_to_the_clip_norm_and_a_short_one_is_not() {
        // Norm 5; values are whole units after scaling, so rounding has nothing to do.
        let long = quantiser(8, 127.0, 2.5, Weighting::Uniform);
        assert_eq!(units(&[6.0, -8.0], &long, 1, 1).iter().map(|u| u.abs()).max(), Some(2));
        let exact = quantiser(8, 127.0, 5.0, Weighting::Uniform);
        assert_eq!(units(&[3.0, -4.0], &exact, 1, 1), [3, -4]);
        let mut many = vec![0.0; 1000];
        (many[17], many[900]) = (30.0, -40.0);
        assert_eq!(units(&many, &exact, 1, 1)[17], 3);
        assert_eq!(units(&many, &exact, 1, 1)[900], -4);
    }

    #[test]
    fn weight_scales_the_update_and_is_capped() {
        let quantiser = quantiser(8, 127.0, 1e9, Weighting::CappedExamples(100));
        for (examples, weight, unit) in
            [(100, 100, 80), (1_000_000, 100, 80), (25, 25, 20), (0, 1, 1)]
        {
            let mut rng = Xof::new(&[1; 32], 0);
            let quantised = quantise(&[80.0], &quantiser, examples, &mut rng).expect("finite");
            assert_eq!(quantised.weight(), weight);
            let got = quantised.units().next().expect("one");
            assert!((got - unit).abs() <= i32::from(weight == 1), "{examples} examples: {got}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_its_place() {
        let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut update = vec![0.5; 50];
            update[41] = bad;
            let mut rng = Xof::new(&[1; 32], 0);
            let refused = quantise(&update, &quantiser, 1, &mut rng).err();
            assert_eq!(refused, Some(NotFinite { index: 41 }));
        }
    }

    #[test]
    fn integers_out_of_range_are_refused() {
        let uniform = quantiser(8, 1.0, 1.0, Weighting::Uniform);
        let capped = quantiser(8, 1.0, 1.0, Weighting::CappedExamples(9));
        let of = |units: &[i32], weight, quantiser| Quantised::from_units(units, weight, quantiser);
        assert_eq!(of(&[0, -127, 127], 1, &uniform).map(|q| q.len()), Ok(3));
        assert_eq!(of(&[0, 128], 1, &uniform).err(), Some(BadUnits::Range { index: 1 }));
        assert_eq!(of(&[-128], 1, &uniform).err(), Some(BadUnits::Range { index: 0 }));
        assert_eq!(of(&[i32::MIN], 1, &uniform).err(), Some(BadUnits::Range { index: 0 }));
        assert_eq!(of(&[0], 2, &uniform).err(), Some(BadUnits::Weight { weight: 2 }));
        assert_eq!(of(&[0], 10, &capped).err(), Some(BadUnits::Weight { weight: 10 }));
        assert_eq!(of(&[0], 0, &capped).err(), Some(BadUnits::Weight { weight: 0 }));
    }

    proptest! {
        #[test]
        fn a_unit_is_the_value_rounded_up_or_down(
            update in proptest::collection::vec(-2.0f32..2.0, 0..300),
            bits in 2u8..=16,
            seed in any::<u8>(),
        ) {
            let quantiser = quantiser(bits, 1.0, 1e9, Weighting::Uniform);
            for (value, unit) in update.iter().zip(units(&update, &quantiser, 1, seed)) {
                let exact = f64::from(value.clamp(-1.0, 1.0)) / quantiser.step();
                prop_assert!((f64::from(unit) - exact).abs() <= 1.0, "{value}: {unit}");
            }
        }

        #[test]
        fn integers_round_trip(
            units in proptest::collection::vec(-127i32..=127, 0..100),
        ) {
            let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
            let quantised = Quantised::from_units(&units, 1, &quantiser).expect("in range");
            prop_assert_eq!(quantised.units().collect::<Vec<_>>(), units);
        }
    }
}
