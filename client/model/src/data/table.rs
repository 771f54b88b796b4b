//! Tables, of whatever format: which cells of a row are read, and what becomes of them.

use std::collections::BTreeMap;
use std::path::Path;

use covey_aggregation::plan::{Data, Image, Tabular};

use super::Header;
use super::cell::Cell;
use super::collect::Collect;
use super::encode::{ColumnEncoder, TargetEncoder, finite};
use super::error::{DataError, DataErrorKind, Fault, Place, quoted, shown};
use super::pixel;

/// The cells of a row.
pub(super) trait Row {
    /// How many there are.
    fn len(&self) -> usize;

    /// One of them, or nothing where there is none.
    fn cell(&self, place: usize) -> Cell<'_>;
}

/// Which cells of a row are read.
pub(super) struct Layout {
    /// Place and name of the inputs, in the plan's order.
    inputs: Vec<(usize, String)>,
    label: (usize, String),
    cells: usize,
    named: bool,
}

impl Layout {
    /// The plan's columns in order, then the label.
    pub(super) fn of_position(data: &Data) -> Self {
        let names: Vec<String> = match data {
            Data::Tabular(tabular) => {
                tabular.columns.iter().map(|column| quoted(&column.name)).collect()
            }
            _ => (1..=data.features()).map(|place| place.to_string()).collect(),
        };
        let label = (names.len(), quoted(data.label_column().unwrap_or_default()));
        let inputs: Vec<_> = names.into_iter().enumerate().collect();
        Self { cells: inputs.len() + 1, inputs, label, named: false }
    }

    /// The columns that the plan names, among `names`.
    pub(super) fn of_names<S: AsRef<str>>(
        path: &Path,
        place: &Place,
        names: &[S],
        data: &Data,
        help_absent: &str,
    ) -> Result<Self, DataError> {
        let error = |problem: String, help: String| {
            DataError::new(DataErrorKind::Header, path, place.clone(), problem, help)
        };
        let mut places = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            if places.insert(name.as_ref().trim(), place).is_some() {
                let problem = format!("two columns named {}", quoted(name.as_ref()));
                return Err(error(problem, "rename one of them".to_owned()));
            }
        }
        let find = |name: &str| {
            let found = places.get(name).map(|place| (*place, quoted(name)));
            found.ok_or_else(|| {
                let problem = format!("no column named {} among {}", quoted(name), shown(names));
                error(problem, format!("rename the column{help_absent}"))
            })
        };
        let label = find(data.label_column().unwrap_or_default())?;
        let inputs = match data {
            Data::Tabular(tabular) => {
                tabular.columns.iter().map(|column| find(&column.name)).collect::<Result<_, _>>()?
            }
            _ => {
                let pixels = names.iter().enumerate().filter(|(place, _)| *place != label.0);
                let pixels: Vec<_> =
                    pixels.map(|(place, name)| (place, quoted(name.as_ref().trim()))).collect();
                if pixels.len() as u64 != data.features() {
                    let problem = format!(
                        "{} columns beside the label, the plan's images have {} pixel values",
                        pixels.len(),
                        data.features()
                    );
                    let help = "give one column per pixel value, and the label";
                    return Err(error(problem, help.to_owned()));
                }
                pixels
            }
        };
        Ok(Self { inputs, label, cells: names.len(), named: true })
    }

    /// The places read: the inputs, then the label.
    pub(super) fn places(&self) -> Vec<usize> {
        self.inputs.iter().chain([&self.label]).map(|(place, _)| *place).collect()
    }

    /// The same layout for rows that hold only [`Layout::places`], in that order.
    pub(super) fn projected(mut self) -> Self {
        for (place, input) in self.inputs.iter_mut().enumerate() {
            input.0 = place;
        }
        self.label.0 = self.inputs.len();
        self.cells = self.inputs.len() + 1;
        self
    }
}

/// Whether the first row names the columns.
pub(super) fn has_header(first: &impl Row, header: Header, data: &Data) -> bool {
    match header {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => {
            let label = data.label_column();
            (0..first.len()).any(|place| match first.cell(place) {
                Cell::Text(text) => Some(text) == label,
                _ => false,
            })
        }
    }
}

