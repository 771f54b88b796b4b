//! A run: the plan's rounds one after the other, each from the model that the last one left.
//!
//! # Decisions
//! - A round's cohort is every data owner that is connected when it begins, ascending; of more
//!   than the plan's maximum so many are drawn with the operating system's randomness. An owner
//!   that comes back joins the next round.
//! - The plan's `rounds` is the number of rounds that are *tried*: owners agree to that many, so
//!   an abandoned round uses up its number (holders never sign a number twice, either).
//! - What a round began with (model and what the strategy keeps) is kept for ever: a run can be
//!   resumed from any round, and anybody can compute every model again from the published sums.
//! - Every end has its reason, recorded in one transaction with the round that brought it.
//! - A run that was submitted takes turns with others: when others wait it gives its turn up after
//!   each round, and while it waits for members that a round cannot do without.
//! - A round is begun only with room on the disk for twice what it stores; until then the run waits,
//!   says so, and goes on by itself.
//! - The run stops when so many rounds in a row were abandoned that the operator should look;
//!   serving again goes on with the next round.
//! - A run that was submitted heeds what its researcher wants between two rounds, while it waits
//!   for members, and, to stop, within a round ([`Driver::run_round`]).

mod begin;
mod conclude;
mod credit;
mod place;
mod terms;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::Audit;
use covey_aggregation::evaluation::Scores;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::rosters::{ROSTERS_FOLDER, roster_file};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::record::RoundRecord;
use covey_aggregation::round::Round;
use covey_aggregation::signing::Identity;
use covey_aggregation::stop::Ending;
use covey_aggregation::time::Time;
use covey_aggregation::wire;

use crate::config::Config;
use crate::directing;
use crate::driver::{Driver, Gathered, Halt, Needs};
use crate::event::{Event, RunSummary};
use crate::learning::Learning;
use crate::room::round_bytes;
use crate::storage::StorageError;
use crate::storage::journal::{RoundRow, RunRow};
use crate::storage::registry::Wish;
use crate::trace::RunSpan;

use place::Place;

/// How long members are served after the last round, so that all hear how it ended.
const LINGER: Duration = Duration::from_millis(1500);

/// How the journal names a run that was stopped: by its researcher, or by its plan for lack of owners.
const STOPPED: [&str; 2] = ["stopped", "shortfall"];

/// A run and what it needs.
pub struct Run<'a> {
    /// The single writer.
    pub driver: &'a mut Driver,
    /// Plan, model and test data.
    pub learning: Arc<Learning>,
    /// This coordinator's key.
    pub identity: Arc<Identity>,
    /// Settings; `state_dir` is the run's own folder.
    pub config: Config,
    /// The run that was submitted; none of the plan that the settings name.
    pub submitted: Option<Digest>,
    /// Its turns so far.
    pub past: &'a mut Past,
}

/// What is remembered of a run from one turn to the next, since this program began.
#[derive(Debug, Default)]
pub struct Past {
    /// It was told what the run is.
    is_told: bool,
    /// Everybody was waited for.
    is_settled: bool,
    /// Rounds that were abandoned since the last one that was not.
    abandoned_in_a_row: u32,
    /// How long it has waited for members since its last round, in milliseconds.
    waited_ms: u64,
    /// Ends with it.
    span: RunSpan,
}

/// What a run has come to.
pub enum Carried {
    /// It is over.
    Over(Box<RunSummary>),
    /// Its researcher wants no further round for now.
    Paused,
    /// It gives its turn to another run.
    Turn,
}

/// What comes of the wish to begin a round.
enum Beginning {
    /// It begins.
    Round(Box<Round>),
    /// Somebody wants something else of the run.
    Wish,
    /// It waits, and another run goes on meanwhile.
    Turn,
}

impl Beginning {
    fn of(round: Round) -> Self {
        Self::Round(Box::new(round))
    }
}

/// Where the run stands.
struct Standing {
    run: RunRow,
    rounds: Vec<RoundRow>,
    /// What the next round starts from.
    place: Place,
}

