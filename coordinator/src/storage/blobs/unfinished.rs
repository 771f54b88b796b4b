//! A contribution on its way in: files in a folder of its member's, so that an upload that broke off
//! goes on where it stopped.
//!
//! ```text
//! rounds/round-0001/<member>.upload/{progress,correction,boxes,chunks}
//! ```
//!
//! A member has one such folder in a round and no more: another header begins it anew, and a round
//! that is forgotten takes it along. It is never longer than the round's terms say, as the other side
//! is asked for exactly so many bytes.
//!
//! Nothing is promised of it, so it is not made durable before it is whole. `progress` holds the
//! header's digest, and the leaf of every chunk: whoever goes on compares what lies here with them, and
//! takes nothing that a crash has spoiled.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::program::published::{CHUNKS_FILE, CORRECTION_FILE};

use super::{BOXES, Blobs};
use crate::storage::durable::{create_folder, remove_folder, sync_folder};
use crate::storage::{MAKE_DURABLE, StorageError};

/// Ending of a member's folder.
pub(super) const UPLOAD: &str = ".upload";

/// Which contribution it is, and the leaves of its chunks.
const PROGRESS: &str = "progress";

/// Written in one go to the disk: small enough for thousands of uploads at once (64 KiB each),
/// large enough to be efficient.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of a digest.
const DIGEST_BYTES: u64 = 32;

/// One file that grows.
struct Section {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Section {
    fn open(path: &Path) -> Result<Self, StorageError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(StorageError::file("create", path))?;
        let end = file.seek(SeekFrom::End(0)).map_err(StorageError::file("read", path))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_owned(), file, bytes: end })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(bytes).map_err(StorageError::file("write", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.file.flush().map_err(StorageError::file("write", &self.path))
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.flush()?;
        self.file.get_ref().sync_all().map_err(StorageError::file(MAKE_DURABLE, &self.path))
    }

    /// So many bytes that are there already; none when there are fewer.
    fn kept(&mut self, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>, StorageError> {
        if offset.saturating_add(bytes as u64) > self.bytes {
            return Ok(None);
        }
        let failed = || StorageError::file("read", &self.path);
        let mut content = vec![0; bytes];
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(offset)).map_err(failed())?;
        file.read_exact(&mut content).map_err(failed())?;
        Ok(Some(content))
    }

    /// Goes on after the first `bytes` bytes.
    fn cut(&mut self, bytes: u64) -> Result<(), StorageError> {
        let failed = || StorageError::file("write", &self.path);
        let file = self.file.get_mut();
        file.set_len(bytes).map_err(failed())?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed())?;
        self.bytes = bytes;
        Ok(())
    }
}

/// A contribution on its way to the store. Dropped before [`Self::finish`], what came of it stays for
/// the next try.
pub struct ContributionWriter<'a> {
    blobs: &'a Blobs,
    /// Of the contribution, once it is stored.
    key: String,
    folder: PathBuf,
    progress: Section,
    correction: Section,
    boxes: Section,
    chunks: Section,
}

impl<'a> ContributionWriter<'a> {
    /// Goes on with the upload of the contribution named `header` in `folder`, or begins it there in
    /// the place of another one.
    pub(super) fn open(
        blobs: &'a Blobs,
        folder: PathBuf,
        header: &Digest,
        key: String,
    ) -> Result<Self, StorageError> {
        let path = folder.join(PROGRESS);
        if !is_of(&path, header)? {
            remove_folder(&folder)?;
            if let Some(round) = folder.parent() {
                create_folder(round)?;
            }
            fs::create_dir(&folder).map_err(StorageError::file("create the folder", &folder))?;
        }
        let section = |name: &str| Section::open(&folder.join(name));
        let (correction, boxes) = (section(CORRECTION_FILE)?, section(BOXES)?);
        let (chunks, mut progress) = (section(CHUNKS_FILE)?, section(PROGRESS)?);
        if progress.bytes == 0 {
            progress.write(&header.0)?;
            progress.flush()?;
        }
        Ok(Self { blobs, key, folder, progress, correction, boxes, chunks })
    }

