//! One store: how it is opened, whether this program knows its format, and the one door through
//! which everything is written.
//!
//! # Decisions
//! - A store is an SQLite file, or a schema of its own on a PostgreSQL server. The SQL is the same.
//! - Everything that is written goes through [`Database::write`]: when it returns, the transaction
//!   is durable, whole; when it fails, nothing was promised. SQLite is in WAL mode with
//!   `synchronous = FULL` (<https://www.sqlite.org/pragma.html#pragma_synchronous>), PostgreSQL has
//!   `synchronous_commit = on`.
//! - Of a store that one program alone may write, PostgreSQL's lock is held by the very session
//!   that writes. Whoever loses the session can write no more, so nobody has to be told: there is
//!   no moment at which two programs write. Such a connection is never made anew.
//! - Other connections are: what they read is read again, and what they wrote was acknowledged or
//!   was not.

mod connection;
mod dump;
mod schema;
mod statement;

use covey_aggregation::net::Boxed;
use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::time::Time;

use super::StorageError;
use super::faults::{Fate, Faults};
use super::place::Place;
use schema::{bring_up, format_of};

pub(super) use connection::Connection;
pub(crate) use connection::Transaction;
pub(crate) use dump::{Dumped, dump, load};
pub(crate) use schema::{Schema, Table};
pub(crate) use statement::{Readable, Row, Statement, Value, sql};

/// Longest wait for a server: one that takes longer is not reachable.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for another program that holds a store to be gone.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To write what this program alone writes.
    Alone,
    /// To write beside others.
    Shared,
    /// To read beside whoever writes.
    Read,
}

/// Bytes of the smallest page of SQLite (<https://www.sqlite.org/fileformat2.html>, section 1.3.2).
const PAGE_BYTES_MIN: u64 = 512;

/// SQLite would take what is left of a file that was cut off in its first page for one that is to be
/// filled.
fn refuse_stump(place: &Place) -> Result<(), StorageError> {
    let Place::File(path) = place else { return Ok(()) };
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if bytes == 0 || bytes >= PAGE_BYTES_MIN {
        return Ok(());
    }
    Err(place.damaged(format!("it has {bytes} bytes, and every store has more")))
}

/// An open store.
pub(crate) struct Database {
    place: Place,
    access: Access,
    connection: Connection,
    /// Whether the last use did not come to its end.
    is_suspect: bool,
    faults: Faults,
}

