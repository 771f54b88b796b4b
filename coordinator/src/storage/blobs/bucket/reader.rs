//! An object being read from some place on.

use std::io::ErrorKind;

use super::Bucket;
use crate::storage::StorageError;

/// Reads an object range by range.
pub(in super::super) struct ObjectReader {
    bucket: Bucket,
    key: String,
    /// Where the next range begins.
    offset: u64,
    window: Vec<u8>,
    /// What of the window is read already.
    read: usize,
}

/// Bytes asked for at once by who reads an object from beginning to end: many readers read side by
/// side when contributions are added.
const WINDOW_BYTES: u64 = 1 << 20;

impl ObjectReader {
    pub(in super::super) const fn new(bucket: Bucket, key: String, offset: u64) -> Self {
        Self { bucket, key, offset, window: Vec::new(), read: 0 }
    }

    /// Fills `bytes` with what comes next.
    pub(in super::super) fn read_exact(
        &mut self,
        mut bytes: &mut [u8],
    ) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            if self.read == self.window.len() {
                let wanted = WINDOW_BYTES.max(bytes.len() as u64);
                self.window = self.bucket.read_at(&self.key, self.offset, wanted)?;
                self.read = 0;
                self.offset += self.window.len() as u64;
                if self.window.is_empty() {
                    return Err(self.short());
                }
            }
            let here = bytes.len().min(self.window.len() - self.read);
            let (now, later) = bytes.split_at_mut(here);
            now.copy_from_slice(&self.window[self.read..self.read + here]);
            self.read += here;
            bytes = later;
        }
        Ok(())
    }

    fn short(&self) -> StorageError {
        let why = ErrorKind::UnexpectedEof.to_string();
        StorageError::Object { action: "read", url: self.bucket.url(&self.key), why }
    }
}
