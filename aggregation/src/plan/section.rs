//! Reading a TOML tree field by field: every field is asked for by name, what is left over is
//! unknown, and every error is noted instead of ending the reading.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Code, Collector};

/// A value together with its place in the text.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// A value not yet read.
pub struct Field<'i> {
    /// Its full name, such as `training.optimizer.lr`.
    pub path: String,
    /// Its bytes in the text.
    pub span: Range<usize>,
    value: DeValue<'i>,
}

/// A table of which fields are taken one by one.
pub struct Section<'i> {
    /// What the file is, such as `a plan`.
    what: &'static str,
    path: String,
    /// Its bytes in the text.
    pub span: Range<usize>,
    fields: BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)>,
    asked: Vec<&'static str>,
}

impl<'i> Section<'i> {
    /// The whole of a file, which is `what`, such as `a plan`.
    pub(super) fn root(what: &'static str, table: DeTable<'i>) -> Self {
        Self::new(what, "", 0..0, table)
    }

    fn new(what: &'static str, path: &str, span: Range<usize>, table: DeTable<'i>) -> Self {
        let fields = table
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span(), value)))
            .collect();
        Self { what, path: path.to_owned(), span, fields, asked: Vec::new() }
    }

    /// The full name of a field of this section.
    pub(super) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// Takes a field that may be missing.
    pub fn optional(&mut self, name: &'static str) -> Option<Field<'i>> {
        self.asked.push(name);
        let path = self.name(name);
        let (_, value) = self.fields.remove(name)?;
        Some(Field { path, span: value.span(), value: value.into_inner() })
    }

    /// Takes a field that must be there.
    pub fn required(
        &mut self,
        errors: &mut Collector<'_>,
        name: &'static str,
        help: &str,
    ) -> Option<Field<'i>> {
        let field = self.optional(name);
        if field.is_none() {
            let message = format!("{} is missing", self.name(name));
            errors.push(&self.span, Code::MissingField, message, help);
        }
        field
    }

    /// Takes a subsection that must be there.
    pub fn section(
        &mut self,
        errors: &mut Collector<'_>,
        name: &'static str,
        help: &str,
    ) -> Option<Self> {
        self.required(errors, name, help)?.section(errors)
    }

    /// Takes a required whole number.
    pub fn whole(
        &mut self,
        errors: &mut Collector<'_>,
        name: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Option<At<u64>> {
        let help = format!("write `{name} = ` and a whole number {}", within(&bounds));
        self.required(errors, name, &help)?.whole(errors, bounds)
    }

    /// Takes a whole number that has a default.
    pub(super) fn whole_or(
        &mut self,
        errors: &mut Collector<'_>,
        name: &'static str,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Option<u64> {
        match self.optional(name) {
            Some(field) => field.whole(errors, bounds).map(|at| at.value),
            None => Some(default),
        }
    }

    /// Takes a truth value that is false where it is not given.
    pub fn flag(&mut self, errors: &mut Collector<'_>, name: &'static str) -> Option<bool> {
        match self.optional(name) {
            Some(field) => field.boolean(errors),
            None => Some(false),
        }
    }

    /// All fields, whatever their names.
    pub(super) fn into_fields(self) -> Vec<(String, Field<'i>)> {
        let path = self.path;
        let fields = self.fields.into_iter().map(|(name, (_, value))| {
            let (path, span) = (format!("{path}.{name}"), value.span());
            (name, Field { path, span, value: value.into_inner() })
        });
        fields.collect()
    }

    /// Whether a field is there and not yet taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Takes a required positive number.
    pub fn positive(&mut self, errors: &mut Collector<'_>, name: &'static str) -> Option<At<f64>> {
        let help = format!("write `{name} = ` and a number above 0");
        self.required(errors, name, &help)?.positive(errors)
    }

    /// Reports every field that nobody asked for.
    pub fn finish(self, errors: &mut Collector<'_>) {
        for (name, (span, _)) in &self.fields {
            let place = if self.path.is_empty() { self.what.to_owned() } else { self.path.clone() };
            let near = self.asked.iter().find(|known| near(name, known));
            let help = match near {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("remove it; {place} has the fields {}", self.asked.join(", ")),
            };
            let message = format!("unknown field `{name}` in {place}");
            errors.push(span, Code::UnknownField, message, help);
        }
    }
}

