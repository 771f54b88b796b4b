//! How a member says something for the record: it is shown what it signs and who will see it, agrees, and
//! the statement is sent.
//!
//! Every statement has a number, by which it is known: signing the same again under the same number gives
//! the same bytes, and the coordinator answers with the entry that they made. A program that was cut off
//! asks again with `--number` and adds nothing twice.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use covey_aggregation::hash::Digest;
use covey_aggregation::program::answer::note;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::StatementBytes;
use serde::Serialize;

use super::Desk;
use super::names::Names;
use super::seat::Configured;
use super::source::{Open, open};
use crate::book::Refused;
use crate::document::Documents;
use crate::entry::{Body, Entry};
use crate::statement::{BadStatement, Says, Signed, Statement};

/// How a statement is signed and sent.
#[derive(Clone, Debug, Default, Args)]
pub struct Saying {
    /// Whose keys sign.
    #[command(flatten)]
    pub configured: Configured,
    /// A folder with the ledger: names are looked up in it, and what its rules forbid is not sent
    #[arg(long, value_name = "DIR", env = "COVEY_LEDGER")]
    pub ledger: Option<PathBuf>,
    /// The statement's number, to repeat one: the same number and the same words are the same statement,
    /// which the ledger has once. Without it, the time in milliseconds
    #[arg(long)]
    pub number: Option<u64>,
    /// Sign and send without being asked
    #[arg(long)]
    pub yes: bool,
    /// Print the text that would be signed, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What became of a statement.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// What names the statement: disputes and proposals are known by it.
    pub id: String,
    /// The kind.
    pub kind: &'static str,
    /// The federation.
    pub federation: String,
    /// Who signs.
    pub member: String,
    /// Its number: the same again is the same statement.
    pub number: u64,
    /// What it says, in words, line by line.
    pub says: Vec<String>,
    /// The very text that is signed.
    pub text: String,
    /// Whether it was sent now.
    pub is_sent: bool,
    /// The number of its entry; none where it was not sent.
    pub entry: Option<u64>,
}

/// What is to be said, and the same in words.
pub type Words = (Says, Vec<String>);

