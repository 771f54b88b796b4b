//! A contribution that is stored, being read.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use covey_aggregation::program::published::{CHUNKS_FILE, CORRECTION_FILE};

use super::bucket::ObjectReader;
use super::{BOXES, Store};
use crate::storage::StorageError;

/// A stored contribution.
#[derive(Clone, Debug)]
pub struct StoredContribution {
    pub(super) store: Store,
    /// Its key, which its parts are below.
    pub(super) key: String,
}

impl StoredContribution {
    fn part(&self, name: &str) -> String {
        format!("{}/{name}", self.key)
    }

    /// The whole correction.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn correction(&self) -> Result<Vec<u8>, StorageError> {
        self.store.read_existing(&self.part(CORRECTION_FILE))
    }

    /// The error that says this contribution is not as it was stored.
    #[must_use]
    pub fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.store.shown(&self.key), what }
    }

    /// The box at `index`, boxes having `box_bytes` each.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn sealed_box(&self, index: usize, box_bytes: usize) -> Result<Vec<u8>, StorageError> {
        let offset = (index as u64).saturating_mul(box_bytes as u64);
        let read = self.store.read_at(&self.part(BOXES), offset, box_bytes as u64)?;
        if read.len() == box_bytes {
            return Ok(read);
        }
        Err(self.damaged(format!("there is no whole box {index}")))
    }

    /// The chunks, one after the other, from the one at `offset` bytes on.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn chunks(&self, offset: u64) -> Result<ChunkReader, StorageError> {
        self.store.reader(&self.part(CHUNKS_FILE), offset)
    }
}

/// Reads chunk after chunk.
pub struct ChunkReader(pub(super) Source);

pub(super) enum Source {
    File { path: PathBuf, file: File },
    Object(ObjectReader),
}

impl ChunkReader {
    /// Fills `chunk` with the next bytes.
    ///
    /// # Errors
    /// [`StorageError`], also when there are not that many.
    pub fn next(&mut self, chunk: &mut [u8]) -> Result<(), StorageError> {
        match &mut self.0 {
            Source::File { path, file } => {
                file.read_exact(chunk).map_err(StorageError::file("read", path))
            }
            Source::Object(object) => object.read_exact(chunk),
        }
    }
}
