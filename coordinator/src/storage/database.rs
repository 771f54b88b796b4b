//! One SQLite file: how it is opened, whether this program knows its format, and how its columns
//! are read.
//!
//! WAL mode with `synchronous = FULL`: when a transaction is committed it is on the disk, whole
//! (<https://www.sqlite.org/pragma.html#pragma_synchronous>).

use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::time::Time;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::StorageError;

/// What a database is for.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    /// Its format, in its `user_version`.
    pub(super) format: i64,
    /// Makes the tables and sets `user_version` to [`Self::format`].
    pub(super) tables: &'static str,
}

/// An open database.
pub(super) struct Database {
    path: PathBuf,
    pub(super) connection: SqliteConnection,
}

impl Database {
    /// Opens a database, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn open(path: &Path, schema: Schema) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut database = Self::connect(path, options).await?;
        if database.format(schema).await? == 0 {
            database.create_tables(schema).await?;
        }
        database.check().await?;
        Ok(database)
    }

    /// Opens an existing database to read from, beside the program that writes it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn open_to_read(path: &Path, schema: Schema) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut database = Self::connect(path, options).await?;
        database.format(schema).await?;
        Ok(database)
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self, StorageError> {
        let path = path.to_owned();
        match options.disable_statement_logging().connect().await {
            Ok(connection) => Ok(Self { path, connection }),
            Err(source) => Err(classify(&path, source)),
        }
    }

    /// The format, 0 for a database that was just created.
    async fn format(&mut self, schema: Schema) -> Result<i64, StorageError> {
        let known = schema.format;
        let got: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|source| classify(&self.path, source))?;
        let path = self.path.clone();
        match got {
            0 => Ok(got),
            _ if got == known => Ok(got),
            _ if got < known => Err(StorageError::Older { path, got, known }),
            _ => Err(StorageError::Newer { path, got, known }),
        }
    }

    async fn create_tables(&mut self, schema: Schema) -> Result<(), StorageError> {
        let created = async {
            let mut transaction = self.connection.begin().await?;
            sqlx::raw_sql(schema.tables).execute(&mut *transaction).await?;
            transaction.commit().await
        };
        created.await.map_err(|source| classify(&self.path, source))
    }

    /// SQLite's own look at its pages, once at start.
    async fn check(&mut self) -> Result<(), StorageError> {
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|source| classify(&self.path, source))?;
        if found == "ok" { Ok(()) } else { Err(self.damaged(found)) }
    }

    /// Closes the database: the WAL is folded back into the file.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn close(self) -> Result<(), StorageError> {
        let Self { path, connection } = self;
        connection.close().await.map_err(|source| classify(&path, source))
    }

    /// What is wrong, of what SQLite said.
    pub(super) fn failed(&self, source: sqlx::Error) -> StorageError {
        classify(&self.path, source)
    }

    pub(super) fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), what }
    }

    pub(super) fn column<'r, T>(&self, row: &'r SqliteRow, name: &str) -> Result<T, StorageError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        row.try_get(name).map_err(|source| classify(&self.path, source))
    }

    pub(super) fn digest(&self, row: &SqliteRow, name: &str) -> Result<Digest, StorageError> {
        let bytes: Vec<u8> = self.column(row, name)?;
        self.to_digest(&bytes, name)
    }

    pub(super) fn optional_digest(
        &self,
        row: &SqliteRow,
        name: &str,
    ) -> Result<Option<Digest>, StorageError> {
        let bytes: Option<Vec<u8>> = self.column(row, name)?;
        bytes.map(|bytes| self.to_digest(&bytes, name)).transpose()
    }

    fn to_digest(&self, bytes: &[u8], name: &str) -> Result<Digest, StorageError> {
        let what = || self.damaged(format!("{name} is no digest ({} bytes)", bytes.len()));
        bytes.try_into().map(Digest).map_err(|_| what())
    }

    pub(super) fn time(&self, row: &SqliteRow, name: &str) -> Result<Time, StorageError> {
        self.column::<i64>(row, name).map(|ms| Time(ms.cast_unsigned()))
    }
}

/// SQLite has signed integers only; the bits are kept.
pub(super) const fn millis(time: Time) -> i64 {
    time.0.cast_signed()
}

/// Tells a damaged file from other trouble.
fn classify(path: &Path, source: sqlx::Error) -> StorageError {
    let code = source.as_database_error().and_then(|error| error.code());
    let path = path.to_owned();
    match code.as_deref() {
        // SQLITE_CORRUPT and SQLITE_NOTADB with their extended codes.
        Some("11" | "26" | "267" | "523" | "779") => {
            StorageError::Damaged { path, what: source.to_string() }
        }
        _ => StorageError::Database { path, source },
    }
}
