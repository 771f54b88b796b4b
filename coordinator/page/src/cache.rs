//! Pages that were made a moment ago. A page follows from the ledger, the run at hand and the time: while none of
//! these is another, it is not made again for everybody who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use covey_ledger::book::Book;

use crate::answer::Body;

/// How long a page is given again, in milliseconds: what else it was made from (the time, documents that have
/// come) is no older on it.
const KEPT_MS: u64 = 1_000;

/// Pages that are kept at most; then all are forgotten.
const PAGES_MAX: usize = 256;

/// Bytes of JSON that they have together at most.
const BYTES_MAX: usize = 64 << 20;

/// What pages were made from.
#[derive(Clone, Default)]
pub(crate) struct Made {
    /// None before the first entry. Nothing is kept alive by it.
    book: Option<Weak<Book>>,
    /// The number of the state of the run at hand.
    live: u64,
    now_ms: u64,
}

/// Pages by their addresses.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// Of all of them; its time is that of the first.
    made: Made,
    pages: BTreeMap<String, Arc<Body>>,
    bytes: usize,
}

impl Made {
    pub(crate) fn of(book: Option<&Arc<Book>>, live: u64, now_ms: u64) -> Self {
        Self { book: book.map(Arc::downgrade), live, now_ms }
    }

    /// Whether pages made from `self` are still what they would be at `now`.
    fn is_still(&self, now: &Self) -> bool {
        let is_same_book = match (&self.book, &now.book) {
            (Some(one), Some(other)) => one.ptr_eq(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        // A clock that was set back makes everything anew.
        let age_ms = now.now_ms.checked_sub(self.now_ms);
        is_same_book && self.live == now.live && age_ms.is_some_and(|age_ms| age_ms < KEPT_MS)
    }
}

impl Cache {
    /// The page at an address, where it was made of the same a moment ago.
    pub(crate) fn get(&self, address: &str, now: &Made) -> Option<Arc<Body>> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.pages.get(address).filter(|_| pages.made.is_still(now)).map(Arc::clone)
    }

    /// Keeps a page that was made of this.
    pub(crate) fn keep(&self, address: String, now: &Made, page: &Arc<Body>) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = pages.pages.len() >= PAGES_MAX || pages.bytes + page.bytes() > BYTES_MAX;
        if is_full || !pages.made.is_still(now) {
            *pages = Pages { made: now.clone(), ..Pages::default() };
        }
        if page.bytes() > BYTES_MAX {
            return;
        }
        pages.bytes += page.bytes();
        if let Some(before) = pages.pages.insert(address, Arc::clone(page)) {
            pages.bytes -= before.bytes();
        }
    }
}
