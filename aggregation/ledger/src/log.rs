//! The one who appends to the log: a machine that says what to do next, in an order in which it may be
//! stopped anywhere.
//!
//! 1. [`Effect::Stage`]: everything that the batch changes, in one durable file.
//! 2. [`Effect::Commit`]: the new checkpoint takes the place of the old one in the lock, if that is still
//!    there. From here on the batch is in the log.
//! 3. [`Effect::Write`]: the staged files go to their places; [`Effect::Unstage`] when all have.
//! 4. [`Effect::Cosign`]: the witnesses are asked, until enough have cosigned.
//! 5. [`Effect::Publish`]: the checkpoint with its cosignatures.
//! 6. [`Effect::Acknowledge`]: only now is anybody told that its entry is in the log.
//!
//! Whoever drives it does each effect, and says [`Log::done`] or [`Log::failed`]. After a stop,
//! [`Opening`] reads the lock, which alone decides: what it says is in the log, whatever else is there or
//! missing, and the staged file brings the rest in line by the same effects. So there are never two
//! checkpoints of one size.
//!
//! # Decision
//! The lock is trusted, as a single row of a database or a file that is replaced at once; what is written
//! elsewhere is checked when it is read. Batches may go on while witnesses are away: the next checkpoint
//! is then cosigned instead, and acknowledges for both.

mod edge;
mod opening;
mod staging;

pub use opening::{OpenError, Opening};

use std::collections::VecDeque;
use std::ops::Range;

use covey_aggregation::signing::Identity;

use crate::checkpoint::{Checkpoint, TreeHead};
use crate::cosignature::{self, BadCosignature};
use crate::note::{Note, SignatureLine};
use crate::quorum::Quorum;
use crate::tile::LongEntry;

use edge::Edge;
use staging::{File, Lock, encode, staging_path};

/// Entries of a batch: those of a round of ten thousand members, three each, fit.
pub const BATCH_ENTRIES_MAX: usize = 32_768;
/// Bytes of a batch's entries: what is staged is held in memory and written as one file.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// What to do next. Paths are relative to the log's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write a file, durably. If it fails, the batch is dropped and nothing has happened.
    Stage {
        /// Where.
        path: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// Replace the lock's content if it is still the old one, durably and at once. If it fails, or may
    /// have failed, the log must be opened anew.
    Commit {
        /// What must be there; `None`: nothing yet.
        old: Option<Vec<u8>>,
        /// What to put there.
        new: Vec<u8>,
    },
    /// Write a file, durably. To be done until it succeeds; twice does no harm. Those that follow each
    /// other ([`Log::writes`]) may be written in any order, and at once.
    Write {
        /// Where.
        path: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// Remove a file. That it is left behind does no harm: if it cannot be removed, go on as if it was.
    Unstage {
        /// Which.
        path: String,
    },
    /// Ask the witnesses to cosign, each with a proof from what it cosigned last
    /// ([`crate::witness::Request`]), and give what they answer to [`Log::cosigned`].
    Cosign {
        /// Entries of the checkpoint.
        size: u64,
        /// The log's signed note.
        checkpoint: Vec<u8>,
    },
    /// Replace the published checkpoint, durably. To be done until it succeeds.
    Publish {
        /// Where: always [`crate::bundle::CHECKPOINT_PATH`].
        path: String,
        /// With its cosignatures.
        bytes: Vec<u8>,
    },
    /// Tell those who wait that these entries are in the log, and final.
    Acknowledge {
        /// By index. Those that an earlier run published are not among them; whoever wants to know looks
        /// them up.
        entries: Range<u64>,
    },
}

/// What a failed effect means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The batch is dropped and may be appended again; the log goes on.
    Dropped,
    /// The effect is still the next one, to be tried again.
    Retry,
    /// Nobody knows what is in the lock: the log must be opened anew, which decides.
    Reopen,
}

/// How far a checkpoint's cosignatures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Witnesses that have cosigned.
    pub got: usize,
    /// How many make it final.
    pub needed: usize,
}

