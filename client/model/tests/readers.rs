//! Reading an owner's files: what is right is read exactly, what is wrong is named.

mod common;
mod files;

use std::path::Path;

use common::{MLP, SGD, digits, digits_plan};
use covey_aggregation::plan::Data;
use covey_model::data::{DataError, DataErrorKind, DataSource, Dataset, Header, Place};
use files::{Folder, data, gzip, idx};
use proptest::prelude::*;

/// 2x2 pictures in colour of "cat" and "dog".
const PICTURES: &str = r#"kind = "image"
height = 1
width = 2
channels = 2
pixel_max = 4
label = "animal"
classes = ["cat", "dog"]"#;

const TABLE: &str = r#"kind = "tabular"
columns = [
  { name = "age", type = "float", min = 0, max = 100 },
  { name = "sex", type = "category", values = ["f", "m"] },
  { name = "pulse", type = "float", min = 50, max = 150, outside = "clamp" },
]
target = { column = "ill", classes = ["no", "yes"] }"#;

fn read_csv(bytes: impl AsRef<[u8]>, section: &str, header: Header) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    let path = folder.file("data.csv", bytes);
    Dataset::load(&DataSource::Csv { path, header }, &data(section))
}

#[test]
fn the_digits_are_read_whole() {
    let all = digits(&digits_plan(MLP, SGD, 1));
    assert_eq!((all.len(), all.features(), all.classes()), (1797, 64, 10));
    assert_eq!(all.class_counts(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(all.labels()[..5], [0, 1, 2, 3, 4]);
    assert_eq!(all.example(0)[..5], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0]);
}

#[test]
fn images_are_read_with_and_without_a_header() {
    let expected = [0.0, 0.5, 0.25, 1.0];
    for (header, text) in [
        (Header::Absent, "0,1,2,4,dog\n4,4,4,4,cat\n"),
        (Header::Detect, "0,1,2,4,dog\n4,4,4,4,cat\n"),
        (Header::Present, "a,animal,b,c,d\n0,dog,1,2,4\n4,cat,4,4,4\n"),
        (Header::Detect, "a,animal,b,c,d\r\n0, dog ,1,2,4\r\n4,cat,4,4,4\r\n"),
        (Header::Detect, "\u{feff}animal,b,c,d,e\ndog,0,1,2,4\n\ncat,4,4,4,4"),
    ] {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            let set = read_csv(bytes, PICTURES, header).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(set.labels(), [1, 0]);
            // The file holds the channels of a pixel together, an example one plane per channel.
            assert_eq!(set.example(0), expected);
        }
    }
}

#[test]
fn a_table_is_scaled_and_spread_as_the_plan_says() {
    let text = "pulse,name,ill,age,sex\n100,x,yes,50,m\n200,y,no,25,f\n";
    let set = read_csv(text, TABLE, Header::Present).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.labels(), [1, 0]);
    assert_eq!(set.example(0), [0.5, 0.0, 1.0, 0.5]);
    assert_eq!(set.example(1), [0.25, 1.0, 0.0, 1.0]);
    let by_place = "50,m,100,yes\n25,f,200,no\n";
    let same = read_csv(by_place, TABLE, Header::Detect).unwrap_or_else(|error| panic!("{error}"));
    assert!(set == same);
}

#[test]
fn written_images_are_read_back_alike() {
    let plan = digits_plan(MLP, SGD, 1);
    let part = digits(&plan).subset(&[5, 900, 3]);
    let Data::Image(image) = &plan.data else { panic!("digits are images") };
    let folder = Folder::new();
    let path = folder.path("part.csv");
    part.write_csv(&path, image).expect("a temporary file");
    let source = DataSource::Csv { path, header: Header::Detect };
    assert!(Dataset::load(&source, &plan.data).is_ok_and(|again| again == part));
    let pictures = read_csv("0,1,2,4,dog\n3,1,0,2,cat\n", PICTURES, Header::Absent);
    let (pictures, data) = (pictures.expect("pictures"), data(PICTURES));
    let Data::Image(image) = &data else { panic!("pictures are images") };
    let path = folder.path("pictures.csv");
    pictures.write_csv(&path, image).expect("a temporary file");
    let source = DataSource::Csv { path, header: Header::Present };
    assert!(Dataset::load(&source, &data).is_ok_and(|again| again == pictures));
}

