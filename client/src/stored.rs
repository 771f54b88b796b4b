//! Sealed updates on disk, whole and durable before anything of them leaves: after a crash the
//! same bytes are sent again, never others.
//!
//! `<round>.chunks` is written while sealing; `<round>.head` (terms, header, correction, boxes) last, so
//! an update without a head was never finished.

use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::net::files::{self, DurableFile};
use covey_aggregation::net::{FileError, text::to_hex};
use covey_aggregation::sum::seal::{ChunkSink, Sealed};
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The folder of sealed updates.
#[derive(Clone, Debug)]
pub struct Stored(PathBuf);

#[derive(Serialize, Deserialize)]
struct Head {
    /// What it was sealed for.
    terms: RoundConfig,
    header: SignedHeader,
    correction: Vec<u8>,
    #[serde(with = "wire::byte_strings")]
    boxes: Vec<Vec<u8>>,
}

/// A sealed update being read.
pub struct Reading<R> {
    /// Its header.
    pub header: SignedHeader,
    /// Bytes of correction, boxes and chunks.
    pub bytes: u64,
    /// These bytes, in the order in which they are sent.
    pub source: R,
}

impl Stored {
    /// The folder `path`, made if need be.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        files::create_private_folder(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Begins an update for a round, in the place of any earlier attempt.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn create(&self, terms: &RoundConfig) -> Result<Writing, FileError> {
        let round_ctx = &terms.context();
        self.remove(round_ctx)?;
        let chunks = DurableFile::create(&self.chunks(round_ctx))?;
        Ok(Writing { chunks, head: self.head(round_ctx), terms: terms.clone() })
    }

    /// The terms that the update of a round was sealed for.
    ///
    /// # Errors
    /// [`FileError`], also when they are another round's.
    pub fn terms(&self, round_ctx: &Digest) -> Result<RoundConfig, FileError> {
        let path = self.head(round_ctx);
        let Head { terms, .. } = read_head(&path)?;
        if terms.context() == *round_ctx {
            return Ok(terms);
        }
        Err(FileError::content(&path, "an update for another round"))
    }

    /// Opens the update of a round for sending.
    ///
    /// # Errors
    /// [`FileError`]; also when it is not the update whose header has this digest.
    pub async fn read(
        &self,
        round_ctx: &Digest,
        header: &Digest,
    ) -> Result<Reading<impl AsyncRead + Unpin + Send>, FileError> {
        let path = self.head(round_ctx);
        let head = read_head(&path)?;
        if head.header.header.digest() != *header {
            return Err(FileError::content(&path, "another update than the one recorded"));
        }
        let path = self.chunks(round_ctx);
        let failed = |source| FileError::Read { path: path.clone(), source };
        let chunks = tokio::fs::File::open(&path).await.map_err(failed)?;
        let chunks_bytes = chunks.metadata().await.map_err(failed)?.len();
        let start = [head.correction, head.boxes.concat()].concat();
        let bytes = start.len() as u64 + chunks_bytes;
        Ok(Reading { header: head.header, bytes, source: Cursor::new(start).chain(chunks) })
    }

    /// Deletes the update of a round; one that is not there is fine.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn remove(&self, round_ctx: &Digest) -> Result<(), FileError> {
        files::remove_durably(&self.head(round_ctx))?;
        files::remove_durably(&self.chunks(round_ctx))
    }

    /// Deletes what belongs to no round of `keep`: attempts that a crash left unfinished.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn keep_only(&self, keep: &[Digest]) -> Result<(), FileError> {
        let failed = |source| FileError::Read { path: self.0.clone(), source };
        let keep: Vec<String> = keep.iter().map(|round_ctx| to_hex(&round_ctx.0)).collect();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !keep.iter().any(|round| name.starts_with(round)) {
                files::remove_durably(&path)?;
            }
        }
        Ok(())
    }

    fn head(&self, round_ctx: &Digest) -> PathBuf {
        self.0.join(format!("{round_ctx}.head"))
    }

    fn chunks(&self, round_ctx: &Digest) -> PathBuf {
        self.0.join(format!("{round_ctx}.chunks"))
    }
}

/// A sealed update being written; the sink of its chunks. Dropped, it was never there.
pub struct Writing {
    chunks: DurableFile,
    head: PathBuf,
    terms: RoundConfig,
}

fn read_head(path: &Path) -> Result<Head, FileError> {
    let head = files::read(path, u64::from(FRAME_BYTES_MAX))?;
    wire::decode(&head, FRAME_BYTES_MAX as usize)
        .map_err(|error| FileError::content(path, error.to_string()))
}

impl Writing {
    /// Makes the update whole and durable. Returns its header and its bytes.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn commit(self, sealed: Sealed) -> Result<SignedHeader, FileError> {
        self.chunks.commit()?;
        let header = sealed.header.clone();
        let Sealed { correction, boxes, .. } = sealed;
        let head = Head { terms: self.terms, header: header.clone(), correction, boxes };
        files::write_durably(&self.head, &wire::encode(&head))?;
        Ok(header)
    }
}

impl ChunkSink for Writing {
    type Error = io::Error;

    fn chunk(&mut self, _: u32, bytes: &[u8]) -> io::Result<()> {
        self.chunks.write_all(bytes)
    }
}
