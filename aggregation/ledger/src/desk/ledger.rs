//! `ledger`: everything that a ledger says, checked offline. Every answer tells what was *checked* (computed
//! again here), what is *attested* by a quorum of the key holders, and what is only *asserted*; any doubt
//! is exit code 6.

mod credits;
mod entry;
mod round;
mod whole;

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use covey_aggregation::program::Failure;
use serde::Serialize;

pub use self::credits::{Credits, Owner, credits};
pub use self::entry::{EntryView, entry, receipt};
pub use self::round::{RoundView, round};
pub use self::whole::{Counts, Verified, whole};

use super::payout::{Verifying, Wanted};
use super::source::{Open, Pinned, Shelf, Source, open};
use super::{Answer, Desk, payout};
use crate::entry::Entry;
use crate::verify::{Doubt, Line, statements};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  ledger verify ./published --roster roster.json
  ledger verify ./bundle --roster roster.json --checkpoint ./last-month/checkpoint --statements
  ledger entry ./published 17 --roster roster.json
  ledger receipt ./state/receipts/01d9....receipt --roster roster.json
  ledger round ./published digits 3 --roster roster.json
  ledger credits ./published digits st-marys --roster roster.json
  ledger payout ./published payout.json --roster roster.json";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check a whole ledger: files, signatures, quorum, every entry by the rules
    Verify(WholeLedger),
    /// Show an entry, and what each of its statements is worth
    Entry(OneEntry),
    /// Check a receipt: that its entry is in the ledger, cosigned by a quorum. Needs the file and your roster
    /// alone
    Receipt(OneReceipt),
    /// Check a round against its publication, and add its encrypted contributions again where they are at
    /// hand
    Round(OneRound),
    /// Compute a run's credits again: of all owners, or of one with the reasons
    Credits(OneRun),
    /// Check the file of a payout
    Payout(OnePayout),
}

/// A ledger's folder.
#[derive(Debug, Args)]
pub struct At {
    /// The folder with the ledger: what the coordinator publishes, a bundle, or the ledger's own folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// By which roster.
    #[command(flatten)]
    pub pinned: Pinned,
    /// More folders with published rounds or rosters, such as of one run
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub published: Vec<PathBuf>,
}

/// `ledger verify`.
#[derive(Debug, Args)]
pub struct WholeLedger {
    /// Which ledger.
    #[command(flatten)]
    pub at: At,
    /// Checkpoints that you kept, or that somebody else was shown: the ledger must have grown from each of
    /// them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub checkpoint: Vec<PathBuf>,
    /// Print every statement, not only how many there are
    #[arg(long)]
    pub statements: bool,
}

/// `ledger entry`.
#[derive(Debug, Args)]
pub struct OneEntry {
    /// Which ledger.
    #[command(flatten)]
    pub at: At,
    /// The entry's number, from 0
    pub number: u64,
}

/// `ledger receipt`.
#[derive(Debug, Args)]
pub struct OneReceipt {
    /// The receipt (C2SP tlog-proof, with the entry in it)
    pub file: PathBuf,
    /// By which roster.
    #[command(flatten)]
    pub pinned: Pinned,
}

/// `ledger round`.
#[derive(Debug, Args)]
pub struct OneRound {
    /// Which ledger.
    #[command(flatten)]
    pub at: At,
    /// The run: its name, or at least four digits of the beginning of its digest
    pub run: String,
    /// The round's number
    pub round: u32,
}

/// `ledger credits`.
#[derive(Debug, Args)]
pub struct OneRun {
    /// Which ledger.
    #[command(flatten)]
    pub at: At,
    /// The run: its name, or at least four digits of the beginning of its digest
    pub run: String,
    /// Only this owner, with the reasons: its name, or at least four digits of its key
    pub owner: Option<String>,
}

/// `ledger payout`.
#[derive(Debug, Args)]
pub struct OnePayout {
    /// Which ledger.
    #[command(flatten)]
    pub at: At,
    /// The file of the payout
    pub file: PathBuf,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubtful {
    /// In which entry; none where it is not one.
    pub entry: Option<u64>,
    /// Why.
    pub why: String,
}

/// Statements and doubts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// What is said, and what it is worth.
    pub statements: Vec<Line>,
    /// What does not hold.
    pub doubts: Vec<Doubtful>,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`]: files cannot be read, or name nothing. That something does not hold is an answer, or
/// [`covey_aggregation::program::Exit::Unverified`] where nothing can be said.
pub fn answer(command: &LedgerCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    match command {
        LedgerCommand::Verify(wanted) => {
            let verified = whole(wanted, desk)?;
            Ok(Answer::of_check(&verified, verified.is_verified))
        }
        LedgerCommand::Entry(OneEntry { at, number }) => {
            let (open, shelf) = at.read(desk)?;
            let shown = entry(&open, &shelf, *number)?;
            Ok(Answer::of_check(&shown, shown.is_verified))
        }
        LedgerCommand::Receipt(OneReceipt { file, pinned }) => {
            let shown = receipt(file, &pinned.read(desk)?)?;
            Ok(Answer::of_check(&shown, shown.is_verified))
        }
        LedgerCommand::Round(OneRound { at, run, round: number }) => {
            let (open, shelf) = at.read(desk)?;
            let shown = round(&open, &shelf, (run, *number))?;
            Ok(Answer::of_check(&shown, shown.is_verified))
        }
        LedgerCommand::Credits(OneRun { at, run, owner }) => {
            let (open, shelf) = at.read(desk)?;
            let shown = credits(&open, &shelf, (run, owner.as_deref()))?;
            Ok(Answer::of_check(&shown, shown.is_verified))
        }
        LedgerCommand::Payout(OnePayout { at, file }) => {
            let source = Source { ledger: at.dir.clone(), pinned: at.pinned.clone() };
            let wanted = Wanted { source, run: Vec::new(), at: None };
            let verifying = Verifying { file: file.clone(), wanted };
            payout::answer(&payout::PayoutCommand::Verify(verifying), desk)
        }
    }
}

impl At {
    fn read(&self, desk: &Desk<'_>) -> Result<(Open, Shelf), Failure> {
        let roster = self.pinned.read(desk)?;
        let shelf = Shelf::new(&self.dir, &self.published, &roster);
        Ok((open(&self.dir, roster)?, shelf))
    }
}

impl Findings {
    /// Of some entries of a ledger.
    #[must_use]
    pub fn of(open: &Open, shelf: &Shelf, entries: &[u64]) -> Self {
        let mut findings = Self::default();
        for &index in entries {
            let bytes = usize::try_from(index).ok().and_then(|at| open.ledger.entries.get(at));
            let Some(entry) = bytes.and_then(|bytes| Entry::parse(bytes).ok()) else { continue };
            let (lines, doubts) = statements(&open.ledger.book, index, &entry, shelf);
            findings.statements.extend(lines);
            findings.doubts.extend(doubts.into_iter().map(Doubtful::from));
        }
        findings
    }
}

impl From<Doubt> for Doubtful {
    fn from(doubt: Doubt) -> Self {
        Self { entry: Some(doubt.entry), why: doubt.why.to_string() }
    }
}

impl fmt::Display for Doubtful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "DOUBT: entry {entry}: {}", self.why),
            None => write!(f, "DOUBT: {}", self.why),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.statements {
            write!(f, "\n  {}: {} (entry {})", line.standing, line.what, line.entry)?;
        }
        self.doubts.iter().try_for_each(|one| write!(f, "\n  {one}"))
    }
}

fn word(is_verified: bool) -> &'static str {
    if is_verified { "holds" } else { "DOES NOT HOLD" }
}
