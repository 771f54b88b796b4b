//! The program at work: drives the owner's machine, and does what the machine wants done.
//!
//! One loop owns all state. Training and uploads run beside it; the machine's records are durable
//! before anything that follows from them is done.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use covey_aggregation::audit::list::Proven;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    Decline, FromClient, RecordBytes, Refusal, SignedHeader, ToClient,
};
use covey_aggregation::net::{Bulk, BulkError, Egress, LinkError, Membership};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup};
use covey_aggregation::party::PartyId;
use covey_aggregation::program::clock::{now, until};
use covey_aggregation::program::line::{Line, LineEvent, Linked};
use covey_aggregation::program::linked::LinkedFile;
use covey_aggregation::program::{Exit, Failure, Journal, Signal, StateFolder, Stop};
use covey_aggregation::record::ParticipantRecord;
use covey_aggregation::roster::Roster;
use covey_model::device::Compute;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::effort::Efforts;
use crate::event::{Event, Round};
use crate::gate::Gate;
use crate::noise::NoiseKey;
use crate::observer::Observer;
use crate::outbound::{self, OutboundLog};
use crate::pause::Pause;
use crate::prepare::{Declined, Halt, Workshop};
use crate::provers::Provers;
use crate::receipts::{Kept, Receipts, Subject};
use crate::sketches::Sketches;
use crate::status::JOURNAL_FILE;
use crate::stored::Stored;
use crate::variates::Variates;

use super::sending::{UploadError, send};

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

/// How often the owner's pause is looked for.
const PAUSE_LOOK: Duration = Duration::from_millis(500);

/// Events that nobody has taken yet; progress beyond is dropped.
const EVENTS_WAITING_MAX: usize = 256;

/// What work beside the loop came to.
enum Done {
    Prepared(Digest, Result<Box<SignedHeader>, Declined>),
    Proven(Digest, Result<Box<Proven>, Declined>),
    Uploaded(Digest, Result<(u64, f32), UploadError>),
}

/// Why the work has ended.
pub(super) enum End {
    /// A signal asked for it.
    Asked(Signal),
    /// The owner has paused it, and everything that was sealed has found its end.
    Paused,
    /// Another roster is in force: everything is to be opened again under it.
    Renewed,
}

/// All state of a running client.
pub(super) struct Desk {
    outbound: OutboundLog,
    pause: Pause,
    /// Whether the pause was seen.
    is_paused: bool,
    participant: Participant,
    journal: Journal<ParticipantRecord>,
    stored: Stored,
    variates: Variates,
    workshop: Arc<Workshop>,
    link: Option<Linked<FromClient>>,
    linked: LinkedFile,
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
    roster: Arc<Roster>,
    own: PartyId,
    receipts: Receipts,
    compute: Compute,
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
        let (outbound, torn_bytes) = OutboundLog::open(&folder.path().join(outbound::FOLDER))?;
        let variates = Variates::open(&folder.path().join(VARIATES_FOLDER), &records);
        let variates = variates.map_err(|error| Failure::file(&error))?;
        let mut numbers = BTreeMap::new();
        for record in &records {
            if let ParticipantRecord::Sealed { run, round, round_ctx, .. } = record {
                numbers.insert(*round_ctx, *round);
                outbound.know(*round_ctx, *run, *round);
            }
        }
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
        let receipts = Receipts::open(folder.path()).map_err(|error| Failure::file(&error))?;
        let gate = Gate::open(config).map_err(|error| Failure::file(&error))?;
        let (bulk, link) = watch::channel(None);
        let (events, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        if torn_bytes > 0 {
            let what = format!(
                "the log of outbound messages ended in {torn_bytes} bytes of an entry that a crash \
                 tore; they were cut, and what they were about had not left"
            );
            // The channel is empty.
            let _ = events.try_send(Event::Fault { what });
        }
        let workshop = Arc::new(Workshop {
            identity: Arc::clone(membership.identity()),
            data: config.data.clone(),
            device: config.device,
            told_device: Mutex::new(compute.to_string()),
            gate,
            threads: threads(config),
            stored: stored.clone(),
            variates: variates.clone(),
            noise: NoiseKey::of(folder.path()),
            provers: Provers::new(Sketches::at(&folder.path().join(SKETCHES_FOLDER))),
            efforts: Efforts::new(folder.path(), config.policy.limits.report_compute),
            observer,
            bulk: link,
            events: events.clone(),
            bench: Mutex::default(),
        });
        let desk = Self {
            outbound,
            pause: Pause::of(folder.path()),
            is_paused: false,
            participant,
            journal,
            stored,
            variates,
            workshop,
            link: None,
            linked: LinkedFile::in_folder(folder.path()),
            bulk,
            tasks: JoinSet::new(),
            preparing: BTreeMap::new(),
            uploading: BTreeSet::new(),
            held_back: BTreeSet::new(),
            numbers,
            events,
            roster: Arc::clone(membership.roster()),
            own: membership.member().id,
            receipts,
            compute: compute.clone(),
            _folder: folder,
        };
        Ok((desk, waiting))
    }

