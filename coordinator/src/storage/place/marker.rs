//! A folder remembers that its stores are on a server: without that, settings that no longer name
//! the server would begin a new life in empty files, and nobody would notice.

use std::path::{Path, PathBuf};

use super::super::StorageError;
use super::super::durable::{sync_folder, write_file};
use super::super::members::MEMBERS_FILE;
use super::super::registry::REGISTRY_FILE;
use super::{Databases, JOURNAL_FILE};

/// The file that says so.
pub(crate) const MARKER_FILE: &str = "database";

/// The file that says that a folder is being restored.
const RESTORING_FILE: &str = "restoring";

/// Says that what is in a folder is not whole.
///
/// # Errors
/// [`StorageError`].
pub(crate) fn begin_restoring(folder: &Path) -> Result<(), StorageError> {
    write_file(&folder.join(RESTORING_FILE), b"")
}

/// Says that it is whole, and where its stores are.
///
/// # Errors
/// [`StorageError`].
pub(crate) fn end_restoring(folder: &Path, databases: &Databases) -> Result<(), StorageError> {
    remember(databases, folder)?;
    let path = folder.join(RESTORING_FILE);
    std::fs::remove_file(&path).map_err(StorageError::file("remove", &path))?;
    sync_folder(folder)
}

/// Checks that the stores of these folders are where the settings say.
///
/// # Errors
/// [`StorageError::OtherDatabase`].
pub fn check(databases: &Databases, folders: &[&Path]) -> Result<(), StorageError> {
    for folder in folders {
        if folder.join(RESTORING_FILE).exists() {
            return Err(StorageError::HalfRestored { path: (*folder).to_owned() });
        }
        let is_there = match (databases, recorded(folder)?) {
            (Databases::Files, recorded) => recorded.is_none(),
            (Databases::Server(server), Some(prefix)) => server.prefix() == prefix,
            (Databases::Server(_), None) => ![JOURNAL_FILE, REGISTRY_FILE, MEMBERS_FILE]
                .iter()
                .any(|file| folder.join(file).exists()),
        };
        if !is_there {
            return Err(elsewhere(folder, databases));
        }
    }
    Ok(())
}

/// Checks it, and remembers it from now on.
///
/// # Errors
/// [`StorageError`].
pub fn settle(databases: &Databases, folders: &[&Path]) -> Result<(), StorageError> {
    check(databases, folders)?;
    folders.iter().try_for_each(|folder| remember(databases, folder))
}

fn remember(databases: &Databases, folder: &Path) -> Result<(), StorageError> {
    let Databases::Server(server) = databases else { return Ok(()) };
    if recorded(folder)?.is_some() {
        return Ok(());
    }
    let line = format!("{}\n{server}\n", server.prefix());
    write_file(&folder.join(MARKER_FILE), line.as_bytes())
}

/// The prefix of a folder whose stores are on a server.
pub(super) fn recorded(folder: &Path) -> Result<Option<String>, StorageError> {
    let path = folder.join(MARKER_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.lines().next().unwrap_or_default().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::file("read", &path)(error)),
    }
}

pub(super) fn elsewhere(folder: &Path, asked: &Databases) -> StorageError {
    let path: PathBuf = folder.to_owned();
    let text = std::fs::read_to_string(folder.join(MARKER_FILE)).unwrap_or_default();
    let there = text.lines().nth(1).unwrap_or("files").to_owned();
    StorageError::OtherDatabase { path, there, asked: asked.to_string() }
}
