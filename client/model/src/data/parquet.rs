//! Parquet files: flat columns, read a thousand rows at a time.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use covey_aggregation::plan::Data;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::Loaded;
use super::cell::Cell;
use super::collect::Collect;
use super::error::{DataError, DataErrorKind, Place, quoted};
use super::source::{ReadLimits, failed};
use super::table::{Layout, Row, Rules};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1024;

pub(super) fn read(path: &Path, data: &Data, limits: ReadLimits) -> Result<Loaded, DataError> {
    let rules = Rules::new(path, data)?;
    let table = Table::open(path)?;
    let mut collect = Collect::new(path, data, limits);
    collect.allow(table.rows)?;
    let layout = Layout::of_names(path, &Place::File, &table.names, data, "")?;
    let places = layout.places();
    let layout = layout.projected();
    table.read(&places, &mut |row, number| {
        rules.add(row, &Place::Row(number), &layout, &mut collect).map(|()| true)
    })?;
    collect.finish()
}

/// An open file.
pub(super) struct Table<'a> {
    path: &'a Path,
    reader: SerializedFileReader<File>,
    /// Names of its columns; of a nested one, that of the outermost.
    pub(super) names: Vec<String>,
    /// Rows that the file claims to have.
    pub(super) rows: u64,
}

/// Takes a row and its number, from 1; says whether to go on.
type TakeRow<'a> = dyn FnMut(&BatchRow<'_>, u64) -> Result<bool, DataError> + 'a;

impl<'a> Table<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let mut file = File::open(path).map_err(|error| failed(path, &error))?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic).map_err(|error| failed(path, &error))?;
        if magic != *b"PAR1" {
            let help = "a Parquet file begins with PAR1 and is not compressed as a whole; for \
                        other formats say which with format = ";
            let problem = "this is no Parquet file";
            return Err(DataError::new(DataErrorKind::Shape, path, Place::File, problem, help));
        }
        guarded(path, || {
            let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, &error))?;
            let metadata = reader.metadata().file_metadata();
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(u64::MAX);
            let columns = metadata.schema_descr().columns();
            let root = |column: &ColumnDescriptor| column.path().parts().first().cloned();
            let names = columns.iter().map(|column| root(column).unwrap_or_default()).collect();
            Ok(Self { path, reader, names, rows })
        })
    }

    /// Reads the columns at `places`, row by row.
    pub(super) fn read(&self, places: &[usize], take: &mut TakeRow<'_>) -> Result<(), DataError> {
        guarded(self.path, || {
            let mut before = 0;
            for group in 0..self.reader.num_row_groups() {
                let group = self.reader.get_row_group(group);
                let group = group.map_err(|error| damaged(self.path, &error))?;
                match self.read_group(&*group, places, before, take)? {
                    Some(rows) => before += rows,
                    None => return Ok(()),
                }
            }
            if before != self.rows {
                let problem = format!("{before} rows, the file announces {}", self.rows);
                let help = "the file is damaged; copy it again";
                return Err(DataError::new(
                    DataErrorKind::Unreadable,
                    self.path,
                    Place::File,
                    problem,
                    help,
                ));
            }
            Ok(())
        })
    }

    /// Rows read of a group, or nothing when no more are wanted.
    fn read_group(
        &self,
        group: &dyn RowGroupReader,
        places: &[usize],
        before: u64,
        take: &mut TakeRow<'_>,
    ) -> Result<Option<u64>, DataError> {
        let descriptors = self.reader.metadata().file_metadata().schema_descr();
        let mut columns = Vec::with_capacity(places.len());
        for &place in places {
            let (name, descriptor) = (&self.names[place], descriptors.column(place));
            let reader = group.get_column_reader(place);
            let reader = reader.map_err(|error| damaged(self.path, &error))?;
            columns.push(Column::new(self.path, name, &descriptor, reader)?);
        }
        let mut rows = 0;
        loop {
            let mut read = Vec::with_capacity(columns.len());
            for column in &mut columns {
                read.push(column.next_batch(self.path)?);
            }
            let count = read.first().copied().unwrap_or(0);
            if read.iter().any(|other| *other != count) {
                let problem = "columns of different lengths";
                let help = "the file is damaged; copy it again";
                let kind = DataErrorKind::Unreadable;
                return Err(DataError::new(kind, self.path, Place::File, problem, help));
            }
            if count == 0 {
                return Ok(Some(rows));
            }
            for row in 0..count {
                rows += 1;
                if !take(&BatchRow { columns: &columns, row }, before + rows)? {
                    return Ok(None);
                }
            }
        }
    }
}

