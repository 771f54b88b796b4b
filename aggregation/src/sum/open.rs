//! From the holders' component sums to the opened aggregate (design note, section 4, step 11).

mod aggregate;
mod combine;
mod key_sum;

use crate::config::{Audit, Quantiser, RoundConfig, Weighting};
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

/// Opens the sum of `count` contributions.
///
/// # Errors
/// [`Spoiled`]: something in the set was not honestly encrypted. Which contribution it was
/// cannot be told with the audit off.
pub fn open(
    config: &RoundConfig,
    round_ctx: &Digest,
    accumulator: &Accumulator,
    key_sum: &KeySum,
    count: u32,
) -> Result<Aggregate, Spoiled> {
    open_with_digits(config, round_ctx, accumulator, key_sum, count).map(|(aggregate, _)| aggregate)
}

/// The same, with the sums of the digits of weight and counters, each less n times its middle.
///
/// # Errors
/// As [`open`].
pub fn open_with_digits(
    config: &RoundConfig,
    round_ctx: &Digest,
    accumulator: &Accumulator,
    key_sum: &KeySum,
    count: u32,
) -> Result<(Aggregate, Vec<i32>), Spoiled> {
    if accumulator.count() != Some(count) {
        return Err(Spoiled::Count { added: accumulator.count(), expected: count });
    }
    let entries = key_sum.entries.len();
    if accumulator.config() != config || entries != config.profile.ring_dimension() {
        return Err(Spoiled::Shape);
    }
    let mut padder = Padder::new(config, round_ctx);
    let key = padder.transform(key_sum.entries.iter().map(|&entry| i64::from(entry)));
    let decoder = Decoder::new(config, count);
    let vectors = config.vector_coordinates() as usize;
    let coordinates =
        (0..config.chunks()).map(|chunk| config.chunk_coefficients(chunk)).sum::<usize>()
            * config.packing.lanes as usize;
    let mut sums = vec![0; coordinates];
    let mut rest = sums.as_mut_slice();
    let mut done = 0;
    for chunk in 0..config.chunks() {
        let lanes = config.chunk_coefficients(chunk) * config.packing.lanes as usize;
        let (now, later) = rest.split_at_mut(lanes);
        decoder.decode(&mut padder, chunk, &key, accumulator.chunk(chunk), now)?;
        let own = now.len().min(vectors - done);
        if let Some(at) = decoder.first_impossible(&now[..own]) {
            return Err(Spoiled::Coordinate((done + at) as u64));
        }
        (rest, done) = (later, done + own);
    }
    let rest: Vec<u64> = sums[vectors..].iter().map(|&sum| decoder.raw(sum)).collect();
    let (weight, counters) = decoder.integers(config, &rest)?;
    let digits = sums[vectors + SENTINELS..config.coordinates() as usize].to_vec();
    sums.truncate(vectors);
    let control = sums.split_off(config.dimension as usize);
    Ok((Aggregate { count, weight, sums, control, counters }, digits))
}

/// Takes sums of `count` contributions apart.
struct Decoder {
    count: u64,
    lanes: u32,
    lane_bits: u32,
    lane_mask: u64,
    noise_bits: u32,
    /// Half of what noise can take up.
    half: u128,
    pad_mask: u128,
    /// Largest absolute noise of honest contributions; where they are audited, of any.
    noise_max: u64,
    /// n times the offset of a coordinate. A lane is of 30 bits at most, and offset and lane fit
    /// (see [`Aggregate`]).
    offset: i32,
    /// n times the largest unit.
    magnitude_max: u32,
}

impl Decoder {
    fn new(config: &RoundConfig, count: u32) -> Self {
        let (packing, n) = (&config.packing, u64::from(count));
        // What `Packing::derive` leaves room for: n + 1 roundings of a half and a bit, and n
        // noises of at most 64 before the scaling by 2^P / q.
        let scaled_noise = (u128::from(n) * 64)
            .div_ceil(1 << (config.profile.modulus_bits() - packing.pad_bits()));
        Self {
            count: n,
            lanes: packing.lanes,
            lane_bits: packing.lane_bits,
            lane_mask: (1 << packing.lane_bits) - 1,
            noise_bits: packing.noise_bits,
            half: 1 << (packing.noise_bits - 1),
            pad_mask: (1 << packing.pad_bits()) - 1,
            // Audited noise is within bounds of its own, which leave room in the lowest bits for all
            // of it: what one client may add must not spoil the sum of all.
            noise_max: match config.audit {
                Audit::Off => n.div_ceil(2) + 2 + scaled_noise as u64,
                Audit::Closed { .. } => 1 << (packing.noise_bits - 1),
            },
            offset: config.quantiser.offset() as i32 * count as i32,
            magnitude_max: config.quantiser.magnitude_max() * count,
        }
    }