/// Has a member say something: `make` finds the words for it.
///
/// # Errors
/// [`Failure`]: keys or ledger cannot be read, the rules forbid it, the member did not agree, or it could
/// not be sent.
pub fn say(
    desk: &Desk<'_>,
    saying: &Saying,
    make: impl FnOnce(&Names<'_>) -> Result<Words, Failure>,
) -> Result<Said, Failure> {
    let seat = saying.configured.seat(desk)?;
    let membership = seat.membership()?;
    let roster = &**membership.roster();
    let at_hand =
        saying.ledger.as_deref().map(|folder| open(folder, roster.clone())).transpose()?;
    let book = at_hand.as_ref().map(|open| &open.ledger.book);
    let (says, lines) = make(&Names { book, roster })?;
    let (federation, member) = (roster.authority, membership.member().id);
    let last = book.and_then(|book| book.last_number(&member, &says));
    let number = saying.number.unwrap_or_else(|| desk.now_ms.max(last.map_or(0, |last| last + 1)));
    let signed = Statement { federation, member, number, says }.sign(membership.identity());
    signed.check(&federation).map_err(bad_statement)?;
    let mut said = Said {
        id: signed.id().to_string(),
        kind: signed.statement.says.word(),
        federation: roster.federation.to_string(),
        member: format!("{} ({})", membership.member().name, Digest(member.0)),
        number,
        says: lines,
        text: signed.statement.text(),
        is_sent: false,
        entry: None,
    };
    if let Some(open) = &at_hand {
        said.entry = recorded(open, &signed)?;
        if said.entry.is_none() {
            would_be_recorded(open, &signed, desk.now_ms)?;
        }
    }
    if saying.dry_run || said.entry.is_some() {
        return Ok(said);
    }
    agree(desk, saying, &said)?;
    // Structures with strings, integers and lists: there is nothing that JSON cannot say.
    let bytes = serde_json::to_vec(&signed).unwrap_or_default();
    let bytes = StatementBytes::new(bytes).ok_or_else(|| too_long(&said))?;
    said.entry = Some((desk.send)(&seat, bytes)?);
    said.is_sent = true;
    Ok(said)
}

/// The entry that this very statement made already.
fn recorded(open: &Open, signed: &Signed) -> Result<Option<u64>, Failure> {
    let body = signed.clone().into_body();
    let Some(index) = open.ledger.book.entry_about(&body.subject()) else { return Ok(None) };
    let bytes = usize::try_from(index).ok().and_then(|index| open.ledger.entries.get(index));
    let entry = bytes.and_then(|bytes| Entry::parse(bytes).ok());
    if entry.is_some_and(|entry| entry.body == body) {
        return Ok(Some(index));
    }
    let message = format!(
        "statement {} of this kind is in the ledger (entry {index}) with another text",
        signed.statement.number
    );
    Err(Failure::new(Exit::BadInput, "NUMBER_TAKEN", message)
        .with_help("leave out --number for a new statement; to repeat that one, say the same"))
}

/// Whether the ledger at hand would take the statement.
fn would_be_recorded(open: &Open, signed: &Signed, now_ms: u64) -> Result<(), Failure> {
    let body: Body = signed.clone().into_body();
    let federation = open.ledger.book.federation().clone();
    let entry = Entry::new(federation, open.now_ms(now_ms), body);
    let documents: &dyn Documents = &open.ledger.folder;
    let applied = open.ledger.book.clone().apply(&entry, documents);
    applied.map(|_| ()).map_err(|refused| not_recorded(&refused, &open.names()))
}

fn not_recorded(refused: &Refused, names: &Names<'_>) -> Failure {
    let message = match refused {
        Refused::NotReviewer(id) => format!("{} does not review", names.of(id)),
        Refused::OwnCause(id) => format!("{} would judge its own", names.of(id)),
        Refused::VotedTwice(id) => format!("{} has voted already", names.of(id)),
        Refused::MayNot { member, what } => format!("{} is not {what}", names.of(member)),
        Refused::NoAccount(id) => format!("{} has no account in the run", names.of(id)),
        Refused::WindowOver { end_ms } => {
            format!("the credits could be disputed until {}", super::words::time(*end_ms))
        }
        Refused::VoteOver { end_ms } => {
            format!("votes were due by {}", super::words::time(*end_ms))
        }
        other => other.to_string(),
    };
    let message = format!("the ledger would not take it: {message}");
    Failure::new(Exit::BadInput, "NOT_RECORDED", message)
        .with_help("nothing was sent; is the copy of the ledger a new one?")
}

fn bad_statement(bad: BadStatement) -> Failure {
    Failure::new(Exit::BadInput, "BAD_STATEMENT", bad)
}

fn too_long(said: &Said) -> Failure {
    let message = format!("a statement of {} bytes is too long to send", said.text.len());
    Failure::new(Exit::BadInput, "BAD_STATEMENT", message).with_help("say it in fewer words")
}

/// Shows what is signed, and has the member agree.
fn agree(desk: &Desk<'_>, saying: &Saying, said: &Said) -> Result<(), Failure> {
    if saying.yes {
        return Ok(());
    }
    note(Shown(said));
    match (desk.ask)("Sign and send this?") {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(Exit::Failed, "DECLINED", "nothing was signed or sent")),
        None => {
            let message = "there is nobody to ask here whether to sign this";
            Err(Failure::new(Exit::BadInput, "NOT_CONFIRMED", message)
                .with_help("look at it with --dry-run; --yes signs and sends it"))
        }
    }
}

/// What is shown before it is signed.
struct Shown<'a>(&'a Said);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Said { kind, federation, member, says, text, .. } = self.0;
        writeln!(f, "A {kind} for the ledger of {federation}, by {member}:")?;
        says.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "This very text is signed with your key:\n  {text}")?;
        write!(
            f,
            "Everybody who reads the ledger sees it, with your name, for good: nothing in a ledger is \
             ever taken out."
        )
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, number, text, .. } = self;
        match (self.entry, self.is_sent) {
            (Some(entry), is_sent) => {
                self.says.iter().try_for_each(|line| writeln!(f, "{line}"))?;
                let how = if is_sent { "is" } else { "was already" };
                write!(f, "{kind} {id}\nnumber {number}\n{how} entry {entry} of the ledger")
            }
            // A text to look at, or to sign elsewhere.
            (None, _) => f.write_str(text),
        }
    }
}
