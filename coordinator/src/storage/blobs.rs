//! Bulk bytes in a folder, so laid out that publishing a round copies nothing:
//!
//! ```text
//! objects/<digest>                                  plans, models, what strategies keep
//! rounds/round-0001/<header digest>/{correction,boxes,chunks}
//! published/round-0001/publication.covey
//! published/round-0001/contributions/<header digest>/{correction,chunks}   hard links
//! ```
//!
//! Everything is written under a name ending in `.part`, made durable and renamed; whatever still
//! has that ending at start was never promised to anybody and is removed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use covey_aggregation::hash::Digest;
use covey_aggregation::program::published::{
    CHUNKS_FILE, CONTRIBUTIONS_FOLDER, CORRECTION_FILE, PUBLICATION_FILE,
};

use super::durable::{
    PART, create_folder, part_of, remove_folder, remove_parts, rename, sync_folder, write_file,
};
use super::{MAKE_DURABLE, StorageError};

/// A contribution's boxes, which are not published.
const BOXES: &str = "boxes";

/// Written in one go to the disk: small enough for thousands of uploads at once (64 KiB each),
/// large enough to be efficient.
const BUFFER_BYTES: usize = 64 * 1024;

/// The folder of bulk bytes.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    /// Tells apart the unfinished uploads of one contribution (a client that reconnected).
    uploads: AtomicU64,
    /// Objects in use: many owners fetch the same model at once, and one copy serves them all.
    shared: Mutex<BTreeMap<Digest, Weak<[u8]>>>,
}

impl Blobs {
    /// Opens the folder and clears what a crash left unfinished.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let root = root.to_owned();
        let blobs = Self { root, uploads: AtomicU64::new(0), shared: Mutex::default() };
        for folder in [blobs.objects(), blobs.rounds(), blobs.published()] {
            create_folder(&folder)?;
            remove_parts(&folder)?;
        }
        let rounds = blobs.rounds();
        let failed = || StorageError::file("read the folder", &rounds);
        for entry in fs::read_dir(&rounds).map_err(failed())? {
            remove_parts(&entry.map_err(failed())?.path())?;
        }
        Ok(blobs)
    }

    /// A folder that somebody else wrote, to read objects from.
    #[must_use]
    pub fn open_to_read(root: &Path) -> Self {
        Self { root: root.to_owned(), uploads: AtomicU64::new(0), shared: Mutex::default() }
    }

    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn rounds(&self) -> PathBuf {
        self.root.join("rounds")
    }

    /// The folder that may be shown to everybody.
    #[must_use]
    pub fn published(&self) -> PathBuf {
        self.root.join("published")
    }

    fn round_folder(&self, round: u32) -> PathBuf {
        self.rounds().join(round_name(round))
    }

    /// Where an object lies, whether or not it is there.
    #[must_use]
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        self.objects().join(digest.to_string())
    }

    /// Stores a plan or a model under its digest. Storing it again changes nothing.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.object_path(digest);
        // What an earlier life has put there may not have its name for good yet.
        if path.exists() { sync_folder(&self.objects()) } else { write_file(&path, bytes) }
    }

    /// Reads a plan or a model; none when it is not stored.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.object_path(digest);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::file("read", &path)(error)),
        }
    }

    /// As [`Self::object`], but held once however many ask for it at the same time.
    ///
    /// # Errors
    /// [`StorageError::File`].
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

    /// Begins to store a contribution of `round`, named by its header's digest.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn begin(&self, round: u32, header: &Digest) -> Result<ContributionWriter, StorageError> {
        let folder = self.round_folder(round);
        create_folder(&folder)?;
        let upload = self.uploads.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{header}.{upload}{PART}"));
        fs::create_dir(&part).map_err(StorageError::file("create the folder", &part))?;
        Ok(ContributionWriter {
            correction: create(&part.join(CORRECTION_FILE))?,
            boxes: create(&part.join(BOXES))?,
            chunks: create(&part.join(CHUNKS_FILE))?,
            target: folder.join(header.to_string()),
            part: Some(part),
        })
    }

    /// A contribution that is stored.
    #[must_use]
    pub fn contribution(&self, round: u32, header: &Digest) -> StoredContribution {
        StoredContribution { folder: self.round_folder(round).join(header.to_string()) }
    }

    /// Removes a contribution that was refused after all.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn discard(&self, round: u32, header: &Digest) -> Result<(), StorageError> {
        remove_folder(&self.round_folder(round).join(header.to_string()))
    }

    /// Stores a result of `round` until the round is forgotten.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn put_result(&self, round: u32, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let folder = self.round_folder(round);
        create_folder(&folder)?;
        write_file(&folder.join(name), bytes)
    }

    /// Reads what [`Self::put_result`] stored.
    ///
    /// # Errors
    /// [`StorageError::File`], also when there is none.
    pub fn result(&self, round: u32, name: &str) -> Result<Vec<u8>, StorageError> {
        let path = self.result_path(round, name);
        fs::read(&path).map_err(StorageError::file("read", &path))
    }

    /// Where a result of `round` lies.
    #[must_use]
    pub fn result_path(&self, round: u32, name: &str) -> PathBuf {
        self.round_folder(round).join(name)
    }

    /// Publishes a round: its bundle, and links to the contributions `counted` in it. Publishing
    /// it again changes nothing. Returns the bundle's path.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn publish(
        &self,
        round: u32,
        publication: &[u8],
        counted: &[Digest],
    ) -> Result<PathBuf, StorageError> {
        let folder = self.published().join(round_name(round));
        let bundle = folder.join(PUBLICATION_FILE);
        if bundle.exists() {
            sync_folder(&self.published())?;
            return Ok(bundle);
        }
        let part = part_of(&folder);
        remove_folder(&part)?;
        let contributions = part.join(CONTRIBUTIONS_FOLDER);
        create_folder(&contributions)?;
        for header in counted {
            let stored = self.contribution(round, header).folder;
            let shown = contributions.join(header.to_string());
            fs::create_dir(&shown).map_err(StorageError::file("create the folder", &shown))?;
            for name in [CORRECTION_FILE, CHUNKS_FILE] {
                let link = shown.join(name);
                fs::hard_link(stored.join(name), &link)
                    .map_err(StorageError::file("link", &link))?;
            }
            sync_folder(&shown)?;
        }
        sync_folder(&contributions)?;
        write_file(&part.join(PUBLICATION_FILE), publication)?;
        sync_folder(&part)?;
        rename(&part, &folder)?;
        Ok(bundle)
    }

    /// Rounds that still have working copies, ascending.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn open_rounds(&self) -> Result<Vec<u32>, StorageError> {
        let folder = self.rounds();
        let failed = || StorageError::file("read the folder", &folder);
        let mut rounds = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("round-"));
            rounds.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        rounds.sort_unstable();
        Ok(rounds)
    }

    /// Removes the working copies of a round that is over: boxes, and contributions that were
    /// not counted. What is published stays.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn forget(&self, round: u32) -> Result<(), StorageError> {
        remove_folder(&self.round_folder(round))
    }
}

