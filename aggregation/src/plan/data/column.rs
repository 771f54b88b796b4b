//! One column of a table: what its values are and how they become numbers.

use crate::limits::{CLASSES_MAX, LABEL_BYTES_MAX};
use crate::plan::error::{Code, Collector};
use crate::plan::section::{Field, Section};

use super::{Seen, canonical, label, word, words};

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// How its values become numbers.
    pub kind: ColumnKind,
    /// What happens where a value is missing.
    pub missing: Missing,
    /// What counts as missing, beside nothing at all.
    pub missing_values: Vec<String>,
}

/// How a column's values become numbers. Words that are numbers are compared as numbers: `1.0`
/// in a file is the plan's `1`.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// One number, scaled.
    Float(Numeric),
    /// One whole number, scaled.
    Integer(Numeric),
    /// As many numbers as there are values: 1 at the value's place, 0 elsewhere.
    Category {
        /// The values that occur.
        values: Vec<String>,
        /// What happens to another value.
        unknown: Unknown,
    },
    /// One number: 1 for yes, 0 for no.
    Boolean {
        /// What stands for yes in the file.
        yes: Vec<String>,
        /// What stands for no in the file.
        no: Vec<String>,
    },
}

/// How numbers are scaled, and which are accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numeric {
    /// The scale. It is fixed in the plan, so that no owner's range has to be shared.
    pub scale: Scale,
    /// The smallest and the largest value accepted.
    pub bounds: Option<(f64, f64)>,
    /// What happens to values beyond them.
    pub outside: Outside,
}

/// A linear scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// As it is.
    None,
    /// `min` becomes 0 and `max` becomes 1.
    MinMax {
        /// Becomes 0.
        min: f64,
        /// Becomes 1; above `min`.
        max: f64,
    },
    /// `mean` becomes 0 and `mean + std` becomes 1.
    Standard {
        /// Becomes 0.
        mean: f64,
        /// The unit; above 0.
        std: f64,
    },
}

/// What happens to a value beyond a column's declared bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The file is refused.
    Refuse,
    /// The value counts as the bound.
    Clamp,
}

/// What happens to a category that the plan does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The file is refused.
    Refuse,
    /// It gets a place of its own, one for all such values, after the listed ones.
    Other,
    /// It counts as missing.
    Missing,
}

/// What happens where a value is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// The file is refused.
    Refuse,
    /// Something else stands in for it.
    Fill {
        /// What.
        with: Fill,
        /// Whether one more number tells: 1 where the value is missing, 0 elsewhere.
        indicator: bool,
    },
}

/// What stands in for a missing value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// All of the column's numbers are 0.
    Zero,
    /// This value, before scaling.
    Number(f64),
    /// The category at this place.
    Category(usize),
    /// This truth value.
    Boolean(bool),
}

impl Column {
    /// Numbers that one value becomes.
    #[must_use]
    pub const fn features(&self) -> u64 {
        let indicator = matches!(self.missing, Missing::Fill { indicator: true, .. });
        self.kind.features() + indicator as u64
    }
}

impl ColumnKind {
    /// Numbers that one value becomes, without that which tells of a missing one.
    #[must_use]
    pub const fn features(&self) -> u64 {
        match self {
            Self::Float(_) | Self::Integer(_) | Self::Boolean { .. } => 1,
            Self::Category { values, unknown } => {
                values.len() as u64 + matches!(unknown, Unknown::Other) as u64
            }
        }
    }
}

