//! One column of a table without a plan.

use std::collections::BTreeMap;
use std::fmt;

use covey_aggregation::limits::LABEL_BYTES_MAX;
use covey_aggregation::plan::{MISSING_VALUES, canonical};
use serde::Serialize;

use super::super::cell::Cell;
use super::super::error::quoted;
use super::{toml_list, toml_text};

/// Different values of a column that are remembered; beyond it the column is no category.
const DISTINCT_MAX: usize = 100;

/// Different whole numbers up to which they are taken for categories.
const CATEGORY_NUMBERS_MAX: usize = 10;

/// Values that a person is shown.
const SHOWN_MAX: usize = 12;

/// What a column seems to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Inferred {
    /// Numbers.
    Float,
    /// Whole numbers.
    Integer,
    /// A few values.
    Category,
    /// Two values that stand for yes and no.
    Boolean,
    /// Many texts: nothing that a plan can read.
    Text,
    /// No value at all.
    Empty,
}

/// A column as it is seen without a plan.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// What it seems to hold.
    #[serde(rename = "type")]
    pub inferred: Inferred,
    /// Values that are missing.
    pub missing: u64,
    /// The smallest number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// The different values, where they are few.
    pub values: Vec<String>,
}

/// A column as its values arrive.
pub(super) struct Watch {
    name: String,
    missing: u64,
    seen: u64,
    numbers: u64,
    whole: u64,
    min: f64,
    max: f64,
    /// Different values with how often they came; nothing once there are too many.
    distinct: Option<BTreeMap<String, u64>>,
}

impl Watch {
    pub(super) fn new(name: String) -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (missing, seen, numbers, whole) = (0, 0, 0, 0);
        Self { name, missing, seen, numbers, whole, min, max, distinct: Some(BTreeMap::new()) }
    }

    pub(super) fn add(&mut self, cell: Cell<'_>) {
        let is_missing = match cell {
            Cell::Null => true,
            Cell::Text(text) => MISSING_VALUES.contains(&text),
            Cell::Number(number) => number.is_nan(),
            Cell::Boolean(_) => false,
        };
        if is_missing {
            self.missing += 1;
            return;
        }
        self.seen += 1;
        let number = match cell {
            Cell::Number(number) => Some(number),
            Cell::Text(text) => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| number.is_finite()) {
            self.numbers += 1;
            self.whole += u64::from(number.fract() == 0.0);
            self.min = self.min.min(number);
            self.max = self.max.max(number);
        }
        if let Some(distinct) = &mut self.distinct {
            let word = cell.to_word();
            if word.len() <= LABEL_BYTES_MAX {
                *distinct.entry(canonical(&word)).or_insert(0) += 1;
            }
            if word.len() > LABEL_BYTES_MAX || distinct.len() > DISTINCT_MAX {
                self.distinct = None;
            }
        }
    }

    pub(super) fn finish(self) -> ColumnPreview {
        let words: Option<Vec<String>> =
            self.distinct.as_ref().map(|distinct| distinct.keys().cloned().collect());
        let is_boolean = words.as_ref().is_some_and(|words| {
            let known = ["0", "1", "true", "false", "True", "False", "TRUE", "FALSE", "yes", "no"];
            words.len() == 2 && words.iter().all(|word| known.contains(&word.as_str()))
        });
        let are_numbers = self.numbers == self.seen;
        let inferred = match &words {
            _ if self.seen == 0 => Inferred::Empty,
            _ if is_boolean => Inferred::Boolean,
            Some(words)
                if are_numbers
                    && self.whole == self.seen
                    && words.len() <= CATEGORY_NUMBERS_MAX =>
            {
                Inferred::Category
            }
            _ if are_numbers && self.whole == self.seen => Inferred::Integer,
            _ if are_numbers => Inferred::Float,
            Some(words) if (words.len() as u64) < self.seen || words.len() <= 2 => {
                Inferred::Category
            }
            _ => Inferred::Text,
        };
        let mut values = words.unwrap_or_default();
        if matches!(inferred, Inferred::Category) && are_numbers {
            let value = |word: &String| word.parse::<f64>().unwrap_or(0.0);
            values.sort_by(|a, b| value(a).total_cmp(&value(b)));
        }
        if !matches!(inferred, Inferred::Category | Inferred::Boolean) {
            values.clear();
        }
        let has_numbers = self.numbers > 0;
        Self::preview(self, inferred, values, has_numbers)
    }

    fn preview(self, inferred: Inferred, values: Vec<String>, has_numbers: bool) -> ColumnPreview {
        ColumnPreview {
            name: self.name,
            inferred,
            missing: self.missing,
            min: has_numbers.then_some(self.min),
            max: has_numbers.then_some(self.max),
            values,
        }
    }
}

