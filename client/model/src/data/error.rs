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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, ", line {line}"),
            Self::Cell(line, column) => write!(f, ", line {line}, column {column}"),
            Self::Example(number) => write!(f, ", example {number}"),
        }
    }
}
