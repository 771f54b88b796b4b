//! The registry: plans that researchers submitted, and what is to become of them. What a
//! researcher is told happened is on the disk before it is told.
//!
//! # Decisions
//! - A run's name is unique among runs. The same plan under the same name is the same run,
//!   whoever sends it; another plan under a taken name is refused. A refused plan is recorded with
//!   its reasons and takes no name.
//! - Runs that are under way take turns (`turns`).
//! - What a researcher wants and what is so are one column, the run's state: `pausing` and
//!   `stopping` are a wish that the run has not followed yet, also after a restart.
//! - Each run has a folder of its own below the state folder ([`run_folder`]), laid out as a state
//!   folder is. Its journal is the truth about its rounds; what stands here of them is a copy.

mod ledger;
mod orders;
mod rows;
mod turns;

use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::RUNS_REFUSED_MAX;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::research::{PlanFault, Refusal, RunState};
use covey_aggregation::time::Time;
use covey_aggregation::wire;
use tokio::sync::watch;

use super::StorageError;
use super::database::{Access, Database, Schema, Table, Transaction, sql};
use super::faults::Faults;
use super::place::Place;
use turns::Turns;

pub use ledger::NotSwapped;
pub use orders::Wish;
pub use turns::Quotas;

/// The registry's name in the state folder.
pub const REGISTRY_FILE: &str = "runs.db";

/// `contexts` finds the run of a round that somebody asks about later. `orders` is who had what
/// done.
pub(super) const SCHEMA: Schema = Schema {
    name: "runs",
    base: 1,
    tables: "
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        run BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        plan BLOB NOT NULL,
        plan_bytes BLOB,
        by_id BLOB NOT NULL,
        by_name TEXT NOT NULL,
        submitted_ms INTEGER NOT NULL,
        rounds INTEGER NOT NULL,
        rounds_over INTEGER NOT NULL DEFAULT 0,
        rounds_done INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL,
        reason TEXT,
        faults BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX names ON runs (name) WHERE state <> 'refused';
    CREATE TABLE orders (
        number INTEGER PRIMARY KEY,
        run BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        by_id BLOB NOT NULL,
        what TEXT NOT NULL
    ) STRICT;
    CREATE TABLE contexts (
        context BLOB PRIMARY KEY,
        run BLOB NOT NULL
    ) STRICT;
",
    steps: &[
        // The last turn of each run.
        "ALTER TABLE runs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;",
        // How far the ledger goes, and the batches whose files may not all be written yet.
        "CREATE TABLE ledger (
            \"only\" INTEGER PRIMARY KEY CHECK (\"only\" = 1),
            content BLOB NOT NULL
        ) STRICT;
        CREATE TABLE staged (
            path TEXT PRIMARY KEY,
            batch BLOB NOT NULL
        ) STRICT;",
    ],
    contents: &[
        Table { name: "runs", key: "number" },
        Table { name: "orders", key: "number" },
        Table { name: "contexts", key: "context" },
        Table { name: "ledger", key: "\"only\"" },
        Table { name: "staged", key: "path" },
    ],
};

/// A plan that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// The place in the queue: ascends with time.
    pub number: i64,
    /// The run.
    pub run: Digest,
    /// Its name.
    pub name: Name,
    /// Digest of the plan's bytes.
    pub plan: Digest,
    /// Who submitted it.
    pub by: PartyId,
    /// That member's name.
    pub by_name: Name,
    /// When.
    pub submitted: Time,
    /// Rounds of the plan.
    pub rounds: u32,
    /// Rounds that are over.
    pub rounds_over: u32,
    /// Of these, rounds whose sum was opened.
    pub rounds_done: u32,
    /// Its last turn: turns are numbered from 1 over all runs.
    pub turn: i64,
    /// Where it stands.
    pub state: RunState,
    /// Why it stands there.
    pub reason: Option<String>,
    /// What is wrong with a refused plan.
    pub faults: Vec<PlanFault>,
}

/// A plan to be recorded.
pub struct NewRun {
    /// Drawn for it.
    pub run: Digest,
    /// Its name.
    pub name: Name,
    /// Digest of its bytes.
    pub plan: Digest,
    /// Its bytes.
    pub plan_bytes: Vec<u8>,
    /// Who submits it.
    pub by: PartyId,
    /// That member's name.
    pub by_name: Name,
    /// When.
    pub at: Time,
    /// Rounds of the plan, or everything that is wrong with it.
    pub verdict: Result<u32, Vec<PlanFault>>,
}

/// Why something is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// The one who asks may not, or asks for what cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The open registry.
pub struct Registry {
    database: Database,
    /// Counts changes, for those who watch.
    changes: watch::Sender<u64>,
    /// What is wanted of the run at hand.
    wish: watch::Sender<Wish>,
    /// How much researchers may use.
    quotas: Quotas,
    /// Whose turn it is.
    turns: Turns,
}

/// The folder of a run.
#[must_use]
pub fn run_folder(state_dir: &Path, run: &Digest) -> PathBuf {
    state_dir.join("runs").join(run.to_string())
}

impl Registry {
    /// From now on writing fails as `faults` says.
    #[must_use]
    pub fn with_faults(mut self, faults: &Faults) -> Self {
        self.database.set_faults(faults.clone());
        self
    }

