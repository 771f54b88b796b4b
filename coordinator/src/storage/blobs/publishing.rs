//! What everybody may see: rounds, and what is published beside them.

use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::program::published::{
    CHUNKS_FILE, CONTRIBUTIONS_FOLDER, CORRECTION_FILE, PUBLICATION_FILE,
};

use super::folder::Folder;
use super::{Blobs, PUBLISHED, Store, contribution_key, round_name};
use crate::storage::StorageError;

/// The one file that is replaced by others of any length.
const CHECKPOINT: &str = "ledger/checkpoint";

impl Blobs {
    /// Where everything lies that may be shown to everybody: a folder, or a URL.
    #[must_use]
    pub fn published(&self) -> PathBuf {
        self.store.shown(PUBLISHED.trim_end_matches('/'))
    }

    /// Publishes a round: its bundle, and the contributions `counted` in it. Publishing it again
    /// changes nothing. Returns where the bundle lies.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn publish(
        &self,
        round: u32,
        publication: &[u8],
        counted: &[Digest],
    ) -> Result<PathBuf, StorageError> {
        let folder = format!("{PUBLISHED}{}", round_name(round));
        let bundle = format!("{folder}/{PUBLICATION_FILE}");
        if self.store.size(&bundle)?.is_some() {
            self.store.settle(PUBLISHED)?;
            return Ok(self.store.shown(&bundle));
        }
        let parts = counted.iter().flat_map(|header| {
            [CORRECTION_FILE, CHUNKS_FILE].map(|name| {
                let from = format!("{}/{name}", contribution_key(round, header));
                (from, format!("{CONTRIBUTIONS_FOLDER}/{header}/{name}"))
            })
        });
        match &self.store {
            Store::Folder(store) => {
                let parts: Vec<_> = parts.collect();
                store.assemble(&folder, &parts, (PUBLICATION_FILE, publication))?;
            }
            Store::Bucket(bucket) => {
                let parts = parts.map(|(from, name)| (from, format!("{folder}/{name}")));
                bucket.copy(parts.collect())?;
                // Last: a round that has it is published as a whole.
                bucket.write(&bundle, publication)?;
            }
        }
        Ok(self.store.shown(&bundle))
    }

    /// Publishes a file beside the rounds, in the place of an older one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put_published(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.store.write(&format!("{PUBLISHED}{name}"), bytes)
    }

    /// Whether a file of this name is published.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn is_published(&self, name: &str) -> Result<bool, StorageError> {
        Ok(self.store.size(&format!("{PUBLISHED}{name}"))?.is_some())
    }

    /// A published file; none when it is not published.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn published_file(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.read(&format!("{PUBLISHED}{name}"))
    }

    /// How many bytes a published file has, and up to `bytes_max` of them from `offset` on; none
    /// when it is not published.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn published_piece(
        &self,
        name: &str,
        offset: u64,
        bytes_max: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
        let key = format!("{PUBLISHED}{name}");
        let Some(total) = self.store.size(&key)? else { return Ok(None) };
        // A store has no answer for what is beyond the end.
        let bytes = bytes_max.min(total.saturating_sub(offset));
        let piece =
            if bytes == 0 { Vec::new() } else { self.store.read_at(&key, offset, bytes)? };
        Ok(Some((total, piece)))
    }

    /// Copies everything that is published into `folder`, laid out the same; of each round the bundle
    /// last. What is there with the same length already is left alone.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn copy_published(&self, folder: &Path) -> Result<Copied, StorageError> {
        let (folder, mut copied) = (Folder(folder.to_owned()), Copied::default());
        // The names of a round's contributions come before that of its bundle.
        for entry in self.finished(PUBLISHED)? {
            let name = entry.key.strip_prefix(PUBLISHED).unwrap_or(&entry.key);
            let is_there = folder.size(name)? == Some(entry.bytes);
            // Another checkpoint may be as long as the one before.
            if is_there
                && (name != CHECKPOINT || folder.read(name)? == self.published_file(name)?)
            {
                copied.kept += 1;
                continue;
            }
            // It may be gone since it was listed.
            let Some(mut content) = self.read_key(&entry.key)? else { continue };
            folder.put(name, entry.bytes, &mut content)?;
            copied.files += 1;
            copied.bytes += entry.bytes;
        }
        Ok(copied)
    }
}

/// What [`Blobs::copy_published`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files that were written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub kept: u64,
}
