//! The queue: runs that researchers submitted take turns, until the program is stopped.
//!
//! # Decisions
//! - A run that cannot go on without a person (members that do not come, rounds abandoned in a
//!   row, another roster) is held, and the next one is carried out. Its researcher resumes it.
//! - A run whose own records or plan are at fault has failed, and the next one is carried out.
//! - Trouble with the disk stops the program: nothing can be promised any more.
//! - Members stay connected from one run to the next.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::RunState;
use covey_aggregation::signing::Identity;
use covey_aggregation::stop::Ending;
use tokio::task::spawn_blocking;

use crate::config::Config;
use crate::driver::Driver;
use crate::event::Event;
use crate::learning::{Learning, OwnData};
use crate::run::{Carried, Past, Run};
use crate::storage::blobs::Blobs;
use crate::storage::journal::Journal;
use crate::storage::registry::{RunEntry, run_folder};

/// The queue and what it needs.
pub struct Queue<'a> {
    /// The single writer.
    pub driver: &'a mut Driver,
    /// This coordinator's key.
    pub identity: Arc<Identity>,
    /// Settings.
    pub config: Config,
    /// Runs that had a turn and are not over.
    pub under_way: BTreeMap<Digest, UnderWay>,
}

/// A run between its turns: what need not be read again.
pub struct UnderWay {
    learning: Arc<Learning>,
    blobs: Arc<Blobs>,
    past: Past,
}

/// What becomes of a run that could not be carried out.
enum Fate {
    /// Nothing can be carried out any more.
    Stop(Failure),
    /// A person has to do something.
    Hold(Failure),
    /// Nothing can be done.
    Fail(Failure),
}

