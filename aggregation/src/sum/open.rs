//! From the holders' component sums to the opened aggregate (design note, section 4, step 11).
//!
//! # What is refused
//! Without the audit: everything that honest contributions cannot add up to, as it tells that the
//! round was spoiled, though not by whom.
//!
//! With the audit: nothing that owners can seal and pass with. An owner may put anything of the
//! clip's length anywhere, also where check digits, weights and padding are; if the sum were
//! refused for it, every owner could spoil every round and nobody could name it. So each sum is
//! read as the signed number that it is, around n times what is the same for all owners; the weight
//! is what owners declare, who sign it; a counter is what is possible and nearest. Refused is
//! garbage, which a wrong key or a wrong ciphertext makes: its noise is uniform. Its mean square is
//! four times the bound here. The noise that the audit allows an owner is at most `2.2 C_N` long
//! (design note `closed-audit`, section 5), and R leaves room for `26 C_N` in each of N coefficients:
//! it would take a hundred owners of one mind to reach the bound in one chunk.

mod aggregate;
mod combine;
mod key_sum;

use std::ops::RangeInclusive;

use crate::config::{RoundConfig, Weighting};
use crate::hash::Digest;
use crate::limits::{COUNTER_DIGITS, SENTINELS, WEIGHT_DIGITS};
use crate::sum::accumulator::Accumulator;
use crate::sum::fields::Fields;
use crate::sum::pad::{Padder, TransformedKey};
use crate::sum::path::dispatch;

pub use aggregate::Aggregate;
pub use combine::{Combined, combine};
pub use key_sum::{KeySum, NotShort};

/// A number of contributions, in words.
fn whole(count: Option<u32>) -> String {
    count.map_or_else(|| "parts of".to_owned(), |count| count.to_string())
}

/// The sum does not open to what honest contributions give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// The accumulator holds another number of contributions.
    #[error("{} contributions were added, the set has {expected}", whole(*.added))]
    Count {
        /// In the accumulator; `None` if some only in part.
        added: Option<u32>,
        /// In the set.
        expected: u32,
    },
    /// Key sum or accumulator are of another round's shape.
    #[error("key sum or accumulator of another shape")]
    Shape,
    /// A sentinel is not the number of contributions.
    #[error("sentinel {0} is not the number of contributions")]
    Sentinel(usize),
    /// The noise is larger than honest contributions make.
    #[error("coefficient {coefficient} of chunk {chunk} has too much noise")]
    Noise {
        /// Chunk.
        chunk: u32,
        /// Coefficient.
        coefficient: usize,
    },
    /// All noise of a chunk together is as large as that of garbage: the key is not that of the
    /// contributions. Nothing that owners seal and pass an audit with is that large.
    #[error("chunk {chunk} opens to garbage")]
    Garbage {
        /// Chunk.
        chunk: u32,
    },
    /// A sum outside what n quantised values can add up to.
    #[error("coordinate {0} is outside what quantised values add up to")]
    Coordinate(u64),
    /// The sum of weights is impossible.
    #[error("the sum of weights is impossible")]
    Weight,
    /// The sum of a counter is impossible.
    #[error("the sum of counter {0} is impossible")]
    Counter(usize),
}

/// What a sum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summands {
    /// Contributions, each as often as it counts.
    pub count: u32,
    /// The weights that their owners declare, added up as often as each counts: what the weight of an
    /// audited sum is. The sum's own, where there is none, which one owner can make anything.
    pub declared: Option<u64>,
}

impl From<u32> for Summands {
    fn from(count: u32) -> Self {
        Self { count, declared: None }
    }
}

/// Opens the sum of contributions.
///
/// # Errors
/// [`Spoiled`]: something in the set was not honestly encrypted. Which contribution it was
/// cannot be told with the audit off.
pub fn open(
    config: &RoundConfig,
    round_ctx: &Digest,
    accumulator: &Accumulator,
    key_sum: &KeySum,
    summands: impl Into<Summands>,
) -> Result<Aggregate, Spoiled> {
    let opened = open_with_rest(config, round_ctx, accumulator, key_sum, summands.into());
    opened.map(|(aggregate, _)| aggregate)
}

