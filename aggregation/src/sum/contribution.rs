//! The streaming check of an upload against its signed header. All lengths follow from the
//! round's terms, so nothing an uploader says makes anybody allocate.

use crate::config::{BadConfig, HolderIndex, RoundConfig};
use crate::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use crate::message::{SignedHeader, box_digest};
use crate::sum::modulus::primes;
use crate::sum::pack::unpack_residues;
use crate::sum::sealed_box::OVERHEAD_BYTES;
use crate::sum::share::SEED_BYTES;

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
    /// More contributions than the terms allow to add.
    #[error("more contributions than the terms allow")]
    TooMany,
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

/// Bytes of a correction.
#[must_use]
pub const fn correction_bytes(config: &RoundConfig) -> usize {
    config.profile.key_vector_bytes()
}

/// Bytes of one sealed box.
#[must_use]
pub fn box_bytes(config: &RoundConfig) -> usize {
    OVERHEAD_BYTES + config.shape.components_of(HolderIndex(0)).len() * SEED_BYTES
}

/// What the header says of a correction.
pub(crate) fn correction_digest(bytes: &[u8]) -> Digest {
    hash(Domain::Correction, &[bytes])
}

/// Checks a header: round, signature, number of hashes.
pub(crate) fn check_header(
    config: &RoundConfig,
    round_ctx: &Digest,
    header: &SignedHeader,
) -> Result<(), BadContribution> {
    if header.header.round_ctx != *round_ctx {
        return Err(BadContribution::OtherRound);
    }
    if header.header.shape() != Some(config.shape) {
        return Err(BadContribution::Vectors);
    }
    header.verify().map_err(|_| BadContribution::Signature)
}

/// Checks length and entries of a correction.
pub(crate) fn check_correction(config: &RoundConfig, bytes: &[u8]) -> Result<(), BadContribution> {
    let (got, expected) = (bytes.len(), correction_bytes(config));
    if got != expected {
        return Err(BadContribution::CorrectionLength { got, expected });
    }
    match first_unreduced(config, bytes) {
        Some(entry) => Err(BadContribution::CorrectionResidue { entry }),
        None => Ok(()),
    }
}

/// The first entry of a packed vector over Z_q that is not reduced.
pub(crate) fn first_unreduced(config: &RoundConfig, bytes: &[u8]) -> Option<usize> {
    let primes = primes(config.profile);
    let residues = unpack_residues(bytes).zip(primes.iter().cycle());
    let position = residues.enumerate().find(|(_, (residue, prime))| residue >= prime);
    position.map(|(at, _)| at / primes.len())
}

/// Checks the length of chunk `index`, which is below the number of chunks.
pub(crate) fn check_chunk(
    config: &RoundConfig,
    index: u32,
    bytes: &[u8],
) -> Result<(), BadContribution> {
    let (got, expected) = (bytes.len(), config.chunk_bytes(index));
    if got == expected {
        Ok(())
    } else {
        Err(BadContribution::ChunkLength { index, got, expected })
    }
}

/// Checks the parts of one upload as they come: correction, boxes in the committee's order,
/// chunks in order. After an error the upload is refused as a whole.
pub struct ContributionCheck {
    config: RoundConfig,
    header: SignedHeader,
    has_correction: bool,
    boxes: u8,
    leaves: Vec<Digest>,
}

impl ContributionCheck {
    /// Checks the header itself.
    ///
    /// # Errors
    /// [`BadContribution`]: the terms, the round, the number of hashes, the signature.
    pub fn new(config: &RoundConfig, header: &SignedHeader) -> Result<Self, BadContribution> {
        config.validate_layout()?;
        check_header(config, &config.context(), header)?;
        Ok(Self {
            config: config.clone(),
            header: header.clone(),
            has_correction: false,
            boxes: 0,
            leaves: Vec::new(),
        })
    }

    /// The correction, first.
    ///
    /// # Errors
    /// [`BadContribution`]: order, length, an unreduced entry, the digest.
    pub fn correction(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        if self.has_correction {
            return Err(BadContribution::Order);
        }
        check_correction(&self.config, bytes)?;
        if correction_digest(bytes) != self.header.header.correction {
            return Err(BadContribution::Correction);
        }
        self.has_correction = true;
        Ok(())
    }

    /// The box for `holder`, in the committee's order.
    ///
    /// # Errors
    /// [`BadContribution`]: order, length, the digest.
    pub fn sealed_box(&mut self, holder: HolderIndex, bytes: &[u8]) -> Result<(), BadContribution> {
        let digest = match self.header.header.boxes.get(usize::from(holder.0)) {
            Some(digest) if self.has_correction && holder.0 == self.boxes => digest,
            _ => return Err(BadContribution::Order),
        };
        let (got, expected) = (bytes.len(), box_bytes(&self.config));
        if got != expected {
            return Err(BadContribution::BoxLength { holder, got, expected });
        }
        if box_digest(bytes) != *digest {
            return Err(BadContribution::Box(holder));
        }
        self.boxes += 1;
        Ok(())
    }

    /// Chunk `index`, in order; its leaf.
    ///
    /// # Errors
    /// [`BadContribution`]: order, length. (Contents are checked all at once, at the end.)
    pub fn chunk(&mut self, index: u32, bytes: &[u8]) -> Result<Digest, BadContribution> {
        if usize::from(self.boxes) != self.header.header.boxes.len() {
            return Err(BadContribution::Order);
        }
        if index as usize != self.leaves.len() || index >= self.config.chunks() {
            return Err(BadContribution::Order);
        }
        check_chunk(&self.config, index, bytes)?;
        let leaf = chunk_leaf(index, bytes);
        self.leaves.push(leaf);
        Ok(leaf)
    }

    /// Everything has come.
    ///
    /// # Errors
    /// [`BadContribution`]: a part is missing, or the chunks are not those signed for.
    pub fn finish(self) -> Result<(), BadContribution> {
        if self.leaves.len() as u64 != u64::from(self.config.chunks()) {
            return Err(BadContribution::Incomplete);
        }
        if merkle_root(&self.leaves) != self.header.header.chunks_root {
            return Err(BadContribution::Chunks);
        }
        Ok(())
    }
}
