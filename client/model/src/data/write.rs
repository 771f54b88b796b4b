//! Writing images as a table.

use std::io::Write as _;
use std::path::Path;

use covey_aggregation::plan::Image;

use super::csv::quoted;
use super::{Dataset, pixel};

impl Dataset {
    /// Writes images as CSV with a header (`p0`, `p1`, ..., then the label's name), in the units
    /// of the file it was read from. Reading it again gives the same data set where pixel values
    /// are whole numbers.
    ///
    /// # Errors
    /// The file cannot be written, or the data set does not fit `image`.
    pub fn write_csv(&self, path: &Path, image: &Image) -> std::io::Result<()> {
        let is_of_plan = self.features() as u64 == image.features()
            && self.classes() == image.classes.len()
            && self.labels().len() == self.len();
        if !is_of_plan {
            return Err(std::io::Error::other("the data set does not have the plan's shape"));
        }
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for pixel in 0..self.features() {
            write!(file, "p{pixel},")?;
        }
        writeln!(file, "{}", quoted(&image.label))?;
        for (number, label) in self.labels().iter().enumerate() {
            let example = self.example(number);
            for pixel in 0..self.features() {
                let place = pixel::plane_place(pixel, image);
                let value = f64::from(example[place]) * f64::from(image.pixel_max);
                let whole = value.round();
                let value = if (value - whole).abs() < 1e-3 { whole } else { value };
                write!(file, "{value},")?;
            }
            writeln!(file, "{}", quoted(&image.classes[*label as usize].words()[0]))?;
        }
        file.into_inner()?.sync_all()
    }
}