impl Run<'_> {
    /// Carries the plan out, or goes on with it.
    ///
    /// # Errors
    /// [`Failure`]; what was promised is in the journal, and serving again goes on.
    pub async fn carry_out(&mut self) -> Result<Carried, Failure> {
        let mut standing = self.prepare().await?;
        let (rounds, was_over) = (standing.run.rounds, standing.run.ending.is_some());
        while standing.next_round() <= rounds && standing.run.ending.is_none() {
            let round = match self.begin_round(&standing).await? {
                Beginning::Round(round) => *round,
                Beginning::Turn => return Ok(Carried::Turn),
                Beginning::Wish => match self.driver.wish() {
                    Wish::Go => continue,
                    Wish::Pause => return Ok(Carried::Paused),
                    Wish::Stop { by } => {
                        self.end(&mut standing, &Ending::Stopped { by }).await?;
                        break;
                    }
                },
            };
            let start = Arc::new(directing::Beginning {
                learning: Arc::clone(&self.learning),
                parameters: Arc::clone(&standing.place.parameters),
                state: Arc::clone(&standing.place.state),
            });
            let span = self.past.span.round(standing.next_round());
            let end = self.driver.run_round(round, start, span).await?;
            let done = self.conclude(&mut standing, end).await?;
            let in_a_row = if done { 0 } else { self.past.abandoned_in_a_row + 1 };
            self.past.is_settled = true;
            self.past.abandoned_in_a_row = in_a_row;
            self.past.waited_ms = 0;
            let abandoned_max = self.config.rounds.abandons_in_a_row_max.value();
            if in_a_row >= abandoned_max && standing.run.ending.is_none() {
                // When it is resumed, it begins anew to count.
                self.past.abandoned_in_a_row = 0;
                return Err(too_many_abandoned(&standing, in_a_row));
            }
            let goes_on = standing.next_round() <= rounds && standing.run.ending.is_none();
            if goes_on && self.others_wait().await? {
                return Ok(Carried::Turn);
            }
        }
        if standing.run.ending.is_none() {
            // An earlier program recorded the last round, and was gone before it recorded the end.
            self.end(&mut standing, &Ending::Done { rounds }).await?;
        }
        self.settle(&standing).await?;
        let ledger = self.driver.ledger.clone();
        self.driver.serve_while(ledger.settled()).await?;
        let summary = self.summary(&standing);
        self.past.span.end(&summary.ending);
        if summary.rounds_done == 0 && !standing.is_stopped() {
            return Err(too_many_abandoned(&standing, summary.rounds_abandoned));
        }
        if !was_over && self.submitted.is_none() {
            self.driver.serve_while(tokio::time::sleep(LINGER)).await?;
        }
        Ok(Carried::Over(Box::new(summary)))
    }

    /// Whether another run would have its turn now.
    async fn others_wait(&self) -> Result<bool, Failure> {
        match self.submitted {
            Some(_) => Ok(self.driver.registry.lock().await.others_wait().await?),
            None => Ok(false),
        }
    }

    async fn end(&mut self, standing: &mut Standing, ending: &Ending) -> Result<(), Failure> {
        self.driver.journal.end(ending).await?;
        standing.run.ending = Some(ending.word().to_owned());
        standing.run.reason = Some(ending.to_string());
        Ok(())
    }

    /// Tells the registry of rounds that are over, from this one of them on.
    async fn register(&self, standing: &Standing, from: usize) -> Result<(), Failure> {
        let Some(run) = &self.submitted else { return Ok(()) };
        let count = |rounds: usize| u32::try_from(rounds).unwrap_or(u32::MAX);
        let new = standing.rounds.iter().skip(from).map(|row| row.context);
        let done = standing.rounds.iter().filter(|row| row.aggregate.is_some()).count();
        let so_far = (count(standing.rounds.len()), count(done));
        let contexts: Vec<_> = new.collect();
        Ok(self.driver.registry.lock().await.rounds_over(run, &contexts, so_far).await?)
    }

    /// Finds the run of the state folder, or launches one.
    async fn prepare(&mut self) -> Result<Standing, Failure> {
        let learning = Arc::clone(&self.learning);
        self.driver.blobs.put(&learning.plan_digest, &learning.plan_bytes)?;
        let run = match self.driver.journal.run().await? {
            Some(run) => {
                let run = self.check_same(run).await?;
                self.take_up(run).await?
            }
            None => self.launch().await?,
        };
        let rounds = self.driver.journal.rounds().await?;
        let last = rounds.last();
        let (model, kept) = last.map_or((run.model, run.state), |last| (last.model, last.state));
        let place = Place::load(&self.driver.blobs, &learning, &model, kept.as_ref())?;
        let standing = Standing { run, rounds, place };
        self.register(&standing, 0).await?;
        self.tell_changes().await?;
        for round in self.driver.blobs.open_rounds()? {
            if round < standing.next_round() {
                self.driver.blobs.forget(round)?;
            }
        }
        let round = standing.next_round().min(standing.run.rounds);
        let resumed = !self.driver.journal.replay(round, 0).await?.is_empty();
        if !self.past.is_told {
            self.past.is_told = true;
            let run = &standing.run;
            self.past.span =
                RunSpan::begin(&run.run, run.rounds, run.first_round < round || resumed);
            self.driver.tell(&Event::Run {
                run: standing.run.run.to_string(),
                plan: learning.plan.name.to_string(),
                rounds: standing.run.rounds,
                round,
                parameters: learning.task.parameters() as u64,
                resumed: resumed && standing.run.ending.is_none(),
            });
        }
        Ok(standing)
    }

    async fn check_same(&self, run: RunRow) -> Result<RunRow, Failure> {
        let other = if run.plan != self.learning.plan_digest {
            "another plan"
        } else if !self.driver.knows_roster(&run.federation).await? {
            "another roster (members were enrolled by files since it began)"
        } else {
            return Ok(run);
        };
        let dir = self.config.state_dir.display();
        let what = format!("{dir} holds run {} of {other}", run.run.short());
        Err(Failure::new(Exit::BadInput, "OTHER_RUN", what)
            .with_help("give this plan a state_dir of its own, or take back the change"))
    }

    /// The round that the records tell of, or a new one as soon as enough members are there.
    async fn begin_round(&mut self, standing: &Standing) -> Result<Beginning, Failure> {
        let number = standing.next_round();
        let records = self.driver.journal.replay(number, 0).await?;
        if !records.is_empty() {
            return self.resume_round(number, &records).map(Beginning::of);
        }
        let plan = &self.learning.plan;
        let Some(shape) = self.shape() else { return Err(self.no_committee()) };
        let start = &self.config.start;
        let minimum = plan.cohort.minimum as usize;
        let needs = Needs {
            round: number,
            holders: shape.quorum(),
            owners: match start.owners {
                Some(owners) if number == standing.run.first_round => owners.size().max(minimum),
                _ => minimum,
            },
            wait_ms: start.wait_s.seconds_in_ms().saturating_sub(self.past.waited_ms),
            settle_ms: if self.past.is_settled { 0 } else { start.settle_s.seconds_in_ms() },
            gives_way: self.submitted.is_some(),
        };
        let owners = match self.driver.gather(needs).await? {
            Gathered::Owners(owners) => owners,
            Gathered::Wish => return Ok(Beginning::Wish),
            Gathered::Turn { waited_ms } => {
                self.past.waited_ms += waited_ms;
                return Ok(Beginning::Turn);
            }
        };
        self.publish_roster().await?;
        let beacons = if plan_is_audited(&self.learning.plan) {
            // After rounds that were abandoned, with the keys of other dealers.
            let done = standing.rounds.iter().rev().take_while(|row| row.aggregate.is_none());
            let wait_ms = start.wait_s.seconds_in_ms();
            let keys = self.driver.beacons(shape, done.count(), wait_ms).await?;
            let Some(keys) = keys else { return Ok(Beginning::Wish) };
            keys
        } else {
            Vec::new()
        };
        let terms = self.terms(standing, number, owners, beacons)?;
        let bytes = round_bytes(&terms.config, terms.cohort.len());
        if self.driver.wait_for_room(number, bytes).await? {
            // From the beginning: who was there may have gone meanwhile.
            return Ok(Beginning::Wish);
        }
        let now = self.driver.clock.now();
        let opened = Round::open(terms, Arc::clone(&self.identity), now);
        opened.map(Beginning::of).map_err(|error| {
            let what = format!("round {number} cannot be opened: {error}");
            Failure::new(Exit::BadInput, "BAD_TERMS", what)
        })
    }

    /// Publishes the roster that the next round is held under, for whoever has pinned another one.
    async fn publish_roster(&self) -> Result<(), Failure> {
        let blobs = &self.driver.blobs;
        let name = |digest: &Digest| format!("{ROSTERS_FOLDER}/{}", roster_file(digest));
        if blobs.is_published(&name(&self.driver.roster.digest()))? {
            return Ok(());
        }
        for certified in self.driver.rosters_in_force().await? {
            let name = name(&certified.roster.digest());
            if !blobs.is_published(&name)? {
                blobs.put_published(&name, &wire::encode(&certified))?;
            }
        }
        Ok(())
    }

    fn resume_round(&self, number: u32, records: &[Vec<u8>]) -> Result<Round, Failure> {
        let path = self.config.state_dir.join(crate::coordinator::JOURNAL_FILE);
        let now = self.driver.clock.now();
        Ok(replay_round(path, number, records, &self.identity, now)?)
    }

    fn summary(&self, standing: &Standing) -> RunSummary {
        let done = standing.rounds.iter().filter(|round| round.aggregate.is_some()).count();
        let count = |rounds: usize| u32::try_from(rounds).unwrap_or(u32::MAX);
        let all = Ending::Done { rounds: standing.run.rounds };
        let (ending, reason) = (&standing.run.ending, &standing.run.reason);
        RunSummary {
            run: standing.run.run.to_string(),
            rounds: standing.run.rounds,
            rounds_done: count(done),
            rounds_abandoned: count(standing.rounds.len() - done),
            model: standing.place.model.to_string(),
            model_path: self.driver.blobs.object_path(&standing.place.model),
            accuracy: standing.rounds.last().and_then(|round| round.accuracy),
            federated: self.last_scores(standing),
            ending: ending.clone().unwrap_or_else(|| all.word().to_owned()),
            reason: reason.clone().unwrap_or_else(|| all.to_string()),
            published: self.driver.blobs.published(),
        }
    }

    fn last_scores(&self, standing: &Standing) -> Option<Scores> {
        standing.rounds.iter().rev().find_map(|row| self.scores(row)?.ok())
    }
}

