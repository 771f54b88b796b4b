//! Comma-separated values, one example per line.

use std::collections::BTreeMap;
use std::path::Path;

use covey_aggregation::plan::{Column, ColumnKind, Data, Outside};
use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::error::{DataError, DataErrorKind, Place};
use super::source::{failed, open};
use super::{Dataset, Header};
use crate::limits::{DATASET_NUMBERS_MAX, EXAMPLES_MAX};

/// Words of the header that an error shows at most.
const SHOWN_MAX: usize = 8;

pub(super) fn read(path: &Path, header: Header, data: &Data) -> Result<Dataset, DataError> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(open(path)?);
    let mut table = Table::new(path, data);
    let mut layout = None;
    let mut record = StringRecord::new();
    loop {
        let more = reader.read_record(&mut record).map_err(|error| broken(path, &error))?;
        if !more {
            break;
        }
        let line = record.position().map_or(0, ::csv::Position::line);
        match &layout {
            Some(layout) => table.add(&record, line, layout)?,
            None if has_header(&record, header, data) => {
                layout = Some(Layout::of_header(path, &record, data)?);
            }
            None => {
                let first = Layout::of_position(data);
                table.add(&record, line, &first)?;
                layout = Some(first);
            }
        }
    }
    table.finish()
}

fn has_header(first: &StringRecord, header: Header, data: &Data) -> bool {
    match header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => first.iter().any(|cell| cell.trim() == data.label_column()),
    }
}

