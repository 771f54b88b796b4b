//! Every kind of store, for those who treat them alike: backups and migrations.

use std::fmt;
use std::io::{BufRead, Write};
use std::path::Path;
use std::str::FromStr;

use covey_aggregation::hash::Digest;

use super::StorageError;
use super::database::{self, Access, Database, Dumped, Schema, sql};
use super::place::{Databases, Place};
use super::{journal, members, registry};

/// A store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Members, invites, rosters.
    Members,
    /// Runs that were submitted.
    Runs,
    /// The journal of the run of the settings' plan.
    Journal,
    /// The journal of a run that was submitted.
    Run(Digest),
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Members => f.write_str("members"),
            Self::Runs => f.write_str("runs"),
            Self::Journal => f.write_str("journal"),
            Self::Run(run) => run.fmt(f),
        }
    }
}

impl FromStr for Store {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "members" => Self::Members,
            "runs" => Self::Runs,
            "journal" => Self::Journal,
            digits => {
                let mut digest = Digest::ZERO;
                if digits.len() != 64 || !digits.is_ascii() {
                    return Err(());
                }
                for (place, byte) in digest.0.iter_mut().enumerate() {
                    let pair = digits.get(2 * place..2 * place + 2).ok_or(())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| ())?;
                }
                Self::Run(digest)
            }
        })
    }
}

impl Store {
    const fn schema(self) -> &'static Schema {
        match self {
            Self::Members => &members::SCHEMA,
            Self::Runs => &registry::SCHEMA,
            Self::Journal | Self::Run(_) => &journal::SCHEMA,
        }
    }

    /// Where it is.
    pub(crate) fn place(self, databases: &Databases, state_dir: &Path, member_dir: &Path) -> Place {
        match self {
            Self::Members => databases.members(member_dir),
            Self::Runs => databases.runs(state_dir),
            Self::Journal => databases.journal(state_dir),
            Self::Run(run) => databases.journal_of(state_dir, &run),
        }
    }

    /// The format that this program writes.
    pub(crate) const fn newest(self) -> i64 {
        self.schema().format()
    }

    /// The oldest format that this program can read or migrate.
    pub(crate) const fn oldest(self) -> i64 {
        self.schema().base
    }
}

/// The format of a store; none where there is none.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn format(place: &Place) -> Result<Option<i64>, StorageError> {
    Database::format(place).await
}

/// The runs that a registry of any format names, in order.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn runs(place: &Place) -> Result<Vec<Digest>, StorageError> {
    if format(place).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut database = Database::look(place).await?;
    let rows = database.rows(sql("SELECT run FROM runs ORDER BY number")).await?;
    let runs = rows.iter().map(|row| database.digest(row, "run")).collect();
    database.close().await?;
    runs
}

/// Brings a store to the newest format, as opening it does.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn migrate(store: Store, place: &Place) -> Result<(), StorageError> {
    let access = if store == Store::Members { Access::Shared } else { Access::Alone };
    Database::open(place, store.schema(), access).await?.close().await
}

/// Writes a store as it is at one moment; none where there is none.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn dump(
    store: Store,
    place: &Place,
    to: &mut (dyn Write + Send),
) -> Result<Option<Dumped>, StorageError> {
    if format(place).await?.is_none() {
        return Ok(None);
    }
    database::dump(place, store.schema(), to).await.map(Some)
}

/// Makes a store of a dump.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn load(
    store: Store,
    place: &Place,
    from: &mut (dyn BufRead + Send),
) -> Result<Dumped, StorageError> {
    database::load(place, store.schema(), from).await
}

/// The last round of a journal that is over; none where there is none.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn last_round(place: &Place) -> Result<Option<i64>, StorageError> {
    if format(place).await?.is_none() {
        return Ok(None);
    }
    let mut database = Database::open_to_read(place, &journal::SCHEMA).await?;
    let row = database.row(sql("SELECT MAX(round) AS last FROM rounds")).await?;
    let last = row.map(|row| database.column::<Option<i64>>(&row, "last")).transpose()?;
    database.close().await?;
    Ok(last.flatten())
}

/// Whether something can be written there: begins to, and takes it back.
///
/// # Errors
/// [`StorageError`]: it cannot.
pub(crate) async fn probe(place: &Place) -> Result<(), StorageError> {
    Database::probe(place).await
}

/// What the server or SQLite says of itself, for the operator: each a name and whether it is as it
/// must be.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn examine(place: &Place) -> Result<Vec<(String, bool)>, StorageError> {
    let mut database = Database::look(place).await?;
    let mut found = Vec::new();
    match place {
        Place::File(_) => {
            let wrong = database.integrity("PRAGMA integrity_check").await?;
            found.push(match wrong {
                None => ("its pages are whole".to_owned(), true),
                Some(wrong) => (wrong, false),
            });
            let row = database.row(sql("PRAGMA journal_mode")).await?;
            let mode =
                row.map(|row| database.column::<String>(&row, "journal_mode")).transpose()?;
            let mode = mode.unwrap_or_default();
            found.push((format!("journal_mode {mode}"), mode == "wal"));
        }
        Place::Schema(..) => {
            for name in ["fsync", "full_page_writes", "synchronous_commit"] {
                let ask = sql("SELECT current_setting($1) AS setting").bind(name);
                let row = database.row(ask).await?;
                let is = row.map(|row| database.column::<String>(&row, "setting")).transpose()?;
                let is = is.unwrap_or_default();
                let is_good = is == "on";
                found.push((format!("{name} {is}"), is_good));
            }
            let ask = sql("SELECT CASE WHEN pg_is_in_recovery() THEN 1::BIGINT ELSE 0::BIGINT END
                 AS copy");
            let row = database.row(ask).await?;
            let copy = row.map(|row| database.column::<i64>(&row, "copy")).transpose()?;
            if copy != Some(0) {
                found.push(("it is a standby: nothing can be written".to_owned(), false));
            }
        }
    }
    database.close().await?;
    Ok(found)
}
