//! From real numbers to integers of w bits, and the exact integers that travel beside them.
//!
//! In this order: an update longer than `clip_norm` is scaled down to it; each value is clamped to
//! `range`; it is multiplied by `weight / cap` when owners are weighted; it is divided by the step
//! and rounded up or down at random so that its expectation is kept.

use zeroize::Zeroizing;

use crate::config::{Control, Quantiser, RoundConfig, Weighting};
use crate::hash::Hasher;
use crate::limits::{COUNTER_DIGITS, SENTINELS, WEIGHT_DIGITS};
use crate::sum::path::dispatch;
use crate::sum::xof::Xof;

/// An owner's update as integers, ready to be sealed. Secret: zeroised when dropped; no `Debug`,
/// no `Clone`.
pub struct Quantised {
    /// `unit + 2^(w-1)`, from 1 to `2^w - 1`: the update's, then the control's.
    raw: Zeroizing<Vec<u16>>,
    /// How many of them are the update's.
    parameters: usize,
    weight: u32,
    quantiser: Quantiser,
    /// How the control was quantised, where there is one.
    control: Option<Quantiser>,
    counters: Zeroizing<Vec<u64>>,
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
    /// A counter that its digits cannot hold.
    #[error("counter {index} is beyond what its digits hold")]
    Counter {
        /// The first such counter.
        index: usize,
    },
    /// The control is not as long as the update.
    #[error("a control of {got} numbers for {expected} parameters")]
    Control {
        /// Its length.
        got: usize,
        /// The update's.
        expected: usize,
    },
}

