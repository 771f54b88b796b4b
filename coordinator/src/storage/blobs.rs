//! Bulk bytes, by keys that are laid out so that publishing a round moves no byte:
//!
//! ```text
//! objects/<digest>                                  plans, models, what strategies keep
//! rounds/round-0001/<header digest>/{correction,boxes,chunks}
//! rounds/round-0001/<name>                          results of the round
//! published/round-0001/publication.covey
//! published/round-0001/contributions/<header digest>/{correction,chunks}
//! ```
//!
//! By default keys are files of a folder, and what is published are hard links. In a folder everything
//! is written under a name ending in `.part`, made durable and renamed; whatever still has that ending
//! at start was never promised to anybody and is removed.
//!
//! Or they are objects of an S3-compatible server, below a prefix, and what is published are copies
//! that the server makes. There an object is whole or absent by itself, and of several the last one
//! counts: a contribution is stored once its correction is, a round published once its bundle is. What
//! comes in lies in a folder of this machine first, on the way to either ([`unfinished`](self)).
//!
//! Calls block. What is read is what was written, or an error; whether it is what was *meant* only
//! digests tell, where it is used.

mod backup;
mod bucket;
mod depot;
mod folder;
mod publishing;
pub mod settings;
mod stored;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::published::{CHUNKS_FILE, CORRECTION_FILE};

use super::StorageError;
use super::durable::{create_folder, remove_folder, remove_parts, rename, sync_folder};
use bucket::{Bucket, ObjectReader};
use folder::Folder;
use stored::Source;
use unfinished::UPLOAD;

pub use backup::{Entry, KeyReader};
pub use depot::Depot;
pub use publishing::Copied;
pub use stored::{ChunkReader, StoredContribution};
pub use unfinished::ContributionWriter;

/// A contribution's boxes, which are not published.
const BOXES: &str = "boxes";

/// Plans, models, what strategies keep.
const OBJECTS: &str = "objects/";

/// Working copies of rounds.
const ROUNDS: &str = "rounds/";

/// What may be shown to everybody.
const PUBLISHED: &str = "published/";

/// Where keys are.
#[derive(Clone, Debug)]
enum Store {
    Folder(Folder),
    Bucket(Bucket),
}

impl Store {
    /// What a key is called outside: a path, or a URL.
    fn shown(&self, key: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path(key),
            Self::Bucket(bucket) => bucket.url(key).into(),
        }
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        match self {
            Self::Folder(folder) => folder.read(key),
            Self::Bucket(bucket) => bucket.read(key),
        }
    }

    fn read_existing(&self, key: &str) -> Result<Vec<u8>, StorageError> {
        self.read(key)?.ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> StorageError {
        match self {
            Self::Folder(folder) => {
                StorageError::file("read", &folder.path(key))(ErrorKind::NotFound.into())
            }
            Self::Bucket(bucket) => StorageError::NoObject { action: "read", url: bucket.url(key) },
        }
    }

    fn read_at(&self, key: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::Folder(folder) => folder.read_at(key, offset, bytes),
            Self::Bucket(bucket) => bucket.read_at(key, offset, bytes),
        }
    }

    fn reader(&self, key: &str, offset: u64) -> Result<ChunkReader, StorageError> {
        Ok(ChunkReader(match self {
            Self::Folder(folder) => {
                Source::File { path: folder.path(key), file: folder.open(key, offset)? }
            }
            Self::Bucket(bucket) => {
                Source::Object(ObjectReader::new(bucket.clone(), key.to_owned(), offset))
            }
        }))
    }

    fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        match self {
            Self::Folder(folder) => folder.size(key),
            Self::Bucket(bucket) => bucket.size(key),
        }
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => folder.write(key, bytes),
            Self::Bucket(bucket) => bucket.write(key, bytes),
        }
    }

    /// Has what is directly below `folder` for good: an earlier life may have put it there and have
    /// been gone before its name was durable.
    fn settle(&self, folder: &str) -> Result<(), StorageError> {
        match self {
            Self::Folder(store) => sync_folder(&store.path(folder)),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// All keys below `folder`, which ends in `/`, ascending.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StorageError> {
        match self {
            Self::Folder(store) => store.list(folder),
            Self::Bucket(bucket) => bucket.list(folder),
        }
    }

    /// The names directly below `folder` under which further keys are.
    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        match self {
            Self::Folder(store) => {
                let children = store.children(folder)?.into_iter();
                let folders = children.filter(|(_, metadata)| metadata.is_dir());
                Ok(folders.map(|(name, _)| name).collect())
            }
            Self::Bucket(bucket) => bucket.folders(folder),
        }
    }
}