impl Scale {
    /// The scaled value.
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        match *self {
            Self::None => value,
            Self::MinMax { min, max } => (value - min) / (max - min),
            Self::Standard { mean, std } => (value - mean) / std,
        }
    }

    /// What one unit of a scaled value is in the units of the file: an error of a prediction
    /// times this is the error in those units.
    #[must_use]
    pub fn unit(&self) -> f64 {
        match *self {
            Self::None => 1.0,
            Self::MinMax { min, max } => max - min,
            Self::Standard { std, .. } => std,
        }
    }

    /// The value that was scaled to `scaled`.
    #[must_use]
    pub fn invert(&self, scaled: f64) -> f64 {
        match *self {
            Self::None => scaled,
            Self::MinMax { min, .. } => scaled.mul_add(self.unit(), min),
            Self::Standard { mean, .. } => scaled.mul_add(self.unit(), mean),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Float,
    Integer,
    Category,
    Boolean,
}

pub(super) fn read_column(
    mut section: Section<'_>,
    errors: &mut Collector<'_>,
    missing_values: &[String],
) -> Option<Column> {
    let name = section.required(errors, "name", "write the column's name in the file");
    let name = name.and_then(|field| label(field, errors));
    let kinds = [
        ("float", Kind::Float),
        ("integer", Kind::Integer),
        ("category", Kind::Category),
        ("boolean", Kind::Boolean),
    ];
    let help = "write `type = \"float\"`, \"integer\", \"category\" or \"boolean\"";
    let kind = section.required(errors, "type", help)?.choice(errors, &kinds)?;
    let mut mean = None;
    let kind = match kind {
        Kind::Float => read_numeric(&mut section, errors, &mut mean).map(ColumnKind::Float),
        Kind::Integer => read_numeric(&mut section, errors, &mut mean).map(ColumnKind::Integer),
        Kind::Category => read_category(&mut section, errors),
        Kind::Boolean => read_boolean(&mut section, errors),
    };
    let missing = match (section.optional("missing"), &kind) {
        (Some(field), Some(kind)) => read_missing(field, errors, kind, mean),
        (Some(_), None) => None,
        (None, _) => Some(Missing::Refuse),
    };
    let missing_values = match section.optional("missing_values") {
        Some(field) => spellings(field, errors),
        None => Some(missing_values.to_vec()),
    };
    let at = section.span.clone();
    section.finish(errors);
    let (kind, missing_values) = (kind?, missing_values?);
    let words: &[&[String]] = match &kind {
        ColumnKind::Float(_) | ColumnKind::Integer(_) => &[],
        ColumnKind::Category { values, .. } => &[values],
        ColumnKind::Boolean { yes, no } => &[yes, no],
    };
    let spelled: Vec<_> = missing_values.iter().map(|word| canonical(word)).collect();
    let both = words.iter().copied().flatten().find(|word| spelled.contains(&canonical(word)));
    if let Some(word) = both {
        let message = format!("{word:?} is a value of the column and also counts as missing");
        let help = "give the column its own `missing_values = [...]` without it";
        errors.push(&at, Code::MissingValues, message, help);
        return None;
    }
    Some(Column { name: name?, kind, missing: missing?, missing_values })
}

/// The scale of a target, which may have none.
pub(super) fn read_optional_numeric(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Numeric> {
    if ["min", "max", "mean", "std"].iter().any(|name| section.has(name)) {
        return read_numeric(section, errors, &mut None);
    }
    if let Some(field) = section.optional("outside") {
        let message = format!("{} without min and max", field.path);
        errors.push(&field.span, Code::Scaling, message, "give min and max, or remove it");
        return None;
    }
    Some(Numeric { scale: Scale::None, bounds: None, outside: Outside::Refuse })
}

/// `min` and `max`, or `mean` and `std`, or all four: then the latter scale and the former bound.
fn read_numeric(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    mean_of_column: &mut Option<f64>,
) -> Option<Numeric> {
    let mean = section.optional("mean").map(|field| field.number(errors));
    let std = section.optional("std").map(|field| field.positive(errors));
    // Taken before anything can go wrong, or it would be told as unknown besides.
    let outside = section.optional("outside");
    let help = "scaling is fixed in the plan, so that no owner's range has to be shared; \
                write `min = ` and `max = `, or `mean = ` and `std = `";
    let bounds = if std.is_none() || section.has("min") || section.has("max") {
        let min = section.required(errors, "min", help).and_then(|field| field.number(errors));
        let max = section.required(errors, "max", help).and_then(|field| field.number(errors));
        let (min, max) = (min?, max?);
        if !(max.value - min.value > 0.0 && (max.value - min.value).is_finite()) {
            let message = format!("min = {} is not below max = {}", min.value, max.value);
            errors.push(&max.span, Code::OutOfRange, message, "give min < max");
            return None;
        }
        Some((min.value, max.value))
    } else {
        None
    };
    let outside = match outside {
        Some(field) if bounds.is_none() => {
            let message = format!("{} without min and max", field.path);
            errors.push(&field.span, Code::Scaling, message, "give min and max, or remove it");
            return None;
        }
        Some(field) => {
            field.choice(errors, &[("refuse", Outside::Refuse), ("clamp", Outside::Clamp)])
        }
        None => Some(Outside::Refuse),
    };
    let mean = match mean {
        Some(mean) => Some(mean?),
        None => None,
    };
    *mean_of_column = mean.as_ref().map(|at| at.value);
    if let (Some(mean), Some((min, max))) = (&mean, bounds)
        && !(min..=max).contains(&mean.value)
    {
        let message = format!("mean = {} is not in {min}..={max}", mean.value);
        errors.push(&mean.span, Code::Scaling, message, "give a mean between min and max");
        return None;
    }
    let scale = match (std, mean) {
        (Some(std), Some(mean)) => Scale::Standard { mean: mean.value, std: std?.value },
        (Some(std), None) => {
            let message = "std without mean";
            errors.push(&std?.span, Code::Scaling, message, "give `mean = ` as well");
            return None;
        }
        (None, _) => {
            let (min, max) = bounds?;
            Scale::MinMax { min, max }
        }
    };
    Some(Numeric { scale, bounds, outside: outside? })
}

fn read_category(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<ColumnKind> {
    let help = "list the values that occur, such as `values = [\"f\", \"m\"]`";
    let values = section.required(errors, "values", help);
    let values = values.and_then(|field| words(field, errors, 1));
    let policies =
        [("refuse", Unknown::Refuse), ("other", Unknown::Other), ("missing", Unknown::Missing)];
    let unknown = match section.optional("unknown") {
        Some(field) => field.choice(errors, &policies),
        None => Some(Unknown::Refuse),
    };
    Some(ColumnKind::Category { values: values?, unknown: unknown? })
}

fn read_boolean(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<ColumnKind> {
    let mut listed = |name, default: &[&str]| match section.optional(name) {
        Some(field) => {
            let span = field.span.clone();
            words(field, errors, 1).map(|words| (words, span))
        }
        None => Some((default.iter().map(|&word| word.to_owned()).collect(), 0..0)),
    };
    let yes = listed("yes", &["1", "true", "True", "TRUE", "yes"]);
    let no = listed("no", &["0", "false", "False", "FALSE", "no"]);
    let ((yes, yes_span), (no, no_span)) = (yes?, no?);
    let known: Vec<_> = yes.iter().map(|word| canonical(word)).collect();
    if let Some(word) = no.iter().find(|word| known.contains(&canonical(word))) {
        let span = if no_span.is_empty() { yes_span } else { no_span };
        let message = format!("{word:?} stands for yes and for no");
        errors.push(&span, Code::Duplicate, message, "list every word once; give `yes` and `no`");
        return None;
    }
    Some(ColumnKind::Boolean { yes, no })
}

/// `"refuse"`, `"indicator"`, `"mean"`, or `{ value = ..., indicator = true }`.
fn read_missing(
    field: Field<'_>,
    errors: &mut Collector<'_>,
    kind: &ColumnKind,
    mean: Option<f64>,
) -> Option<Missing> {
    let (path, span) = (field.path.clone(), field.span.clone());
    if field.is_section() {
        let mut section = field.section(errors)?;
        let help = "write `missing = { value = ... }`, the value that stands in";
        let value = section.required(errors, "value", help);
        let with = value.and_then(|value| read_fill(value, errors, kind));
        let indicator = section.flag(errors, "indicator");
        section.finish(errors);
        return Some(Missing::Fill { with: with?, indicator: indicator? });
    }
    match field.choice(errors, &[("refuse", 0), ("indicator", 1), ("mean", 2)])? {
        0 => Some(Missing::Refuse),
        1 => Some(Missing::Fill { with: Fill::Zero, indicator: true }),
        _ => match mean {
            Some(mean) => Some(Missing::Fill { with: Fill::Number(mean), indicator: false }),
            None => {
                let message = format!("{path} = \"mean\", but the column gives no mean");
                let help = "a mean of the owners' data would have to be shared: write a number \
                            of your own as `mean = `, or use `missing = \"indicator\"`";
                errors.push(&span, Code::MissingValues, message, help);
                None
            }
        },
    }
}

fn read_fill(field: Field<'_>, errors: &mut Collector<'_>, kind: &ColumnKind) -> Option<Fill> {
    let (path, span) = (field.path.clone(), field.span.clone());
    let wrong = |errors: &mut Collector<'_>, message: String, help: &str| {
        errors.push(&span, Code::MissingValues, message, help);
        None
    };
    match kind {
        ColumnKind::Float(numeric) | ColumnKind::Integer(numeric) => {
            let value = field.number(errors)?.value;
            if let Some((min, max)) = numeric.bounds
                && !(min..=max).contains(&value)
            {
                let message = format!("{path} = {value} is not in {min}..={max}");
                return wrong(errors, message, "use a value that the column may hold");
            }
            if matches!(kind, ColumnKind::Integer(_)) && value.fract() != 0.0 {
                let message = format!("{path} = {value} in a column of whole numbers");
                return wrong(errors, message, "use a whole number, or type = \"float\"");
            }
            Some(Fill::Number(value))
        }
        ColumnKind::Category { values, .. } => {
            let chosen = canonical(&word(field, errors)?);
            match values.iter().position(|value| canonical(value) == chosen) {
                Some(place) => Some(Fill::Category(place)),
                None => {
                    let message = format!("{path} = {chosen:?} is none of the column's values");
                    wrong(errors, message, "use one of them, or `missing = \"indicator\"`")
                }
            }
        }
        ColumnKind::Boolean { .. } => field.boolean(errors).map(Fill::Boolean),
    }
}

/// Spellings of a missing value; unlike names, one may be empty.
pub(super) fn spellings(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Vec<String>> {
    let (path, span) = (field.path.clone(), field.span.clone());
    let fields = field.list(errors)?;
    if fields.len() > CLASSES_MAX {
        let message = format!("{path} lists {} spellings", fields.len());
        errors.push(&span, Code::OutOfRange, message, format!("list at most {CLASSES_MAX}"));
        return None;
    }
    let mut seen = Seen::default();
    let spellings: Vec<_> = fields
        .into_iter()
        .map(|field| {
            let (path, span) = (field.path.clone(), field.span.clone());
            let text = match field.as_plain() {
                Some(plain) => plain,
                None => field.text(errors)?.value,
            };
            if text.len() > LABEL_BYTES_MAX || text.chars().any(char::is_control) {
                let message = format!("{path} = {text:?} is no usable word");
                let help = format!("use at most {LABEL_BYTES_MAX} bytes of ordinary text");
                errors.push(&span, Code::Text, message, help);
                return None;
            }
            seen.add(&text, || path, &span, errors).then_some(text)
        })
        .collect();
    spellings.into_iter().collect()
}
