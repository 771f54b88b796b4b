//! Where data lies, and opening it: plain or gzip, told by the first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::limits::{DATA_BYTES_MAX, DATASET_BYTES_MAX};

use super::error::{DataError, DataErrorKind, Place};

/// An owner's files. CSV, IDX, `.npy` and text files may be compressed with gzip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase", deny_unknown_fields)]
pub enum DataSource {
    /// A table in text, one example per line. The first line tells whether commas, semicolons or
    /// tabs separate the values.
    Csv {
        /// The file.
        path: PathBuf,
        /// Whether the first line names the columns.
        #[serde(default)]
        header: Header,
    },
    /// A table in Parquet, compressed with snappy, zstd or not at all.
    Parquet {
        /// The file.
        path: PathBuf,
    },
    /// Pictures in PNG or JPEG: a folder with one folder for each class.
    Images {
        /// The folder.
        folder: PathBuf,
    },
    /// The two files of the MNIST format: images and their labels.
    Idx {
        /// Unsigned bytes, `[n, height, width]` or `[n, height, width, channels]`.
        images: PathBuf,
        /// Unsigned bytes, `[n]`: the number of the class, from 0.
        labels: PathBuf,
    },
    /// Two NumPy files in C order, of u8, i32, i64, f32 or f64.
    Npy {
        /// `[n, columns]` in the plan's order; of images `[n, height, width]`,
        /// `[n, height, width, channels]` or flat.
        features: PathBuf,
        /// `[n]`: the number of the class, from 0, or the number to predict.
        labels: PathBuf,
    },
    /// One safetensors file with the tensors `features` and `labels`, as the two of `Npy`.
    Safetensors {
        /// The file.
        path: PathBuf,
    },
    /// Running text.
    Text {
        /// The file.
        path: PathBuf,
    },
}

/// Whether a CSV file's first line names its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// It does when one of its cells is the name of the label column.
    #[default]
    Detect,
    /// It does.
    Present,
    /// It does not: the columns are the plan's, in order, the label last.
    Absent,
}

/// How much of this machine reading may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of memory of a data set. What does not fit is refused before it is read.
    pub dataset_bytes_max: u64,
}

impl Default for ReadLimits {
    /// Half of the memory that is free now, where the system tells.
    fn default() -> Self {
        let free = memory_free_bytes().unwrap_or(2 * DATASET_BYTES_MAX);
        Self { dataset_bytes_max: free / 2 }
    }
}