/// What the plan asks of a row.
enum Inputs<'a> {
    Columns(Vec<ColumnEncoder<'a>>),
    Pixels(&'a Image),
}

/// The rules of a plan for the rows of a table.
pub(super) struct Rules<'a> {
    path: &'a Path,
    inputs: Inputs<'a>,
    target: TargetEncoder<'a>,
}

impl<'a> Rules<'a> {
    /// # Errors
    /// [`DataErrorKind::Shape`] when the plan asks for something that is in no table.
    pub(super) fn new(path: &'a Path, data: &'a Data) -> Result<Self, DataError> {
        match data {
            Data::Tabular(tabular) => Ok(Self::of_tabular(path, tabular)),
            Data::Image(image) => {
                let target = TargetEncoder::of_classes(&image.classes);
                Ok(Self { path, inputs: Inputs::Pixels(image), target })
            }
            Data::Text(_) => Err(DataError::new(
                DataErrorKind::Shape,
                path,
                Place::File,
                "a table, the plan asks for running text",
                "give a text file, with format = \"text\"",
            )),
        }
    }

    fn of_tabular(path: &'a Path, tabular: &'a Tabular) -> Self {
        let inputs = Inputs::Columns(ColumnEncoder::all(tabular));
        Self { path, inputs, target: TargetEncoder::new(&tabular.target) }
    }

    /// Adds one row to the data set.
    pub(super) fn add(
        &self,
        row: &impl Row,
        place: &Place,
        layout: &Layout,
        collect: &mut Collect<'_>,
    ) -> Result<(), DataError> {
        if row.len() != layout.cells {
            return Err(self.wrong_length(row.len(), place, layout));
        }
        let at = |fault: Fault, name: &str| fault.at(self.path, place.cell(name));
        let at_line_one = *place == Place::Line(1);
        let (label, label_name) = &layout.label;
        let answer = self.target.encode(row.cell(*label));
        let answer = answer.map_err(|fault| at(fault, label_name))?;
        collect.add(answer, place, |numbers| match &self.inputs {
            Inputs::Columns(columns) => {
                columns.iter().zip(&layout.inputs).try_for_each(|(column, (place, name))| {
                    let encoded = column.encode(row.cell(*place), numbers);
                    encoded
                        .map_err(|fault| at(first_line(fault, at_line_one && !layout.named), name))
                })
            }
            Inputs::Pixels(image) => {
                let start = numbers.len();
                numbers.resize(start + layout.inputs.len(), 0.0);
                for (number, (place, name)) in layout.inputs.iter().enumerate() {
                    let value = finite(row.cell(*place));
                    let value = value.and_then(|value| pixel::feature(value, image));
                    let value = value.map_err(|fault| {
                        at(first_line(fault, at_line_one && !layout.named), name)
                    })?;
                    numbers[start + pixel::plane_place(number, image)] = value;
                }
                Ok(())
            }
        })
    }

    fn wrong_length(&self, cells: usize, place: &Place, layout: &Layout) -> DataError {
        let expected = match (layout.named, &self.inputs) {
            (true, _) => format!("the header has {}", layout.cells),
            (false, Inputs::Pixels(_)) => format!(
                "the plan's images have {} pixel values and a label, {} columns",
                layout.label.0, layout.cells
            ),
            (false, Inputs::Columns(_)) => {
                format!("the plan asks for {} and a label, {}", layout.label.0, layout.cells)
            }
        };
        let problem = format!("{cells} columns, but {expected}");
        let help = if layout.named {
            "complete the row or remove it"
        } else {
            "check the plan's [data] section against the file; if the first line names the \
             columns, set header = \"present\""
        };
        DataError::new(DataErrorKind::Row, self.path, place.clone(), problem, help)
    }
}

/// A wrong value on the first line, where no header was seen, may be one.
fn first_line(fault: Fault, may_be_header: bool) -> Fault {
    if !may_be_header {
        return fault;
    }
    let help =
        format!("{}; if the first line names the columns, set header = \"present\"", fault.help);
    Fault { help, ..fault }
}
