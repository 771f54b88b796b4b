//! From what the records say to entries: whatever the ledger lacks is written, in the order in which a
//! book takes it. The same at start, after a crash and in the middle of a run.

use std::sync::Arc;

use covey_aggregation::party::PartyId;
use covey_ledger::book::Book;
use covey_ledger::entry::{Body, Entry, Leaving};
use covey_ledger::facts::{self, Facts};
use covey_ledger::tile::{bundle_of, decode_entries};
use tokio::task::block_in_place;

use super::super::NotStated;
use super::super::sources::RunSource;
use super::{Keeper, LedgerError, Opened};
use crate::event::Event;

/// The entries of a batch.
pub(super) type Batch = Vec<Vec<u8>>;

impl Keeper {
    /// Writes everything that the records say and the ledger has not.
    pub(super) async fn catch_up(&mut self) -> Result<(), LedgerError> {
        if self.open.is_none() && !self.open().await? {
            return Ok(());
        }
        let (now_ms, last_ms) = (self.clock.now().0, self.book().map_or(0, Book::time_ms));
        if now_ms < last_ms {
            self.tell_once("clock".to_owned(), &Event::LedgerClock { now_ms, last_ms });
            return Ok(());
        }
        let mut batch = Batch::new();
        self.enter_members(&mut batch).await?;
        for run in &self.sources.runs().await? {
            self.enter_run(run, &mut batch)?;
        }
        self.append(batch).await?;
        self.write_due().await
    }

    /// The founding, and those who came and went since.
    async fn enter_members(&mut self, batch: &mut Batch) -> Result<(), LedgerError> {
        let rosters = self.sources.rosters().await?;
        let Some(first) = rosters.first() else { return Ok(()) };
        if self.book().is_none() {
            let (reviewers, charter) = self.founding.of(&first.roster);
            let Some(facts) = facts::founding(&first.roster, &reviewers, charter) else {
                return Ok(());
            };
            if !self.enter_facts("founding", facts, batch)? {
                return Ok(());
            }
        }
        let leavings = self.sources.leavings().await?;
        let how =
            |id: &PartyId| (leavings.get(id).copied().unwrap_or(Leaving::Left), String::new());
        for pair in rosters.windows(2) {
            let number = pair[1].roster.number;
            if self.book().is_some_and(|book| book.roster().0 < number) {
                let facts = facts::members(&pair[0].roster, &pair[1], how);
                self.enter_facts(&format!("roster {number}"), facts, batch)?;
            }
        }
        Ok(())
    }

    /// What a run has come to since.
    fn enter_run(&mut self, source: &RunSource, batch: &mut Batch) -> Result<(), LedgerError> {
        let run = source.run();
        let what = format!("run {}", run.short());
        let known = |keeper: &Self| keeper.book().and_then(|book| book.run(&run)).cloned();
        if known(self).is_none() {
            let Some(book) = self.book() else { return Ok(()) };
            let Some(facts) = block_in_place(|| source.plan(book))? else { return Ok(()) };
            self.enter_facts(&what, facts, batch)?;
        }
        let (Some(record), Some(book)) = (known(self), self.book()) else { return Ok(()) };
        if let Some(facts) = source.extended(book, &record) {
            self.enter_facts(&what, facts, batch)?;
        }
        let new: Vec<_> = source.rounds_from(&record).collect();
        for (at, number) in new {
            let passing = Arc::clone(&self.ends.passing);
            let facts = block_in_place(|| source.round(at, &record, &passing))?;
            if !self.enter_facts(&format!("{what}, round {number}"), facts, batch)? {
                return Ok(());
            }
        }
        let is_open = known(self).is_some_and(|record| record.ended.is_none());
        if let Some(ended) = source.ended().filter(|_| is_open) {
            let facts = Facts { bodies: vec![ended.into()], documents: Vec::new() };
            self.enter_facts(&what, facts, batch)?;
        }
        self.enter_credits(source, &what, batch)
    }

    /// The credits of a run that is over.
    fn enter_credits(
        &mut self,
        source: &RunSource,
        what: &str,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let Some(book) = self.book() else { return Ok(()) };
        let run = source.run();
        if book.run(&run).is_none_or(|run| run.ended.is_none()) {
            return Ok(());
        }
        match facts::credits(book, &run) {
            Ok(facts) => self.enter_facts(&format!("{what}, credits"), facts, batch).map(|_| ()),
            Err(facts::NoCredits::None) => Ok(()),
            Err(no) => {
                self.tell_refused(what, &no.to_string());
                Ok(())
            }
        }
    }

    /// Enters what is not in the book yet, its documents first. Says whether all of it is there now.
    fn enter_facts(
        &mut self,
        what: &str,
        facts: Facts,
        batch: &mut Batch,
    ) -> Result<bool, LedgerError> {
        let Facts { bodies, documents } = facts;
        let is_new = |body: &Body| self.book().is_none_or(|book| !book.has(body));
        let new: Vec<_> = bodies.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(true);
        }
        block_in_place(|| documents.iter().try_for_each(|one| self.files.write_document(one)))?;
        for body in new {
            if let Err(no) = self.enter(body, batch) {
                self.tell_refused(what, &no.to_string());
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Enters one thing in the book, and its bytes in the batch that is to be appended at once.
    pub(super) fn enter(&mut self, body: Body, batch: &mut Batch) -> Result<u64, NotStated> {
        let federation = self.registrar.guests().now().certified.roster.federation.clone();
        let entry = Entry::new(federation, self.clock.now().0, body);
        let bytes = entry.encode().map_err(|bad| NotStated::Refused(bad.to_string()))?;
        let Some(open) = &mut self.open else {
            return Err(NotStated::Busy("the committee is not complete".to_owned()));
        };
        let applied = match &mut open.book {
            Some(book) => block_in_place(|| Arc::make_mut(book).apply(&entry, &self.files)),
            none => Book::found(&entry).map(|book| {
                *none = Some(Arc::new(book));
                0
            }),
        };
        let index = applied.map_err(|refused| NotStated::Refused(refused.to_string()))?;
        open.index(&entry.body, index);
        batch.push(bytes);
        Ok(index)
    }

    /// An entry that is in the log.
    pub(super) fn entry(&self, index: u64) -> Option<Entry> {
        Entry::parse(&self.entry_bytes(index)?).ok()
    }

    /// The bytes of an entry that is in the log.
    pub(super) fn entry_bytes(&self, index: u64) -> Option<Vec<u8>> {
        let (tile, place) = bundle_of(index, self.open.as_ref()?.log.size())?;
        let bytes = block_in_place(|| self.files.at_hand(&tile.to_string()))?;
        let entries = decode_entries(&tile, &bytes).ok()?;
        entries.get(place).map(|entry| entry.to_vec())
    }

    /// Tells the operator of what the book refuses.
    pub(super) fn tell_refused(&mut self, what: &str, why: &str) {
        let event = Event::NotEntered { what: what.to_owned(), why: why.to_owned() };
        self.tell_once(format!("{what}: {why}"), &event);
    }
}

impl Opened {
    /// Remembers where an entry is that owners get receipts of.
    pub(super) fn index(&mut self, body: &Body, index: u64) {
        let about = match body {
            Body::RoundClosed(round) => round.round_ctx,
            Body::CreditsSettled(credits) => credits.run,
            _ => return,
        };
        self.receipted.insert(about, index);
    }
}
