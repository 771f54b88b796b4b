//! What a model is to answer: it follows from the data.

use super::data::{Data, Target};

/// What a model is to answer about an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// One of so many classes; a model has one output for each.
    Class(u64),
    /// A real number; a model has one output.
    Number,
    /// The token after each token of a window, of so many different ones; a model has one output
    /// for each, at every step.
    NextToken(u64),
}

impl Data {
    /// What a model of these data is to answer.
    #[must_use]
    pub fn goal(&self) -> Goal {
        match self {
            Self::Text(text) => Goal::NextToken(text.vocabulary() as u64),
            Self::Tabular(tabular) if matches!(tabular.target, Target::Number(_)) => Goal::Number,
            _ => Goal::Class(self.classes().len() as u64),
        }
    }
}

impl Goal {
    /// Numbers that a model produces, at each step where there are steps.
    #[must_use]
    pub const fn outputs(self) -> u64 {
        match self {
            Self::Class(outputs) | Self::NextToken(outputs) => outputs,
            Self::Number => 1,
        }
    }
}
