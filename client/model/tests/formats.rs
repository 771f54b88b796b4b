//! Every format that owners keep data in, read exactly; and what a plan can say of their values.

mod files;

use std::fs;

use covey_model::data::{DataSource, Dataset, Format, Header, Parts, Preview, ReadLimits, mock};
use files::{
    Folder, LIMITS, PATIENTS, data, f32s, gzip, i64s, idx, load, npy, patients_parquet, png,
    safetensors,
};
use parquet::basic::{Compression, ZstdLevel};

/// 2x2 pictures in grey of two classes.
const GREY: &str = r#"kind = "image"
height = 2
width = 2
classes = ["cat", "dog"]"#;

const LETTERS: &str = r#"kind = "text"
tokens = "characters"
vocabulary = "ab\n"
unknown = "skip"
context = 3"#;

/// The UCI heart disease files: numbers written in two ways, missing values empty or `?`, and
/// four degrees of illness that count as one.
const HEART: &str = r#"kind = "tabular"
holdout = 0.2
columns = [
  { name = "age", type = "float", min = 20, max = 90 },
  { name = "sex", type = "boolean" },
  { name = "cp", type = "category", values = [1, 2, 3, 4] },
  { name = "trestbps", type = "float", mean = 132, std = 19, missing = "mean", missing_values = ["", "?", "0"] },
  { name = "chol", type = "float", mean = 246, std = 59, missing = "indicator", missing_values = ["", "?", "0"] },
  { name = "fbs", type = "boolean", missing = "indicator" },
  { name = "restecg", type = "category", values = [0, 1, 2], missing = { value = 0 } },
  { name = "thalach", type = "float", mean = 138, std = 26, missing = "mean" },
  { name = "exang", type = "boolean", missing = { value = false, indicator = true } },
  { name = "oldpeak", type = "float", min = -3, max = 7, missing = { value = 0 } },
  { name = "slope", type = "category", values = [1, 2, 3], missing = "indicator" },
  { name = "ca", type = "integer", min = 0, max = 9, outside = "clamp", missing = "indicator" },
  { name = "thal", type = "category", values = [3, 6, 7], missing = "indicator" },
]
target = { column = "target", classes = [{ name = "healthy", values = [0] }, { name = "ill", values = [1, 2, 3, 4] }] }"#;

const HEART_HEADER: &str =
    "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,target";

fn csv(text: &str, section: &str) -> Dataset {
    let folder = Folder::new();
    let path = folder.file("data.csv", text);
    let source = DataSource::Csv { path, header: Header::Detect };
    load(&source, section).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn semicolons_and_tabs_separate_as_commas_do() {
    let comma = csv("age,sex,visits,smoker,ill\n50,m,4,yes,1\n", PATIENTS);
    assert_eq!(comma.example(0), [0.5, 0.0, 0.0, 1.0, 1.0, 1.0]);
    for separator in [";", "\t"] {
        let text = "age,sex,visits,smoker,ill\n50,m,4,yes,1\n".replace(',', separator);
        assert!(csv(&text, PATIENTS) == comma, "{separator:?}");
    }
}

#[test]
fn parquet_is_read_with_every_codec_and_its_missing_values() {
    let folder = Folder::new();
    for compression in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())]
    {
        let path = folder.file("data.parquet", patients_parquet(compression));
        let set = load(&DataSource::Parquet { path }, PATIENTS);
        let set = set.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.labels(), [1, 0, 0]);
        assert_eq!(set.example(0), [0.5, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(set.example(1), [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(set.example(2), [0.25, 0.0, 1.0, 0.0, 0.5, 0.0]);
    }
}

#[test]
fn a_folder_of_pictures_is_read_by_class_and_name() {
    let folder = Folder::new();
    folder.file("pictures/dog/b.png", png(2, 2, &[0, 51, 102, 255]));
    folder.file("pictures/cat/z.PNG", png(2, 2, &[255, 0, 0, 0]));
    folder.file("pictures/cat/.hidden", "not a picture");
    let source = DataSource::Images { folder: folder.path("pictures") };
    let set = load(&source, GREY).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.labels(), [0, 1]);
    assert_eq!(set.example(1), [0.0, 0.2, 0.4, 1.0]);

    folder.file("pictures/dog/c.png", png(4, 4, &[255; 48]));
    assert!(load(&source, GREY).is_err(), "another size and colours");
    let lenient = format!("{GREY}\nresize = true\nconvert = true");
    let set = load(&source, &lenient).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.example(2), [1.0; 4]);
}

