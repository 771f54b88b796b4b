//! The journal: what the machines remember, record by record, and the run they belong to.
//!
//! When [`Journal::append`] returns, the batch is on the disk, whole. Every record, every round and the
//! run carry a digest of what they say, because a database itself does not notice a flipped byte. Rows
//! that a program of format 2 wrote have none, and are believed.

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::stop::Ending;
use covey_aggregation::time::Time;
use covey_aggregation::wire;

use super::StorageError;
use super::database::{Access, Database, Row, Schema, Table, Transaction, sql};
use super::faults::Faults;
use super::place::Place;

/// `rounds` has one row per round that is over; a round with records and no row is
/// the one to go on with. `changes` is what the operator changed about the run beside its plan.
/// Format 1 held rounds whose terms were encoded otherwise; it is not read.
pub(super) const SCHEMA: Schema =
    Schema { name: "journal", base: 2, tables: TABLES, steps: &[DIGESTS], contents: CONTENTS };

/// To format 3.
const DIGESTS: &str = "
    ALTER TABLE run ADD COLUMN digest BLOB;
    ALTER TABLE rounds ADD COLUMN digest BLOB;
";

const CONTENTS: &[Table] = &[
    Table { name: "run", key: "\"only\"" },
    Table { name: "changes", key: "number" },
    Table { name: "records", key: "round, sequence" },
    Table { name: "rounds", key: "round" },
];

const TABLES: &str = "
    CREATE TABLE run (
        \"only\" INTEGER PRIMARY KEY CHECK (\"only\" = 1),
        run BLOB NOT NULL,
        federation BLOB NOT NULL,
        plan BLOB NOT NULL,
        model BLOB NOT NULL,
        state BLOB,
        first_round INTEGER NOT NULL,
        rounds INTEGER NOT NULL,
        origin_run BLOB,
        origin_round INTEGER,
        started_ms INTEGER NOT NULL,
        ending TEXT,
        reason TEXT
    ) STRICT;
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        by_whom TEXT NOT NULL,
        what TEXT NOT NULL
    ) STRICT;
    CREATE TABLE records (
        round INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (round, sequence)
    ) STRICT;
    CREATE TABLE rounds (
        round INTEGER PRIMARY KEY,
        context BLOB NOT NULL UNIQUE,
        model BLOB NOT NULL,
        state BLOB,
        counters BLOB NOT NULL,
        aggregate BLOB,
        outcome BLOB NOT NULL,
        accuracy REAL,
        loss REAL,
        ended_ms INTEGER NOT NULL
    ) STRICT;
";

/// A run: a plan being carried out. One state folder holds one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Random, chosen when the plan was launched.
    pub run: Digest,
    /// The roster it is run with.
    pub federation: Digest,
    /// The plan's bytes.
    pub plan: Digest,
    /// The parameters that it begins with.
    pub model: Digest,
    /// What the strategy begins with; none where it keeps nothing.
    pub state: Option<Digest>,
    /// Number of its first round: 1, or the one after the round of another run it goes on from.
    pub first_round: u32,
    /// Number of its last round: the plan's, or what the operator extended it to.
    pub rounds: u32,
    /// The run and the round that it goes on from.
    pub origin: Option<(Digest, u32)>,
    /// When it began.
    pub started: Time,
    /// How it ended, in one word (`done`, `target`, `plateau`, `diverged`); none while it goes on.
    pub ending: Option<String>,
    /// Why it ended, in a sentence.
    pub reason: Option<String>,
}

impl RunRow {
    fn ended(self, ending: &Ending) -> Self {
        let (ending, reason) = (Some(ending.word().to_owned()), Some(ending.to_string()));
        Self { ending, reason, ..self }
    }

    fn digest(&self) -> Digest {
        let digests = (self.run, self.federation, self.plan, self.model, self.state);
        let numbers = (self.first_round, self.rounds, self.origin, self.started.0);
        let said = wire::encode(&(digests, numbers, &self.ending, &self.reason));
        hash(Domain::JournalRecord, &[b"run", &said])
    }
}

/// What the operator changed about a run beside its plan, which stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// When.
    pub at: Time,
    /// Who: the coordinator's name in the roster, on whose behalf it acts.
    pub by: String,
    /// What, in a sentence.
    pub what: String,
}

