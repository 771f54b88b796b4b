//! The data to train on, and its division among owners.
//!
//! Rows are moved from the source to the owners' files as they are, byte for byte; what they mean
//! is for the programs to parse, as with any owner's file.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// The digits of `examples/data` (see the README there for source and licence).
const DIGITS: &[u8] = include_bytes!("../../../data/digits.csv.gz");

/// Side of a digit's image in pixels.
const DIGITS_SIDE: u32 = 8;

/// Largest file that the demo unpacks, in bytes: ten times MNIST.
const FILE_BYTES_MAX: u64 = 1 << 29;

/// What is wrong with the data folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadData {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}: {what}", path.display())]
    Shape { path: PathBuf, what: String },
    #[error(
        "{}: found neither a pair of IDX files (names with `images` and `labels`) nor a CSV file",
        .0.display()
    )]
    Nothing(PathBuf),
    #[error("{}: found several CSV files, name one of them with `train` and one with `test`", .0.display())]
    Several(PathBuf),
}

/// Rows of one kind, with their labels.
#[derive(Clone)]
pub(crate) enum Rows {
    /// Images of `height` x `width` bytes each.
    Images { height: u32, width: u32, pixels: Vec<u8>, labels: Vec<u8> },
    /// CSV lines below a header with a column `label`.
    Table { header: String, lines: Vec<String>, labels: Vec<u32> },
}

/// A training and a test set.
pub(crate) struct Source {
    /// Where they come from, for people.
    pub(crate) title: String,
    pub(crate) train: Rows,
    pub(crate) test: Option<Rows>,
}

impl Source {
    /// The digits that ship with the demo.
    pub(crate) fn digits() -> Result<Self, BadData> {
        let path = PathBuf::from("digits.csv.gz");
        let text = unpack(&path, DIGITS)?;
        let text = String::from_utf8(text)
            .map_err(|_| BadData::Shape { path: path.clone(), what: "is not text".to_owned() })?;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let row: Result<Vec<u8>, _> =
                line.split(',').map(|field| field.trim().parse()).collect();
            match row.as_deref() {
                Ok([image @ .., label]) if image.len() == (DIGITS_SIDE * DIGITS_SIDE) as usize => {
                    pixels.extend_from_slice(image);
                    labels.push(*label);
                }
                _ => {
                    let what = format!("is no row of 64 pixels and a label: {line}");
                    return Err(BadData::Shape { path, what });
                }
            }
        }
        let train = Rows::Images { height: DIGITS_SIDE, width: DIGITS_SIDE, pixels, labels };
        let title = "1,797 handwritten digits (UCI optical digits)".to_owned();
        Ok(Self { title, train, test: None })
    }

    /// Whatever the folder holds.
    pub(crate) fn folder(folder: &Path) -> Result<Self, BadData> {
        let unreadable = |error| BadData::Unreadable { path: folder.to_owned(), error };
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(unreadable)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        let images: Vec<&PathBuf> = files.iter().filter(|path| has(path, "images")).collect();
        let title = folder.display().to_string();
        if images.is_empty() {
            return Self::tables(folder, title, &files);
        }
        let labels_of = |images: &PathBuf| {
            let wanted = lower(images).replace("images", "labels").replace("idx3", "idx1");
            files.iter().find(|path| stem(&lower(path)) == stem(&wanted)).ok_or_else(|| {
                BadData::Shape { path: images.clone(), what: format!("has no {wanted} beside it") }
            })
        };
        let (test, train): (Vec<&PathBuf>, Vec<&PathBuf>) =
            images.into_iter().partition(|path| is_test(path));
        let [train] = train[..] else { return Err(BadData::Several(folder.to_owned())) };
        let read = |path: &PathBuf| read_idx(path, labels_of(path)?);
        let test = test.first().map(|path| read(path)).transpose()?;
        Ok(Self { title, train: read(train)?, test })
    }

    fn tables(folder: &Path, title: String, files: &[PathBuf]) -> Result<Self, BadData> {
        let (test, train): (Vec<&PathBuf>, Vec<&PathBuf>) =
            files.iter().filter(|path| has(path, ".csv")).partition(|path| is_test(path));
        match (&train[..], &test[..]) {
            ([train], []) => Ok(Self { title, train: read_table(train)?, test: None }),
            ([train], [test]) => {
                Ok(Self { title, train: read_table(train)?, test: Some(read_table(test)?) })
            }
            ([], _) => Err(BadData::Nothing(folder.to_owned())),
            _ => Err(BadData::Several(folder.to_owned())),
        }
    }
}