/// The same, with the sums of everything behind the vectors ([`RoundConfig::rest`]), each less n
/// times what is the same for all owners.
///
/// # Errors
/// As [`open`].
pub fn open_with_rest(
    config: &RoundConfig,
    round_ctx: &Digest,
    accumulator: &Accumulator,
    key_sum: &KeySum,
    summands: Summands,
) -> Result<(Aggregate, Vec<i32>), Spoiled> {
    let count = summands.count;
    if accumulator.count() != Some(count) {
        return Err(Spoiled::Count { added: accumulator.count(), expected: count });
    }
    let entries = key_sum.entries.len();
    if accumulator.config() != config || entries != config.profile.ring_dimension() {
        return Err(Spoiled::Shape);
    }
    let mut padder = Padder::new(config, round_ctx);
    let key = padder.transform_sum(&key_sum.entries);
    let mut decoder = Decoder::new(config, count);
    let vectors = config.vector_coordinates() as usize;
    let mut sums = vec![0; config.rest().end as usize];
    let mut rest = sums.as_mut_slice();
    let mut done = 0;
    for chunk in 0..config.chunks() {
        let lanes = config.chunk_coefficients(chunk) * config.packing.lanes as usize;
        let (now, later) = rest.split_at_mut(lanes);
        decoder.decode(&mut padder, chunk, &key, accumulator.chunk(chunk), now)?;
        let own = now.len().min(vectors - done);
        if !config.is_audited()
            && let Some(at) = decoder.first_impossible(&now[..own])
        {
            return Err(Spoiled::Coordinate((done + at) as u64));
        }
        (rest, done) = (later, done + own);
    }
    decoder.check_all()?;
    let rest = sums[vectors..].to_vec();
    let (weight, counters) = decoder.integers(&rest, summands.declared)?;
    sums.truncate(vectors);
    let control = sums.split_off(config.dimension as usize);
    Ok((Aggregate { count, weight, sums, control, counters }, rest))
}

/// Takes sums of `count` contributions apart.
struct Decoder<'a> {
    config: &'a RoundConfig,
    count: u32,
    lanes: u32,
    lane_bits: u32,
    lane_mask: u64,
    noise_bits: u32,
    /// Half of what noise can take up.
    half: u128,
    pad_mask: u128,
    /// Largest absolute noise of honest contributions.
    noise_max: u64,
    /// Half of what a lane can take up, which is of 30 bits at most (see [`Aggregate`]).
    middle: i32,
    /// n times the largest unit.
    magnitude_max: u32,
    /// All noise so far, squared, and of how many coefficients.
    noise_squared: (u128, u64),
}

/// What a chunk's noise shows.
#[derive(Default)]
struct Noise {
    squared: u128,
    first_large: Option<usize>,
}

impl<'a> Decoder<'a> {
    fn new(config: &'a RoundConfig, count: u32) -> Self {
        let (packing, n) = (&config.packing, u64::from(count));
        // What `Packing::derive` leaves room for: n + 1 roundings of a half and a bit, and n
        // noises of at most 64 before the scaling by 2^P / q.
        let scaled_noise = (u128::from(n) * 64)
            .div_ceil(1 << (config.profile.modulus_bits() - packing.pad_bits()));
        Self {
            config,
            count,
            lanes: packing.lanes,
            lane_bits: packing.lane_bits,
            lane_mask: (1 << packing.lane_bits) - 1,
            noise_bits: packing.noise_bits,
            half: 1 << (packing.noise_bits - 1),
            pad_mask: (1 << packing.pad_bits()) - 1,
            noise_max: n.div_ceil(2) + 2 + scaled_noise as u64,
            middle: 1 << (packing.lane_bits - 1),
            magnitude_max: config.quantiser.magnitude_max() * count,
            noise_squared: (0, 0),
        }
    }

