//! From integers to a sealed update (design note, section 4, steps 2 to 7).

use std::convert::Infallible;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::audit::witness::{ChunkWitness, Witness};
use crate::config::{BadConfig, HolderIndex, Packing, RoundConfig};
use crate::hash::{Digest, chunk_leaf, merkle_root};
use crate::message::{Header, SignedHeader, box_digest};
use crate::signing::Identity;
use crate::sum::contribution::correction_digest;
use crate::sum::key::{ClientKey, ClientRandomness};
use crate::sum::pack::{PACKER_SLACK, Packer};
use crate::sum::pad::{Padder, TransformedKey};
use crate::sum::quantise::Quantised;
use crate::sum::sealed_box::{self, Place};
use crate::sum::share::Shares;

/// Where chunks go as they are made.
pub trait ChunkSink {
    /// Why a chunk could not be taken.
    type Error;

    /// Takes chunk `index`; chunks come in order, from 0.
    ///
    /// # Errors
    /// The sink's own.
    fn chunk(&mut self, index: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl ChunkSink for Vec<Vec<u8>> {
    type Error = Infallible;

    fn chunk(&mut self, _index: u32, bytes: &[u8]) -> Result<(), Infallible> {
        self.push(bytes.to_vec());
        Ok(())
    }
}

/// A sealed update, but for its chunks, which went to the sink.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Hashes of everything, signed.
    pub header: SignedHeader,
    /// The public correction d.
    pub correction: Vec<u8>,
    /// One sealed box per holder, in the committee's order.
    pub boxes: Vec<Vec<u8>>,
}

/// An update was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError<E> {
    /// The terms do not hold together.
    #[error("the round's terms: {0}")]
    Terms(BadConfig),
    /// The update is not as long as the terms say, or quantised otherwise, or its control or
    /// counters are not those of the terms.
    #[error(
        "an update of {got} parameters of {bits} bits, its control and counters do not fit the round's terms"
    )]
    Update {
        /// Parameters given.
        got: usize,
        /// Their width.
        bits: u8,
    },
    /// Not one leaf for each chunk.
    #[error("not every chunk was sealed once")]
    Chunks,
    /// A holder's sealing key is no key.
    #[error("the sealing key of holder {} is no valid key", .0.0)]
    SealingKey(HolderIndex),
    /// The sink failed.
    #[error("a chunk could not be stored")]
    Sink(E),
}

/// Seals one update for one round: chunks go to `sink` one by one, the rest is returned. Holds
/// one chunk at a time. `entropy` is 32 bytes fresh from the operating system.
///
/// # Errors
/// [`SealError`].
pub fn seal<S: ChunkSink>(
    config: &RoundConfig,
    identity: &Identity,
    quantised: &Quantised,
    entropy: &Zeroizing<[u8; 32]>,
    sink: &mut S,
) -> Result<Sealed, SealError<S::Error>> {
    let sealing = Sealing::new(config, identity, quantised, entropy)?;
    let mut sealer = sealing.sealer();
    let mut leaves = Vec::new();
    for index in 0..config.chunks() {
        let (bytes, leaf) = sealer.seal(index);
        sink.chunk(index, bytes).map_err(SealError::Sink)?;
        leaves.push(leaf);
    }
    sealing.finish(&leaves)
}

/// One update being sealed under one key. The chunks can be sealed on several threads, each with
/// a [`ChunkSealer`] of its own, in any order; a chunk sealed twice gives the same bytes.
///
/// The key is drawn here and nowhere else, for one update, and [`Self::finish`] uses it up: no
/// second header can be made with it.
///
/// ```compile_fail,E0382
/// use covey_aggregation::sum::seal::{Leaf, Sealing, SealError, Sealed};
/// # use std::convert::Infallible;
/// fn twice(
///     sealing: Sealing<'_>,
///     leaves: &[Leaf],
/// ) -> Result<(Sealed, Sealed), SealError<Infallible>> {
///     Ok((sealing.finish(leaves)?, sealing.finish(leaves)?)) // used after it was moved
/// }
/// ```
pub struct Sealing<'a> {
    config: &'a RoundConfig,
    round_ctx: Digest,
    identity: &'a Identity,
    quantised: &'a Quantised,
    randomness: ClientRandomness,
    key: ClientKey,
    transformed: TransformedKey,
    shared: OnceLock<Result<SharedKey, HolderIndex>>,
}

/// The key, shared among the holders: all of it may be seen by anybody.
struct SharedKey {
    correction: Vec<u8>,
    components: Vec<Digest>,
    boxes: Vec<Vec<u8>>,
    box_keys: Vec<Digest>,
}

