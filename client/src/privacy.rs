//! What rounds with noise have told about an owner's data, and what they may: an account for each
//! data set, charged before anything leaves.
//!
//! - [`account`]: the account, on disk
//! - [`commands`]: `covey-client privacy`

pub mod account;
pub mod commands;

pub use account::{Account, Charge};

use covey_aggregation::config::{BadNoise, RoundConfig};
use covey_aggregation::plan::{Plan, RoundCost, Unit};
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
    pub fn cost(&self, round: &RoundCost, rounds: u32, delta: Delta) -> Option<Cost> {
        let now = self.spent.epsilon(delta).least();
        let mut after = self.spent.clone();
        if rounds > 0 {
            after.add(round.event, round.count.checked_mul(rounds.into())?).ok()?;
        }
        Some(Cost { now, after: after.epsilon(delta).least(), delta: delta.get() })
    }
}

/// What a round is known to cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// Nothing bounds it.
    Unbounded,
    /// It hangs on how many examples there are, which nobody has looked at yet.
    NotYet,
    /// So much.
    Cost(RoundCost),
}

/// What a round of these terms costs an owner of so many training examples, where that is known.
///
/// # Errors
/// [`BadNoise`] of terms that nobody should sign.
pub fn cost_of(plan: &Plan, terms: &RoundConfig, examples: Option<u64>) -> Result<Known, BadNoise> {
    match (plan.privacy.map(|privacy| privacy.unit), examples) {
        (Some(Unit::Record { .. }), None) => Ok(Known::NotYet),
        (Some(Unit::Record { .. }), Some(examples)) => {
            let cost = plan.round_cost(terms.dimension, examples);
            Ok(cost.map_or(Known::Unbounded, Known::Cost))
        }
        _ => Ok(terms.release()?.map_or(Known::Unbounded, |release| {
            Known::Cost(RoundCost { event: Event::Distributed(release), count: 1 })
        })),
    }
}

/// The delta that epsilons are shown at.
#[must_use]
pub fn delta_of(budget: Option<&Budget>) -> Delta {
    budget.map_or_else(|| Delta::new(DELTA_SHOWN).unwrap_or_else(|_| unreachable!()), Budget::delta)
}
