//! `payout`: what is to be paid, computed from a ledger. Anybody may; recording a payout is the
//! coordinator's, which calls [`body`] for it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use covey_aggregation::hash::Digest;
use covey_aggregation::net::files;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use serde::Serialize;
use serde_json::json;

use super::names::Names;
use super::source::{Open, Source};
use super::words::{amount, moment, time};
use super::{Answer, Desk};
use crate::book::{Book, State};
use crate::document::Document;
use crate::entry::WhyHeld;
use crate::folder::Ledger;
use crate::payout::{
    Amounts, Built, NoPayout, NotPayable, PAYEES_MAX, Tree, build, csv, payable_runs, preview,
    units_csv,
};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  payout preview --ledger ./published
  payout csv --ledger ./published > payout.csv
  payout units --ledger ./published > units.csv
  payout build --ledger ./published --out payout.json
  payout verify payout.json --ledger ./published";

/// Bytes of a payout file at most: 200 for a payee and its nodes, and room.
const FILE_BYTES_MAX: u64 = 400 * PAYEES_MAX as u64;

/// Most differences that are told one by one.
const DIFFERENCES_MAX: usize = 10;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Say who would be paid what, what is held back, and why
    Preview(Wanted),
    /// The same as a table (CSV): one line of each owner with something new
    Csv(Wanted),
    /// What each address has, as units of a distribution pool (CSV)
    Units(Wanted),
    /// Write the file that follows from the ledger (OpenZeppelin standard-v1). Refused while a dispute is
    /// open on credits that it would include
    Build(Building),
    /// Check that a file is what follows from the ledger. Exit code 6 if it is not
    Verify(Verifying),
}

/// Which payout.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
    /// Only these runs, beside those of earlier payouts: names, or beginnings of digests. Without it, all
    /// that can be paid
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub run: Vec<String>,
    /// As of this time, such as 2026-11-28T10:58:02Z. Without it, now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<u64>,
}

/// `payout build`.
#[derive(Debug, Args)]
pub struct Building {
    /// Which payout.
    #[command(flatten)]
    pub wanted: Wanted,
    /// The file to write; never one that is there
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Hold credits under dispute back and pay all others, which stand
    #[arg(long)]
    pub hold_back: bool,
}

/// `payout verify`.
#[derive(Debug, Args)]
pub struct Verifying {
    /// The file of the payout
    pub file: PathBuf,
    /// Which payout, where it is not in the ledger yet.
    #[command(flatten)]
    pub wanted: Wanted,
}

/// Which payout is to be computed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// These runs beside those of earlier payouts; none for all that can be paid.
    pub runs: Option<Vec<Digest>>,
    /// As of this time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whether credits under dispute are held back; else they refuse the payout.
    pub hold_back: bool,
}

/// A payout that would be, for people and programs.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// As of when, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The amounts.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Names of the runs in it.
    pub run_names: Vec<String>,
    /// Who is paid, by name.
    pub owners: Vec<Paid>,
    /// What is held back, by name.
    pub held: Vec<Held>,
    /// Runs that cannot be paid now, and why.
    pub not_payable: Vec<Later>,
    /// Disputes that are open on credits in it: `build` is refused while they are.
    pub disputes: Vec<Blocking>,
}

/// Who is paid.
#[derive(Debug, Serialize)]
pub struct Paid {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// What is new, in micro-credits.
    pub micro: u64,
    /// What is new, in token units.
    pub units: String,
}

/// What is held back.
#[derive(Debug, Serialize)]
pub struct Held {
    /// Whose.
    pub name: String,
    /// Of which run.
    pub run: String,
    /// How much, in micro-credits.
    pub micro: u64,
    /// Why.
    pub why: WhyHeld,
}

/// A run that cannot be paid now.
#[derive(Debug, Serialize)]
pub struct Later {
    /// Its name.
    pub run: String,
    /// Why.
    pub why: NotPayable,
}

/// A dispute that is open on credits of a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocking {
    /// The dispute.
    pub dispute: String,
    /// Who opened it.
    pub by: String,
    /// Of which run.
    pub run: String,
    /// Whose credits it is about, or would change.
    pub owners: Vec<String>,
    /// Why.
    pub why: String,
    /// Until when reviewers may vote, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// A file that was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Where.
    pub file: PathBuf,
    /// The payout's number.
    pub number: u32,
    /// Addresses in it.
    pub payees: u32,
    /// What they have together, in token units.
    pub total: String,
    /// The tree's root.
    pub root: String,
    /// The file.
    pub document: Document,
}

