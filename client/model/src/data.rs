//! Data sets in memory, and how they are read from an owner's files. Errors name the file, the
//! line, the column and what to do; they never show values of other rows.

mod csv;
mod dataset;
mod error;
mod idx;
mod source;

use std::io::Write;
use std::path::Path;

use covey_aggregation::plan::{Data, Image};

pub use dataset::{BadDataset, Dataset, Inputs, Targets};
pub use error::{DataError, DataErrorKind, Place};
pub use source::{DataSource, Header};

impl Dataset {
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

    /// Writes images as CSV with a header (`p0`, `p1`, ..., then the label's name), in the units
    /// of the file it was read from. Reading it again gives the same data set where pixel values
    /// are whole numbers.
    ///
    /// # Errors
    /// The file cannot be written, or the data set does not fit `image`.
    pub fn write_csv(&self, path: &Path, image: &Image) -> std::io::Result<()> {
        let [channels, height, width] =
            [image.channels, image.height, image.width].map(|size| size as usize);
        if self.features() != channels * height * width || self.classes() != image.classes.len() {
            return Err(std::io::Error::other("the data set does not have the plan's shape"));
        }
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for pixel in 0..self.features() {
            write!(file, "p{pixel},")?;
        }
        writeln!(file, "{}", csv::quoted(&image.label))?;
        for (number, label) in self.labels().iter().enumerate() {
            let example = self.example(number);
            for pixel in 0..self.features() {
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
