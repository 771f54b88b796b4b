//! Pictures.

use crate::limits::{ACTIVATIONS_MAX, IMAGE_CHANNELS_MAX, IMAGE_SIDE_MAX};
use crate::plan::error::{Code, Collector};
use crate::plan::section::Section;

use super::target::{Class, read_classes};
use super::{Rows, label};

/// Pictures of one size. A feature is a pixel value divided by `pixel_max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Numbers of a pixel: 1 for grey, 3 for colour.
    pub channels: u32,
    /// The value of a full pixel; smaller or equal values only, from 0.
    pub pixel_max: f32,
    /// Whether picture files of another size are scaled to this one. Otherwise they are refused.
    pub resize: bool,
    /// Whether picture files in colour become grey, or the reverse. Otherwise they are refused.
    pub convert: bool,
    /// Name of the label column where a file has named columns.
    pub label: String,
    /// The classes, in the order of the model's outputs.
    pub classes: Vec<Class>,
    /// How many pictures an owner needs, and which it keeps.
    pub rows: Rows,
}

impl Image {
    /// Numbers of one picture.
    #[must_use]
    pub fn features(&self) -> u64 {
        u64::from(self.height) * u64::from(self.width) * u64::from(self.channels)
    }
}

pub(super) fn read(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    rows: Option<Rows>,
) -> Option<Image> {
    let height = section.whole(errors, "height", 1..=IMAGE_SIDE_MAX.into());
    let width = section.whole(errors, "width", 1..=IMAGE_SIDE_MAX.into());
    let channels = section.whole_or(errors, "channels", 1..=IMAGE_CHANNELS_MAX.into(), 1);
    let pixel_max = match section.optional("pixel_max") {
        Some(field) => field.positive(errors).map(|at| at.value as f32),
        None => Some(255.0),
    };
    let resize = section.flag(errors, "resize");
    let convert = section.flag(errors, "convert");
    let label = match section.optional("label") {
        Some(field) => label(field, errors),
        None => Some("label".to_owned()),
    };
    let classes = read_classes(section, errors);
    if let (Some(height), Some(width), Some(channels)) = (&height, &width, channels)
        && height.value * width.value * channels > ACTIVATIONS_MAX
    {
        let message = format!("images of {} x {} x {channels}", height.value, width.value);
        let help = format!("an image may have at most {ACTIVATIONS_MAX} numbers");
        errors.push(&height.span, Code::OutOfRange, message, help);
    }
    Some(Image {
        height: height?.value as u32,
        width: width?.value as u32,
        channels: channels? as u32,
        pixel_max: pixel_max?,
        resize: resize?,
        convert: convert?,
        label: label?,
        classes: classes?,
        rows: rows?,
    })
}