impl Rows {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Images { labels, .. } => labels.len(),
            Self::Table { labels, .. } => labels.len(),
        }
    }

    /// Every row's label.
    pub(crate) fn labels(&self) -> Vec<u32> {
        match self {
            Self::Images { labels, .. } => labels.iter().map(|label| u32::from(*label)).collect(),
            Self::Table { labels, .. } => labels.clone(),
        }
    }

    /// The rows at `indices`.
    pub(crate) fn pick(&self, indices: &[usize]) -> Self {
        match self {
            Self::Images { height, width, pixels, labels } => {
                let size = (*height * *width) as usize;
                let image = |i: &usize| &pixels[i * size..(i + 1) * size];
                Self::Images {
                    height: *height,
                    width: *width,
                    pixels: indices.iter().flat_map(|i| image(i).iter().copied()).collect(),
                    labels: indices.iter().map(|i| labels[*i]).collect(),
                }
            }
            Self::Table { header, lines, labels } => Self::Table {
                header: header.clone(),
                lines: indices.iter().map(|i| lines[*i].clone()).collect(),
                labels: indices.iter().map(|i| labels[*i]).collect(),
            },
        }
    }

    /// The same rows with other labels, one for each.
    pub(crate) fn relabelled(&self, new: &[u32]) -> Self {
        match self {
            Self::Images { height, width, pixels, .. } => Self::Images {
                height: *height,
                width: *width,
                pixels: pixels.clone(),
                // An image file has no label beyond a byte.
                labels: new.iter().map(|label| u8::try_from(*label).unwrap_or(u8::MAX)).collect(),
            },
            Self::Table { header, lines, .. } => {
                let column = fields(header).iter().position(|name| name.trim() == "label");
                let line = |(line, label): (&String, &u32)| {
                    let label = label.to_string();
                    let fields = fields(line);
                    let fields = fields.iter().enumerate().map(|(place, field)| {
                        if Some(place) == column { label.as_str() } else { field }
                    });
                    one_line(&fields.collect())
                };
                let lines = lines.iter().zip(new).map(line).collect();
                Self::Table { header: header.clone(), lines, labels: new.to_vec() }
            }
        }
    }

    /// Writes the rows into `folder` as an owner would hold them.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        match self {
            Self::Images { height, width, pixels, labels } => {
                let count = u32::try_from(labels.len()).unwrap_or(u32::MAX).to_be_bytes();
                let sizes = [count, height.to_be_bytes(), width.to_be_bytes()].concat();
                let mut file = fs::File::create(folder.join("images.idx"))?;
                file.write_all(&[0, 0, 8, 3])?;
                file.write_all(&sizes)?;
                file.write_all(pixels)?;
                let header = [[0, 0, 8, 1], count].concat();
                fs::write(folder.join("labels.idx"), [header, labels.clone()].concat())
            }
            Self::Table { header, lines, .. } => {
                let text = format!("{header}\n{}\n", lines.join("\n"));
                fs::write(folder.join("rows.csv"), text)
            }
        }
    }

    /// How settings declare such a folder, as a TOML value.
    pub(crate) fn declared(&self, folder: &str) -> String {
        match self {
            Self::Images { .. } => format!(
                "{{ format = \"idx\", images = \"{folder}/images.idx\", \
                 labels = \"{folder}/labels.idx\" }}"
            ),
            Self::Table { .. } => {
                format!(
                    "{{ format = \"csv\", path = \"{folder}/rows.csv\", header = \"present\" }}"
                )
            }
        }
    }
}

/// How the client's `credits verify` is told of the pool that [`Rows::write`] wrote into `folder`.
pub(crate) fn pool_arguments(folder: &Path) -> Vec<String> {
    let text = |name: &str| folder.join(name).display().to_string();
    if folder.join("rows.csv").exists() {
        return vec!["--pool".to_owned(), text("rows.csv")];
    }
    let (images, labels) = (text("images.idx"), text("labels.idx"));
    ["--pool".to_owned(), images, "--labels".to_owned(), labels].into()
}

