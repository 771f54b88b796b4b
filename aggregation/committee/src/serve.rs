//! The key holder at work: dials the coordinator, answers its questions, forever.
//!
//! Every answer goes the same way: the machine decides, its records are stored durably, and only
//! then do its messages leave. What is lost with a link is asked for again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::holder::{Holder, HolderEffect, HolderSetup};
use covey_aggregation::message::{FromHolder, Outcome, ToHolder};
use covey_aggregation::net::{ControlSender, Dialer, Link, LinkError, Membership};
use covey_aggregation::party::Role;
use covey_aggregation::program::journal::JournalError;
use covey_aggregation::program::{Exit, Failure, Journal, Signal, StateFolder, Stop};
use covey_aggregation::record::HolderRecord;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::config::Config;
use crate::sealing;
use crate::status::JOURNAL_FILE;

/// How long a draining holder waits for the rounds under way.
const DRAIN: Duration = Duration::from_secs(120);

/// Answers on their way out. One question has one answer, so a full queue only means that the
/// coordinator reads slowly; then no more questions are taken.
const ANSWERS_WAITING_MAX: usize = 64;

/// What a holder tells whoever watches it.
#[derive(Debug)]
pub enum Event {
    /// It has its keys and records.
    Ready {
        /// Its name.
        name: String,
        /// Its seat, from 0.
        seat: u8,
        /// Records stored.
        records: u64,
    },
    /// It has a link.
    Linked {
        /// The coordinator's address.
        address: String,
    },
    /// It has none.
    Unlinked {
        /// Why.
        error: String,
        /// The next attempt.
        wait: Option<Duration>,
    },
    /// It signed something.
    Signed(HolderRecord),
    /// It said no.
    Refused(String),
    /// A round has ended, says the coordinator.
    Ended(Outcome),
    /// It was asked to stop.
    Draining {
        /// Rounds under way.
        rounds: usize,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { name, seat, records } => {
                write!(f, "holder {name}, seat {seat}, {records} records")
            }
            Self::Linked { address } => write!(f, "linked to the coordinator at {address}"),
            Self::Unlinked { error, wait: Some(wait) } => {
                write!(f, "no link: {error}; again in {:.1} s", wait.as_secs_f32())
            }
            Self::Unlinked { error, wait: None } => write!(f, "the link ended: {error}"),
            Self::Signed(HolderRecord::Countersigned { round, round_ctx, .. }) => {
                write!(f, "round {round} ({}): terms countersigned", round_ctx.short())
            }
            Self::Signed(HolderRecord::Voted { round_ctx, set, .. }) => {
                write!(f, "({}): voted for set {}", round_ctx.short(), set.short())
            }
            Self::Signed(HolderRecord::Released { round_ctx, set, .. }) => {
                write!(f, "({}): released the key of set {}", round_ctx.short(), set.short())
            }
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Ended(Outcome::Done(report)) => {
                write!(f, "round done, {} contributions", report.counted.len())
            }
            Self::Ended(Outcome::Abandoned { reason, .. }) => {
                write!(f, "round abandoned: {reason}")
            }
            Self::Draining { rounds } => write!(
                f,
                "stopping once the {rounds} round(s) under way have ended; ask again to stop at once"
            ),
        }
    }
}

/// Serves until asked to stop; returns what asked.
///
/// # Errors
/// [`Failure`] when this holder cannot work: its files, its state, or a coordinator that a person
/// has to do something about before there ever was a link.
pub async fn serve(
    config: &Config,
    mut stop: Stop,
    watch: &mut (dyn FnMut(Event) + Send),
) -> Result<Signal, Failure> {
    let membership = Membership::load(&config.folder);
    let membership = Arc::new(membership.map_err(|error| Failure::identity(&error))?);
    membership
        .require(Role::Holder)
        .map_err(|error| Failure::new(Exit::NoAccess, "IDENTITY", error))?;
    let folder = StateFolder::open(&config.state)?;
    let mut desk = Desk::open(config, &membership, folder)?;
    watch(Event::Ready {
        name: membership.member().name.to_string(),
        seat: desk.holder.seat().0,
        records: desk.journal.len(),
    });
    let mut dialer = Dialer::new(membership, config.coordinator.clone())
        .map_err(|error| Failure::link(&error))?;
    loop {
        let retry = |error: &LinkError, wait| {
            watch(Event::Unlinked { error: error.to_string(), wait: Some(wait) });
        };
        let link = tokio::select! {
            signal = stop.draining() => return Ok(signal),
            link = dialer.connect(retry) => link.map_err(|error| Failure::link(&error))?,
        };
        watch(Event::Linked { address: link.links.remote_address().to_string() });
        let (back, end) = answer(desk, link, &mut stop, watch).await?;
        desk = back;
        match end {
            End::Stopped(signal) => {
                dialer.close().await;
                return Ok(signal);
            }
            End::Lost(error) => {
                watch(Event::Unlinked { error: error.to_string(), wait: None });
            }
        }
    }
}