impl<'a> Sealing<'a> {
    /// Draws the key. `entropy` is 32 bytes fresh from the operating system.
    ///
    /// # Errors
    /// [`SealError::Terms`], [`SealError::Update`].
    pub fn new<E>(
        config: &'a RoundConfig,
        identity: &'a Identity,
        quantised: &'a Quantised,
        entropy: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, SealError<E>> {
        config.validate_layout().map_err(SealError::Terms)?;
        if !quantised.fits(config) {
            let (got, bits) = (quantised.len(), quantised.quantiser().bits);
            return Err(SealError::Update { got, bits });
        }
        let round_ctx = config.context();
        let randomness = ClientRandomness::new(identity, entropy, &round_ctx, quantised);
        let key = ClientKey::draw(config.profile, &randomness);
        let padder = Padder::new(config, &round_ctx);
        let transformed = padder.transform(key.entries().iter().copied());
        let shared = OnceLock::new();
        Ok(Self { config, round_ctx, identity, quantised, randomness, key, transformed, shared })
    }

    /// Seals chunks, with buffers for one.
    #[must_use]
    pub fn sealer(&self) -> ChunkSealer<'_> {
        ChunkSealer {
            sealing: self,
            padder: Padder::new(self.config, &self.round_ctx),
            coordinates: Zeroizing::new(vec![0; self.config.chunk_coordinates() as usize]),
            bytes: vec![0; self.config.chunk_bytes(0) + PACKER_SLACK],
        }
    }

    /// What the audit's proof will be made from. `chunks` are those of all chunks, in any order
    /// ([`ChunkSealer::seal_and_keep`]).
    ///
    /// # Errors
    /// [`SealError::Chunks`].
    pub fn witness<E>(&self, mut chunks: Vec<ChunkWitness>) -> Result<Witness, SealError<E>> {
        chunks.sort_unstable_by_key(|chunk| chunk.index);
        if !chunks.iter().map(|chunk| chunk.index).eq(0..self.config.chunks()) {
            return Err(SealError::Chunks);
        }
        let mut randomness = self.randomness.seeds();
        let components = self.config.shape.components();
        let seeds = components.iter().map(|_| Shares::draw_seed(&mut randomness)).collect();
        Ok(Witness::new(seeds, chunks))
    }

    /// Shares the key among the holders, which [`Self::finish`] does otherwise: for a thread of
    /// its own while the chunks are sealed. Once is enough, more changes nothing.
    pub fn share(&self) {
        self.shared.get_or_init(|| self.share_key());
    }

    /// Shares the key among the holders and signs. `leaves` are those of all chunks, in any
    /// order.
    ///
    /// # Errors
    /// [`SealError::Chunks`], [`SealError::SealingKey`].
    pub fn finish<E>(self, leaves: &[Leaf]) -> Result<Sealed, SealError<E>> {
        let (config, client) = (self.config, self.identity.id());
        let mut leaves = leaves.to_vec();
        leaves.sort_unstable_by_key(|leaf| leaf.index);
        if !leaves.iter().map(|leaf| leaf.index).eq(0..config.chunks()) {
            return Err(SealError::Chunks);
        }
        let leaves: Vec<Digest> = leaves.into_iter().map(|leaf| leaf.digest).collect();
        self.share();
        let shared = self.shared.into_inner().expect("it is shared now");
        let SharedKey { correction, components, boxes, box_keys } =
            shared.map_err(SealError::SealingKey)?;
        let header = Header {
            round_ctx: self.round_ctx,
            client,
            components,
            box_keys,
            boxes: boxes.iter().map(|sealed| box_digest(sealed)).collect(),
            correction: correction_digest(&correction),
            chunks_root: merkle_root(&leaves),
        };
        let header = SignedHeader::sign(header, self.identity);
        Ok(Sealed { header, correction, boxes })
    }

    fn share_key(&self) -> Result<SharedKey, HolderIndex> {
        let shares = Shares::new(
            (self.config.profile, self.config.shape),
            &self.round_ctx,
            &self.identity.id(),
            &self.key,
            &mut self.randomness.seeds(),
        );
        let (boxes, box_keys) = self.boxes(&shares)?;
        let (correction, components) = (shares.correction, shares.commitments);
        Ok(SharedKey { correction, components, boxes, box_keys })
    }

    /// A box for every holder, and the commitments to their keys.
    fn boxes(&self, shares: &Shares) -> Result<(Vec<Vec<u8>>, Vec<Digest>), HolderIndex> {
        let client = self.identity.id();
        let mut randomness = self.randomness.boxes();
        let (mut boxes, mut box_keys) = (Vec::new(), Vec::new());
        for (holder, seat) in (0..).map(HolderIndex).zip(&self.config.committee) {
            let place = Place { round_ctx: &self.round_ctx, client: &client, holder };
            let contents = shares.contents(holder);
            let (sealed, key) =
                sealed_box::seal(&seat.sealing_key, place, &contents, &mut randomness)
                    .map_err(|_| holder)?;
            box_keys.push(key.commitment(place));
            boxes.push(sealed);
        }
        Ok((boxes, box_keys))
    }
}

/// A leaf of the tree over a sealed update's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    index: u32,
    digest: Digest,
}

/// Seals chunks of one update.
pub struct ChunkSealer<'a> {
    sealing: &'a Sealing<'a>,
    padder: Padder,
    coordinates: Zeroizing<Vec<u16>>,
    bytes: Vec<u8>,
}

