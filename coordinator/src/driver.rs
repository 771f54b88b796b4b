//! The single writer: it alone owns the round's machine, the journal and the list of who is
//! connected. It takes all waiting inputs, hands them to the machine, stores all records in one
//! transaction, tells the machine so, and carries out the effects. It never waits for a peer:
//! queues are bounded, and a peer whose queue is full is disconnected.
//!
//! - [`inputs`](self): what a session says, and who is connected
//! - [`effects`](self): what the machine wants done
//! - [`deal`](self): the beacon keys that an audited round begins with
//! - [`gather`](self): waiting until a round can begin
//! - [`report`](self): telling the operator, and whoever watches, who answered and whom it waits for
//! - [`obey`](self): what the run's researcher wants
//! - [`room`](self): waiting until there is room on the disk
//! - [`succession`](self): members that come and go

mod deal;
mod effects;
mod gather;
mod inputs;
mod obey;
mod report;
mod room;
mod succession;
mod traffic;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use covey_aggregation::audit::crediting::Directed;
use covey_aggregation::audit::deal::Deal;
use covey_aggregation::audit::opening::Public;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Outcome, Phase, Refusal};
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::program::{Failure, Signal, Stop};
use covey_aggregation::research::Few;
use covey_aggregation::roster::Roster;
use covey_aggregation::round::{BoxSource, OpenFailure, Opened, Round};
use covey_aggregation::sum::contribution::box_bytes;
use covey_aggregation::time::Time;
use covey_ledger::entry::Traffic;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::directing::Beginning;
use crate::event::{Event, RoundSummary};
use crate::ledger::Ledger;
use crate::registrar::Registrar;
use crate::room::Room;
use crate::session::{Input, Peer};
use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, Depot};
use crate::storage::journal::Journal;
use crate::storage::place::Databases;
use crate::storage::registry::{Registry, Wish};
use crate::storage::shelf::Shelf;
use crate::summing::Unopened;
use crate::trace::RoundSpan;
use crate::view::View;

pub use gather::{Gathered, Needs};

use report::Reporter;
use succession::Succession;

/// Inputs taken at once before records are stored: bounds the time that a reply waits.
const INPUTS_AT_ONCE: usize = 256;

/// Why the driver stops before its work is done.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The operator said so.
    #[error("stopped on request ({0:?})")]
    Stopped(Signal),
    /// Nothing can be promised any more.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The ledger cannot be kept.
    #[error("{}", .0.message)]
    Ledger(Box<Failure>),
    /// Those that a round needs did not come.
    #[error("waited {waited_s} s for {needed}; not connected: {}", Few::of(.missing.clone()))]
    Missing {
        /// What is not there.
        needed: String,
        /// Who.
        missing: Vec<Name>,
        /// How long it waited.
        waited_s: u64,
    },
}

/// Where events go.
pub type Events = Arc<dyn Fn(&Event) + Send + Sync>;

/// A round that is over.
pub struct RoundEnd {
    /// How.
    pub outcome: Outcome,
    /// When each phase began, as far as this program saw it.
    pub phases: Vec<(Phase, Time)>,
    /// When it ended.
    pub ended: Time,
    /// Adding and opening, in milliseconds.
    pub opening_ms: Option<u64>,
    /// Computing the directions of the credit, in milliseconds.
    pub directing_ms: Option<u64>,
    /// Bytes over the owners' links meanwhile, as far as this program saw it.
    pub traffic: Traffic,
}

/// A worker's answer.
enum WorkDone {
    /// The sum is opened, or not.
    Opened { context: Digest, result: Result<Opened, Unopened>, took_ms: u64 },
    /// What an audit needs of each contribution is computed, or not.
    Measured { context: Digest, result: Result<Vec<Public>, OpenFailure> },
    /// A round's directions are computed, or not.
    Directed { context: Digest, result: Result<(Directed, Vec<i64>), String>, took_ms: u64 },
}

/// What ended a wait.
enum Woken {
    Worked(WorkDone),
    Input(Input),
    Time,
    Wish,
}

/// The round at hand; kept after its end, so that who asks is told how it ended.
struct Live {
    round: Round,
    config: Arc<RoundConfig>,
    phases: Vec<(Phase, Time)>,
    ended: Option<(Outcome, Time)>,
    opening_ms: Option<u64>,
    directing_ms: Option<u64>,
    /// Set when nobody wants the worker's result any more.
    cancelled: Arc<AtomicBool>,
    /// Answers that wait for the record before them.
    replies: Vec<Reply>,
    /// What the round began with.
    beginning: Arc<Beginning>,
    span: RoundSpan,
    traffic_before: Traffic,
}

/// The answer to an upload, and who waits for it.
struct Reply {
    to: oneshot::Sender<Result<(), Refusal>>,
    answer: Result<(), Refusal>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Sealed boxes of the round at hand, on disk.
struct StoredBoxes<'a> {
    blobs: &'a Blobs,
    config: &'a RoundConfig,
}