/// How a link ended.
enum End {
    Stopped(Signal),
    Lost(LinkError),
}

/// Answers the questions of one link.
async fn answer(
    mut desk: Desk,
    link: Link,
    stop: &mut Stop,
    watch: &mut (dyn FnMut(Event) + Send),
) -> Result<(Desk, End), Failure> {
    let Link { mut receiver, sender, .. } = link;
    let (answers, queue) = mpsc::channel(ANSWERS_WAITING_MAX);
    let mut writer = tokio::spawn(write(sender, queue));
    let mut draining = None;
    loop {
        if let Some((signal, _)) = draining
            && desk.holder.rounds_held() == 0
        {
            drop(answers);
            // What was decided shall leave; the writer gives up by itself when it makes no
            // progress.
            let _ = writer.await;
            return Ok((desk, End::Stopped(signal)));
        }
        let deadline = async {
            match draining {
                Some((signal, until)) => {
                    tokio::time::sleep_until(until).await;
                    signal
                }
                None => std::future::pending().await,
            }
        };
        let mut halt = stop.clone();
        tokio::select! {
            signal = halt.halted() => return Ok((desk, End::Stopped(signal))),
            signal = deadline => return Ok((desk, End::Stopped(signal))),
            signal = stop.draining(), if draining.is_none() => {
                draining = Some((signal, tokio::time::Instant::now() + DRAIN));
                watch(Event::Draining { rounds: desk.holder.rounds_held() });
            }
            ended = &mut writer => return Ok((desk, End::Lost(ended.unwrap_or(LinkError::ClosedHere)))),
            message = receiver.receive::<ToHolder>() => {
                let message = match message {
                    Ok(Some(message)) => message,
                    Ok(None) => return Ok((desk, End::Lost(LinkError::Truncated))),
                    Err(error) => return Ok((desk, End::Lost(error))),
                };
                if draining.is_some() && matches!(message, ToHolder::Propose { .. }) {
                    continue;
                }
                if let ToHolder::Ended { outcome, .. } = &message {
                    watch(Event::Ended(outcome.clone()));
                }
                let (back, done) = desk.work(message).await?;
                desk = back;
                done.records.into_iter().for_each(|record| watch(Event::Signed(record)));
                for message in done.messages {
                    if let FromHolder::Refused { refusal, .. } = &message {
                        watch(Event::Refused(refusal.to_string()));
                    }
                    if answers.send(message).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// Sends answers until there are none or the link fails.
async fn write(mut sender: ControlSender, mut queue: mpsc::Receiver<FromHolder>) -> LinkError {
    while let Some(message) = queue.recv().await {
        if let Err(error) = sender.send(&message).await {
            return error;
        }
    }
    // What was sent last is still on its way; closing at once would drop it.
    sleep(Duration::from_millis(200)).await;
    LinkError::ClosedHere
}

/// The machine and its records.
struct Desk {
    holder: Holder,
    journal: Journal<HolderRecord>,
    _folder: StateFolder,
}

/// What came of one question.
struct Done {
    records: Vec<HolderRecord>,
    messages: Vec<FromHolder>,
}

impl Desk {
    fn open(
        config: &Config,
        membership: &Membership,
        folder: StateFolder,
    ) -> Result<Self, Failure> {
        let secret =
            sealing::load(&config.folder).map_err(|error| Failure::identity(&error))?.into();
        let path: PathBuf = folder.path().join(JOURNAL_FILE);
        let (journal, records) = Journal::open(&path, &membership.member().id)?;
        let setup = HolderSetup {
            identity: Arc::clone(membership.identity()),
            secret,
            roster: membership.roster().as_ref().clone(),
        };
        let holder = Holder::new(setup, records)
            .map_err(|error| Failure::new(Exit::Failed, "HOLDER", error))?;
        Ok(Self { holder, journal, _folder: folder })
    }

    /// Answers one message on a thread that may compute and wait for the disk.
    async fn work(mut self, message: ToHolder) -> Result<(Self, Done), Failure> {
        let worked = tokio::task::spawn_blocking(move || {
            let done = self.answer(message);
            (self, done)
        });
        let (desk, done) = worked
            .await
            .map_err(|error| Failure::new(Exit::Failed, "BUG", format!("the holder: {error}")))?;
        Ok((desk, done?))
    }

    fn answer(&mut self, message: ToHolder) -> Result<Done, JournalError> {
        self.holder.handle(message);
        let mut done = Done { records: Vec::new(), messages: Vec::new() };
        loop {
            let mut waiting = Vec::new();
            while let Some(effect) = self.holder.poll_effect() {
                match effect {
                    HolderEffect::Append { sequence, record } => waiting.push((sequence, record)),
                    HolderEffect::Send(message) => done.messages.push(message),
                }
            }
            let Some(last) = self.journal.append(&waiting)? else { return Ok(done) };
            self.holder.handle_stored(last);
            done.records.extend(waiting.into_iter().map(|(_, record)| record));
        }
    }
}
