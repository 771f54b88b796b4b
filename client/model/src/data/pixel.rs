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

/// Where pixel value `pixel` of a file (the channels of a pixel together) lies in an example (one
/// plane per channel).
pub(super) const fn plane_place(pixel: usize, image: &Image) -> usize {
    let (channels, plane) = (image.channels as usize, image.height as usize * image.width as usize);
    pixel % channels * plane + pixel / channels
}
