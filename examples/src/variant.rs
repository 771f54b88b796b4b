//! A plan with some fields set otherwise.

use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use toml::{Table, Value};

/// A plan as a table, to be changed and written again.
#[derive(Clone, Debug)]
pub struct Variant(Table);

impl Variant {
    /// The plan of a text.
    ///
    /// # Errors
    /// [`Failure`] when it is no TOML.
    pub fn of(text: &str) -> Result<Self, Failure> {
        Ok(Self(text.parse().map_err(bad)?))
    }

    /// The same with a field set; `path` names it with its sections, such as `training.rounds`.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (sections, field) = path.rsplit_once('.').unwrap_or(("", path));
        let mut table = &mut self.0;
        for name in sections.split('.').filter(|name| !name.is_empty()) {
            let section = table.entry(name).or_insert_with(|| Table::new().into());
            if !section.is_table() {
                *section = Table::new().into();
            }
            let Value::Table(inner) = section else { unreachable!("it was made a table") };
            table = inner;
        }
        table.insert(field.to_owned(), value.into());
        self
    }

    /// The plan's text.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written as TOML.
    pub fn text(&self) -> Result<String, Failure> {
        toml::to_string(&self.0).map_err(bad)
    }

    /// The plan.
    ///
    /// # Errors
    /// [`Failure`] when it is no good plan.
    pub fn plan(&self) -> Result<Plan, Failure> {
        Plan::parse(&self.text()?).map_err(bad)
    }
}

fn bad(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::BadInput, "BAD_PLAN", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::DIGITS_MLP;

    #[test]
    fn a_field_is_set_and_the_others_stay() {
        let before = Plan::parse(DIGITS_MLP).expect("a plan");
        let variant = Variant::of(DIGITS_MLP).expect("TOML");
        let changed = variant
            .with("seed", 7)
            .with("training.rounds", 3)
            .with("training.optimizer.momentum", 0.5)
            .with("strategy.name", "fedprox")
            .with("strategy.mu", 0.25);
        let mut plan = changed.plan().expect("a plan");
        assert_eq!((plan.seed, plan.training.rounds), (7, 3));
        assert_ne!(plan.strategy, before.strategy);
        assert_ne!(plan.training.optimizer, before.training.optimizer);
        assert_eq!(plan.training.optimizer.lr(), before.training.optimizer.lr());
        plan.training.optimizer = before.training.optimizer;
        plan.training.rounds = before.training.rounds;
        assert_eq!(plan.training, before.training);
    }

    #[test]
    fn a_bad_field_is_bad_input() {
        let variant = Variant::of(DIGITS_MLP).expect("TOML").with("training.rounds", -1);
        assert_eq!(variant.plan().expect_err("no rounds").exit, Exit::BadInput);
    }
}
