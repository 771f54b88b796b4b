//! What a command answers: to people, to programs, and by its exit code.

use std::fmt;

use covey_aggregation::program::{Exit, Format};
use serde::Serialize;
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub data: Value,
    /// How the program ends.
    pub exit: Exit,
}

impl Answer {
    /// Of something that can be told both ways.
    #[must_use]
    pub fn of(what: &(impl Serialize + fmt::Display)) -> Self {
        // Structures with names, strings, integers and lists: there is nothing that JSON cannot say.
        let data = serde_json::to_value(what).unwrap_or_default();
        Self { text: what.to_string(), data, exit: Exit::Done }
    }

    /// Of a check: whether everything holds.
    #[must_use]
    pub fn of_check(what: &(impl Serialize + fmt::Display), holds: bool) -> Self {
        let exit = if holds { Exit::Done } else { Exit::Unverified };
        Self { exit, ..Self::of(what) }
    }

    /// Prints it; how the program ends.
    #[must_use]
    pub fn tell(&self, format: Format) -> Exit {
        format.answer(&self.text, &self.data);
        self.exit
    }
}
