//! Where a store is: a file, or a schema on a server; and where the stores of a coordinator are.

mod marker;
mod server;

use covey_aggregation::net::Boxed;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::StorageError;
use super::database::{Access, Connection, Readable, Row};
use super::members::MEMBERS_FILE;
use super::registry::{REGISTRY_FILE, run_folder};

pub(crate) use marker::MARKER_FILE;
pub(crate) use marker::{begin_restoring, end_restoring};
pub use marker::{check, settle};
pub use server::{BadUrl, Server};

/// The journal's name in a state folder.
pub const JOURNAL_FILE: &str = "journal.db";

/// Where one store is.
#[derive(Clone)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A schema of this name on a server.
    Schema(Arc<Server>, String),
}

/// Which database a coordinator uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Databases {
    /// SQLite files in the state folder and in the federation's folder.
    #[default]
    Files,
    /// Schemas on a PostgreSQL server.
    Server(Arc<Server>),
}

impl Databases {
    fn place(&self, file: PathBuf, name: &str) -> Place {
        match self {
            Self::Files => Place::File(file),
            Self::Server(server) => Place::Schema(Arc::clone(server), server.schema(name)),
        }
    }

    /// The runs that were submitted.
    #[must_use]
    pub fn runs(&self, state_dir: &Path) -> Place {
        self.place(state_dir.join(REGISTRY_FILE), "runs")
    }

    /// The journal of the run of the settings' plan.
    #[must_use]
    pub fn journal(&self, state_dir: &Path) -> Place {
        self.place(state_dir.join(JOURNAL_FILE), "journal")
    }

    /// The journal of a run that was submitted.
    #[must_use]
    pub fn journal_of(&self, state_dir: &Path, run: &Digest) -> Place {
        // PostgreSQL's names have 63 bytes at most; half of a digest tells runs apart as well.
        let digits = run.to_string();
        let name = format!("run_{}", digits.get(..32).unwrap_or(&digits));
        self.place(run_folder(state_dir, run).join(JOURNAL_FILE), &name)
    }

    /// Members, invites and rosters.
    #[must_use]
    pub fn members(&self, member_dir: &Path) -> Place {
        self.place(member_dir.join(MEMBERS_FILE), "members")
    }
}

impl Databases {
    /// Where an earlier run's stores are, by its state folder: on the same server perhaps, under
    /// another prefix.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn of_folder(&self, folder: &Path) -> Result<Self, StorageError> {
        match (self, marker::recorded(folder)?) {
            (_, None) => Ok(Self::Files),
            (Self::Server(server), Some(prefix)) => {
                Ok(Self::Server(Arc::new(server.with_prefix(&prefix))))
            }
            (Self::Files, Some(_)) => Err(marker::elsewhere(folder, self)),
        }
    }
}

impl std::str::FromStr for Databases {
    type Err = BadUrl;

    /// `files`, or a URL.
    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if text == "files" {
            return Ok(Self::Files);
        }
        Ok(Self::Server(Arc::new(text.parse()?)))
    }
}

impl fmt::Display for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("files"),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Schema(server, name) => write!(f, "{name} at {server}"),
        }
    }
}

impl Place {
    /// Whether it is worth asking for: a file that is not there is not.
    pub(super) fn may_exist(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Schema(..) => true,
        }
    }

    /// For people.
    pub(crate) fn shown(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Schema(..) => PathBuf::from(self.to_string()),
        }
    }

    pub(super) fn connect(&self, access: Access) -> Boxed<'_, Result<Connection, StorageError>> {
        Box::pin(self.connect_once(access))
    }

    async fn connect_once(&self, access: Access) -> Result<Connection, StorageError> {
        match self {
            Self::File(path) => {
                let connection = connect_file(path, access).await;
                let connection = connection.map_err(|source| self.failed(source))?;
                Ok(Connection::Sqlite(Box::new(connection)))
            }
            Self::Schema(server, name) => {
                let connection = server.connect(name, access == Access::Read).await;
                let connection = connection.map_err(|source| self.failed(source))?;
                Ok(Connection::Postgres(Box::new(connection)))
            }
        }
    }

    /// What is wrong, of what the database said.
    pub(super) fn failed(&self, source: sqlx::Error) -> StorageError {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Schema(..) => {
                return StorageError::Server { place: self.to_string(), source };
            }
        };
        let code = source.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // SQLITE_CORRUPT and SQLITE_NOTADB with their extended codes.
            Some("11" | "26" | "267" | "523" | "779") => {
                StorageError::Damaged { path, what: source.to_string() }
            }
            _ => StorageError::Database { path, source },
        }
    }

    pub(super) fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.shown(), what }
    }

    pub(super) fn column<T: Readable>(&self, row: &Row, name: &str) -> Result<T, StorageError> {
        row.get(name).map_err(|source| self.failed(source))
    }
}

async fn connect_file(path: &Path, access: Access) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path);
    let options = match access {
        Access::Read => options.read_only(true),
        Access::Alone | Access::Shared => options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full),
    };
    options.disable_statement_logging().connect().await
}