/// A round that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRow {
    /// From 1.
    pub round: u32,
    /// `round_ctx`.
    pub context: Digest,
    /// The parameters after it: the next round starts from them.
    pub model: Digest,
    /// What the strategy keeps after it; none where it keeps nothing.
    pub state: Option<Digest>,
    /// The opened counters, of the model that the round began with; none when it was abandoned.
    pub counters: Vec<u64>,
    /// Digest of the opened aggregate; none when the round was abandoned.
    pub aggregate: Option<Digest>,
    /// The encoded `Outcome`.
    pub outcome: Vec<u8>,
    /// Share of right answers on the test file, 0 to 1, where there is one.
    pub accuracy: Option<f64>,
    /// Mean loss on the test file, where there is one. A model that diverged may have one that is no
    /// number, of which nothing is kept: SQLite has no such numbers.
    pub loss: Option<f64>,
    /// When it ended.
    pub ended: Time,
}

impl RoundRow {
    fn digest(&self) -> Digest {
        let digests = (self.round, self.context, self.model, self.state, self.aggregate);
        let measured = (self.accuracy.map(f64::to_bits), self.kept_loss().map(f64::to_bits));
        let said = wire::encode(&(digests, &self.counters, measured, self.ended.0));
        hash(Domain::JournalRecord, &[b"round", &said, &self.outcome])
    }

    fn kept_loss(&self) -> Option<f64> {
        self.loss.filter(|loss| !loss.is_nan())
    }
}

/// The open database. One program writes it: the lock of the state folder sees to that, or the
/// server's.
pub struct Journal {
    database: Database,
}

impl Journal {
    /// From now on writing fails as `faults` says.
    #[must_use]
    pub fn with_faults(mut self, faults: &Faults) -> Self {
        self.database.set_faults(faults.clone());
        self
    }

    /// Opens the journal, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError::Database`], [`StorageError::Damaged`], [`StorageError::Newer`].
    pub async fn open(place: impl Into<Place>) -> Result<Self, StorageError> {
        Ok(Self { database: Database::open(&place.into(), &SCHEMA, Access::Alone).await? })
    }

    /// Opens an existing journal to read from, beside the program that writes it.
    ///
    /// # Errors
    /// As [`Self::open`]; also when there is none.
    pub async fn open_to_read(place: impl Into<Place>) -> Result<Self, StorageError> {
        Ok(Self { database: Database::open_to_read(&place.into(), &SCHEMA).await? })
    }

    /// As [`Self::open_to_read`]; none when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open_existing(place: impl Into<Place>) -> Result<Option<Self>, StorageError> {
        let place = place.into();
        if !place.may_exist() {
            return Ok(None);
        }
        match Self::open_to_read(place).await {
            Err(StorageError::Absent { .. }) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Whether this is the journal of that place.
    #[must_use]
    pub fn is_at(&self, place: &Place) -> bool {
        self.database.place().shown() == place.shown()
    }

    /// The run of this state folder, if one was launched.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn run(&mut self) -> Result<Option<RunRow>, StorageError> {
        let row = self.database.row(sql("SELECT * FROM run")).await?;
        row.map(|row| self.parse_run(&row)).transpose()
    }

    fn parse_run(&self, row: &Row) -> Result<RunRow, StorageError> {
        let origin = self.database.optional_digest(row, "origin_run")?;
        let origin_round: Option<i64> = self.database.column(row, "origin_round")?;
        let origin_round = origin_round.map(u32::try_from).transpose();
        let origin_round =
            origin_round.map_err(|_| self.database.damaged("origin_round".to_owned()))?;
        let run = RunRow {
            run: self.database.digest(row, "run")?,
            federation: self.database.digest(row, "federation")?,
            plan: self.database.digest(row, "plan")?,
            model: self.database.digest(row, "model")?,
            state: self.database.optional_digest(row, "state")?,
            first_round: self.database.number(row, "first_round")?,
            rounds: self.database.number(row, "rounds")?,
            origin: origin.zip(origin_round),
            started: self.database.time(row, "started_ms")?,
            ending: self.database.column(row, "ending")?,
            reason: self.database.column(row, "reason")?,
        };
        let digest = self.database.optional_digest(row, "digest")?;
        if digest.is_some_and(|digest| digest != run.digest()) {
            return Err(self.database.damaged("the run has changed bytes".to_owned()));
        }
        Ok(run)
    }

