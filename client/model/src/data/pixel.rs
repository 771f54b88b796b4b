//! Pixel values of an image, in the order of files and in that of examples.

use covey_aggregation::plan::Image;

use super::error::{DataErrorKind, Fault};

/// The features of a pixel value.
pub(super) fn feature(value: f64, image: &Image) -> Result<f32, Fault> {
    if (0.0..=f64::from(image.pixel_max)).contains(&value) {
        return Ok(value as f32 / image.pixel_max);
    }
    let problem = format!("pixel value {value} is not in 0..={}", image.pixel_max);
    let help = "check pixel_max in the plan's [data] section";
    Err(Fault::new(DataErrorKind::Value, problem, help))
}

/// Appends an image's pixel values, given in the order of a file.
pub(super) fn add(
    values: impl ExactSizeIterator<Item = f64>,
    image: &Image,
    numbers: &mut Vec<f32>,
) -> Result<(), Fault> {
    let start = numbers.len();
    numbers.resize(start + values.len(), 0.0);
    for (pixel, value) in values.enumerate() {
        numbers[start + plane_place(pixel, image)] = feature(value, image)?;
    }
    Ok(())
}

/// Where pixel value `pixel` of a file (the channels of a pixel together) lies in an example (one
/// plane per channel).
pub(super) const fn plane_place(pixel: usize, image: &Image) -> usize {
    let (channels, plane) = (image.channels as usize, image.height as usize * image.width as usize);
    pixel % channels * plane + pixel / channels
}