/// A line that is not CSV, or not UTF-8, or cannot be read.
fn broken(path: &Path, error: &csv::Error) -> DataError {
    let place = error.position().map_or(Place::File, |at| Place::Line(at.line()));
    match error.kind() {
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

/// Which cells of a row are read.
struct Layout {
    /// Place and name of the inputs, in the plan's order.
    inputs: Vec<(usize, String)>,
    label: usize,
    cells: usize,
    named: bool,
}

impl Layout {
    /// The plan's columns in order, then the label.
    fn of_position(data: &Data) -> Self {
        let names: Vec<String> = match data {
            Data::Image(_) => (1..=data.features()).map(|place| place.to_string()).collect(),
            Data::Tabular(tabular) => {
                tabular.columns.iter().map(|column| format!("{:?}", column.name)).collect()
            }
        };
        let label = names.len();
        let inputs = names.into_iter().enumerate().collect();
        Self { inputs, label, cells: label + 1, named: false }
    }

    fn of_header(path: &Path, header: &StringRecord, data: &Data) -> Result<Self, DataError> {
        let error = |problem: String, help: &str| {
            DataError::new(DataErrorKind::Header, path, Place::Line(1), problem, help)
        };
        let mut places = BTreeMap::new();
        for (place, name) in header.iter().enumerate() {
            if places.insert(name.trim(), place).is_some() {
                return Err(error(format!("two columns named {name:?}"), "rename one of them"));
            }
        }
        let find = |name: &str| {
            places.get(name).copied().ok_or_else(|| {
                let shown: Vec<_> = header.iter().take(SHOWN_MAX).collect();
                let more = if header.len() > SHOWN_MAX { ", ..." } else { "" };
                let problem = format!("no column named {name:?} among {}{more}", shown.join(", "));
                error(
                    problem,
                    "rename the column, or set header = \"absent\" if the first \
                                line is an example already",
                )
            })
        };
        let label = find(data.label_column())?;
        let inputs = match data {
            Data::Image(_) => {
                let pixels = header.iter().enumerate().filter(|(place, _)| *place != label);
                let pixels: Vec<_> =
                    pixels.map(|(place, name)| (place, format!("{:?}", name.trim()))).collect();
                if pixels.len() as u64 != data.features() {
                    let problem = format!(
                        "{} columns beside the label, the plan's images have {} pixel values",
                        pixels.len(),
                        data.features()
                    );
                    return Err(error(problem, "give one column per pixel value, and the label"));
                }
                pixels
            }
            Data::Tabular(tabular) => {
                let named = |column: &Column| {
                    find(&column.name).map(|place| (place, format!("{:?}", column.name)))
                };
                tabular.columns.iter().map(named).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { inputs, label, cells: header.len(), named: true })
    }
}

/// The data set as it grows.
struct Table<'a> {
    path: &'a Path,
    data: &'a Data,
    classes: BTreeMap<&'a str, u32>,
    features: usize,
    numbers: Vec<f32>,
    labels: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(path: &'a Path, data: &'a Data) -> Self {
        let classes = data.classes().iter().map(String::as_str).zip(0..).collect();
        let features = data.features() as usize;
        Self { path, data, classes, features, numbers: Vec::new(), labels: Vec::new() }
    }

    fn error(
        &self,
        kind: DataErrorKind,
        place: Place,
        problem: String,
        help: impl Into<String>,
    ) -> DataError {
        DataError::new(kind, self.path, place, problem, help)
    }

    fn add(&mut self, record: &StringRecord, line: u64, layout: &Layout) -> Result<(), DataError> {
        if record.len() != layout.cells {
            let expected = match (layout.named, self.data) {
                (true, _) => format!("the header has {}", layout.cells),
                (false, Data::Image(_)) => format!(
                    "the plan's images have {} pixel values and a label, {} columns",
                    layout.label, layout.cells
                ),
                (false, Data::Tabular(_)) => {
                    format!("the plan asks for {} and a label, {}", layout.label, layout.cells)
                }
            };
            let problem = format!("{} columns, but {expected}", record.len());
            let help = if layout.named {
                "complete the row or remove it"
            } else {
                "check the plan's [data] section against the file; if the first line names the \
                 columns, set header = \"present\""
            };
            return Err(self.error(DataErrorKind::Row, Place::Line(line), problem, help));
        }
        if self.labels.len() >= EXAMPLES_MAX
            || self.numbers.len() + self.features > DATASET_NUMBERS_MAX
        {
            let problem = format!("more than {} examples", self.labels.len());
            let help = "divide the file; a data set is held in memory";
            return Err(self.error(DataErrorKind::TooLarge, Place::File, problem, help));
        }
        let label = self.label(record[layout.label].trim(), line)?;
        match self.data {
            Data::Image(_) => self.add_image(record, line, layout)?,
            Data::Tabular(tabular) => {
                for (column, (place, name)) in tabular.columns.iter().zip(&layout.inputs) {
                    self.add_cell(record[*place].trim(), column, line, name)?;
                }
            }
        }
        self.labels.push(label);
        Ok(())
    }

    fn label(&self, cell: &str, line: u64) -> Result<u32, DataError> {
        self.classes.get(cell).copied().ok_or_else(|| {
            let place = Place::Cell(line, format!("{:?}", self.data.label_column()));
            let names = self.data.classes();
            let shown = names[..names.len().min(SHOWN_MAX)].join(", ");
            let more = if names.len() > SHOWN_MAX { ", ..." } else { "" };
            let problem = format!("label {cell:?} is none of the plan's classes");
            let help = format!("the {} classes are {shown}{more}", names.len());
            self.error(DataErrorKind::Label, place, problem, help)
        })
    }

    fn number(&self, cell: &str, line: u64, column: &str) -> Result<f64, DataError> {
        match cell.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let place = Place::Cell(line, column.to_owned());
                let (problem, help) = if cell.is_empty() {
                    ("an empty value".to_owned(), "fill it in or remove the row")
                } else if line == 1 {
                    let help = "write a number such as 12.5; if the first line names the \
                                columns, set header = \"present\"";
                    (format!("{cell:?} is not a number"), help)
                } else {
                    (format!("{cell:?} is not a number"), "write a number such as 12.5")
                };
                Err(self.error(DataErrorKind::Value, place, problem, help))
            }
        }
    }

    /// Pixel values in the order of the file (the channels of a pixel together) become one plane
    /// per channel.
    fn add_image(
        &mut self,
        record: &StringRecord,
        line: u64,
        layout: &Layout,
    ) -> Result<(), DataError> {
        let Data::Image(image) = self.data else { return Ok(()) };
        let start = self.numbers.len();
        self.numbers.resize(start + self.features, 0.0);
        let plane = image.height as usize * image.width as usize;
        for (pixel, (place, name)) in layout.inputs.iter().enumerate() {
            let value = self.number(record[*place].trim(), line, name)?;
            if !(0.0..=f64::from(image.pixel_max)).contains(&value) {
                let place = Place::Cell(line, name.clone());
                let problem = format!("pixel value {value} is not in 0..={}", image.pixel_max);
                let help = "check pixel_max in the plan's [data] section";
                return Err(self.error(DataErrorKind::Value, place, problem, help));
            }
            let place = start + plane_place(pixel, image.channels as usize, plane);
            self.numbers[place] = value as f32 / image.pixel_max;
        }
        Ok(())
    }

    fn add_cell(
        &mut self,
        cell: &str,
        column: &Column,
        line: u64,
        name: &str,
    ) -> Result<(), DataError> {
        match &column.kind {
            ColumnKind::Float { min, max, outside } => {
                let value = self.number(cell, line, name)?;
                if !(*min..=*max).contains(&value) && *outside == Outside::Refuse {
                    let place = Place::Cell(line, name.to_owned());
                    let problem = format!("{value} is not in the plan's {min}..={max}");
                    let help = "correct the value, or ask for outside = \"clamp\" in the plan";
                    return Err(self.error(DataErrorKind::Value, place, problem, help));
                }
                let value = value.clamp(*min, *max);
                self.numbers.push(((value - min) / (max - min)) as f32);
            }
            ColumnKind::Category { values } => {
                let Some(chosen) = values.iter().position(|value| value == cell) else {
                    let place = Place::Cell(line, name.to_owned());
                    let shown = values[..values.len().min(SHOWN_MAX)].join(", ");
                    let problem = format!("{cell:?} is none of the column's values");
                    let help = format!("the plan's values are {shown}");
                    return Err(self.error(DataErrorKind::Value, place, problem, help));
                };
                let hot = |place| if place == chosen { 1.0 } else { 0.0 };
                self.numbers.extend((0..values.len()).map(hot));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Dataset, DataError> {
        if self.labels.is_empty() {
            let problem = "no examples".to_owned();
            let help = "give a file with one example per line";
            return Err(self.error(DataErrorKind::Empty, Place::File, problem, help));
        }
        let classes = self.data.classes().len();
        let (path, features) = (self.path, self.features);
        Dataset::new(self.numbers, self.labels, features, classes).map_err(|error| {
            let help = "report this: a row passed the reader that should not have";
            DataError::new(DataErrorKind::Shape, path, Place::File, error.to_string(), help)
        })
    }
}

/// Where pixel value `pixel` of a file lies in an example.
pub(super) const fn plane_place(pixel: usize, channels: usize, plane: usize) -> usize {
    pixel % channels * plane + pixel / channels
}

/// A cell as CSV text.
pub(super) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
