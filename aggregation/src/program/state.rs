//! A program's state folder: at most one running program uses it.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::net::FileError;
use crate::net::files;
use crate::program::answer::Failure;
use crate::program::exit::Exit;

/// The file whose lock says that a program is running.
const LOCK_FILE: &str = "lock";

/// A state folder that this program alone uses, until dropped (or killed: the system gives the
/// lock back).
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// A state folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another program uses it.
    #[error("another program is running with the state in {}", path.display())]
    Running {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be created or locked.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let failure = Self::new(Exit::Failed, "STATE", &error);
        match error {
            StateError::Running { .. } => Self { code: "ALREADY_RUNNING", ..failure }.with_help(
                "stop the other one first, or give this one a state folder of its own; never copy \
                 a state folder to run it twice",
            ),
            StateError::File(_) => failure,
        }
    }
}

impl StateFolder {
    /// Creates the folder if need be, and takes its lock.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        files::create_private_folder(path)?;
        // Its name, too: a folder that a power cut takes away takes along what was signed.
        match files::sync_folder(path) {
            // Whoever made a folder within one that this program may not read answers for its name.
            Err(FileError::Write { source, .. })
                if source.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
        let lock_path = path.join(LOCK_FILE);
        let failed = |source| FileError::Write { path: lock_path.clone(), source };
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Running { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source).into()),
        }
    }

    /// Whether a program is running with the state in `path`.
    #[must_use]
    pub fn is_in_use(path: &Path) -> bool {
        File::open(path.join(LOCK_FILE))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_is_refused_until_the_first_has_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state");
        assert!(!StateFolder::is_in_use(&path));
        let first = StateFolder::open(&path).expect("the first");
        assert!(matches!(StateFolder::open(&path), Err(StateError::Running { .. })));
        assert!(StateFolder::is_in_use(&path));
        drop(first);
        // A program that another test starts at this moment has the lock, too, until it is begun.
        let began = std::time::Instant::now();
        while StateFolder::is_in_use(&path) {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "given back");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        StateFolder::open(&path).expect("again");
    }
}