#[test]
fn a_jpeg_is_decoded_to_about_its_colours() {
    let folder = Folder::new();
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100)
        .encode(&[200; 4], 2, 2, image::ExtendedColorType::L8)
        .expect("encoded");
    folder.file("p/cat/a.jpg", jpeg);
    let set = load(&DataSource::Images { folder: folder.path("p") }, GREY);
    let set = set.unwrap_or_else(|error| panic!("{error}"));
    assert!(set.example(0).iter().all(|value| (value * 255.0 - 200.0).abs() < 4.0));
}

#[test]
fn arrays_of_numpy_and_safetensors_hold_the_same_data() {
    let folder = Folder::new();
    let pixels = [0, 51, 102, 255, 255, 255, 255, 255];
    let numbers: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel as u8)).collect();
    let labels = i64s(&[1, 0]);
    let expected = {
        let images = folder.file("images", idx(8, &[2, 2, 2], &pixels.map(|pixel| pixel as u8)));
        let labels = folder.file("labels", idx(8, &[2], &[1, 0]));
        load(&DataSource::Idx { images, labels }, GREY).expect("IDX")
    };
    let label_file = folder.file("labels.npy", npy("<i8", "(2,)", &labels));
    for (descr, shape, elements) in [
        ("|u1", "(2, 2, 2)", pixels.map(|pixel| pixel as u8).to_vec()),
        ("<f4", "(2, 2, 2, 1)", f32s(&numbers)),
        ("<i8", "(2, 4)", i64s(&pixels)),
    ] {
        for bytes in [npy(descr, shape, &elements), gzip(&npy(descr, shape, &elements))] {
            let features = folder.file("features.npy", bytes);
            let source = DataSource::Npy { features, labels: label_file.clone() };
            let set = load(&source, GREY).unwrap_or_else(|error| panic!("{error}"));
            assert!(set == expected, "{descr} {shape}");
        }
    }
    let header = r#"{"other":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},
        "features":{"dtype":"F32","shape":[2,2,2],"data_offsets":[0,32]},
        "labels":{"dtype":"I64","shape":[2],"data_offsets":[32,48]}}"#;
    let bytes = safetensors(header, &[f32s(&numbers), labels].concat());
    let source = DataSource::Safetensors { path: folder.file("data.safetensors", bytes) };
    let set = load(&source, GREY).unwrap_or_else(|error| panic!("{error}"));
    assert!(set == expected);
}

#[test]
fn arrays_of_a_table_follow_the_plans_columns_and_scale_the_target() {
    let section = r#"kind = "tabular"
columns = [
  { name = "a", type = "float", mean = 10, std = 5, missing = "mean" },
  { name = "b", type = "category", values = [1, 2], unknown = "other" },
]
target = { column = "y", type = "float", min = 0, max = 200 }"#;
    let folder = Folder::new();
    let features = f32s(&[20.0, 2.0, f32::NAN, 7.0]);
    let source = DataSource::Npy {
        features: folder.file("x.npy", npy("<f4", "(2, 2)", &features)),
        labels: folder.file("y.npy", npy("<f4", "(2, 1)", &f32s(&[50.0, 100.0]))),
    };
    let set = load(&source, section).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.example(0), [2.0, 0.0, 1.0, 0.0]);
    assert_eq!(set.example(1), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!((set.values(), set.classes()), (&[0.25, 0.5][..], 0));
}

#[test]
fn text_becomes_windows_of_the_plans_tokens() {
    let folder = Folder::new();
    let path = folder.file("t.txt", "\u{feff}abXba\nab");
    let source = DataSource::Text { path };
    let set = load(&source, LETTERS).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((set.len(), set.features()), (2, 3));
    assert_eq!((set.window(0), set.window(1)), (&[0, 1, 1, 0][..], &[0, 2, 0, 1][..]));
    let token = LETTERS.replace("skip", "token").replace("context = 3", "context = 4\nstride = 2");
    let set = load(&source, &token).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((set.window(0), set.window(1)), (&[0, 1, 3, 1, 0][..], &[3, 1, 0, 2, 0][..]));
    let bytes = "kind = \"text\"\ntokens = \"bytes\"\ncontext = 9";
    let set = load(&source, bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.window(0)[..5], [0xef, 0xbb, 0xbf, 97, 98]);
}

