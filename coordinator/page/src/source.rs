//! What the page reads: given by the coordinator, which keeps it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use covey_ledger::book::Book;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// Bytes that are read somewhere; none where there are none of that name.
pub type Reading<'a> = Pin<Box<dyn Future<Output = io::Result<Option<Vec<u8>>>> + Send + 'a>>;

/// Where the page reads. Nothing can be changed through it.
///
/// What is read need not be right: whoever verifies, verifies it.
pub trait Source: Send + Sync + 'static {
    /// The federation's name and the keys of its log.
    fn federation(&self) -> Federation;

    /// What all entries of the published ledger come to; none before the first one. The entries are in
    /// the tree of the published checkpoint.
    fn book(&self) -> Option<Arc<Book>>;

    /// The time, in milliseconds since the Unix epoch: what windows are told to be open or closed by.
    fn now_ms(&self) -> u64;

    /// The bytes of an entry.
    fn entry(&self, index: u64) -> Reading<'_>;

    /// What is published at a path of C2SP tlog-tiles: `checkpoint`, `tile/0/000`,
    /// `tile/entries/000.p/5`. Paths come in the one form of the specification.
    fn published<'a>(&'a self, path: &'a str) -> Reading<'a>;

    /// A document that an entry names, by the SHA-256 digest of its bytes in hexadecimal.
    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a>;

    /// The run at hand, whenever it changes.
    fn live(&self) -> watch::Receiver<Live>;
}

/// A federation, as its ledger is verified by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Federation {
    /// Its name: the origin of its checkpoints.
    pub origin: String,
    /// The verifier key of the log (C2SP signed-note).
    pub log: String,
    /// Those of the witnesses (C2SP tlog-cosignature).
    pub witnesses: Vec<String>,
    /// How many of them make a checkpoint final.
    pub quorum: u32,
}

/// The run at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Live {
    /// Grows with every change, so that a reader who comes back knows what it missed.
    pub number: u64,
    /// The run, in hexadecimal; none where nothing is run.
    pub run: Option<String>,
    /// The name of its plan.
    pub name: String,
    /// The round.
    pub round: u32,
    /// Rounds that are asked for.
    pub rounds: u32,
    /// What is being done, in a word or two.
    pub phase: String,
    /// What is being waited for; may be empty.
    pub waiting_for: String,
    /// How many of those waited for are there.
    pub have: u32,
    /// How many are needed; 0 where nobody is waited for.
    pub need: u32,
    /// Until when, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn federation(&self) -> Federation {
        (**self).federation()
    }
    fn book(&self) -> Option<Arc<Book>> {
        (**self).book()
    }
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }
    fn entry(&self, index: u64) -> Reading<'_> {
        (**self).entry(index)
    }
    fn published<'a>(&'a self, path: &'a str) -> Reading<'a> {
        (**self).published(path)
    }
    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a> {
        (**self).document(sha256)
    }
    fn live(&self) -> watch::Receiver<Live> {
        (**self).live()
    }
}