/// A batch is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The batch before is not in its place yet.
    #[error("the batch before is still being written; drive it to its end first")]
    Busy,
    /// The log must be opened anew.
    #[error("a commit of this log has failed; open the log anew")]
    Reopen,
    /// The key is not the log's.
    #[error("the key is not that of this log")]
    Key,
    /// The clock was set back.
    #[error(
        "the clock says {now_ms} ms, before the last entries at {last_ms} ms; set the clock, nothing is written until then"
    )]
    ClockBack {
        /// Milliseconds since 1970.
        now_ms: u64,
        /// Of the last batch.
        last_ms: u64,
    },
    /// Nothing in it, or too much.
    #[error("a batch has 1 to {BATCH_ENTRIES_MAX} entries and at most {BATCH_BYTES_MAX} bytes")]
    Batch,
    /// An entry is too long.
    #[error(transparent)]
    Long(#[from] LongEntry),
}

/// A cosignature is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// There is no checkpoint yet.
    #[error("there is no checkpoint to cosign")]
    Nothing,
    /// By no witness of this log.
    #[error("the cosignature is by none of this log's witnesses")]
    Unknown,
    /// It does not hold, maybe because it is over an earlier checkpoint.
    #[error(transparent)]
    Bad(#[from] BadCosignature),
}

/// Too few witnesses have cosigned for the checkpoint to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} witnesses have cosigned, {} are needed", .0.got, .0.needed)]
pub struct NotYet(pub Standing);

/// The last checkpoint that is in the lock.
struct Committed {
    /// The lock's bytes.
    lock: Vec<u8>,
    time_ms: u64,
    head: TreeHead,
    /// Signed by the log, with the cosignatures so far, one of each witness.
    note: Note,
}

/// A log that is appended to.
pub struct Log {
    quorum: Quorum,
    committed: Option<Committed>,
    edge: Edge,
    /// What the batch that is being staged makes of the log.
    next: Option<(Committed, Edge)>,
    queue: VecDeque<Effect>,
    /// Entries and signatures of the checkpoint that is published.
    published: (u64, usize),
    /// The same of the one that is about to be.
    publishing: (u64, usize),
    acknowledged: u64,
    must_reopen: bool,
}