/// One row of a batch.
pub(super) struct BatchRow<'a> {
    columns: &'a [Column],
    row: usize,
}

impl Row for BatchRow<'_> {
    fn len(&self) -> usize {
        self.columns.len()
    }

    fn cell(&self, place: usize) -> Cell<'_> {
        self.columns.get(place).map_or(Cell::Null, |column| column.cell(self.row))
    }
}

/// One column and the batch of it that was read last.
struct Column {
    name: String,
    values: Values,
    /// For each row, 1 where there is a value. Empty where the column is never without.
    levels: Vec<i16>,
    is_optional: bool,
    /// For each row, the place of its value.
    places: Vec<Option<usize>>,
    kind: Kind,
}

enum Values {
    Bool(ColumnReaderImpl<parquet::data_type::BoolType>, Vec<bool>),
    Int32(ColumnReaderImpl<parquet::data_type::Int32Type>, Vec<i32>),
    Int64(ColumnReaderImpl<parquet::data_type::Int64Type>, Vec<i64>),
    Float(ColumnReaderImpl<parquet::data_type::FloatType>, Vec<f32>),
    Double(ColumnReaderImpl<parquet::data_type::DoubleType>, Vec<f64>),
    Text(ColumnReaderImpl<parquet::data_type::ByteArrayType>, Vec<ByteArray>),
}

/// What a column's numbers mean.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Unsigned,
    /// Divided by ten this many times.
    Decimal(i32),
}

