//! From the holders' component sums to the opened aggregate (design note, section 4, step 11).

use serde::{Deserialize, Serialize};

use crate::config::{Audit, Control, HolderIndex, Quantiser, RoundConfig, Weighting};
use crate::hash::{Digest, Domain, Hasher, hash};
use crate::limits::{COUNTER_DIGITS, SENTINELS, WEIGHT_DIGITS};
use crate::sum::accumulator::Accumulator;
use crate::sum::contribution::{correction_bytes, first_unreduced};
use crate::sum::fields::Fields;
use crate::sum::gauss::GAUSS_MAX;
use crate::sum::modulus::{add_mod, primes};
use crate::sum::pack::unpack_residues;
use crate::sum::pad::{Padder, TransformedKey};
use crate::sum::path::dispatch;

/// What the holders' releases agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// R_T for each component in canonical order; `None` where no f + 1 holders agree.
    pub components: Vec<Option<Vec<u8>>>,
    /// Holders that gave something else than the agreed value, ascending.
    pub liars: Vec<HolderIndex>,
}

/// Takes for each component the value that f + 1 holders give equally: at least one of them is
/// honest. A second release of one holder is ignored.
#[must_use]
pub fn combine(config: &RoundConfig, releases: &[(HolderIndex, &[Vec<u8>])]) -> Combined {
    let needed = config.shape.faults() + 1;
    let mut distinct: Vec<(HolderIndex, &[Vec<u8>])> = Vec::new();
    for &(holder, sums) in releases {
        let is_member = usize::from(holder.0) < config.shape.members();
        if is_member && distinct.iter().all(|(other, _)| *other != holder) {
            distinct.push((holder, sums));
        }
    }
    distinct.sort_unstable_by_key(|(holder, _)| *holder);

    let mut liars = Vec::new();
    let mut components = Vec::new();
    for component in config.shape.components() {
        let known = distinct.iter().filter(|(holder, _)| component.known_to(*holder));
        let given: Vec<(HolderIndex, Option<&Vec<u8>>)> = known
            .map(|&(holder, sums)| {
                let known = config.shape.components_of(holder);
                let position = known.iter().position(|other| *other == component);
                let sum = position.filter(|_| sums.len() == known.len()).map(|at| &sums[at]);
                (holder, sum.filter(|sum| is_vector(config, sum)))
            })
            .collect();
        let agreed = given.iter().find_map(|(_, sum)| {
            let copies = given.iter().filter(|(_, other)| other == sum).count();
            sum.filter(|_| copies >= needed)
        });
        let is_lie = |sum: &Option<&Vec<u8>>| sum.is_none() || (agreed.is_some() && *sum != agreed);
        liars.extend(given.iter().filter(|(_, sum)| is_lie(sum)).map(|(holder, _)| *holder));
        components.push(agreed.cloned());
    }
    liars.sort_unstable();
    liars.dedup();
    Combined { components, liars }
}

/// Whether these are the bytes of a vector over Z_q.
fn is_vector(config: &RoundConfig, bytes: &[u8]) -> bool {
    bytes.len() == correction_bytes(config) && first_unreduced(config, bytes).is_none()
}

/// A number of contributions, in words.
fn whole(count: Option<u32>) -> String {
    count.map_or_else(|| "parts of".to_owned(), |count| count.to_string())
}

/// The opened sum of the keys of a set. Published, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySum {
    entries: Vec<i32>,
}

/// The component sums and corrections do not add up to a sum of short keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShort {
    /// The accumulator holds another number of contributions.
    #[error("{} contributions were added, the set has {expected}", whole(*.added))]
    Count {
        /// In the accumulator; `None` if some only in part.
        added: Option<u32>,
        /// In the set.
        expected: u32,
    },
    /// Not one component sum per component.
    #[error("{got} component sums, {expected} expected")]
    Components {
        /// Given.
        got: usize,
        /// By the committee's shape.
        expected: usize,
    },
    /// A component sum has a wrong length or an unreduced entry.
    #[error("component sum {0} is malformed")]
    Component(usize),
    /// An entry is longer than n keys can make, or differs between the primes.
    #[error("entry {entry} of the key sum is not short")]
    Entry {
        /// Which.
        entry: usize,
    },
    /// Not the bytes of a key sum.
    #[error("{got} bytes, a key sum has {expected}")]
    Length {
        /// Bytes given.
        got: usize,
        /// By the terms.
        expected: usize,
    },
}

