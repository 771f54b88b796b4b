//! Start-up: the lock decides what is in the log; what the staged file still has to do is done by the same
//! effects as ever.

use std::collections::{BTreeMap, VecDeque};

use crate::bundle::CHECKPOINT_PATH;
use crate::checkpoint::TreeHead;
use crate::note::{Note, SignatureLine};
use crate::quorum::{NotFinal, Quorum};
use crate::tile::edge;

use super::edge::Edge;
use super::staging::{Lock, decode, staging_path};
use super::{Committed, Log};

/// A log about to be opened: the lock is read, and says which files must be.
pub struct Opening {
    quorum: Quorum,
    committed: Option<Committed>,
}

/// A log cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The lock holds something else.
    #[error("what is in the lock is none of this program's; restore it from a copy")]
    Lock,
    /// The lock's checkpoint is not this log's.
    #[error("the lock's checkpoint is not this log's: {0}")]
    Checkpoint(NotFinal),
    /// More is published than the lock knows.
    #[error(
        "a checkpoint of {published} entries is published, the lock has one of {locked} with another history: the lock was set back. Restore its last content; going on would fork the log"
    )]
    SetBack {
        /// Entries of the published checkpoint.
        published: u64,
        /// Of the one in the lock.
        locked: u64,
    },
    /// The staged file is damaged.
    #[error("{path} is damaged, and may be needed; restore it from a copy")]
    Staged {
        /// Which.
        path: String,
    },
    /// A file at the log's edge is missing or damaged.
    #[error("{path} is missing or damaged; restore it from a copy or from an export")]
    File {
        /// Which; all that may be meant.
        path: String,
    },
}

impl Opening {
    /// A log with these keys, and what its lock holds: nothing before the first batch.
    ///
    /// # Errors
    /// [`OpenError::Lock`] or [`OpenError::Checkpoint`].
    pub fn new(quorum: Quorum, lock: Option<Vec<u8>>) -> Result<Self, OpenError> {
        let committed = lock.map(|bytes| {
            let lock = Lock::decode(&bytes).ok_or(OpenError::Lock)?;
            let cosigned = quorum.check_signed(lock.checkpoint.as_bytes());
            let cosigned = cosigned.map_err(OpenError::Checkpoint)?;
            let (head, note) = (cosigned.checkpoint.head, cosigned.note);
            Ok(Committed { lock: bytes, time_ms: lock.time_ms, head, note })
        });
        Ok(Self { quorum, committed: committed.transpose()? })
    }

    /// The files to read now, those of them that exist. Whatever else is in `staging/` was never committed
    /// or has been applied, and may be removed.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let head = self.committed.as_ref().map(|committed| committed.head);
        let staged = head.iter().map(staging_path);
        let tiles = head.iter().flat_map(|head| edge(head.size)).map(|tile| tile.to_string());
        staged.chain(std::iter::once(CHECKPOINT_PATH.to_owned())).chain(tiles).collect()
    }

    /// Opens the log; `read` gives the bytes of [`Self::paths`].
    ///
    /// # Errors
    /// [`OpenError`], by the first fault.
    pub fn open(self, read: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Log, OpenError> {
        let published = self.published(&read)?;
        let mut log = Log {
            quorum: self.quorum,
            committed: None,
            edge: Edge::default(),
            next: None,
            queue: VecDeque::new(),
            published: (0, 0),
            publishing: (0, 0),
            acknowledged: 0,
            must_reopen: false,
        };
        if let Some((head, note)) = &published {
            log.published = (head.size, note.signatures().len());
            log.acknowledged = head.size;
        }
        let Some(mut committed) = self.committed else { return Ok(log) };
        let path = staging_path(&committed.head);
        let mut files = Vec::new();
        if let Some(bytes) = read(&path) {
            let staged = decode(&bytes).filter(|(lock, _)| *lock == committed.lock);
            files = staged.ok_or_else(|| OpenError::Staged { path: path.clone() })?.1;
        }
        let staged: BTreeMap<_, _> =
            files.iter().map(|(path, bytes)| (path.as_str(), bytes)).collect();
        let read =
            |path: &str| staged.get(path).map_or_else(|| read(path), |one| Some((*one).clone()));
        let edge = Edge::read(&committed.head, read);
        log.edge = edge.map_err(|path| OpenError::File { path })?;
        if !files.is_empty() {
            log.apply(files, path);
        }
        if let Some((_, note)) = published.filter(|(head, _)| *head == committed.head) {
            committed.note = note;
        }
        log.committed = Some(committed);
        log.settle();
        Ok(log)
    }

    /// What is published, unless it is no checkpoint of this log: then it is published anew.
    fn published(
        &self,
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Option<(TreeHead, Note)>, OpenError> {
        let Some(bytes) = read(CHECKPOINT_PATH) else { return Ok(None) };
        let Ok(cosigned) = self.quorum.check_signed(&bytes) else { return Ok(None) };
        let published = cosigned.checkpoint.head;
        let locked = self.committed.as_ref().map(|committed| committed.head);
        let size = locked.map_or(0, |head| head.size);
        let is_same_size = locked.is_some_and(|head| head.size == published.size);
        if published.size > size || (is_same_size && locked != Some(published)) {
            return Err(OpenError::SetBack { published: published.size, locked: size });
        }
        // One line of each key, whatever else stands there.
        let mut note = cosigned.note.clone().only(|line| self.quorum.log().is_of(line));
        let is_witness = |line: &&SignatureLine| {
            self.quorum.witnesses().iter().any(|witness| witness.is_of(line))
        };
        let lines = cosigned.note.signatures().iter().filter(is_witness);
        lines.for_each(|line| note.replace(line.clone()));
        Ok(Some((published, note)))
    }
}
