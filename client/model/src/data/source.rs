//! Where data lies, and opening it: plain or gzip, told by the first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::limits::DATA_BYTES_MAX;

use super::error::{DataError, DataErrorKind, Place};

/// An owner's files. Any of them may be compressed with gzip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase", deny_unknown_fields)]
pub enum DataSource {
    /// Comma-separated values, one example per line.
    Csv {
        /// The file.
        path: PathBuf,
        /// Whether the first line names the columns.
        #[serde(default)]
        header: Header,
    },
    /// The two files of the MNIST format: images and their labels.
    Idx {
        /// Unsigned bytes, `[n, height, width]` or `[n, height, width, channels]`.
        images: PathBuf,
        /// Unsigned bytes, `[n]`: the number of the class, from 0.
        labels: PathBuf,
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
