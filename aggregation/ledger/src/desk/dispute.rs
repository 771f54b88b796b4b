//! `dispute`: a doubt about one owner's credit in one run.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use covey_aggregation::hash::Digest;
use covey_aggregation::program::{Exit, Failure};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::names::Names;
use super::saying::{Said, Saying, Words, say};
use super::source::{Open, Source};
use super::words::{Rounds, amount, credits, difference, rounds, time};
use super::{Answer, Desk};
use crate::book::{DisputeRecord, State};
use crate::document::Document;
use crate::entry::{Difference, INTEGER_MAX, Verdict};
use crate::review::Poll;
use crate::statement::{Choice, Dispute, Remedy, Says, Withdraw};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  dispute open --run digits --owner st-marys --pay 130.5 --why 'round 2 had the old model' --evidence log.txt
  dispute open --run digits --owner st-marys --without 2,5-7 --why 'our line was down' --dry-run
  dispute withdraw 4f1c --ledger ./published
  dispute list --ledger ./published
  dispute show 4f1c --ledger ./published --json";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum DisputeCommand {
    /// Open one: that owner's credit of the run is held back until reviewers have decided
    Open(DisputeOpening),
    /// Withdraw your own
    Withdraw(Withdrawal),
    /// List them: open ones, or all
    List(DisputeListing),
    /// Show one: what is doubted, what would change, the votes
    Show(DisputeShowing),
}

/// `dispute open`.
#[derive(Debug, Args)]
pub struct DisputeOpening {
    /// The run: its name, or its digest (with --ledger: the beginning of it)
    #[arg(long)]
    pub run: String,
    /// Whose credit: a name, or the beginning of a key
    #[arg(long)]
    pub owner: String,
    /// What should be.
    #[command(flatten)]
    pub remedy: Asked,
    /// Why, in your own words. Everybody reads it
    #[arg(long)]
    pub why: String,
    /// Files that show it, such as the proof of your own numbers. Only their SHA-256 digests and sizes are
    /// signed: keep them, and give them to reviewers
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub evidence: Vec<PathBuf>,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// What should be instead.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Asked {
    /// What the owner should be paid for the run, in credits; the others' payments stay
    #[arg(long, value_name = "CREDITS", value_parser = credits)]
    pub pay: Option<u64>,
    /// The run should be settled without these rounds, such as 1,3-5
    #[arg(long, value_name = "ROUNDS", value_parser = rounds)]
    pub without: Option<Rounds>,
}

/// `dispute withdraw`.
#[derive(Debug, Args)]
pub struct Withdrawal {
    /// The dispute: its digest (with --ledger: the beginning of it)
    pub dispute: String,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// `dispute list`.
#[derive(Debug, Args)]
pub struct DisputeListing {
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
    /// Also those that are decided or withdrawn
    #[arg(long)]
    pub all: bool,
}

/// `dispute show`.
#[derive(Debug, Args)]
pub struct DisputeShowing {
    /// The dispute: at least four digits of the beginning of its digest
    pub dispute: String,
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
}

/// A dispute, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct DisputeView {
    /// What names it.
    pub id: String,
    /// Its entry.
    pub entry: u64,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_ms: u64,
    /// Who opened it.
    pub by: String,
    /// The run, by its digest.
    pub run: String,
    /// The run's name.
    pub run_name: String,
    /// Whose credit.
    pub owner: String,
    /// What is asked for, in words.
    pub remedy: String,
    /// Why.
    pub why: String,
    /// The documents that it names.
    pub evidence: Vec<Document>,
    /// What changes if it is upheld.
    pub differences: Vec<Change>,
    /// Where it stands: `open`, `withdrawn`, `upheld`, `rejected`, `lapsed`.
    pub state: &'static str,
    /// The entry that says so.
    pub state_entry: Option<u64>,
    /// The vote.
    pub poll: PollView,
}

/// How an owner's payment changes.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Whose.
    pub owner: String,
    /// By how much, in micro-credits.
    pub micro: i64,
}

/// A vote on something.
#[derive(Clone, Debug, Serialize)]
pub struct PollView {
    /// How many equal votes decide.
    pub quorum: u32,
    /// Until when they count, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// Who said yes.
    pub yes: Vec<String>,
    /// Who said no.
    pub no: Vec<String>,
    /// Reviewers that may still vote.
    pub may_vote: Vec<String>,
    /// Who has no vote: it is a party.
    pub parties: Vec<String>,
}

