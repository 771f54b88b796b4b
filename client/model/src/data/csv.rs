//! Text tables: values separated by commas, semicolons or tabs, one example per line.

use std::cell::Cell as Shared;
use std::io::{self, BufRead, BufReader, ErrorKind as IoErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use covey_aggregation::plan::Data;
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use crate::limits::CSV_RECORD_BYTES_MAX;

use super::cell::Cell;
use super::collect::Collect;
use super::error::{DataError, DataErrorKind, Place};
use super::source::{ReadLimits, failed, open};
use super::table::{Layout, Row, Rules, has_header};
use super::{Header, Loaded};

/// Bytes of the beginning of a file in which the separator is looked for.
const SEPARATOR_BYTES: usize = 64 * 1024;

impl Row for StringRecord {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn cell(&self, place: usize) -> Cell<'_> {
        self.get(place).map_or(Cell::Null, |cell| Cell::Text(cell.trim()))
    }
}

pub(super) fn read(
    path: &Path,
    header: Header,
    data: &Data,
    limits: ReadLimits,
) -> Result<Loaded, DataError> {
    let rules = Rules::new(path, data)?;
    let mut collect = Collect::new(path, data, limits);
    let mut lines = Lines::open(path)?;
    let mut layout = None;
    let mut record = StringRecord::new();
    while let Some(line) = lines.next(&mut record)? {
        let place = Place::Line(line);
        match &layout {
            Some(layout) => rules.add(&record, &place, layout, &mut collect)?,
            None if has_header(&record, header, data) => {
                let names: Vec<&str> = record.iter().collect();
                let help = ", or set header = \"absent\" if the first line is an example already";
                layout = Some(Layout::of_names(path, &place, &names, data, help)?);
            }
            None => {
                let first = Layout::of_position(data);
                rules.add(&record, &place, &first, &mut collect)?;
                layout = Some(first);
            }
        }
    }
    collect.finish()
}

/// The records of a text table.
pub(super) struct Lines<'a> {
    path: &'a Path,
    reader: Reader<RecordBounded<BufReader<Box<dyn Read>>>>,
    since_record: Rc<Shared<usize>>,
}

impl<'a> Lines<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let mut inner = BufReader::with_capacity(SEPARATOR_BYTES, open(path)?);
        let start = inner.fill_buf().map_err(|error| failed(path, &error))?;
        let separator = separator(start);
        let since_record = Rc::new(Shared::new(0));
        let bounded = RecordBounded { inner, since_record: Rc::clone(&since_record) };
        let reader = ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(bounded);
        Ok(Self { path, reader, since_record })
    }

    /// Reads the next record; returns its line.
    pub(super) fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, DataError> {
        self.since_record.set(0);
        let more = self.reader.read_record(record);
        let more =
            more.map_err(|error| broken(self.path, &error, self.reader.position().line()))?;
        Ok(more.then(|| record.position().map_or(0, csv::Position::line)))
    }
}

/// What separates the values: a tab or a semicolon where the first line has one outside quotes,
/// else a comma.
fn separator(start: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut seen_semicolon = false;
    for &byte in start {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted => break,
            b'\t' if !is_quoted => return b'\t',
            b';' if !is_quoted => seen_semicolon = true,
            _ => {}
        }
    }
    if seen_semicolon { b';' } else { b',' }
}

/// A line that is not CSV, or not UTF-8, or cannot be read.
fn broken(path: &Path, error: &csv::Error, line: u64) -> DataError {
    let place = error.position().map_or(Place::File, |at| Place::Line(at.line()));
    match error.kind() {
        ErrorKind::Io(error) if error.kind() == IoErrorKind::InvalidInput => {
            let problem = format!("a line of more than {CSV_RECORD_BYTES_MAX} bytes");
            let help = "give a table in text, one example per line; look for a quote that is \
                        never closed";
            DataError::new(DataErrorKind::TooLarge, path, Place::Line(line), problem, help)
        }
        ErrorKind::Io(error) => failed(path, error),
        ErrorKind::Utf8 { .. } => DataError::new(
            DataErrorKind::Unreadable,
            path,
            place,
            "a byte that is not UTF-8",
            "save the file as UTF-8",
        ),
        _ => {
            let help = "save the file as comma-separated values";
            DataError::new(DataErrorKind::Unreadable, path, place, error.to_string(), help)
        }
    }
}

/// A reader that fails where one record takes too many bytes, so that a file without line ends
/// does not fill the memory.
struct RecordBounded<R> {
    inner: R,
    since_record: Rc<Shared<usize>>,
}

impl<R: Read> Read for RecordBounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_record.get() > CSV_RECORD_BYTES_MAX {
            return Err(IoErrorKind::InvalidInput.into());
        }
        let read = self.inner.read(buffer)?;
        self.since_record.set(self.since_record.get() + read);
        Ok(read)
    }
}

/// A cell as CSV text.
pub(super) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r', ';', '\t']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_told_by_the_first_line() {
        for (start, expected) in [
            ("a,b,c\n1;2", b','),
            ("a;b\n", b';'),
            ("a\tb;c,d\n", b'\t'),
            ("\"a;b\",c\n", b','),
            ("\"a\nb\";c\n", b';'),
            ("", b','),
        ] {
            assert_eq!(separator(start.as_bytes()), expected, "{start:?}");
        }
    }
}
