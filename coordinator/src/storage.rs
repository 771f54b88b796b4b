//! What survives a crash: a journal of machine records, and bulk bytes. The journal is
//! the truth; everything else can be derived from it and from the blobs it names.
//!
//! - [`journal`]: records in SQLite, appended in one durable transaction
//! - [`registry`]: plans that were submitted, and what is to become of them
//! - [`members`]: invites, members and rosters
//! - [`blobs`]: plans, models and contributions, in a folder or in a bucket
//! - [`shelf`]: which run's bulk bytes are served
//! - [`durable`]: writing files so that a crash leaves the old or the new, never half

pub mod blobs;
mod database;
pub mod durable;
pub mod journal;
pub mod members;
pub mod registry;
pub mod shelf;

use std::path::{Path, PathBuf};

use covey_aggregation::program::{Exit, Failure};

/// The disk or the database said no. Nobody else is at fault: these are local.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// An operation on a file or folder failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An operation on an object of a bucket failed, after all tries.
    #[error("cannot {action} {url}: {why}")]
    Object {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        url: String,
        /// What the server said, or what happened on the way to it; without keys.
        why: String,
    },
    /// There is no such object.
    #[error("cannot {action} {url}: there is no such object, or no such bucket")]
    NoObject {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        url: String,
    },
    /// A bucket cannot be used as the settings say.
    #[error("objects = \"{url}\": {what}")]
    Settings {
        /// Which.
        url: String,
        /// Why not.
        what: String,
    },
    /// The settings name another place for bulk bytes than the state folder does.
    #[error("the bulk bytes of {} are {is}, and the settings say {asked}", .folder.display())]
    Elsewhere {
        /// The state folder.
        folder: PathBuf,
        /// Where they are.
        is: String,
        /// Where they should be.
        asked: String,
    },
    /// The bulk bytes of another state folder are there already.
    #[error("{url} is not empty, and {} knows nothing of what is there", .folder.display())]
    Taken {
        /// Where they are.
        url: String,
        /// The state folder that would begin there.
        folder: PathBuf,
    },
    /// The database failed.
    #[error("the database {}: {source}", .path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// What was stored is not what was written.
    #[error("{} is damaged: {what}; restore it from a backup, or start with an empty state_dir", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, and how it shows.
        what: String,
    },
    /// Written by an older program.
    #[error("{} has format {got}, this program reads format {known} only: finish that run with the covey-coordinator that began it, or start with an empty state_dir", .path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        got: i64,
        /// The one known here.
        known: i64,
    },
    /// Written by a newer program.
    #[error("{} has format {got}, this program knows formats up to {known}: use a newer covey-coordinator", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        got: i64,
        /// The newest known here.
        known: i64,
    },
}

impl StorageError {
    /// Attaches what was tried to a system error; for `map_err`.
    pub(crate) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let code = match &error {
            StorageError::Damaged { .. } => "STATE_DAMAGED",
            StorageError::Newer { .. } => "STATE_NEWER",
            StorageError::Older { .. } => "STATE_OLDER",
            StorageError::Settings { .. } => "BAD_CONFIG",
            StorageError::Elsewhere { .. } | StorageError::Taken { .. } => "OTHER_OBJECTS",
            StorageError::File { .. }
            | StorageError::Object { .. }
            | StorageError::NoObject { .. }
            | StorageError::Database { .. } => "STORAGE",
        };
        let exit = match code {
            "BAD_CONFIG" | "OTHER_OBJECTS" => Exit::BadInput,
            _ => Exit::Failed,
        };
        let is_remote =
            matches!(&error, StorageError::Object { .. } | StorageError::NoObject { .. });
        let failure = Self::new(exit, code, &error);
        match code {
            "BAD_CONFIG" => failure.with_help("correct `objects` and [s3] in coordinator.toml"),
            "OTHER_OBJECTS" => failure.with_help(
                "every state_dir has a place of its own for bulk bytes: another prefix for a new \
                 one, and always the same for one that is in use",
            ),
            "STORAGE" if is_remote => failure.with_help(
                "check the server, the bucket and the keys (covey-coordinator doctor); what was \
                 promised is safe, and serving again goes on",
            ),
            "STORAGE" => failure.with_help(
                "check the disk, and that it is not full; what was promised is safe, and serving \
                 again goes on",
            ),
            _ => failure,
        }
    }
}