/// A control that cannot be quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadControl {
    /// It holds a value that is no number.
    #[error("of the control, {0}")]
    NotFinite(#[from] NotFinite),
    /// It is not as long as the update.
    #[error(transparent)]
    Length(#[from] BadUnits),
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
/// gives the same result everywhere. Without counters and control, which
/// [`Quantised::with_counters`] and [`Quantised::with_control`] add.
///
/// # Errors
/// [`NotFinite`].
pub fn quantise(
    update: &[f32],
    quantiser: &Quantiser,
    examples: u32,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<Quantised, NotFinite> {
    let weight = match quantiser.weighting {
        Weighting::Uniform => 1,
        Weighting::CappedExamples(cap) => examples.clamp(1, cap.max(1)),
    };
    let mut raw = Zeroizing::new(vec![0u16; update.len()]);
    round_into(update, quantiser, weight, rng, &mut raw)?;
    Ok(Quantised {
        raw,
        parameters: update.len(),
        weight,
        quantiser: *quantiser,
        control: None,
        counters: Zeroizing::default(),
    })
}

/// As [`quantise`], and never longer than the clip: rounding at random can make a clipped update
/// longer than its bound, which the audit would not forgive ([`Quantiser::norm_squared_max`]).
/// Where it does, the update is scaled down a little more and rounded anew, so the expectation is
/// kept but for that scale. Takes 32 bytes of `rng` for every time it rounds.
///
/// # Errors
/// [`NotFinite`].
pub fn quantise_within(
    update: &[f32],
    quantiser: &Quantiser,
    examples: u32,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<Quantised, NotFinite> {
    let bound = quantiser.norm_squared_max();
    let mut tighter = *quantiser;
    loop {
        let quantised = quantise(update, &tighter, examples, rng)?;
        let square: u64 = quantised.units().map(|unit| u64::from(unit.unsigned_abs()).pow(2)).sum();
        if square <= bound {
            return Ok(Quantised { quantiser: *quantiser, ..quantised });
        }
        // At least a thousandth, so that it ends.
        let share = (bound as f32 / square as f32).sqrt();
        tighter.clip_norm *= share.min(1.0 - 1e-3);
    }
}

/// Clips, clamps, weighs and rounds `values` into `raw`, which is as long.
fn round_into(
    values: &[f32],
    quantiser: &Quantiser,
    weight: u32,
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
        magnitude_max: f64::from(quantiser.magnitude_max()),
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
        check_units(units, quantiser)?;
        let offset = quantiser.offset() as i32;
        let raw = Zeroizing::new(units.iter().map(|unit| (unit + offset) as u16).collect());
        Ok(Self {
            raw,
            parameters: units.len(),
            weight,
            quantiser: *quantiser,
            control: None,
            counters: Zeroizing::default(),
        })
    }

    /// Adds the exact counters, in the place of any before.
    ///
    /// # Errors
    /// [`BadUnits::Counter`].
    pub fn with_counters(mut self, counters: &[u64]) -> Result<Self, BadUnits> {
        let max = self.quantiser.counter_max();
        if let Some(index) = counters.iter().position(|&counter| counter > max) {
            return Err(BadUnits::Counter { index });
        }
        self.counters = Zeroizing::new(counters.to_vec());
        Ok(self)
    }

    /// Adds the second vector, clipped, clamped and rounded on its own, in the place of any
    /// before. Takes 32 bytes of `rng`, as [`quantise`].
    ///
    /// # Errors
    /// [`BadControl`].
    pub fn with_control(
        mut self,
        values: &[f32],
        control: &Control,
        rng: &mut impl rand_core::CryptoRng,
    ) -> Result<Self, BadControl> {
        self.has_length(values.len())?;
        let quantiser = control.quantiser(self.quantiser.bits);
        let mut raw = self.room_for_control();
        round_into(values, &quantiser, 1, rng, &mut raw[self.parameters..])?;
        Ok(Self { raw, control: Some(quantiser), ..self })
    }

    /// Adds the second vector as integers, in the place of any before.
    ///
    /// # Errors
    /// [`BadUnits::Range`], [`BadUnits::Control`].
    pub fn with_control_units(
        mut self,
        units: &[i32],
        control: &Control,
    ) -> Result<Self, BadUnits> {
        self.has_length(units.len())?;
        let quantiser = control.quantiser(self.quantiser.bits);
        check_units(units, &quantiser)?;
        let mut raw = self.room_for_control();
        let offset = quantiser.offset() as i32;
        for (raw, unit) in raw[self.parameters..].iter_mut().zip(units) {
            *raw = (unit + offset) as u16;
        }
        Ok(Self { raw, control: Some(quantiser), ..self })
    }

    fn has_length(&self, got: usize) -> Result<(), BadUnits> {
        let expected = self.parameters;
        if got == expected { Ok(()) } else { Err(BadUnits::Control { got, expected }) }
    }

    /// The update's coordinates, and zeros for as many of the control. A new vector, so that a
    /// growing one leaves no copy of the update behind.
    fn room_for_control(&mut self) -> Zeroizing<Vec<u16>> {
        let mut raw = Zeroizing::new(vec![0; 2 * self.parameters]);
        raw[..self.parameters].copy_from_slice(&self.raw[..self.parameters]);
        raw
    }

    /// The signed units of the update.
    pub fn units(&self) -> impl Iterator<Item = i32> + '_ {
        self.signed(&self.raw[..self.parameters])
    }

    /// The signed units of the control; none where there is no control.
    pub fn control_units(&self) -> impl Iterator<Item = i32> + '_ {
        self.signed(&self.raw[self.parameters..])
    }

    fn signed<'a>(&self, raw: &'a [u16]) -> impl Iterator<Item = i32> + use<'a> {
        let offset = self.quantiser.offset() as i32;
        raw.iter().map(move |&raw| i32::from(raw) - offset)
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &[u64] {
        &self.counters
    }

    /// Whether this is what `config` asks for: so many parameters and counters, a control or
    /// none, quantised by its rules.
    #[must_use]
    pub fn fits(&self, config: &RoundConfig) -> bool {
        let control = config.control.map(|control| control.quantiser(config.quantiser.bits));
        self.parameters as u64 == config.dimension
            && self.quantiser == config.quantiser
            && self.control == control
            && self.counters.len() == usize::from(config.counters)
    }

    /// How much this owner counts.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Parameters.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.parameters
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parameters == 0
    }

    /// How it was quantised.
    #[must_use]
    pub const fn quantiser(&self) -> &Quantiser {
        &self.quantiser
    }

    /// Hashes everything that will be sealed.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        hasher.part(&self.weight.to_le_bytes());
        for counter in self.counters.iter() {
            hasher.part(&counter.to_le_bytes());
        }
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

    /// The raw coordinates of chunk `index`: update, control, sentinels, digits of weight and
    /// counters, and zeros as padding; written to `out`, which is as long as they, unless they
    /// are of the vectors only.
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
        for (i, out) in (start + direct as u64..).zip(&mut out[direct..]) {
            let beyond = (i - self.raw.len() as u64) as usize;
            *out = beyond.checked_sub(SENTINELS).map_or(1, |place| self.digit(place));
        }
        out
    }

    /// The digit at `place` behind the sentinels: of the weight, then of each counter; zero
    /// beyond the last.
    fn digit(&self, place: usize) -> u16 {
        let (value, digit) = match place.checked_sub(WEIGHT_DIGITS) {
            None => (u64::from(self.weight), place),
            Some(place) => match self.counters.get(place / COUNTER_DIGITS) {
                Some(counter) => (*counter, place % COUNTER_DIGITS),
                None => return 0,
            },
        };
        let bits = u32::from(self.quantiser.bits);
        (value >> (digit as u32 * bits) & ((1 << bits) - 1)) as u16
    }
}