    /// Decodes a chunk into sums of signed units. `fields` are its words, and how many fields
    /// each has.
    fn decode(
        &mut self,
        padder: &mut Padder,
        chunk: u32,
        key: &TransformedKey,
        fields: (&[u64], usize),
        sums: &mut [i32],
    ) -> Result<(), Spoiled> {
        let first = u64::from(chunk) * self.config.chunk_coordinates();
        let noise = if first + sums.len() as u64 <= self.config.vector_coordinates() {
            let bias = self.bias(first);
            self.decode_with(padder, (chunk, key), fields, sums, |_| bias)
        } else {
            let each = (first..first + sums.len() as u64).step_by(self.lanes as usize);
            let biases: Vec<u128> = each.map(|start| self.bias(start)).collect();
            self.decode_with(padder, (chunk, key), fields, sums, |at| biases[at])
        };
        let coefficients = sums.len() / self.lanes as usize;
        if !self.config.is_audited() {
            let spoiled = |coefficient| Err(Spoiled::Noise { chunk, coefficient });
            return noise.first_large.map_or(Ok(()), spoiled);
        }
        if coefficients == self.config.profile.ring_dimension() {
            self.check_noise(chunk, noise.squared, coefficients as u64)?;
        }
        self.noise_squared.0 += noise.squared;
        self.noise_squared.1 += coefficients as u64;
        Ok(())
    }

    /// What is added to the word whose first coordinate is `start`, so that each lane is around its
    /// middle and noise around its half: as much as is the same for all owners is taken off.
    fn bias(&self, start: u64) -> u128 {
        let lane = |lane: u32| {
            let centre = u128::from(self.config.centre(start + u64::from(lane)));
            let middle = u128::from(self.middle.unsigned_abs());
            let bias = middle.wrapping_sub(u128::from(self.count) * centre);
            bias << (self.noise_bits + lane * self.lane_bits)
        };
        (0..self.lanes).map(lane).fold(self.half, u128::wrapping_add)
    }

    fn decode_with(
        &self,
        padder: &mut Padder,
        (chunk, key): (u32, &TransformedKey),
        (words, per_word): (&[u64], usize),
        sums: &mut [i32],
        bias: impl Fn(usize) -> u128,
    ) -> Noise {
        let mut seen = Noise::default();
        let mut see = |coefficient: usize, value: u128| {
            let noise = self.noise(value);
            seen.squared += u128::from(noise).pow(2);
            if noise > self.noise_max && seen.first_large.is_none() {
                seen.first_large = Some(coefficient);
            }
        };
        // The number of lanes known when compiling halves the time.
        macro_rules! lanes {
            ($($k:literal)*) => {
                match self.lanes {
                    $($k => {
                        let items = words.chunks_exact(per_word).zip(sums.as_chunks_mut::<$k>().0);
                        padder.pad(
                            chunk,
                            key,
                            None,
                            items.enumerate(),
                            #[inline(always)]
                            |(at, (fields, sums)), pad| {
                                let value = self.value(fields, pad, bias(at));
                                see(at, value);
                                self.take_apart(value, sums);
                            },
                        );
                    })*
                    k => {
                        let items = words.chunks_exact(per_word).zip(sums.chunks_exact_mut(k as usize));
                        padder.pad(chunk, key, None, items.enumerate(), |(at, (fields, sums)), pad| {
                            let value = self.value(fields, pad, bias(at));
                            see(at, value);
                            self.take_apart(value, sums);
                        });
                    }
                }
            };
        }
        lanes!(1 2 3 4 5 6 7 8);
        seen
    }

    /// The opened word: lanes above noise, each around its middle.
    #[inline(always)]
    fn value(&self, fields: &[u64], pad: u128, bias: u128) -> u128 {
        Fields::join(fields).wrapping_sub(pad).wrapping_add(bias) & self.pad_mask
    }

    /// Absolute noise of an opened word.
    #[inline(always)]
    fn noise(&self, value: u128) -> u64 {
        let noise = (value & (2 * self.half - 1)) as i64 - self.half as i64;
        noise.unsigned_abs()
    }

    /// Takes the lanes of a word apart.
    #[inline(always)]
    fn take_apart(&self, value: u128, sums: &mut [i32]) {
        let message = value >> (self.noise_bits & 63);
        let (mut low, mut high) = (message as u64, (message >> 64) as u64);
        for sum in sums {
            *sum = (low & self.lane_mask) as i32 - self.middle;
            low = low >> (self.lane_bits & 63) | high << ((64 - self.lane_bits) & 63);
            high >>= self.lane_bits & 63;
        }
    }

    /// Tells garbage, whose noise is uniform: its mean square is a third of the square of half the
    /// room.
    fn check_noise(&self, chunk: u32, squared: u128, coefficients: u64) -> Result<(), Spoiled> {
        let most = u128::from(coefficients) * self.half * self.half / 12;
        if squared > most { Err(Spoiled::Garbage { chunk }) } else { Ok(()) }
    }

