//! Pictures without a plan.

use std::path::Path;

use super::super::error::{DataError, DataErrorKind, Place};
use super::super::folder::{class_folders, decode, picture_files};
use super::super::idx::{self, Idx};
use super::super::source::Format;
use super::{Preview, toml_list};

pub(super) fn of_folder(folder: &Path) -> Result<Preview, DataError> {
    let (mut names, mut notes, mut examples) = (Vec::new(), Vec::new(), 0);
    let mut first = None;
    for class in class_folders(folder)? {
        let files = picture_files(&class)?;
        let name = class.file_name().unwrap_or_default().to_string_lossy().into_owned();
        notes.push(format!("class {name:?}: {} pictures", files.len()));
        examples += files.len() as u64;
        first = first.or_else(|| files.first().cloned());
        names.push(name);
    }
    let Some(first) = first else {
        let help = "give a folder that has one folder for each class, with the pictures in it";
        let (kind, place) = (DataErrorKind::Empty, Place::File);
        return Err(DataError::new(kind, folder, place, "no pictures", help));
    };
    let picture = decode(&first)?;
    let channels = picture.color().channel_count();
    notes.push(
        "the size is that of the first picture; with `resize = true` others are scaled to it, \
         with `convert = true` their colours are converted"
            .to_owned(),
    );
    let classes = format!("classes = {}", toml_list(&names));
    let section = section([picture.height(), picture.width(), channels.into()], &classes);
    Ok(preview(Format::Images, examples, notes, section))
}

pub(super) fn of_idx(images: &Path, labels: &Path) -> Result<Preview, DataError> {
    let file = Idx::open(images)?;
    let sizes = idx::image_sizes(&file)?.map(|size| size as u32);
    let count = file.sizes[0];
    let labels = idx::all_labels(labels, images, count)?;
    let largest = labels.iter().max().copied().unwrap_or(0);
    let mut counts = vec![0u64; usize::from(largest) + 1];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    let notes = vec![format!("pictures of labels 0 to {largest}: {}", counts.join(" "))];
    let classes = format!("classes = {}", usize::from(largest).max(1) + 1);
    Ok(preview(Format::Idx, count as u64, notes, section(sizes, &classes)))
}

/// The section for pictures of this height, width and number of channels; `classes` is its line
/// for them.
pub(super) fn section([height, width, channels]: [u32; 3], classes: &str) -> String {
    format!(
        "[data]\nkind = \"image\"\nheight = {height}\nwidth = {width}\nchannels = {channels}\n\
         pixel_max = 255\n{classes}\n"
    )
}

fn preview(format: Format, examples: u64, notes: Vec<String>, section: String) -> Preview {
    let (columns, first_rows) = (Vec::new(), Vec::new());
    let format = format.as_str();
    Preview { format, examples, is_whole: true, columns, first_rows, notes, section }
}
