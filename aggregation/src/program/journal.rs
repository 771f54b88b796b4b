//! A machine's records on disk, in order, durable when [`Journal::append`] returns.
//!
//! # Decisions
//! - Commits have two phases. With one, redb takes a damaged last commit for one that a crash tore, and
//!   goes on from the one before: the last record would be gone, and with it what a holder has signed.
//! - A new file gets its name when it is whole: redb takes one whose first pages a crash tore for no
//!   database at all, so that the program could never be started again.
//! - The checksums of everything are checked at each start; otherwise redb checks after crashes alone,
//!   and gives other bytes for records than were stored. What stays: the one byte of redb's header that
//!   tells which of the last two commits is the newer has no checksum. If it changes on the disk of a
//!   program that was killed, the last commit is gone unnoticed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;
use crate::net::{FileError, files};
use crate::party::PartyId;
use crate::program::answer::Failure;
use crate::program::exit::Exit;
use crate::record::Sequence;
use crate::wire;

/// By place, from 0: one encoded record each.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

/// Whose records they are: one entry.
const OWNER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("owner");

/// Records of one kind, of one party.
pub struct Journal<R> {
    path: PathBuf,
    database: Database,
    next: u64,
    record: PhantomData<fn() -> R>,
}

/// A journal that cannot be used. What is in it is left alone.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database fails: the disk is full, say, or another program has the file open.
    #[error("{}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Its name cannot be made durable.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// Records of another party: another identity.key than when the state was made.
    #[error("{} holds the records of another key than identity.key", path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
    },
    /// The file is not as it was written.
    #[error("{} is damaged: {what}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// A record does not decode, or one is missing before it.
    #[error("{}: record {index} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its place.
        index: u64,
    },
    /// The machine's next record is not the journal's next: they have come apart.
    #[error("{}: record {got} should be stored, the next is {next}", path.display())]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// The machine's.
        got: u64,
        /// The journal's.
        next: u64,
    },
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let help = match &error {
            JournalError::Broken { .. }
            | JournalError::Damaged { .. }
            | JournalError::OutOfOrder { .. } => {
                "do not delete it: it is what keeps this member from signing twice. Restore it \
                 from a backup of this very machine, or enrol again with a new key"
            }
            JournalError::OtherOwner { .. } => "give each identity a state folder of its own",
            JournalError::Database { .. } | JournalError::Folder(_) => {
                "check the disk, and that it is not full"
            }
        };
        Self::new(Exit::Failed, "JOURNAL", &error).with_help(help)
    }
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Opens the journal of `owner` at `path`, or begins it; returns it with all its records.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path, owner: &PartyId) -> Result<(Self, Vec<R>), JournalError> {
        if !path.exists() {
            begin(path, owner).map_err(|source| classify(path, source))?;
        }
        // What redb finds in a damaged file may surprise it.
        let opened = catch_unwind(AssertUnwindSafe(|| open(path, owner)));
        let surprised = |_| {
            let what = "it cannot be read at all".to_owned();
            JournalError::Broken { path: path.to_owned(), what }
        };
        let opened = opened.map_err(surprised)?;
        let (database, is_owner, all) = opened.map_err(|source| classify(path, source))?;
        files::sync_folder(path)?;
        if !is_owner {
            return Err(JournalError::OtherOwner { path: path.to_owned() });
        }
        let mut records = Vec::with_capacity(all.len());
        for (index, (place, bytes)) in (0..).zip(all) {
            let record = wire::decode(&bytes, FRAME_BYTES_MAX as usize).ok();
            let Some(record) = record.filter(|_| place == index) else {
                return Err(JournalError::Damaged { path: path.to_owned(), index });
            };
            records.push(record);
        }
        let next = records.len() as u64;
        Ok((Self { path: path.to_owned(), database, next, record: PhantomData }, records))
    }

    /// Stores records with one flush; when this returns they survive a power cut. Returns the
    /// place of the last, for the machine's `handle_stored`; `None` when there are none.
    ///
    /// # Errors
    /// [`JournalError`]; then none of them is stored.
    pub fn append(&mut self, records: &[(Sequence, R)]) -> Result<Option<Sequence>, JournalError> {
        let Some((last, _)) = records.last() else { return Ok(None) };
        for (next, (got, _)) in (self.next..).zip(records) {
            if got.0 != next {
                let path = self.path.clone();
                return Err(JournalError::OutOfOrder { path, got: got.0, next });
            }
        }
        let write = || -> Result<(), redb::Error> {
            let transaction = begin_write(&self.database)?;
            {
                let mut table = transaction.open_table(RECORDS)?;
                for (place, record) in records {
                    table.insert(place.0, wire::encode(record).as_slice())?;
                }
            }
            Ok(transaction.commit()?)
        };
        write().map_err(|source| classify(&self.path, source))?;
        self.next = last.0 + 1;
        Ok(Some(*last))
    }

    /// Records stored.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.next
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.next == 0
    }
}