    /// The run, which must be there.
    async fn launched(&mut self) -> Result<RunRow, StorageError> {
        let run = self.run().await?;
        run.ok_or_else(|| self.database.damaged("its run is missing".to_owned()))
    }

    /// Records that a run was launched, and what of it is not as its plan says.
    ///
    /// # Errors
    /// [`StorageError`], also when the folder has a run already.
    pub async fn launch(
        &mut self,
        run: &RunRow,
        change: Option<&ChangeRow>,
    ) -> Result<(), StorageError> {
        let insert = sql("INSERT INTO run
             (\"only\", run, federation, plan, model, state, first_round, rounds, origin_run,
              origin_round, started_ms, ending, reason, digest)
             VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind(run.run)
        .bind(run.federation)
        .bind(run.plan)
        .bind(run.model)
        .bind(run.state)
        .bind(run.first_round)
        .bind(run.rounds)
        .bind(run.origin.map(|(digest, _)| digest))
        .bind(run.origin.map(|(_, round)| round))
        .bind(run.started)
        .bind(run.ending.as_deref())
        .bind(run.reason.as_deref())
        .bind(run.digest());
        let written = async |transaction: &mut Transaction<'_>| {
            transaction.execute(insert).await?;
            match change {
                Some(change) => insert_change(transaction, change).await,
                None => Ok(()),
            }
        };
        self.database.write(written).await
    }

