//! All bulk bytes by their keys, for backups.

use std::io::{self, Read};

use super::unfinished::UPLOAD;
use super::{Blobs, ChunkReader, OBJECTS, PUBLISHED, ROUNDS, Store};
use crate::storage::StorageError;
use crate::storage::durable::PART;

/// A key, and how many bytes lie under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// How many bytes.
    pub bytes: u64,
}

impl Blobs {
    /// Every key with its bytes, ascending: what a backup has to hold. Uploads that are not finished
    /// are not among them.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn entries(&self) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        for folder in [OBJECTS, PUBLISHED, ROUNDS] {
            entries.extend(self.finished(folder)?);
        }
        Ok(entries)
    }

    /// Every key below `folder` but those of what is not finished, ascending.
    pub(super) fn finished(&self, folder: &str) -> Result<Vec<Entry>, StorageError> {
        let mut entries = self.store.list(folder)?;
        entries.retain(|entry| !entry.key.split('/').any(is_passing));
        Ok(entries)
    }

    /// What lies under a key, to be read from beginning to end; none when there is nothing.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read_key(&self, key: &str) -> Result<Option<KeyReader>, StorageError> {
        let Some(left) = self.store.size(key)? else { return Ok(None) };
        Ok(Some(KeyReader { left, reader: self.store.reader(key, 0)? }))
    }

    /// Puts `bytes` bytes of `source` under a key that [`Self::entries`] told, in the place of what
    /// is there.
    ///
    /// # Errors
    /// [`StorageError`]; also when `source` has fewer.
    pub fn write_key(
        &self,
        key: &str,
        bytes: u64,
        source: &mut dyn Read,
    ) -> Result<(), StorageError> {
        let is_ours = [OBJECTS, ROUNDS, PUBLISHED].iter().any(|folder| key.starts_with(folder));
        if !is_ours || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let why = "no key of bulk bytes".to_owned();
            return Err(StorageError::Object { action: "write", url: key.to_owned(), why });
        }
        match &self.store {
            Store::Folder(folder) => folder.put(key, bytes, source),
            Store::Bucket(bucket) => bucket.put(key, bytes, source),
        }
    }
}

/// Reads what lies under a key.
pub struct KeyReader {
    left: u64,
    reader: ChunkReader,
}

impl KeyReader {
    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }
}

impl Read for KeyReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.reader.next(&mut bytes[..length]).map_err(io::Error::other)?;
        self.left -= length as u64;
        Ok(length)
    }
}

/// Whether a part of a key names what is not finished.
fn is_passing(part: &str) -> bool {
    part.ends_with(UPLOAD) || part.ends_with(PART)
}
