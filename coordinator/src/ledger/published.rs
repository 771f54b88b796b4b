//! The published ledger as the operator's commands read it: from its files, all of it checked.

use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use covey_ledger::book::Book;
use covey_ledger::bundle::audit;
use covey_ledger::quorum::Quorum;

use super::files::LedgerFiles;

/// What it says.
///
/// # Errors
/// [`Failure`]: nothing is published, or what is does not hold.
pub fn book(files: &LedgerFiles, roster: &Roster) -> Result<Book, Failure> {
    let bad = |what: String| {
        Failure::new(Exit::Unverified, "LEDGER", format!("the published ledger: {what}"))
    };
    let quorum = Quorum::of_roster(roster).map_err(|error| bad(error.to_string()))?;
    let mut entries = Vec::new();
    let visit = |_, entry: &[u8]| entries.push(entry.to_vec());
    audit(|path| files.at_hand(path), &quorum, visit).map_err(|fault| bad(fault.to_string()))?;
    let book = Book::read(entries.iter().map(Vec::as_slice), files);
    book.map_err(|fault| bad(fault.to_string()))
}
