//! Arrays of numbers without a plan.

use std::path::Path;

use covey_aggregation::limits::CLASSES_MAX;

use super::super::array::{Array, Element};
use super::super::cell::Cell;
use super::super::error::{DataError, DataErrorKind};
use super::super::npy::open_array;
use super::super::safetensors::{FEATURES, Header, LABELS};
use super::super::source::Format;
use super::super::table::Row;
use super::column::{ColumnPreview, Inferred, Watch};
use super::{NO_TARGET, Preview, pictures};
use crate::limits::PREVIEW_ROWS_MAX;

/// Columns that are looked at one by one.
const COLUMNS_MAX: usize = 1000;

/// Numbers of an example that fit a preview.
const NUMBERS_MAX: usize = 1 << 20;

/// Rows that are shown as they are.
const FIRST_ROWS: usize = 5;

/// Instead of the classes of pictures, where the labels are none.
const NO_CLASSES: &str = "# the labels are no classes, and of pictures a plan predicts a class\n\
                          # classes = 2";

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
        return Err(features.error(DataErrorKind::Shape, problem, help));
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
    let is_picture = matches!(shape.len(), 3 | 4);
    let is_float = matches!(labels.element, Element::F32 | Element::F64);
    // Of pictures, only a class can be predicted.
    let classes = classes(&label, is_float && !is_picture);
    let pictures = |sizes: [usize; 3]| {
        let line = match classes {
            Some(classes) => format!("classes = {classes}"),
            None => NO_CLASSES.to_owned(),
        };
        pictures::section(sizes.map(|size| size as u32), &line)
    };
    let section = match shape[1..] {
        [height, width] if !is_table => pictures([height, width, 1]),
        [height, width, channels] => pictures([height, width, channels]),
        _ => {
            let lines: Vec<String> = columns
                .iter()
                .filter_map(ColumnPreview::column_line)
                .map(|line| format!("  {line},\n"))
                .collect();
            let target = match classes {
                Some(classes) => format!("target = {{ column = \"label\", classes = {classes} }}"),
                None => label.number_line().unwrap_or_else(|| NO_TARGET.to_owned()),
            };
            let columns = lines.concat();
            format!("[data]\nkind = \"tabular\"\n{target}\ncolumns = [\n{columns}]\n")
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

/// How many classes the labels are of; none where they are numbers.
fn classes(label: &ColumnPreview, is_float: bool) -> Option<u64> {
    let (smallest, largest) = (label.min?, label.max?);
    let are_classes = match label.inferred {
        Inferred::Category | Inferred::Boolean => true,
        // Many whole numbers: places of classes, unless they are kept as what has fractions.
        Inferred::Integer => !is_float && smallest >= 0.0,
        Inferred::Float | Inferred::Text | Inferred::Empty => false,
    };
    (are_classes && largest < CLASSES_MAX as f64).then(|| largest.max(1.0) as u64 + 1)
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::{Goal, Plan};

    use super::*;
    use crate::data::{DataSource, Dataset};
    use crate::model::tests::plan_text;

    fn npy(descr: &str, shape: &str, elements: Vec<u8>) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &elements].concat()
    }

    fn plan(section: &str) -> Plan {
        let data = section.strip_prefix("[data]\n").expect("a section");
        let text = plan_text(data, "").replace("layers = []", "family = \"any\"");
        Plan::parse(&text).unwrap_or_else(|errors| panic!("{section}\n{errors}"))
    }

    /// The section for 12 examples with these labels, which are read again as it says.
    fn previewed(descr: &str, label: impl Fn(u16) -> f64) -> Dataset {
        let numbers = |number: f64| match descr {
            "<f4" => (number as f32).to_le_bytes().to_vec(),
            "<f8" => number.to_le_bytes().to_vec(),
            _ => (number as i64).to_le_bytes().to_vec(),
        };
        let labels: Vec<u8> = (0..12).flat_map(|row| numbers(label(row))).collect();
        let inputs: Vec<u8> = (0..24).flat_map(|cell: u8| f32::from(cell).to_le_bytes()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let [features, answers] = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
        std::fs::write(&features, npy("<f4", "(12, 2)", inputs)).expect("written");
        std::fs::write(&answers, npy(descr, "(12,)", labels)).expect("written");
        let section = of_npy(&features, &answers).expect("a preview").section;
        let source = DataSource::Npy { features, labels: answers };
        Dataset::load(&source, &plan(&section).data)
            .unwrap_or_else(|error| panic!("{section}\n{error}"))
    }

    #[test]
    fn float_labels_are_numbers_to_predict_and_places_are_classes() {
        let price = |row: u16| 250_000.0 + 500.0 * f64::from(row);
        for descr in ["<f4", "<f8"] {
            assert_eq!(previewed(descr, |row| f64::from(row) + 0.5).values().len(), 12);
            assert_eq!(previewed(descr, price).values().len(), 12, "whole, but no classes");
            assert_eq!(previewed(descr, |row| price(row % 3)).values().len(), 12, "only three");
            assert_eq!(previewed(descr, |row| f64::from(row % 3)).classes(), 3);
        }
        assert_eq!(previewed("<i8", f64::from).classes(), 12);
        assert_eq!(previewed("<i8", |row| f64::from(row) - 4.0).values().len(), 12);
        assert_eq!(previewed("<i8", price).values().len(), 12);
    }

    #[test]
    fn of_pictures_only_a_class_is_predicted() {
        let folder = tempfile::tempdir().expect("a folder");
        let [features, labels] = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
        std::fs::write(&features, npy("|u1", "(2, 1, 2, 1)", vec![0, 1, 2, 3])).expect("written");
        let section = |numbers: [f32; 2]| {
            let numbers = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            std::fs::write(&labels, npy("<f4", "(2,)", numbers)).expect("written");
            of_npy(&features, &labels).expect("a preview").section
        };
        assert_eq!(plan(&section([0.0, 2.0])).data.goal(), Goal::Class(3));
        let open = section([0.5, 250_000.0]);
        assert!(open.contains("# classes = 2") && !open.contains("250001"), "{open}");
    }
}
