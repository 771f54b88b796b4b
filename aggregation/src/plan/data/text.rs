//! Running text.

use std::collections::BTreeSet;

use crate::limits::{CONTEXT_TOKENS_MAX, VOCABULARY_MAX};
use crate::plan::error::{Code, Collector};
use crate::plan::section::{At, Section};

use super::Rows;

/// Running text. An example is a window of tokens; after each of them the next is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What a token is.
    pub tokens: Tokens,
    /// Tokens of a window.
    pub context: u32,
    /// Tokens from the beginning of one window to that of the next.
    pub stride: u32,
    /// How many windows an owner needs, and which it keeps.
    pub rows: Rows,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// A byte; its number is its value.
    Bytes,
    /// A character of this list; its number is its place.
    Characters {
        /// The characters, each once.
        vocabulary: Vec<char>,
        /// What happens to another character.
        unknown: UnknownCharacter,
    },
}

/// What happens to a character that the vocabulary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCharacter {
    /// The file is refused.
    Refuse,
    /// It is left out.
    Skip,
    /// It becomes one more token, the same for all such characters, after the listed ones.
    Token,
}

impl Text {
    /// Different tokens that there are.
    #[must_use]
    pub const fn vocabulary(&self) -> usize {
        match &self.tokens {
            Tokens::Bytes => 256,
            Tokens::Characters { vocabulary, unknown } => {
                vocabulary.len() + matches!(unknown, UnknownCharacter::Token) as usize
            }
        }
    }
}

pub(super) fn read(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    rows: Option<Rows>,
) -> Option<Text> {
    let help = "write `tokens = \"characters\"` or `tokens = \"bytes\"`";
    let is_bytes = section
        .required(errors, "tokens", help)
        .and_then(|field| field.choice(errors, &[("characters", false), ("bytes", true)]));
    let context = section.whole(errors, "context", 2..=CONTEXT_TOKENS_MAX.into());
    let default = context.as_ref().map_or(1, |at| at.value);
    let stride = section.whole_or(errors, "stride", 1..=CONTEXT_TOKENS_MAX.into(), default);
    let tokens = match is_bytes {
        Some(true) => Some(Tokens::Bytes),
        Some(false) => read_characters(section, errors),
        None => {
            // So that they are not told to be unknown.
            let _ = (section.optional("vocabulary"), section.optional("unknown"));
            None
        }
    };
    Some(Text {
        tokens: tokens?,
        context: context?.value as u32,
        stride: stride? as u32,
        rows: rows?,
    })
}

fn read_characters(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Tokens> {
    let help = "list every character once, such as `vocabulary = \"\\n abc\"`; it is fixed in \
                the plan, so that no owner's characters have to be shared";
    let vocabulary = section.required(errors, "vocabulary", help);
    let vocabulary = vocabulary.and_then(|field| field.text(errors));
    let vocabulary = vocabulary.and_then(|text| check_vocabulary(text, errors));
    let policies = [
        ("refuse", UnknownCharacter::Refuse),
        ("skip", UnknownCharacter::Skip),
        ("token", UnknownCharacter::Token),
    ];
    let help =
        "say what happens to other characters: `unknown = \"refuse\"`, \"skip\" or \"token\"";
    let unknown = section.required(errors, "unknown", help);
    let unknown = unknown.and_then(|field| field.choice(errors, &policies));
    Some(Tokens::Characters { vocabulary: vocabulary?, unknown: unknown? })
}

fn check_vocabulary(text: At<String>, errors: &mut Collector<'_>) -> Option<Vec<char>> {
    let characters: Vec<char> = text.value.chars().collect();
    if !(2..=VOCABULARY_MAX).contains(&characters.len()) {
        let message = format!("data.vocabulary has {} characters", characters.len());
        let help = format!("list from 2 to {VOCABULARY_MAX} characters");
        errors.push(&text.span, Code::Vocabulary, message, help);
        return None;
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = characters.iter().find(|character| !seen.insert(**character)) {
        let message = format!("data.vocabulary has {twice:?} twice");
        errors.push(&text.span, Code::Vocabulary, message, "list every character once");
        return None;
    }
    Some(characters)
}