    /// Records how the run ended.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn end(&mut self, ending: &Ending) -> Result<(), StorageError> {
        let run = self.launched().await?.ended(ending);
        self.database.write(async |transaction| update(transaction, &run).await).await
    }

    /// Records that the run is to have other rounds than its plan says; if it was over, it is no
    /// longer.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing is changed.
    pub async fn extend(&mut self, rounds: u32, change: &ChangeRow) -> Result<(), StorageError> {
        let run = self.launched().await?;
        let run = RunRow { rounds, ending: None, reason: None, ..run };
        let extended = async |transaction: &mut Transaction<'_>| {
            update(transaction, &run).await?;
            insert_change(transaction, change).await
        };
        self.database.write(extended).await
    }

    /// What the operator changed, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn changes(&mut self) -> Result<Vec<ChangeRow>, StorageError> {
        let changes = sql("SELECT at_ms, by_whom, what FROM changes ORDER BY number");
        let rows = self.database.rows(changes).await?;
        let change = |row: &Row| {
            Ok(ChangeRow {
                at: self.database.time(row, "at_ms")?,
                by: self.database.column(row, "by_whom")?,
                what: self.database.column(row, "what")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// Appends records of a round in one transaction; they are durable when this returns. The
    /// first has the number `first`, which must follow the last one stored.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing of the batch is stored.
    pub async fn append(
        &mut self,
        round: u32,
        first: u64,
        records: &[Vec<u8>],
    ) -> Result<(), StorageError> {
        let appended = async |transaction: &mut Transaction<'_>| {
            for (sequence, bytes) in (first..).zip(records) {
                let record = sql("INSERT INTO records (round, sequence, bytes, digest)
                     VALUES ($1, $2, $3, $4)")
                .bind(round)
                .bind(sequence.cast_signed())
                .bind(bytes.as_slice())
                .bind(record_digest(round, sequence, bytes));
                transaction.execute(record).await?;
            }
            Ok(())
        };
        self.database.write(appended).await
    }

    /// The records of a round, in order, numbered from `first`.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when one is missing or not as it was written.
    pub async fn replay(&mut self, round: u32, first: u64) -> Result<Vec<Vec<u8>>, StorageError> {
        let records =
            sql("SELECT sequence, bytes, digest FROM records WHERE round = $1 ORDER BY sequence");
        let rows = self.database.rows(records.bind(round)).await?;
        let mut records = Vec::with_capacity(rows.len());
        for (expected, row) in (first..).zip(&rows) {
            let sequence: i64 = self.database.column(row, "sequence")?;
            let bytes: Vec<u8> = self.database.column(row, "bytes")?;
            if sequence.cast_unsigned() != expected {
                return Err(self
                    .database
                    .damaged(format!("record {expected} of round {round} is missing")));
            }
            if self.database.digest(row, "digest")? != record_digest(round, expected, &bytes) {
                let what = format!("record {expected} of round {round} has changed bytes");
                return Err(self.database.damaged(what));
            }
            records.push(bytes);
        }
        Ok(records)
    }

    /// Records that a round is over, and with it the run if this was its last. Once this returns
    /// the next round may begin.
    ///
    /// # Errors
    /// [`StorageError`]; then neither is recorded.
    pub async fn close_round(
        &mut self,
        row: &RoundRow,
        ending: Option<&Ending>,
    ) -> Result<(), StorageError> {
        let ended = match ending {
            Some(ending) => Some(self.launched().await?.ended(ending)),
            None => None,
        };
        let insert = sql("INSERT INTO rounds
             (round, context, model, state, counters, aggregate, outcome, accuracy, loss, ended_ms,
              digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(row.round)
        .bind(row.context)
        .bind(row.model)
        .bind(row.state)
        .bind(wire::encode(&row.counters))
        .bind(row.aggregate)
        .bind(row.outcome.as_slice())
        .bind(row.accuracy)
        .bind(row.kept_loss())
        .bind(row.ended)
        .bind(row.digest());
        let closed = async |transaction: &mut Transaction<'_>| {
            transaction.execute(insert).await?;
            match &ended {
                Some(run) => update(transaction, run).await,
                None => Ok(()),
            }
        };
        self.database.write(closed).await
    }

    /// The rounds that are over, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rounds(&mut self) -> Result<Vec<RoundRow>, StorageError> {
        self.rounds_after(0).await
    }

    /// The rounds after this one that are over, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rounds_after(&mut self, round: u32) -> Result<Vec<RoundRow>, StorageError> {
        let rounds = sql("SELECT * FROM rounds WHERE round > $1 ORDER BY round").bind(round);
        let rows = self.database.rows(rounds).await?;
        rows.iter().map(|row| self.parse_round(row)).collect()
    }

    fn parse_round(&self, row: &Row) -> Result<RoundRow, StorageError> {
        let counters: Vec<u8> = self.database.column(row, "counters")?;
        let counters = wire::decode(&counters, FRAME_BYTES_MAX as usize);
        let round = RoundRow {
            round: self.database.number(row, "round")?,
            context: self.database.digest(row, "context")?,
            model: self.database.digest(row, "model")?,
            state: self.database.optional_digest(row, "state")?,
            counters: counters
                .map_err(|error| self.database.damaged(format!("counters: {error}")))?,
            aggregate: self.database.optional_digest(row, "aggregate")?,
            outcome: self.database.column(row, "outcome")?,
            accuracy: self.database.column(row, "accuracy")?,
            loss: self.database.column(row, "loss")?,
            ended: self.database.time(row, "ended_ms")?,
        };
        let digest = self.database.optional_digest(row, "digest")?;
        if digest.is_some_and(|digest| digest != round.digest()) {
            let what = format!("the end of round {} has changed bytes", round.round);
            return Err(self.database.damaged(what));
        }
        Ok(round)
    }

    /// The encoded outcome of the round with this `round_ctx`, if it is over.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn outcome(&mut self, context: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let round = sql("SELECT * FROM rounds WHERE context = $1").bind(*context);
        let row = self.database.row(round).await?;
        row.map(|row| Ok(self.parse_round(&row)?.outcome)).transpose()
    }

    /// Closes the database in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn close(self) -> Result<(), StorageError> {
        self.database.close().await
    }
}

/// Writes what of a run may change.
async fn update(transaction: &mut Transaction<'_>, run: &RunRow) -> Result<(), StorageError> {
    let update = sql("UPDATE run SET rounds = $1, ending = $2, reason = $3, digest = $4")
        .bind(run.rounds)
        .bind(run.ending.as_deref())
        .bind(run.reason.as_deref())
        .bind(run.digest());
    transaction.execute(update).await.map(|_| ())
}

async fn insert_change(
    transaction: &mut Transaction<'_>,
    change: &ChangeRow,
) -> Result<(), StorageError> {
    let insert = sql("INSERT INTO changes (number, at_ms, by_whom, what)
         VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM changes), $1, $2, $3)")
    .bind(change.at)
    .bind(change.by.as_str())
    .bind(change.what.as_str());
    transaction.execute(insert).await.map(|_| ())
}

fn record_digest(round: u32, sequence: u64, bytes: &[u8]) -> Digest {
    hash(Domain::JournalRecord, &[&round.to_le_bytes(), &sequence.to_le_bytes(), bytes])
}
