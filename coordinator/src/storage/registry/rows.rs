//! Looking runs up.

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::research::{Refusal, RunState};
use covey_aggregation::wire;
use sqlx::AssertSqlSafe;

use super::{NotRecorded, Registry, RunEntry};
use crate::storage::StorageError;
use crate::storage::database::{Row, Value, sql};

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
            .query("WHERE name = $1 AND state = 'refused' ORDER BY number DESC LIMIT 1", [text])
            .await?;
        let is_digits = text.len() >= DIGITS_MIN && text.bytes().all(|c| c.is_ascii_hexdigit());
        if found.is_empty() && is_digits {
            let (least, most) = beginning(text);
            found = self.query("WHERE run >= $1 AND run <= $2 LIMIT 100", [least, most]).await?;
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
        let mut found =
            self.query("WHERE name = $1 AND state <> 'refused'", [name.as_str()]).await?;
        Ok(found.pop())
    }

    /// The refused plan of this name and digest.
    pub(super) async fn refused(
        &mut self,
        name: &Name,
        plan: &Digest,
    ) -> Result<Option<RunEntry>, StorageError> {
        let found = self.query("WHERE name = $1 AND state = 'refused'", [name.as_str()]).await?;
        Ok(found.into_iter().find(|entry| entry.plan == *plan))
    }

    /// The run with this digest.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn entry(&mut self, run: &Digest) -> Result<Option<RunEntry>, StorageError> {
        Ok(self.query("WHERE run = $1", [*run]).await?.pop())
    }

    /// All runs in the order of their submission; if `all`, those that are over as well, and
    /// refused plans.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rows(&mut self, all: bool) -> Result<Vec<RunEntry>, StorageError> {
        let condition = if all {
            "ORDER BY number"
        } else {
            "WHERE state IN ('queued', 'running', 'pausing', 'stopping', 'paused', 'held')
             ORDER BY number"
        };
        self.query(condition, [Value::Integer(None); 0]).await
    }

    /// The bytes of a run's plan; none of a refused one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn plan_bytes(&mut self, run: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let plan = sql("SELECT plan_bytes FROM runs WHERE run = $1").bind(*run);
        let row = self.database.row(plan).await?;
        let bytes = row.map(|row| self.database.column::<Option<Vec<u8>>>(&row, "plan_bytes"));
        bytes.transpose().map(Option::flatten)
    }

    async fn query(
        &mut self,
        condition: &'static str,
        values: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Result<Vec<RunEntry>, StorageError> {
        let text = format!(
            "SELECT number, run, name, plan, by_id, by_name, submitted_ms, rounds, rounds_over,
             rounds_done, turn, state, reason, faults FROM runs {condition}"
        );
        // Made of this file's own constants; the values are bound.
        let mut statement = sql(AssertSqlSafe(text));
        for value in values {
            statement = statement.bind(value);
        }
        let rows = self.database.rows(statement).await?;
        rows.iter().map(|row| self.parse(row)).collect()
    }

    fn parse(&self, row: &Row) -> Result<RunEntry, StorageError> {
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
            rounds: database.number(row, "rounds")?,
            rounds_over: database.number(row, "rounds_over")?,
            rounds_done: database.number(row, "rounds_done")?,
            turn: database.column(row, "turn")?,
            state: state.ok_or_else(|| database.damaged(format!("no state {word:?}")))?,
            reason: database.column(row, "reason")?,
            faults: faults.map_err(|error| database.damaged(format!("faults: {error}")))?,
        })
    }
}

/// The least and the greatest digest that begin with these hexadecimal digits.
fn beginning(digits: &str) -> (Digest, Digest) {
    let filled = |with: char| {
        let mut bytes = [0; 32];
        let digits = digits.chars().chain(std::iter::repeat(with)).map(|c| c.to_digit(16));
        for (place, digit) in digits.take(64).enumerate() {
            let digit = digit.and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
            bytes[place / 2] |= if place % 2 == 0 { digit << 4 } else { digit };
        }
        Digest(bytes)
    };
    (filled('0'), filled('f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_for_all_digests_that_begin_with_them() {
        let (least, most) = beginning("01D");
        assert_eq!(least.to_string(), format!("01d{}", "0".repeat(61)));
        assert_eq!(most.to_string(), format!("01d{}", "f".repeat(61)));
        let whole = "ab".repeat(32);
        let (least, most) = beginning(&whole);
        assert_eq!((least.to_string(), most.to_string()), (whole.clone(), whole));
    }
}
