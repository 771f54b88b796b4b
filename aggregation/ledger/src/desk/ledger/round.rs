//! `ledger round`: a round against what was published of it.

use std::fmt;
use std::path::Path;

use covey_aggregation::program::published::{
    CONTRIBUTIONS_FOLDER, Contributions, read_publication,
};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::verify;
use covey_aggregation::roster::Roster;
use covey_aggregation::{limits::ROSTER_BYTES_MAX, wire};
use serde::Serialize;

use super::{Doubtful, Findings, word};
use crate::book::{Book, RoundRecord};
use crate::desk::source::{Open, Shelf};
use crate::document::Documents as _;
use crate::entry::RoundOutcome;
use crate::verify::{ADD_UP, Line, Standing};

/// A round, and what is known of it.
#[derive(Debug, Serialize)]
pub struct RoundView {
    /// Whether there is no doubt.
    pub is_verified: bool,
    /// The run, by its digest.
    pub run: String,
    /// The run's name.
    pub run_name: String,
    /// The round.
    pub round: u32,
    /// How it ended.
    pub outcome: RoundOutcome,
    /// Its entry.
    pub entry: u64,
    /// Owners that were asked, that answered, and whose updates are in the sum.
    pub invited_joined_counted: [u32; 3],
    /// Contributions that were added again here; none where their bytes are not at hand.
    pub added_again: Option<u32>,
    /// Statements and doubts.
    #[serde(flatten)]
    pub findings: Findings,
}

/// A round of a run.
///
/// # Errors
/// [`Failure`]: there is no such round.
pub fn round(open: &Open, shelf: &Shelf, (run, number): (&str, u32)) -> Result<RoundView, Failure> {
    let run = open.names().run(run)?;
    let book = &open.ledger.book;
    let record = book.run(&run);
    let found = record.and_then(|run| Some((run, run.rounds.get(&number)?)));
    let (record, round) = found.ok_or_else(|| {
        let last = record.and_then(|run| run.rounds.keys().next_back()).copied();
        let message = format!("no round {number} of {} is over", open.names().of_run(&run));
        Failure::new(Exit::BadInput, "NO_SUCH", message).with_help(match last {
            Some(last) => format!("its last round in the ledger is {last}"),
            None => "none is in the ledger".to_owned(),
        })
    })?;
    let more = round.fold.iter().map(|(entry, _)| *entry);
    let more = more.chain(round.evidence.iter().map(|(entry, _)| *entry));
    let entries: Vec<_> = std::iter::once(round.entry).chain(more).collect();
    let closed = &round.closed;
    let mut view = RoundView {
        is_verified: false,
        run: run.to_string(),
        run_name: record.plan.name.to_string(),
        round: number,
        outcome: closed.outcome,
        entry: round.entry,
        invited_joined_counted: [closed.invited, closed.joined, closed.counted],
        added_again: None,
        findings: Findings::of(open, shelf, &entries),
    };
    view.add_again(book, shelf, round);
    view.is_verified = view.findings.doubts.is_empty();
    Ok(view)
}

impl RoundView {
    /// Adds the contributions again, where their bytes are at hand.
    fn add_again(&mut self, book: &Book, shelf: &Shelf, round: &RoundRecord) {
        let document = round.closed.published.as_ref().map(|published| published.document);
        let Some(folder) = document.and_then(|document| shelf.round_folder(&document)) else {
            return;
        };
        if !folder.join(CONTRIBUTIONS_FOLDER).exists() {
            // Those of older rounds are no longer published.
            return;
        }
        match add(book, shelf, folder) {
            Ok(None) => {}
            Ok(Some(count)) => {
                self.added_again = Some(count);
                self.findings.statements.retain(|line| line.what != ADD_UP);
                let what = format!("{count} encrypted contributions add up to what was opened");
                let entry = round.entry;
                self.findings.statements.push(Line { entry, what, standing: Standing::Checked });
            }
            Err(why) => self.findings.doubts.push(Doubtful { entry: Some(round.entry), why }),
        }
    }
}

/// How many were added; none where the round's roster is not at hand.
fn add(book: &Book, shelf: &Shelf, folder: &Path) -> Result<Option<u32>, String> {
    let publication = read_publication(folder).map_err(|error| error.to_string())?;
    let config = &publication.result.config;
    let document = book.roster_document(&config.federation);
    let bytes = document.and_then(|document| shelf.document(document));
    let roster: Option<Roster> =
        bytes.and_then(|bytes| wire::decode(&bytes, ROSTER_BYTES_MAX).ok());
    let Some(roster) = roster.filter(|roster| roster.digest() == config.federation) else {
        return Ok(None);
    };
    let mut source = Contributions::new(folder, config);
    let verified = verify(&publication, &roster, &mut source);
    verified.map(|verified| Some(verified.count)).map_err(|fault| fault.to_string())
}

impl fmt::Display for RoundView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, run_name, round, entry, .. } = self;
        let [invited, joined, counted] = self.invited_joined_counted;
        let word = word(self.is_verified);
        write!(
            f,
            "round {round} of {run_name} ({}) {word}: entry {entry}, {invited} invited, {joined} joined, \
             {counted} counted",
            &run[..8]
        )?;
        write!(f, "{}", self.findings)
    }
}
