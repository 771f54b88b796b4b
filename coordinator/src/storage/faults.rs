//! A storage that fails when a test says so.
//!
//! No setting leads here: the program has [`Faults::none`], which costs a look at an empty field for each
//! transaction. Only whoever embeds a coordinator can give it another one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::StorageError;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It is told as failed, and nothing of it is on the disk.
    FailsUndone,
    /// It is told as failed, and all of it is on the disk.
    FailsDone,
}

/// Which calls fail. Cheap to clone: clones count together.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<dyn Fn() -> Fate + Send + Sync>>);

impl Faults {
    /// All is done.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// `fate` is asked at every call.
    #[must_use]
    pub fn injected(fate: impl Fn() -> Fate + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(fate)))
    }

    /// What becomes of the next call.
    pub(super) fn next(&self) -> Fate {
        self.0.as_ref().map_or(Fate::Done, |fate| fate())
    }

    /// What a call about this path is told that fails.
    pub(super) fn error(path: PathBuf) -> StorageError {
        let source = io::Error::other("a fault that a test injected");
        StorageError::File { action: "write", path, source }
    }
}