impl Log {
    /// Entries that are in the log.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head().map_or(0, |head| head.size)
    }

    /// Size and root of the log, final or not; `None` as long as it is empty.
    #[must_use]
    pub fn head(&self) -> Option<TreeHead> {
        self.committed.as_ref().map(|committed| committed.head)
    }

    /// Entries of the checkpoint that is published.
    #[must_use]
    pub const fn published(&self) -> u64 {
        self.published.0
    }

    /// When the last batch was written, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.committed.as_ref().map_or(0, |committed| committed.time_ms)
    }

    /// Whether [`Self::append`] takes a batch: nothing is being written.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.must_reopen && matches!(self.queue.front(), None | Some(Effect::Cosign { .. }))
    }

    /// The next effect; `None` when there is nothing to do.
    #[must_use]
    pub fn effect(&self) -> Option<&Effect> {
        self.queue.front()
    }

    /// The files that are to be written next, path and bytes; none unless the next effect is
    /// [`Effect::Write`].
    pub fn writes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.queue.iter().map_while(|effect| match effect {
            Effect::Write { path, bytes } => Some((path.as_str(), bytes.as_slice())),
            _ => None,
        })
    }

    /// Appends a batch. The result is where its entries will be, once [`Effect::Acknowledge`] says so.
    ///
    /// # Errors
    /// [`AppendError`]; nothing has changed then.
    pub fn append(
        &mut self,
        entries: &[Vec<u8>],
        now_ms: u64,
        identity: &Identity,
    ) -> Result<Range<u64>, AppendError> {
        self.check_append(entries, now_ms, identity)?;
        let old_size = self.size();
        let mut edge = self.edge.clone();
        let mut files = Vec::new();
        for entry in entries {
            edge.push(entry, &mut files)?;
        }
        edge.partial(old_size, &mut files);

        let head = TreeHead { size: edge.size(), root: edge.root() };
        let checkpoint = Checkpoint::new(self.quorum.log().name.clone(), head);
        // A name and two numbers always make a text that can be signed.
        let note = checkpoint.sign(identity).map_err(|_| AppendError::Key)?;
        let lock = Lock { time_ms: now_ms, checkpoint: note.to_string() }.encode();
        let path = staging_path(&head);
        let old = self.committed.as_ref().map(|committed| committed.lock.clone());
        self.queue.clear();
        let bytes = encode(&lock, &files);
        self.queue.push_back(Effect::Stage { path: path.clone(), bytes });
        self.queue.push_back(Effect::Commit { old, new: lock.clone() });
        self.apply(files, path);
        self.next = Some((Committed { lock, time_ms: now_ms, head, note }, edge));
        Ok(old_size..head.size)
    }

    /// The next effect is done.
    ///
    /// # Errors
    /// [`NotYet`] for [`Effect::Cosign`] when too few witnesses have cosigned; it stays the next effect.
    pub fn done(&mut self) -> Result<(), NotYet> {
        if let Some(Effect::Cosign { .. }) = self.queue.front() {
            let standing = self.standing();
            if standing.got < standing.needed {
                return Err(NotYet(standing));
            }
        }
        match self.queue.pop_front() {
            Some(Effect::Commit { .. }) => {
                if let Some((committed, edge)) = self.next.take() {
                    self.committed = Some(committed);
                    self.edge = edge;
                }
            }
            Some(Effect::Cosign { size, .. }) => {
                self.publish();
                let entries = self.acknowledged..size;
                self.queue.push_back(Effect::Acknowledge { entries });
            }
            Some(Effect::Publish { .. }) => self.published = self.publishing,
            Some(Effect::Acknowledge { entries }) => self.acknowledged = entries.end,
            _ => {}
        }
        self.settle();
        Ok(())
    }

    /// The next effect has failed, or may have.
    pub fn failed(&mut self) -> Failure {
        match self.queue.front() {
            Some(Effect::Stage { .. }) => {
                self.queue.clear();
                self.next = None;
                self.settle();
                Failure::Dropped
            }
            Some(Effect::Commit { .. }) => {
                self.queue.clear();
                self.next = None;
                self.must_reopen = true;
                Failure::Reopen
            }
            _ => Failure::Retry,
        }
    }

    /// Takes a witness's answer. A later one of the same witness takes the earlier one's place.
    ///
    /// # Errors
    /// [`CosignError`] when it does not hold for the last checkpoint.
    pub fn cosigned(&mut self, line: SignatureLine) -> Result<Standing, CosignError> {
        let committed = self.committed.as_mut().ok_or(CosignError::Nothing)?;
        let known = self.quorum.witnesses().iter().find(|key| key.is_of(&line));
        let key = known.ok_or(CosignError::Unknown)?;
        cosignature::check(committed.note.text(), key, &line)?;
        committed.note.replace(line);
        self.settle();
        Ok(self.standing())
    }

    /// How far the last checkpoint's cosignatures are.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let lines =
            self.committed.as_ref().map_or(0, |committed| committed.note.signatures().len());
        Standing { got: lines.saturating_sub(1), needed: self.quorum.needed() }
    }

    fn check_append(
        &self,
        entries: &[Vec<u8>],
        now_ms: u64,
        identity: &Identity,
    ) -> Result<(), AppendError> {
        if self.must_reopen {
            return Err(AppendError::Reopen);
        }
        if !self.is_ready() {
            return Err(AppendError::Busy);
        }
        if identity.id() != self.quorum.log().key {
            return Err(AppendError::Key);
        }
        let last_ms = self.time_ms();
        if now_ms < last_ms {
            return Err(AppendError::ClockBack { now_ms, last_ms });
        }
        let bytes: usize = entries.iter().map(Vec::len).sum();
        let fits = (1..=BATCH_ENTRIES_MAX).contains(&entries.len()) && bytes <= BATCH_BYTES_MAX;
        if fits { Ok(()) } else { Err(AppendError::Batch) }
    }

    /// What a staged batch still needs when it is committed, now or at start-up.
    fn apply(&mut self, files: Vec<File>, staged: String) {
        self.queue.extend(files.into_iter().map(|(path, bytes)| Effect::Write { path, bytes }));
        self.queue.push_back(Effect::Unstage { path: staged });
    }

    fn publish(&mut self) {
        let Some(committed) = &self.committed else { return };
        let bytes = committed.note.to_string().into_bytes();
        self.publishing = (committed.head.size, committed.note.signatures().len());
        let path = crate::bundle::CHECKPOINT_PATH.to_owned();
        self.queue.push_back(Effect::Publish { path, bytes });
    }

    /// When nothing is being written: what is not final is to be cosigned, and what was cosigned since is
    /// to be published.
    fn settle(&mut self) {
        if !self.queue.is_empty() || self.must_reopen {
            return;
        }
        let Some(committed) = &self.committed else { return };
        let (size, signatures) = (committed.head.size, committed.note.signatures().len());
        if self.published.0 < size {
            let checkpoint = committed.note.to_string().into_bytes();
            self.queue.push_back(Effect::Cosign { size, checkpoint });
        } else if self.published.1 < signatures {
            self.publish();
        }
    }
}