/// The bulk bytes of a run.
#[derive(Debug)]
pub struct Blobs {
    /// The folder of what comes in; without a bucket, of everything.
    root: PathBuf,
    store: Store,
    /// Objects in use: many owners fetch the same model at once, and one copy serves them all.
    shared: Mutex<BTreeMap<Digest, Weak<[u8]>>>,
}

impl Blobs {
    /// Opens a folder and clears what a crash left unfinished.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        Depot::new(root, None)?.open()
    }

    fn at(root: &Path, store: Store) -> Self {
        Self { root: root.to_owned(), store, shared: Mutex::default() }
    }

    /// Clears what a crash left unfinished.
    fn clear(&self) -> Result<(), StorageError> {
        let local = Folder(self.root.clone());
        let folders: &[&str] =
            if self.is_remote() { &[ROUNDS] } else { &[OBJECTS, ROUNDS, PUBLISHED] };
        for folder in folders {
            create_folder(&local.path(folder))?;
            remove_parts(&local.path(folder))?;
        }
        for (name, metadata) in local.children(ROUNDS)? {
            if metadata.is_dir() {
                remove_parts(&local.path(ROUNDS).join(name))?;
            }
        }
        let Store::Bucket(bucket) = &self.store else { return Ok(()) };
        for round in self.open_rounds()? {
            bucket.remove(&unmarked(&bucket.list(&round_key(round))?))?;
        }
        Ok(())
    }

    /// Whether keys are on another machine.
    const fn is_remote(&self) -> bool {
        matches!(self.store, Store::Bucket(_))
    }

    /// Where an object lies, whether or not it is there.
    #[must_use]
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        self.store.shown(&format!("{OBJECTS}{digest}"))
    }

    /// Stores a plan or a model under its digest. Storing it again changes nothing.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StorageError> {
        let key = format!("{OBJECTS}{digest}");
        match self.store.size(&key)? {
            Some(_) => self.store.settle(OBJECTS),
            None => self.store.write(&key, bytes),
        }
    }

    /// Reads a plan or a model; none when it is not stored.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.read(&format!("{OBJECTS}{digest}"))
    }

    /// As [`Self::object`], but held once however many ask for it at the same time.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn shared_object(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StorageError> {
        // Held while reading, so that a second one who asks waits for the first one's copy.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = shared.get(digest).and_then(Weak::upgrade) {
            return Ok(Some(bytes));
        }
        shared.retain(|_, bytes| bytes.strong_count() > 0);
        let Some(bytes) = self.object(digest)? else { return Ok(None) };
        let bytes: Arc<[u8]> = bytes.into();
        shared.insert(*digest, Arc::downgrade(&bytes));
        Ok(Some(bytes))
    }

    /// Begins to store `member`'s contribution of `round`, named by its header's digest; or goes on
    /// where that broke off. Of a member one at a time: the caller sees to that.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn begin(
        &self,
        round: u32,
        member: &PartyId,
        header: &Digest,
    ) -> Result<ContributionWriter<'_>, StorageError> {
        // As a whole: what is shown of a member is the beginning of its key, which others may share.
        let name = to_hex(&member.0) + UPLOAD;
        let folder = self.root.join(round_key(round)).join(name);
        ContributionWriter::open(self, folder, header, contribution_key(round, header))
    }

    /// Whether a contribution is stored as a whole.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn is_contributed(&self, round: u32, header: &Digest) -> Result<bool, StorageError> {
        let is_stored = self.is_stored(&contribution_key(round, header))?;
        if is_stored {
            self.store.settle(&round_key(round))?;
        }
        Ok(is_stored)
    }

    fn is_stored(&self, key: &str) -> Result<bool, StorageError> {
        match &self.store {
            Store::Folder(folder) => Ok(folder.path(key).is_dir()),
            Store::Bucket(bucket) => Ok(bucket.size(&mark(key))?.is_some()),
        }
    }

    /// Stores a contribution whose files are in `from`, which it takes.
    fn store(&self, from: &Path, key: &str) -> Result<(), StorageError> {
        match &self.store {
            Store::Folder(folder) => rename(from, &folder.path(key)),
            Store::Bucket(bucket) => {
                for name in [CHUNKS_FILE, BOXES] {
                    bucket.write_file(&format!("{key}/{name}"), &from.join(name))?;
                }
                bucket.write_file(&mark(key), &from.join(CORRECTION_FILE))?;
                remove_folder(from)
            }
        }
    }

    /// A contribution that is stored.
    #[must_use]
    pub fn contribution(&self, round: u32, header: &Digest) -> StoredContribution {
        StoredContribution { store: self.store.clone(), key: contribution_key(round, header) }
    }

    /// Removes a contribution that was refused after all.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn discard(&self, round: u32, header: &Digest) -> Result<(), StorageError> {
        let key = contribution_key(round, header);
        match &self.store {
            Store::Folder(folder) => folder.remove_all(&key),
            Store::Bucket(bucket) => {
                // First what makes it count.
                bucket.remove(&[mark(&key)])?;
                bucket.remove(&[BOXES, CHUNKS_FILE].map(|name| format!("{key}/{name}")))
            }
        }
    }

    /// Stores a result of `round` until the round is forgotten.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put_result(&self, round: u32, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.store.write(&format!("{}{name}", round_key(round)), bytes)
    }

    /// Reads what [`Self::put_result`] stored.
    ///
    /// # Errors
    /// [`StorageError`], also when there is none.
    pub fn result(&self, round: u32, name: &str) -> Result<Vec<u8>, StorageError> {
        self.store.read_existing(&format!("{}{name}", round_key(round)))
    }

    /// Where a result of `round` lies.
    #[must_use]
    pub fn result_path(&self, round: u32, name: &str) -> PathBuf {
        self.store.shown(&format!("{}{name}", round_key(round)))
    }

    /// Rounds that still have working copies, ascending.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn open_rounds(&self) -> Result<Vec<u32>, StorageError> {
        let mut names = self.store.folders(ROUNDS)?;
        if self.is_remote() {
            let local = Folder(self.root.clone());
            names.extend(local.children(ROUNDS)?.into_iter().map(|(name, _)| name));
        }
        let number = |name: String| name.strip_prefix("round-")?.parse::<u32>().ok();
        let rounds: BTreeSet<_> = names.into_iter().filter_map(number).collect();
        Ok(rounds.into_iter().collect())
    }

    /// Removes the working copies of a round that is over: boxes, contributions that were not
    /// counted, and uploads that were not finished. What is published stays.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn forget(&self, round: u32) -> Result<(), StorageError> {
        if let Store::Bucket(bucket) = &self.store {
            let entries = bucket.list(&round_key(round))?;
            let (marks, others): (Vec<_>, Vec<_>) =
                entries.into_iter().map(|entry| entry.key).partition(|key| is_mark(key));
            bucket.remove(&marks)?;
            bucket.remove(&others)?;
        }
        remove_folder(&self.root.join(round_key(round)))
    }
}

