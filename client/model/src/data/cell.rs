//! One value of an owner's table, of whatever format.

use super::error::quoted;

/// A value as a file holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Null,
    /// Text, without the blanks around it.
    Text(&'a str),
    /// A number; not a number and infinities included.
    Number(f64),
    /// A truth value.
    Boolean(bool),
}

impl Cell<'_> {
    /// The value as text, as a plan would write it.
    pub(super) fn to_word(self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Text(text) => text.to_owned(),
            Cell::Number(number) => (number + 0.0).to_string(),
            Cell::Boolean(boolean) => boolean.to_string(),
        }
    }

    /// The value for a message.
    pub(super) fn shown(self) -> String {
        match self {
            Cell::Null => "nothing".to_owned(),
            Cell::Text(text) => quoted(text),
            Cell::Number(_) | Cell::Boolean(_) => self.to_word(),
        }
    }
}
