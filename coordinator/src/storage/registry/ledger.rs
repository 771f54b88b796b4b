//! The ledger's lock, one row that is swapped against the one before, and its staged batches. Whatever the
//! ledger's files say, the lock is how far the ledger goes.

use super::Registry;
use crate::storage::StorageError;
use crate::storage::database::{Transaction, sql};

/// Why the lock was not swapped.
#[derive(Debug, thiserror::Error)]
pub enum NotSwapped {
    /// There is something else in it than should be replaced: another program writes here.
    #[error("another program has written the ledger meanwhile")]
    Conflict,
    /// The disk or the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Registry {
    /// What the ledger's lock holds; none where the ledger has not begun.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn ledger_lock(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        let row = self.database.row(sql("SELECT content FROM ledger")).await?;
        row.map(|row| self.database.column(&row, "content")).transpose()
    }

    /// A staged batch; none where there is none of this name.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn staged(&mut self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let staged = sql("SELECT batch FROM staged WHERE path = $1").bind(path);
        let row = self.database.row(staged).await?;
        row.map(|row| self.database.column(&row, "batch")).transpose()
    }

    /// Stores a batch under a name, in the place of whatever was there.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn stage(&mut self, path: &str, batch: Vec<u8>) -> Result<(), StorageError> {
        let stored = async |transaction: &mut Transaction<'_>| {
            let insert = sql("INSERT INTO staged (path, batch) VALUES ($1, $2)
                 ON CONFLICT (path) DO UPDATE SET batch = excluded.batch");
            transaction.execute(insert.bind(path).bind(batch)).await.map(|_| ())
        };
        self.database.write(stored).await
    }

    /// Forgets a staged batch.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn unstage(&mut self, path: &str) -> Result<(), StorageError> {
        let removed = async |transaction: &mut Transaction<'_>| {
            let remove = sql("DELETE FROM staged WHERE path = $1").bind(path);
            transaction.execute(remove).await.map(|_| ())
        };
        self.database.write(removed).await
    }

    /// Puts `new` in the lock in the place of `old`.
    ///
    /// # Errors
    /// [`NotSwapped`].
    pub async fn swap_lock(&mut self, old: Option<&[u8]>, new: &[u8]) -> Result<(), NotSwapped> {
        let swapped = async |transaction: &mut Transaction<'_>| {
            let swap = match old {
                None => sql("INSERT INTO ledger (\"only\", content) VALUES (1, $1)
                     ON CONFLICT DO NOTHING")
                .bind(new),
                Some(old) => {
                    sql("UPDATE ledger SET content = $1 WHERE content = $2").bind(new).bind(old)
                }
            };
            match transaction.execute(swap).await? {
                0 => Err(NotSwapped::Conflict),
                _ => Ok(()),
            }
        };
        self.database.write(swapped).await
    }
}
