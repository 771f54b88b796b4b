//! IDX files: the format of MNIST. A big-endian header (two zero bytes, the element type, the
//! number of sizes, the sizes), then the elements.

use std::io::Read;
use std::path::Path;

use covey_aggregation::plan::Image;

use crate::limits::{DATASET_NUMBERS_MAX, EXAMPLES_MAX};

use super::Dataset;
use super::error::{DataError, DataErrorKind, Place};
use super::source::{failed, open};

/// Element type "unsigned byte".
const UNSIGNED_BYTE: u8 = 0x08;

/// Most sizes of a header: examples, height, width, channels.
const SIZES_MAX: usize = 4;

pub(super) fn read(images: &Path, labels: &Path, image: &Image) -> Result<Dataset, DataError> {
    let [height, width, channels] =
        [image.height, image.width, image.channels].map(|size| size as usize);
    let mut pixel_file = Idx::open(images)?;
    let count = check_image_sizes(&pixel_file, [height, width, channels])?;
    let features = height * width * channels;
    if count > EXAMPLES_MAX || count.saturating_mul(features) > DATASET_NUMBERS_MAX {
        let problem = format!("{count} examples of {features} numbers are too many");
        let help = "divide the file; a data set is held in memory";
        return Err(pixel_file.error(DataErrorKind::TooLarge, Place::File, problem, help));
    }
    let labels = read_labels(labels, images, count, image)?;
    let pixels = pixel_file.elements(count * features)?;
    let mut numbers = vec![0.0; pixels.len()];
    for (index, pixel) in pixels.iter().enumerate() {
        if f32::from(*pixel) > image.pixel_max {
            let place = Place::Example((index / features) as u64 + 1);
            let problem = format!("pixel value {pixel} is above {}", image.pixel_max);
            let help = "check pixel_max in the plan's [data] section";
            return Err(pixel_file.error(DataErrorKind::Value, place, problem, help));
        }
        let (example, pixel_index) = (index / features, index % features);
        let place = super::csv::plane_place(pixel_index, channels, height * width);
        numbers[example * features + place] = f32::from(*pixel) / image.pixel_max;
    }
    Dataset::new(numbers, labels, features, image.classes.len()).map_err(|error| {
        let help = "report this: an example passed the reader that should not have";
        pixel_file.error(DataErrorKind::Shape, Place::File, error.to_string(), help)
    })
}

/// The number of images, if their sizes are the plan's.
fn check_image_sizes(
    file: &Idx<'_>,
    [height, width, channels]: [usize; 3],
) -> Result<usize, DataError> {
    let found = match file.sizes[..] {
        [_, found_height, found_width] => [found_height, found_width, 1],
        [_, found_height, found_width, found_channels] => {
            [found_height, found_width, found_channels]
        }
        _ => {
            let problem = format!("{} sizes in the header, images have 3 or 4", file.sizes.len());
            let help = "give the file of the images here, and that of the labels as labels";
            return Err(file.error(DataErrorKind::Shape, Place::File, problem, help));
        }
    };
    if found != [height, width, channels] {
        let [found_height, found_width, found_channels] = found;
        let problem = format!(
            "images of {found_height} x {found_width} x {found_channels}, the plan asks for \
             {height} x {width} x {channels} (height, width, channels)"
        );
        let help = "give other images, or a plan for this size";
        return Err(file.error(DataErrorKind::Shape, Place::File, problem, help));
    }
    if file.sizes[0] == 0 {
        let help = "give a file with images in it";
        return Err(file.error(DataErrorKind::Empty, Place::File, "no examples".into(), help));
    }
    Ok(file.sizes[0])
}

fn read_labels(
    path: &Path,
    images: &Path,
    count: usize,
    image: &Image,
) -> Result<Vec<u32>, DataError> {
    let mut file = Idx::open(path)?;
    if file.sizes.len() != 1 {
        let problem = format!("{} sizes in the header, labels have 1", file.sizes.len());
        let help = "give the file of the labels here, and that of the images as images";
        return Err(file.error(DataErrorKind::Shape, Place::File, problem, help));
    }
    if file.sizes[0] != count {
        let problem =
            format!("{} labels, but {count} images in {}", file.sizes[0], images.display());
        let help = "give the labels of these images";
        return Err(file.error(DataErrorKind::Shape, Place::File, problem, help));
    }
    let labels = file.elements(count)?;
    let classes = image.classes.len();
    if let Some(row) = labels.iter().position(|label| usize::from(*label) >= classes) {
        let place = Place::Example(row as u64 + 1);
        let problem = format!("label {} is out of range", labels[row]);
        let help = format!("the plan has {classes} classes, labels 0 to {}", classes - 1);
        return Err(file.error(DataErrorKind::Label, place, problem, help));
    }
    Ok(labels.into_iter().map(u32::from).collect())
}

/// A file whose header was read.
struct Idx<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    sizes: Vec<usize>,
}

impl<'a> Idx<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let mut idx = Self { path, reader: open(path)?, sizes: Vec::new() };
        let magic: [u8; 4] = idx.bytes()?;
        let [0, 0, kind, dimensions] = magic else {
            let problem = "this is no IDX file".to_owned();
            let help = "IDX files begin with two zero bytes; for CSV use format = \"csv\"";
            return Err(idx.error(DataErrorKind::Shape, Place::File, problem, help));
        };
        if kind != UNSIGNED_BYTE || !(1..=SIZES_MAX).contains(&usize::from(dimensions)) {
            let problem = format!("element type {kind:#04x} with {dimensions} sizes");
            let help = "only unsigned bytes (0x08) with 1 to 4 sizes can be read";
            return Err(idx.error(DataErrorKind::Shape, Place::File, problem, help));
        }
        for _ in 0..dimensions {
            let size = u32::from_be_bytes(idx.bytes()?);
            idx.sizes.push(size as usize);
        }
        Ok(idx)
    }

    fn error(
        &self,
        kind: DataErrorKind,
        place: Place,
        problem: String,
        help: impl Into<String>,
    ) -> DataError {
        DataError::new(kind, self.path, place, problem, help)
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
        let problem = if bytes.len() < expected {
            format!("ends after {} of {expected} bytes", bytes.len())
        } else {
            format!("more than the {expected} bytes that the header announces")
        };
        let help = "the file is cut off or damaged; copy it again";
        Err(self.error(DataErrorKind::Unreadable, Place::File, problem, help))
    }
}
