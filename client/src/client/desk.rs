//! The program at work: drives the owner's machine, and does what the machine wants done.
//!
//! One loop owns all state. Training and uploads run beside it; the machine's records are durable
//! before anything that follows from them is done.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use covey_aggregation::audit::list::Proven;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Decline, FromClient, Refusal, SignedHeader, ToClient};
use covey_aggregation::net::{Bulk, BulkError, LinkError, Membership};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup};
use covey_aggregation::program::clock::{now, until};
use covey_aggregation::program::line::{Line, LineEvent, Linked};
use covey_aggregation::program::{Exit, Failure, Journal, Signal, StateFolder, Stop};
use covey_aggregation::record::ParticipantRecord;
use covey_model::device::Compute;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::event::{Event, Round};
use crate::gate::Gate;
use crate::observer::Observer;
use crate::prepare::{Declined, Halt, Workshop};
use crate::provers::Provers;
use crate::sketches::Sketches;
use crate::status::JOURNAL_FILE;
use crate::stored::Stored;
use crate::variates::Variates;

/// The folder of sealed updates, in the state folder.
const SEALED_FOLDER: &str = "sealed";

/// Folder of an owner's own projections, in its state folder.
pub(crate) const SKETCHES_FOLDER: &str = "sketches";

/// The folder of control variates, in the state folder.
const VARIATES_FOLDER: &str = "variates";

/// How often what is unanswered is sent again.
const RESEND_MS: u64 = 3_000;

/// How long a round without a word from the coordinator is kept: longer than the longest phase
/// that a plan may have.
const PATIENCE_MS: u64 = 31 * 24 * 3600 * 1000;

/// How long a draining client goes on sending.
const DRAIN: Duration = Duration::from_secs(60);

/// Events that nobody has taken yet; progress beyond is dropped.
const EVENTS_WAITING_MAX: usize = 256;

/// What work beside the loop came to.
enum Done {
    Prepared(Digest, Result<Box<SignedHeader>, Declined>),
    Proven(Digest, Result<Box<Proven>, Declined>),
    Uploaded(Digest, Result<(u64, f32), UploadError>),
}

/// An upload that did not arrive.
enum UploadError {
    /// The stored bytes.
    Stored(String),
    /// The link, or the coordinator.
    Bulk(BulkError),
}

/// All state of a running client.
pub(super) struct Desk {
    participant: Participant,
    journal: Journal<ParticipantRecord>,
    stored: Stored,
    variates: Variates,
    workshop: Arc<Workshop>,
    link: Option<Linked<FromClient>>,
    /// The workshop's view of the link.
    bulk: watch::Sender<Option<Bulk>>,
    tasks: JoinSet<Done>,
    preparing: BTreeMap<Digest, Halt>,
    uploading: BTreeSet<Digest>,
    /// Sealed rounds that the owner does not allow to be sent now, and was told of.
    held_back: BTreeSet<Digest>,
    /// Numbers of rounds, for people.
    numbers: BTreeMap<Digest, u32>,
    events: mpsc::Sender<Event>,
    _folder: StateFolder,
}

