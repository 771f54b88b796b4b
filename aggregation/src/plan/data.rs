//! What an owner's data must look like: checked by each client on its own machine.

use std::collections::BTreeSet;

use crate::limits::{
    ACTIVATIONS_MAX, CLASSES_MAX, COLUMNS_MAX, IMAGE_CHANNELS_MAX, IMAGE_SIDE_MAX, LABEL_BYTES_MAX,
};

use super::error::{Code, Collector};
use super::section::{Field, Section};

/// The declared form of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Pictures of one size, each with a label.
    Image(Image),
    /// Rows of a table, each with a label.
    Tabular(Tabular),
}

/// Pictures of one size. A feature is a pixel value divided by `pixel_max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Numbers of a pixel: 1 for grey, 3 for colour.
    pub channels: u32,
    /// The value of a full pixel; smaller or equal values only, from 0.
    pub pixel_max: f32,
    /// Name of the label column where a file has named columns.
    pub label: String,
    /// Names of the classes; their order is that of the model's outputs.
    pub classes: Vec<String>,
}

/// Rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Tabular {
    /// The columns read, in the order of the model's inputs.
    pub columns: Vec<Column>,
    /// Name of the column that holds the label.
    pub target: String,
    /// Names of the classes; their order is that of the model's outputs.
    pub classes: Vec<String>,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// How its values become numbers.
    pub kind: ColumnKind,
}

/// How a column's values become numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// One number, scaled so that `min` becomes 0 and `max` becomes 1.
    Float {
        /// Becomes 0.
        min: f64,
        /// Becomes 1; above `min`.
        max: f64,
        /// What happens to values beyond them.
        outside: Outside,
    },
    /// As many numbers as there are values: 1 at the value's place, 0 elsewhere.
    Category {
        /// The values that occur.
        values: Vec<String>,
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

impl Data {
    /// Names of the classes, in the order of the model's outputs.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Image(image) => &image.classes,
            Self::Tabular(tabular) => &tabular.classes,
        }
    }

    /// Name of the column that holds the label, where columns have names.
    #[must_use]
    pub fn label_column(&self) -> &str {
        match self {
            Self::Image(image) => &image.label,
            Self::Tabular(tabular) => &tabular.target,
        }
    }

    /// Numbers of one example, as the model takes them.
    #[must_use]
    pub fn features(&self) -> u64 {
        match self {
            Self::Image(image) => {
                u64::from(image.height) * u64::from(image.width) * u64::from(image.channels)
            }
            Self::Tabular(tabular) => {
                tabular.columns.iter().map(|column| column.kind.features()).sum()
            }
        }
    }
}