    /// The same of all chunks together, of which the last may be short.
    fn check_all(&self) -> Result<(), Spoiled> {
        let (squared, coefficients) = self.noise_squared;
        self.check_noise(self.config.chunks() - 1, squared, coefficients)
    }

    /// The first sum that quantised values cannot add up to.
    fn first_impossible(&self, sums: &[i32]) -> Option<usize> {
        let is_impossible = |sum: &i32| sum.unsigned_abs() > self.magnitude_max;
        let any = dispatch(
            #[inline(always)]
            || sums.iter().fold(false, |any, sum| any | is_impossible(sum)),
        );
        if any { sums.iter().position(is_impossible) } else { None }
    }

    /// The sums of weights and counters; without the audit, sentinels and padding are checked.
    fn integers(&self, rest: &[i32], declared: Option<u64>) -> Result<(u64, Vec<u64>), Spoiled> {
        let (config, quantiser) = (self.config, &self.config.quantiser);
        let is_audited = config.is_audited();
        let (sentinels, rest) = rest.split_at(SENTINELS);
        let (weight, rest) = rest.split_at(WEIGHT_DIGITS);
        let (counters, padding) = rest.split_at(usize::from(config.counters) * COUNTER_DIGITS);
        if !is_audited && let Some(bad) = sentinels.iter().position(|&sum| sum != 0) {
            return Err(Spoiled::Sentinel(bad));
        }
        if !is_audited && let Some(at) = padding.iter().position(|&sum| sum != 0) {
            return Err(Spoiled::Coordinate(config.coordinates() + at as u64));
        }
        let weight_max = match quantiser.weighting {
            Weighting::Uniform => 1,
            Weighting::CappedExamples(cap) => u64::from(cap),
        };
        let weight = match declared.filter(|_| is_audited) {
            Some(declared) => Some(declared).filter(|sum| self.range(1, weight_max).contains(sum)),
            None => self.join(weight, self.range(1, weight_max)),
        };
        let weight = weight.ok_or(Spoiled::Weight)?;
        let possible = self.range(0, quantiser.counter_max());
        let counter = |(index, digits): (usize, &[i32])| {
            if is_audited {
                return Ok(self.nearest(digits, &possible));
            }
            self.join(digits, possible.clone()).ok_or(Spoiled::Counter(index))
        };
        let counters = counters.chunks_exact(COUNTER_DIGITS).enumerate().map(counter);
        Ok((weight, counters.collect::<Result<_, _>>()?))
    }

    /// What n numbers from `least` to `most` can add up to.
    fn range(&self, least: u64, most: u64) -> RangeInclusive<u64> {
        let n = u64::from(self.count);
        n * least..=n.saturating_mul(most)
    }

    /// Sums of digits as they were sealed, with their middles.
    fn raw(&self, digits: &[i32]) -> impl Iterator<Item = i128> {
        let middles = i128::from(self.count) * i128::from(self.config.quantiser.offset());
        digits.iter().map(move |&digit| i128::from(digit) + middles)
    }

    fn joined(&self, digits: &[i32]) -> i128 {
        let bits = u32::from(self.config.quantiser.bits);
        (0..).zip(self.raw(digits)).map(|(i, digit)| digit << (i * bits)).sum()
    }

    /// The sum behind sums of digits, if n numbers can have these digits and that sum.
    fn join(&self, digits: &[i32], possible: RangeInclusive<u64>) -> Option<u64> {
        let bits = u32::from(self.config.quantiser.bits);
        let digit_max = i128::from(self.count) * ((1 << bits) - 1);
        let are_possible = self.raw(digits).all(|digit| (0..=digit_max).contains(&digit));
        let sum = u64::try_from(self.joined(digits)).ok()?;
        Some(sum).filter(|sum| are_possible && possible.contains(sum))
    }

    /// The possible sum that is nearest to what sums of digits say.
    fn nearest(&self, digits: &[i32], possible: &RangeInclusive<u64>) -> u64 {
        let (least, most) = (i128::from(*possible.start()), i128::from(*possible.end()));
        self.joined(digits).clamp(least, most) as u64
    }
}
