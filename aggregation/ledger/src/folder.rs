//! A ledger as a folder: what a coordinator publishes below `ledger/`, or a copy of it. Reads files, which
//! nothing else in this package does.
//!
//! ```text
//! checkpoint, tile/...   the log (C2SP tlog-tiles)
//! documents/<sha256>     what is too long for an entry
//! ```

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;

use crate::book::{Book, Fault};
use crate::bundle;
use crate::document::{Document, Documents};
use crate::quorum::{Cosigned, Quorum};

/// Bytes of a file at most: a publication of a round of ten thousand owners is below it.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The folder of documents.
pub const DOCUMENTS_FOLDER: &str = "documents";

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A ledger that was read whole and holds.
#[derive(Debug)]
pub struct Ledger {
    /// The checkpoint and who vouches for it.
    pub cosigned: Cosigned,
    /// The entries' bytes, in order.
    pub entries: Vec<Vec<u8>>,
    /// What they mean.
    pub book: Book,
    /// Where it was read from.
    pub folder: Folder,
}

/// A folder that is no ledger, or one that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum BadLedger {
    /// There is none.
    #[error("{} holds no ledger: there is no checkpoint in it", .0.display())]
    None(PathBuf),
    /// Its log does not hold.
    #[error("the ledger's log: {0}")]
    Log(#[from] bundle::Fault),
    /// Its entries break the rules.
    #[error("the ledger's book: {0}")]
    Book(#[from] Fault),
}

impl Folder {
    /// That at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The bytes of a file of the log, if it is there and can be read.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        // Paths are those of the log's own files.
        read(&self.0.join(path)).ok()
    }

    /// Reads and checks everything: files, signatures, quorum, and every entry by the rules of the book.
    ///
    /// # Errors
    /// [`BadLedger`], by the first fault.
    pub fn open(self, quorum: &Quorum) -> Result<Ledger, BadLedger> {
        if !self.0.join(bundle::CHECKPOINT_PATH).exists() {
            return Err(BadLedger::None(self.0));
        }
        let mut entries = Vec::new();
        let visit = |_, entry: &[u8]| entries.push(entry.to_vec());
        let cosigned = bundle::audit(|path| self.read(path), quorum, visit)?;
        let book = Book::read(entries.iter().map(Vec::as_slice), &self)?;
        Ok(Ledger { cosigned, entries, book, folder: self })
    }

    /// Where a document is.
    #[must_use]
    pub fn document_path(&self, sha256: &Digest) -> PathBuf {
        self.0.join(DOCUMENTS_FOLDER).join(sha256.to_string())
    }
}

impl Documents for Folder {
    fn document(&self, document: &Document) -> Option<Vec<u8>> {
        read(&self.document_path(&document.sha256)).ok()
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if file.metadata()?.len() > FILE_BYTES_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
