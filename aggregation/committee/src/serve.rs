//! The key holder at work: dials the coordinator, answers its questions, forever.
//!
//! Every answer goes the same way: the machine decides, its records are stored durably, and only
//! then do its messages leave. What is lost with a link is asked for again.

use covey_aggregation::net::Boxed;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::audit::rereading::Signed;
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Approval, DirectionQuestion, Holder, HolderEffect, HolderSetup};
use covey_aggregation::message::{FromHolder, Outcome, Refusal, ToHolder};
use covey_aggregation::net::{Dialer, LinkError, Membership, Route, Way};
use covey_aggregation::party::Role;
use covey_aggregation::program::line::{Line, LineEvent, Linked};
use covey_aggregation::program::linked::LinkedFile;
use covey_aggregation::program::renewal::Renewal;
use covey_aggregation::program::{Exit, Failure, Journal, Signal, StateFolder, Stop};
use covey_aggregation::record::HolderRecord;
use covey_aggregation::roster::Roster;
use tokio::time::timeout;

use crate::approvals::Approvals;
use crate::config::Config;
use crate::directing::{Directed, Directions};
use crate::rereads::{Reread, Rereads};
use crate::sealing;
use crate::status::JOURNAL_FILE;
use crate::witnessing::{Witnessed, Witnessing};

/// How long a draining holder waits for the rounds under way.
const DRAIN: Duration = Duration::from_secs(120);

/// How long what was decided last has to leave when the holder stops.
const FLUSH: Duration = Duration::from_secs(2);

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
        /// Number of its roster.
        roster: u32,
    },
    /// It has a link.
    Linked {
        /// The coordinator's address.
        address: String,
        /// What carries it, and why.
        way: Way,
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
    /// It cosigned a checkpoint of the ledger, with so many entries.
    Cosigned {
        /// So many.
        size: u64,
    },
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
            Self::Ready { name, seat, records, roster } => {
                write!(f, "holder {name}, seat {seat}, {records} records, roster {roster}")
            }
            Self::Linked { address, way } => {
                write!(f, "linked to the coordinator at {address} by {way}")
            }
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
            Self::Signed(HolderRecord::Listed { round_ctx, list, .. }) => {
                write!(f, "({}): holds all proofs of list {}", round_ctx.short(), list.short())
            }
            Self::Signed(HolderRecord::Judged { round_ctx, verdict, .. }) => {
                write!(f, "({}): verdict {}", round_ctx.short(), verdict.short())
            }
            Self::Signed(HolderRecord::Released { round_ctx, set, .. }) => {
                write!(f, "({}): released the key of set {}", round_ctx.short(), set.short())
            }
            Self::Signed(HolderRecord::Numbered { round_ctx, .. }) => {
                write!(f, "({}): opened the credit's numbers", round_ctx.short())
            }
            Self::Signed(HolderRecord::Attested { round_ctx, opened, .. }) => {
                let folds = if *opened == 1 { "fold" } else { "folds" };
                let round = round_ctx.short();
                write!(f, "({round}): attested the evidence; {opened} {folds} of the pool opened")
            }
            Self::Signed(HolderRecord::Approved { number, roster }) => {
                write!(f, "signed roster {number} ({})", roster.short())
            }
            Self::Cosigned { size } => write!(f, "cosigned the ledger of {size} entries"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Ended(Outcome::Done(report)) => {
                write!(f, "round done, {} contributions", report.counted.len())
            }
            Self::Ended(Outcome::Abandoned { reason, .. }) => {
                write!(f, "round abandoned: {reason}")
            }
            Self::Draining { rounds } => write!(
                f,
                "stopping once the {rounds} round(s) under way have ended; ask again to stop at \
                 once"
            ),
        }
    }
}

/// Serves until asked to stop; returns what asked.
///
/// # Errors
/// [`Failure`] when this holder cannot work: its files, its state, or a coordinator that a person
/// has to do something about before there ever was a link.
pub fn serve<'a>(
    config: &'a Config,
    stop: Stop,
    watch: &'a mut (dyn FnMut(Event) + Send),
) -> Boxed<'a, Result<Signal, Failure>> {
    Box::pin(serve_rosters(config, stop, watch))
}

async fn serve_rosters(
    config: &Config,
    mut stop: Stop,
    watch: &mut (dyn FnMut(Event) + Send),
) -> Result<Signal, Failure> {
    let route = config.route();
    loop {
        // As after a start whenever another roster is in force: what matters is on the disk.
        let worked = serve_roster(config, &route, &mut stop, watch).await?;
        if let Worked::Stopped(signal) = worked {
            return Ok(signal);
        }
    }
}

/// Why a holder has stopped serving under a roster.
enum Worked {
    /// It was asked to.
    Stopped(Signal),
    /// Another one is in force.
    Renewed,
}