    /// Decodes a chunk into sums of signed units. `fields` are its words, and how many fields
    /// each has.
    fn decode(
        &self,
        padder: &mut Padder,
        chunk: u32,
        key: &TransformedKey,
        (words, per_word): (&[u64], usize),
        sums: &mut [i32],
    ) -> Result<(), Spoiled> {
        let mut noisy = None;
        let mut noise = |coefficient: usize, value: u128| {
            if self.is_noisy(value) && noisy.is_none() {
                noisy = Some(coefficient);
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
                                let value = self.value(fields, pad);
                                noise(at, value);
                                self.take_apart(value, sums);
                            },
                        );
                    })*
                    k => {
                        let items = words.chunks_exact(per_word).zip(sums.chunks_exact_mut(k as usize));
                        padder.pad(chunk, key, None, items.enumerate(), |(at, (fields, sums)), pad| {
                            let value = self.value(fields, pad);
                            noise(at, value);
                            self.take_apart(value, sums);
                        });
                    }
                }
            };
        }
        lanes!(1 2 3 4 5 6 7 8);
        noisy.map_or(Ok(()), |coefficient| Err(Spoiled::Noise { chunk, coefficient }))
    }

    /// The opened word: lanes above centred noise.
    #[inline(always)]
    fn value(&self, fields: &[u64], pad: u128) -> u128 {
        Fields::join(fields).wrapping_sub(pad).wrapping_add(self.half) & self.pad_mask
    }

    #[inline(always)]
    fn is_noisy(&self, value: u128) -> bool {
        let noise = (value & (2 * self.half - 1)) as i64 - self.half as i64;
        noise.unsigned_abs() > self.noise_max
    }

    /// Takes the lanes of a word apart.
    #[inline(always)]
    fn take_apart(&self, value: u128, sums: &mut [i32]) {
        let message = value >> (self.noise_bits & 63);
        let (mut low, mut high) = (message as u64, (message >> 64) as u64);
        for sum in sums {
            *sum = (low & self.lane_mask) as i32 - self.offset;
            low = low >> (self.lane_bits & 63) | high << ((64 - self.lane_bits) & 63);
            high >>= self.lane_bits & 63;
        }
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

    /// The raw sum behind a sum of signed units.
    const fn raw(&self, sum: i32) -> u64 {
        (sum + self.offset) as u64
    }

    /// Checks sentinels and padding; returns the sums of weights and counters.
    fn integers(&self, config: &RoundConfig, rest: &[u64]) -> Result<(u64, Vec<u64>), Spoiled> {
        let (sentinels, rest) = rest.split_at(SENTINELS);
        if let Some(bad) = sentinels.iter().position(|&sum| sum != self.count) {
            return Err(Spoiled::Sentinel(bad));
        }
        let (weight, rest) = rest.split_at(WEIGHT_DIGITS);
        let (counters, padding) = rest.split_at(usize::from(config.counters) * COUNTER_DIGITS);
        if let Some(at) = padding.iter().position(|&sum| sum != 0) {
            return Err(Spoiled::Coordinate(config.coordinates() + at as u64));
        }
        let quantiser = &config.quantiser;
        let weight_max = match quantiser.weighting {
            Weighting::Uniform => 1,
            Weighting::CappedExamples(cap) => u64::from(cap),
        };
        let weight = self.join(quantiser, weight, 1, weight_max).ok_or(Spoiled::Weight)?;
        let counter = |(index, digits): (usize, &[u64])| {
            let sum = self.join(quantiser, digits, 0, quantiser.counter_max());
            sum.ok_or(Spoiled::Counter(index))
        };
        let counters = counters.chunks_exact(COUNTER_DIGITS).enumerate().map(counter);
        Ok((weight, counters.collect::<Result<_, _>>()?))
    }

    /// The sum behind sums of digits, if n numbers from `least` to `most` can give it.
    fn join(&self, quantiser: &Quantiser, digits: &[u64], least: u64, most: u64) -> Option<u64> {
        let bits = u32::from(quantiser.bits);
        let digit_max = self.count * ((1 << bits) - 1);
        let sum: u128 = (0..).zip(digits).map(|(i, &digit)| u128::from(digit) << (i * bits)).sum();
        let n = u128::from(self.count);
        let is_possible = digits.iter().all(|&digit| digit <= digit_max)
            && (n * u128::from(least)..=n * u128::from(most)).contains(&sum);
        u64::try_from(sum).ok().filter(|_| is_possible)
    }
}
