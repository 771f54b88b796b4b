//! What an owner's data must look like: checked by each client on its own machine.

mod column;
mod image;
mod tabular;
mod target;
mod text;

use std::collections::BTreeSet;

use crate::limits::{CLASSES_MAX, LABEL_BYTES_MAX};

use super::error::{Code, Collector};
use super::section::{Field, Section};

pub use column::{Column, ColumnKind, Fill, Missing, Numeric, Outside, Scale, Unknown};
pub use image::Image;
pub use tabular::{MISSING_VALUES, Tabular};
pub use target::{Class, Target};
pub use text::{Text, Tokens, UnknownCharacter};

/// The declared form of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Pictures of one size, each with a label.
    Image(Image),
    /// Rows of a table, each with a label or a number to predict.
    Tabular(Tabular),
    /// Running text, of which the next token is predicted.
    Text(Text),
}

/// How many examples an owner needs, and which of them it keeps for measuring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows {
    /// Share of the examples that is not trained on but kept to measure the model; `0 <= x < 1`.
    pub holdout: f64,
    /// Fewest examples left for training.
    pub minimum: u32,
}

impl Data {
    /// Names of the classes, in the order of the model's outputs; none where no class is predicted.
    #[must_use]
    pub fn classes(&self) -> Vec<&str> {
        let classes = match self {
            Self::Image(image) => &image.classes[..],
            Self::Tabular(tabular) => tabular.target.classes(),
            Self::Text(_) => &[],
        };
        classes.iter().map(|class| class.name.as_str()).collect()
    }

    /// Name of the column that holds the label, where columns have names.
    #[must_use]
    pub fn label_column(&self) -> Option<&str> {
        match self {
            Self::Image(image) => Some(&image.label),
            Self::Tabular(tabular) => Some(&tabular.column),
            Self::Text(_) => None,
        }
    }

    /// Numbers of one example, as the model takes them; of text, the tokens of a window.
    #[must_use]
    pub fn features(&self) -> u64 {
        match self {
            Self::Image(image) => image.features(),
            Self::Tabular(tabular) => tabular.features(),
            Self::Text(text) => text.context.into(),
        }
    }

    /// How many examples an owner needs, and which of them it keeps for measuring.
    #[must_use]
    pub const fn rows(&self) -> Rows {
        match self {
            Self::Image(image) => image.rows,
            Self::Tabular(tabular) => tabular.rows,
            Self::Text(text) => text.rows,
        }
    }

    /// The word for the form in a plan.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Image(_) => "image",
            Self::Tabular(_) => "tabular",
            Self::Text(_) => "text",
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Tabular,
    Text,
}

pub(super) fn read(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Data> {
    let help = "write `kind = \"image\"`, `kind = \"tabular\"` or `kind = \"text\"`";
    let kinds = [("image", Kind::Image), ("tabular", Kind::Tabular), ("text", Kind::Text)];
    let kind = section.required(errors, "kind", help)?.choice(errors, &kinds)?;
    let rows = read_rows(&mut section, errors);
    let data = match kind {
        Kind::Image => image::read(&mut section, errors, rows).map(Data::Image),
        Kind::Tabular => tabular::read(&mut section, errors, rows).map(Data::Tabular),
        Kind::Text => text::read(&mut section, errors, rows).map(Data::Text),
    };
    section.finish(errors);
    data
}

fn read_rows(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Rows> {
    let holdout = match section.optional("holdout") {
        Some(field) => field.fraction(errors),
        None => Some(0.0),
    };
    let minimum = section.whole_or(errors, "min_rows", 1..=u32::MAX.into(), 1);
    Some(Rows { holdout: holdout?, minimum: minimum? as u32 })
}

/// A list of at least `fewest` different words.
fn words(field: Field<'_>, errors: &mut Collector<'_>, fewest: usize) -> Option<Vec<String>> {
    let (path, span) = (field.path.clone(), field.span.clone());
    let fields = field.list(errors)?;
    if fields.len() < fewest || fields.len() > CLASSES_MAX {
        let message = format!("{path} lists {} names", fields.len());
        let help = format!("list from {fewest} to {CLASSES_MAX} names");
        errors.push(&span, Code::OutOfRange, message, help);
        return None;
    }
    let mut seen = Seen::default();
    let words: Vec<_> = fields
        .into_iter()
        .map(|field| {
            let (path, span) = (path.clone(), field.span.clone());
            let word = word(field, errors)?;
            seen.add(&word, || path, &span, errors).then_some(word)
        })
        .collect();
    words.into_iter().collect()
}

/// Words that were listed. Words that are numbers are alike when the numbers are equal.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn add(
        &mut self,
        word: &str,
        path: impl FnOnce() -> String,
        span: &std::ops::Range<usize>,
        errors: &mut Collector<'_>,
    ) -> bool {
        let is_new = self.0.insert(canonical(word));
        if !is_new {
            let message = format!("{} names {word:?} twice", path());
            let help = "list every name once; 1 and 1.0 are the same number";
            errors.push(span, Code::Duplicate, message, help);
        }
        is_new
    }
}

/// A word as it is compared: numbers by value (`1`, `1.0` and `01` are one), other words by their
/// letters.
#[must_use]
pub fn canonical(word: &str) -> String {
    match word.parse::<f64>() {
        // Adding zero makes one of the two zeros.
        Ok(number) if number.is_finite() => (number + 0.0).to_string(),
        _ => word.to_owned(),
    }
}

/// A word of an owner's file: text, or a number or truth value without quotes.
fn word(field: Field<'_>, errors: &mut Collector<'_>) -> Option<String> {
    match field.as_plain() {
        Some(plain) => Some(plain),
        None => label(field, errors),
    }
}

/// The name of a column, category or class.
fn label(field: Field<'_>, errors: &mut Collector<'_>) -> Option<String> {
    let path = field.path.clone();
    let text = field.text(errors)?;
    let printable = !text.value.chars().any(char::is_control);
    if printable && (1..=LABEL_BYTES_MAX).contains(&text.value.len()) {
        return Some(text.value);
    }
    let message = format!("{path} = {:?} is no usable name", text.value);
    let help = format!("use 1 to {LABEL_BYTES_MAX} bytes of text without control characters");
    errors.push(&text.span, Code::Text, message, help);
    None
}

#[cfg(test)]
mod tests;
