//! What rounds with noise have told about an owner's data, and what they may: an account for each
//! data set, charged before anything leaves.
//!
//! - [`account`]: the account, on disk
//! - [`commands`]: `covey-client privacy`

pub mod account;
pub mod commands;

pub use account::{Account, Charge};

use covey_privacy::budget::Budget;
use covey_privacy::delta::Delta;
use covey_privacy::event::Event;
use covey_privacy::spent::Spent;

/// Delta of what is shown where the owner has set no budget.
pub const DELTA_SHOWN: f64 = 1e-6;

/// What rounds about the same data have cost so far, beside a round that is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// All rounds that were charged.
    pub spent: Spent,
    /// Whether the round itself is among them.
    pub is_charged: bool,
}

/// What a run would come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Epsilon of all that was charged so far.
    pub now: f64,
    /// The same after all rounds of the plan that are still to come.
    pub after: f64,
    /// The delta of both.
    pub delta: f64,
}

impl Standing {
    /// What `rounds` rounds more come to; none where they are too many to account for.
    #[must_use]
    pub fn cost(&self, event: Event, rounds: u32, delta: Delta) -> Option<Cost> {
        let now = self.spent.epsilon(delta).least();
        let mut after = self.spent.clone();
        if rounds > 0 {
            after.add(event, rounds.into()).ok()?;
        }
        Some(Cost { now, after: after.epsilon(delta).least(), delta: delta.get() })
    }
}

/// The delta that epsilons are shown at.
#[must_use]
pub fn delta_of(budget: Option<&Budget>) -> Delta {
    budget.map_or_else(|| Delta::new(DELTA_SHOWN).unwrap_or_else(|_| unreachable!()), Budget::delta)
}