/// Several disputes.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// In the order of their entries.
    pub disputes: Vec<DisputeView>,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`].
pub fn answer(command: &DisputeCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    Ok(match command {
        DisputeCommand::Open(opening) => Answer::of(&open(opening, desk)?),
        DisputeCommand::Withdraw(withdrawal) => Answer::of(&withdraw(withdrawal, desk)?),
        DisputeCommand::List(DisputeListing { source, all }) => {
            Answer::of(&list(&source.open(desk)?, *all))
        }
        DisputeCommand::Show(DisputeShowing { dispute, source }) => {
            Answer::of(&show(&source.open(desk)?, dispute)?)
        }
    })
}

/// Opens a dispute.
///
/// # Errors
/// As [`say`]; also when a file of evidence cannot be read.
pub fn open(opening: &DisputeOpening, desk: &Desk<'_>) -> Result<Said, Failure> {
    let mut evidence = Vec::new();
    for path in &opening.evidence {
        evidence.push((document_of(path)?, path.display().to_string()));
    }
    evidence.sort_unstable_by_key(|(document, _)| *document);
    evidence.dedup_by_key(|(document, _)| *document);
    say(desk, &opening.saying, |names| words(opening, names, &evidence))
}

fn words(
    opening: &DisputeOpening,
    names: &Names<'_>,
    evidence: &[(Document, String)],
) -> Result<Words, Failure> {
    let (run, owner) = (names.run(&opening.run)?, names.member(&opening.owner)?);
    let remedy = match (&opening.remedy.pay, &opening.remedy.without) {
        (Some(micro), None) => Remedy::Pay(*micro),
        (None, Some(Rounds(rounds))) => Remedy::Without(rounds.clone()),
        _ => {
            let message = "a dispute asks for one thing: --pay CREDITS or --without ROUNDS";
            return Err(Failure::new(Exit::BadInput, "NO_REMEDY", message));
        }
    };
    let mut lines = vec![
        format!("I doubt the credit of {} in the run {}", names.of(&owner), names.of_run(&run)),
        remedy_words(&remedy),
        format!("why: {}", opening.why),
    ];
    let shown = |(document, name): &(Document, String)| {
        format!("evidence: {name}, {} bytes, SHA-256 {}", document.bytes, document.sha256)
    };
    lines.extend(evidence.iter().map(shown));
    let evidence = evidence.iter().map(|(document, _)| *document).collect();
    let why = opening.why.clone();
    Ok((Says::Dispute(Dispute { run, owner, remedy, why, evidence }), lines))
}

/// Withdraws a dispute.
///
/// # Errors
/// As [`say`].
pub fn withdraw(withdrawal: &Withdrawal, desk: &Desk<'_>) -> Result<Said, Failure> {
    say(desk, &withdrawal.saying, |names| {
        let dispute = names.dispute(&withdrawal.dispute)?;
        let line = format!("I withdraw my dispute {dispute}");
        Ok((Says::Withdraw(Withdraw { dispute }), vec![line]))
    })
}

/// The disputes of a ledger.
#[must_use]
pub fn list(open: &Open, all: bool) -> Listing {
    let disputes = open.ledger.book.disputes().into_iter();
    let wanted = disputes.filter(|one| all || one.state == State::Open);
    Listing { disputes: wanted.map(|one| view(open, one)).collect() }
}

/// One dispute.
///
/// # Errors
/// [`Failure`]: there is none.
pub fn show(open: &Open, text: &str) -> Result<DisputeView, Failure> {
    let id = open.names().dispute(text)?;
    let dispute = open.ledger.book.dispute(&id);
    dispute
        .map(|one| view(open, one))
        .ok_or_else(|| Failure::new(Exit::BadInput, "NO_SUCH", format!("no dispute is {text:?}")))
}

fn view(open: &Open, record: &DisputeRecord) -> DisputeView {
    let names = open.names();
    let DisputeRecord { id, by, entry, opened_ms, dispute, differences, poll, state } = record;
    let run = open.ledger.book.run(&dispute.run);
    let (word, state_entry) = state_word(*state);
    DisputeView {
        id: id.to_string(),
        entry: *entry,
        opened_ms: *opened_ms,
        by: names.of(by),
        run: dispute.run.to_string(),
        run_name: run.map(|run| run.plan.name.to_string()).unwrap_or_default(),
        owner: names.of(&dispute.owner),
        remedy: remedy_words(&dispute.remedy),
        why: dispute.why.clone(),
        evidence: dispute.evidence.clone(),
        differences: changes(differences, &names),
        state: word,
        state_entry,
        poll: poll_view(open, poll),
    }
}

/// How payments change, with names.
#[must_use]
pub fn changes(differences: &[Difference], names: &Names<'_>) -> Vec<Change> {
    let change = |one: &Difference| Change { owner: names.of(&one.owner), micro: one.micro };
    differences.iter().map(change).collect()
}

/// Where a dispute or a proposal stands, in a word, and the entry that says so.
#[must_use]
pub const fn state_word(state: State) -> (&'static str, Option<u64>) {
    match state {
        State::Open => ("open", None),
        State::Withdrawn(entry) => ("withdrawn", Some(entry)),
        State::Decided(Verdict::Upheld, entry) => ("upheld", Some(entry)),
        State::Decided(Verdict::Rejected, entry) => ("rejected", Some(entry)),
        State::Decided(Verdict::Lapsed, entry) => ("lapsed", Some(entry)),
    }
}

/// A vote, with names.
#[must_use]
pub fn poll_view(open: &Open, poll: &Poll) -> PollView {
    let names = open.names();
    let side = |choice: Choice| {
        let ballots = poll.ballots.iter().filter(move |ballot| ballot.choice == choice);
        ballots.map(|ballot| names.of(&ballot.reviewer)).collect()
    };
    let has_voted = |id| poll.ballots.iter().any(|ballot| ballot.reviewer == id);
    let reviewers = open.ledger.book.reviewers().iter();
    let may_vote = reviewers.filter(|id| !poll.parties.contains(*id) && !has_voted(**id));
    PollView {
        quorum: poll.quorum,
        deadline_ms: poll.deadline_ms,
        yes: side(Choice::Yes),
        no: side(Choice::No),
        may_vote: may_vote.map(|id| names.of(id)).collect(),
        parties: poll.parties.iter().map(|id| names.of(id)).collect(),
    }
}

fn remedy_words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Pay(micro) => format!("the owner should be paid {} for the run", amount(*micro)),
        Remedy::Without(rounds) => {
            let rounds: Vec<_> = rounds.iter().map(ToString::to_string).collect();
            format!("the run should be settled without the rounds {}", rounds.join(", "))
        }
    }
}

/// A file as a document: read piece by piece, since evidence may be long.
fn document_of(path: &Path) -> Result<Document, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read the evidence {}: {error}", path.display());
        Failure::new(Exit::BadInput, "NO_EVIDENCE", message)
    };
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut bytes, mut piece) = (Sha256::new(), 0u64, vec![0; 1 << 16]);
    loop {
        let got = file.read(&mut piece).map_err(failed)?;
        if got == 0 {
            break;
        }
        hasher.update(&piece[..got]);
        bytes += got as u64;
    }
    if bytes > INTEGER_MAX {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Document { sha256: Digest(hasher.finalize().into()), bytes })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disputes.is_empty() {
            return f.write_str("no dispute");
        }
        for (place, one) in self.disputes.iter().enumerate() {
            let (end, id) = (if place == 0 { "" } else { "\n" }, &one.id[..8]);
            write!(
                f,
                "{end}{id}  {}  {} on the credit of {} in {}: {} yes, {} no, {} decide",
                one.state,
                one.by,
                one.owner,
                one.run_name,
                one.poll.yes.len(),
                one.poll.no.len(),
                one.poll.quorum
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for DisputeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dispute {}", self.id)?;
        let at = self.state_entry.map_or_else(String::new, |entry| format!(" (entry {entry})"));
        writeln!(f, "  {}{at}", self.state)?;
        writeln!(f, "  by {}, {}, entry {}", self.by, time(self.opened_ms), self.entry)?;
        writeln!(f, "  the credit of {} in {} ({})", self.owner, self.run_name, &self.run[..8])?;
        writeln!(f, "  {}", self.remedy)?;
        writeln!(f, "  why: {}", self.why)?;
        for one in &self.evidence {
            writeln!(f, "  evidence: {} bytes, SHA-256 {}", one.bytes, one.sha256)?;
        }
        for one in &self.differences {
            writeln!(f, "  if upheld: {} for {}", difference(one.micro), one.owner)?;
        }
        write!(f, "{}", self.poll)
    }
}

impl fmt::Display for PollView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| match names {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        writeln!(f, "  {} equal votes decide, until {}", self.quorum, time(self.deadline_ms))?;
        writeln!(f, "  yes: {}", list(&self.yes))?;
        writeln!(f, "  no: {}", list(&self.no))?;
        writeln!(f, "  may still vote: {}", list(&self.may_vote))?;
        write!(f, "  no vote in it: {}", list(&self.parties))
    }
}