impl Database {
    /// Opens a store, creating it when there is none and migrating it when it is of an older
    /// format.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) fn open<'a>(
        place: &'a Place,
        schema: &'a Schema,
        access: Access,
    ) -> Boxed<'a, Result<Self, StorageError>> {
        Box::pin(Self::open_as(place, schema, access))
    }

    async fn open_as(place: &Place, schema: &Schema, access: Access) -> Result<Self, StorageError> {
        refuse_stump(place)?;
        let mut database = Self::connect(place, access).await?;
        let found = format_of(&mut database.connection, place).await?;
        if let Some(found) = found {
            schema.admit(place, found)?;
        }
        if found != Some(schema.format()) {
            let brought = bring_up(&mut database.connection, place, schema, schema.format()).await;
            if let Err(error) = brought {
                // Of several who come first to a file one makes the tables, and the others find them.
                if !matches!(place, Place::File(_)) {
                    return Err(error);
                }
                database = Self::connect(place, access).await?;
                if format_of(&mut database.connection, place).await? != Some(schema.format()) {
                    return Err(error);
                }
            }
        }
        if let Place::File(_) = place {
            // Not the quick check: only this one sees that a row is missing which an index has.
            let wrong = database.integrity("PRAGMA integrity_check(1)").await?;
            if let Some(wrong) = wrong {
                return Err(place.damaged(wrong));
            }
        }
        Ok(database)
    }

    /// Opens an existing store to read from, beside the program that writes it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn open_to_read(place: &Place, schema: &Schema) -> Result<Self, StorageError> {
        let mut database = Self::connect(place, Access::Read).await?;
        let found = format_of(&mut database.connection, place).await?;
        let path = place.shown();
        let got = found.ok_or_else(|| StorageError::Absent { path: path.clone() })?;
        schema.admit(place, got)?;
        let known = schema.format();
        if got == known { Ok(database) } else { Err(StorageError::ToMigrate { path, got, known }) }
    }

    /// The format of a store, whether or not this program knows it; none where there is no store.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn format(place: &Place) -> Result<Option<i64>, StorageError> {
        if !place.may_exist() {
            return Ok(None);
        }
        let mut database = Self::connect(place, Access::Read).await?;
        let found = format_of(&mut database.connection, place).await?;
        database.close().await?;
        Ok(found)
    }

    /// A connection to look at a store, whatever is in it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn look(place: &Place) -> Result<Self, StorageError> {
        Self::connect(place, Access::Read).await
    }

    /// Begins to write into a store that is there, and takes it back. On a server where there is none
    /// yet, asks whether one may be made.
    ///
    /// # Errors
    /// [`StorageError`]: it cannot be written.
    pub(crate) async fn probe(place: &Place) -> Result<(), StorageError> {
        if !place.may_exist() {
            return Ok(());
        }
        let mut database = Self::connect(place, Access::Shared).await?;
        if format_of(&mut database.connection, place).await?.is_some() {
            let mut transaction = database.connection.begin(place).await?;
            transaction.claim().await?;
            drop(transaction);
        } else if let Place::Schema(..) = place {
            let may = sql("SELECT CASE WHEN has_database_privilege(current_database(), 'CREATE')
                 THEN 1::BIGINT ELSE 0::BIGINT END AS may");
            let row = database.row(may).await?;
            let may = row.map_or(Ok(0), |row| database.column::<i64>(&row, "may"))?;
            if may == 0 {
                return Err(place.damaged("this user may not create schemas there".to_owned()));
            }
        }
        database.close().await
    }

    async fn connect(place: &Place, access: Access) -> Result<Self, StorageError> {
        let connection = place.connect(access).await?;
        let (place, faults) = (place.clone(), Faults::none());
        let mut database = Self { place, access, connection, is_suspect: false, faults };
        if let Place::Schema(_, name) = database.place.clone()
            && access == Access::Alone
        {
            database.take_lock(&name).await?;
        }
        Ok(database)
    }

    /// Takes the lock that the session holds until it ends.
    async fn take_lock(&mut self, name: &str) -> Result<(), StorageError> {
        let until = tokio::time::Instant::now() + LOCK_WAIT;
        loop {
            let take = sql("SELECT CASE WHEN pg_try_advisory_lock(hashtextextended($1, 0))
                 THEN 1::BIGINT ELSE 0::BIGINT END AS taken");
            let row = self.row(take.bind(name)).await?;
            let taken = row.map_or(Ok(0), |row| self.column::<i64>(&row, "taken"))?;
            if taken == 1 {
                return Ok(());
            }
            // A program that was killed a moment ago may still seem to hold it.
            if tokio::time::Instant::now() >= until {
                return Err(StorageError::InUse { path: self.place.shown() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What SQLite finds wrong with its pages, if anything.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn integrity(
        &mut self,
        check: &'static str,
    ) -> Result<Option<String>, StorageError> {
        let rows = self.rows(sql(check)).await?;
        let Some(row) = rows.first() else { return Ok(Some("nothing was checked".to_owned())) };
        let column = if check.contains("quick") { "quick_check" } else { "integrity_check" };
        let found: String = self.column(row, column)?;
        Ok((found != "ok").then_some(found))
    }

    /// Carries out `work` in a transaction: when this returns without an error everything that it
    /// wrote is durable. With an error from `work` nothing is written.
    ///
    /// # Errors
    /// What `work` returns, and [`StorageError`]: then nothing may be promised. (It may be durable
    /// all the same, if the connection ended just then.)
    pub(crate) async fn write<T, E: From<StorageError>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.revive().await?;
        let fate = self.faults.next();
        if fate == Fate::FailsUndone {
            return Err(Faults::error(self.place.shown()).into());
        }
        let Self { place, connection, is_suspect, .. } = self;
        *is_suspect = true;
        let written = async {
            let mut transaction = connection.begin(place).await?;
            transaction.claim().await?;
            let done = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        let written = match place {
            Place::File(_) => written.await,
            Place::Schema(..) => match tokio::time::timeout(PATIENCE, written).await {
                Ok(written) => written,
                Err(late) => Err(place.failed(sqlx::Error::Io(late.into())).into()),
            },
        };
        *is_suspect = written.is_err();
        if fate == Fate::FailsDone && written.is_ok() {
            return Err(Faults::error(self.place.shown()).into());
        }
        written
    }

    /// From now on writing fails as `faults` says.
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What a statement finds.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) fn rows(
        &mut self,
        statement: Statement,
    ) -> Boxed<'_, Result<Vec<Row>, StorageError>> {
        Box::pin(self.find(statement))
    }

    async fn find(&mut self, statement: Statement) -> Result<Vec<Row>, StorageError> {
        self.revive().await?;
        self.is_suspect = true;
        let rows = self.connection.rows(statement);
        let rows = match self.place {
            Place::File(_) => rows.await,
            Place::Schema(..) => match tokio::time::timeout(PATIENCE, rows).await {
                Ok(rows) => rows,
                Err(late) => Err(sqlx::Error::Io(late.into())),
            },
        };
        self.is_suspect = rows.is_err();
        rows.map_err(|source| self.place.failed(source))
    }

    /// The first row that a statement finds.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, StorageError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// A connection whose last use failed may be gone. One that others may have taken over from is
    /// not made anew.
    async fn revive(&mut self) -> Result<(), StorageError> {
        if !self.is_suspect || matches!(self.place, Place::File(_)) {
            return Ok(());
        }
        let ping = tokio::time::timeout(PATIENCE, self.connection.ping()).await;
        if !matches!(ping, Ok(Ok(()))) {
            if self.access == Access::Alone {
                return Err(StorageError::Lost { path: self.place.shown() });
            }
            self.connection = self.place.connect(self.access).await?;
        }
        self.is_suspect = false;
        Ok(())
    }

    /// A number that changes whenever another program has written.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn version(&mut self) -> Result<i64, StorageError> {
        let version = match self.place {
            Place::File(_) => sql("PRAGMA data_version"),
            Place::Schema(..) => sql("SELECT changes AS data_version FROM store"),
        };
        let row = self.row(version).await?;
        let row = row.ok_or_else(|| self.damaged("its row of itself is missing".to_owned()))?;
        self.column(&row, "data_version")
    }

    /// Closes the store; SQLite folds its write-ahead log back into the file.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn close(self) -> Result<(), StorageError> {
        let Self { place, connection, .. } = self;
        connection.close().await.map_err(|source| place.failed(source))
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn damaged(&self, what: String) -> StorageError {
        self.place.damaged(what)
    }

    pub(crate) fn column<T: Readable>(&self, row: &Row, name: &str) -> Result<T, StorageError> {
        self.place.column(row, name)
    }

    /// A number of 32 bits.
    pub(crate) fn number(&self, row: &Row, name: &str) -> Result<u32, StorageError> {
        let number: i64 = self.column(row, name)?;
        let what = |_| self.damaged(format!("{name} is {number}"));
        u32::try_from(number).map_err(what)
    }

    pub(crate) fn digest(&self, row: &Row, name: &str) -> Result<Digest, StorageError> {
        let bytes: Vec<u8> = self.column(row, name)?;
        self.to_digest(&bytes, name)
    }

    pub(crate) fn optional_digest(
        &self,
        row: &Row,
        name: &str,
    ) -> Result<Option<Digest>, StorageError> {
        let bytes: Option<Vec<u8>> = self.column(row, name)?;
        bytes.map(|bytes| self.to_digest(&bytes, name)).transpose()
    }

    fn to_digest(&self, bytes: &[u8], name: &str) -> Result<Digest, StorageError> {
        let what = || self.damaged(format!("{name} is no digest ({} bytes)", bytes.len()));
        bytes.try_into().map(Digest).map_err(|_| what())
    }

    pub(crate) fn time(&self, row: &Row, name: &str) -> Result<Time, StorageError> {
        self.column::<i64>(row, name).map(|ms| Time(ms.cast_unsigned()))
    }
}
