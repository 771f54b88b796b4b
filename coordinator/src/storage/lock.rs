//! One program at a time on a state folder: two would both believe to be the single writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::StorageError;
use super::durable::create_folder;

/// An exclusive lock on a state folder. The system frees it when the program ends, however it
/// ends, so no stale lock can keep a coordinator from starting.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "held for its lock")] File);

impl StateLock {
    /// Locks `state_dir`, creating it if there is none.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another program holds it, [`StorageError::File`] when the
    /// folder cannot be used.
    pub fn acquire(state_dir: &Path) -> Result<Self, StorageError> {
        create_folder(state_dir)?;
        let path = state_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StorageError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // A best effort: the number only helps people to find the other program.
                let _ = file.read_to_string(&mut process);
                let process = process.trim();
                let process = if process.is_empty() { "unknown" } else { process }.to_owned();
                return Err(StorageError::Locked { path: state_dir.to_owned(), process });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StorageError::file("lock", &path)(source));
            }
        }
        let failed = || StorageError::file("write", &path);
        file.set_len(0).map_err(failed())?;
        file.rewind().map_err(failed())?;
        writeln!(file, "{}", std::process::id()).map_err(failed())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_refused_and_names_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateLock::acquire(folder.path()).expect("free");
        match StateLock::acquire(folder.path()) {
            Err(StorageError::Locked { process, .. }) => {
                assert_eq!(process, std::process::id().to_string());
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(StateLock::acquire(folder.path()).is_ok());
    }
}