impl KeySum {
    /// S = sum d + sum over T of R_T.
    ///
    /// # Errors
    /// [`NotShort`].
    pub fn recover(
        config: &RoundConfig,
        accumulator: &Accumulator,
        components: &[Vec<u8>],
        count: u32,
    ) -> Result<Self, NotShort> {
        if accumulator.count() != Some(count) {
            return Err(NotShort::Count { added: accumulator.count(), expected: count });
        }
        let (got, expected) = (components.len(), config.shape.components().len());
        if got != expected || accumulator.config() != config {
            return Err(NotShort::Components { got, expected });
        }
        if let Some(bad) = components.iter().position(|bytes| !is_vector(config, bytes)) {
            return Err(NotShort::Component(bad));
        }
        let primes = primes(config.profile);
        let mut total = accumulator.correction().to_vec();
        for bytes in components {
            let residues = unpack_residues(bytes).zip(primes.iter().cycle());
            for (total, (residue, prime)) in total.iter_mut().zip(residues) {
                *total = add_mod(*total, residue, *prime);
            }
        }
        let entry = |(at, limbs): (usize, &[u64])| {
            let mut centred = limbs.iter().zip(primes).map(|(&x, &prime)| centre(x, prime));
            let first = centred.next().filter(|&first| centred.all(|other| other == first));
            first.and_then(|entry| short(entry, count)).ok_or(NotShort::Entry { entry: at })
        };
        let entries =
            total.chunks(primes.len()).enumerate().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// From published bytes.
    ///
    /// # Errors
    /// [`NotShort`].
    pub fn from_bytes(config: &RoundConfig, bytes: &[u8]) -> Result<Self, NotShort> {
        let (got, expected) = (bytes.len(), config.profile.ring_dimension() * 4);
        if got != expected {
            return Err(NotShort::Length { got, expected });
        }
        let entries: Vec<i32> =
            bytes.as_chunks().0.iter().map(|entry| i32::from_le_bytes(*entry)).collect();
        let too_long = |&entry: &i32| short(entry.into(), config.contributions_max).is_none();
        match entries.iter().position(too_long) {
            Some(entry) => Err(NotShort::Entry { entry }),
            None => Ok(Self { entries }),
        }
    }

    /// To publish: each entry as a little-endian `i32`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
    }

    /// Digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::KeySum, &[&self.to_bytes()])
    }
}

/// The representative of `x` nearest to zero.
const fn centre(x: u64, prime: u64) -> i64 {
    if x > prime / 2 { x as i64 - prime as i64 } else { x as i64 }
}

/// `entry`, if `count` keys can add up to it.
fn short(entry: i64, count: u32) -> Option<i32> {
    let is_short = entry.abs() <= GAUSS_MAX * i64::from(count);
    i32::try_from(entry).ok().filter(|_| is_short)
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

/// The opened sum. On the wire the sums are one byte string, four bytes each (little-endian, two's
/// complement): [`open`] lets none pass that is more than `n_max (2^(w-1) - 1)`, below 2^29.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Contributions.
    pub count: u32,
    /// Sum of their weights.
    pub weight: u64,
    /// Sums of signed units, one per parameter.
    #[serde(with = "sums")]
    pub sums: Vec<i32>,
    /// The same of the control; empty where there is none.
    #[serde(with = "sums")]
    pub control: Vec<i32>,
    /// Sums of the counters; on the wire one byte string, eight bytes each (little-endian).
    #[serde(with = "counters")]
    pub counters: Vec<u64>,
}

impl Aggregate {
    /// The weighted mean of the updates: `sum step / n`, or with weights
    /// `sum step cap / (sum of weights)`.
    #[must_use]
    pub fn mean(&self, quantiser: &Quantiser) -> Vec<f32> {
        let unit = match quantiser.weighting {
            Weighting::Uniform => quantiser.step() / f64::from(self.count),
            Weighting::CappedExamples(cap) => {
                quantiser.step() * f64::from(cap) / self.weight as f64
            }
        };
        self.sums.iter().map(|&sum| (f64::from(sum) * unit) as f32).collect()
    }

    /// The mean of the controls, every owner alike: `sum step / n`, `bits` as in the update's
    /// quantiser. Not rounded to `f32`.
    #[must_use]
    pub fn control_mean(&self, control: &Control, bits: u8) -> Vec<f64> {
        let unit = control.quantiser(bits).step() / f64::from(self.count);
        self.control.iter().map(|&sum| f64::from(sum) * unit).collect()
    }

    /// Digest of count, weight, counters, and sums of update and control.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::Aggregate);
        hasher.part(&self.count.to_le_bytes());
        hasher.part(&self.weight.to_le_bytes());
        let counters: Vec<u8> = self.counters.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        hasher.part(&counters);
        // What follows has no length of its own.
        hasher.part(&(self.control.len() as u64).to_le_bytes());
        let mut bytes = Vec::new();
        for sums in self.sums.chunks(8192).chain(self.control.chunks(8192)) {
            bytes.clear();
            bytes.extend(sums.iter().flat_map(|&sum| i64::from(sum).to_le_bytes()));
            hasher.raw(&bytes);
        }
        hasher.finish()
    }
}

/// Sums as they travel.
mod sums {
    use std::fmt;

    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Bytes of a sum.
    const SUM_BYTES: usize = 4;

    pub(super) fn serialize<S: Serializer>(sums: &[i32], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<i32>, D::Error> {
        struct Sums;

        impl Visitor<'_> for Sums {
            type Value = Vec<i32>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SUM_BYTES} bytes for each sum")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<i32>, E> {
                let (sums, []) = bytes.as_chunks::<SUM_BYTES>() else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                Ok(sums.iter().map(|&sum| i32::from_le_bytes(sum)).collect())
            }
        }

        deserializer.deserialize_bytes(Sums)
    }
}

/// Sums of counters as they travel.
mod counters {
    use std::fmt;

    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(
        counters: &[u64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = counters.iter().flat_map(|counter| counter.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u64>, D::Error> {
        struct Counters;

        impl Visitor<'_> for Counters {
            type Value = Vec<u64>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("8 bytes for each counter")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u64>, E> {
                let (counters, []) = bytes.as_chunks::<8>() else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                Ok(counters.iter().map(|&counter| u64::from_le_bytes(counter)).collect())
            }
        }

        deserializer.deserialize_bytes(Counters)
    }
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
