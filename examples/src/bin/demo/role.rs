//! What an owner is in the demo's story. No party of the federation is told.

use std::fmt;

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has rows of its own, as they are.
    Honest,
    /// Has rows of its own, but the labels were drawn at random.
    RandomLabels,
    /// Has nothing: what it trains on was drawn at random, labels too.
    FreeRider,
}

impl Role {
    /// In one word, for programs and tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::RandomLabels => "random-labels",
            Self::FreeRider => "free-rider",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