/// `round-0001`.
#[must_use]
pub fn round_name(round: u32) -> String {
    format!("round-{round:04}")
}

/// What the keys of a round's working copies begin with.
fn round_key(round: u32) -> String {
    format!("{ROUNDS}{}/", round_name(round))
}

fn contribution_key(round: u32, header: &Digest) -> String {
    format!("{}{header}", round_key(round))
}

/// What is written last of a contribution in a bucket, and removed first.
fn mark(contribution: &str) -> String {
    format!("{contribution}/{CORRECTION_FILE}")
}

fn is_mark(key: &str) -> bool {
    key.rsplit_once('/').is_some_and(|(_, name)| name == CORRECTION_FILE)
}

/// The keys of contributions of a round that have no mark: they were never stored as a whole.
fn unmarked(entries: &[Entry]) -> Vec<String> {
    let of = |key: &str| key.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let marked: BTreeSet<_> = entries
        .iter()
        .filter(|entry| is_mark(&entry.key))
        .filter_map(|entry| of(&entry.key))
        .collect();
    let is_part =
        |key: &&str| [BOXES, CHUNKS_FILE].iter().any(|name| key.ends_with(&format!("/{name}")));
    let keys = entries.iter().map(|entry| entry.key.as_str()).filter(is_part);
    let keys = keys.filter(|key| of(key).is_some_and(|folder| !marked.contains(&folder)));
    keys.map(str::to_owned).collect()
}
