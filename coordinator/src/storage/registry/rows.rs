//! Looking runs up.

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::research::{Refusal, RunState};
use covey_aggregation::wire;
use sqlx::sqlite::SqliteRow;

use super::{NotRecorded, Registry, RunEntry};
use crate::storage::StorageError;

/// Fewest digits of a digest that name a run.
const DIGITS_MIN: usize = 4;

impl Registry {
    /// The run that is meant: by its name, or by its digest or a beginning of it. A plan that was
    /// refused is found if no run has the name.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn find(&mut self, wanted: &Name) -> Result<RunEntry, NotRecorded> {
        if let Some(entry) = self.named(wanted).await? {
            return Ok(entry);
        }
        let text = wanted.as_str();
        let mut found = self
            .query("WHERE name = ? AND state = 'refused' ORDER BY number DESC LIMIT 1", text)
            .await?;
        let is_digits = text.len() >= DIGITS_MIN && text.bytes().all(|c| c.is_ascii_hexdigit());
        if found.is_empty() && is_digits {
            // A name holds neither of LIKE's signs.
            found =
                self.query("WHERE lower(hex(run)) LIKE ? LIMIT 100", &format!("{text}%")).await?;
        }
        match found.len() {
            0 => Err(Refusal::NoSuchRun.into()),
            1 => Ok(found.remove(0)),
            more => {
                let matches = u32::try_from(more).unwrap_or(u32::MAX);
                Err(Refusal::Ambiguous { matches }.into())
            }
        }
    }

    /// The run of this name.
    pub(super) async fn named(&mut self, name: &Name) -> Result<Option<RunEntry>, StorageError> {
        let mut found = self.query("WHERE name = ? AND state <> 'refused'", name.as_str()).await?;
        Ok(found.pop())
    }

    /// The refused plan of this name and digest.
    pub(super) async fn refused(
        &mut self,
        name: &Name,
        plan: &Digest,
    ) -> Result<Option<RunEntry>, StorageError> {
        let found = self.query("WHERE name = ? AND state = 'refused'", name.as_str()).await?;
        Ok(found.into_iter().find(|entry| entry.plan == *plan))
    }

    /// The run with this digest.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn entry(&mut self, run: &Digest) -> Result<Option<RunEntry>, StorageError> {
        Ok(self.query("WHERE run = unhex(?)", &run.to_string()).await?.pop())
    }

    /// All runs in the order of their submission; if `all`, those that are over as well, and
    /// refused plans.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rows(&mut self, all: bool) -> Result<Vec<RunEntry>, StorageError> {
        // Every name is longer than none.
        let condition = if all {
            "WHERE name > ? ORDER BY number"
        } else {
            "WHERE name > ? AND state IN ('queued', 'running', 'pausing', 'stopping', 'paused', 'held')
             ORDER BY number"
        };
        self.query(condition, "").await
    }

    /// How many runs are not over.
    pub(super) async fn open_runs(&mut self) -> Result<u32, StorageError> {
        Ok(u32::try_from(self.rows(false).await?.len()).unwrap_or(u32::MAX))
    }

    /// The bytes of a run's plan; none of a refused one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn plan_bytes(&mut self, run: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        sqlx::query_scalar("SELECT plan_bytes FROM runs WHERE run = ?")
            .bind(run.0.as_slice())
            .fetch_optional(&mut self.database.connection)
            .await
            .map(Option::flatten)
            .map_err(|source| self.database.failed(source))
    }

    async fn query(
        &mut self,
        condition: &'static str,
        value: &str,
    ) -> Result<Vec<RunEntry>, StorageError> {
        let text = format!(
            "SELECT number, run, name, plan, by_id, by_name, submitted_ms, rounds, rounds_over,
             rounds_done, state, reason, faults FROM runs {condition}"
        );
        // Made of this file's own constants; the value is bound.
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(value)
            .fetch_all(&mut self.database.connection)
            .await
            .map_err(|source| self.database.failed(source))?;
        rows.iter().map(|row| self.parse(row)).collect()
    }

    fn parse(&self, row: &SqliteRow) -> Result<RunEntry, StorageError> {
        let database = &self.database;
        let name = |column: &str| {
            let text: String = database.column(row, column)?;
            text.parse::<Name>().map_err(|error| database.damaged(error.to_string()))
        };
        let word: String = database.column(row, "state")?;
        let state = RunState::of_word(&word);
        let faults: Vec<u8> = database.column(row, "faults")?;
        let faults = wire::decode(&faults, FRAME_BYTES_MAX as usize);
        Ok(RunEntry {
            number: database.column(row, "number")?,
            run: database.digest(row, "run")?,
            name: name("name")?,
            plan: database.digest(row, "plan")?,
            by: PartyId(database.digest(row, "by_id")?.0),
            by_name: name("by_name")?,
            submitted: database.time(row, "submitted_ms")?,
            rounds: database.column(row, "rounds")?,
            rounds_over: database.column(row, "rounds_over")?,
            rounds_done: database.column(row, "rounds_done")?,
            state: state.ok_or_else(|| database.damaged(format!("no state {word:?}")))?,
            reason: database.column(row, "reason")?,
            faults: faults.map_err(|error| database.damaged(format!("faults: {error}")))?,
        })
    }
}
