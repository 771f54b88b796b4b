//! Time as an argument: machines never ask for it.

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since an origin that the caller chose (the Unix epoch in
/// the programs, zero in simulations).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The point `delay_ms` milliseconds later; saturates at the end of time.
    #[must_use]
    pub const fn after_ms(self, delay_ms: u64) -> Self {
        Self(self.0.saturating_add(delay_ms))
    }

    /// Milliseconds from `earlier` to `self`, zero when `earlier` is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