/// The round that its records tell of; `path` is theirs, for people.
pub(crate) fn replay_round(
    path: PathBuf,
    number: u32,
    records: &[Vec<u8>],
    identity: &Arc<Identity>,
    now: Time,
) -> Result<Round, StorageError> {
    let damaged =
        |why: String| StorageError::Damaged { path, what: format!("round {number}: {why}") };
    let decode = |bytes: &Vec<u8>| wire::decode::<RoundRecord>(bytes, RECORD_BYTES_MAX);
    let records: Result<Vec<_>, _> = records.iter().map(decode).collect();
    let records = match records {
        Ok(records) => records,
        Err(error) => return Err(damaged(error.to_string())),
    };
    Round::replay(records, Arc::clone(identity), now).map_err(|error| damaged(error.to_string()))
}

/// A record: an opening holds the terms with a cohort of 10,000, which is below a message's size;
/// an audit's holds what was opened of all components, each of which is below it.
const RECORD_BYTES_MAX: usize = 24 * FRAME_BYTES_MAX as usize;

fn plan_is_audited(plan: &Plan) -> bool {
    plan.secure_aggregation.audit != Audit::Off
}

impl Standing {
    fn is_stopped(&self) -> bool {
        self.run.ending.as_deref().is_some_and(|ending| STOPPED.contains(&ending))
    }

    fn next_round(&self) -> u32 {
        self.rounds.last().map_or(self.run.first_round, |last| last.round.saturating_add(1))
    }
}

fn too_many_abandoned(standing: &Standing, in_a_row: u32) -> Failure {
    let last = standing.rounds.last().map_or(0, |round| round.round);
    let what = format!("{in_a_row} rounds in a row were abandoned, the last was round {last}");
    Failure::new(Exit::Failed, "RUN_ABANDONED", what).with_help(
        "the rounds' reports say who was missing; serving again goes on with the next round",
    )
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Stopped(signal) => {
                Self::new(signal.into(), "STOPPED", &halt).with_help("serving again goes on")
            }
            Halt::Storage(error) => error.into(),
            Halt::Ledger(failure) => *failure,
            Halt::Missing { .. } => Self::new(Exit::TimedOut, "MEMBERS_MISSING", &halt)
                .with_help("start those members, or lower what the round needs; then serve again"),
        }
    }
}
