//! Data sets in memory, and how they are read from an owner's files. Errors name the file, the
//! line, the column and what to do; they never show values of other rows.

mod csv;
mod error;
mod idx;
mod source;

use std::io::Write;
use std::path::Path;

use covey_aggregation::plan::{Data, Image};

use crate::limits::{DATASET_NUMBERS_MAX, EXAMPLES_MAX};

pub use error::{DataError, DataErrorKind, Place};
pub use source::{DataSource, Header};

/// Examples with their labels.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    /// Example after example; images channel by channel, row by row.
    numbers: Vec<f32>,
    labels: Vec<u32>,
    features: usize,
    classes: usize,
}

// Data is private: not to be printed by accident.
impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { labels, features, classes, .. } = self;
        write!(f, "Dataset({} examples, {features} features, {classes} classes)", labels.len())
    }
}

/// Numbers and labels that make no data set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadDataset(String);

impl Dataset {
    /// A data set of `labels.len()` examples of `features` numbers each.
    ///
    /// # Errors
    /// [`BadDataset`] when lengths do not match, a number is not finite, a label is not below
    /// `classes`, or there are too many examples.
    pub fn new(
        numbers: Vec<f32>,
        labels: Vec<u32>,
        features: usize,
        classes: usize,
    ) -> Result<Self, BadDataset> {
        let expected = labels.len().checked_mul(features);
        if expected != Some(numbers.len()) || features == 0 {
            let (rows, got) = (labels.len(), numbers.len());
            return Err(BadDataset(format!("{got} numbers for {rows} examples of {features}")));
        }
        if labels.len() > EXAMPLES_MAX || numbers.len() > DATASET_NUMBERS_MAX {
            return Err(BadDataset(format!("{} examples are too many", labels.len())));
        }
        if let Some(row) = labels.iter().position(|label| *label as usize >= classes) {
            let label = labels[row];
            return Err(BadDataset(format!(
                "example {row} has label {label} of {classes} classes"
            )));
        }
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(BadDataset(format!("example {} is not finite", index / features)));
        }
        Ok(Self { numbers, labels, features, classes })
    }

    /// Reads a data set of the form that the plan declares.
    ///
    /// # Errors
    /// [`DataError`] with the file, the line or example, the column and what to do.
    pub fn load(source: &DataSource, data: &Data) -> Result<Self, DataError> {
        match (source, data) {
            (DataSource::Csv { path, header }, data) => csv::read(path, *header, data),
            (DataSource::Idx { images, labels }, Data::Image(image)) => {
                idx::read(images, labels, image)
            }
            (DataSource::Idx { images, .. }, Data::Tabular(_)) => Err(DataError::new(
                DataErrorKind::Shape,
                images,
                Place::File,
                "IDX files hold images, the plan asks for a table",
                "give a CSV file",
            )),
        }
    }

    /// Number of examples.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Numbers of one example.
    #[must_use]
    pub const fn features(&self) -> usize {
        self.features
    }

    /// Classes that labels may name.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The label of every example.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The numbers of one example.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn example(&self, number: usize) -> &[f32] {
        &self.numbers[number * self.features..(number + 1) * self.features]
    }

    /// How many examples each class has.
    #[must_use]
    pub fn class_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.classes];
        for label in &self.labels {
            counts[*label as usize] += 1;
        }
        counts
    }

    /// The examples with these numbers, in this order.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn subset(&self, examples: &[usize]) -> Self {
        let numbers = examples.iter().flat_map(|&number| self.example(number)).copied().collect();
        let labels = examples.iter().map(|&number| self.labels[number]).collect();
        Self { numbers, labels, features: self.features, classes: self.classes }
    }

    /// Writes images as CSV with a header (`p0`, `p1`, ..., then the label's name), in the units
    /// of the file it was read from. Reading it again gives the same data set where pixel values
    /// are whole numbers.
    ///
    /// # Errors
    /// The file cannot be written, or the data set does not fit `image`.
    pub fn write_csv(&self, path: &Path, image: &Image) -> std::io::Result<()> {
        let [channels, height, width] =
            [image.channels, image.height, image.width].map(|size| size as usize);
        if self.features != channels * height * width || self.classes != image.classes.len() {
            return Err(std::io::Error::other("the data set does not have the plan's shape"));
        }
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for pixel in 0..self.features {
            write!(file, "p{pixel},")?;
        }
        writeln!(file, "{}", csv::quoted(&image.label))?;
        for (number, label) in self.labels.iter().enumerate() {
            let example = self.example(number);
            for pixel in 0..self.features {
                let place = csv::plane_place(pixel, channels, height * width);
                let value = f64::from(example[place]) * f64::from(image.pixel_max);
                let whole = value.round();
                let value = if (value - whole).abs() < 1e-3 { whole } else { value };
                write!(file, "{value},")?;
            }
            writeln!(file, "{}", csv::quoted(&image.classes[*label as usize]))?;
        }
        file.into_inner()?.sync_all()
    }
}
