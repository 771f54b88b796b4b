//! The streaming check of an upload against its signed header.

use crate::config::{BadConfig, HolderIndex, RoundConfig};
use crate::message::SignedHeader;

/// An upload that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContribution {
    /// The terms do not hold together.
    #[error("the round's terms: {0}")]
    Terms(#[from] BadConfig),
    /// For another round.
    #[error("a header of another round")]
    OtherRound,
    /// Not signed by its client.
    #[error("the client's signature does not verify")]
    Signature,
    /// Not one hash per component and holder.
    #[error("the header has not one hash per component and holder")]
    Vectors,
    /// Parts came in another order than correction, boxes, chunks; or one came twice.
    #[error("a part out of order")]
    Order,
    /// Some part has not come.
    #[error("a part is missing")]
    Incomplete,
    /// The correction has another length.
    #[error("a correction of {got} bytes, {expected} expected")]
    CorrectionLength {
        /// Bytes given.
        got: usize,
        /// By the terms.
        expected: usize,
    },
    /// An entry of the correction is not reduced.
    #[error("entry {entry} of the correction is not below its prime")]
    CorrectionResidue {
        /// Which.
        entry: usize,
    },
    /// The correction is not the one signed for.
    #[error("the correction does not match the header")]
    Correction,
    /// A box has another length.
    #[error("the box for holder {} has {got} bytes, {expected} expected", .holder.0)]
    BoxLength {
        /// Whose.
        holder: HolderIndex,
        /// Bytes given.
        got: usize,
        /// By the terms.
        expected: usize,
    },
    /// A box is not the one signed for.
    #[error("the box for holder {} does not match the header", .0.0)]
    Box(HolderIndex),
    /// A chunk has another length.
    #[error("chunk {index} has {got} bytes, {expected} expected")]
    ChunkLength {
        /// Which.
        index: u32,
        /// Bytes given.
        got: usize,
        /// By the terms.
        expected: usize,
    },
    /// The chunks are not those signed for.
    #[error("the chunks do not match the header")]
    Chunks,
}

/// Checks the parts of one upload as they come: correction, boxes in order, chunks in order.
pub struct ContributionCheck {}

impl ContributionCheck {
    /// Checks the header itself.
    ///
    /// # Errors
    /// [`BadContribution`].
    pub fn new(config: &RoundConfig, header: &SignedHeader) -> Result<Self, BadContribution> {
        let _ = (config, header);
        unimplemented!()
    }

    /// The correction, first.
    ///
    /// # Errors
    /// [`BadContribution`].
    pub fn correction(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        let _ = bytes;
        unimplemented!()
    }

    /// The box for `holder`, in the committee's order.
    ///
    /// # Errors
    /// [`BadContribution`].
    pub fn sealed_box(&mut self, holder: HolderIndex, bytes: &[u8]) -> Result<(), BadContribution> {
        let _ = (holder, bytes);
        unimplemented!()
    }

    /// Chunk `index`, in order.
    ///
    /// # Errors
    /// [`BadContribution`].
    pub fn chunk(&mut self, index: u32, bytes: &[u8]) -> Result<(), BadContribution> {
        let _ = (index, bytes);
        unimplemented!()
    }

    /// Everything has come.
    ///
    /// # Errors
    /// [`BadContribution`].
    pub fn finish(self) -> Result<(), BadContribution> {
        unimplemented!()
    }
}

/// Bytes of a correction.
#[must_use]
pub fn correction_bytes(config: &RoundConfig) -> usize {
    config.profile.key_vector_bytes()
}

/// Bytes of one sealed box.
#[must_use]
pub fn box_bytes(config: &RoundConfig) -> usize {
    let _ = config;
    unimplemented!()
}