/// `round-0001`.
#[must_use]
pub fn round_name(round: u32) -> String {
    format!("round-{round:04}")
}

fn create(path: &Path) -> Result<Section, StorageError> {
    let file = File::create(path).map_err(StorageError::file("create", path))?;
    Ok(Section { path: path.to_owned(), file: BufWriter::with_capacity(BUFFER_BYTES, file) })
}

struct Section {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Section {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(bytes).map_err(StorageError::file("write", &self.path))
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let failed = || StorageError::file(MAKE_DURABLE, &self.path);
        self.file.flush().map_err(failed())?;
        self.file.get_ref().sync_all().map_err(failed())
    }
}

/// A contribution on its way to the disk. Dropped before [`Self::finish`], it leaves nothing.
pub struct ContributionWriter {
    correction: Section,
    boxes: Section,
    chunks: Section,
    target: PathBuf,
    /// None once it has its final name.
    part: Option<PathBuf>,
}

impl ContributionWriter {
    /// Appends to the correction.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn correction(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.correction.write(bytes)
    }

    /// Appends to the boxes, which lie in the committee's order.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn boxes(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.boxes.write(bytes)
    }

    /// Appends to the chunks.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn chunks(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.chunks.write(bytes)
    }

    /// Makes the contribution durable under its name. If it was there already, with the same
    /// header and hence the same bytes, that one stays. Says whether this one is new.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn finish(mut self) -> Result<bool, StorageError> {
        for section in [&mut self.correction, &mut self.boxes, &mut self.chunks] {
            section.sync()?;
        }
        let Some(part) = self.part.take() else { return Ok(false) };
        sync_folder(&part)?;
        if self.target.is_dir() {
            remove_folder(&part)?;
            // An earlier life may have put it there and have been gone before its name was durable.
            self.target.parent().map_or(Ok(()), sync_folder)?;
            return Ok(false);
        }
        rename(&part, &self.target)?;
        Ok(true)
    }
}

impl Drop for ContributionWriter {
    fn drop(&mut self) {
        if let Some(part) = &self.part
            && let Err(error) = remove_folder(part)
        {
            tracing::warn!(%error, "an unfinished upload stays until the next start");
        }
    }
}

/// A stored contribution's files.
#[derive(Clone, Debug)]
pub struct StoredContribution {
    folder: PathBuf,
}

impl StoredContribution {
    /// The whole correction.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn correction(&self) -> Result<Vec<u8>, StorageError> {
        let path = self.folder.join(CORRECTION_FILE);
        fs::read(&path).map_err(StorageError::file("read", &path))
    }

    /// The error that says this contribution is not as it was stored.
    #[must_use]
    pub fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.folder.clone(), what }
    }

    /// The box at `index`, boxes having `box_bytes` each.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn sealed_box(&self, index: usize, box_bytes: usize) -> Result<Vec<u8>, StorageError> {
        let path = self.folder.join(BOXES);
        let failed = || StorageError::file("read", &path);
        let mut file = File::open(&path).map_err(failed())?;
        let offset = (index as u64).saturating_mul(box_bytes as u64);
        file.seek(SeekFrom::Start(offset)).map_err(failed())?;
        let mut bytes = vec![0; box_bytes];
        file.read_exact(&mut bytes).map_err(failed())?;
        Ok(bytes)
    }

    /// The chunks, one after the other, from the one at `offset` bytes on.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn chunks(&self, offset: u64) -> Result<ChunkReader, StorageError> {
        let path = self.folder.join(CHUNKS_FILE);
        let failed = || StorageError::file("read", &path);
        let mut file = File::open(&path).map_err(failed())?;
        file.seek(SeekFrom::Start(offset)).map_err(failed())?;
        Ok(ChunkReader { path, file })
    }
}

/// Reads chunk after chunk.
pub struct ChunkReader {
    path: PathBuf,
    file: File,
}

impl ChunkReader {
    /// Fills `chunk` with the next bytes.
    ///
    /// # Errors
    /// [`StorageError::File`], also when there are not that many.
    pub fn next(&mut self, chunk: &mut [u8]) -> Result<(), StorageError> {
        self.file.read_exact(chunk).map_err(StorageError::file("read", &self.path))
    }
}