impl ColumnPreview {
    /// The line for it in a plan; nothing where a plan cannot read it.
    pub(super) fn column_line(&self) -> Option<String> {
        let rest = match self.inferred {
            Inferred::Float | Inferred::Integer => self.bounds()?,
            Inferred::Category => format!("values = {}", toml_list(&self.values)),
            Inferred::Boolean => return Some(self.line("boolean", "")),
            Inferred::Text | Inferred::Empty => return None,
        };
        let word = match self.inferred {
            Inferred::Float => "float",
            Inferred::Integer => "integer",
            _ => "category",
        };
        Some(self.line(word, &format!(", {rest}")))
    }

    fn line(&self, word: &str, rest: &str) -> String {
        let missing = if self.missing > 0 { ", missing = \"indicator\"" } else { "" };
        let name = toml_text(&self.name);
        format!("{{ name = {name}, type = \"{word}\"{rest}{missing} }}")
    }

    /// The target line of a plan that predicts this column.
    pub(super) fn target_line(&self) -> Option<String> {
        match self.inferred {
            Inferred::Category | Inferred::Boolean if self.values.len() >= 2 => {
                let (name, classes) = (toml_text(&self.name), toml_list(&self.values));
                Some(format!("target = {{ column = {name}, classes = {classes} }}"))
            }
            Inferred::Float | Inferred::Integer => self.number_line(),
            _ => None,
        }
    }

    /// The target line of a plan that predicts this column as a number.
    pub(super) fn number_line(&self) -> Option<String> {
        let (name, bounds) = (toml_text(&self.name), self.bounds()?);
        Some(format!("target = {{ column = {name}, type = \"float\", {bounds} }}"))
    }

    /// Bounds rounded outwards, so that they do not show the owner's extremes.
    fn bounds(&self) -> Option<String> {
        let (min, max) = (self.min?, self.max?);
        let span = if max > min { max - min } else { min.abs().max(1.0) };
        let step = 10f64.powf(span.log10().floor());
        let (low, mut high) = ((min / step).floor() * step, (max / step).ceil() * step);
        if high <= low {
            high = low + step;
        }
        // Ten digits hide what the division leaves over.
        let plain = |value: f64| format!("{value:.10}").parse::<f64>().unwrap_or(value) + 0.0;
        Some(format!("min = {}, max = {}", plain(low), plain(high)))
    }
}

impl fmt::Display for ColumnPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = format!("{:?}", self.inferred).to_lowercase();
        write!(f, "{:<24} {word:<9} {:>7} missing", quoted(&self.name), self.missing)?;
        if let (Some(min), Some(max), true) = (self.min, self.max, self.values.is_empty()) {
            write!(f, "   from {min} to {max}")?;
        }
        if !self.values.is_empty() {
            let shown: Vec<String> =
                self.values.iter().take(SHOWN_MAX).map(|value| quoted(value)).collect();
            let more = if self.values.len() > SHOWN_MAX { ", ..." } else { "" };
            write!(f, "   {}{more}", shown.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(values: &[&str]) -> ColumnPreview {
        let mut watch = Watch::new("x".to_owned());
        values.iter().for_each(|value| watch.add(Cell::Text(value)));
        watch.finish()
    }

    #[test]
    fn types_are_told_by_the_values() {
        for (values, expected) in [
            (&["1.5", "2", "?"][..], Inferred::Float),
            (&["1", "0", "1.0"], Inferred::Boolean),
            (&["3", "1", "7"], Inferred::Category),
            (&["a", "b", "a"], Inferred::Category),
            (&["a", "b", "c"], Inferred::Text),
            (&["", "NA"], Inferred::Empty),
            (&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"], Inferred::Integer),
        ] {
            assert_eq!(watched(values).inferred, expected, "{values:?}");
        }
        assert_eq!(watched(&["10", "9", "9"]).values, ["9", "10"]);
    }

    #[test]
    fn bounds_are_rounded_outwards() {
        for (values, expected) in [
            (["28.3", "76.9"], "min = 20, max = 80"),
            (["0.12", "0.57"], "min = 0.1, max = 0.6"),
            (["-3.5", "126.5"], "min = -100, max = 200"),
            (["5.5", "5.5"], "min = 5, max = 6"),
        ] {
            assert_eq!(watched(&values).bounds().as_deref(), Some(expected), "{values:?}");
        }
    }
}
