//! What survives a crash: a journal of machine records, and bulk bytes. The journal is
//! the truth; everything else can be derived from it and from the blobs it names.
//!
//! - [`place`]: where stores are: SQLite files, or schemas on a PostgreSQL server
//! - [`journal`]: records, appended in one durable transaction
//! - [`registry`]: plans that were submitted, and what is to become of them
//! - [`members`]: invites, members and rosters
//! - [`blobs`]: plans, models and contributions, in a folder or in a bucket
//! - [`faults`]: what fails when a test says so
//! - [`shelf`]: which run's bulk bytes are served
//! - [`durable`]: writing files so that a crash leaves the old or the new, never half

pub mod blobs;
mod database;
pub mod durable;
pub mod faults;
pub mod journal;
pub mod members;
pub mod place;
pub mod registry;
pub mod shelf;
pub(crate) mod stores;

use std::path::{Path, PathBuf};

use covey_aggregation::program::{Exit, Failure};

/// What is tried with fsync, as a verb.
pub(crate) const MAKE_DURABLE: &str = "make durable";

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
    /// A database server failed, or cannot be reached.
    #[error("the database {place}: {source}")]
    Server {
        /// The schema and its server.
        place: String,
        /// What it said, or what came of the connection.
        source: sqlx::Error,
    },
    /// The session that alone may write has ended.
    #[error("the connection to {} was lost", .path.display())]
    Lost {
        /// The schema and its server.
        path: PathBuf,
    },
    /// Another program writes there.
    #[error("another coordinator is running with {}", .path.display())]
    InUse {
        /// The schema and its server.
        path: PathBuf,
    },
    /// The settings name another database than the one that a folder's stores are in.
    #[error("the stores of {} are in {there}, and the settings say {asked}", .path.display())]
    OtherDatabase {
        /// The folder.
        path: PathBuf,
        /// Where they are.
        there: String,
        /// Where the settings say they are.
        asked: String,
    },
    /// A restoring that did not come to its end.
    #[error("{} is restored in part only", .path.display())]
    HalfRestored {
        /// The state folder.
        path: PathBuf,
    },
    /// Stores of another federation.
    #[error("{} are of another federation", .path.display())]
    OtherFederation {
        /// The file, or the schema and its server.
        path: PathBuf,
    },
    /// There is a store where one is to be made from a backup.
    #[error("there is a {} already", .path.display())]
    Occupied {
        /// The file, or the schema and its server.
        path: PathBuf,
    },
    /// A backup's part that this program cannot read.
    #[error("the dump for {}: {what}", .path.display())]
    BadDump {
        /// Where it was to go.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is no store.
    #[error("there is no {}", .path.display())]
    Absent {
        /// The file, or the schema and its server.
        path: PathBuf,
    },
    /// Written by an older program, and can be migrated.
    #[error("{} has format {got}, this program reads format {known}: covey-coordinator migrate brings it there, and so does serve", .path.display())]
    ToMigrate {
        /// The file, or the schema and its server.
        path: PathBuf,
        /// Its format.
        got: i64,
        /// The one known here.
        known: i64,
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
    #[error("{} has format {got}, this program reads formats from {known} on: finish that run with the covey-coordinator that began it, or start with an empty state_dir", .path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        got: i64,
        /// The oldest known here.
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

    /// Whether what was written may be lost although the system takes it for written: after a failed
    /// fsync the next one may succeed without having written anything (fsync(2), "ERRORS"). Who sees
    /// that can promise nothing any more before it has started again and read what there is.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::File { action: MAKE_DURABLE, .. })
    }

    /// Whether a name or a key is there already.
    pub(crate) fn is_taken(&self) -> bool {
        let (Self::Database { source, .. } | Self::Server { source, .. }) = self else {
            return false;
        };
        source.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let code = match &error {
            StorageError::Damaged { .. } => "STATE_DAMAGED",
            StorageError::Newer { .. } => "STATE_NEWER",
            StorageError::Older { .. } | StorageError::ToMigrate { .. } => "STATE_OLDER",
            StorageError::Settings { .. } => "BAD_CONFIG",
            StorageError::Elsewhere { .. } | StorageError::Taken { .. } => "OTHER_OBJECTS",
            StorageError::InUse { .. } => "ALREADY_RUNNING",
            StorageError::OtherDatabase { .. } | StorageError::OtherFederation { .. } => {
                "OTHER_DATABASE"
            }
            StorageError::HalfRestored { .. } => "HALF_RESTORED",
            StorageError::Occupied { .. } => "NOT_EMPTY",
            StorageError::BadDump { .. } => "BAD_BACKUP",
            StorageError::File { .. }
            | StorageError::Object { .. }
            | StorageError::NoObject { .. }
            | StorageError::Database { .. }
            | StorageError::Absent { .. }
            | StorageError::Server { .. }
            | StorageError::Lost { .. } => "STORAGE",
        };
        let exit = match code {
            "BAD_CONFIG" | "OTHER_OBJECTS" => Exit::BadInput,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, code, &error);
        match help_for(&error) {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}

/// What the operator can do.
const fn help_for(error: &StorageError) -> Option<&'static str> {
    Some(match error {
        StorageError::Server { .. } | StorageError::Lost { .. } => {
            "check that the database server runs, can be reached, and lets this user in; what was \
             promised is safe there, and serving again goes on"
        }
        StorageError::InUse { .. } => {
            "stop the other one first, wherever it runs; two federations on one server need a \
             prefix each: postgres://…/DATABASE?prefix=NAME"
        }
        StorageError::HalfRestored { .. } => {
            "empty that folder and its database, and restore again"
        }
        StorageError::OtherFederation { .. } => {
            "give this federation a prefix of its own: postgres://…/DATABASE?prefix=NAME"
        }
        StorageError::OtherDatabase { .. } => {
            "set `database` in coordinator.toml (or --database, COVEY_DATABASE) to where they are; \
             covey-coordinator backup and restore take them elsewhere"
        }
        StorageError::Settings { .. } => "correct `objects` and [s3] in coordinator.toml",
        StorageError::Elsewhere { .. } | StorageError::Taken { .. } => {
            "every state_dir has a place of its own for bulk bytes: another prefix for a new one, \
             and always the same for one that is in use"
        }
        StorageError::Object { .. } | StorageError::NoObject { .. } => {
            "check the server, the bucket and the keys (covey-coordinator doctor); what was \
             promised is safe, and serving again goes on"
        }
        StorageError::File { .. } | StorageError::Database { .. } | StorageError::Absent { .. } => {
            "check the disk, and that it is not full; what was promised is safe, and serving \
             again goes on"
        }
        _ => return None,
    })
}