#[test]
fn windows_of_a_text_never_lie_on_both_sides_of_a_holdout() {
    let folder = Folder::new();
    let path = folder.file("t.txt", "ab\n".repeat(4000));
    let section = format!("{LETTERS}\nstride = 1\nholdout = 0.3");
    let parts = Parts::load(&DataSource::Text { path }, &data(&section), 1, LIMITS);
    let parts = parts.unwrap_or_else(|error| panic!("{error}"));
    let holdout = parts.holdout.expect("a holdout");
    let starts = |set: &Dataset| match set.inputs() {
        covey_model::data::Inputs::Windows { starts, .. } => starts.clone(),
        covey_model::data::Inputs::Rows { .. } => panic!("not a text"),
    };
    let kept: std::collections::BTreeSet<usize> =
        starts(&holdout).iter().flat_map(|start| *start..=start + 3).collect();
    let trained = starts(&parts.training);
    assert!(trained.iter().all(|start| (*start..=start + 3).all(|token| !kept.contains(&token))));
    let share = holdout.len() as f64 / (holdout.len() + trained.len()) as f64;
    assert!((0.2..0.4).contains(&share), "{share}");
}

#[test]
fn rows_keep_their_side_of_the_holdout_when_others_are_appended() {
    let section = "kind = \"tabular\"\nholdout = 0.25\n\
                   columns = [{ name = \"x\", type = \"float\", min = 0, max = 1000 }]\n\
                   target = { column = \"y\", classes = 2 }";
    let folder = Folder::new();
    let parts = |rows: usize| {
        let lines: Vec<String> = (0..rows).map(|row| format!("{row},{}\n", row % 2)).collect();
        let path = folder.file("data.csv", format!("x,y\n{}", lines.concat()));
        let source = DataSource::Csv { path, header: Header::Detect };
        Parts::load(&source, &data(section), 9, LIMITS).unwrap_or_else(|error| panic!("{error}"))
    };
    let (before, after) = (parts(400), parts(600));
    let (before, after) = (before.holdout.expect("some"), after.holdout.expect("some"));
    assert_eq!(before, after.subset(&(0..before.len()).collect::<Vec<_>>()));
    assert!((70..130).contains(&before.len()), "{}", before.len());
    let strict = section.replace("holdout = 0.25", "holdout = 0.25\nmin_rows = 400");
    let source = DataSource::Csv { path: folder.path("data.csv"), header: Header::Detect };
    let many = Parts::load(&source, &data(&strict), 9, LIMITS);
    assert!(many.is_ok());
    let strict = strict.replace("400", "500");
    let error = Parts::load(&source, &data(&strict), 9, LIMITS).expect_err("too few");
    assert!(error.problem.contains("the plan asks for 500 to train on"), "{error}");
}