fn check_units(units: &[i32], quantiser: &Quantiser) -> Result<(), BadUnits> {
    let magnitude_max = quantiser.magnitude_max();
    match units.iter().position(|unit| unit.unsigned_abs() > magnitude_max) {
        Some(index) => Err(BadUnits::Range { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Digest;

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

    #[test]
    fn a_counter_beyond_its_digits_is_refused() {
        for (bits, max) in [(2, 255), (8, u64::from(u32::MAX)), (12, (1 << 48) - 1)] {
            let quantiser = quantiser(bits, 1.0, 1.0, Weighting::Uniform);
            assert_eq!(quantiser.counter_max(), max);
            let with = |counters: &[u64]| {
                let quantised = Quantised::from_units(&[0], 1, &quantiser).expect("in range");
                quantised.with_counters(counters).map(|quantised| quantised.counters().to_vec())
            };
            assert_eq!(with(&[0, max]), Ok(vec![0, max]));
            assert_eq!(with(&[max, max + 1]), Err(BadUnits::Counter { index: 1 }));
        }
        assert_eq!(quantiser(16, 1.0, 1.0, Weighting::Uniform).counter_max(), (1 << 48) - 1);
    }

    #[test]
    fn within_the_clip_means_after_rounding_and_short_updates_are_left_alone() {
        let square = |quantised: &Quantised| -> u64 {
            quantised.units().map(|unit| u64::from(unit.unsigned_abs()).pow(2)).sum()
        };
        let update: Vec<f32> = (0..2_000).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        for clip_norm in [0.02, 1.0, 20.0] {
            let quantiser = quantiser(8, 1.0, clip_norm, Weighting::Uniform);
            let bound = quantiser.norm_squared_max();
            let mut beyond = 0;
            for seed in 0..20 {
                let plain = quantise(&update, &quantiser, 1, &mut Xof::new(&[seed; 32], 0));
                beyond += usize::from(square(&plain.expect("finite")) > bound);
                let within = quantise_within(&update, &quantiser, 1, &mut Xof::new(&[seed; 32], 0));
                let within = within.expect("finite");
                assert!(square(&within) <= bound, "{clip_norm}");
                assert_eq!(within.quantiser, quantiser);
                // Not much shorter either, where there is more than a few units of it.
                let share = square(&within) as f64 / bound as f64;
                assert!(bound < 100 || share > 0.95, "{clip_norm}: {share}");
            }
            assert!(beyond > 0, "{clip_norm}: rounding alone never passes the bound");
        }
        let quantiser = quantiser(8, 1.0, 1e3, Weighting::Uniform);
        let one = quantise(&update, &quantiser, 1, &mut Xof::new(&[1; 32], 0)).expect("finite");
        let other = quantise_within(&update, &quantiser, 1, &mut Xof::new(&[1; 32], 0));
        assert!(one.units().eq(other.expect("finite").units()));
    }

    #[test]
    fn a_control_is_clipped_and_scaled_on_its_own_and_never_weighed() {
        let weighted = quantiser(8, 127.0, 1e9, Weighting::CappedExamples(100));
        let control = Control { range: 12.7, clip_norm: 0.5, owners: 3, variate: Digest::ZERO };
        let mut rng = Xof::new(&[1; 32], 0);
        let update = quantise(&[80.0, 0.0], &weighted, 25, &mut rng).expect("finite");
        // Norm 5, scaled to 0.5: 0.3 and -0.4 are 3 and -4 units of 0.1.
        let both = update.with_control(&[3.0, -4.0], &control, &mut rng).expect("finite");
        assert_eq!(both.units().collect::<Vec<_>>(), [20, 0]);
        let units: Vec<_> = both.control_units().collect();
        assert!((units[0] - 3).abs() <= 1 && (units[1] + 4).abs() <= 1, "{units:?}");
        assert_eq!(both.len(), 2);
        let again = both.with_control_units(&[127, -127], &control).expect("in range");
        assert_eq!(again.control_units().collect::<Vec<_>>(), [127, -127]);
        let refused = again.with_control_units(&[128, 0], &control).err();
        assert_eq!(refused, Some(BadUnits::Range { index: 0 }));
    }

    #[test]
    fn a_control_of_another_length_or_without_numbers_is_refused() {
        let quantiser = quantiser(8, 1.0, 1.0, Weighting::Uniform);
        let control = Control { range: 1.0, clip_norm: 1.0, owners: 3, variate: Digest::ZERO };
        let update = || Quantised::from_units(&[0, 1], 1, &quantiser).expect("in range");
        let length = BadUnits::Control { got: 1, expected: 2 };
        assert_eq!(update().with_control_units(&[0], &control).err(), Some(length));
        let mut rng = Xof::new(&[1; 32], 0);
        let refused = update().with_control(&[0.0], &control, &mut rng).err();
        assert_eq!(refused, Some(BadControl::Length(length)));
        let refused = update().with_control(&[0.0, f32::NAN], &control, &mut rng).err();
        assert_eq!(refused, Some(BadControl::NotFinite(NotFinite { index: 1 })));
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