/// All that is in it, by place.
type Stored = Vec<(u64, Vec<u8>)>;

/// Puts an empty journal of `owner` at `path`, whole. Its name is durable once the folder is.
fn begin(path: &Path, owner: &PartyId) -> Result<(), redb::Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = Database::create(&part)?;
    let transaction = begin_write(&database)?;
    transaction.open_table(OWNER)?.insert("id", owner.0.as_slice())?;
    transaction.open_table(RECORDS)?;
    transaction.commit()?;
    drop(database);
    File::open(&part)?.sync_all()?;
    Ok(fs::rename(&part, path)?)
}

/// Opens the database at `path`. Whether it is `owner`'s, and what is in it.
fn open(path: &Path, owner: &PartyId) -> Result<(Database, bool, Stored), redb::Error> {
    let mut database = Database::open(path)?;
    if !database.check_integrity()? {
        let what = "its checksums do not hold".to_owned();
        return Err(redb::Error::Corrupted(what));
    }
    let transaction = database.begin_read()?;
    let owners = transaction.open_table(OWNER)?;
    let is_owner = owners.get("id")?.is_some_and(|known| known.value() == owner.0);
    let records = transaction.open_table(RECORDS)?;
    let mut all = Vec::new();
    for entry in records.iter()? {
        let (place, bytes) = entry?;
        all.push((place.value(), bytes.value().to_vec()));
    }
    Ok((database, is_owner, all))
}

/// A transaction that is durable, and told from a torn one, once it is committed.
fn begin_write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Tells a damaged file from other trouble.
fn classify(path: &Path, source: redb::Error) -> JournalError {
    let path = path.to_owned();
    match source {
        redb::Error::Corrupted(what) => JournalError::Broken { path, what },
        // The magic number, which redb does not take for one of its own.
        redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            JournalError::Broken { path, what: error.to_string() }
        }
        source => JournalError::Database { path, source: Box::new(source) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: PartyId = PartyId([1; 32]);

    #[test]
    fn records_are_there_again_in_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.redb");
        let (mut journal, records) = Journal::<String>::open(&path, &OWNER).expect("opened");
        assert!(records.is_empty() && journal.is_empty());
        let two = [(Sequence(0), "a".to_owned()), (Sequence(1), "b".to_owned())];
        assert_eq!(journal.append(&two).expect("stored"), Some(Sequence(1)));
        assert_eq!(journal.append(&[]).expect("nothing"), None);
        let gap = journal.append(&[(Sequence(3), "d".to_owned())]);
        assert!(matches!(gap, Err(JournalError::OutOfOrder { got: 3, next: 2, .. })));
        drop(journal);
        let (journal, records) = Journal::<String>::open(&path, &OWNER).expect("opened");
        assert_eq!((records, journal.len()), (vec!["a".to_owned(), "b".to_owned()], 2));
    }

    #[test]
    fn records_of_another_key_or_kind_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.redb");
        let (mut journal, _) = Journal::<String>::open(&path, &OWNER).expect("opened");
        journal.append(&[(Sequence(0), "a".to_owned())]).expect("stored");
        drop(journal);
        let other = Journal::<String>::open(&path, &PartyId([2; 32])).err();
        assert!(matches!(other, Some(JournalError::OtherOwner { .. })));
        let other = Journal::<[u64; 3]>::open(&path, &OWNER).err();
        assert!(matches!(other, Some(JournalError::Damaged { index: 0, .. })));
    }
}