#[test]
fn the_four_ways_of_a_hospital_to_write_a_row_are_read_alike() {
    let text = format!(
        "{HEART_HEADER}\n63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n\
         28,1,2,?,0,?,2,,,0,?,?,?,3\n34,1,4,115,0,,,154,0,.2,1,,,1\n63,0,4,140,260,0,1,112,1,3,2,,,2\n"
    );
    let set = csv(&text, HEART);
    assert_eq!((set.len(), set.features()), (4, 28));
    assert_eq!(set.labels(), [0, 1, 1, 1]);
    let row = set.example(1);
    // age, sex, cp (4), trestbps: mean; chol: zero and an indicator; fbs: zero and an indicator.
    assert_eq!(row[1..11], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    assert!(set.example(0)[9..11] == [1.0, 0.0] && set.example(0)[8].to_bits() == 0);
}

/// The whole of the hospitals' files.
#[test]
#[ignore = "needs the UCI heart disease files; COVEY_HEART_DISEASE names their folder"]
fn the_heart_disease_files_fit_their_plan() {
    let folder =
        std::env::var_os("COVEY_HEART_DISEASE").expect("COVEY_HEART_DISEASE names a folder");
    for (name, rows) in [("cleveland", 303), ("hungarian", 294), ("switzerland", 123), ("va", 200)]
    {
        let path = std::path::Path::new(&folder).join(format!("processed.{name}.data"));
        let source = DataSource::Csv { path, header: Header::Detect };
        let set = load(&source, HEART).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((set.len(), set.features(), set.classes()), (rows, 28, 2), "{name}");
    }
}

#[test]
fn a_file_beyond_the_owners_memory_is_refused_and_one_within_is_read() {
    let folder = Folder::new();
    let line = "50,m,4,yes,1\n";
    let path = folder.file("data.csv", format!("age,sex,visits,smoker,ill\n{}", line.repeat(100)));
    let source = DataSource::Csv { path, header: Header::Detect };
    // Six numbers and a label of four bytes each.
    let within = |rows: u64| ReadLimits { dataset_bytes_max: rows * 28 };
    assert!(Dataset::load_within(&source, &data(PATIENTS), within(100)).is_ok());
    let error = Dataset::load_within(&source, &data(PATIENTS), within(99)).expect_err("too many");
    assert!(error.problem.contains("100 examples of 6 numbers are too many"), "{error}");
    assert!(error.help.contains("dataset_bytes_max"), "{error}");
}

#[test]
fn formats_are_told_by_the_bytes_and_the_name() {
    let folder = Folder::new();
    let labels = folder.file("labels", idx(8, &[1], &[1]));
    folder.file("p/cat/a.png", "");
    for (name, bytes, labels, expected) in [
        ("a", patients_parquet(Compression::SNAPPY), None, Format::Parquet),
        ("a.npy", npy("<f4", "(1,)", &f32s(&[1.0])), Some(&labels), Format::Npy),
        ("images", gzip(&idx(8, &[1, 1, 1], &[1])), Some(&labels), Format::Idx),
        ("a.csv.gz", gzip(b"a,b\n"), None, Format::Csv),
        ("A.TSV", b"a\tb\n".to_vec(), None, Format::Csv),
        ("a.safetensors", safetensors("{}", &[]), None, Format::Safetensors),
        ("a.txt", b"text".to_vec(), None, Format::Text),
    ] {
        let path = folder.file(name, bytes);
        let source = DataSource::at(&path, labels.map(|path| path.as_path()), None);
        assert_eq!(source.map(|source| source.format()), Ok(expected), "{name}");
    }
    let pictures = DataSource::at(&folder.path("p"), None, None);
    assert_eq!(pictures.map(|source| source.format()), Ok(Format::Images));
    let error = DataSource::at(&folder.file("x.bin", "??"), None, None).expect_err("unknown");
    assert!(error.help.contains("--format"), "{error}");
    let error = DataSource::at(&folder.file("y.npy", ""), None, None).expect_err("no labels");
    assert!(error.help.contains("--labels"), "{error}");
}

#[test]
fn mock_data_of_every_form_fit_their_plan_and_repeat_by_seed() {
    let folder = Folder::new();
    let pictures = GREY.replace("width = 2", "width = 3\nchannels = 3\npixel_max = 4");
    let number = "kind = \"tabular\"\ncolumns = [{ name = \"x, y\", type = \"integer\", mean = 3, std = 0.1 }]\n\
                  target = { column = \"z\", type = \"float\" }";
    let text = format!("{LETTERS}\nholdout = 0.2\nmin_rows = 10");
    for (name, section) in
        [("h.csv", HEART), ("p.csv", &pictures), ("n.csv", number), ("t.txt", &text)]
    {
        let (path, again) = (folder.path(name), folder.path("again"));
        for (path, seed) in [(&path, 7), (&again, 7)] {
            mock::write(path, &data(section), 50, seed).expect("written");
        }
        let bytes = fs::read(&path).expect("read");
        assert_eq!(bytes, fs::read(&again).expect("read"));
        mock::write(&again, &data(section), 50, 8).expect("written");
        assert_ne!(bytes, fs::read(&again).expect("read"));
        let source = DataSource::at(&path, None, None).expect("a source");
        let parts = Parts::load(&source, &data(section), 1, LIMITS);
        let parts = parts.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(parts.training.len() + parts.holdout.map_or(0, |set| set.len()) >= 50, "{name}");
    }
}

/// Of every form: what tells classes apart is the same in two parts of a seed, and nowhere else.
#[test]
fn mock_data_that_can_be_learnt_have_their_classes_in_common() {
    let folder = Folder::new();
    let section = GREY.replace("width = 2", "width = 9");
    let means = |seed, part| {
        let path = folder.path("mock.csv");
        mock::write_learnable(&path, &data(&section), 2000, (seed, part)).expect("written");
        let text = fs::read_to_string(&path).expect("read");
        let mut sums = std::collections::BTreeMap::<String, (Vec<f64>, f64)>::new();
        for line in text.lines().skip(1) {
            let (pixels, label) = line.rsplit_once(',').expect("a label");
            let pixels = pixels.split(',').map(|pixel| pixel.parse::<f64>().expect("a number"));
            let (sum, count) = sums.entry(label.to_owned()).or_default();
            sum.resize(pixels.clone().count(), 0.0);
            sum.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += pixel);
            *count += 1.0;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| sum.iter().map(|sum| sum / count).collect();
        sums.into_values().map(mean).collect::<Vec<Vec<f64>>>()
    };
    let apart = |one: &[f64], other: &[f64]| {
        one.iter().zip(other).map(|(a, b)| (a - b).abs()).sum::<f64>() / one.len() as f64
    };
    let (here, there, other) = (means(7, 0), means(7, 1), means(8, 0));
    let classes = apart(&here[0], &here[1]);
    assert!(3.0 * apart(&here[0], &there[0]) < classes, "{here:?} {there:?}");
    assert!(apart(&here[0], &other[0]) > classes / 3.0, "{here:?} {other:?}");
    assert_eq!(here, means(7, 0));
    let number = "kind = \"tabular\"\ncolumns = [{ name = \"x\", type = \"integer\", mean = 3, std = 0.1 }]\n\
                  target = { column = \"z\", type = \"float\" }";
    for (name, section) in [("h.csv", HEART), ("n.csv", number), ("t.txt", LETTERS)] {
        let path = folder.path(name);
        mock::write_learnable(&path, &data(section), 50, (7, 0)).expect("written");
        let source = DataSource::at(&path, None, None).expect("a source");
        Parts::load(&source, &data(section), 1, LIMITS)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn the_section_of_a_preview_reads_the_data_it_was_made_from() {
    let folder = Folder::new();
    let table = folder.path("heart.csv");
    mock::write(&table, &data(HEART), 200, 3).expect("written");
    let text = folder.file("t.txt", "say \"hi\"\\\n\t\u{7f}é".repeat(20));
    folder.file("p/cat/a.png", png(2, 1, &[1, 2, 3, 4, 5, 6]));
    folder.file("p/a \"dog\"/a.png", png(2, 1, &[1, 2, 3, 4, 5, 6]));
    let parquet = folder.file("a.parquet", patients_parquet(Compression::SNAPPY));
    let labels = folder.file("y.npy", npy("<i8", "(2,)", &i64s(&[1, 0])));
    let features = folder.file("x.npy", npy("<f4", "(2, 2)", &f32s(&[1.5, 2.0, 3.0, 4.5])));
    let images = folder.file("i", idx(8, &[2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 255]));
    let digits = folder.file("l", idx(8, &[2], &[1, 0]));
    for source in [
        DataSource::Csv { path: table, header: Header::Detect },
        DataSource::Text { path: text },
        DataSource::Images { folder: folder.path("p") },
        DataSource::Parquet { path: parquet },
        DataSource::Npy { features, labels },
        DataSource::Idx { images, labels: digits },
    ] {
        let preview = Preview::of(&source).unwrap_or_else(|error| panic!("{error}"));
        let section = preview.section.strip_prefix("[data]\n").expect("a section");
        let set = load(&source, section).unwrap_or_else(|error| panic!("{section}\n{error}"));
        assert!(!set.is_empty() && !preview.to_string().is_empty());
    }
}
