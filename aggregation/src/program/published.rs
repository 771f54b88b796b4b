//! What a coordinator publishes, as it lies in a folder:
//!
//! ```text
//! round-0001/publication.covey
//! round-0001/contributions/<header digest>/{correction,chunks}
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::config::RoundConfig;
use crate::hash::Digest;
use crate::limits::PUBLICATION_BYTES_MAX;
use crate::net::{FileError, files};
use crate::party::PartyId;
use crate::publication::{ContributionSource, Publication};
use crate::sum::contribution::correction_bytes;

use super::{Exit, Failure};

/// The signed result, in a round's folder.
pub const PUBLICATION_FILE: &str = "publication.covey";

/// The folder of a round's contributions: each has a folder, named by the digest of its header.
pub const CONTRIBUTIONS_FOLDER: &str = "contributions";

/// The file of a contribution's correction.
pub const CORRECTION_FILE: &str = "correction";

/// The file of a contribution's chunks, one after the other.
pub const CHUNKS_FILE: &str = "chunks";

/// The folders of rounds in `folder`, in the order of their numbers; or `folder` itself, where it
/// is a round's.
///
/// # Errors
/// [`Failure`] when the folder cannot be read.
pub fn round_folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if folder.join(PUBLICATION_FILE).exists() {
        return Ok(vec![folder.to_owned()]);
    }
    let failed = |error: io::Error| {
        let message = format!("cannot read the folder {}: {error}", folder.display());
        Failure::new(Exit::BadInput, "BAD_FOLDER", message)
            .with_help("give the folder that holds round-0001, as the coordinator publishes it")
    };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with("round-") {
            folders.push(entry.path());
        }
    }
    // Numbers have four digits, or more.
    folders.sort_by_cached_key(|path| (path.as_os_str().len(), path.clone()));
    Ok(folders)
}

/// The signed result of a round, from its folder. Nothing of it is checked yet.
///
/// # Errors
/// [`FileError`].
pub fn read_publication(round: &Path) -> Result<Publication, FileError> {
    let path = round.join(PUBLICATION_FILE);
    let bytes = files::read(&path, PUBLICATION_BYTES_MAX as u64)?;
    Publication::decode(&bytes).map_err(|error| FileError::content(&path, error.to_string()))
}

/// The stored contributions of one published round.
pub struct Contributions<'a> {
    path: PathBuf,
    config: &'a RoundConfig,
    /// The chunks being read.
    open: Option<(Digest, File)>,
}

impl<'a> Contributions<'a> {
    /// Those in the folder `round`, of a round of these terms.
    #[must_use]
    pub fn new(round: &Path, config: &'a RoundConfig) -> Self {
        Self { path: round.join(CONTRIBUTIONS_FOLDER), config, open: None }
    }

    fn file(&self, contribution: &Digest, name: &str) -> PathBuf {
        self.path.join(contribution.to_string()).join(name)
    }

    /// The file of all chunks, which must be exactly as long as they are.
    fn chunks(&mut self, contribution: &Digest) -> io::Result<&mut File> {
        let is_open = self.open.as_ref().is_some_and(|(open, _)| open == contribution);
        if !is_open {
            let path = self.file(contribution, CHUNKS_FILE);
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            let file = File::open(&path).map_err(named)?;
            let (bytes, expected) =
                (file.metadata().map_err(named)?.len(), self.config.payload_bytes());
            if bytes != expected {
                let what = format!("{}: {bytes} bytes, expected {expected}", path.display());
                return Err(io::Error::other(what));
            }
            self.open = Some((*contribution, file));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::other("not open"))
    }
}

impl ContributionSource for Contributions<'_> {
    type Error = io::Error;

    fn correction(&mut self, _: &PartyId, contribution: &Digest) -> io::Result<Vec<u8>> {
        let bytes_max = correction_bytes(self.config) as u64;
        files::read(&self.file(contribution, CORRECTION_FILE), bytes_max).map_err(io::Error::other)
    }

    fn chunk(&mut self, _: &PartyId, contribution: &Digest, index: u32) -> io::Result<Vec<u8>> {
        let start = u64::from(index) * self.config.chunk_bytes(0) as u64;
        let mut bytes = vec![0; self.config.chunk_bytes(index)];
        let file = self.chunks(contribution)?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