impl ColumnKind {
    /// Numbers that one value becomes.
    #[must_use]
    pub const fn features(&self) -> u64 {
        match self {
            Self::Float { .. } => 1,
            Self::Category { values } => values.len() as u64,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Tabular,
}

pub(super) fn read(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Data> {
    let kind = section
        .required(errors, "kind", "write `kind = \"image\"` or `kind = \"tabular\"`")?
        .choice(errors, &[("image", Kind::Image), ("tabular", Kind::Tabular)])?;
    let data = match kind {
        Kind::Image => read_image(&mut section, errors).map(Data::Image),
        Kind::Tabular => read_tabular(&mut section, errors).map(Data::Tabular),
    };
    section.finish(errors);
    data
}

fn read_image(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Image> {
    let height = section.whole(errors, "height", 1..=IMAGE_SIDE_MAX.into());
    let width = section.whole(errors, "width", 1..=IMAGE_SIDE_MAX.into());
    let channels = section.whole_or(errors, "channels", 1..=IMAGE_CHANNELS_MAX.into(), 1);
    let pixel_max = match section.optional("pixel_max") {
        Some(field) => field.positive(errors).map(|at| at.value as f32),
        None => Some(255.0),
    };
    let label = match section.optional("label") {
        Some(field) => label(field, errors),
        None => Some("label".to_owned()),
    };
    let classes = read_classes(section, errors);
    if let (Some(height), Some(width), Some(channels)) = (&height, &width, channels)
        && height.value * width.value * channels > ACTIVATIONS_MAX
    {
        let message = format!("images of {} x {} x {channels}", height.value, width.value);
        let help = format!("an image may have at most {ACTIVATIONS_MAX} numbers");
        errors.push(&height.span, Code::OutOfRange, message, help);
    }
    Some(Image {
        height: height?.value as u32,
        width: width?.value as u32,
        channels: channels? as u32,
        pixel_max: pixel_max?,
        label: label?,
        classes: classes?,
    })
}

fn read_tabular(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Tabular> {
    let help = "list the columns to read, such as \
                `columns = [{ name = \"age\", type = \"float\", min = 0, max = 120 }]`";
    let columns = section.required(errors, "columns", help);
    let columns = columns.and_then(|field| read_columns(field, errors));
    let help = "write `target = { column = \"...\", classes = [\"no\", \"yes\"] }`";
    let mut target = section.section(errors, "target", help)?;
    let column = target.required(errors, "column", "name the column that holds the label");
    let at = column.as_ref().map(|field| field.span.clone());
    let column = column.and_then(|field| label(field, errors));
    let classes = read_classes(&mut target, errors);
    target.finish(errors);
    let tabular = Tabular { columns: columns?, target: column?, classes: classes? };
    if tabular.columns.iter().any(|column| column.name == tabular.target) {
        let message = format!("column {:?} is both an input and the target", tabular.target);
        let help = "remove it from data.columns, or the model reads the answer";
        errors.push(&at?, Code::Duplicate, message, help);
        return None;
    }
    Some(tabular)
}

fn read_columns(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Vec<Column>> {
    let span = field.span.clone();
    let fields = field.list(errors)?;
    if fields.is_empty() || fields.len() > COLUMNS_MAX {
        let message = format!("data.columns lists {} columns", fields.len());
        let help = format!("list from 1 to {COLUMNS_MAX} columns");
        errors.push(&span, Code::OutOfRange, message, help);
        return None;
    }
    let mut names = BTreeSet::new();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let at = field.span.clone();
        // Every column is read even after a bad one, so that all errors are told at once.
        columns.push(field.section(errors).and_then(|section| read_column(section, errors)));
        if let Some(Some(column)) = columns.last()
            && !names.insert(column.name.clone())
        {
            let message = format!("column {:?} is listed twice", column.name);
            errors.push(&at, Code::Duplicate, message, "list every column once");
        }
    }
    columns.into_iter().collect()
}

fn read_column(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Column> {
    let name = section.required(errors, "name", "write the column's name in the file");
    let name = name.and_then(|field| label(field, errors));
    let kind = section
        .required(errors, "type", "write `type = \"float\"` or `type = \"category\"`")?
        .choice(errors, &[("float", true), ("category", false)])?;
    let kind = if kind {
        read_float(&mut section, errors)
    } else {
        let help = "list the values that occur, such as `values = [\"f\", \"m\"]`";
        let values = section.required(errors, "values", help);
        values
            .and_then(|field| labels(field, errors, 1))
            .map(|values| ColumnKind::Category { values })
    };
    section.finish(errors);
    Some(Column { name: name?, kind: kind? })
}

fn read_float(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<ColumnKind> {
    let help = "scaling is fixed in the plan, so that no owner's range has to be shared; \
                write `min = ` and `max = `";
    let min = section.required(errors, "min", help).and_then(|field| field.number(errors));
    let max = section.required(errors, "max", help).and_then(|field| field.number(errors));
    let outside = match section.optional("outside") {
        Some(field) => {
            field.choice(errors, &[("refuse", Outside::Refuse), ("clamp", Outside::Clamp)])
        }
        None => Some(Outside::Refuse),
    };
    let (min, max) = (min?, max?);
    if !(max.value - min.value > 0.0 && (max.value - min.value).is_finite()) {
        let message = format!("min = {} is not below max = {}", min.value, max.value);
        errors.push(&max.span, Code::OutOfRange, message, "give min < max");
        return None;
    }
    Some(ColumnKind::Float { min: min.value, max: max.value, outside: outside? })
}

/// `classes = ["no", "yes"]`, or a number n for the names "0" to "n-1".
fn read_classes(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Vec<String>> {
    let help = "write `classes = [\"no\", \"yes\"]`, or `classes = 10` for \"0\" to \"9\"";
    let field = section.required(errors, "classes", help)?;
    if field.is_whole() {
        let count = field.whole(errors, 2..=CLASSES_MAX as u64)?.value;
        return Some((0..count).map(|class| class.to_string()).collect());
    }
    labels(field, errors, 2)
}

/// A list of different names.
fn labels(field: Field<'_>, errors: &mut Collector<'_>, fewest: usize) -> Option<Vec<String>> {
    let (path, span) = (field.path.clone(), field.span.clone());
    let fields = field.list(errors)?;
    if fields.len() < fewest || fields.len() > CLASSES_MAX {
        let message = format!("{path} lists {} names", fields.len());
        let help = format!("list from {fewest} to {CLASSES_MAX} names");
        errors.push(&span, Code::OutOfRange, message, help);
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(fields.len());
    for field in fields {
        let at = field.span.clone();
        let name = label(field, errors);
        if let Some(name) = &name
            && !seen.insert(name.clone())
        {
            let message = format!("{path} names {name:?} twice");
            errors.push(&at, Code::Duplicate, message, "list every name once");
        }
        names.push(name);
    }
    names.into_iter().collect()
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
