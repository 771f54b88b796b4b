//! Bulk bytes by their keys, wherever they lie: in the state folder or in a bucket; and the few files
//! of the state folder that are neither bulk bytes nor stores.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{BackupError, failed};
use crate::storage::blobs::Blobs;
use crate::storage::durable::PART;

/// How keys of working copies of the rounds at hand begin: they go when a round ends. Everything else
/// only grows.
const PASSING: &str = "rounds/";

/// Which examples of validation pools are used up.
const POOLS: &str = "pools";

/// The ledger's checkpoint: it is taken before the lock that decides how far the ledger goes, so that no
/// backup has more published than its lock knows.
const CHECKPOINT: &str = "published/ledger/checkpoint";

/// Which keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Working copies of the rounds at hand.
    Passing,
    /// Everything else.
    Lasting,
}

/// Copies every key of this part below `to`, durably. False where one was gone before it was read.
pub(super) fn copy_all(blobs: &Blobs, to: &Path, part: Part) -> Result<bool, BackupError> {
    for entry in blobs.entries()? {
        let is_wanted = entry.key.starts_with(PASSING) == (part == Part::Passing);
        if !is_wanted || entry.key == CHECKPOINT {
            continue;
        }
        match copy_key(blobs, &entry.key, to) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // Working copies may go at any moment.
            Err(error) if part == Part::Passing => {
                tracing::debug!(%error, "a working copy could not be read");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Copies the ledger's checkpoint, if there is one.
pub(super) fn copy_checkpoint(blobs: &Blobs, to: &Path) -> Result<(), BackupError> {
    copy_key(blobs, CHECKPOINT, to).map(|_| ())
}

/// Copies what is under a key below `to`, durably. False where there is nothing.
fn copy_key(blobs: &Blobs, key: &str, to: &Path) -> Result<bool, BackupError> {
    let target = to.join(super::manifest::below(key)?);
    let Some(mut reader) = blobs.read_key(key)? else { return Ok(false) };
    let mut file = create(&target)?;
    std::io::copy(&mut reader, &mut file).map_err(failed("write", &target))?;
    file.sync_all().map_err(failed("make durable", &target))?;
    Ok(true)
}

/// Puts what lies below `from` in a backup under `key`.
pub(crate) fn put(blobs: &Blobs, from: &Path, key: &str) -> Result<(), BackupError> {
    let path = from.join(super::manifest::below(key)?);
    let file = File::open(&path).map_err(failed("read", &path))?;
    let bytes = file.metadata().map_err(failed("read", &path))?.len();
    Ok(blobs.write_key(key, bytes, &mut BufReader::new(file))?)
}

/// Copies the files of the state folder that a coordinator has beside stores and bulk bytes.
pub(super) fn copy_pools(state_dir: &Path, to: &Path) -> Result<(), BackupError> {
    let from = state_dir.join(POOLS);
    let entries = match std::fs::read_dir(&from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read the folder", &from)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed("read the folder", &from))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().ends_with(PART.as_bytes()) {
            copy(&entry.path(), &to.join(POOLS).join(name))?;
        }
    }
    Ok(())
}

/// Copies a file, durably.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(failed("read", from))?;
    let mut file = create(to)?;
    std::io::copy(&mut source, &mut file).map_err(failed("write", to))?;
    file.sync_all().map_err(failed("make durable", to))
}

fn create(path: &Path) -> Result<File, BackupError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed("create the folder", parent))?;
    }
    File::create(path).map_err(failed("create", path))
}

/// Which run's bulk bytes a file of a backup is, and its key; none of other files.
pub(crate) fn key_of(path: &str) -> Option<(PathBuf, &str)> {
    let path = path.strip_prefix(super::BULK)?.strip_prefix('/')?;
    match path.strip_prefix("runs/").and_then(|path| path.split_once('/')) {
        Some((run, key)) => Some((Path::new("runs").join(run), key)),
        None => Some((PathBuf::new(), path)),
    }
}
