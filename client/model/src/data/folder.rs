//! A folder of pictures: one folder for each class, PNG and JPEG files in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use covey_aggregation::plan::{Data, Image};
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, ImageError, ImageFormat, ImageReader, Limits};

use crate::limits::{IMAGE_DECODED_BYTES_MAX, IMAGE_FILE_BYTES_MAX, IMAGE_FILE_SIDE_MAX};

use super::Loaded;
use super::cell::Cell;
use super::collect::Collect;
use super::encode::{Answer, TargetEncoder};
use super::error::{DataError, DataErrorKind, Place, quoted};
use super::holdout::key_of;
use super::pixel;
use super::source::{ReadLimits, failed};

pub(super) fn read(folder: &Path, data: &Data, limits: ReadLimits) -> Result<Loaded, DataError> {
    let Data::Image(image) = data else {
        let problem = "a folder of pictures, the plan asks for something else";
        let help = "give a file of the plan's form";
        return Err(DataError::new(DataErrorKind::Shape, folder, Place::File, problem, help));
    };
    let target = TargetEncoder::of_classes(&image.classes);
    let mut collect = Collect::new(folder, data, limits);
    let mut pictures = Vec::new();
    for class_folder in class_folders(folder)? {
        let name = class_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let answer = target.encode(Cell::Text(&name)).map_err(|fault| {
            let problem = format!("folder {} is none of the plan's classes", quoted(&name));
            let help = format!("rename or remove the folder; {}", fault.help);
            DataError::new(DataErrorKind::Label, &class_folder, Place::File, problem, help)
        })?;
        for file in picture_files(&class_folder)? {
            pictures.push((answer, name.clone(), file));
        }
        collect.allow(pictures.len() as u64)?;
    }
    for (answer, class, file) in pictures {
        add(&file, answer, image, &mut collect)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        collect.key(key_of(format!("{class}/{name}").as_bytes()));
    }
    collect.finish()
}

/// The folders in `folder`, in the order of their names. What is hidden is passed over.
pub(super) fn class_folders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = sorted(folder)?;
    match entries.iter().find(|entry| !entry.is_dir()) {
        None => Ok(entries),
        Some(file) => {
            let help = "give a folder that has one folder for each class, with the pictures in it";
            let problem = "a file where class folders are expected";
            Err(DataError::new(DataErrorKind::Shape, file, Place::File, problem, help))
        }
    }
}

/// The picture files of a class, in the order of their names.
pub(super) fn picture_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = sorted(folder)?;
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) && !path.is_dir()
    };
    match entries.iter().find(|entry| !is_picture(entry)) {
        None => Ok(entries),
        Some(other) => {
            let problem = "neither a .png nor a .jpg or .jpeg file";
            let help = "convert it to PNG or JPEG, or remove it";
            Err(DataError::new(DataErrorKind::Shape, other, Place::File, problem, help))
        }
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && name != "Thumbs.db" {
            entries.push(path);
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

fn add(
    file: &Path,
    answer: Answer,
    image: &Image,
    collect: &mut Collect<'_>,
) -> Result<(), DataError> {
    let picture = decode(file)?;
    let error = |problem: String, help: &str| {
        DataError::new(DataErrorKind::Shape, file, Place::File, problem, help)
    };
    let size = [picture.height(), picture.width()];
    let picture = if size == [image.height, image.width] {
        picture
    } else if image.resize {
        picture.resize_exact(image.width, image.height, FilterType::Triangle)
    } else {
        let problem = format!(
            "{} x {} pixels, the plan asks for {} x {} (height, width)",
            size[0], size[1], image.height, image.width
        );
        return Err(error(problem, "scale it, or ask for `resize = true` in the plan"));
    };
    let (color, channels) = (picture.color(), image.channels);
    let picture = match (image.convert, channels) {
        _ if is_plain(color) && u32::from(color.channel_count()) == channels => picture,
        (true, 1) => picture.to_luma8().into(),
        (true, 2) => picture.to_luma_alpha8().into(),
        (true, 3) => picture.to_rgb8().into(),
        (true, 4) => picture.to_rgba8().into(),
        _ => {
            let problem = format!("colours {color:?}, the plan asks for {channels} channel(s)");
            let help = "convert it (1 is grey, 3 is red, green and blue, of 8 bits), or ask for \
                        `convert = true` in the plan";
            return Err(error(problem, help));
        }
    };
    let pixels = picture.as_bytes();
    collect.add(answer, &Place::File, |numbers| {
        pixel::add(pixels.iter().map(|pixel| f64::from(*pixel)), image, numbers)
            .map_err(|fault| fault.at(file, Place::File))
    })
}

/// Whether a channel of a pixel is one byte.
const fn is_plain(color: ColorType) -> bool {
    matches!(color, ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8)
}

/// Decodes a picture within the limits, whatever its name says it is.
pub(super) fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(|error| failed(path, &error))?;
    let error =
        |kind, problem: String, help: &str| DataError::new(kind, path, Place::File, problem, help);
    if bytes > IMAGE_FILE_BYTES_MAX {
        let problem = format!("{bytes} bytes are too many for a picture");
        let help = format!("scale it: a file may have {IMAGE_FILE_BYTES_MAX} bytes");
        return Err(error(DataErrorKind::TooLarge, problem, &help));
    }
    file.seek(SeekFrom::Start(0)).map_err(|error| failed(path, &error))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| failed(path, &error))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        let problem = "neither PNG nor JPEG inside".to_owned();
        let help = "the file is damaged or of another kind: convert it to PNG or JPEG";
        return Err(error(DataErrorKind::Unreadable, problem, help));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(IMAGE_FILE_SIDE_MAX);
    limits.max_image_height = Some(IMAGE_FILE_SIDE_MAX);
    limits.max_alloc = Some(IMAGE_DECODED_BYTES_MAX);
    reader.limits(limits);
    reader.decode().map_err(|fault| match fault {
        ImageError::Limits(fault) => {
            let problem = format!("too large a picture: {fault}");
            let help = format!(
                "scale it: at most {IMAGE_FILE_SIDE_MAX} pixels a side and \
                 {IMAGE_DECODED_BYTES_MAX} bytes once decoded"
            );
            error(DataErrorKind::TooLarge, problem, &help)
        }
        fault => {
            let problem = format!("cannot be decoded: {fault}");
            let help = "the file is cut off or damaged; copy it again";
            error(DataErrorKind::Unreadable, problem, help)
        }
    })
}
