//! What may be spent.

use serde::{Deserialize, Serialize};

use crate::delta::{BadDelta, Delta};
use crate::event::Event;
use crate::exact;
use crate::spent::{BadEntry, Spent};

/// A limit on epsilon at a delta, for all events about the same people together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Budget {
    epsilon: f64,
    delta: Delta,
}

/// Not a budget.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadBudget {
    /// Not a number of at least 0.
    #[error("a budget's epsilon is a number of at least 0, this is {0}")]
    Epsilon(f64),
    /// Not a delta.
    #[error(transparent)]
    Delta(#[from] BadDelta),
}

/// Why an event must not happen.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It would take more than there is.
    #[error(
        "epsilon would be {next:.4} at delta {delta:e}, over the budget of {budget:.4} \
         ({now:.4} is spent)"
    )]
    Over {
        /// Epsilon of what is spent.
        now: f64,
        /// Epsilon after the event.
        next: f64,
        /// The limit.
        budget: f64,
        /// Of all three.
        delta: f64,
    },
    /// It cannot be accounted for.
    #[error(transparent)]
    Entry(#[from] BadEntry),
}

impl Budget {
    /// # Errors
    /// [`BadBudget`].
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, BadBudget> {
        // Also false for what is no number.
        if !(0.0..=f64::MAX).contains(&epsilon) {
            return Err(BadBudget::Epsilon(epsilon));
        }
        Ok(Self { epsilon, delta: Delta::new(delta)? })
    }

    /// The limit.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Where the limit holds.
    #[must_use]
    pub fn delta(&self) -> Delta {
        self.delta
    }

    /// Whether `count` times the event may happen after what is spent: the lesser of both
    /// accountants' epsilons ([`crate::spent::Epsilon::least`]), both of which are rounded up, is
    /// at most the budget's afterwards. Nothing is recorded.
    ///
    /// # Errors
    /// [`Refused::Over`] exactly where it is more, and [`Refused::Entry`].
    pub fn admits(&self, spent: &Spent, next: Event, count: u64) -> Result<(), Refused> {
        let mut after = spent.clone();
        after.add(next, count)?;
        let epsilon = after.epsilon(self.delta).least();
        if epsilon <= self.epsilon {
            return Ok(());
        }
        Err(Refused::Over {
            now: spent.epsilon(self.delta).least(),
            next: epsilon,
            budget: self.epsilon,
            delta: self.delta.get(),
        })
    }
}

/// As stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(with = "exact")]
    epsilon: f64,
    #[serde(with = "exact")]
    delta: f64,
}

impl TryFrom<Written> for Budget {
    type Error = BadBudget;

    fn try_from(written: Written) -> Result<Self, BadBudget> {
        Self::new(written.epsilon, written.delta)
    }
}

impl From<Budget> for Written {
    fn from(Budget { epsilon, delta }: Budget) -> Self {
        Self { epsilon, delta: delta.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadBudget, Budget, Refused};
    use crate::event::{Event, Sampled};
    use crate::spent::{BadEntry, Spent};

    #[test]
    fn a_budget_stops_with_the_numbers() {
        let event = Event::Sampled(Sampled::new(1.0, 1.0).expect("an event"));
        let budget = Budget::new(8.0, 1e-6).expect("a budget");
        let mut spent = Spent::default();
        budget.admits(&spent, event, 2).expect("within");
        spent.add(event, 2).expect("added");
        let refused = budget.admits(&spent, event, 1).expect_err("over");
        let Refused::Over { now, next, budget: limit, delta } = refused else {
            panic!("{refused}");
        };
        assert!(now <= 8.0 && next > 8.0 && limit == 8.0 && delta == 1e-6, "{refused}");
        assert_eq!(now, spent.epsilon(budget.delta()).least());
        assert!(refused.to_string().contains("over the budget of 8.0000"), "{refused}");
        assert_eq!(budget.admits(&spent, event, 0), Err(Refused::Entry(BadEntry::Never)));
    }

    #[test]
    fn what_is_no_budget_is_refused() {
        for epsilon in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Budget::new(epsilon, 1e-6), Err(BadBudget::Epsilon(_))));
        }
        for delta in [0.0, 1.0, -0.1, f64::NAN, 1e-31] {
            assert!(matches!(Budget::new(1.0, delta), Err(BadBudget::Delta(_))));
        }
        let text = serde_json::to_string(&Budget::new(0.1 + 0.2, 1e-7).expect("a budget"));
        let read = serde_json::from_str::<Budget>(&text.expect("text")).expect("a budget");
        assert_eq!((read.epsilon(), read.delta().get()), (0.1 + 0.2, 1e-7));
        assert!(serde_json::from_str::<Budget>(r#"{"epsilon":"inf","delta":"0.1"}"#).is_err());
    }
}
