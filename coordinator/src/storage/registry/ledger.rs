//! The ledger's commit point: one row with the signed checkpoint, which is swapped against the one
//! before. Whatever the ledger's files say, this is how far the ledger goes.

use super::Registry;
use crate::storage::StorageError;
use crate::storage::database::{Transaction, sql};

/// Why a checkpoint was not committed.
#[derive(Debug, thiserror::Error)]
pub enum NotCommitted {
    /// Another checkpoint is committed than the one to be replaced: another program writes here.
    #[error("another program has written the ledger meanwhile")]
    Conflict,
    /// The disk or the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Registry {
    /// The signed checkpoint that is committed; none where the ledger has not begun.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn ledger_checkpoint(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        let row = self.database.row(sql("SELECT checkpoint FROM ledger")).await?;
        row.map(|row| self.database.column(&row, "checkpoint")).transpose()
    }

    /// What a ledger of `size` entries was made with, while it may not all be stored.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn staged(&mut self, size: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let staged = sql("SELECT bundle FROM staged WHERE size = $1").bind(size.cast_signed());
        let row = self.database.row(staged).await?;
        row.map(|row| self.database.column(&row, "bundle")).transpose()
    }

    /// Stores what a ledger of `size` entries is made with, in the place of whatever was staged and
    /// never committed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn stage(&mut self, size: u64, bundle: Vec<u8>) -> Result<(), StorageError> {
        let size = size.cast_signed();
        let stored = async |transaction: &mut Transaction<'_>| {
            let forget = sql("DELETE FROM staged WHERE size >= $1").bind(size);
            transaction.execute(forget).await?;
            let insert = sql("INSERT INTO staged (size, bundle) VALUES ($1, $2)");
            transaction.execute(insert.bind(size).bind(bundle)).await.map(|_| ())
        };
        self.database.write(stored).await
    }

    /// Commits the checkpoint of a ledger of `size` entries in the place of `old`, and forgets what
    /// earlier ones were made with.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub async fn commit_checkpoint(
        &mut self,
        old: Option<&[u8]>,
        new: &[u8],
        size: u64,
    ) -> Result<(), NotCommitted> {
        let (old, new) = (old.map(<[u8]>::to_vec), new.to_vec());
        let swapped = async |transaction: &mut Transaction<'_>| {
            let changed = match old {
                None => {
                    let insert = sql("INSERT INTO ledger (\"only\", checkpoint) VALUES (1, $1)
                         ON CONFLICT DO NOTHING");
                    transaction.execute(insert.bind(new)).await?
                }
                Some(old) => {
                    let swap = sql("UPDATE ledger SET checkpoint = $1 WHERE checkpoint = $2");
                    transaction.execute(swap.bind(new).bind(old)).await?
                }
            };
            if changed == 0 {
                return Err(NotCommitted::Conflict);
            }
            let forget = sql("DELETE FROM staged WHERE size < $1").bind(size.cast_signed());
            transaction.execute(forget).await?;
            Ok(())
        };
        self.database.write(swapped).await
    }
}
