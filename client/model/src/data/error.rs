//! What is wrong with an owner's file.

use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataErrorKind {
    /// The file is missing, not readable, or damaged.
    Unreadable,
    /// The file is beyond a limit.
    TooLarge,
    /// There are no examples in it.
    Empty,
    /// Its first line does not name what the plan asks for.
    Header,
    /// A row has another number of columns.
    Row,
    /// A value is not what its column holds.
    Value,
    /// A label is none of the plan's classes.
    Label,
    /// The file's form is not the plan's: sizes, counts, type.
    Shape,
}

impl DataErrorKind {
    /// A stable word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::Header => "header",
            Self::Row => "row",
            Self::Value => "value",
            Self::Label => "label",
            Self::Shape => "shape",
        }
    }
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A line, from 1.
    Line(u64),
    /// A column of a line, from 1.
    Cell(u64, String),
    /// An example, from 1, in a file without lines.
    Example(u64),
    /// A row, from 1, of a table without lines.
    Row(u64),
    /// A column of such a row.
    Value(u64, String),
    /// A column as a whole.
    Column(String),
}

/// What is wrong with a file, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}{place}: {problem}\n  help: {help}", path = path.display())]
pub struct DataError {
    /// What kind of error.
    pub kind: DataErrorKind,
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl DataError {
    pub(super) fn new(
        kind: DataErrorKind,
        path: &Path,
        place: Place,
        problem: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { kind, path: path.to_owned(), place, problem: problem.into(), help: help.into() }
    }
}

impl Place {
    /// A cell in column `name` of what is a line or a row.
    pub(super) fn cell(&self, name: &str) -> Self {
        match self {
            Self::Line(line) | Self::Cell(line, _) => Self::Cell(*line, name.to_owned()),
            Self::Row(row) | Self::Value(row, _) | Self::Example(row) => {
                Self::Value(*row, name.to_owned())
            }
            Self::File | Self::Column(_) => Self::Column(name.to_owned()),
        }
    }
}

/// What is wrong with one value, where its place is not yet known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: DataErrorKind,
    pub(super) problem: String,
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(
        kind: DataErrorKind,
        problem: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { kind, problem: problem.into(), help: help.into() }
    }

    pub(super) fn at(self, path: &Path, place: Place) -> DataError {
        DataError::new(self.kind, path, place, self.problem, self.help)
    }
}

/// The first of many words, for a message.
pub(super) fn shown<T: AsRef<str>>(words: &[T]) -> String {
    const SHOWN_MAX: usize = 8;
    let first: Vec<&str> = words.iter().take(SHOWN_MAX).map(AsRef::as_ref).collect();
    let more = if words.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("{}{more}", first.join(", "))
}

/// A value of an owner's file, for a message: never more than the beginning of it.
pub(super) fn quoted(value: &str) -> String {
    const QUOTED_CHARACTERS_MAX: usize = 40;
    match value.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}...", &value[..end]),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, ", line {line}"),
            Self::Cell(line, column) => write!(f, ", line {line}, column {column}"),
            Self::Example(number) => write!(f, ", example {number}"),
            Self::Row(row) => write!(f, ", row {row}"),
            Self::Value(row, column) => write!(f, ", row {row}, column {column}"),
            Self::Column(column) => write!(f, ", column {column}"),
        }
    }
}
