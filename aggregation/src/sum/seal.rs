//! From integers to a sealed update.

use std::convert::Infallible;

use zeroize::Zeroizing;

use crate::config::{BadConfig, HolderIndex, RoundConfig};
use crate::message::SignedHeader;
use crate::signing::Identity;
use crate::sum::quantise::Quantised;

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

/// Seals one update for one round.
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
    let _ = (config, identity, quantised, entropy, sink);
    unimplemented!()
}