/// What came of a check of a file.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Which file.
    pub file: PathBuf,
    /// Whether it holds.
    pub is_verified: bool,
    /// The payout's number, where it is one of the ledger's.
    pub number: Option<u32>,
    /// Its entry.
    pub entry: Option<u64>,
    /// The tree's root.
    pub root: Option<String>,
    /// Addresses in it.
    pub payees: usize,
    /// What was checked.
    pub checked: Vec<String>,
    /// What does not hold.
    pub doubts: Vec<String>,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`].
pub fn answer(command: &PayoutCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    match command {
        PayoutCommand::Preview(wanted) => {
            let (open, terms) = wanted.read(desk)?;
            Ok(Answer::of(&look(open.names(), &terms)?))
        }
        PayoutCommand::Csv(wanted) => {
            let (open, terms) = wanted.read(desk)?;
            Ok(table(csv(&amounts(&open.ledger.book, &terms)?, &open.ledger.book)))
        }
        PayoutCommand::Units(wanted) => {
            let (open, terms) = wanted.read(desk)?;
            let tree = amounts(&open.ledger.book, &terms)?.tree();
            Ok(table(units_csv(&tree.ok_or_else(|| no_payout(NoPayout::Nothing))?)))
        }
        PayoutCommand::Build(building) => Ok(Answer::of(&write(building, desk)?)),
        PayoutCommand::Verify(Verifying { file, wanted }) => {
            let (open, terms) = wanted.read(desk)?;
            let checked = verify(&open, file, &terms)?;
            Ok(Answer::of_check(&checked, checked.is_verified))
        }
    }
}

/// The next payout of a ledger, as its entry and the file to publish with it: what a coordinator records.
///
/// # Errors
/// [`Failure`]: a run cannot be paid, nobody would be paid, or (unless such credits are to be held back)
/// a dispute is open on credits in it, with who opened it and why.
pub fn body(ledger: &Ledger, terms: &Terms) -> Result<Built, Failure> {
    body_of(&ledger.book, terms)
}

/// The same of a book.
///
/// # Errors
/// As [`body`].
pub fn body_of(book: &Book, terms: &Terms) -> Result<Built, Failure> {
    let amounts = amounts(book, terms)?;
    let name = |id: &PartyId| book.name_of(id);
    if !terms.hold_back {
        refuse_disputed(blocking(book, &amounts, &name))?;
    }
    build(&amounts, book).map_err(no_payout)
}

fn amounts(book: &Book, terms: &Terms) -> Result<Amounts, Failure> {
    let runs = match &terms.runs {
        Some(runs) => runs.clone(),
        None => payable_runs(book, terms.at_ms).0,
    };
    preview(book, &runs, terms.at_ms).map_err(no_payout)
}

fn no_payout(error: NoPayout) -> Failure {
    let failure = Failure::new(Exit::BadInput, "NO_PAYOUT", error);
    match error {
        NoPayout::Run(_, NotPayable::WindowOpen(end_ms)) => {
            failure.with_help(format!("it can be paid after {}", time(end_ms)))
        }
        NoPayout::Run(_, NotPayable::NotApproved) => {
            failure.with_help("reviewers approve it: review propose budget")
        }
        NoPayout::Nothing => failure.with_help("payout preview says what is held back, and why"),
        _ => failure,
    }
}

/// The open disputes on credits that a payout includes or would hold back.
fn blocking(book: &Book, amounts: &Amounts, name: &dyn Fn(&PartyId) -> String) -> Vec<Blocking> {
    let open = book.disputes().into_iter().filter(|one| one.state == State::Open);
    let about = open.filter(|one| amounts.runs.contains(&one.dispute.run));
    let block = |one: &crate::book::DisputeRecord| {
        let touched = one.differences.iter().map(|one| one.owner).chain([one.dispute.owner]);
        let owners: BTreeSet<_> = touched.collect();
        let run = book.run(&one.dispute.run);
        Blocking {
            dispute: one.id.to_string(),
            by: name(&one.by),
            run: run.map(|run| run.plan.name.to_string()).unwrap_or_default(),
            owners: owners.iter().map(name).collect(),
            why: one.dispute.why.clone(),
            deadline_ms: one.poll.deadline_ms,
        }
    };
    about.map(block).collect()
}

fn refuse_disputed(blocking: Vec<Blocking>) -> Result<(), Failure> {
    if blocking.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = blocking.iter().map(ToString::to_string).collect();
    let message = format!("credits of this payout are under dispute: {}", lines.join("; "));
    let details = json!({ "disputes": blocking });
    Err(Failure::new(Exit::BadInput, "DISPUTED", message)
        .with_help(
            "wait for the reviewers; leave the run out (--run); or --hold-back pays all others",
        )
        .with_details(details))
}

impl Wanted {
    fn read(&self, desk: &Desk<'_>) -> Result<(Open, Terms), Failure> {
        let open = self.source.open(desk)?;
        let names = open.names();
        let runs: Result<Vec<_>, _> = self.run.iter().map(|text| names.run(text)).collect();
        let runs = Some(runs?).filter(|runs| !runs.is_empty());
        let at_ms = self.at.unwrap_or_else(|| open.now_ms(desk.now_ms));
        Ok((open, Terms { runs, at_ms, hold_back: true }))
    }
}

/// What a payout comes to.
///
/// # Errors
/// [`Failure`]: no ledger, or a run cannot be paid.
pub fn look(names: Names<'_>, terms: &Terms) -> Result<Preview, Failure> {
    let no_book = || Failure::new(Exit::BadInput, "NO_LEDGER", "no ledger is given");
    let book = names.book.ok_or_else(no_book)?;
    let amounts = amounts(book, terms)?;
    let (_, others) = payable_runs(book, terms.at_ms);
    let run_name = |run: &Digest| run_name(&names, run);
    let paid = amounts.shares.iter().map(|share| Paid {
        name: names.of(&share.owner),
        address: share.address.to_string(),
        micro: share.entitled_micro - share.paid_micro,
        units: share.units.to_string(),
    });
    let held = amounts.held_back.iter().map(|one| Held {
        name: names.of(&one.owner),
        run: run_name(&one.run),
        micro: one.micro,
        why: one.why,
    });
    let later = others.into_iter().map(|(run, why)| Later { run: run_name(&run), why });
    Ok(Preview {
        at_ms: terms.at_ms,
        run_names: amounts.runs.iter().map(run_name).collect(),
        owners: paid.collect(),
        held: held.collect(),
        not_payable: later.collect(),
        disputes: blocking(book, &amounts, &|id| names.of(id)),
        amounts,
    })
}

fn run_name(names: &Names<'_>, run: &Digest) -> String {
    names.of_run(run)
}

fn write(building: &Building, desk: &Desk<'_>) -> Result<Written, Failure> {
    let (open, terms) = building.wanted.read(desk)?;
    let built = body(&open.ledger, &Terms { hold_back: building.hold_back, ..terms })?;
    let path = &building.out;
    if path.exists() {
        let message = format!("{} exists already and is not overwritten", path.display());
        return Err(Failure::new(Exit::BadInput, "EXISTS", message));
    }
    files::write_durably(path, &built.file).map_err(|error| Failure::file(&error))?;
    Ok(Written {
        file: path.clone(),
        number: built.entry.number,
        payees: built.entry.payees,
        total: built.entry.total.to_string(),
        root: format!("0x{}", built.entry.root),
        document: built.entry.file,
    })
}

/// Checks that a file is a payout of the ledger, or the one that follows from it.
///
/// # Errors
/// [`Failure`]: the file cannot be read. That it does not hold is an answer.
pub fn verify(open: &Open, path: &Path, terms: &Terms) -> Result<Checked, Failure> {
    let bytes = files::read(path, FILE_BYTES_MAX)
        .map_err(|error| Failure::new(Exit::BadInput, "NO_FILE", error))?;
    let book = &open.ledger.book;
    let mut checked = Checked {
        file: path.to_owned(),
        is_verified: false,
        number: None,
        entry: None,
        root: None,
        payees: 0,
        checked: Vec::new(),
        doubts: Vec::new(),
    };
    let tree = match Tree::from_file(&bytes) {
        Ok(tree) => tree,
        Err(bad) => {
            checked.doubts.push(bad.to_string());
            return Ok(checked);
        }
    };
    checked.root = Some(format!("0x{}", tree.root()));
    checked.payees = tree.payees().len();
    checked.checked.push("the tree is that of its addresses and amounts (standard-v1)".to_owned());
    let document = Document::of(&bytes);
    let recorded = book.payouts().iter().find(|one| one.payout.file == document);
    if let Some(record) = recorded.filter(|record| record.payout.root == tree.root()) {
        checked.number = Some(record.payout.number);
        checked.entry = Some(record.entry);
        checked.checked.push(format!(
            "payout {} of the ledger, entry {}: every amount follows from its credits, reviews and \
             addresses",
            record.payout.number, record.entry
        ));
    } else {
        compare(book, &tree, &bytes, (terms, &mut checked));
    }
    checked.is_verified = checked.doubts.is_empty();
    Ok(checked)
}

/// Compares a file that is not in the ledger with the one that follows.
fn compare(book: &Book, tree: &Tree, bytes: &[u8], (terms, checked): (&Terms, &mut Checked)) {
    let follows = amounts(book, terms)
        .and_then(|amounts| build(&amounts, book).map(|built| (built, amounts)).map_err(no_payout));
    let (built, amounts) = match follows {
        Ok(follows) => follows,
        Err(failure) => {
            checked.doubts.push(format!("no payout follows from the ledger: {}", failure.message));
            return;
        }
    };
    if built.file == bytes {
        let number = built.entry.number;
        checked.checked.push(format!(
            "payout {number}, which follows from the ledger as of {} and is not in it yet",
            time(terms.at_ms)
        ));
        return;
    }
    let changes = tree.changes(amounts.tree().as_ref());
    let other = changes.into_iter().filter(|(_, (expected, got))| expected != got);
    let told: Vec<_> = other
        .map(|(address, (expected, got))| {
            format!("{address} has {got} units; {expected} follow from the ledger")
        })
        .collect();
    let more = told.len().saturating_sub(DIFFERENCES_MAX);
    checked.doubts.extend(told.into_iter().take(DIFFERENCES_MAX));
    if more > 0 {
        checked.doubts.push(format!("{more} more addresses have other amounts"));
    }
    if checked.doubts.is_empty() {
        checked.doubts.push("the amounts follow, but are written otherwise".to_owned());
    }
}

fn table(text: String) -> Answer {
    // Printing ends the last line.
    let text = text.trim_end().to_owned();
    let data = json!({ "csv": text });
    Answer { text, data, exit: Exit::Done }
}

impl fmt::Display for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} disputes {} in {} ({}), to be decided by {}: {:?}",
            self.by,
            self.owners.join(", "),
            self.run,
            &self.dispute[..8],
            time(self.deadline_ms),
            self.why
        )
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, runs) = (self.amounts.number, self.run_names.join(", "));
        let runs = if runs.is_empty() { "no run" } else { &runs };
        write!(f, "payout {number} as of {}: {runs}", time(self.at_ms))?;
        for one in &self.owners {
            let Paid { name, address, micro, units } = one;
            write!(f, "\n  {name}: {} = {units} units at {address}", amount(*micro))?;
        }
        if self.owners.is_empty() {
            f.write_str("\n  nothing new for anybody")?;
        }
        for one in &self.held {
            let why = match one.why {
                WhyHeld::Disputed => "under dispute",
                WhyHeld::Suspended => "the owner is suspended",
                WhyHeld::NoAddress => "the owner has set no address",
            };
            write!(
                f,
                "\n  held back: {} of {} in {}: {why}",
                amount(one.micro),
                one.name,
                one.run
            )?;
        }
        for Later { run, why } in &self.not_payable {
            match why {
                NotPayable::WindowOpen(end_ms) => {
                    write!(f, "\n  not yet: {run} can be disputed until {}", time(*end_ms))?;
                }
                why => write!(f, "\n  not yet: {run}: {why}")?,
            }
        }
        self.disputes.iter().try_for_each(|one| write!(f, "\n  open dispute: {one}"))
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, number, payees, total, root, document } = self;
        writeln!(f, "{}: payout {number}", file.display())?;
        writeln!(f, "  {payees} addresses have {total} token units, all in all")?;
        writeln!(f, "  root {root}")?;
        write!(f, "  {} bytes, SHA-256 {}", document.bytes, document.sha256)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_verified { "holds" } else { "DOES NOT HOLD" };
        write!(f, "{}: {word}, {} addresses", self.file.display(), self.payees)?;
        if let Some(root) = &self.root {
            write!(f, "\n  root {root}")?;
        }
        self.checked.iter().try_for_each(|line| write!(f, "\n  checked  {line}"))?;
        self.doubts.iter().try_for_each(|line| write!(f, "\n  DOUBT    {line}"))
    }
}
