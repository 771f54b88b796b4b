//! IDX files: the format of MNIST. A big-endian header (two zero bytes, the element type, the
//! number of sizes, the sizes), then the elements.

use std::io::Read;
use std::path::Path;

use covey_aggregation::plan::{Data, Image};

use super::Loaded;
use super::collect::Collect;
use super::encode::{Answer, TargetEncoder};
use super::error::{DataError, DataErrorKind, Place};
use super::pixel;
use super::source::{ReadLimits, failed, open};

/// Element type "unsigned byte".
const UNSIGNED_BYTE: u8 = 0x08;

/// Most sizes of a header: examples, height, width, channels.
const SIZES_MAX: usize = 4;

pub(super) fn read(
    images: &Path,
    labels: &Path,
    data: &Data,
    limits: ReadLimits,
) -> Result<Loaded, DataError> {
    let Data::Image(image) = data else {
        let problem = match data {
            Data::Text(_) => "IDX files hold images, the plan asks for running text",
            _ => "IDX files hold images, the plan asks for a table",
        };
        let help = "give a file of the plan's form";
        return Err(DataError::new(DataErrorKind::Shape, images, Place::File, problem, help));
    };
    let mut pixel_file = Idx::open(images)?;
    let sizes = [image.height, image.width, image.channels].map(|size| size as usize);
    let count = check_image_sizes(&pixel_file, sizes)?;
    let mut collect = Collect::new(images, data, limits);
    collect.allow(count as u64)?;
    let labels = read_labels(labels, images, count, image)?;
    let each = sizes.iter().product();
    let mut pixels = vec![0; each];
    for (number, label) in labels.into_iter().enumerate() {
        let place = Place::Example(number as u64 + 1);
        pixel_file.fill(&mut pixels, number * each, count * each)?;
        collect.add(label, &place, |numbers| {
            pixel::add(pixels.iter().map(|pixel| f64::from(*pixel)), image, numbers)
                .map_err(|fault| fault.at(images, place.clone()))
        })?;
    }
    pixel_file.end(count * each)?;
    collect.finish()
}

/// Height, width and channels of the images.
pub(super) fn image_sizes(file: &Idx<'_>) -> Result<[usize; 3], DataError> {
    match file.sizes[..] {
        [_, height, width] => Ok([height, width, 1]),
        [_, height, width, channels] => Ok([height, width, channels]),
        _ => {
            let problem = format!("{} sizes in the header, images have 3 or 4", file.sizes.len());
            let help = "give the file of the images here, and that of the labels as labels";
            Err(file.error(DataErrorKind::Shape, problem, help))
        }
    }
}

/// The number of images, if their sizes are the plan's.
fn check_image_sizes(
    file: &Idx<'_>,
    [height, width, channels]: [usize; 3],
) -> Result<usize, DataError> {
    let found = image_sizes(file)?;
    if found != [height, width, channels] {
        let [found_height, found_width, found_channels] = found;
        let problem = format!(
            "images of {found_height} x {found_width} x {found_channels}, the plan asks for \
             {height} x {width} x {channels} (height, width, channels)"
        );
        let help = "give other images, or a plan for this size";
        return Err(file.error(DataErrorKind::Shape, problem, help));
    }
    if file.sizes[0] == 0 {
        let help = "give a file with images in it";
        return Err(file.error(DataErrorKind::Empty, "no examples".into(), help));
    }
    Ok(file.sizes[0])
}

fn read_labels(
    path: &Path,
    images: &Path,
    count: usize,
    image: &Image,
) -> Result<Vec<Answer>, DataError> {
    let target = TargetEncoder::of_classes(&image.classes);
    let labels = all_labels(path, images, count)?;
    let answers = labels.into_iter().zip(1..).map(|(label, number)| {
        let answer = target.encode_number(label.into());
        answer.map_err(|fault| fault.at(path, Place::Example(number)))
    });
    answers.collect()
}

/// The labels of `count` images.
pub(super) fn all_labels(path: &Path, images: &Path, count: usize) -> Result<Vec<u8>, DataError> {
    let mut file = Idx::open(path)?;
    if file.sizes.len() != 1 {
        let problem = format!("{} sizes in the header, labels have 1", file.sizes.len());
        let help = "give the file of the labels here, and that of the images as images";
        return Err(file.error(DataErrorKind::Shape, problem, help));
    }
    if file.sizes[0] != count {
        let problem =
            format!("{} labels, but {count} images in {}", file.sizes[0], images.display());
        let help = "give the labels of these images";
        return Err(file.error(DataErrorKind::Shape, problem, help));
    }
    file.elements(count)
}

/// A file whose header was read.
pub(super) struct Idx<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    pub(super) sizes: Vec<usize>,
}

impl<'a> Idx<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let mut idx = Self { path, reader: open(path)?, sizes: Vec::new() };
        let magic: [u8; 4] = idx.bytes()?;
        let [0, 0, kind, dimensions] = magic else {
            let problem = "this is no IDX file".to_owned();
            let help = "IDX files begin with two zero bytes; for CSV use format = \"csv\"";
            return Err(idx.error(DataErrorKind::Shape, problem, help));
        };
        if kind != UNSIGNED_BYTE || !(1..=SIZES_MAX).contains(&usize::from(dimensions)) {
            let problem = format!("element type {kind:#04x} with {dimensions} sizes");
            let help = "only unsigned bytes (0x08) with 1 to 4 sizes can be read";
            return Err(idx.error(DataErrorKind::Shape, problem, help));
        }
        for _ in 0..dimensions {
            let size = u32::from_be_bytes(idx.bytes()?);
            idx.sizes.push(size as usize);
        }
        Ok(idx)
    }

    fn error(&self, kind: DataErrorKind, problem: String, help: impl Into<String>) -> DataError {
        DataError::new(kind, self.path, Place::File, problem, help)
    }

    /// Fills `bytes`; the file has `expected` elements, `before` of them already read.
    fn fill(&mut self, bytes: &mut [u8], before: usize, expected: usize) -> Result<(), DataError> {
        let mut filled = 0;
        while filled < bytes.len() {
            let read = self.reader.read(&mut bytes[filled..]);
            match read.map_err(|error| failed(self.path, &error))? {
                0 => return Err(self.wrong_length(before + filled, expected)),
                read => filled += read,
            }
        }
        Ok(())
    }

    /// Whether this is the end of the file.
    fn end(&mut self, expected: usize) -> Result<(), DataError> {
        match self.reader.read(&mut [0]).map_err(|error| failed(self.path, &error))? {
            0 => Ok(()),
            _ => Err(self.wrong_length(expected + 1, expected)),
        }
    }

    fn wrong_length(&self, got: usize, expected: usize) -> DataError {
        let problem = if got < expected {
            format!("ends after {got} of {expected} bytes")
        } else {
            format!("more than the {expected} bytes that the header announces")
        };
        let help = "the file is cut off or damaged; copy it again";
        self.error(DataErrorKind::Unreadable, problem, help)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| failed(self.path, &error))?;
        Ok(bytes)
    }

    /// Exactly `expected` elements and then the end. Memory grows with what is there, not with
    /// what the header claims.
    fn elements(&mut self, expected: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let mut reader = (&mut self.reader).take(expected as u64 + 1);
        reader.read_to_end(&mut bytes).map_err(|error| failed(self.path, &error))?;
        if bytes.len() == expected {
            return Ok(bytes);
        }
        Err(self.wrong_length(bytes.len(), expected))
    }
}