    /// Opens the registry of a state folder, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open(state_dir: &Path) -> Result<Self, StorageError> {
        Self::open_at(&Place::File(state_dir.join(REGISTRY_FILE))).await
    }

    /// Opens a registry, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open_at(place: &Place) -> Result<Self, StorageError> {
        Ok(Self::new(Database::open(place, &SCHEMA, Access::Alone).await?))
    }

    /// Opens an existing registry to read from, beside the program that writes it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open_to_read(place: &Place) -> Result<Self, StorageError> {
        Ok(Self::new(Database::open_to_read(place, &SCHEMA).await?))
    }

    /// As [`Self::open_to_read`]; none when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open_existing(place: &Place) -> Result<Option<Self>, StorageError> {
        if !place.may_exist() {
            return Ok(None);
        }
        match Self::open_to_read(place).await {
            Err(StorageError::Absent { .. }) => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn new(database: Database) -> Self {
        let (changes, wish) = (watch::Sender::new(0), watch::Sender::new(Wish::Go));
        let (quotas, turns) = (Quotas::default(), Turns::default());
        Self { database, changes, wish, quotas, turns }
    }

    /// Sets how much researchers may use.
    pub const fn set_quotas(&mut self, quotas: Quotas) {
        self.quotas = quotas;
    }

    /// Counts changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What is wanted of the run at hand.
    #[must_use]
    pub fn wish(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Records a plan: as a run, or as refused. Says whether it is new.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn submit(&mut self, new: NewRun) -> Result<(RunEntry, bool), NotRecorded> {
        if let Some(known) = self.named(&new.name).await? {
            if known.plan == new.plan {
                return Ok((known, false));
            }
            return Err(Refusal::NameTaken { run: known.run, by: known.by_name }.into());
        }
        if new.verdict.is_err() {
            if let Some(known) = self.refused(&new.name, &new.plan).await? {
                return Ok((known, false));
            }
        } else {
            self.check_quotas(&new).await?;
        }
        let run = new.run;
        self.insert(new).await?;
        self.changed();
        let entry = self.entry(&run).await?;
        let entry = entry.ok_or_else(|| self.database.damaged("a run is missing".to_owned()))?;
        Ok((entry, true))
    }

    async fn check_quotas(&mut self, new: &NewRun) -> Result<(), NotRecorded> {
        let Quotas { runs_open, runs_each, rounds: rounds_max, .. } = self.quotas;
        let open = self.rows(false).await?;
        let of_this_researcher = open.iter().filter(|entry| entry.by == new.by).count();
        if open.len() as u64 >= u64::from(runs_open) {
            return Err(Refusal::TooMany { runs_max: runs_open }.into());
        }
        if of_this_researcher as u64 >= u64::from(runs_each) {
            return Err(Refusal::TooManyOfYours { runs_max: runs_each }.into());
        }
        match new.verdict {
            Ok(rounds) if rounds > rounds_max => {
                Err(Refusal::TooManyRounds { rounds, rounds_max }.into())
            }
            _ => Ok(()),
        }
    }

    async fn insert(&mut self, new: NewRun) -> Result<(), StorageError> {
        let (state, rounds, faults) = match new.verdict {
            Ok(rounds) => (RunState::Queued, rounds, Vec::new()),
            Err(faults) => (RunState::Refused, 0, faults),
        };
        // Of a refused plan its digest and its faults are kept.
        let plan_bytes = (state == RunState::Queued).then_some(new.plan_bytes);
        let insert = sql("INSERT INTO runs
             (number, run, name, plan, plan_bytes, by_id, by_name, submitted_ms, rounds, state,
              faults)
             VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM runs), $1, $2, $3, $4, $5, $6, $7,
                     $8, $9, $10)")
        .bind(new.run)
        .bind(new.name.as_str())
        .bind(new.plan)
        .bind(plan_bytes)
        .bind(new.by.0.as_slice())
        .bind(new.by_name.as_str())
        .bind(new.at)
        .bind(rounds)
        .bind(state.word())
        .bind(wire::encode(&faults));
        let forget = sql("DELETE FROM runs WHERE state = 'refused' AND number NOT IN
             (SELECT number FROM runs WHERE state = 'refused' ORDER BY number DESC LIMIT $1)")
        .bind(RUNS_REFUSED_MAX);
        let inserted = async |transaction: &mut Transaction<'_>| {
            transaction.execute(insert).await?;
            transaction.execute(forget).await.map(|_| ())
        };
        self.database.write(inserted).await
    }

    /// Records what came of a run's rounds so far; `contexts` of those that are new here.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rounds_over(
        &mut self,
        run: &Digest,
        contexts: &[Digest],
        (over, done): (u32, u32),
    ) -> Result<(), StorageError> {
        let stored = async |transaction: &mut Transaction<'_>| {
            for context in contexts {
                let insert = sql("INSERT INTO contexts (context, run) VALUES ($1, $2)
                     ON CONFLICT DO NOTHING");
                transaction.execute(insert.bind(*context).bind(*run)).await?;
            }
            let rounds = sql("UPDATE runs SET rounds_over = $1, rounds_done = $2 WHERE run = $3");
            transaction.execute(rounds.bind(over).bind(done).bind(*run)).await.map(|_| ())
        };
        self.database.write(stored).await?;
        self.changed();
        Ok(())
    }

    /// The run of a round that is over.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn run_of(&mut self, context: &Digest) -> Result<Option<Digest>, StorageError> {
        let run = sql("SELECT run FROM contexts WHERE context = $1").bind(*context);
        let row = self.database.row(run).await?;
        row.map(|row| self.database.digest(&row, "run")).transpose()
    }

    /// Whether this program may still write: on a server, whether its session goes on.
    ///
    /// # Errors
    /// [`StorageError`]: it may not, or the server does not answer.
    pub async fn check_hold(&mut self) -> Result<(), StorageError> {
        match self.database.place() {
            Place::File(_) => Ok(()),
            Place::Schema(..) => {
                self.database.row(sql("SELECT 1::BIGINT AS held")).await.map(|_| ())
            }
        }
    }

    /// Closes the registry.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn close(self) -> Result<(), StorageError> {
        self.database.close().await
    }
}