impl Column {
    fn new(
        path: &Path,
        name: &str,
        descriptor: &ColumnDescriptor,
        reader: ColumnReader,
    ) -> Result<Self, DataError> {
        let unsupported = |what: String, help: &str| {
            let place = Place::Column(quoted(name));
            Err(DataError::new(DataErrorKind::Shape, path, place, what, help))
        };
        let is_flat = descriptor.path().parts().len() == 1
            && descriptor.max_rep_level() == 0
            && descriptor.max_def_level() <= 1;
        if !is_flat {
            let help = "write one column for each value";
            return unsupported("a nested column".to_owned(), help);
        }
        let kind = match (descriptor.logical_type_ref(), descriptor.converted_type()) {
            (Some(LogicalType::Integer(integer)), _) if !integer.is_signed => Kind::Unsigned,
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Kind::Unsigned,
            (_, ConvertedType::DECIMAL) => Kind::Decimal(descriptor.type_scale()),
            (
                Some(LogicalType::Date | LogicalType::Time { .. } | LogicalType::Timestamp { .. }),
                _,
            )
            | (
                _,
                ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS,
            ) => {
                let help = "write a number, such as days since a date that the plan names";
                return unsupported("dates and times cannot be read".to_owned(), help);
            }
            _ => Kind::Plain,
        };
        let values = match reader {
            ColumnReader::BoolColumnReader(reader) => Values::Bool(reader, Vec::new()),
            ColumnReader::Int32ColumnReader(reader) => Values::Int32(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Values::Int64(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Values::Float(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Values::Double(reader, Vec::new()),
            ColumnReader::ByteArrayColumnReader(reader) if !matches!(kind, Kind::Decimal(_)) => {
                Values::Text(reader, Vec::new())
            }
            _ => {
                let what = format!("values of type {}", descriptor.physical_type());
                let help = "write numbers, text or truth values";
                return unsupported(what, help);
            }
        };
        let is_optional = descriptor.max_def_level() == 1;
        let (levels, places) = (Vec::new(), Vec::new());
        Ok(Self { name: name.to_owned(), values, levels, is_optional, places, kind })
    }

    /// Reads the next rows; returns how many there were.
    fn next_batch(&mut self, path: &Path) -> Result<usize, DataError> {
        self.levels.clear();
        let levels = self.is_optional.then_some(&mut self.levels);
        let read = match &mut self.values {
            Values::Bool(reader, values) => batch(reader, levels, values),
            Values::Int32(reader, values) => batch(reader, levels, values),
            Values::Int64(reader, values) => batch(reader, levels, values),
            Values::Float(reader, values) => batch(reader, levels, values),
            Values::Double(reader, values) => batch(reader, levels, values),
            Values::Text(reader, values) => batch(reader, levels, values),
        };
        let rows = read.map_err(|error| damaged(path, &error))?;
        self.places.clear();
        let mut value = 0;
        for row in 0..rows {
            let has_value = !self.is_optional || self.levels.get(row) == Some(&1);
            self.places.push(has_value.then_some(value));
            value += usize::from(has_value);
        }
        if let Values::Text(_, values) = &self.values
            && values.iter().any(|value| value.as_utf8().is_err())
        {
            let place = Place::Column(quoted(&self.name));
            let help = "save the column as UTF-8";
            let problem = "a value that is not UTF-8";
            return Err(DataError::new(DataErrorKind::Unreadable, path, place, problem, help));
        }
        Ok(rows)
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let Some(place) = self.places.get(row).copied().flatten() else { return Cell::Null };
        let number = |signed: Option<i64>, unsigned: Option<u64>| {
            let value = match self.kind {
                Kind::Unsigned => unsigned.map(|value| value as f64),
                Kind::Plain => signed.map(|value| value as f64),
                Kind::Decimal(scale) => signed.map(|value| value as f64 / 10f64.powi(scale)),
            };
            value.map_or(Cell::Null, Cell::Number)
        };
        match &self.values {
            Values::Bool(_, values) => values.get(place).map_or(Cell::Null, |b| Cell::Boolean(*b)),
            Values::Int32(_, values) => {
                let value = values.get(place).copied();
                number(value.map(i64::from), value.map(|value| u64::from(value as u32)))
            }
            Values::Int64(_, values) => {
                let value = values.get(place).copied();
                number(value, value.map(|value| value as u64))
            }
            Values::Float(_, values) => {
                values.get(place).map_or(Cell::Null, |value| Cell::Number(f64::from(*value)))
            }
            Values::Double(_, values) => {
                values.get(place).map_or(Cell::Null, |value| Cell::Number(*value))
            }
            Values::Text(_, values) => {
                let text = values.get(place).and_then(|value| value.as_utf8().ok());
                text.map_or(Cell::Null, |text| Cell::Text(text.trim()))
            }
        }
    }
}

fn batch<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<usize, ParquetError> {
    values.clear();
    let (rows, ..) = reader.read_records(BATCH_ROWS, levels, None, values)?;
    Ok(rows)
}

fn damaged(path: &Path, error: &ParquetError) -> DataError {
    let problem = format!("cannot be read: {error}");
    let help = "the file is cut off or damaged, or compressed with another codec than snappy or \
                zstd; write it again";
    DataError::new(DataErrorKind::Unreadable, path, Place::File, problem, help)
}

/// Runs `work`; a panic inside the decoder, which a damaged file can cause, becomes an error.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let problem = "cannot be decoded";
        let help = "the file is damaged; copy or write it again";
        Err(DataError::new(DataErrorKind::Unreadable, path, Place::File, problem, help))
    })
}
