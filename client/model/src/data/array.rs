//! Arrays of numbers, of whatever format: the features of all examples and their labels.

use std::io::Read;
use std::path::Path;

use covey_aggregation::plan::Data;

use super::Loaded;
use super::cell::Cell;
use super::collect::Collect;
use super::encode::{ColumnEncoder, TargetEncoder};
use super::error::{DataError, DataErrorKind, Place, quoted, shown};
use super::pixel;
use super::source::{ReadLimits, failed};

/// The type of an element, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I32,
    I64,
    F32,
    F64,
}

/// An array whose header was read; its elements follow in C order.
pub(super) struct Array<'a> {
    pub(super) path: &'a Path,
    /// What to call it in a message, such as `tensor "labels"`.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    pub(super) reader: Box<dyn Read>,
}

impl Element {
    const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8]) -> f64 {
        let four = || bytes.first_chunk::<4>().copied().unwrap_or_default();
        let eight = || bytes.first_chunk::<8>().copied().unwrap_or_default();
        match self {
            Self::U8 => f64::from(bytes.first().copied().unwrap_or_default()),
            Self::I32 => f64::from(i32::from_le_bytes(four())),
            Self::F32 => f64::from(f32::from_le_bytes(four())),
            Self::I64 => i64::from_le_bytes(eight()) as f64,
            Self::F64 => f64::from_le_bytes(eight()),
        }
    }
}

impl Array<'_> {
    pub(super) fn error(
        &self,
        kind: DataErrorKind,
        problem: impl Into<String>,
        help: impl Into<String>,
    ) -> DataError {
        let problem = match self.name.as_str() {
            "" => problem.into(),
            name => format!("{name}: {}", problem.into()),
        };
        DataError::new(kind, self.path, Place::File, problem, help)
    }

    /// Reads the next elements into `values`, all of it.
    pub(super) fn fill(&mut self, values: &mut [f64], example: usize) -> Result<(), DataError> {
        let size = self.element.bytes();
        let mut buffer = [0; 4096];
        for chunk in values.chunks_mut(buffer.len() / size) {
            let bytes = &mut buffer[..chunk.len() * size];
            if let Err(error) = self.reader.read_exact(bytes) {
                if error.kind() != std::io::ErrorKind::UnexpectedEof {
                    return Err(failed(self.path, &error));
                }
                let problem = format!("ends within example {} of {}", example + 1, self.shape[0]);
                let help = "the file is cut off or damaged; copy it again";
                return Err(self.error(DataErrorKind::Unreadable, problem, help));
            }
            for (value, bytes) in chunk.iter_mut().zip(bytes.chunks_exact(size)) {
                *value = self.element.decode(bytes);
            }
        }
        Ok(())
    }
}

/// Reads examples from the array of their features and that of their labels.
pub(super) fn read(
    mut features: Array<'_>,
    mut labels: Array<'_>,
    data: &Data,
    limits: ReadLimits,
) -> Result<Loaded, DataError> {
    check_shape(&features, data)?;
    let (path, count) = (features.path, features.shape[0]);
    if !matches!(labels.shape[..], [_] | [_, 1]) {
        let problem = format!("labels of shape {:?}, expected [{count}]", labels.shape);
        let help = "give one label for each example";
        return Err(labels.error(DataErrorKind::Shape, problem, help));
    }
    if labels.shape[0] != count {
        let problem = format!("{} labels, but {count} examples", labels.shape[0]);
        let help = "give the labels of these examples";
        return Err(labels.error(DataErrorKind::Shape, problem, help));
    }
    let mut collect = Collect::new(path, data, limits);
    collect.allow(count as u64)?;
    let target = match data {
        Data::Tabular(tabular) => TargetEncoder::new(&tabular.target),
        Data::Image(image) => TargetEncoder::of_classes(&image.classes),
        Data::Text(_) => return Err(no_text(&features)),
    };
    let columns = match data {
        Data::Tabular(tabular) => ColumnEncoder::all(tabular),
        _ => Vec::new(),
    };
    // Bounded by the plan, not by what the header claims.
    let mut values = vec![0.0; features.shape[1..].iter().product()];
    for number in 0..count {
        let place = Place::Example(number as u64 + 1);
        let mut label = [0.0];
        labels.fill(&mut label, number)?;
        let answer = target.encode_number(label[0]);
        let answer = answer.map_err(|fault| {
            let fault = fault.at(labels.path, place.clone());
            DataError { problem: prefixed(&labels.name, fault.problem), ..fault }
        })?;
        features.fill(&mut values, number)?;
        collect.add(answer, &place, |numbers| match data {
            Data::Tabular(tabular) => {
                let cells = columns.iter().zip(&tabular.columns).zip(&values);
                for ((encoder, column), value) in cells {
                    encoder.encode(Cell::Number(*value), numbers).map_err(|fault| {
                        let place = Place::Value(number as u64 + 1, quoted(&column.name));
                        fault.at(path, place)
                    })?;
                }
                Ok(())
            }
            Data::Image(image) => pixel::add(values.iter().copied(), image, numbers)
                .map_err(|fault| fault.at(path, place.clone())),
            Data::Text(_) => Ok(()),
        })?;
    }
    check_end(&mut features)?;
    check_end(&mut labels)?;
    collect.finish()
}