#[test]
fn every_bad_csv_file_is_refused_with_its_place_and_a_remedy() {
    use DataErrorKind::{Empty, Header as Head, Label, Row, Unreadable, Value};
    let cell = |line, column: &str| Place::Cell(line, column.to_owned());
    let good = "0,1,2,4,dog\n";
    let named = "a,b,c,d,animal\n";
    let pictures: &[(String, Header, DataErrorKind, Place, &str)] = &[
        (String::new(), Header::Detect, Empty, Place::File, "no examples"),
        (named.into(), Header::Detect, Empty, Place::File, "no examples"),
        (
            format!("{good}0,1,2,dog\n"),
            Header::Absent,
            Row,
            Place::Line(2),
            "4 columns, but the plan's images have 4 pixel values and a label, 5 columns",
        ),
        (
            format!("{named}{good}1,2\n"),
            Header::Detect,
            Row,
            Place::Line(3),
            "2 columns, but the header has 5",
        ),
        (
            format!("{good}0,1,2,4,cow\n"),
            Header::Absent,
            Label,
            cell(2, "\"animal\""),
            "label \"cow\" is none of the plan's classes",
        ),
        (format!("{good}0,1,2,4,\n"), Header::Absent, Label, cell(2, "\"animal\""), "label \"\""),
        (
            format!("{good}0,x,2,4,cat\n"),
            Header::Absent,
            Value,
            cell(2, "2"),
            "\"x\" is not a number",
        ),
        (
            format!("{named}{good}0,,2,4,cat\n"),
            Header::Detect,
            Value,
            cell(3, "\"b\""),
            "an empty value",
        ),
        (
            format!("{good}0,1,2,nan,cat\n"),
            Header::Absent,
            Value,
            cell(2, "4"),
            "not a finite number",
        ),
        (
            format!("{good}0,1,2,4.5,cat\n"),
            Header::Absent,
            Value,
            cell(2, "4"),
            "pixel value 4.5 is not in 0..=4",
        ),
        (format!("{good}0,1,2,-1,cat\n"), Header::Absent, Value, cell(2, "4"), "-1"),
        (
            good.into(),
            Header::Present,
            Head,
            Place::Line(1),
            "no column named \"animal\" among 0, 1, 2, 4, dog",
        ),
        (
            "a,b,animal\n".into(),
            Header::Detect,
            Head,
            Place::Line(1),
            "2 columns beside the label, the plan's images have 4 pixel values",
        ),
        (
            "a,a,b,c,animal\n".into(),
            Header::Detect,
            Head,
            Place::Line(1),
            "two columns named \"a\"",
        ),
        (named.into(), Header::Absent, Label, cell(1, "\"animal\""), "label \"animal\""),
    ];
    for (text, header, kind, place, problem) in pictures {
        let error = read_csv(text, PICTURES, *header).expect_err(text);
        assert_eq!((error.kind, &error.place), (*kind, place), "{text:?}: {error}");
        assert!(error.problem.contains(problem), "{text:?}: {error}");
        assert!(!error.help.is_empty() && error.to_string().contains("data.csv"), "{error}");
    }
    let table: &[(&str, DataErrorKind, Place, &str)] = &[
        ("age,sex,ill\n", Head, Place::Line(1), "no column named \"pulse\" among age, sex, ill"),
        (
            "age,sex,pulse,ill\n1,x,60,no\n",
            Value,
            cell(2, "\"sex\""),
            "\"x\" is none of the column's values",
        ),
        (
            "age,sex,pulse,ill\n101,f,60,no\n",
            Value,
            cell(2, "\"age\""),
            "101 is not in the plan's 0..=100",
        ),
        ("age,sex,pulse,ill\n1,f,,no\n", Value, cell(2, "\"pulse\""), "an empty value"),
        ("1,f,60\n", Row, Place::Line(1), "3 columns"),
    ];
    for (text, kind, place, problem) in table {
        let error = read_csv(text, TABLE, Header::Detect).expect_err(text);
        assert_eq!((error.kind, &error.place), (*kind, place), "{text:?}: {error}");
        assert!(error.problem.contains(problem), "{text:?}: {error}");
    }
    let error = read_csv(b"0,1,2,4,dog\n\xff,1,2,3,cat\n", PICTURES, Header::Absent);
    let error = error.expect_err("not UTF-8");
    assert_eq!((error.kind, error.place), (Unreadable, Place::Line(2)));
}

#[test]
fn the_message_is_one_for_people() {
    let error = read_csv("0,1,2,4,dog\n0,1,2,4,cow\n", PICTURES, Header::Absent).expect_err("cow");
    let text = error.to_string();
    let (head, help) = text.split_once('\n').expect("two lines");
    assert!(
        head.ends_with(
            "data.csv, line 2, column \"animal\": label \"cow\" is none of the \
                            plan's classes"
        ),
        "{head}"
    );
    assert_eq!(help, "  help: the 2 classes are cat, dog");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_a_remedy() {
    let folder = Folder::new();
    let whole = gzip("0,1,2,4,dog\n".repeat(1000).as_bytes());
    let cut = folder.file("cut.csv.gz", &whole[..whole.len() / 2]);
    let load = |path: &Path| {
        let source = DataSource::Csv { path: path.to_owned(), header: Header::Detect };
        Dataset::load(&source, &data(PICTURES)).expect_err("not readable")
    };
    for (path, help) in [
        (folder.path("missing.csv"), "check the path"),
        (folder.0.path().to_owned(), "not a folder"),
        (cut, "cut off"),
    ] {
        let error = load(&path);
        assert_eq!((error.kind, &error.path), (DataErrorKind::Unreadable, &path), "{error}");
        assert!(error.help.contains(help), "{error}");
    }
}

fn read_idx(images: Vec<u8>, labels: Vec<u8>, section: &str) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    let (images, labels) = (folder.file("images", images), folder.file("labels", labels));
    Dataset::load(&DataSource::Idx { images, labels }, &data(section))
}

