//! The log being written.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{Egress, FileError, Leaving, files};
use covey_aggregation::program::clock::{now, utc};
use covey_aggregation::program::{Exit, Failure};
use tokio::sync::watch;

use super::chain::{Link, LogError, Walked, file_of, files_of, walk_part};
use super::entry::{Entry, Removed, Sent, What};
use super::naming::Named;
use super::{FILE_BYTES_MAX, FILES_MAX};

/// The log of a running client. Cheap to clone.
#[derive(Clone)]
pub struct OutboundLog(Arc<Inner>);

struct Inner {
    writer: Mutex<Writer>,
    /// Rounds by their context: run and number.
    rounds: Mutex<BTreeMap<Digest, (Digest, u32)>>,
    /// Why nothing leaves any more.
    failed: watch::Sender<Option<String>>,
}

struct Writer {
    folder: PathBuf,
    file: File,
    file_bytes: u64,
    end: Link,
    is_closed: bool,
    /// Most bytes of a file before the next one is begun, and most files.
    bounds: (u64, usize),
}

impl OutboundLog {
    /// Opens the log in `folder`, or begins it. Returns it with how many bytes of a torn last entry
    /// were cut: a crash came before that entry was durable, and so before anything left.
    ///
    /// The last file is read and checked; `audit verify` reads all of them.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(folder: &Path) -> Result<(Self, u64), LogError> {
        Self::open_bounded(folder, (FILE_BYTES_MAX, FILES_MAX))
    }

    fn open_bounded(folder: &Path, bounds: (u64, usize)) -> Result<(Self, u64), LogError> {
        files::create_private_folder(folder)?;
        files::sync_folder(folder)?;
        let paths = files_of(folder)?;
        let Walked { end, torn_bytes, .. } = last_of(&paths)?;
        let path = match paths.last() {
            Some(path) => path.clone(),
            None => {
                let path = file_of(folder, end.next);
                files::write_durably(&path, b"")?;
                path
            }
        };
        let failed = |source| FileError::Write { path: path.clone(), source };
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let file_bytes = file.metadata().map_err(failed)?.len() - torn_bytes;
        if torn_bytes > 0 {
            file.set_len(file_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let writer =
            Writer { folder: folder.to_owned(), file, file_bytes, end, is_closed: false, bounds };
        let log = Self(Arc::new(Inner {
            writer: Mutex::new(writer),
            rounds: Mutex::default(),
            failed: watch::Sender::new(None),
        }));
        Ok((log, torn_bytes))
    }

    /// Says which round has this context, for the entries about it.
    pub fn know(&self, context: Digest, run: Digest, round: u32) {
        let mut rounds = self.0.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.insert(context, (run, round));
    }

    /// Waits until something could not be logged. Then nothing leaves any more: this says why.
    pub async fn failed(&self) -> Failure {
        let mut failed = self.0.failed.subscribe();
        loop {
            if let Some(failure) = self.failure() {
                return failure;
            }
            if failed.changed().await.is_err() {
                // The sender is in this log.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Why nothing leaves any more, if that is so.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let why = self.0.failed.borrow().clone()?;
        let what = format!("nothing more is sent: {why}");
        Some(Failure::new(Exit::Failed, "AUDIT_LOG", what).with_help(
            "what cannot be written to the log of outbound messages does not leave; make room on \
             the disk or mend it, then start again",
        ))
    }

    /// Ends the log: what another task of this client still holds of a link sends nothing more. So
    /// the next client with the same state has the log to itself.
    pub fn close(&self) {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
    }

    fn append(&self, leaving: &Leaving<'_>) -> io::Result<()> {
        let Named { kind, bytes, sha256, context } = Named::of(leaving.parcel)?;
        let known = context.and_then(|context| {
            let rounds = self.0.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            rounds.get(&context).copied()
        });
        let sent = Sent {
            kind: kind.to_owned(),
            bytes,
            sha256,
            peer: leaving.peer.to_string(),
            address: leaving.address.to_string(),
            run: known.map(|(run, _)| run.to_string()),
            round: known.map(|(_, round)| round),
            context: context.map(|context| context.to_string()),
        };
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_closed {
            return Err(io::Error::other("this client has ended"));
        }
        // After a failure the file may end in a part of an entry; the next start cuts that.
        if let Some(why) = &*self.0.failed.borrow() {
            return Err(io::Error::other(why.clone()));
        }
        writer.append(What::Sent(sent))
    }
}

impl Egress for OutboundLog {
    fn leave(&self, leaving: &Leaving<'_>) -> io::Result<()> {
        self.append(leaving).inspect_err(|error| {
            self.0.failed.send_if_modified(|failed| {
                let is_first = failed.is_none();
                failed.get_or_insert_with(|| error.to_string());
                is_first
            });
        })
    }
}

/// The end of the log, by its last file alone, or by the one before where that has no whole entry.
fn last_of(paths: &[PathBuf]) -> Result<Walked, LogError> {
    let part = |from: usize, to: usize| walk_part(&paths[from..to], &mut |_, _| {});
    let files = paths.len();
    let (walked, _) = part(files.saturating_sub(1), files)?;
    if walked.end.next > walked.first.next || files < 2 {
        return Ok(walked);
    }
    let (before, _) = part(files - 2, files - 1)?;
    Ok(Walked { torn_bytes: walked.torn_bytes, ..before })
}

impl Writer {
    fn append(&mut self, what: What) -> io::Result<()> {
        let (file_bytes_max, _) = self.bounds;
        if self.file_bytes >= file_bytes_max {
            self.begin_file()?;
        }
        self.write(what)
    }

    /// When this returns, the entry survives a power cut.
    fn write(&mut self, what: What) -> io::Result<()> {
        let Link { next, previous } = self.end.clone();
        let (mut line, hash) = Entry { entry: next, time: utc(now()), what, previous }.line();
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.folder.display()))
        })?;
        self.file_bytes += line.len() as u64;
        self.end = Link { next: next + 1, previous: hash };
        Ok(())
    }

    fn begin_file(&mut self) -> io::Result<()> {
        let path = file_of(&self.folder, self.end.next);
        files::write_durably(&path, b"").map_err(io::Error::other)?;
        self.file = OpenOptions::new().append(true).open(&path)?;
        self.file_bytes = 0;
        let (_, files_max) = self.bounds;
        let paths = files_of(&self.folder).map_err(io::Error::other)?;
        let kept_from = paths.len().saturating_sub(files_max);
        for pair in paths.windows(2).take(kept_from) {
            let [oldest, following] = pair else { continue };
            let (kept, _) = walk_part(std::slice::from_ref(following), &mut |_, _| {})
                .map_err(io::Error::other)?;
            let Link { next, previous } = kept.first;
            let removed_to = next.saturating_sub(1);
            self.write(What::Removed(Removed { removed_to, removed_hash: previous }))?;
            files::remove_durably(oldest).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
