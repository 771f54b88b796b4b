//! Where the ledger's files are: below `ledger/` of what is published, in the state folder or in the
//! bucket. Its documents are there too, by their digests; publications of rounds are where their rounds
//! are.

use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_ledger::book::Book;
use covey_ledger::document::{Document, Documents};

use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, Depot, round_name};

/// The ledger's folder among what is published.
pub const LEDGER_FOLDER: &str = "ledger";

/// Files that are written at once.
const WRITES_AT_ONCE: usize = 8;

/// The folder of documents in it.
const DOCUMENTS_FOLDER: &str = "documents";

/// The ledger's files. Cheap to clone.
#[derive(Clone)]
pub struct LedgerFiles {
    blobs: Arc<Blobs>,
    depot: Depot,
}

impl LedgerFiles {
    /// Those of the state folder of `depot`.
    #[must_use]
    pub fn new(depot: Depot) -> Self {
        Self { blobs: Arc::new(depot.read()), depot }
    }

    /// The bytes at a path of the log; none where there are none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.blobs.published_file(&format!("{LEDGER_FOLDER}/{path}"))
    }

    /// The same, where trouble with the disk is told and otherwise like a file that is not there.
    #[must_use]
    pub fn at_hand(&self, path: &str) -> Option<Vec<u8>> {
        self.read(path).unwrap_or_else(|error| {
            tracing::error!(%error, path, "a file of the ledger cannot be read");
            None
        })
    }

    /// Writes a file durably.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.blobs.put_published(&format!("{LEDGER_FOLDER}/{path}"), bytes)
    }

    /// Writes files durably, some at once: what a disk or a server takes for each of them passes together.
    ///
    /// # Errors
    /// [`StorageError`] of one of them; others may be written.
    pub fn write_all(&self, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let write = |part: &[(&str, &[u8])]| {
            part.iter().try_for_each(|(path, bytes)| self.write(path, bytes))
        };
        std::thread::scope(|scope| {
            let parts = files.chunks(files.len().div_ceil(WRITES_AT_ONCE).max(1));
            let writing: Vec<_> = parts.map(|part| scope.spawn(move || write(part))).collect();
            let panicked = |_| StorageError::Damaged {
                path: self.blobs.published(),
                what: "writing died of a bug".to_owned(),
            };
            writing.into_iter().try_for_each(|one| one.join().map_err(panicked)?)
        })
    }

    /// Writes a document durably, under its digest.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn write_document(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let path = document_path(&Document::of(bytes).sha256);
        let name = format!("{LEDGER_FOLDER}/{path}");
        if self.blobs.is_published(&name)? {
            return Ok(());
        }
        self.blobs.put_published(&name, bytes)
    }

    /// A document, also one that is a round's publication; it is what its name says, or it is none.
    #[must_use]
    pub fn document_of(&self, book: &Book, document: &Document) -> Option<Vec<u8>> {
        let bytes = self.document(document).or_else(|| self.publication(book, document))?;
        document.is(&bytes).then_some(bytes)
    }

    /// The same by its digest alone.
    #[must_use]
    pub fn document_named(&self, book: &Book, sha256: &Digest) -> Option<Vec<u8>> {
        let rounds = book.runs().iter().flat_map(|run| run.rounds.values());
        let mut published = rounds.filter_map(|round| round.closed.published.as_ref());
        if let Some(published) = published.find(|one| one.document.sha256 == *sha256) {
            return self.document_of(book, &published.document);
        }
        let bytes = self.at_hand(&document_path(sha256))?;
        (Document::of(&bytes).sha256 == *sha256).then_some(bytes)
    }

    fn publication(&self, book: &Book, document: &Document) -> Option<Vec<u8>> {
        for run in book.runs() {
            let mut rounds = run.rounds.values();
            let round = rounds.find(|round| {
                let published = round.closed.published.as_ref();
                published.is_some_and(|published| published.document == *document)
            });
            let Some(round) = round else { continue };
            let name = format!("{}/{PUBLICATION_FILE}", round_name(round.closed.round));
            let own = self.depot.of_run(&run.plan.run).read();
            // The run of the settings' plan has no folder of its own.
            let places = [own.published_file(&name), self.blobs.published_file(&name)];
            return places
                .into_iter()
                .filter_map(Result::ok)
                .flatten()
                .find(|one| document.is(one));
        }
        None
    }
}

impl Documents for LedgerFiles {
    fn document(&self, document: &Document) -> Option<Vec<u8>> {
        self.at_hand(&document_path(&document.sha256))
    }
}

/// Where a document is, below the ledger's folder.
#[must_use]
pub fn document_path(sha256: &Digest) -> String {
    format!("{DOCUMENTS_FOLDER}/{sha256}")
}
