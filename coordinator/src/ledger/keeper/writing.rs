//! What the log's machine wants done, in its order.

use std::collections::BTreeMap;
use std::sync::Arc;

use covey_aggregation::message::ToHolder;
use covey_aggregation::party::PartyId;
use covey_ledger::book::{Book, Fault};
use covey_ledger::bundle::{CHECKPOINT_PATH, audit_tree};
use covey_ledger::entry::Entry;
use covey_ledger::log::{BATCH_ENTRIES_MAX, Effect, Opening};
use covey_ledger::note::SignatureLine;
use tokio::task::block_in_place;

use super::super::committee::question;
use super::super::files::LedgerFiles;
use super::catching_up::Batch;
use super::{Keeper, LedgerError, Opened};
use crate::event::Event;
use crate::session::Input;

impl Keeper {
    /// Opens the stored ledger, or an empty one. Says whether it is open: the committee must be complete.
    pub(super) async fn open(&mut self) -> Result<bool, LedgerError> {
        let Some(quorum) = self.quorum() else { return Ok(false) };
        let lock = self.registry.lock().await.ledger_lock().await?;
        let opening = Opening::new(quorum, lock)?;
        let mut found = BTreeMap::new();
        for path in opening.paths() {
            let bytes = match self.registry.lock().await.staged(&path).await? {
                Some(bytes) => Some(bytes),
                None => block_in_place(|| self.files.read(&path))?,
            };
            found.extend(bytes.map(|bytes| (path, bytes)));
        }
        let log = opening.open(|path| found.get(path).cloned())?;
        self.open = Some(Opened { log, book: None, receipted: BTreeMap::new() });
        // What a batch before this start still needs: only then are all files there.
        self.drive().await?;
        let Some(open) = &mut self.open else { return Ok(false) };
        block_in_place(|| open.read_book(&self.files))?;
        self.show();
        Ok(true)
    }

    /// Appends entries and does what that takes; the witnesses answer later.
    pub(super) async fn append(&mut self, batch: Batch) -> Result<(), LedgerError> {
        if batch.is_empty() {
            return Ok(());
        }
        for part in batch.chunks(BATCH_ENTRIES_MAX) {
            let Some(open) = &mut self.open else { return Ok(()) };
            let appended = open.log.append(part, self.clock.now().0, &self.identity);
            appended.map_err(|error| LedgerError::Damaged(error.to_string()))?;
            self.drive().await?;
        }
        self.show();
        self.ask(&self.holders()).await;
        Ok(())
    }

    /// Writes what follows from the ledger and the time: decisions on disputes and proposals.
    pub(super) async fn write_due(&mut self) -> Result<(), LedgerError> {
        loop {
            let now_ms = self.clock.now().0;
            let due = self.book().map(|book| book.due(now_ms)).unwrap_or_default();
            let Some((body, document)) = due.into_iter().next() else { return Ok(()) };
            if let Some(document) = document {
                block_in_place(|| self.files.write_document(&document))?;
            }
            let (what, mut batch) = (body.subject(), Batch::new());
            if let Err(no) = self.enter(body, &mut batch) {
                self.tell_refused(&what, &no.to_string());
                return Ok(());
            }
            self.append(batch).await?;
        }
    }

    /// Does what the log wants done until it waits for witnesses, or wants nothing.
    pub(super) async fn drive(&mut self) -> Result<(), LedgerError> {
        loop {
            let Some(open) = &mut self.open else { return Ok(()) };
            let Some(effect) = open.log.effect().cloned() else { return Ok(()) };
            match &effect {
                // Done once enough have cosigned.
                Effect::Cosign { .. } => {}
                Effect::Stage { path, bytes } => {
                    self.registry.lock().await.stage(path, bytes.clone()).await?;
                }
                Effect::Commit { old, new } => {
                    self.registry.lock().await.swap_lock(old.as_deref(), new).await?;
                }
                Effect::Write { .. } => {
                    let writes: Vec<_> = open.log.writes().collect();
                    block_in_place(|| self.files.write_all(&writes))?;
                    // The last one below.
                    for _ in 1..writes.len() {
                        let _ = open.log.done();
                    }
                }
                Effect::Publish { path, bytes } => {
                    block_in_place(|| self.files.write(path, bytes))?;
                }
                Effect::Unstage { path } => self.registry.lock().await.unstage(path).await?,
                Effect::Acknowledge { entries } => {
                    self.show();
                    self.tell(&Event::Ledger { size: entries.end });
                    self.send_receipts(entries.clone()).await;
                }
            }
            let Some(open) = &mut self.open else { return Ok(()) };
            if open.log.done().is_err() {
                return Ok(());
            }
        }
    }