impl ChunkSealer<'_> {
    /// Chunk `index` and its leaf.
    ///
    /// # Panics
    /// When the terms have no such chunk.
    pub fn seal(&mut self, index: u32) -> (&[u8], Leaf) {
        let Sealing { config, quantised, randomness, transformed, .. } = self.sealing;
        assert!(index < config.chunks(), "no chunk {index}");
        let Packing { lanes, noise_bits, .. } = config.packing;
        let coordinates = quantised.coordinates(config, index, &mut self.coordinates);
        let coefficients = config.chunk_coefficients(index);
        let mut packer = Packer::new(config.packing.pad_bits(), &mut self.bytes);
        let mask = (1u128 << config.packing.pad_bits()) - 1;
        let mut add = |lanes: &[u16], pad: u128| {
            let message = message(&config.packing, lanes) << (noise_bits & 63);
            packer.push(pad.wrapping_add(message) & mask);
        };
        let noise = &mut randomness.noise(index);
        // The number of lanes known when compiling saves a tenth of the time.
        macro_rules! lanes {
            ($($k:literal)*) => {
                match lanes {
                    $($k => {
                        let items = coordinates.as_chunks::<$k>().0.iter().take(coefficients);
                        self.padder.pad(
                            index,
                            transformed,
                            Some(noise),
                            items,
                            #[inline(always)]
                            |lanes, pad| add(lanes, pad),
                        );
                    })*
                    k => {
                        let items = coordinates.chunks_exact(k as usize).take(coefficients);
                        self.padder.pad(index, transformed, Some(noise), items, add);
                    }
                }
            };
        }
        lanes!(1 2 3 4 5 6 7 8);
        let bytes = &self.bytes[..config.chunk_bytes(index)];
        (bytes, Leaf { index, digest: chunk_leaf(index, bytes) })
    }
}

impl ChunkSealer<'_> {
    /// As [`Self::seal`], and what the audit's proof will need of the chunk.
    ///
    /// # Panics
    /// When the terms have no such chunk.
    pub fn seal_and_keep(&mut self, index: u32) -> (&[u8], Leaf, ChunkWitness) {
        let (_, leaf) = self.seal(index);
        let Sealing { config, quantised, transformed, .. } = self.sealing;
        let coordinates = quantised.coordinates(config, index, &mut self.coordinates);
        let masked = self.padder.product(index, 0, transformed);
        let bytes = &self.bytes[..config.chunk_bytes(index)];
        let kept = ChunkWitness::new(config, index, coordinates, bytes, masked);
        (bytes, leaf, kept)
    }
}

/// The lanes of one coefficient, side by side: lane l of coefficient c is coordinate `c k + l`.
#[inline(always)]
fn message(packing: &Packing, lanes: &[u16]) -> u128 {
    let lane_bits = packing.lane_bits & 63;
    lanes.iter().rev().fold(0u128, |message, &raw| message << lane_bits | u128::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index formula, in its own words: coordinate i is lane `i mod k` of coefficient
    /// `i / k`, counted over the whole vector.
    #[test]
    fn coordinates_lie_where_the_index_formula_says() {
        let config = crate::config::tests::config(crate::config::Profile::B, 8, 100, 30_000);
        let Packing { lanes, lane_bits, noise_bits } = config.packing;
        assert_eq!((lanes, lane_bits, noise_bits), (5, 15, 7));
        let units: Vec<i32> = (0..30_000).map(|i| i % 200 - 100).collect();
        let quantised = Quantised::from_units(&units, 1, &config.quantiser).expect("in range");
        for chunk in 0..config.chunks() {
            let mut buffer = vec![9; config.chunk_coordinates() as usize];
            let coordinates = quantised.coordinates(&config, chunk, &mut buffer);
            let words: Vec<u128> = coordinates
                .chunks_exact(5)
                .take(config.chunk_coefficients(chunk))
                .map(|lanes| message(&config.packing, lanes) << noise_bits)
                .collect();
            let start = u64::from(chunk) * config.chunk_coordinates();
            let end = config.coordinates().min(start + config.chunk_coordinates());
            for i in start..end {
                let place = config.place(i);
                assert_eq!(place.chunk, chunk);
                assert_eq!(u64::from(place.lane), i % 5);
                assert_eq!(place.coefficient as u64, i / 5 % 4096);
                let shift = noise_bits + place.lane * lane_bits;
                let raw = words[place.coefficient] >> shift & ((1 << lane_bits) - 1);
                let expected = match i.checked_sub(30_000) {
                    None => (units[i as usize] + 128) as u128,
                    Some(0..64) => 1, // sentinels
                    Some(64) => 1,    // the lowest digit of weight 1
                    Some(_) => 0,
                };
                assert_eq!(raw, expected, "coordinate {i}");
            }
            // Noise bits and what lies beyond the coordinates stay zero.
            assert!(words.iter().all(|word| word % (1 << noise_bits) == 0));
        }
    }
}