    /// The loop. Ends when it was asked to, and what was being sent is sent; or with a new roster.
    pub(super) async fn work(
        &mut self,
        line: &mut Line<ToClient, FromClient>,
        events: &mut mpsc::Receiver<Event>,
        stop: &mut Stop,
        watch: &mut (dyn FnMut(Event) + Send),
    ) -> Result<End, Failure> {
        let outbound = self.outbound.clone();
        let mut looks = tokio::time::interval(PAUSE_LOOK);
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
                return Ok(End::Asked(signal));
            }
            if self.is_paused && draining.is_none() && !self.participant.has_sealed() {
                return Ok(End::Paused);
            }
            let mut halt = stop.clone();
            tokio::select! {
                signal = halt.halted() => return Ok(End::Asked(signal)),
                () = &mut drained => if let Some(signal) = draining {
                    return Ok(End::Asked(signal));
                },
                failure = outbound.failed() => return Err(failure),
                _ = looks.tick(), if draining.is_none() => self.look_for_pause(watch),
                signal = stop.draining(), if draining.is_none() => {
                    watch(Event::Draining);
                    self.participant.leave();
                    draining = Some(signal);
                    drained.as_mut().reset(tokio::time::Instant::now() + DRAIN);
                }
                event = line.event() => {
                    if matches!(event, Some(LineEvent::Failed(LinkError::Renewed { .. }))) {
                        return Ok(End::Renewed);
                    }
                    self.follow(event, draining.is_some(), watch)?;
                }
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
        self.bulk.send_replace(None);
        self.linked.unlinked();
        self.link.take().is_some()
    }

    /// What is shown everything before it leaves.
    pub(super) fn outbound(&self) -> Arc<dyn Egress> {
        Arc::new(self.outbound.clone())
    }

    /// Whether the owner has paused it and nothing is under way.
    pub(super) fn is_at_rest(&mut self) -> bool {
        self.is_paused = self.pause.is_set();
        self.is_paused && !self.participant.has_sealed()
    }

    /// Whether the owner's pause was seen.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Waits for the end of the pause.
    pub(super) async fn resumed(&mut self) {
        while self.pause.is_set() {
            tokio::time::sleep(PAUSE_LOOK).await;
        }
        self.is_paused = false;
    }

    fn look_for_pause(&mut self, watch: &mut (dyn FnMut(Event) + Send)) {
        let was_paused = std::mem::replace(&mut self.is_paused, self.pause.is_set());
        match (was_paused, self.is_paused) {
            (false, true) => {
                watch(Event::Pausing);
                self.participant.leave();
            }
            (true, false) => watch(Event::Resumed),
            _ => {}
        }
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
            Some(LineEvent::Message(ToClient::Recorded { about, record })) => {
                self.recorded(about, &record, watch);
            }
            Some(LineEvent::Message(message)) => self.participant.handle(now(), message),
            Some(LineEvent::Linked(linked)) => {
                self.linked.linked(&linked.address, &linked.way);
                let (address, way) = (linked.address.clone(), linked.way.clone());
                watch(Event::Linked { address, way });
                self.bulk.send_replace(Some(linked.bulk.clone()));
                for about in self.receipts.awaited() {
                    // A queue that is full drops it; it is asked for again by the next link.
                    let _ = linked.messages.try_send(FromClient::Unrecorded { about });
                }
                self.link = Some(linked);
            }
            Some(LineEvent::Lost(error)) => {
                self.link = None;
                self.linked.unlinked();
                self.bulk.send_replace(None);
                watch(Event::Unlinked { error: error.to_string(), retry_ms: None });
            }
            Some(LineEvent::Retry(error, wait)) => {
                let retry_ms = u64::try_from(wait.as_millis()).ok();
                watch(Event::Unlinked { error: error.to_string(), retry_ms });
            }
            Some(LineEvent::Failed(error)) => {
                let failed = self.outbound.failure();
                return Err(failed.unwrap_or_else(|| Failure::link(&error)));
            }
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
                    Ok((bytes, seconds)) => {
                        self.workshop.efforts.note(&round_ctx, |effort| effort.bytes_up += bytes);
                        watch(Event::Uploaded { round, bytes, seconds });
                    }
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
                self.outbound.know(round_ctx, config.run, config.round);
                self.preparing.insert(round_ctx, halt.clone());
                if self.is_paused {
                    let declined = Declined::new(Decline::Leaving, "paused by the owner");
                    self.tasks.spawn(async move { Done::Prepared(round_ctx, Err(declined)) });
                    return;
                }
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
                if let Err(error) = self.receipts.expect(&round_ctx) {
                    watch(Event::Fault { what: error.to_string() });
                }
                self.report(round_ctx);
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

    /// The receipt of a round, or of the credits of a run, has come.
    fn recorded(&self, about: Digest, record: &RecordBytes, watch: &mut (dyn FnMut(Event) + Send)) {
        let event = match self.receipts.take(&about, record, (&self.own, &self.roster)) {
            Ok(Kept { subject: Subject::Round { .. }, entry, .. }) => {
                Event::Recorded { round: self.round(about), entry }
            }
            Ok(Kept { subject: Subject::Credits { paid_micro }, run, entry }) => {
                Event::Credited { run, paid_micro, entry }
            }
            Err(bad) => Event::Fault { what: format!("{}: {bad}", about.short()) },
        };
        watch(event);
    }

    /// Tells the federation what a round took, where the owner wants that. Measured and signed beside the
    /// loop; a report that is lost is lost.
    fn report(&self, round_ctx: Digest) {
        let Some(link) = &self.link else { return };
        let (messages, workshop) = (link.messages.clone(), Arc::clone(&self.workshop));
        let roster = Arc::clone(&self.roster);
        let compute = self.compute.clone();
        tokio::task::spawn_blocking(move || {
            let own = (&*workshop.identity, &*roster);
            let statement = workshop.efforts.statement(&round_ctx, own, &compute, now());
            if let Some(statement) = statement {
                let _ = messages.try_send(FromClient::Report { round_ctx, statement });
            }
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

impl Drop for Desk {
    fn drop(&mut self) {
        // Before the lock of the state folder is given back.
        self.outbound.close();
    }
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
