//! The rows of a table by the value of one column, to divide them by it.

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;

use super::csv::Lines;
use super::error::{DataError, DataErrorKind, Place, quoted, shown};
use super::parquet;
use super::source::DataSource;
use super::table::Row as _;

/// Numbers of the rows of each value, in the order of the values.
///
/// # Errors
/// [`DataError`] when the source has no columns with names, not this one, or other than `rows`
/// rows.
pub(super) fn of_column(
    source: &DataSource,
    column: &str,
    rows: usize,
) -> Result<Vec<Vec<usize>>, DataError> {
    let mut groups = Groups { by_value: BTreeMap::new(), rows: 0 };
    let path = match source {
        DataSource::Csv { path, .. } => {
            let mut lines = Lines::open(path)?;
            let mut record = StringRecord::new();
            lines.next(&mut record)?;
            let names: Vec<&str> = record.iter().collect();
            let place = find(path, Place::Line(1), &names, column)?;
            while lines.next(&mut record)?.is_some() {
                groups.add(record.cell(place).to_word());
            }
            path
        }
        DataSource::Parquet { path } => {
            let table = parquet::Table::open(path)?;
            let place = find(path, Place::File, &table.names, column)?;
            table.read(&[place], &mut |row, _| {
                groups.add(row.cell(0).to_word());
                Ok(true)
            })?;
            path
        }
        other => {
            let path = other.paths()[0];
            let problem = format!("it has no column named {}", quoted(column));
            let help = "divide by the class, or by a column of a CSV or Parquet file";
            return Err(DataError::new(DataErrorKind::Shape, path, Place::File, problem, help));
        }
    };
    if groups.rows != rows {
        let problem =
            format!("{} rows below the names of the columns, {rows} were read", groups.rows);
        let help = "give a file whose first line names the columns, and change no file meanwhile";
        return Err(DataError::new(DataErrorKind::Shape, path, Place::File, problem, help));
    }
    Ok(groups.by_value.into_values().collect())
}

struct Groups {
    by_value: BTreeMap<String, Vec<usize>>,
    rows: usize,
}

impl Groups {
    fn add(&mut self, value: String) {
        self.by_value.entry(value).or_default().push(self.rows);
        self.rows += 1;
    }
}

fn find<S: AsRef<str>>(
    path: &Path,
    place: Place,
    names: &[S],
    column: &str,
) -> Result<usize, DataError> {
    names.iter().position(|name| name.as_ref().trim() == column).ok_or_else(|| {
        let problem = format!("no column named {} among {}", quoted(column), shown(names));
        let help = "name a column of the file's first line";
        DataError::new(DataErrorKind::Header, path, place, problem, help)
    })
}