impl<'i> Field<'i> {
    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.value.is_integer()
    }

    pub(super) fn is_flag(&self) -> bool {
        self.value.is_bool()
    }

    pub(super) fn is_section(&self) -> bool {
        self.value.is_table()
    }

    /// A number or truth value without quotes, as text.
    pub(super) fn as_plain(&self) -> Option<String> {
        match &self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str().to_owned()),
            DeValue::Float(float) => Some(float.as_str().to_owned()),
            DeValue::Boolean(boolean) => Some(boolean.to_string()),
            _ => None,
        }
    }

    /// True or false.
    pub fn boolean(self, errors: &mut Collector<'_>) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.wrong_type(errors, "true or false");
        }
        boolean
    }

    fn wrong_type(&self, errors: &mut Collector<'_>, expected: &str) {
        let message = format!("{} is {}, expected {expected}", self.path, kind_of(&self.value));
        errors.push(&self.span, Code::WrongType, message, format!("write {expected} here"));
    }

    /// A table.
    pub fn section(self, errors: &mut Collector<'_>) -> Option<Section<'i>> {
        if !self.value.is_table() {
            self.wrong_type(errors, "a table of fields");
            return None;
        }
        let DeValue::Table(table) = self.value else { return None };
        Some(Section::new("", &self.path, self.span, table))
    }

    /// The elements of a list, each under the name `path[index]`.
    pub fn list(self, errors: &mut Collector<'_>) -> Option<Vec<Self>> {
        if !self.value.is_array() {
            self.wrong_type(errors, "a list in square brackets");
            return None;
        }
        let DeValue::Array(array) = self.value else { return None };
        let fields = array.into_iter().enumerate().map(|(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            span: value.span(),
            value: value.into_inner(),
        });
        Some(fields.collect())
    }

    /// Text.
    pub fn text(self, errors: &mut Collector<'_>) -> Option<At<String>> {
        let Some(text) = self.value.as_str() else {
            self.wrong_type(errors, "text in quotes");
            return None;
        };
        Some(At { value: text.to_owned(), span: self.span })
    }

    /// A whole number within bounds.
    pub fn whole(self, errors: &mut Collector<'_>, bounds: RangeInclusive<u64>) -> Option<At<u64>> {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(errors, "a whole number");
            return None;
        };
        let value = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = value.and_then(|value| u64::try_from(value).ok());
        match value.filter(|value| bounds.contains(value)) {
            Some(value) => Some(At { value, span: self.span }),
            None => {
                let message = format!("{} = {integer} is out of range", self.path);
                let help = format!("use a whole number {}", within(&bounds));
                errors.push(&self.span, Code::OutOfRange, message, help);
                None
            }
        }
    }

    /// A finite number; whole numbers count as numbers.
    pub fn number(self, errors: &mut Collector<'_>) -> Option<At<f64>> {
        let text = match &self.value {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => {
                self.wrong_type(errors, "a number");
                return None;
            }
        };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Some(At { value, span: self.span }),
            _ => {
                let message = format!("{} = {text} is no finite number", self.path);
                errors.push(&self.span, Code::OutOfRange, message, "use an ordinary number");
                None
            }
        }
    }

    /// A number that is positive also as an `f32`.
    pub fn positive(self, errors: &mut Collector<'_>) -> Option<At<f64>> {
        let path = self.path.clone();
        let number = self.number(errors)?;
        if number.value as f32 > 0.0 && (number.value as f32).is_finite() {
            return Some(number);
        }
        let message = format!("{path} = {} must be above 0", number.value);
        errors.push(&number.span, Code::OutOfRange, message, "use a number above 0");
        None
    }

    /// A number in `0 <= x < 1`.
    pub(super) fn fraction(self, errors: &mut Collector<'_>) -> Option<f64> {
        let path = self.path.clone();
        let number = self.number(errors)?;
        if (0.0..1.0).contains(&number.value) {
            return Some(number.value);
        }
        let message = format!("{path} = {} must be at least 0 and below 1", number.value);
        errors.push(&number.span, Code::OutOfRange, message, "use a number such as 0.1");
        None
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(self, errors: &mut Collector<'_>, choices: &[(&str, T)]) -> Option<T> {
        let path = self.path.clone();
        let text = self.text(errors)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let near = choices.iter().find(|(word, _)| near(&text.value, word));
            let help = match near {
                Some((word, _)) => format!("did you mean \"{word}\"?"),
                None => format!("use {}", words.join(" or ")),
            };
            let message = format!("{path} = {:?} is not known", text.value);
            errors.push(&text.span, Code::UnknownChoice, message, help);
        }
        found.map(|(_, value)| *value)
    }

    /// A duration such as `"500ms"`, `"60s"`, `"10m"`, `"2h"`, in milliseconds.
    pub(super) fn duration_ms(self, errors: &mut Collector<'_>, longest_ms: u64) -> Option<u64> {
        let path = self.path.clone();
        let text = self.text(errors)?;
        let duration_ms = parse_duration_ms(&text.value);
        let accepted = duration_ms.filter(|ms| (1..=longest_ms).contains(ms));
        if accepted.is_none() {
            let message = format!("{path} = {:?} is no usable duration", text.value);
            let help = format!(
                "use a whole number with ms, s, m or h, such as \"60s\", at most \"{}h\"",
                longest_ms / 3_600_000
            );
            errors.push(&text.span, Code::OutOfRange, message, help);
        }
        accepted
    }
}

/// A duration such as `"500ms"`, `"60s"`, `"10m"`, `"2h"`, in milliseconds; none of another text.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

fn within<T: Display>(bounds: &RangeInclusive<T>) -> String {
    format!("from {} to {}", bounds.start(), bounds.end())
}

const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether two words differ by at most two edits, or by their separators only.
fn near(a: &str, b: &str) -> bool {
    let plain = |word: &str| -> Vec<char> {
        word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    let distance = row[b.len()];
    distance <= 2 && distance < b.len().max(a.len()).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration_ms("60s"), Some(60_000));
        assert_eq!(parse_duration_ms("500ms"), Some(500));
        assert_eq!(parse_duration_ms("2h"), Some(7_200_000));
        for bad in ["60", "s", "-1s", "1.5s", "1 s", "99999999999999999999h", ""] {
            assert_eq!(parse_duration_ms(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn near_words_are_typing_errors_only() {
        assert!(near("batchsize", "batch_size"));
        assert!(near("learn", "learn"));
        assert!(near("minimun", "minimum"));
        assert!(!near("lr", "p"));
        assert!(!near("colour", "rounds"));
    }
}
