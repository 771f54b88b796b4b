//! `ledger entry` and `ledger receipt`: one entry, from the ledger or from a receipt.

use std::fmt;
use std::path::Path;

use covey_aggregation::net::files;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use serde::Serialize;
use serde_json::Value;

use super::{Doubtful, Findings, word};
use crate::desk::source::{Open, Shelf, quorum_of};
use crate::desk::words::time;
use crate::entry::{Body, Entry};
use crate::quorum::Cosigned;
use crate::receipt::{RECEIPT_BYTES_MAX, Receipt};
use crate::statement::Signed;
use crate::verify::{Line, Standing};

/// An entry, and what it is worth.
#[derive(Debug, Serialize)]
pub struct EntryView {
    /// Whether there is no doubt.
    pub is_verified: bool,
    /// Its number; none where it could not be read.
    pub index: Option<u64>,
    /// Entries of the ledger that it was found in.
    pub ledger_entries: Option<u64>,
    /// Who cosigned that.
    pub cosigned_by: Vec<String>,
    /// Its kind.
    pub kind: Option<&'static str>,
    /// What names it.
    pub subject: Option<String>,
    /// When it was written, in milliseconds since the Unix epoch, by the coordinator's clock.
    pub time_ms: Option<u64>,
    /// The entry itself.
    pub entry: Value,
    /// Statements and doubts.
    #[serde(flatten)]
    pub findings: Findings,
}

/// An entry of a ledger.
///
/// # Errors
/// [`Failure`]: there is no such entry.
pub fn entry(open: &Open, shelf: &Shelf, index: u64) -> Result<EntryView, Failure> {
    let bytes = usize::try_from(index).ok().and_then(|at| open.ledger.entries.get(at));
    let bytes = bytes.ok_or_else(|| {
        let message = format!("no entry {index}: there are {}", open.ledger.entries.len());
        Failure::new(Exit::BadInput, "NO_SUCH", message)
    })?;
    let mut view = EntryView::of(&open.ledger.cosigned, index);
    view.take(bytes);
    view.findings.append(Findings::of(open, shelf, &[index]));
    Ok(view.judged())
}

/// The entry of a receipt.
///
/// # Errors
/// [`Failure`]: the file cannot be read.
pub fn receipt(path: &Path, roster: &Roster) -> Result<EntryView, Failure> {
    let bytes = files::read(path, RECEIPT_BYTES_MAX as u64)
        .map_err(|error| Failure::new(Exit::BadInput, "NO_FILE", error))?;
    let quorum = quorum_of(roster)?;
    let text = String::from_utf8_lossy(&bytes);
    let parsed = text.parse::<Receipt>();
    let included = parsed.and_then(|receipt| {
        let included = receipt.check(&quorum)?;
        Ok((receipt, included))
    });
    let (receipt, included) = match included {
        Ok(included) => included,
        Err(bad) => return Ok(EntryView::doubtful(bad.to_string())),
    };
    let mut view = EntryView::of(&included.cosigned, included.index);
    if included.cosigned.unknown > 0 {
        view.doubt(format!("{} signatures are by unknown keys", included.cosigned.unknown));
    }
    let read = view.take(&receipt.entry);
    if let Some(entry) = read {
        if entry.federation != roster.federation {
            view.doubt("the entry is of another federation than the log".to_owned());
        }
        view.signature(&entry.body, roster);
    }
    view.say(
        Standing::Asserted("the coordinator".to_owned()),
        "what the entry says beside this; the whole ledger tells more (ledger verify)".to_owned(),
    );
    Ok(view.judged())
}

impl EntryView {
    fn of(cosigned: &Cosigned, index: u64) -> Self {
        let size = cosigned.checkpoint.head.size;
        let names: Vec<_> = cosigned.witnesses.keys().map(ToString::to_string).collect();
        let mut view = Self { index: Some(index), ledger_entries: Some(size), ..Self::empty() };
        view.say(
            Standing::Checked,
            format!("it is entry {index} of a ledger of {size} entries, which the log signed"),
        );
        view.say(Standing::Attested(names.len()), "that this ledger is the only one".to_owned());
        view.cosigned_by = names;
        view
    }

    fn empty() -> Self {
        Self {
            is_verified: false,
            index: None,
            ledger_entries: None,
            cosigned_by: Vec::new(),
            kind: None,
            subject: None,
            time_ms: None,
            entry: Value::Null,
            findings: Findings::default(),
        }
    }

    fn doubtful(why: String) -> Self {
        let mut view = Self::empty();
        view.doubt(why);
        view
    }

    fn say(&mut self, standing: Standing, what: String) {
        let entry = self.index.unwrap_or_default();
        self.findings.statements.push(Line { entry, what, standing });
    }

    fn doubt(&mut self, why: String) {
        self.findings.doubts.push(Doubtful { entry: self.index, why });
    }

    fn take(&mut self, bytes: &[u8]) -> Option<Entry> {
        match Entry::parse(bytes) {
            Ok(entry) => {
                self.kind = Some(entry.body.kind().word());
                self.subject = Some(entry.body.subject());
                self.time_ms = Some(entry.time_ms);
                self.entry = serde_json::from_slice(bytes).unwrap_or_default();
                Some(entry)
            }
            Err(bad) => {
                self.doubt(bad.to_string());
                None
            }
        }
    }

    /// Checks the signature of what a member said.
    fn signature(&mut self, body: &Body, roster: &Roster) {
        let Some(signed) = signed(body) else { return };
        let name = roster.name_of(&signed.statement.member);
        match signed.check(&roster.authority) {
            Ok(()) => self.say(Standing::Checked, format!("{name} signed this")),
            Err(bad) => self.doubt(bad.to_string()),
        }
    }

    fn judged(self) -> Self {
        Self { is_verified: self.findings.doubts.is_empty(), ..self }
    }
}

const fn signed(body: &Body) -> Option<&Signed> {
    match body {
        Body::ComputeReported(body) => Some(&body.signed),
        Body::DisputeOpened(body) => Some(&body.signed),
        Body::DisputeWithdrawn(body) => Some(&body.signed),
        Body::VoteCast(body) => Some(&body.signed),
        Body::ProposalOpened(body) => Some(&body.signed),
        Body::AddressSet(body) => Some(&body.signed),
        _ => None,
    }
}

impl Findings {
    fn append(&mut self, more: Self) {
        self.statements.extend(more.statements);
        self.doubts.extend(more.doubts);
    }
}

impl fmt::Display for EntryView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.index, self.kind, &self.subject, self.time_ms) {
            (Some(index), Some(kind), Some(subject), Some(time_ms)) => {
                let word = word(self.is_verified);
                writeln!(f, "entry {index} {word}: {kind}, {}", time(time_ms))?;
                writeln!(f, "  {subject}")?;
                writeln!(f, "  cosigned by {}", self.cosigned_by.join(", "))?;
                // Values: there is nothing that JSON cannot say.
                let text = serde_json::to_string_pretty(&self.entry).unwrap_or_default();
                write!(f, "{text}")?;
            }
            _ => write!(f, "this is no entry of the ledger")?,
        }
        write!(f, "{}", self.findings)
    }
}