impl BoxSource for StoredBoxes<'_> {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let stored = self.blobs.contribution(self.config.round, header);
        stored.sealed_box(usize::from(holder.0), box_bytes(self.config)).ok()
    }
}

/// What a driver is made of.
pub struct Parts {
    /// Records.
    pub journal: Journal,
    /// Bulk bytes.
    pub shelf: Arc<Shelf>,
    /// Everybody.
    pub roster: Arc<Roster>,
    /// The federation's folder, with the roster in force.
    pub federation_dir: PathBuf,
    /// Who joins and leaves.
    pub registrar: Arc<Registrar>,
    /// Holders of a committee that is being founded.
    pub holders: usize,
    /// Runs that were submitted.
    pub registry: Arc<Mutex<Registry>>,
    /// The ledger.
    pub ledger: Ledger,
    /// What is wanted of the run at hand.
    pub wish: watch::Receiver<Wish>,
    /// What goes on.
    pub view: watch::Sender<View>,
    /// The state folder, below which runs have theirs.
    pub state_dir: PathBuf,
    /// Where stores are.
    pub databases: Databases,
    /// Room on the disk.
    pub room: Arc<Room>,
    /// Time.
    pub clock: Clock,
    /// From the sessions.
    pub inputs: mpsc::Receiver<Input>,
    /// To the operator.
    pub events: Events,
    /// From the operator.
    pub stop: Stop,
    /// Threads that add up.
    pub summing_threads: usize,
}

/// The single writer.
pub struct Driver {
    /// Records. The run loop uses it between rounds.
    pub journal: Journal,
    /// Bulk bytes.
    pub blobs: Arc<Blobs>,
    /// Everybody.
    pub roster: Arc<Roster>,
    /// Time.
    pub clock: Clock,
    /// Runs that were submitted. The run loop uses it between rounds.
    pub registry: Arc<Mutex<Registry>>,
    /// The ledger.
    pub ledger: Ledger,
    shelf: Arc<Shelf>,
    wish: watch::Receiver<Wish>,
    view: watch::Sender<View>,
    state_dir: PathBuf,
    room: Arc<Room>,
    databases: Databases,
    events: Events,
    inputs: mpsc::Receiver<Input>,
    stop: Stop,
    peers: BTreeMap<PartyId, Peer>,
    /// Of owners' links that have ended.
    traffic_gone: Traffic,
    live: Option<Live>,
    reporter: Reporter,
    worked: (mpsc::Sender<WorkDone>, mpsc::Receiver<WorkDone>),
    summing_threads: usize,
    /// The beacon keys that holders of this roster dealt, as often as they were asked the same.
    deals: BTreeMap<HolderIndex, Deal>,
    succession: Succession,
}