/// Serves under the roster that is on the disk.
async fn serve_roster(
    config: &Config,
    route: &Route,
    stop: &mut Stop,
    watch: &mut (dyn FnMut(Event) + Send),
) -> Result<Worked, Failure> {
    let membership = Membership::load(&config.folder);
    let membership = Arc::new(membership.map_err(|error| Failure::identity(&error))?);
    membership
        .require(Role::Holder)
        .map_err(|error| Failure::new(Exit::NoAccess, "IDENTITY", error))?;
    let folder = StateFolder::open(&config.state)?;
    let mut desk = Desk::open(config, &membership, folder)?;
    let linked_file = LinkedFile::in_folder(&config.state);
    watch(Event::Ready {
        name: membership.member().name.to_string(),
        seat: desk.holder.seat().0,
        records: desk.journal.len(),
        roster: membership.roster().number,
    });
    let _renewal = Renewal::begin(Arc::clone(&membership), route.clone(), None);
    let dialer = Dialer::new(membership, route);
    let mut line = Line::open(dialer.map_err(|error| Failure::link(&error))?);
    let mut link: Option<Linked<FromHolder>> = None;
    let mut draining: Option<Signal> = None;
    let drained = tokio::time::sleep(Duration::MAX);
    tokio::pin!(drained);
    let worked = loop {
        // Without a link nothing can be brought to an end; what is under way goes on when the
        // holder starts again.
        if let Some(signal) = draining
            && (link.is_none() || desk.holder.rounds_held() == 0)
        {
            break Worked::Stopped(signal);
        }
        let mut halt = stop.clone();
        tokio::select! {
            signal = halt.halted() => break Worked::Stopped(signal),
            () = &mut drained => if let Some(signal) = draining {
                break Worked::Stopped(signal);
            },
            signal = stop.draining(), if draining.is_none() => {
                watch(Event::Draining { rounds: desk.holder.rounds_held() });
                draining = Some(signal);
                drained.as_mut().reset(tokio::time::Instant::now() + DRAIN);
            }
            event = line.event() => match follow(event, (&mut link, &linked_file), watch)? {
                Heard::Nothing => {}
                Heard::Renewed => break Worked::Renewed,
                Heard::Message(message) => {
                    if let Some(work) = desk.work_of(message, draining.is_some())? {
                        desk = desk.work(work, link.as_ref(), watch).await?;
                    }
                }
            },
            Some(reread) = desk.rereads.next() => {
                desk = desk.work(Work::Reread(reread), link.as_ref(), watch).await?;
            }
            Some(directed) = desk.directions.next() => {
                desk = desk.work(Work::Directed(directed), link.as_ref(), watch).await?;
            }
        }
    };
    if link.take().is_some() {
        // Without a sender the line sends what is in its queue, and says that it has ended. What
        // does not leave in time is asked for again.
        let ended = |event| matches!(event, None | Some(LineEvent::Lost(_)));
        let rest = async { while !ended(line.event().await) {} };
        let _ = timeout(FLUSH, rest).await;
    }
    line.close().await;
    Ok(worked)
}

/// What the line says.
enum Heard {
    Nothing,
    Message(Box<ToHolder>),
    /// Another roster is in force.
    Renewed,
}

/// Follows the line; returns a message to answer.
fn follow(
    event: Option<LineEvent<ToHolder, FromHolder>>,
    (link, file): (&mut Option<Linked<FromHolder>>, &LinkedFile),
    watch: &mut (dyn FnMut(Event) + Send),
) -> Result<Heard, Failure> {
    match event {
        Some(LineEvent::Message(message)) => {
            if let ToHolder::Ended { outcome, .. } = &message {
                watch(Event::Ended(outcome.clone()));
            }
            return Ok(Heard::Message(Box::new(message)));
        }
        Some(LineEvent::Linked(linked)) => {
            file.linked(&linked.address, &linked.way);
            watch(Event::Linked { address: linked.address.clone(), way: linked.way.clone() });
            *link = Some(linked);
        }
        Some(LineEvent::Lost(error)) => {
            *link = None;
            file.unlinked();
            watch(Event::Unlinked { error: error.to_string(), wait: None });
        }
        Some(LineEvent::Retry(error, wait)) => {
            watch(Event::Unlinked { error: error.to_string(), wait: Some(wait) });
        }
        Some(LineEvent::Failed(LinkError::Renewed { .. })) => return Ok(Heard::Renewed),
        Some(LineEvent::Failed(error)) => return Err(Failure::link(&error)),
        None => return Err(Failure::link(&LinkError::ClosedHere)),
    }
    Ok(Heard::Nothing)
}

/// The machine and its records.
struct Desk {
    holder: Holder,
    journal: Journal<HolderRecord>,
    rereads: Rereads,
    directions: Directions,
    approvals: Approvals,
    witnessing: Witnessing,
    /// Rosters that a person was told of.
    undecided: BTreeSet<Digest>,
    _folder: StateFolder,
}

