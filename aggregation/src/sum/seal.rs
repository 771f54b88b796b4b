//! From integers to a sealed update (design note, section 4, steps 2 to 7).

use std::convert::Infallible;

use zeroize::Zeroizing;

use crate::config::{BadConfig, HolderIndex, Packing, RoundConfig};
use crate::hash::{Digest, chunk_leaf, merkle_root};
use crate::message::{Header, SignedHeader};
use crate::signing::Identity;
use crate::sum::contribution::{box_digest, correction_digest};
use crate::sum::key::{ClientKey, ClientRandomness};
use crate::sum::pack::pack;
use crate::sum::pad::Padder;
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
    /// The update is not as long as the terms say, or quantised otherwise.
    #[error("an update of {got} parameters of {bits} bits does not fit the round's terms")]
    Update {
        /// Parameters given.
        got: usize,
        /// Their width.
        bits: u8,
    },
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
    config.validate_layout().map_err(SealError::Terms)?;
    if quantised.len() as u64 != config.dimension || *quantised.quantiser() != config.quantiser {
        let (got, bits) = (quantised.len(), quantised.quantiser().bits);
        return Err(SealError::Update { got, bits });
    }
    let round_ctx = config.context();
    let randomness = ClientRandomness::new(identity, entropy, &round_ctx, quantised);
    let key = ClientKey::draw(config.profile, &randomness);
    let round = Round { config, round_ctx: &round_ctx, identity };
    round.seal(key, &randomness, quantised, sink)
}

/// Who seals for which round.
struct Round<'a> {
    config: &'a RoundConfig,
    round_ctx: &'a Digest,
    identity: &'a Identity,
}

impl Round<'_> {
    /// Uses the key up.
    fn seal<S: ChunkSink>(
        &self,
        key: ClientKey,
        randomness: &ClientRandomness,
        quantised: &Quantised,
        sink: &mut S,
    ) -> Result<Sealed, SealError<S::Error>> {
        let (config, client) = (self.config, self.identity.id());
        let leaves = self.chunks(&key, randomness, quantised, sink).map_err(SealError::Sink)?;
        let shares = Shares::new(
            (config.profile, config.shape),
            self.round_ctx,
            &client,
            &key,
            &mut randomness.seeds(),
        );
        drop(key);

        let mut box_randomness = randomness.boxes();
        let (mut boxes, mut box_keys) = (Vec::new(), Vec::new());
        for (holder, seat) in (0..).map(HolderIndex).zip(&config.committee) {
            let place = Place { round_ctx: self.round_ctx, client: &client, holder };
            let contents = shares.contents(holder);
            let (sealed, key) =
                sealed_box::seal(&seat.sealing_key, place, &contents, &mut box_randomness)
                    .map_err(|_| SealError::SealingKey(holder))?;
            box_keys.push(key.commitment(place));
            boxes.push(sealed);
        }
        let header = Header {
            round_ctx: *self.round_ctx,
            client,
            components: shares.commitments,
            box_keys,
            boxes: boxes.iter().map(|sealed| box_digest(sealed)).collect(),
            correction: correction_digest(&shares.correction),
            chunks_root: merkle_root(&leaves),
        };
        let header = SignedHeader::sign(header, self.identity);
        Ok(Sealed { header, correction: shares.correction, boxes })
    }

    /// Encrypts chunk by chunk; returns the leaves of their Merkle tree.
    fn chunks<S: ChunkSink>(
        &self,
        key: &ClientKey,
        randomness: &ClientRandomness,
        quantised: &Quantised,
        sink: &mut S,
    ) -> Result<Vec<Digest>, S::Error> {
        let config = self.config;
        let mut padder = Padder::new(config, self.round_ctx);
        let key = padder.transform(key.entries().iter().copied());
        let mut coordinates = Zeroizing::new(vec![0; config.chunk_coordinates() as usize]);
        let mut bytes = Vec::with_capacity(config.chunk_bytes(0));
        let mut leaves = Vec::new();
        for index in 0..config.chunks() {
            let words = padder.pad(index, &key, Some(&mut randomness.noise(index)));
            let words = &mut words[..config.chunk_coefficients(index)];
            quantised.coordinates(config, index, &mut coordinates);
            add_lanes(&config.packing, &coordinates, words);
            bytes.clear();
            pack(words, config.packing.pad_bits(), &mut bytes);
            leaves.push(chunk_leaf(index, &bytes));
            sink.chunk(index, &bytes)?;
        }
        Ok(leaves)
    }
}

/// Adds the coordinates above the noise bits: lane l of coefficient c is coordinate `c k + l`.
fn add_lanes(packing: &Packing, coordinates: &[u16], words: &mut [u128]) {
    let mask = (1 << packing.pad_bits()) - 1;
    let lanes = coordinates.chunks_exact(packing.lanes as usize);
    for (word, lanes) in words.iter_mut().zip(lanes) {
        let message = lanes
            .iter()
            .rev()
            .fold(0u128, |message, &raw| message << packing.lane_bits | u128::from(raw));
        *word = word.wrapping_add(message << packing.noise_bits) & mask;
    }
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
            let mut coordinates = vec![9; config.chunk_coordinates() as usize];
            quantised.coordinates(&config, chunk, &mut coordinates);
            let mut words = vec![0; config.chunk_coefficients(chunk)];
            add_lanes(&config.packing, &coordinates, &mut words);
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
