//! A look at an owner's files without a plan: what is in them, and a `[data]` section to begin a
//! plan with. For the owner's eyes: it shows values, and nothing of it leaves the machine.

mod arrays;
mod column;
mod pictures;
mod table;
mod text;

use std::fmt;

use serde::Serialize;

use super::error::DataError;
use super::source::DataSource;

pub use column::{ColumnPreview, Inferred};

/// What can be said about an owner's files.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The word for the format.
    pub format: &'static str,
    /// Examples looked at; of a text, characters.
    pub examples: u64,
    /// Whether these are all that there are.
    pub is_whole: bool,
    /// The columns of a table.
    pub columns: Vec<ColumnPreview>,
    /// The first rows of a table.
    pub first_rows: Vec<Vec<String>>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// A `[data]` section for a plan, to be checked by a person before it is used.
    pub section: String,
}

impl Preview {
    /// Looks at the files of `source`.
    ///
    /// # Errors
    /// [`DataError`], naming the file.
    pub fn of(source: &DataSource) -> Result<Self, DataError> {
        match source {
            DataSource::Csv { path, header } => table::of_csv(path, *header),
            DataSource::Parquet { path } => table::of_parquet(path),
            DataSource::Images { folder } => pictures::of_folder(folder),
            DataSource::Idx { images, labels } => pictures::of_idx(images, labels),
            DataSource::Npy { features, labels } => arrays::of_npy(features, labels),
            DataSource::Safetensors { path } => arrays::of_safetensors(path),
            DataSource::Text { path } => text::of(path),
        }
    }
}

/// Instead of a target, where nothing can be told about it.
const NO_TARGET: &str = "# name the column that is predicted\n\
                         # target = { column = \"...\", classes = [\"no\", \"yes\"] }";

/// Text as a TOML string.
fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn toml_list<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<String> = words.iter().map(|word| toml_text(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.format == "text" { "characters" } else { "examples" };
        let more = if self.is_whole { "" } else { " looked at, there are more" };
        writeln!(f, "{}: {} {what}{more} (shown here only)", self.format, self.examples)?;
        for column in &self.columns {
            writeln!(f, "  {column}")?;
        }
        if !self.first_rows.is_empty() {
            writeln!(f, "first rows")?;
        }
        for row in &self.first_rows {
            writeln!(f, "  {}", row.join(" | "))?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        write!(f, "\n{}", self.section)
    }
}
