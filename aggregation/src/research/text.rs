//! Words for people that come from the other side.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::TEXT_BYTES_MAX;

/// Words for people: at most [`TEXT_BYTES_MAX`] bytes on one line, without control characters, so
/// that they can be shown on a terminal as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// Not such words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a line of at most {TEXT_BYTES_MAX} bytes without control characters")]
pub struct NotPlain;

impl Text {
    /// Makes one of any words: what cannot be shown becomes a space, what is too long is cut.
    #[must_use]
    pub fn of(words: impl fmt::Display) -> Self {
        let mut text = String::new();
        for c in words.to_string().chars() {
            if text.len() + c.len_utf8() > TEXT_BYTES_MAX {
                break;
            }
            text.push(if is_hidden(c) { ' ' } else { c });
        }
        Self(text)
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line and paragraph separators, and what turns the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl TryFrom<String> for Text {
    type Error = NotPlain;

    fn try_from(text: String) -> Result<Self, NotPlain> {
        let is_plain = text.len() <= TEXT_BYTES_MAX && !text.chars().any(is_hidden);
        if is_plain { Ok(Self(text)) } else { Err(NotPlain) }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_could_move_a_terminal_are_refused_and_never_made() {
        for bad in ["\u{1b}[2J", "a\nb", "\u{202e}abc", &"x".repeat(TEXT_BYTES_MAX + 1)] {
            assert_eq!(Text::try_from(bad.to_owned()), Err(NotPlain), "{bad:?}");
            let made = Text::of(bad);
            assert_eq!(Text::try_from(made.as_str().to_owned()), Ok(made));
        }
        assert_eq!(Text::of("a\nb").as_str(), "a b");
        let cut = Text::of("ä".repeat(TEXT_BYTES_MAX));
        assert_eq!(cut.as_str().len(), TEXT_BYTES_MAX);
    }
}
