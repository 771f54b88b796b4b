//! What a store holds, and how a store of an older format becomes one of this format.
//!
//! # Decisions
//! - Tables are written once, in SQLite's words. PostgreSQL has other words for the four kinds of
//!   values, and those are put in; everything else is the same.
//! - A format is a number. The steps from each to the next are kept for good, and a new store takes
//!   all of them: there is no second description of the newest format that could differ.
//! - SQLite keeps the number in the file (`user_version`), PostgreSQL in the table [`STORE`].

use sqlx::AssertSqlSafe;

use super::connection::{Connection, Transaction};
use super::sql;
use crate::storage::StorageError;
use crate::storage::durable::{part_of, rename};
use crate::storage::place::Place;

/// What a store is for.
pub(crate) struct Schema {
    /// What it holds, in one word.
    pub(crate) name: &'static str,
    /// The oldest format that this program can read or migrate.
    pub(crate) base: i64,
    /// Makes the tables of [`Self::base`].
    pub(crate) tables: &'static str,
    /// What takes each format to the next, from [`Self::base`] on.
    pub(crate) steps: &'static [&'static str],
    /// The tables of the newest format.
    pub(crate) contents: &'static [Table],
}

/// A table of a store.
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// The columns that tell its rows apart, in which order they are read.
    pub(crate) key: &'static str,
}

/// What PostgreSQL keeps of a store beside its tables: one row with its format and the number of
/// transactions that wrote to it.
pub(super) const STORE: &str = "
    CREATE TABLE store (
        \"only\" BIGINT PRIMARY KEY CHECK (\"only\" = 1),
        format BIGINT NOT NULL,
        changes BIGINT NOT NULL
    );
    INSERT INTO store VALUES (1, 0, 0);
";

impl Schema {
    /// The newest format.
    pub(crate) const fn format(&self) -> i64 {
        self.base + self.steps.len() as i64
    }

    /// Whether this program can use a store of that format, perhaps after migrating it.
    pub(super) fn admit(&self, place: &Place, got: i64) -> Result<(), StorageError> {
        let (path, known) = (place.shown(), self.format());
        match got {
            _ if got < self.base => Err(StorageError::Older { path, got, known: self.base }),
            _ if got > known => Err(StorageError::Newer { path, got, known }),
            _ => Ok(()),
        }
    }
}

/// The format of a store; none where there is no store yet.
pub(super) async fn format_of(
    connection: &mut Connection,
    place: &Place,
) -> Result<Option<i64>, StorageError> {
    let read = async {
        if let Place::Schema(..) = place {
            let there = sql("SELECT COUNT(*) AS found FROM pg_catalog.pg_tables
                 WHERE schemaname = current_schema() AND tablename = 'store'");
            let rows = connection.rows(there).await?;
            let found = rows.first().map_or(Ok(0), |row| row.get::<i64>("found"))?;
            if found == 0 {
                return Ok(None);
            }
        }
        let rows = connection.rows(ask_format(place)).await?;
        rows.first().map(|row| row.get::<i64>("user_version")).transpose()
    };
    let format = read.await.map_err(|source| place.failed(source))?;
    Ok(format.filter(|format| *format != 0))
}

fn ask_format(place: &Place) -> super::Statement {
    match place {
        Place::File(_) => sql("PRAGMA user_version"),
        Place::Schema(..) => sql("SELECT format AS user_version FROM store"),
    }
}

/// Makes the tables, or brings them to the format `until`: all of it or nothing.
pub(super) async fn bring_up(
    connection: &mut Connection,
    place: &Place,
    schema: &Schema,
    until: i64,
) -> Result<(), StorageError> {
    keep_copy(connection, place, until).await?;
    let mut transaction = connection.begin(place).await?;
    if let Place::Schema(server, name) = place {
        // Of two who come first one makes it, and the other waits and finds it.
        let one = sql("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))");
        transaction.rows(one.bind(name.as_str())).await?;
        if !server.has_schema(&mut transaction, name).await? {
            transaction.batch(AssertSqlSafe(format!("CREATE SCHEMA \"{name}\""))).await?;
        }
    }
    let got = found_within(&mut transaction, place).await?;
    if got == 0 {
        if let Place::Schema(..) = place {
            transaction.batch(STORE).await?;
        }
        transaction.batch(spoken(place, schema.tables)).await?;
    } else {
        schema.admit(place, got)?;
    }
    let done = if got == 0 { 0 } else { usize::try_from(got - schema.base).unwrap_or(0) };
    let to_do = usize::try_from(until - schema.base).unwrap_or(0);
    for step in schema.steps.iter().take(to_do).skip(done) {
        transaction.batch(spoken(place, step)).await?;
    }
    let format = until.max(got);
    let number = match place {
        Place::File(_) => format!("PRAGMA user_version = {format}"),
        Place::Schema(..) => format!("UPDATE store SET format = {format}"),
    };
    transaction.batch(AssertSqlSafe(number)).await?;
    transaction.commit().await
}

/// The format that a transaction sees; 0 where there is no store yet.
async fn found_within(
    transaction: &mut Transaction<'_>,
    place: &Place,
) -> Result<i64, StorageError> {
    if let Place::Schema(..) = place {
        let there = sql("SELECT 1::BIGINT AS found FROM pg_catalog.pg_tables
             WHERE schemaname = current_schema() AND tablename = 'store'");
        if transaction.row(there).await?.is_none() {
            return Ok(0);
        }
    }
    let row = transaction.row(ask_format(place)).await?;
    let got = row.map_or(Ok(0), |row| row.get::<i64>("user_version"));
    got.map_err(|source| place.failed(source))
}

/// Keeps a copy of a file beside it before it is migrated. A server has backups of its own.
async fn keep_copy(
    connection: &mut Connection,
    place: &Place,
    until: i64,
) -> Result<(), StorageError> {
    let Place::File(path) = place else { return Ok(()) };
    let got = format_of(connection, place).await?;
    // Of two who come at the same time the other may have been faster.
    let Some(got) = got.filter(|got| *got < until) else { return Ok(()) };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".format-{got}"));
    let copy = std::path::PathBuf::from(name);
    let part = part_of(&copy);
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StorageError::file("remove", &part)(error));
        }
        _ => {}
    }
    let into = sql("VACUUM INTO $1").bind(part.to_string_lossy().into_owned());
    connection.execute(into).await.map_err(|source| place.failed(source))?;
    std::fs::File::open(&part)
        .and_then(|file| file.sync_all())
        .map_err(StorageError::file("make durable", &part))?;
    rename(&part, &copy)
}

/// Definitions of tables in the words of the database.
fn spoken(place: &Place, definitions: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(match place {
        Place::File(_) => definitions.to_owned(),
        Place::Schema(..) => definitions
            .replace(" INTEGER", " BIGINT")
            .replace(" BLOB", " BYTEA")
            .replace(" REAL", " DOUBLE PRECISION")
            .replace(") STRICT", ")"),
    })
}