#[test]
fn idx_files_are_read_plain_and_compressed() {
    let images = idx(8, &[2, 1, 2, 2], &[0, 1, 2, 4, 4, 4, 4, 4]);
    let labels = idx(8, &[2], &[1, 0]);
    for (images, labels) in
        [(images.clone(), labels.clone()), (gzip(&images), gzip(&labels)), (gzip(&images), labels)]
    {
        let set = read_idx(images, labels, PICTURES).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.labels(), [1, 0]);
        assert_eq!(set.example(0), [0.0, 0.5, 0.25, 1.0]);
    }
}

#[test]
fn every_bad_idx_file_is_refused() {
    use DataErrorKind::{Empty, Label, Shape, TooLarge, Unreadable, Value};
    let good = || idx(8, &[2, 1, 2, 2], &[0, 1, 2, 4, 4, 4, 4, 4]);
    let labels = || idx(8, &[2], &[1, 0]);
    let cut = |bytes: Vec<u8>, end: usize| bytes[..end].to_vec();
    let cases = [
        (cut(good(), 2), labels(), "images", Unreadable, "cannot be read"),
        (cut(good(), 10), labels(), "images", Unreadable, "cannot be read"),
        (cut(good(), 27), labels(), "images", Unreadable, "ends after 7 of 8 bytes"),
        ([good(), vec![1]].concat(), labels(), "images", Unreadable, "more than the 8 bytes"),
        (b"0,1,2,4,dog\n".to_vec(), labels(), "images", Shape, "no IDX file"),
        (idx(0x0d, &[2, 1, 2, 2], &[]), labels(), "images", Shape, "element type 0x0d"),
        (idx(8, &[2, 1, 2, 2, 1], &[]), labels(), "images", Shape, "5 sizes"),
        (idx(8, &[2, 4], &[0; 8]), labels(), "images", Shape, "images have 3 or 4"),
        (idx(8, &[2, 2, 1, 2], &[0; 8]), labels(), "images", Shape, "images of 2 x 1 x 2"),
        (idx(8, &[2, 1, 2], &[0; 4]), labels(), "images", Shape, "images of 1 x 2 x 1"),
        (idx(8, &[0, 1, 2, 2], &[]), idx(8, &[0], &[]), "images", Empty, "no examples"),
        (
            idx(8, &[u32::MAX, 1, 2, 2], &[]),
            idx(8, &[u32::MAX], &[]),
            "images",
            TooLarge,
            "too many",
        ),
        (
            idx(8, &[1 << 16, 1, 2, 2], &[1]),
            idx(8, &[1 << 16], &[1]),
            "labels",
            Unreadable,
            "ends after 1 of 65536",
        ),
        (
            idx(8, &[2, 1, 2, 2], &[0, 1, 2, 4, 4, 4, 4, 5]),
            labels(),
            "images",
            Value,
            "pixel value 5 is not in 0..=4",
        ),
        (good(), idx(8, &[2], &[1, 2]), "labels", Label, "label 2 is out of range"),
        (good(), idx(8, &[3], &[1, 0, 1]), "labels", Shape, "3 labels, but 2 images"),
        (good(), good(), "labels", Shape, "labels have 1"),
    ];
    for (images, labels, file, kind, problem) in cases {
        let error = read_idx(images, labels, PICTURES).expect_err(problem);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.path.ends_with(file), "{error}");
        assert!(error.problem.contains(problem) && !error.help.is_empty(), "{error}");
    }
    let error = read_idx(good(), labels(), TABLE).expect_err("a table");
    assert!(error.problem.contains("the plan asks for a table"), "{error}");
}

proptest! {
    /// Whatever a file holds, reading it ends in a data set or an error.
    #[test]
    fn damaged_files_never_panic(at in 0..40usize, byte: u8, cut in 0..40usize) {
        let mut csv = b"a,b,c,d,animal\n0,1,2,4,dog\n4,3,2,1,cat\n".to_vec();
        let mut images = idx(8, &[2, 1, 2, 2], &[0, 1, 2, 4, 4, 4, 4, 4]);
        for bytes in [&mut csv, &mut images] {
            let place = at % bytes.len();
            bytes[place] = byte;
            bytes.truncate(cut.max(place + 1));
        }
        for outcome in [
            read_csv(csv, PICTURES, Header::Detect),
            read_idx(images, idx(8, &[2], &[1, 0]), PICTURES),
        ] {
            match outcome {
                Ok(set) => prop_assert!(!set.is_empty()),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
