//! The single writer of the ledger: drives the log's machine, keeps the book, asks the witnesses, and
//! sends receipts.
//!
//! - [`catching_up`](self): from records to entries
//! - [`writing`](self): what the log's machine wants done
//! - [`paying`](self): payouts that the operator wants
//! - [`receipts`](self): what owners are sent

mod catching_up;
mod paying;
mod receipts;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::BACKOFF_MAX_MS;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::signing::Identity;
use covey_ledger::book::Book;
use covey_ledger::log::{Log, OpenError};
use covey_ledger::quorum::Quorum;
use covey_ledger::statement::Signed;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::committee::Witnesses;
use super::files::LedgerFiles;
use super::sources::Sources;
use super::{Command, Ends, Founding, NotStated};
use crate::clock::Clock;
use crate::driver::Events;
use crate::event::Event;
use crate::registrar::Registrar;
use crate::session::Input;
use crate::storage::StorageError;
use crate::storage::blobs::Depot;
use crate::storage::place::Databases;
use crate::storage::registry::{NotSwapped, Registry};

/// How often witnesses that have not cosigned are asked again, and decisions that are due and payouts that
/// are wanted are looked for.
const TICK: Duration = Duration::from_secs(1);

/// How long the program waits at its end for the last checkpoint to be cosigned: key holders may have to dial
/// again first.
const SETTLE: Duration = Duration::from_millis(BACKOFF_MAX_MS);

/// Why the ledger is not kept any further.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk or the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another program writes it.
    #[error(transparent)]
    Lock(#[from] NotSwapped),
    /// The stored ledger cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// The stored ledger is not whole.
    #[error("the ledger's files are damaged: {0}")]
    Damaged(String),
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Storage(error) | LedgerError::Lock(NotSwapped::Storage(error)) => {
                error.into()
            }
            other => Self::new(Exit::Failed, "LEDGER", other).with_help(
                "restore the state folder from a backup, or take the ledger's files from whoever \
                 has a copy of what is published",
            ),
        }
    }
}

/// What a keeper is made of.
pub struct KeeperParts {
    /// This coordinator's key.
    pub identity: Arc<Identity>,
    /// Who joins and leaves.
    pub registrar: Arc<Registrar>,
    /// Runs, and the ledger's lock.
    pub registry: Arc<Mutex<Registry>>,
    /// Where stores are.
    pub databases: Databases,
    /// The state folder.
    pub state_dir: PathBuf,
    /// Where bulk bytes are.
    pub depot: Depot,
    /// What a federation's ledger begins with.
    pub founding: Founding,
    /// Time.
    pub clock: Clock,
    /// To the driver.
    pub inputs: mpsc::Sender<Input>,
    /// To the operator.
    pub events: Events,
}

/// The keeper.
pub struct Keeper {
    ends: Ends,
    identity: Arc<Identity>,
    registry: Arc<Mutex<Registry>>,
    registrar: Arc<Registrar>,
    files: LedgerFiles,
    sources: Sources,
    founding: Founding,
    clock: Clock,
    inputs: mpsc::WeakSender<Input>,
    events: Events,
    /// None before the committee is complete.
    open: Option<Opened>,
    witnesses: Witnesses,
    /// Owners that lack a receipt, by the round's context or the run that it is about.
    lacking: BTreeMap<Digest, BTreeSet<PartyId>>,
    /// What the operator was told already.
    told: BTreeSet<String>,
    settling: Vec<(oneshot::Sender<()>, Instant)>,
}

/// An open ledger.
struct Opened {
    log: Log,
    /// None before the founding. Shared with those who read; a batch makes one copy.
    book: Option<Arc<Book>>,
    /// Entries that owners get receipts of: rounds by their contexts, credits by their runs.
    receipted: BTreeMap<Digest, u64>,
}

impl Keeper {
    /// A keeper that has not begun.
    pub(crate) fn new(parts: KeeperParts, ends: Ends) -> Self {
        let KeeperParts { identity, registrar, registry, databases, state_dir, depot, .. } = parts;
        let sources = Sources {
            registrar: Arc::clone(&registrar),
            registry: Arc::clone(&registry),
            databases,
            state_dir,
            depot: depot.clone(),
            coordinator: identity.id(),
        };
        Self {
            ends,
            identity,
            registry,
            registrar,
            files: LedgerFiles::new(depot),
            sources,
            founding: parts.founding,
            clock: parts.clock,
            inputs: parts.inputs.downgrade(),
            events: parts.events,
            open: None,
            witnesses: Witnesses::default(),
            lacking: BTreeMap::new(),
            told: BTreeSet::new(),
            settling: Vec::new(),
        }
    }

    /// Keeps the ledger until nobody can ask anything any more, or it cannot be kept: then the driver is
    /// told.
    pub async fn keep(mut self) {
        if let Err(error) = self.work().await {
            let failure = Box::new(Failure::from(error));
            if let Some(inputs) = self.inputs.upgrade() {
                // A driver that is gone has heard of it otherwise.
                let _ = inputs.send(Input::LedgerLost(failure)).await;
            }
        }
    }