/// Linux's estimate of the memory that programs can take without swapping.
fn memory_free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl DataSource {
    /// The files and folders, to make them absolute or to see whether they are there.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Csv { path, .. }
            | Self::Parquet { path }
            | Self::Safetensors { path }
            | Self::Text { path }
            | Self::Images { folder: path } => vec![path],
            Self::Idx { images, labels } => vec![images, labels],
            Self::Npy { features, labels } => vec![features, labels],
        }
    }

    /// The files and folders.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Csv { path, .. }
            | Self::Parquet { path }
            | Self::Safetensors { path }
            | Self::Text { path }
            | Self::Images { folder: path } => vec![path],
            Self::Idx { images, labels } => vec![images, labels],
            Self::Npy { features, labels } => vec![features, labels],
        }
    }

    /// The word for its format.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Self::Csv { .. } => Format::Csv,
            Self::Parquet { .. } => Format::Parquet,
            Self::Images { .. } => Format::Images,
            Self::Idx { .. } => Format::Idx,
            Self::Npy { .. } => Format::Npy,
            Self::Safetensors { .. } => Format::Safetensors,
            Self::Text { .. } => Format::Text,
        }
    }

    /// The source at a path: a file or folder of `format`, or of the one that its name and first
    /// bytes tell. IDX and `.npy` files need the file of their labels as well.
    ///
    /// # Errors
    /// [`DataError`] when there is nothing at the path, its format cannot be told, or labels are
    /// missing or not needed.
    pub fn at(
        path: &Path,
        labels: Option<&Path>,
        format: Option<Format>,
    ) -> Result<Self, DataError> {
        let format = match format {
            Some(format) => format,
            None => Format::of(path, labels.is_some())?,
        };
        let (path, error) = (path.to_owned(), |problem: &str, help: &str| {
            Err(DataError::new(DataErrorKind::Shape, path, Place::File, problem, help))
        });
        match (format, labels.map(Path::to_owned)) {
            (Format::Idx, Some(labels)) => Ok(Self::Idx { images: path, labels }),
            (Format::Npy, Some(labels)) => Ok(Self::Npy { features: path, labels }),
            (Format::Idx | Format::Npy, None) => {
                let help = "name the file of the labels with --labels";
                error(&format!("{} files come in pairs", format.as_str()), help)
            }
            (_, Some(_)) => error(
                &format!("the format {} has its labels inside", format.as_str()),
                "leave --labels away, or say which format with --format",
            ),
            (Format::Csv, None) => Ok(Self::Csv { path, header: Header::Detect }),
            (Format::Parquet, None) => Ok(Self::Parquet { path }),
            (Format::Images, None) => Ok(Self::Images { folder: path }),
            (Format::Safetensors, None) => Ok(Self::Safetensors { path }),
            (Format::Text, None) => Ok(Self::Text { path }),
        }
    }
}

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`DataSource::Csv`].
    Csv,
    /// [`DataSource::Parquet`].
    Parquet,
    /// [`DataSource::Images`].
    Images,
    /// [`DataSource::Idx`].
    Idx,
    /// [`DataSource::Npy`].
    Npy,
    /// [`DataSource::Safetensors`].
    Safetensors,
    /// [`DataSource::Text`].
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Csv,
        Self::Parquet,
        Self::Images,
        Self::Idx,
        Self::Npy,
        Self::Safetensors,
        Self::Text,
    ];

    /// The word for it in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Images => "images",
            Self::Idx => "idx",
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
            Self::Text => "text",
        }
    }

    /// Tells a format by the first bytes of a file, and where they say nothing by its name.
    fn of(path: &Path, has_labels: bool) -> Result<Self, DataError> {
        if path.is_dir() {
            return Ok(Self::Images);
        }
        let mut start = [0; 8];
        let mut reader = open(path)?;
        let mut filled = 0;
        while filled < start.len() {
            match reader.read(&mut start[filled..]).map_err(|error| failed(path, &error))? {
                0 => break,
                read => filled += read,
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        Ok(match start {
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            [0x93, b'N', b'U', b'M', ..] => Self::Npy,
            [0, 0, 8, 1..=4, ..] => Self::Idx,
            _ if ends(&[".parquet"]) => Self::Parquet,
            _ if ends(&[".npy"]) => Self::Npy,
            _ if ends(&[".safetensors"]) => Self::Safetensors,
            _ if ends(&[".csv", ".tsv", ".data"]) => Self::Csv,
            _ if ends(&[".txt", ".text", ".md"]) => Self::Text,
            _ if has_labels => Self::Idx,
            _ => {
                let problem = "its format cannot be told by its name";
                let help = "say which with --format";
                let kind = DataErrorKind::Shape;
                return Err(DataError::new(kind, path, Place::File, problem, help));
            }
        })
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no format; use one of {words}")
        })
    }
}

/// Opens a file, decompressing it if it is gzip, and ending with an error beyond
/// [`DATA_BYTES_MAX`].
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let mut file = File::open(path).map(BufReader::new).map_err(|error| failed(path, &error))?;
    let start = file.fill_buf().map_err(|error| failed(path, &error))?;
    let is_gzip = start.starts_with(&[0x1f, 0x8b]);
    let inner: Box<dyn Read> =
        if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(Bounded { inner, left: DATA_BYTES_MAX }))
}

/// The error of a failed read.
pub(super) fn failed(path: &Path, error: &io::Error) -> DataError {
    if error.kind() == ErrorKind::FileTooLarge {
        let problem = format!("more than {DATA_BYTES_MAX} bytes");
        let help = "divide the file; a data set is held in memory";
        return DataError::new(DataErrorKind::TooLarge, path, Place::File, problem, help);
    }
    let help = match error.kind() {
        ErrorKind::NotFound => "check the path of the data set",
        ErrorKind::PermissionDenied => "let this user read the file",
        ErrorKind::IsADirectory => "name a file, not a folder",
        ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            "the file is cut off or damaged; copy it again"
        }
        _ => "check that the file can be read",
    };
    let problem = format!("cannot be read: {error}");
    DataError::new(DataErrorKind::Unreadable, path, Place::File, problem, help)
}

/// A reader that fails beyond a number of bytes, so that a small compressed file cannot become
/// an endless one.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(ErrorKind::FileTooLarge.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_reader_gives_exactly_its_bytes() {
        let read = |left| {
            let mut bytes = Vec::new();
            Bounded { inner: &b"12345"[..], left }.read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(5).expect("five bytes fit"), b"12345");
        assert_eq!(read(4).expect_err("one too many").kind(), ErrorKind::FileTooLarge);
    }
}