fn lower(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// A file name without `.gz`, so that a plain label file matches a packed image file.
fn stem(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

fn has(path: &Path, part: &str) -> bool {
    lower(path).contains(part)
}

fn is_test(path: &Path) -> bool {
    has(path, "test") || has(path, "t10k")
}

/// The bytes, unpacked when they begin as gzip does.
fn unpack(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, BadData> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_vec());
    }
    let mut unpacked = Vec::new();
    let unreadable = |error| BadData::Unreadable { path: path.to_owned(), error };
    MultiGzDecoder::new(bytes)
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut unpacked)
        .map_err(unreadable)?;
    if unpacked.len() as u64 > FILE_BYTES_MAX {
        let what = format!("unpacks to more than {FILE_BYTES_MAX} bytes");
        return Err(BadData::Shape { path: path.to_owned(), what });
    }
    Ok(unpacked)
}

fn read(path: &Path) -> Result<Vec<u8>, BadData> {
    let bytes =
        fs::read(path).map_err(|error| BadData::Unreadable { path: path.to_owned(), error })?;
    unpack(path, &bytes)
}

/// An IDX file of unsigned bytes (<https://yann.lecun.org/exdb/mnist/>): its dimensions and body.
fn read_idx_file(path: &Path, dimensions: usize) -> Result<(Vec<u32>, Vec<u8>), BadData> {
    let bytes = read(path)?;
    let shape = |what: String| BadData::Shape { path: path.to_owned(), what };
    let header_bytes = 4 + 4 * dimensions;
    let kind = u8::try_from(dimensions).unwrap_or(u8::MAX);
    if bytes.len() < header_bytes || bytes[..4] != [0, 0, 8, kind] {
        return Err(shape(format!("is no IDX file of bytes in {dimensions} dimensions")));
    }
    let sizes: Vec<u32> = bytes[4..header_bytes]
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]))
        .collect();
    let expected = sizes.iter().try_fold(1u64, |all, size| all.checked_mul(u64::from(*size)));
    if expected != Some((bytes.len() - header_bytes) as u64) {
        let got = bytes.len() - header_bytes;
        return Err(shape(format!("its header says {sizes:?}, but {got} bytes follow")));
    }
    Ok((sizes, bytes[header_bytes..].to_vec()))
}

fn read_idx(images: &Path, labels: &Path) -> Result<Rows, BadData> {
    let (sizes, pixels) = read_idx_file(images, 3)?;
    let (count, label_bytes) = read_idx_file(labels, 1)?;
    if count[0] != sizes[0] {
        let what = format!("has {} labels, but there are {} images", count[0], sizes[0]);
        return Err(BadData::Shape { path: labels.to_owned(), what });
    }
    Ok(Rows::Images { height: sizes[1], width: sizes[2], pixels, labels: label_bytes })
}

fn read_table(path: &Path) -> Result<Rows, BadData> {
    let shape = |what: String| BadData::Shape { path: path.to_owned(), what };
    let bytes = read(path)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|error| shape(error.to_string()))?.clone();
    let column = header
        .iter()
        .position(|name| name.trim() == "label")
        .ok_or_else(|| shape("its header has no column `label`".to_owned()))?;
    let (mut lines, mut labels) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = row.map_err(|error| shape(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let field = row.get(column).unwrap_or_default().trim();
        labels.push(field.parse().map_err(|_| {
            shape(format!("line {line}: label {field:?} is no whole number from 0"))
        })?);
        lines.push(one_line(&row));
    }
    Ok(Rows::Table { header: one_line(&header), lines, labels })
}

/// The record that stands in a line of CSV text.
fn fields(line: &str) -> csv::StringRecord {
    let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    // Lines are written by `one_line`, so they are records.
    reader.into_records().next().and_then(Result::ok).unwrap_or_default()
}

/// A record as CSV text, quoted where it must be.
fn one_line(record: &csv::StringRecord) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory cannot fail.
    let _ = writer.write_record(record);
    let text = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&text).trim_end().to_owned()
}
