//! The ledger, kept beside the rounds: what the coordinator's records say becomes entries, members'
//! statements become entries, key holders cosign, and owners get their receipts. It decides nothing about
//! rounds, and no round waits for it.
//!
//! - [`keeper`]: the single writer of the ledger
//! - [`sources`](self): what the records say
//! - [`export`]: a copy for everybody to check
//! - [`files`]: where the ledger's files are
//! - [`published`]: what is published, read by commands
//! - [`committee`](self): the key holders as witnesses
//!
//! # Decisions
//! - Entries follow from durable records, and each has a subject of its own: after a crash they are made
//!   again by the same code, and what is there already is left out.
//! - A statement is answered once it is committed; its cosignatures come after.
//! - An entry that the book refuses is not written, and the operator is told once.

mod committee;
pub mod export;
pub mod files;
mod founding;
pub mod keeper;
pub mod published;
mod sources;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::credit::Debt;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{NoteBytes, Phase};
use covey_aggregation::party::PartyId;
use covey_aggregation::research::StatementBytes;
use covey_ledger::book::Book;
use covey_ledger::entry::Traffic;
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use founding::Founding;
pub use keeper::{Keeper, KeeperParts};

/// Requests that wait for the keeper; beyond them those that nobody waits for are dropped.
const COMMANDS_MAX: usize = 1024;

/// Rounds of which is remembered what no record says, until they are entered.
const PASSING_MAX: usize = 64;

/// What the ledger has come to.
#[derive(Clone, Default)]
pub struct Shown {
    /// What it says; none before the committee is complete.
    pub book: Option<Arc<Book>>,
    /// What the part of it says that is published, with a quorum's cosignatures.
    pub published: Option<Arc<Book>>,
}

/// What the keeper is asked.
pub(crate) enum Command {
    /// A member states something.
    State { member: PartyId, statement: Vec<u8>, reply: oneshot::Sender<Result<u64, NotStated>> },
    /// A key holder has cosigned.
    Cosigned { holder: PartyId, line: Vec<u8> },
    /// A key holder has not.
    NotCosigned { holder: PartyId, size: Option<u64>, code: u16 },
    /// A key holder is there.
    Came { holder: PartyId },
    /// An owner lacks the receipt of a round, or of its credits of a run.
    Unrecorded { owner: PartyId, about: Digest },
    /// Answered once everything that is known now is published, or cannot be.
    Settle { reply: oneshot::Sender<()> },
}

/// Why a statement is not in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStated {
    /// The sender is at fault.
    #[error("{0}")]
    Refused(String),
    /// Not now.
    #[error("the ledger cannot be written now: {0}")]
    Busy(String),
}

/// The ledger, for those who have to do with it. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    commands: mpsc::Sender<Command>,
    look: Arc<Notify>,
    shown: watch::Receiver<Shown>,
    passing: Passing,
}

/// What no record says of a round, by its context.
pub(crate) type Passing = Arc<Mutex<BTreeMap<Digest, Passed>>>;

/// What a program that saw a round knows of it, and no record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How long its phases took, in milliseconds.
    pub phases_ms: Vec<(Phase, u64)>,
    /// Bytes over owners' links; none where this program did not see all of it.
    pub traffic: Option<Traffic>,
}

/// The keeper's ends.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) look: Arc<Notify>,
    pub(crate) shown: watch::Sender<Shown>,
    pub(crate) passing: Passing,
}

impl Ledger {
    /// A ledger that has no keeper yet.
    pub(crate) fn new() -> (Self, Ends) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (shown, watching) = watch::channel(Shown::default());
        let (look, passing) = (Arc::<Notify>::default(), Passing::default());
        let ends = Ends { commands, look: Arc::clone(&look), shown, passing: Arc::clone(&passing) };
        (Self { commands: sender, look, shown: watching, passing }, ends)
    }

    /// Something durable has happened that the ledger may not have.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// Remembers what no record says of a round, for its entry.
    pub fn note_passed(&self, round_ctx: Digest, passed: Passed) {
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if passing.len() >= PASSING_MAX {
            passing.pop_first();
        }
        passing.insert(round_ctx, passed);
    }

    /// What it has come to.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown.borrow().clone()
    }

    /// What it has come to, as that changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Shown> {
        self.shown.clone()
    }

    /// Records a member's statement; the number of its entry.
    ///
    /// # Errors
    /// [`NotStated`].
    pub async fn state(&self, member: PartyId, statement: Vec<u8>) -> Result<u64, NotStated> {
        let stopping = || NotStated::Busy("the program is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        let command = Command::State { member, statement, reply };
        self.commands.send(command).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Records what an owner reports; nobody is told whether that worked.
    pub fn report(&self, member: PartyId, statement: &StatementBytes) {
        let (reply, _) = oneshot::channel();
        let statement = statement.as_bytes().to_vec();
        self.say(Command::State { member, statement, reply });
    }

    /// A key holder's cosignature.
    pub fn cosigned(&self, holder: PartyId, line: &NoteBytes) {
        self.say(Command::Cosigned { holder, line: line.as_bytes().to_vec() });
    }

    /// A key holder does not cosign.
    pub fn not_cosigned(&self, holder: PartyId, size: Option<u64>, code: u16) {
        self.say(Command::NotCosigned { holder, size, code });
    }

    /// A key holder is there.
    pub fn came(&self, holder: PartyId) {
        self.say(Command::Came { holder });
    }

    /// An owner lacks the receipt of a round, or of its credits of a run.
    pub fn unrecorded(&self, owner: PartyId, about: Digest) {
        self.say(Command::Unrecorded { owner, about });
    }

    /// Waits until everything that is known now is in the ledger and published, or cannot be: then the
    /// operator was told.
    pub async fn settled(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Settle { reply }).await.is_ok() {
            // A keeper that is gone has said why.
            let _ = answer.await;
        }
    }

    /// What owners owe from the settlements before that of a run.
    #[must_use]
    pub fn debts_into(&self, run: &Digest) -> Vec<Debt> {
        let Some(book) = self.shown.borrow().book.clone() else { return Vec::new() };
        match book.run(run).and_then(|run| run.credits.as_ref()) {
            Some(credits) => credits.carried.clone(),
            None => book.debts().to_vec(),
        }
    }

    /// Nobody waits for the outcome: where the keeper does not keep up it is asked again.
    fn say(&self, command: Command) {
        let _ = self.commands.try_send(command);
    }
}