    /// The correction, where it came already.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn kept_correction(&mut self, bytes: usize) -> Result<Option<Vec<u8>>, StorageError> {
        self.correction.kept(0, bytes)
    }

    /// The box at `index` where it came already, boxes having `bytes` bytes each.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn kept_box(&mut self, index: u8, bytes: usize) -> Result<Option<Vec<u8>>, StorageError> {
        self.boxes.kept(u64::from(index) * bytes as u64, bytes)
    }

    /// Chunk `index` where it came already, and what its leaf was then. Those before have
    /// `chunk_bytes` bytes each, this one `bytes`.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn kept_chunk(
        &mut self,
        index: u32,
        chunk_bytes: usize,
        bytes: usize,
    ) -> Result<Option<(Vec<u8>, Digest)>, StorageError> {
        let place = DIGEST_BYTES * (1 + u64::from(index));
        let Some(leaf) = self.progress.kept(place, DIGEST_BYTES as usize)? else { return Ok(None) };
        let chunk = self.chunks.kept(u64::from(index) * chunk_bytes as u64, bytes)?;
        let leaf = leaf.try_into().ok().map(Digest);
        Ok(chunk.zip(leaf))
    }

    /// Goes on after so many bytes of the correction, of the boxes, and of `chunks` chunks.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn go_on_after(
        &mut self,
        correction: u64,
        boxes: u64,
        (chunks, bytes): (u32, u64),
    ) -> Result<(), StorageError> {
        self.correction.cut(correction)?;
        self.boxes.cut(boxes)?;
        self.chunks.cut(bytes)?;
        self.progress.cut(DIGEST_BYTES * (1 + u64::from(chunks)))
    }

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

    /// Appends a chunk, which has this leaf.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn chunk(&mut self, bytes: &[u8], leaf: &Digest) -> Result<(), StorageError> {
        self.chunks.write(bytes)?;
        self.progress.write(&leaf.0)
    }

    /// Lays what came so far down for the next try.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn keep(mut self) -> Result<(), StorageError> {
        let Self { progress, correction, boxes, chunks, .. } = &mut self;
        [correction, boxes, chunks, progress].into_iter().try_for_each(Section::flush)
    }

    /// Removes what came: it is not what was signed for.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn remove(self) -> Result<(), StorageError> {
        remove_folder(&self.folder)
    }

    /// Stores the contribution under its name; it is there as a whole, or not at all. If it was there
    /// already, with the same header and hence the same bytes, that one stays. Says whether this one
    /// is new.
    ///
    /// # Errors
    /// [`StorageError`]; what came stays for the next try.
    pub fn finish(mut self) -> Result<bool, StorageError> {
        let blobs = self.blobs;
        if blobs.is_stored(&self.key)? {
            remove_folder(&self.folder)?;
            if let Some((round, _)) = self.key.rsplit_once('/') {
                blobs.store.settle(round)?;
            }
            return Ok(false);
        }
        let Self { progress, correction, boxes, chunks, .. } = &mut self;
        if blobs.is_remote() {
            [correction, boxes, chunks, progress].into_iter().try_for_each(Section::flush)?;
        } else {
            let synced = [correction, boxes, chunks].into_iter().try_for_each(Section::sync);
            if synced.is_err() {
                // What the system could not write it may take for written from now on: nobody goes on
                // with these bytes.
                remove_folder(&self.folder)?;
            }
            synced?;
            let path = &self.progress.path;
            fs::remove_file(path).map_err(StorageError::file("remove", path))?;
            sync_folder(&self.folder)?;
        }
        blobs.store(&self.folder, &self.key)?;
        Ok(true)
    }
}

/// Whether a folder's progress is that of the contribution named `header`.
fn is_of(progress: &Path, header: &Digest) -> Result<bool, StorageError> {
    let mut named = [0; DIGEST_BYTES as usize];
    match File::open(progress).and_then(|mut file| file.read_exact(&mut named)) {
        Ok(()) => Ok(named == header.0),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(false)
        }
        Err(error) => Err(StorageError::file("read", progress)(error)),
    }
}
