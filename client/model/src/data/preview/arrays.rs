//! Arrays of numbers without a plan.

use std::path::Path;

use super::super::array::Array;
use super::super::cell::Cell;
use super::super::error::{DataError, DataErrorKind, Place};
use super::super::npy::open_array;
use super::super::safetensors::{FEATURES, Header, LABELS};
use super::super::source::Format;
use super::super::table::Row;
use super::column::{ColumnPreview, Watch};
use super::{Preview, pictures};
use crate::limits::PREVIEW_ROWS_MAX;

/// Columns that are looked at one by one.
const COLUMNS_MAX: usize = 1000;

/// Numbers of an example that fit a preview.
const NUMBERS_MAX: usize = 1 << 20;

/// Rows that are shown as they are.
const FIRST_ROWS: usize = 5;

pub(super) fn of_npy(features: &Path, labels: &Path) -> Result<Preview, DataError> {
    of(Format::Npy, open_array(features)?, open_array(labels)?)
}

pub(super) fn of_safetensors(path: &Path) -> Result<Preview, DataError> {
    let header = Header::read(path)?;
    of(Format::Safetensors, header.array(FEATURES)?, header.array(LABELS)?)
}

/// The numbers of one example.
struct Numbers<'a>(&'a [f64]);

impl Row for Numbers<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, place: usize) -> Cell<'_> {
        self.0.get(place).map_or(Cell::Null, |number| Cell::Number(*number))
    }
}

fn of(
    format: Format,
    mut features: Array<'_>,
    mut labels: Array<'_>,
) -> Result<Preview, DataError> {
    let (shape, count) = (features.shape.clone(), features.shape.first().copied().unwrap_or(0));
    let each = shape.iter().skip(1).try_fold(1, |product: usize, size| product.checked_mul(*size));
    let Some(each) = each.filter(|each| (1..=NUMBERS_MAX).contains(each) && count > 0) else {
        let problem = format!("shape {shape:?} is none of examples");
        let help = "give an array [n, columns], or [n, height, width, channels] of images";
        return Err(features.error(DataErrorKind::Shape, Place::File, problem, help));
    };
    let is_table = shape.len() == 2 && each <= COLUMNS_MAX;
    let width = if is_table { each } else { 0 };
    let mut watches: Vec<Watch> =
        (1..=width).map(|place| Watch::new(format!("column-{place}"))).collect();
    let mut label_watch = Watch::new("label".to_owned());
    let (mut values, mut first_rows) = (vec![0.0; each], Vec::new());
    let rows = count.min(PREVIEW_ROWS_MAX as usize);
    for number in 0..rows {
        features.fill(&mut values, number)?;
        let mut label = [0.0];
        labels.fill(&mut label, number)?;
        label_watch.add(Cell::Number(label[0]));
        let row = Numbers(&values);
        for (place, watch) in watches.iter_mut().enumerate() {
            watch.add(row.cell(place));
        }
        if is_table && number < FIRST_ROWS {
            let cells = values.iter().chain(&label).map(|value| Cell::Number(*value).to_word());
            first_rows.push(cells.collect());
        }
    }
    let mut columns: Vec<ColumnPreview> = watches.into_iter().map(Watch::finish).collect();
    let label = label_watch.finish();
    let largest = label.max.unwrap_or(0.0);
    let classes = format!("{}", (largest.max(1.0) as u64).saturating_add(1));
    let section = match shape[1..] {
        [height, width] if !is_table => {
            pictures::section([height as u32, width as u32, 1], &classes)
        }
        [height, width, channels] => {
            pictures::section([height as u32, width as u32, channels as u32], &classes)
        }
        _ => {
            let lines: Vec<String> = columns
                .iter()
                .filter_map(ColumnPreview::column_line)
                .map(|line| format!("  {line},\n"))
                .collect();
            format!(
                "[data]\nkind = \"tabular\"\ntarget = {{ column = \"label\", classes = {classes} }}\n\
                 columns = [\n{}]\n",
                lines.concat()
            )
        }
    };
    columns.push(label);
    let notes = vec![
        format!("shape {shape:?}; the columns of an array have no names, give them any"),
        "bounds are rounded outwards; check them before the plan is shared".to_owned(),
    ];
    let (examples, is_whole, format) = (rows as u64, rows == count, format.as_str());
    Ok(Preview { format, examples, is_whole, columns, first_rows, notes, section })
}
