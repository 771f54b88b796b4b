//! Reading a stored contribution again, and computing its public values from its bytes: what a
//! holder does before it signs a verdict, and anybody afterwards.

use std::sync::Arc;

use crate::audit::check::{Batch, Product};
use crate::audit::opening::Public;
use crate::audit::question::Question;
use crate::audit::terms::BadTerms;
use crate::config::RoundConfig;
use crate::hash::{Digest, chunk_leaf, merkle_root};
use crate::sum::contribution::{BadContribution, check_chunk, check_correction, correction_digest};

/// What the stored bytes must be: as its client signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Digest of the contribution's header.
    pub header: Digest,
    /// Digest of the correction.
    pub correction: Digest,
    /// Merkle root over the chunks.
    pub chunks_root: Digest,
}

/// The check of one round, to read contributions against.
#[derive(Clone)]
pub struct Rereading {
    config: Arc<RoundConfig>,
    pub(crate) batch: Arc<Batch>,
}

impl Rereading {
    /// For the audit of the set `set` with the beacons `rows` and `check`.
    ///
    /// # Errors
    /// [`BadTerms`] when the round cannot be audited.
    pub fn new(
        config: Arc<RoundConfig>,
        set: Digest,
        rows: Digest,
        check: &Digest,
    ) -> Result<Self, BadTerms> {
        let question = Question::new(&config, set, rows)?;
        let batch = Arc::new(Batch::new(&question, &question.check(check)));
        Ok(Self { config, batch })
    }

    /// The terms.
    #[must_use]
    pub fn config(&self) -> &RoundConfig {
        &self.config
    }

    /// Begins to read a contribution, from its correction.
    ///
    /// # Errors
    /// [`BadContribution`]: these are not the bytes that were signed.
    pub fn begin(&self, signed: Signed, correction: &[u8]) -> Result<Reading<'_>, BadContribution> {
        check_correction(&self.config, correction)?;
        if correction_digest(correction) != signed.correction {
            return Err(BadContribution::Correction);
        }
        let product = self.batch.begin(&self.config);
        let correction = correction.to_vec();
        Ok(Reading { rereading: self, signed, correction, product, leaves: Vec::new() })
    }
}

/// A contribution as it is read again, chunk by chunk in order.
pub struct Reading<'a> {
    rereading: &'a Rereading,
    signed: Signed,
    correction: Vec<u8>,
    product: Product<'a>,
    leaves: Vec<Digest>,
}

impl Reading<'_> {
    /// The next chunk.
    ///
    /// # Errors
    /// [`BadContribution`]: its length, or one too many.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), BadContribution> {
        let index = self.leaves.len() as u32;
        if index >= self.rereading.config.chunks() {
            return Err(BadContribution::Order);
        }
        check_chunk(&self.rereading.config, index, bytes)?;
        self.leaves.push(chunk_leaf(index, bytes));
        self.product.add(index, bytes);
        Ok(())
    }

    /// The contribution's public values.
    ///
    /// # Errors
    /// [`BadContribution`]: chunks are missing, or are not those that were signed.
    pub fn finish(self) -> Result<Public, BadContribution> {
        if self.leaves.len() as u64 != u64::from(self.rereading.config.chunks()) {
            return Err(BadContribution::Incomplete);
        }
        if merkle_root(&self.leaves) != self.signed.chunks_root {
            return Err(BadContribution::Chunks);
        }
        let product = self.product.finish();
        let batch = &self.rereading.batch;
        Public::new(batch, &self.correction, product).ok_or(BadContribution::Correction)
    }
}