impl Queue<'_> {
    /// Carries runs out as they come.
    ///
    /// # Errors
    /// [`Failure`]: it was stopped, or the disk is in trouble.
    pub async fn serve(&mut self) -> Result<Infallible, Failure> {
        let mut changes = self.driver.registry.lock().await.changes();
        loop {
            changes.mark_unchanged();
            let next = self.driver.registry.lock().await.begin_next().await?;
            match next {
                Some(entry) => self.carry_out(&entry).await?,
                None => {
                    // The registry, and with it the sender, is held by this driver.
                    let _ = self.driver.idle_until(changes.changed()).await?;
                }
            }
        }
    }

    async fn carry_out(&mut self, entry: &RunEntry) -> Result<(), Failure> {
        self.driver.attend(Some(entry.run));
        let carried = self.run(entry).await;
        self.driver.attend(None);
        let is_turn = matches!(carried, Ok(Carried::Turn));
        self.conclude(entry, carried).await?;
        if is_turn { Ok(()) } else { self.tell(entry).await }
    }

    /// Records what a run has come to.
    async fn conclude(
        &mut self,
        entry: &RunEntry,
        carried: Result<Carried, Failure>,
    ) -> Result<(), Failure> {
        let run = &entry.run;
        let fate = match carried {
            Ok(carried) => {
                let mut registry = self.driver.registry.lock().await;
                match carried {
                    Carried::Over(summary) => {
                        registry.end(run, state_of(&summary.ending), &summary.reason).await?;
                    }
                    Carried::Paused => registry.pause(run).await?,
                    Carried::Turn => return Ok(()),
                }
                self.under_way.remove(run);
                return Ok(());
            }
            Err(failure) => {
                tracing::warn!(%failure, run = %entry.run, "the run does not go on");
                self.under_way.remove(run);
                self.fate(failure).await?
            }
        };
        let mut registry = self.driver.registry.lock().await;
        match fate {
            Fate::Stop(failure) => return Err(failure),
            Fate::Fail(failure) => {
                registry.end(run, RunState::Failed, &reason_of(&failure)).await?
            }
            Fate::Hold(failure) => {
                let state = registry.hold(run, &reason_of(&failure)).await?;
                if state == RunState::Stopped {
                    let by = entry.by_name.clone();
                    self.driver.journal.end(&Ending::Stopped { by }).await?;
                }
            }
        }
        Ok(())
    }

    /// Puts the run's folder before the driver, and carries the run out as far as its turn goes.
    async fn run(&mut self, entry: &RunEntry) -> Result<Carried, Failure> {
        let folder = run_folder(&self.config.state_dir, &entry.run);
        if !self.under_way.contains_key(&entry.run) {
            self.tell(entry).await?;
            let under_way = self.load(entry).await?;
            self.under_way.insert(entry.run, under_way);
        }
        let place = self.config.databases.journal_of(&self.config.state_dir, &entry.run);
        // The run that was at hand last is open already, and a journal is opened once.
        let is_open = self.driver.journal.is_at(&place);
        let journal = if is_open { None } else { Some(Journal::open(place).await?) };
        let Some(under_way) = self.under_way.get_mut(&entry.run) else {
            return Err(Failure::new(Exit::Failed, "BUG", "the run at hand is not under way"));
        };
        let blobs = Arc::clone(&under_way.blobs);
        if let Some(before) = self.driver.take_up(journal, blobs) {
            before.close().await?;
        }
        let mut run = Run {
            driver: self.driver,
            learning: Arc::clone(&under_way.learning),
            identity: Arc::clone(&self.identity),
            config: Config { state_dir: folder, ..self.config.clone() },
            submitted: Some(entry.run),
            past: &mut under_way.past,
        };
        run.carry_out().await
    }

    /// Reads a run's plan, the data that it is evaluated and credited by, and its folder.
    async fn load(&mut self, entry: &RunEntry) -> Result<UnderWay, Failure> {
        let died = |_| Failure::new(Exit::Failed, "BUG", "reading the plan failed");
        let bytes = self.driver.registry.lock().await.plan_bytes(&entry.run).await?;
        let bytes = bytes.ok_or_else(|| Failure::new(Exit::Failed, "BUG", "a run has no plan"))?;
        let depot = self.driver.depot().of_run(&entry.run);
        let test_data = self.config.test_data.clone();
        let pool = self.config.validation_data.clone();
        let load = spawn_blocking(move || {
            let data = OwnData { test: test_data.as_ref(), validation: pool.as_ref() };
            let (learning, notes) = Learning::submitted(bytes, data)?;
            Ok::<_, Failure>((learning, notes, Arc::new(depot.open()?)))
        });
        let loaded = self.driver.serve_while(load).await?;
        let (learning, notes, blobs) = loaded.map_err(died)??;
        for what in notes {
            self.driver.tell(&Event::Changed { by: "the coordinator".to_owned(), what });
        }
        Ok(UnderWay { learning: Arc::new(learning), blobs, past: Past::default() })
    }

    /// What becomes of the run at hand, by the failure's stable code.
    async fn fate(&mut self, failure: Failure) -> Result<Fate, Failure> {
        Ok(match failure.code {
            "STOPPED" | "STORAGE" | "STATE_NEWER" | "STATE_OLDER" | "NO_RANDOMNESS"
            | "ALREADY_RUNNING" | "OTHER_DATABASE" => Fate::Stop(failure),
            "MEMBERS_MISSING" | "OTHER_RUN" => Fate::Hold(failure),
            "RUN_ABANDONED" => {
                let run = self.driver.journal.run().await?;
                if run.is_some_and(|run| run.ending.is_some()) {
                    Fate::Fail(failure)
                } else {
                    Fate::Hold(failure)
                }
            }
            _ => Fate::Fail(failure),
        })
    }

    /// Tells the operator where the run stands now.
    async fn tell(&self, entry: &RunEntry) -> Result<(), Failure> {
        let entry = self.driver.registry.lock().await.entry(&entry.run).await?;
        if let Some(RunEntry { run, name, state, reason, .. }) = entry {
            let (run, state) = (run.to_string(), state.to_string());
            self.driver.tell(&Event::RunState { run, name, state, reason });
        }
        Ok(())
    }
}

/// What researchers are told of a failure: nothing of this machine's folders.
fn reason_of(failure: &Failure) -> String {
    match failure.code {
        "OTHER_RUN" => "it began with another roster: members were enrolled since".to_owned(),
        "STATE_DAMAGED" => "its records on the coordinator's disk are damaged".to_owned(),
        _ => failure.message.clone(),
    }
}

/// Where a run stands that ended with this word.
fn state_of(ending: &str) -> RunState {
    match ending {
        "diverged" => RunState::Diverged,
        "stopped" | "shortfall" => RunState::Stopped,
        _ => RunState::Done,
    }
}
