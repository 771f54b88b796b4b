//! From real numbers to integers of w bits, and the exact integers that travel beside them.
//!
//! In this order: an update longer than `clip_norm` is scaled down to it; each value is clamped to
//! `range`; it is multiplied by `weight / cap` when owners are weighted; it is divided by the step
//! and rounded up or down at random so that its expectation is kept.

mod rounding;
#[cfg(test)]
mod tests;

use covey_privacy::gaussian::Gaussian;
use zeroize::Zeroizing;

use crate::config::{Control, NoiseBounds, Quantiser, RoundConfig, Weighting};
use crate::hash::Hasher;
use crate::limits::{COUNTER_DIGITS, SENTINELS, WEIGHT_DIGITS};
use crate::sum::xof::Xof;

use self::rounding::{l2_norm, round_into};

/// An owner's update as integers, ready to be sealed. Secret: zeroised when dropped; no `Debug`,
/// no `Clone`.
pub struct Quantised {
    /// `unit + 2^(w-1)`, from 1 to `2^w - 1`: the update's, then the control's or the vote.
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

/// Roundings of an update that may be too long, before it is made shorter as well.
const ROUNDINGS_MAX: u32 = 8;

/// Coordinates hashed at once; as bytes they fit a second-level cache.
const HASHED_AT_ONCE: usize = 1 << 15;

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
    round_into(update, quantiser, weight, quantiser.magnitude_max(), rng, &mut raw)?;
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

/// As [`quantise`], and with a share of discrete Gaussian noise on every coordinate (Kairouz, Liu,
/// Steinke 2021, algorithm 1), and behind them the vote on the clip where there is one: the update is
/// clipped, clamped to what the noise leaves room for,
/// rounded at random until it is no longer than its bound, and only then noise is added.
/// So what one owner moves the sum by is bounded for sure, whatever `rng` gives, and only
/// `noise_seed` must be secret. Takes 32 bytes of `rng` for every time it rounds; the same seeds give
/// the same result everywhere.
///
/// # Errors
/// [`NotFinite`].
pub fn quantise_with_noise(
    update: &[f32],
    quantiser: &Quantiser,
    bounds: &NoiseBounds,
    rng: &mut impl rand_core::CryptoRng,
    noise_seed: &[u8; 32],
) -> Result<Quantised, NotFinite> {
    let votes = usize::from(bounds.vote_units > 0);
    let mut raw = Zeroizing::new(vec![0u16; update.len() + votes]);
    let (rounded, vote) = raw.split_at_mut(update.len());
    let mut tighter = *quantiser;
    let offset = i64::from(quantiser.offset());
    for tried in 1.. {
        round_into(update, &tighter, 1, bounds.signal_max, rng, rounded)?;
        let square: u64 = rounded.iter().map(|&raw| (i64::from(raw) - offset).pow(2) as u64).sum();
        if square <= bounds.signal_squared_max {
            break;
        }
        // One try in three thousand is too long. So that it ends whatever the generator gives:
        if tried >= ROUNDINGS_MAX {
            tighter.clip_norm *= 1.0 - 1e-3;
        }
    }
    if let [vote] = vote {
        let is_within = l2_norm(update) <= f64::from(quantiser.clip_norm);
        let units = i64::from(bounds.vote_units);
        *vote = (offset + if is_within { units } else { -units }) as u16;
    }
    let gaussian = Gaussian::new(bounds.share);
    let noise = &mut Xof::new(noise_seed, 0);
    let most = i64::from(bounds.noise_max);
    for raw in raw.iter_mut() {
        let mut drawn = gaussian.draw(noise);
        while drawn.abs() > most {
            drawn = gaussian.draw(noise);
        }
        // Signal and noise together are within the magnitude: [`NoiseBounds`].
        *raw = (i64::from(*raw) + drawn) as u16;
    }
    Ok(Quantised {
        raw,
        parameters: update.len(),
        weight: 1,
        quantiser: *quantiser,
        control: None,
        counters: Zeroizing::default(),
    })
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
        let most = quantiser.magnitude_max();
        round_into(values, &quantiser, 1, most, rng, &mut raw[self.parameters..])?;
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

    /// The signed units of the control, or the vote on the clip; none where there is neither.
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
            && self.raw.len() as u64 == config.vector_coordinates()
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