fn prefixed(name: &str, problem: String) -> String {
    if name.is_empty() { problem } else { format!("{name}: {problem}") }
}

/// Whether the array has the plan's shape, with any number of examples above none.
fn check_shape(array: &Array<'_>, data: &Data) -> Result<(), DataError> {
    let accepted: Vec<Vec<usize>> = match data {
        Data::Tabular(tabular) if tabular.columns.len() == 1 => vec![vec![1], vec![]],
        Data::Tabular(tabular) => vec![vec![tabular.columns.len()]],
        Data::Image(image) => {
            let [height, width, channels] =
                [image.height, image.width, image.channels].map(|size| size as usize);
            let mut shapes = vec![vec![height, width, channels], vec![height * width * channels]];
            if channels == 1 {
                shapes.push(vec![height, width]);
            }
            shapes
        }
        Data::Text(_) => return Err(no_text(array)),
    };
    let found = array.shape.split_first();
    if !found.is_some_and(|(_, rest)| accepted.iter().any(|shape| shape == rest)) {
        let expected: Vec<String> = accepted
            .iter()
            .map(|shape| {
                let sizes: Vec<String> = std::iter::once("n".to_owned())
                    .chain(shape.iter().map(usize::to_string))
                    .collect();
                format!("[{}]", sizes.join(", "))
            })
            .collect();
        let problem =
            format!("shape {:?}, the plan asks for {}", array.shape, expected.join(" or "));
        let help = match data {
            Data::Image(_) => {
                "give other images (height, width, channels), or a plan for this size"
            }
            _ => "give one column for each of the plan's, in the plan's order",
        };
        return Err(array.error(DataErrorKind::Shape, problem, help));
    }
    if array.shape[0] == 0 {
        let help = "give a file with examples in it";
        return Err(array.error(DataErrorKind::Empty, "no examples", help));
    }
    Ok(())
}

fn no_text(array: &Array<'_>) -> DataError {
    let problem = "an array of numbers, the plan asks for running text";
    let help = "give a text file, with format = \"text\"";
    array.error(DataErrorKind::Shape, problem, help)
}

fn check_end(array: &mut Array<'_>) -> Result<(), DataError> {
    match array.reader.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => {
            let problem = "more bytes than the header announces";
            let help = "the file is damaged; copy it again";
            Err(array.error(DataErrorKind::Unreadable, problem, help))
        }
        Err(error) => Err(failed(array.path, &error)),
    }
}

/// The error of an element type that is none of those above.
pub(super) fn unknown_element(path: &Path, name: &str, element: &str) -> DataError {
    let problem = prefixed(name, format!("elements of type {}", quoted(element)));
    let known = ["u8", "i32", "i64", "f32", "f64"];
    let help = format!("save it as one of {}, little-endian", shown(&known));
    DataError::new(DataErrorKind::Shape, path, Place::File, problem, help)
}