impl Desk {
    pub(super) fn open(
        config: &Config,
        compute: &Compute,
        membership: &Membership,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<(Self, mpsc::Receiver<Event>), Failure> {
        let folder = StateFolder::open(&config.state)?;
        let (journal, records) =
            Journal::open(&folder.path().join(JOURNAL_FILE), &membership.member().id)?;
        let variates = Variates::open(&folder.path().join(VARIATES_FOLDER), &records);
        let variates = variates.map_err(|error| Failure::file(&error))?;
        let numbers = records.iter().filter_map(|record| match record {
            ParticipantRecord::Sealed { round, round_ctx, .. } => Some((*round_ctx, *round)),
            _ => None,
        });
        let numbers = numbers.collect();
        let setup = ParticipantSetup {
            identity: Arc::clone(membership.identity()),
            roster: membership.roster().as_ref().clone(),
            resend_ms: RESEND_MS,
            patience_ms: PATIENCE_MS,
        };
        let participant = Participant::new(setup, records)
            .map_err(|error| Failure::new(Exit::Failed, "CLIENT", error))?;
        let stored = Stored::open(&folder.path().join(SEALED_FOLDER));
        let stored = stored.map_err(|error| Failure::file(&error))?;
        let rounds: Vec<Digest> = participant.rounds().copied().collect();
        stored.keep_only(&rounds).map_err(|error| Failure::file(&error))?;
        let gate = Gate::open(config).map_err(|error| Failure::file(&error))?;
        let (bulk, link) = watch::channel(None);
        let (events, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        let workshop = Arc::new(Workshop {
            identity: Arc::clone(membership.identity()),
            data: config.data.clone(),
            device: config.device,
            told_device: Mutex::new(compute.to_string()),
            gate,
            threads: threads(config),
            stored: stored.clone(),
            variates: variates.clone(),
            provers: Provers::new(Sketches::at(&folder.path().join(SKETCHES_FOLDER))),
            observer,
            bulk: link,
            events: events.clone(),
            bench: Mutex::default(),
        });
        let desk = Self {
            participant,
            journal,
            stored,
            variates,
            workshop,
            link: None,
            bulk,
            tasks: JoinSet::new(),
            preparing: BTreeMap::new(),
            uploading: BTreeSet::new(),
            held_back: BTreeSet::new(),
            numbers,
            events,
            _folder: folder,
        };
        Ok((desk, waiting))
    }

    /// The loop. Ends when it was asked to, and what was being sent is sent.
    pub(super) async fn work(
        &mut self,
        line: &mut Line<ToClient, FromClient>,
        events: &mut mpsc::Receiver<Event>,
        stop: &mut Stop,
        watch: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Signal, Failure> {
        let mut draining: Option<Signal> = None;
        let drained = tokio::time::sleep(Duration::MAX);
        tokio::pin!(drained);
        // Sealed updates from before a restart are due at once.
        self.participant.handle_timeout(now());
        loop {
            self.pump(watch)?;
            if let Some(signal) = draining
                && (self.uploading.is_empty() || self.link.is_none())
            {
                return Ok(signal);
            }
            let mut halt = stop.clone();
            tokio::select! {
                signal = halt.halted() => return Ok(signal),
                () = &mut drained => if let Some(signal) = draining { return Ok(signal) },
                signal = stop.draining(), if draining.is_none() => {
                    watch(Event::Draining);
                    self.participant.leave();
                    draining = Some(signal);
                    drained.as_mut().reset(tokio::time::Instant::now() + DRAIN);
                }
                event = line.event() => self.follow(event, draining.is_some(), watch)?,
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.take(done, watch),
                    Err(bug) => watch(Event::Fault { what: format!("a bug: {bug}") }),
                },
                Some(event) = events.recv() => watch(event),
                () = tokio::time::sleep(until(self.participant.poll_timeout())) => {
                    self.participant.handle_timeout(now());
                }
            }
        }
    }

    /// Sends nothing more. Whether there was a link.
    pub(super) fn hang_up(&mut self) -> bool {
        self.link.take().is_some()
    }

    fn follow(
        &mut self,
        event: Option<LineEvent<ToClient, FromClient>>,
        is_draining: bool,
        watch: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), Failure> {
        match event {
            // New rounds are not for a client that stops.
            Some(LineEvent::Message(ToClient::Open { .. })) if is_draining => {}
            Some(LineEvent::Message(message)) => self.participant.handle(now(), message),
            Some(LineEvent::Linked(linked)) => {
                watch(Event::Linked { address: linked.address.clone() });
                self.bulk.send_replace(Some(linked.bulk.clone()));
                self.link = Some(linked);
            }
            Some(LineEvent::Lost(error)) => {
                self.link = None;
                self.bulk.send_replace(None);
                watch(Event::Unlinked { error: error.to_string(), retry_ms: None });
            }
            Some(LineEvent::Retry(error, wait)) => {
                let retry_ms = u64::try_from(wait.as_millis()).ok();
                watch(Event::Unlinked { error: error.to_string(), retry_ms });
            }
            Some(LineEvent::Failed(error)) => return Err(Failure::link(&error)),
            None => return Err(Failure::link(&LinkError::ClosedHere)),
        }
        Ok(())
    }

    fn take(&mut self, done: Done, watch: &mut (dyn FnMut(Event) + Send)) {
        match done {
            Done::Prepared(round_ctx, result) => {
                let was_wanted = self.preparing.remove(&round_ctx).is_some();
                let result = result.map_err(|Declined { reason, why }| {
                    if was_wanted {
                        let (round, reason) = (self.round(round_ctx), reason_text(reason));
                        watch(Event::Declined { round, reason, why });
                    }
                    reason
                });
                self.participant.handle_prepared(now(), &round_ctx, result.map(|header| *header));
            }
            Done::Proven(round_ctx, result) => {
                let result = result.map_err(|Declined { reason, why }| {
                    let (round, reason_text) = (self.round(round_ctx), reason_text(reason));
                    watch(Event::Declined { round, reason: reason_text, why });
                    reason
                });
                if result.is_ok() {
                    watch(Event::Proven { round: self.round(round_ctx) });
                }
                self.participant.handle_proven(now(), &round_ctx, result);
            }
            Done::Uploaded(round_ctx, result) => {
                self.uploading.remove(&round_ctx);
                let round = self.round(round_ctx);
                match result {
                    Ok((bytes, seconds)) => watch(Event::Uploaded { round, bytes, seconds }),
                    Err(UploadError::Stored(what)) => watch(Event::Fault { what }),
                    Err(UploadError::Bulk(BulkError::Refused(refusal))) => {
                        self.refused(round_ctx, refusal, watch);
                    }
                    // A lost link is told by the line, and the machine asks for another upload.
                    Err(UploadError::Bulk(BulkError::Link(_))) => {}
                    Err(UploadError::Bulk(error)) => {
                        watch(Event::Fault { what: format!("{round}: sending: {error}") });
                    }
                }
            }
        }
    }

    fn refused(
        &mut self,
        round_ctx: Digest,
        refusal: Refusal,
        watch: &mut (dyn FnMut(Event) + Send),
    ) {
        let round = self.round(round_ctx);
        watch(Event::Fault { what: format!("{round}: the coordinator refused: {refusal}") });
        self.participant.handle(now(), ToClient::Refused { round_ctx, refusal });
    }

    /// Stores records and does what the machine wants done, until it wants nothing.
    fn pump(&mut self, watch: &mut (dyn FnMut(Event) + Send)) -> Result<(), Failure> {
        loop {
            let mut waiting = Vec::new();
            while let Some(effect) = self.participant.poll_effect() {
                match effect {
                    ParticipantEffect::Append { sequence, record } => {
                        waiting.push((sequence, record));
                    }
                    effect => self.perform(effect, watch),
                }
            }
            let Some(last) = self.journal.append(&waiting)? else { return Ok(()) };
            self.participant.handle_stored(last);
        }
    }

    fn perform(&mut self, effect: ParticipantEffect, watch: &mut (dyn FnMut(Event) + Send)) {
        match effect {
            ParticipantEffect::Append { .. } => {}
            ParticipantEffect::Prepare { config } => {
                let (round_ctx, halt) = (config.context(), Halt::default());
                self.numbers.insert(round_ctx, config.round);
                self.preparing.insert(round_ctx, halt.clone());
                let work = Arc::clone(&self.workshop).prepare(config, halt);
                self.tasks
                    .spawn(async move { Done::Prepared(round_ctx, work.await.map(Box::new)) });
            }
            ParticipantEffect::Cancel { round_ctx } => {
                if let Some(halt) = self.preparing.remove(&round_ctx) {
                    halt.stop();
                }
                self.forget(&round_ctx, watch);
            }
            ParticipantEffect::Upload { round_ctx, header } => {
                self.upload(round_ctx, header, watch);
            }
            ParticipantEffect::Prove { round_ctx, set, rows } => {
                let workshop = Arc::clone(&self.workshop);
                self.tasks.spawn(async move {
                    let work = move || {
                        let question = (set, rows);
                        let proved =
                            workshop.provers.prove(&round_ctx, question, &workshop.identity);
                        proved.map(|(proven, unkept)| {
                            unkept
                                .into_iter()
                                .for_each(|what| workshop.tell(Event::Fault { what }));
                            proven
                        })
                    };
                    let proven = tokio::task::spawn_blocking(work).await;
                    let bug = |bug| Err(Declined::new(Decline::Lost, format!("a bug: {bug}")));
                    Done::Proven(round_ctx, proven.unwrap_or_else(bug))
                });
            }
            ParticipantEffect::Send(message) => {
                if let Some(link) = &self.link {
                    // A queue that is full or gone drops it; the machine says it again.
                    let _ = link.messages.try_send(message);
                }
            }
            ParticipantEffect::Forget { round_ctx } => self.forget(&round_ctx, watch),
            ParticipantEffect::Promised(receipt) => {
                watch(Event::Promised { round: self.round(receipt.round_ctx) });
            }
            ParticipantEffect::Counted { round_ctx } => {
                // The end is durable; a crash before this is settled at the next start.
                if let Err(error) = self.variates.counted(&round_ctx) {
                    watch(Event::Fault { what: error.to_string() });
                }
                watch(Event::Counted { round: self.round(round_ctx) });
            }
            ParticipantEffect::NotCounted { round_ctx, why } => {
                if let Err(error) = self.variates.discard(&round_ctx) {
                    watch(Event::Fault { what: error.to_string() });
                }
                let why = why.to_string();
                watch(Event::NotCounted { round: self.round(round_ctx), why });
            }
        }
    }

    /// Sends a stored update, unless that is under way, there is no link, or the owner does not allow
    /// it now (then the machine asks again).
    fn upload(&mut self, round_ctx: Digest, header: Digest, watch: &mut (dyn FnMut(Event) + Send)) {
        let Some(link) = &self.link else { return };
        if self.uploading.contains(&round_ctx) {
            return;
        }
        if let Err(Declined { why, .. }) = self.workshop.may_send(&round_ctx) {
            if self.held_back.insert(round_ctx) {
                watch(Event::HeldBack { round: self.round(round_ctx), why });
            }
            return;
        }
        self.held_back.remove(&round_ctx);
        self.uploading.insert(round_ctx);
        let (bulk, stored, events) = (link.bulk.clone(), self.stored.clone(), self.events.clone());
        let round = self.round(round_ctx);
        self.tasks.spawn(async move {
            let sent = send(&bulk, &stored, round, &header, &events).await;
            Done::Uploaded(round_ctx, sent)
        });
    }

    fn forget(&mut self, round_ctx: &Digest, watch: &mut (dyn FnMut(Event) + Send)) {
        self.held_back.remove(round_ctx);
        self.workshop.provers.forget(round_ctx);
        if let Err(error) = self.stored.remove(round_ctx) {
            watch(Event::Fault { what: error.to_string() });
        }
    }

    fn round(&self, context: Digest) -> Round {
        Round { number: self.numbers.get(&context).copied(), context }
    }
}

/// Sends one stored update; its bytes and seconds.
async fn send(
    bulk: &Bulk,
    stored: &Stored,
    round: Round,
    header: &Digest,
    events: &mpsc::Sender<Event>,
) -> Result<(u64, f32), UploadError> {
    let reading = stored.read(&round.context, header).await;
    let mut reading = reading.map_err(|error| UploadError::Stored(error.to_string()))?;
    let (begun, bytes) = (Instant::now(), reading.bytes);
    let progress = |sent| {
        // Only how far it is: what nobody takes is dropped.
        let _ = events.try_send(Event::Uploading { round, sent, bytes });
    };
    bulk.contribute(&reading.header, bytes, &mut reading.source, progress)
        .await
        .map_err(UploadError::Bulk)?;
    Ok((bytes, begun.elapsed().as_secs_f32()))
}

/// As many as the machine has, or as the owner gives.
fn threads(config: &Config) -> usize {
    let all = available_parallelism().map_or(1, NonZero::get);
    config.policy.limits.threads.map_or(all, |most| all.min(most))
}

fn reason_text(reason: Decline) -> String {
    match reason {
        Decline::Policy => "policy",
        Decline::Data => "data",
        Decline::Training => "training",
        Decline::Terms => "terms",
        Decline::Leaving => "leaving",
        Decline::Lost => "lost",
        Decline::Unprovable => "unprovable",
    }
    .to_owned()
}