    /// A witness has answered.
    pub(super) async fn cosigned(
        &mut self,
        holder: PartyId,
        line: &[u8],
    ) -> Result<(), LedgerError> {
        let line = std::str::from_utf8(line).ok().and_then(SignatureLine::parse);
        let (Some(open), Some(line)) = (&mut self.open, line) else { return Ok(()) };
        match open.log.cosigned(line) {
            Ok(_) => self.witnesses.cosigned(holder, open.log.size()),
            // Over an earlier checkpoint, say: it is asked about this one.
            Err(error) => tracing::debug!(%error, "a cosignature is not taken"),
        }
        self.drive().await
    }

    /// Asks the witnesses again, where too few have cosigned the last checkpoint.
    pub(super) async fn ask_witnesses(&mut self) {
        let is_open = |open: &Opened| open.log.published() < open.log.size();
        if self.open.as_ref().is_some_and(is_open) {
            self.ask(&self.holders()).await;
        }
    }

    /// A witness is there. It is asked even where nothing is to be cosigned, about the checkpoint that is
    /// published: so it finds out whether it remembers what it has signed.
    pub(super) async fn greet(&mut self, holder: PartyId) {
        let Some(open) = &self.open else { return };
        if open.log.effect().is_some() {
            return self.ask(&[holder]).await;
        }
        let sizes = (self.witnesses.size_of(&holder), open.log.published());
        let question = block_in_place(|| {
            let published = self.files.at_hand(CHECKPOINT_PATH)?;
            question(&self.files, sizes, &published)
        });
        self.put(question.map(|question| (holder, question)).into_iter().collect()).await;
    }

    /// Asks those of these witnesses that have not cosigned the last checkpoint.
    pub(super) async fn ask(&mut self, holders: &[PartyId]) {
        let Some(Effect::Cosign { size, checkpoint }) =
            self.open.as_ref().and_then(|open| open.log.effect().cloned())
        else {
            return;
        };
        let mut questions = Vec::new();
        for holder in holders {
            let old_size = self.witnesses.size_of(holder);
            if !self.witnesses.has_cosigned(holder, size) && old_size <= size {
                let sizes = (old_size, size);
                let question = block_in_place(|| question(&self.files, sizes, &checkpoint));
                questions.extend(question.map(|question| (*holder, question)));
            }
        }
        self.put(questions).await;
    }

    async fn put(&self, questions: Vec<(PartyId, ToHolder)>) {
        if let (Some(inputs), false) = (self.inputs.upgrade(), questions.is_empty()) {
            // A driver that is gone asks nobody any more.
            let _ = inputs.send(Input::Cosign(questions)).await;
        }
    }
}

impl Opened {
    /// Reads the book from the log's files, and checks both.
    fn read_book(&mut self, files: &LedgerFiles) -> Result<(), LedgerError> {
        let Some(head) = self.log.head() else { return Ok(()) };
        let mut fault = None;
        let visit = |index: u64, bytes: &[u8]| {
            if fault.is_none() {
                fault = self.read_entry(index, bytes, files).err();
            }
        };
        let audited = audit_tree(|path| files.at_hand(path), head, visit);
        audited.map_err(|fault| LedgerError::Damaged(fault.to_string()))?;
        fault.map_or(Ok(()), |fault| Err(LedgerError::Damaged(fault.to_string())))
    }

    fn read_entry(&mut self, index: u64, bytes: &[u8], files: &LedgerFiles) -> Result<(), Fault> {
        let fault = |refused| Fault { index, refused };
        let entry = Entry::parse(bytes).map_err(|bad| fault(bad.into()))?;
        match &mut self.book {
            Some(book) => Arc::make_mut(book).apply(&entry, files).map(|_| ()).map_err(fault)?,
            none => *none = Some(Arc::new(Book::found(&entry).map_err(fault)?)),
        }
        self.index(&entry.body, index);
        Ok(())
    }
}
