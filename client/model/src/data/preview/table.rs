//! A table without a plan.

use std::path::Path;

use csv::StringRecord;

use super::super::cell::Cell;
use super::super::csv::Lines;
use super::super::error::{DataError, DataErrorKind, Place};
use super::super::parquet;
use super::super::source::{Format, Header};
use super::super::table::Row;
use super::column::{ColumnPreview, Inferred, Watch};
use super::{NO_TARGET, Preview};
use crate::limits::PREVIEW_ROWS_MAX;

/// Rows that are shown as they are.
const FIRST_ROWS: usize = 5;

/// Columns that are looked at. A wider table is one of pixels or the like, to be read by place.
const COLUMNS_MAX: usize = 1000;

/// Names of a column that is predicted, when the last is not.
const TARGET_NAMES: [&str; 6] = ["target", "label", "class", "y", "outcome", "diagnosis"];

/// What is seen of a table so far.
struct Seen {
    watches: Vec<Watch>,
    first_rows: Vec<Vec<String>>,
    rows: u64,
    is_whole: bool,
}

impl Seen {
    fn new(names: Vec<String>) -> Self {
        let watches = names.into_iter().map(Watch::new).collect();
        Self { watches, first_rows: Vec::new(), rows: 0, is_whole: true }
    }

    /// Adds a row; says whether more are wanted.
    fn add(&mut self, row: &impl Row) -> bool {
        if self.rows >= PREVIEW_ROWS_MAX {
            self.is_whole = false;
            return false;
        }
        self.rows += 1;
        if self.first_rows.len() < FIRST_ROWS {
            let cells = (0..self.watches.len()).map(|place| match row.cell(place) {
                Cell::Text(text) => text.chars().take(40).collect(),
                cell => cell.to_word(),
            });
            self.first_rows.push(cells.collect());
        }
        for (place, watch) in self.watches.iter_mut().enumerate() {
            watch.add(row.cell(place));
        }
        true
    }
}

pub(super) fn of_csv(path: &Path, header: Header) -> Result<Preview, DataError> {
    let mut lines = Lines::open(path)?;
    let mut record = StringRecord::new();
    let Some(_) = lines.next(&mut record)? else { return Err(empty(path)) };
    let is_name = |cell: &str| !cell.trim().is_empty() && cell.trim().parse::<f64>().is_err();
    let has_header = match header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => record.iter().all(is_name),
    };
    check_width(path, record.len())?;
    let names = if has_header {
        record.iter().map(|name| name.trim().to_owned()).collect()
    } else {
        (1..=record.len()).map(|place| format!("column-{place}")).collect()
    };
    let mut seen = Seen::new(names);
    if !has_header {
        seen.add(&record);
    }
    let width = seen.watches.len();
    let mut odd = None;
    while let Some(line) = lines.next(&mut record)? {
        if record.len() != width && odd.is_none() {
            odd = Some((line, record.len()));
        }
        if !seen.add(&record) {
            break;
        }
    }
    let mut notes = Vec::new();
    if !has_header {
        notes.push(
            "the first line names no columns: list them in the plan in the order of the file, the \
             label last, and give them any names"
                .to_owned(),
        );
    }
    if let Some((line, cells)) = odd {
        notes.push(format!("line {line} has {cells} columns, the first line {width}"));
    }
    finish(path, Format::Csv, seen, notes)
}

pub(super) fn of_parquet(path: &Path) -> Result<Preview, DataError> {
    let table = parquet::Table::open(path)?;
    check_width(path, table.names.len())?;
    let places: Vec<usize> = (0..table.names.len()).collect();
    let mut seen = Seen::new(table.names.clone());
    table.read(&places, &mut |row, _| Ok(seen.add(row)))?;
    finish(path, Format::Parquet, seen, Vec::new())
}

fn check_width(path: &Path, columns: usize) -> Result<(), DataError> {
    if columns <= COLUMNS_MAX {
        return Ok(());
    }
    let problem = format!("{columns} columns are too many for a preview");
    let help = "write the plan's [data] section by hand; data check reads tables of this width";
    Err(DataError::new(DataErrorKind::TooLarge, path, Place::File, problem, help))
}

fn empty(path: &Path) -> DataError {
    let help = "give a file with one example per line";
    DataError::new(DataErrorKind::Empty, path, Place::File, "no examples", help)
}

fn finish(
    path: &Path,
    format: Format,
    seen: Seen,
    mut notes: Vec<String>,
) -> Result<Preview, DataError> {
    if seen.rows == 0 {
        return Err(empty(path));
    }
    let columns: Vec<ColumnPreview> = seen.watches.into_iter().map(Watch::finish).collect();
    let target = columns
        .iter()
        .position(|column| TARGET_NAMES.contains(&column.name.to_lowercase().as_str()))
        .unwrap_or(columns.len() - 1);
    for column in &columns {
        if matches!(column.inferred, Inferred::Text | Inferred::Empty) {
            let what = format!("column {:?} holds nothing that a plan can read", column.name);
            notes.push(format!("{what}; it is left out of the section"));
        }
    }
    notes.push("bounds are rounded outwards; check them before the plan is shared".to_owned());
    let target_line = columns[target].target_line().unwrap_or_else(|| NO_TARGET.to_owned());
    let lines: Vec<String> = columns
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != target)
        .filter_map(|(_, column)| column.column_line())
        .map(|line| format!("  {line},\n"))
        .collect();
    let section =
        format!("[data]\nkind = \"tabular\"\n{target_line}\ncolumns = [\n{}]\n", lines.concat());
    let (examples, is_whole, first_rows) = (seen.rows, seen.is_whole, seen.first_rows);
    let format = format.as_str();
    Ok(Preview { format, examples, is_whole, columns, first_rows, notes, section })
}