    async fn work(&mut self) -> Result<(), LedgerError> {
        let mut tick = Instant::now();
        self.catch_up().await?;
        loop {
            let look = Arc::clone(&self.ends.look);
            tokio::select! {
                biased;
                command = self.ends.commands.recv() => match command {
                    Some(command) => self.take(command).await?,
                    None => return Ok(()),
                },
                () = look.notified() => self.catch_up().await?,
                () = sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    self.write_due().await?;
                    self.pay().await?;
                    self.ask_witnesses().await;
                }
            }
            self.answer_settled();
        }
    }

    async fn take(&mut self, command: Command) -> Result<(), LedgerError> {
        match command {
            Command::State { member, statement, reply } => {
                let answer = self.state(&member, &statement).await?;
                // Whoever asked may be gone.
                let _ = reply.send(answer);
            }
            Command::Cosigned { holder, line } => self.cosigned(holder, &line).await?,
            Command::NotCosigned { holder, size, code } => {
                let (again, is_new) = self.witnesses.refused(holder, size, code);
                if is_new {
                    let (name, code) = (self.name_of(&holder), code);
                    self.tell(&Event::NotCosigned { name, size, code });
                }
                if again {
                    self.greet(holder).await;
                }
            }
            Command::Came { holder } => self.greet(holder).await,
            Command::Unrecorded { owner, about } => self.unrecorded(owner, about).await,
            Command::Settle { reply } => {
                self.catch_up().await?;
                self.settling.push((reply, Instant::now() + SETTLE));
            }
        }
        Ok(())
    }

    /// Records a member's statement, durably.
    async fn state(
        &mut self,
        member: &PartyId,
        statement: &[u8],
    ) -> Result<Result<u64, NotStated>, LedgerError> {
        let refused = |why: String| Ok(Err(NotStated::Refused(why)));
        let signed = match Signed::parse(statement) {
            Ok(signed) if signed.statement.member == *member => signed,
            Ok(_) => return refused("the statement is another member's".to_owned()),
            Err(bad) => return refused(bad.to_string()),
        };
        let body = signed.into_body();
        let known = self.book().and_then(|book| book.entry_about(&body.subject()));
        if let Some(index) = known {
            return match self.entry(index).is_some_and(|entry| entry.body == body) {
                true => Ok(Ok(index)),
                false => refused("another statement has this number already".to_owned()),
            };
        }
        let mut batch = Vec::new();
        let mut entered = self.enter(body.clone(), &mut batch);
        if entered.is_err() {
            // It may be about a member or a round that the records have and the ledger not yet.
            self.catch_up().await?;
            entered = self.enter(body, &mut batch);
        }
        let index = match entered {
            Ok(index) => index,
            Err(no) => return Ok(Err(no)),
        };
        self.append(batch).await?;
        self.write_due().await?;
        Ok(Ok(index))
    }

    fn book(&self) -> Option<&Book> {
        self.open.as_ref()?.book.as_deref()
    }

    fn quorum(&self) -> Option<Quorum> {
        Quorum::of_roster(&self.registrar.guests().now().certified.roster).ok()
    }

    /// Everybody is told what there is now.
    fn show(&self) {
        let Some(open) = &self.open else { return };
        let book = open.book.clone();
        let size = open.log.published();
        let is_published = book.as_ref().is_some_and(|book| book.size() == size);
        self.ends.shown.send_modify(|shown| {
            if is_published {
                shown.published.clone_from(&book);
            }
            shown.book = book;
        });
    }

    /// Answers those who wait for the ledger to be published.
    fn answer_settled(&mut self) {
        let is_published =
            self.open.as_ref().is_none_or(|open| open.log.published() == open.log.size());
        let now = Instant::now();
        let (mut waiting, mut late) = (Vec::new(), false);
        for (reply, until) in std::mem::take(&mut self.settling) {
            if is_published || now >= until {
                late |= !is_published;
                // Whoever asked may be gone.
                let _ = reply.send(());
            } else {
                waiting.push((reply, until));
            }
        }
        self.settling = waiting;
        if late && let Some(open) = &self.open {
            let standing = open.log.standing();
            let (size, got, needed) = (open.log.size(), standing.got, standing.needed);
            self.tell(&Event::LedgerOpen { size, got, needed });
        }
    }

    fn name_of(&self, id: &PartyId) -> Option<Name> {
        let now = self.registrar.guests().now();
        now.certified.roster.member(id).map(|member| member.name.clone())
    }

    fn holders(&self) -> Vec<PartyId> {
        let now = self.registrar.guests().now();
        now.certified.roster.with_role(Role::Holder).map(|holder| holder.id).collect()
    }

    fn tell(&self, event: &Event) {
        (self.events)(event);
    }

    /// Tells the operator something for the first time.
    fn tell_once(&mut self, what: String, event: &Event) {
        if self.told.insert(what) {
            self.tell(event);
        }
    }
}