/// What the machine is given.
enum Work {
    /// A message to answer.
    Answer(Box<ToHolder>),
    /// A contribution that was read again.
    Reread(Reread),
    /// Directions that were computed.
    Directed(Directed),
    /// A roster to sign, and what is said of it.
    Approve(Box<Roster>, Approval),
}

/// What came of one question.
#[derive(Default)]
struct Done {
    records: Vec<HolderRecord>,
    messages: Vec<FromHolder>,
    /// Rounds with what to read again.
    unread: Vec<(Digest, Vec<Signed>)>,
    /// Rounds whose directions are to be computed.
    undirected: Vec<(Digest, Box<DirectionQuestion>)>,
    /// What the witness said.
    witnessed: Option<Witnessed>,
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
        let directions = Directions::new(config.validation_data.clone());
        let approvals = Approvals::new(folder.path(), config.members.approve);
        let witnessing = Witnessing::open(folder.path(), membership, config.accept_loss)?;
        Ok(Self {
            holder,
            journal,
            rereads: Rereads::default(),
            directions,
            approvals,
            witnessing,
            undecided: BTreeSet::new(),
            _folder: folder,
        })
    }

    /// What a message asks for; nothing of a new round while it is stopping.
    fn work_of(&self, message: Box<ToHolder>, is_draining: bool) -> Result<Option<Work>, Failure> {
        Ok(match *message {
            ToHolder::Propose { .. } if is_draining => None,
            ToHolder::Approve { roster } => {
                let approval = self.approvals.ask(self.holder.roster(), &roster);
                let approval = approval.map_err(|error| Failure::file(&error))?;
                Some(Work::Approve(roster, approval))
            }
            _ => Some(Work::Answer(message)),
        })
    }

    /// Does one thing, on a thread that may compute and wait for the disk.
    async fn work(
        mut self,
        work: Work,
        link: Option<&Linked<FromHolder>>,
        watch: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Self, Failure> {
        let worked = tokio::task::spawn_blocking(move || {
            let done = self.answer(work);
            (self, done)
        });
        let (mut desk, done) = worked
            .await
            .map_err(|error| Failure::new(Exit::Failed, "BUG", format!("the holder: {error}")))?;
        let mut done = done?;
        done.records.into_iter().for_each(|record| watch(Event::Signed(record)));
        if let Some(Witnessed { message, outcome }) = done.witnessed {
            done.messages.push(message);
            watch(match outcome {
                Ok(size) => Event::Cosigned { size },
                Err(why) => Event::Refused(why),
            });
        }
        for message in done.messages {
            if let FromHolder::Refused { round_ctx, refusal } = &message {
                // Asked every second while a person thinks: said once.
                if *refusal != Refusal::Undecided || desk.undecided.insert(*round_ctx) {
                    watch(Event::Refused(refusal.to_string()));
                }
            }
            if let Some(link) = link {
                // Fails when the link is lost: the coordinator will ask again.
                let _ = link.messages.send(message).await;
            }
        }
        for (round_ctx, contributions) in done.unread {
            let rereading = desk.holder.rereading(&round_ctx);
            if let (Some(link), Some(rereading)) = (link, rereading) {
                desk.rereads.begin(&link.bulk, round_ctx, rereading, contributions);
            }
        }
        for (round_ctx, question) in done.undirected {
            if let Some(link) = link {
                desk.directions.begin(&link.bulk, round_ctx, question);
            }
        }
        Ok(desk)
    }

    fn answer(&mut self, work: Work) -> Result<Done, Failure> {
        let mut done = Done::default();
        match work {
            Work::Answer(message) => {
                done.witnessed = self.witnessing.answer(&message)?;
                self.holder.handle(*message);
            }
            Work::Reread(Reread { round_ctx, header, public }) => {
                self.holder.handle_reread(&round_ctx, &header, public);
            }
            Work::Directed(Directed { round_ctx, own }) => {
                self.holder.handle_directed(&round_ctx, own);
            }
            Work::Approve(roster, approval) => self.holder.handle_roster(&roster, approval),
        }
        loop {
            let mut waiting = Vec::new();
            while let Some(effect) = self.holder.poll_effect() {
                match effect {
                    HolderEffect::Append { sequence, record } => waiting.push((sequence, record)),
                    HolderEffect::Send(message) => done.messages.push(message),
                    HolderEffect::Reread { round_ctx, contributions } => {
                        done.unread.push((round_ctx, contributions));
                    }
                    HolderEffect::Direct { round_ctx, question } => {
                        done.undirected.push((round_ctx, question));
                    }
                }
            }
            let Some(last) = self.journal.append(&waiting)? else { return Ok(done) };
            self.holder.handle_stored(last);
            done.records.extend(waiting.into_iter().map(|(_, record)| record));
        }
    }
}
