//! A connection to either database, and a transaction on it.

use covey_aggregation::net::Boxed;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection as _, SqlSafeStr};

use super::statement::{Row, Statement, Value, query};
use crate::storage::StorageError;
use crate::storage::place::Place;

/// An open connection.
pub(crate) enum Connection {
    /// To a file.
    Sqlite(Box<SqliteConnection>),
    /// To a server.
    Postgres(Box<PgConnection>),
}

/// A connection that is lent, alone or within a transaction.
enum Lent<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// What is written together or not at all. Dropped, it is as if it had never been.
pub(crate) struct Transaction<'a> {
    kind: Kind<'a>,
    place: &'a Place,
}

enum Kind<'a> {
    Sqlite(sqlx::Transaction<'a, Sqlite>),
    Postgres(sqlx::Transaction<'a, Postgres>),
}

impl Connection {
    const fn lend(&mut self) -> Lent<'_> {
        match self {
            Self::Sqlite(connection) => Lent::Sqlite(connection),
            Self::Postgres(connection) => Lent::Postgres(connection),
        }
    }

    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, sqlx::Error> {
        self.lend().rows(statement).await
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        self.lend().execute(statement).await
    }

    /// Begins a transaction in which everything that is read stays so until it ends: of all who
    /// write, the others wait.
    ///
    /// SQLite locks the file. In PostgreSQL whoever writes first changes the store's one row of
    /// [`STORE`](super::schema::STORE), which others then wait for; each later statement sees what
    /// they had written.
    pub(super) fn begin<'a>(
        &'a mut self,
        place: &'a Place,
    ) -> Boxed<'a, Result<Transaction<'a>, StorageError>> {
        Box::pin(self.begin_to_write(place))
    }

    async fn begin_to_write<'a>(
        &'a mut self,
        place: &'a Place,
    ) -> Result<Transaction<'a>, StorageError> {
        let failed = |source| place.failed(source);
        let kind = match self {
            Self::Sqlite(connection) => {
                Kind::Sqlite(connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?)
            }
            Self::Postgres(connection) => Kind::Postgres(connection.begin().await.map_err(failed)?),
        };
        Ok(Transaction { kind, place })
    }

    /// Begins a transaction that sees the store as it is at one moment.
    pub(super) async fn begin_to_look<'a>(
        &'a mut self,
        place: &'a Place,
    ) -> Result<Transaction<'a>, StorageError> {
        let failed = |source| place.failed(source);
        let kind = match self {
            Self::Sqlite(connection) => Kind::Sqlite(connection.begin().await.map_err(failed)?),
            Self::Postgres(connection) => {
                let look = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Kind::Postgres(connection.begin_with(look).await.map_err(failed)?)
            }
        };
        Ok(Transaction { kind, place })
    }

    pub(super) fn ping(&mut self) -> Boxed<'_, Result<(), sqlx::Error>> {
        match self {
            Self::Sqlite(connection) => Box::pin(connection.ping()),
            Self::Postgres(connection) => Box::pin(connection.ping()),
        }
    }

    pub(super) fn close(self) -> Boxed<'static, Result<(), sqlx::Error>> {
        match self {
            Self::Sqlite(connection) => Box::pin(connection.close()),
            Self::Postgres(connection) => Box::pin(connection.close()),
        }
    }
}

impl Transaction<'_> {
    const fn is_sqlite(&self) -> bool {
        matches!(self.kind, Kind::Sqlite(_))
    }

    fn lend(&mut self) -> Lent<'_> {
        match &mut self.kind {
            Kind::Sqlite(transaction) => Lent::Sqlite(transaction),
            Kind::Postgres(transaction) => Lent::Postgres(transaction),
        }
    }

    /// Carries a statement out; how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, StorageError> {
        let place = self.place;
        self.lend().execute(statement).await.map_err(|source| place.failed(source))
    }

    /// What a statement finds.
    pub(crate) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, StorageError> {
        let place = self.place;
        self.lend().rows(statement).await.map_err(|source| place.failed(source))
    }

    /// The first row that a statement finds.
    pub(crate) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, StorageError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Several statements without values.
    pub(super) async fn batch(&mut self, text: impl SqlSafeStr) -> Result<(), StorageError> {
        let place = self.place;
        self.lend().batch(text).await.map_err(|source| place.failed(source))
    }

    /// Makes other writers wait, and them who look for changes see one.
    pub(super) async fn claim(&mut self) -> Result<(), StorageError> {
        if self.is_sqlite() {
            return Ok(());
        }
        self.execute(super::sql("UPDATE store SET changes = changes + 1")).await.map(|_| ())
    }

    /// Makes what was written durable.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        let committing: Boxed<'_, _> = match self.kind {
            Kind::Sqlite(transaction) => Box::pin(transaction.commit()),
            Kind::Postgres(transaction) => Box::pin(transaction.commit()),
        };
        committing.await.map_err(|source| self.place.failed(source))
    }
}

impl<'a> Lent<'a> {
    fn rows(self, statement: Statement) -> Boxed<'a, Result<Vec<Row>, sqlx::Error>> {
        match self {
            Lent::Sqlite(connection) => Box::pin(async {
                let rows = query!(statement, Sqlite).fetch_all(connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }),
            Lent::Postgres(connection) => Box::pin(async {
                let rows = query!(statement, Postgres).fetch_all(connection).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }),
        }
    }

    fn execute(self, statement: Statement) -> Boxed<'a, Result<u64, sqlx::Error>> {
        match self {
            Lent::Sqlite(connection) => Box::pin(async {
                Ok(query!(statement, Sqlite).execute(connection).await?.rows_affected())
            }),
            Lent::Postgres(connection) => Box::pin(async {
                Ok(query!(statement, Postgres).execute(connection).await?.rows_affected())
            }),
        }
    }

    async fn batch(self, text: impl SqlSafeStr) -> Result<(), sqlx::Error> {
        match self {
            Lent::Sqlite(connection) => sqlx::raw_sql(text).execute(connection).await.map(|_| ()),
            Lent::Postgres(connection) => sqlx::raw_sql(text).execute(connection).await.map(|_| ()),
        }
    }
}
