//! The digits that ship, as lines that can be dealt out.

use std::io::Read as _;
use std::path::Path;

use covey_aggregation::program::Failure;
use covey_model::data::{DataSource, Header};
use flate2::read::MultiGzDecoder;

use crate::{failed, write};

/// 1,797 digits of 8 by 8 pixels (see `data/README.md` for source and licence).
const DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");

/// The digits' lines, and the label of each.
pub struct Digits {
    lines: Vec<String>,
    labels: Vec<u32>,
}

impl Digits {
    /// Unpacks them.
    ///
    /// # Errors
    /// [`Failure`] when the file is damaged.
    pub fn open() -> Result<Self, Failure> {
        let mut text = String::new();
        MultiGzDecoder::new(DIGITS).read_to_string(&mut text).map_err(failed)?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let label = |line: &String| line.rsplit(',').next().and_then(|label| label.parse().ok());
        let labels: Option<Vec<u32>> = lines.iter().map(label).collect();
        let labels = labels.ok_or_else(|| failed("the digits: a line without a label"))?;
        Ok(Self { lines, labels })
    }

    /// The label of every digit.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The digits with these numbers alone.
    ///
    /// # Panics
    /// When there is no such digit.
    #[must_use]
    pub fn some(&self, numbers: &[usize]) -> Self {
        Self {
            lines: numbers.iter().map(|&number| self.lines[number].clone()).collect(),
            labels: numbers.iter().map(|&number| self.labels[number]).collect(),
        }
    }

    /// Writes them into a file.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<DataSource, Failure> {
        write(path, &(self.lines.join("\n") + "\n"))?;
        Ok(DataSource::Csv { path: path.to_owned(), header: Header::Absent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_digits_keep_their_labels() {
        let digits = Digits::open().expect("they ship");
        assert_eq!(digits.labels().len(), 1797);
        let some = digits.some(&[5, 1796]);
        assert_eq!(some.labels(), [digits.labels()[5], digits.labels()[1796]]);
        assert!(some.lines[1].ends_with(&format!(",{}", some.labels()[1])));
    }
}