impl Driver {
    /// A driver with nobody connected and no round.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            journal: parts.journal,
            blobs: parts.shelf.blobs(),
            roster: parts.roster,
            clock: parts.clock,
            registry: parts.registry,
            ledger: parts.ledger,
            shelf: parts.shelf,
            wish: parts.wish,
            view: parts.view,
            state_dir: parts.state_dir,
            room: parts.room,
            databases: parts.databases,
            events: parts.events,
            inputs: parts.inputs,
            stop: parts.stop,
            peers: BTreeMap::new(),
            traffic_gone: Traffic { up: 0, down: 0 },
            live: None,
            reporter: Reporter::default(),
            worked: mpsc::channel(1),
            summing_threads: parts.summing_threads,
            deals: BTreeMap::new(),
            succession: Succession::new(parts.registrar, parts.federation_dir, parts.holders),
        }
    }

    /// Where the bulk bytes of all runs are.
    #[must_use]
    pub fn depot(&self) -> &Depot {
        self.shelf.depot()
    }

    /// Takes a run's bytes up, and its records unless they are at hand; returns the journal of the
    /// run before.
    pub fn take_up(&mut self, journal: Option<Journal>, blobs: Arc<Blobs>) -> Option<Journal> {
        self.live = None;
        self.shelf.put(Arc::clone(&blobs));
        self.blobs = blobs;
        journal.map(|journal| std::mem::replace(&mut self.journal, journal))
    }

    /// Tells the operator.
    pub fn tell(&self, event: &Event) {
        (self.events)(event);
    }

    /// Drives a round, which began with `beginning`, to its end. Its span is kept until
    /// [`Self::round_is_over`].
    ///
    /// # Errors
    /// [`Halt`]; the round goes on from its records at the next start.
    pub async fn run_round(
        &mut self,
        round: Round,
        beginning: Arc<Beginning>,
        span: RoundSpan,
    ) -> Result<RoundEnd, Halt> {
        let config = Arc::new(round.config().clone());
        self.reporter = Reporter::default();
        self.live = Some(Live {
            round,
            config,
            phases: Vec::new(),
            ended: None,
            opening_ms: None,
            directing_ms: None,
            cancelled: Arc::default(),
            replies: Vec::new(),
            beginning,
            span,
            traffic_before: self.traffic(),
        });
        loop {
            self.obey();
            self.settle().await?;
            if let Some(end) = self.round_end() {
                self.watched(None);
                return Ok(end);
            }
            let woken = self.wait(None).await?;
            self.absorb(woken).await?;
        }
    }

    /// The result of the round at hand is durable: tells the operator.
    pub fn round_is_over(&mut self, summary: RoundSummary) {
        if let Some(live) = &mut self.live {
            live.span.end(&summary);
        }
        self.tell(&Event::Round(Box::new(summary)));
    }

    /// The state folder, below which runs have theirs.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The round of the last [`Self::run_round`].
    #[must_use]
    pub fn round(&self) -> Option<&Round> {
        self.live.as_ref().map(|live| &live.round)
    }

    fn round_end(&self) -> Option<RoundEnd> {
        let live = self.live.as_ref()?;
        let (outcome, ended) = live.ended.clone()?;
        let (phases, opening_ms) = (live.phases.clone(), live.opening_ms);
        let (directing_ms, traffic) = (live.directing_ms, self.traffic_since(live.traffic_before));
        Some(RoundEnd { outcome, phases, ended, opening_ms, directing_ms, traffic })
    }

    /// Serves the members while nothing is to be done until `wanted` comes true; a roster that is
    /// signed meanwhile comes into force.
    ///
    /// # Errors
    /// [`Halt`]; then `wanted` is dropped.
    pub async fn idle_until<T>(&mut self, wanted: impl Future<Output = T>) -> Result<T, Halt> {
        let mut wanted = std::pin::pin!(wanted);
        loop {
            self.renew_roster().await?;
            self.settle().await?;
            let woken = tokio::select! {
                biased;
                done = &mut wanted => return Ok(done),
                woken = self.wait(None) => woken?,
            };
            self.absorb(woken).await?;
        }
    }

    /// Serves the members while `work` is done elsewhere.
    ///
    /// # Errors
    /// [`Halt`]; then `work` is dropped.
    pub async fn serve_while<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Halt> {
        let mut work = std::pin::pin!(work);
        loop {
            self.settle().await?;
            let woken = tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                woken = self.wait(None) => woken?,
            };
            self.absorb(woken).await?;
        }
    }

    /// Waits for something to happen, at most until `until`. Cancel-safe: changes nothing.
    async fn wait(&mut self, until: Option<Instant>) -> Result<Woken, Halt> {
        let now = self.clock.now();
        let timeout = self.live.as_ref().and_then(|live| live.round.poll_timeout());
        let report = self.live.as_ref().and_then(|_| self.reporter.next_at(now));
        let wake = [timeout, report, self.succession.poll_timeout()];
        let wake = wake.into_iter().flatten().min();
        let wake = wake.map(|time| self.clock.instant(time));
        let wake = [wake, until].into_iter().flatten().min();
        let sleep = async {
            match wake {
                Some(instant) => sleep_until(instant.into()).await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            biased;
            signal = self.stop.draining() => return Err(Halt::Stopped(signal)),
            Some(done) = self.worked.1.recv() => Woken::Worked(done),
            Some(input) = self.inputs.recv() => Woken::Input(input),
            Ok(()) = self.wish.changed() => Woken::Wish,
            () = sleep => Woken::Time,
        })
    }

    /// Takes in what [`Self::wait`] saw, and everything else that waits.
    async fn absorb(&mut self, woken: Woken) -> Result<(), Halt> {
        match woken {
            Woken::Time | Woken::Wish => {}
            Woken::Worked(done) => self.take_work(done)?,
            Woken::Input(input) => {
                self.take(input).await?;
                for _ in 1..INPUTS_AT_ONCE {
                    let Ok(input) = self.inputs.try_recv() else { break };
                    self.take(input).await?;
                }
            }
        }
        self.ask_again_for_signatures();
        let now = self.clock.now();
        if let Some(live) = &mut self.live {
            live.round.handle_timeout(now);
        }
        Ok(())
    }

    fn take_work(&mut self, done: WorkDone) -> Result<(), Halt> {
        let now = self.clock.now();
        let Some(live) = &mut self.live else { return Ok(()) };
        match done {
            WorkDone::Opened { context, result, took_ms } if *live.round.context() == context => {
                live.opening_ms = Some(took_ms);
                let result = match result {
                    Ok(opened) => Ok(opened),
                    Err(Unopened::Failed(failure)) => Err(failure),
                    Err(Unopened::Unstored(error)) => return Err(error.into()),
                };
                live.round.handle_opened(now, result);
            }
            WorkDone::Measured { context, result } if *live.round.context() == context => {
                live.round.handle_measured(now, result);
            }
            WorkDone::Directed { context, result, took_ms } if *live.round.context() == context => {
                live.directing_ms = Some(took_ms);
                live.round.handle_directed(now, result);
            }
            // Of a round that is over.
            WorkDone::Opened { .. } | WorkDone::Measured { .. } | WorkDone::Directed { .. } => {}
        }
        Ok(())
    }
}
