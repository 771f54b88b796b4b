//! What can be said of a ledger by whoever has its entries: which statements were *checked* (computed
//! again here), which are *attested* (a quorum of the committee signed them), and which are only
//! *asserted* (by the coordinator, or by one member alone); and every doubt.
//!
//! That the entries are those of a log whose head the committee cosigned is another check
//! ([`crate`]'s bundles); this one is about what they mean. Documents make more of it: with the
//! publication of a round, its summary is compared with what was published, and everything but the sum of
//! the contributions is checked again; with rosters, that members are on them.

mod rounds;
mod statements;

use std::fmt;

use covey_aggregation::publication::PublicationFault;
use serde::Serialize;

use crate::book::{Book, Fault, Refused};
use crate::document::{BadDocument, Documents};
use crate::entry::Entry;

#[cfg(feature = "desk")]
pub(crate) use self::rounds::ADD_UP;
pub use self::statements::statements;

/// How much a statement is worth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "standing", content = "by", rename_all = "kebab-case")]
pub enum Standing {
    /// It was computed again here.
    Checked,
    /// So many of the committee signed it, a quorum; the signatures were checked.
    Attested(usize),
    /// Somebody says so: a name.
    Asserted(String),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked => f.write_str("checked"),
            Self::Attested(votes) => write!(f, "attested by {votes} of the committee"),
            Self::Asserted(by) => write!(f, "asserted by {by}"),
        }
    }
}

/// Something that an entry says, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which entry.
    pub entry: u64,
    /// What it says, in words.
    pub what: String,
    /// What that is worth.
    #[serde(flatten)]
    pub standing: Standing,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.standing)
    }
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("entry {entry}: {why}")]
pub struct Doubt {
    /// Which entry.
    pub entry: u64,
    /// Why.
    pub why: Why,
}

/// Why something does not hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Why {
    /// The book refuses the entry: nothing after it was read.
    #[error("{0}")]
    Refused(Refused),
    /// A document is at hand and is another one.
    #[error("{0}")]
    Document(BadDocument),
    /// The roster at hand says otherwise than the entry.
    #[error("the roster at hand says otherwise: {0}")]
    Roster(&'static str),
    /// The publication at hand says otherwise than the entry.
    #[error("the publication at hand says otherwise: {0}")]
    Publication(&'static str),
    /// The publication does not hold.
    #[error("the publication does not hold: {0}")]
    BadPublication(PublicationFault),
}

/// What is to be said of a ledger.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What its entries say, in their order.
    pub lines: Vec<Line>,
    /// What does not hold.
    pub doubts: Vec<Doubt>,
    /// The book, as far as it was read.
    pub book: Option<Book>,
}

impl Report {
    /// Whether there is no doubt.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.doubts.is_empty()
    }

    /// How many statements were checked, attested and asserted.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = |is_one: fn(&Standing) -> bool| {
            self.lines.iter().filter(|line| is_one(&line.standing)).count()
        };
        [
            count(|standing| matches!(standing, Standing::Checked)),
            count(|standing| matches!(standing, Standing::Attested(_))),
            count(|standing| matches!(standing, Standing::Asserted(_))),
        ]
    }
}

/// Reads a ledger from the bytes of its entries, in order, and says what every statement is worth.
#[must_use]
pub fn verify<'a>(
    entries: impl IntoIterator<Item = &'a [u8]>,
    documents: &dyn Documents,
) -> Report {
    let mut report = Report::default();
    for (bytes, index) in entries.into_iter().zip(0..) {
        if let Err(refused) = read(&mut report, (index, bytes), documents) {
            report.doubts.push(Doubt { entry: index, why: Why::Refused(refused) });
            return report;
        }
    }
    if report.book.is_none() {
        report.doubts.push(Doubt { entry: 0, why: Why::Refused(Refused::Founding) });
    }
    report
}

fn read(
    report: &mut Report,
    (index, bytes): (u64, &[u8]),
    documents: &dyn Documents,
) -> Result<(), Refused> {
    let entry = Entry::parse(bytes)?;
    match &mut report.book {
        None => report.book = Some(Book::found(&entry)?),
        Some(book) => {
            book.apply(&entry, documents)?;
        }
    }
    if let Some(book) = &report.book {
        let (lines, doubts) = statements(book, index, &entry, documents);
        report.lines.extend(lines);
        report.doubts.extend(doubts);
    }
    Ok(())
}

impl From<Fault> for Doubt {
    fn from(fault: Fault) -> Self {
        Self { entry: fault.index, why: Why::Refused(fault.refused) }
    }
}

#[cfg(test)]
mod tests;
