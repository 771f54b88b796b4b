//! Files that are refused: each with its own kind, its place, what is wrong and what to do. And
//! whatever a file holds, no reader panics or takes memory for what it only claims.

mod files;

use std::path::Path;

use covey_model::data::{
    DataError, DataErrorKind as Kind, DataSource, Dataset, Format, Header, Preview,
};
use files::{
    Folder, LIMITS, PATIENTS, PATIENTS_SCHEMA, column, data, f32s, gzip, i64s, idx, load, npy,
    npy_of_header, parquet, patients_parquet, png, safetensors,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type,
};
use proptest::prelude::*;

const TABLE: &str = r#"kind = "tabular"
columns = [
  { name = "age", type = "float", min = 0, max = 100 },
  { name = "sex", type = "category", values = ["f", "m"] },
  { name = "visits", type = "integer", min = 0, max = 9 },
  { name = "smoker", type = "boolean" },
]
target = { column = "ill", classes = ["no", "yes"] }"#;

const REGRESSION: &str = r#"kind = "tabular"
columns = [{ name = "x", type = "float", min = 0, max = 1, outside = "clamp" }]
target = { column = "y", type = "float", min = 0, max = 10 }"#;

const GREY: &str = "kind = \"image\"\nheight = 2\nwidth = 2\nclasses = [\"cat\", \"dog\"]";

const LETTERS: &str = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"ab\\n\"\n\
                       unknown = \"refuse\"\ncontext = 3";

/// What it is, its path, its bytes, the error, and what the message holds.
type BadFile<'a> = (&'static str, &'a str, Vec<u8>, Kind, &'a [&'static str]);

/// One bad file and its error: the section, the kind, and what the message holds.
struct Case {
    what: &'static str,
    error: DataError,
    kind: Kind,
    parts: Vec<&'static str>,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    /// Notes how reading `source` fails.
    #[track_caller]
    fn add(
        &mut self,
        what: &'static str,
        section: &str,
        source: &DataSource,
        kind: Kind,
        parts: &[&'static str],
    ) {
        let error = load(source, section).expect_err(what);
        self.0.push(Case { what, error, kind, parts: parts.to_vec() });
    }

    /// Every error has its kind and parts, a remedy, and a text of its own.
    fn check(self, fewest: usize) {
        assert!(self.0.len() >= fewest, "{} cases", self.0.len());
        let mut texts = std::collections::BTreeMap::new();
        for Case { what, error, kind, parts } in self.0 {
            assert_eq!(error.kind, kind, "{what}: {error}");
            let text = error.to_string();
            for part in parts {
                assert!(text.contains(part), "{what}: {text}\nexpected {part:?}");
            }
            let file = error.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            assert!(!error.help.is_empty() && text.contains(&file), "{what}: {text}");
            if let Some(other) = texts.insert((error.problem, error.place.to_string(), file), what)
            {
                panic!("{what} and {other} have one message");
            }
        }
    }
}

fn csv(folder: &Folder, bytes: impl AsRef<[u8]>) -> DataSource {
    DataSource::Csv { path: folder.file("data.csv", bytes), header: Header::Detect }
}

#[test]
fn every_bad_text_table_is_refused() {
    use Kind::{Empty, Header, Label, Row, TooLarge, Unreadable, Value};
    let (folder, mut cases) = (Folder::new(), Cases::default());
    let good = "age,sex,visits,smoker,ill\n50,m,4,yes,yes\n";
    let row = |row: &str| format!("{good}{row}\n");
    for (what, text, kind, parts) in [
        ("empty", String::new(), Empty, &["no examples"][..]),
        (
            "a number that is none",
            row("x,m,4,1,no"),
            Value,
            &["line 3, column \"age\"", "\"x\" is not a number"],
        ),
        (
            "a comma in a number",
            row("\"1,5\",m,4,1,no"),
            Value,
            &["\"1,5\" is not a number", "a point and not a comma"],
        ),
        ("an infinite number", row("inf,m,4,1,no"), Value, &["\"inf\" is not a finite number"]),
        ("a huge number", row("1e999,m,4,1,no"), Value, &["not a finite number", "column \"age\""]),
        (
            "beyond the bounds",
            row("101,m,4,1,no"),
            Value,
            &["101 is not in the plan's 0..=100", "clamp"],
        ),
        (
            "missing and refused",
            row("?,m,4,1,no"),
            Value,
            &["\"?\" counts as missing", "`missing = `"],
        ),
        ("empty and refused", row(",m,4,1,no"), Value, &["an empty value"]),
        (
            "no whole number",
            row("1,m,4.5,1,no"),
            Value,
            &["4.5 is not a whole number", "type = \"float\""],
        ),
        (
            "an unknown category",
            row("1,x,4,1,no"),
            Value,
            &["\"x\" is none of the column's values", "f, m"],
        ),
        ("neither yes nor no", row("1,m,4,2,no"), Value, &["2\" is neither yes nor no", "true"]),
        ("an unknown class", row("1,m,4,1,perhaps"), Label, &["label \"perhaps\"", "no, yes"]),
        ("an empty label", row("1,m,4,1,"), Label, &["label \"\" is none"]),
        ("a short row", row("1,m,4,no"), Row, &["line 3", "4 columns, but the header has 5"]),
        ("a long row", row("1,m,4,1,no,no"), Row, &["6 columns, but the header has 5"]),
        (
            "a missing column",
            good.replace("visits", "visit"),
            Header,
            &["no column named \"visits\" among age, sex, visit"],
        ),
        ("a column twice", good.replace("sex", "age"), Header, &["two columns named \"age\""]),
        ("a quote never closed", row("1,m,4,1,\"no\n1,m"), Label, &["label \"no\\n1,m\""]),
    ] {
        cases.add(what, TABLE, &csv(&folder, text), kind, parts);
    }
    let latin = [good.as_bytes(), b"50,\xe9,4,1,no\n"].concat();
    cases.add("not UTF-8", TABLE, &csv(&folder, latin), Unreadable, &["line 3", "not UTF-8"]);
    let whole = gzip(good.repeat(100).as_bytes());
    cases.add(
        "a cut archive",
        TABLE,
        &csv(&folder, &whole[..40]),
        Unreadable,
        &["cannot be read", "cut off"],
    );
    let bomb =
        gzip(&[b"age,sex,visits,smoker,ill\n".to_vec(), b"1,m,4,1,no\n".repeat(1 << 20)].concat());
    assert!(bomb.len() < 128 << 10, "{}", bomb.len());
    cases.add(
        "a decompression bomb",
        TABLE,
        &csv(&folder, bomb),
        TooLarge,
        &["are too many: more than 16777216 bytes"],
    );
    let line = gzip(&vec![b'1'; 80 << 20]);
    cases.add(
        "a line without end",
        TABLE,
        &csv(&folder, line),
        TooLarge,
        &["line 1", "a line of more than 67108864 bytes"],
    );
    let nowhere = DataSource::Csv {
        path: folder.path("none.csv"),
        header: covey_model::data::Header::Detect,
    };
    cases.add("no file", TABLE, &nowhere, Unreadable, &["none.csv", "check the path"]);
    for (what, text, parts) in [
        (
            "a number to predict that is none",
            "x,y\n0.5,high\n",
            &["column \"y\"", "\"high\" is not a number"][..],
        ),
        ("a number to predict that is missing", "x,y\n0.5,\n", &["an empty target"]),
        (
            "a number to predict beyond the bounds",
            "x,y\n0.5,11\n",
            &["11 is not in the plan's 0..=10"],
        ),
    ] {
        cases.add(what, REGRESSION, &csv(&folder, text), Label, parts);
    }
    cases.add(
        "a table for a text plan",
        LETTERS,
        &csv(&folder, good),
        Kind::Shape,
        &["a table, the plan asks for running text"],
    );
    cases.check(27);
}

#[test]
fn every_bad_parquet_file_is_refused() {
    use Kind::{Empty, Header, Label, Shape, TooLarge, Unreadable, Value};
    let (folder, mut cases) = (Folder::new(), Cases::default());
    let file = |bytes: &[u8]| DataSource::Parquet { path: folder.file("data.parquet", bytes) };
    let good = patients_parquet(Compression::SNAPPY);
    let patients = |age: f64, word: &'static [u8], ill: i64| {
        parquet(PATIENTS_SCHEMA, Compression::UNCOMPRESSED, |group| {
            column::<DoubleType>(group, &[age], Some(&[1]));
            column::<ByteArrayType>(group, &[ByteArray::from(word)], None);
            column::<Int32Type>(group, &[1], None);
            column::<BoolType>(group, &[true], None);
            column::<Int64Type>(group, &[ill], None);
        })
    };
    let one = |schema: &str,
               write: &dyn Fn(
        &mut parquet::file::writer::SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    )| { parquet(schema, Compression::UNCOMPRESSED, |group| write(group)) };
    let simple = "kind = \"tabular\"\ncolumns = [{ name = \"x\", type = \"float\", min = 0, max = 1 }]\n\
                  target = { column = \"y\", classes = 2 }";
    for (what, bytes, kind, parts) in [
        ("empty", Vec::new(), Unreadable, &["cannot be read"][..]),
        ("another format", b"age,sex\n1,m\n".to_vec(), Shape, &["this is no Parquet file", "PAR1"]),
        ("cut off", good[..good.len() - 9].to_vec(), Unreadable, &["cannot be read"]),
        (
            "a footer of nonsense",
            [&good[..good.len() - 40], &[0xff; 28], &good[good.len() - 12..]].concat(),
            Unreadable,
            &["data.parquet"],
        ),
        (
            "not a number",
            patients(f64::INFINITY, b"m", 1),
            Value,
            &["row 1, column \"age\"", "inf is not a finite number"],
        ),
        (
            "an unknown category",
            patients(1.0, b"x", 1),
            Value,
            &["row 1, column \"sex\"", "\"x\" is none"],
        ),
        (
            "an unknown class",
            patients(1.0, b"m", 7),
            Label,
            &["row 1, column \"ill\"", "label \"7\"", "0, 1, 2"],
        ),
        ("not UTF-8", patients(1.0, b"\xff\xfe", 1), Unreadable, &["column \"sex\"", "not UTF-8"]),
    ] {
        cases.add(what, PATIENTS, &file(&bytes), kind, parts);
    }
    let other =
        one("message m { required int32 age; }", &|group| column::<Int32Type>(group, &[1], None));
    cases.add(
        "a missing column",
        PATIENTS,
        &file(&other),
        Header,
        &["no column named \"ill\" among age"],
    );
    let none = one("message m { required int32 x; required int32 y; }", &|group| {
        column::<Int32Type>(group, &[], None);
        column::<Int32Type>(group, &[], None);
    });
    cases.add("no rows", simple, &file(&none), Empty, &["no examples"]);
    let nested =
        one("message m { required group x { required int32 z; } required int32 y; }", &|group| {
            column::<Int32Type>(group, &[1], None);
            column::<Int32Type>(group, &[1], None);
        });
    cases.add("nested", simple, &file(&nested), Shape, &["column \"x\"", "a nested column"]);
    let date = one("message m { required int32 x (date); required int32 y; }", &|group| {
        column::<Int32Type>(group, &[1], None);
        column::<Int32Type>(group, &[1], None);
    });
    cases.add("dates", simple, &file(&date), Shape, &["dates and times cannot be read"]);
    let fixed =
        one("message m { required fixed_len_byte_array(2) x; required int32 y; }", &|group| {
            let bytes = FixedLenByteArray::from(ByteArray::from(vec![1, 2]));
            column::<FixedLenByteArrayType>(group, &[bytes], None);
            column::<Int32Type>(group, &[1], None);
        });
    cases.add("bytes", simple, &file(&fixed), Shape, &["values of type FIXED_LEN_BYTE_ARRAY"]);
    let many = parquet(
        "message m { required int32 x; required int32 y; }",
        Compression::ZSTD(ZstdLevel::default()),
        |group| {
            let zeros = vec![0; 3 << 20];
            column::<Int32Type>(group, &zeros, None);
            column::<Int32Type>(group, &zeros, None);
        },
    );
    assert!(many.len() < 64 << 10, "{}", many.len());
    cases.add(
        "a decompression bomb",
        simple,
        &file(&many),
        TooLarge,
        &["3145728 examples of 1 numbers are too many"],
    );
    cases.check(14);
}

#[test]
fn every_bad_folder_of_pictures_is_refused() {
    use Kind::{Empty, Label, Shape, TooLarge, Unreadable, Value};
    let mut cases = Cases::default();
    let good = png(2, 2, &[0, 1, 2, 3]);
    let claims = |side: u32, color: u8| {
        // The header of a PNG: its sizes from the 16th byte, its checksum from the 29th.
        let mut png = good.clone();
        png[16..20].copy_from_slice(&side.to_be_bytes());
        png[20..24].copy_from_slice(&side.to_be_bytes());
        png[25] = color;
        let mut checksum = flate2::Crc::new();
        checksum.update(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
        png
    };
    let wide = png(16_000, 1, &vec![0; 16_000]);
    let files: [BadFile<'_>; 11] = [
        (
            "a class that the plan does not know",
            "cow/a.png",
            good.clone(),
            Label,
            &["cow", "none of the plan's classes", "cat, dog"],
        ),
        (
            "a file beside the classes",
            "a.png",
            good.clone(),
            Shape,
            &["a.png", "where class folders are expected"],
        ),
        (
            "another kind of file",
            "cat/a.gif",
            good.clone(),
            Shape,
            &["a.gif", "neither a .png nor"],
        ),
        (
            "a folder in a class",
            "cat/more/a.png",
            good.clone(),
            Shape,
            &["more", "neither a .png nor"],
        ),
        (
            "no picture inside",
            "cat/a.png",
            b"hello".to_vec(),
            Unreadable,
            &["a.png", "neither PNG nor JPEG inside"],
        ),
        (
            "cut off",
            "cat/b.png",
            good[..good.len() - 20].to_vec(),
            Unreadable,
            &["b.png", "cannot be decoded"],
        ),
        (
            "a picture that claims to be huge",
            "cat/c.png",
            claims(60_000, 0),
            TooLarge,
            &["c.png", "too large a picture"],
        ),
        (
            "a picture of three quarters of a gigabyte",
            "cat/g.png",
            claims(16_384, 2),
            TooLarge,
            &["g.png", "too large a picture"],
        ),
        (
            "another size",
            "cat/d.png",
            wide,
            Shape,
            &["1 x 16000 pixels, the plan asks for 2 x 2", "resize = true"],
        ),
        (
            "colours",
            "cat/e.png",
            png(2, 2, &[0; 12]),
            Shape,
            &["colours Rgb8, the plan asks for 1", "convert = true"],
        ),
        (
            "a GIF named PNG",
            "cat/f.png",
            b"GIF89a\x01\0\x01\0".to_vec(),
            Unreadable,
            &["f.png", "neither PNG nor JPEG"],
        ),
    ];
    for (what, name, bytes, kind, parts) in files {
        let folder = Folder::new();
        folder.file(&format!("p/{name}"), bytes);
        cases.add(what, GREY, &DataSource::Images { folder: folder.path("p") }, kind, parts);
    }
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("empty/cat")).expect("made");
    cases.add(
        "no pictures",
        GREY,
        &DataSource::Images { folder: folder.path("empty") },
        Empty,
        &["no examples"],
    );
    cases.add(
        "no folder",
        GREY,
        &DataSource::Images { folder: folder.path("nowhere") },
        Unreadable,
        &["nowhere", "check the path"],
    );
    folder.file("p/cat/a.png", png(2, 2, &[0, 1, 2, 30]));
    let dim = format!("{GREY}\npixel_max = 16");
    cases.add(
        "too bright",
        &dim,
        &DataSource::Images { folder: folder.path("p") },
        Value,
        &["pixel value 30 is not in 0..=16"],
    );
    cases.add(
        "a folder for a table",
        TABLE,
        &DataSource::Images { folder: folder.path("p") },
        Shape,
        &["a folder of pictures, the plan asks for something else"],
    );
    cases.check(14);
}

#[test]
fn every_bad_array_is_refused() {
    use Kind::{Empty, Header, Label, Shape, TooLarge, Unreadable, Value};
    let (folder, mut cases) = (Folder::new(), Cases::default());
    let pair = |features: &[u8], labels: &[u8]| DataSource::Npy {
        features: folder.file("x.npy", features),
        labels: folder.file("y.npy", labels),
    };
    let pixels = npy("|u1", "(2, 2, 2)", &[0; 8]);
    let labels = npy("<i8", "(2,)", &i64s(&[0, 1]));
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2, 2), }";
    for (what, features, labels, kind, parts) in [
        (
            "wrong magic",
            b"NUMPY....".to_vec(),
            labels.clone(),
            Shape,
            &["x.npy", "this is no .npy file"][..],
        ),
        (
            "another version",
            b"\x93NUMPY\x09\x00\x00\x00".to_vec(),
            labels.clone(),
            Shape,
            &["version 9"],
        ),
        (
            "a header cut off",
            pixels[..20].to_vec(),
            labels.clone(),
            Unreadable,
            &["cannot be read"],
        ),
        (
            "a header of nonsense",
            npy_of_header("[1, 2]", &[]),
            labels.clone(),
            Shape,
            &["a header that cannot be read"],
        ),
        (
            "a header of a gigabyte",
            b"\x93NUMPY\x02\x00\x00\x00\x00\x40".to_vec(),
            labels.clone(),
            TooLarge,
            &["a header of 1073741824 bytes"],
        ),
        (
            "another type",
            npy("<c8", "(2, 2, 2)", &[]),
            labels.clone(),
            Shape,
            &["elements of type \"<c8\"", "f32"],
        ),
        (
            "big-endian",
            npy(">f4", "(2, 2, 2)", &[]),
            labels.clone(),
            Shape,
            &["\">f4\"", "little-endian"],
        ),
        (
            "Fortran order",
            npy_of_header(header, &[0; 32]),
            labels.clone(),
            Shape,
            &["Fortran order", "ascontiguousarray"],
        ),
        (
            "another shape",
            npy("|u1", "(2, 3, 2)", &[0; 12]),
            labels.clone(),
            Shape,
            &["shape [2, 3, 2], the plan asks for [n, 2, 2, 1] or [n, 4] or [n, 2, 2]"],
        ),
        ("no shape", npy("|u1", "()", &[0]), labels.clone(), Shape, &["shape []"]),
        (
            "no examples",
            npy("|u1", "(0, 2, 2)", &[]),
            npy("<i8", "(0,)", &[]),
            Empty,
            &["no examples"],
        ),
        (
            "elements cut off",
            pixels[..pixels.len() - 1].to_vec(),
            labels.clone(),
            Unreadable,
            &["ends within example 2 of 2"],
        ),
        (
            "elements left over",
            [pixels.clone(), vec![0]].concat(),
            labels.clone(),
            Unreadable,
            &["more bytes than the header announces"],
        ),
        (
            "too few labels",
            pixels.clone(),
            npy("<i8", "(1,)", &i64s(&[0])),
            Shape,
            &["y.npy", "1 labels, but 2 examples"],
        ),
        (
            "labels of two sizes",
            pixels.clone(),
            npy("<i8", "(2, 2)", &i64s(&[0; 4])),
            Shape,
            &["labels of shape [2, 2], expected [2]"],
        ),
        (
            "a label out of range",
            pixels.clone(),
            npy("<i8", "(2,)", &i64s(&[0, 2])),
            Label,
            &["y.npy", "example 2", "label 2 is out of range", "0 to 1"],
        ),
        (
            "a label that is no whole number",
            pixels.clone(),
            npy("<f4", "(2,)", &f32s(&[0.0, 0.5])),
            Label,
            &["label 0.5 is out of range"],
        ),
        (
            "a label that is no number",
            pixels.clone(),
            npy("<f4", "(2,)", &f32s(&[f32::NAN, 0.5])),
            Label,
            &["label NaN is out of range"],
        ),
        (
            "a pixel that is no number",
            npy("<f4", "(2, 4)", &f32s(&[f32::NAN; 8])),
            labels.clone(),
            Value,
            &["pixel value NaN"],
        ),
        (
            "2^40 rows",
            npy("|u1", "(1099511627776, 2, 2)", &[0; 8]),
            npy("<i8", "(1099511627776,)", &[]),
            TooLarge,
            &["1099511627776 examples of 4 numbers are too many"],
        ),
    ] {
        cases.add(what, GREY, &pair(&features, &labels), kind, parts);
    }
    let table = npy("<f4", "(1, 3)", &f32s(&[1.0, 2.0, 3.0]));
    cases.add(
        "columns missing",
        TABLE,
        &pair(&table, &npy("<i8", "(1,)", &i64s(&[0]))),
        Shape,
        &["the plan asks for [n, 4]"],
    );
    cases.add(
        "arrays for a text plan",
        LETTERS,
        &pair(&pixels, &labels),
        Shape,
        &["an array of numbers, the plan asks for running text"],
    );

    let file = |bytes: &[u8]| DataSource::Safetensors { path: folder.file("d.safetensors", bytes) };
    let tensors = |dtype: &str, end: usize| {
        format!(
            r#"{{"features":{{"dtype":"{dtype}","shape":[2,2,2],"data_offsets":[0,{end}]}},"labels":{{"dtype":"I64","shape":[2],"data_offsets":[{end},{}]}}}}"#,
            end + 16
        )
    };
    for (what, bytes, kind, parts) in [
        ("too short", vec![1, 2, 3], Unreadable, &["d.safetensors", "cannot be read"][..]),
        (
            "a header beyond the file",
            vec![0xff; 16],
            Shape,
            &["a header of 18446744073709551615 bytes"],
        ),
        ("a header of nonsense", safetensors("{]", &[]), Shape, &["a header that cannot be read"]),
        (
            "a tensor missing",
            safetensors(r#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[0]),
            Header,
            &["no tensor \"features\" among x"],
        ),
        (
            "a type that is not read",
            safetensors(&tensors("F16", 16), &[0; 32]),
            Shape,
            &["tensor \"features\"", "\"F16\""],
        ),
        (
            "cut off",
            safetensors(&tensors("F32", 32), &[0; 47]),
            Unreadable,
            &["the header announces"],
        ),
        (
            "sizes that do not fit",
            safetensors(&tensors("F32", 33), &[0; 49]),
            Shape,
            &["a header that cannot be read"],
        ),
    ] {
        cases.add(what, GREY, &file(&bytes), kind, parts);
    }
    cases.check(29);
}

#[test]
fn every_bad_text_is_refused() {
    let (folder, mut cases) = (Folder::new(), Cases::default());
    let file = |bytes: &[u8]| DataSource::Text { path: folder.file("t.txt", bytes) };
    for (what, bytes, kind, parts) in [
        (
            "a character that is not listed",
            b"ab\nabc".to_vec(),
            Kind::Value,
            &["line 2", "character 'c' is not in the vocabulary", "unknown"][..],
        ),
        ("not UTF-8", b"a\nb\n\xff".to_vec(), Kind::Unreadable, &["line 3", "not UTF-8", "bytes"]),
        (
            "cut within a character",
            "ab\nab\nab\nabé".as_bytes()[..12].to_vec(),
            Kind::Unreadable,
            &["line 4", "not UTF-8"],
        ),
        ("empty", Vec::new(), Kind::Empty, &["0 tokens, a window takes 4"]),
        (
            "too short",
            b"aba".to_vec(),
            Kind::Empty,
            &["3 tokens, a window takes 4", "smaller context"],
        ),
        (
            "a decompression bomb",
            gzip(&vec![b'a'; 64 << 20]),
            Kind::TooLarge,
            &["a text that takes more than 16777216 bytes"],
        ),
    ] {
        cases.add(what, LETTERS, &file(&bytes), kind, parts);
    }
    cases.add(
        "a text for a table",
        TABLE,
        &file(b"ab"),
        Kind::Shape,
        &["running text, the plan asks for something else"],
    );
    cases.check(7);
}

/// The peak of this process's memory, in KiB, where the system tells.
fn memory_peak_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn a_header_that_claims_a_trillion_rows_takes_no_memory() {
    let folder = Folder::new();
    let before = memory_peak_kib();
    let trillion = (1u64 << 40).to_string();
    let bytes = (1u64 << 42).to_string();
    let end = ((1u64 << 42) + (1u64 << 40)).to_string();
    let header = format!(
        r#"{{"features":{{"dtype":"U8","shape":[{trillion},2,2],"data_offsets":[0,{bytes}]}},"labels":{{"dtype":"U8","shape":[{trillion}],"data_offsets":[{bytes},{end}]}}}}"#
    );
    let sparse = folder.path("sparse.safetensors");
    let file = std::fs::File::create(&sparse).expect("made");
    std::io::Write::write_all(&mut &file, &safetensors(&header, &[])).expect("written");
    // A file of holes may be refused by the file system: then it is cut off, which is refused too.
    let _ = file.set_len(8 + header.len() as u64 + (1 << 42) + (1 << 40));
    let npy_rows = |name: &str, shape: &str| folder.file(name, npy("|u1", shape, &[0; 64]));
    for source in [
        DataSource::Safetensors { path: sparse },
        DataSource::Npy {
            features: npy_rows("x.npy", "(1099511627776, 2, 2)"),
            labels: npy_rows("y.npy", "(1099511627776,)"),
        },
        DataSource::Idx {
            images: folder.file("i", idx(8, &[u32::MAX, 2, 2], &[0])),
            labels: folder.file("l", idx(8, &[u32::MAX], &[0])),
        },
    ] {
        let error = load(&source, GREY).expect_err("a trillion rows");
        assert!(matches!(error.kind, Kind::TooLarge | Kind::Unreadable), "{error}");
    }
    if let (Some(before), Some(after)) = (before, memory_peak_kib()) {
        // Other tests of this program run beside it; a trillion bytes would be a billion KiB.
        assert!(after - before < 1 << 20, "{} KiB", after - before);
    }
}

/// Reads `bytes` as every format, by every form of plan; nothing may panic.
fn read_as_everything(folder: &Folder, bytes: &[u8]) {
    let path = folder.file("data", bytes);
    let labels = folder.file("labels", idx(8, &[1], &[1]));
    let npy_labels = folder.file("y.npy", npy("<i8", "(1,)", &i64s(&[1])));
    let pictures = folder.file("p/cat/a.png", bytes);
    let pictures = pictures.parent().and_then(Path::parent).expect("a folder").to_owned();
    for source in [
        DataSource::Csv { path: path.clone(), header: Header::Detect },
        DataSource::Csv { path: path.clone(), header: Header::Absent },
        DataSource::Parquet { path: path.clone() },
        DataSource::Images { folder: pictures },
        DataSource::Idx { images: path.clone(), labels: labels.clone() },
        DataSource::Idx { images: labels, labels: path.clone() },
        DataSource::Npy { features: path.clone(), labels: npy_labels.clone() },
        DataSource::Npy { features: npy_labels, labels: path.clone() },
        DataSource::Safetensors { path: path.clone() },
        DataSource::Text { path: path.clone() },
    ] {
        for section in [TABLE, PATIENTS, REGRESSION, GREY, LETTERS] {
            match Dataset::load_within(&source, &data(section), LIMITS) {
                Ok(set) => assert!(!set.is_empty()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        if let Ok(preview) = Preview::of(&source) {
            assert!(!preview.to_string().is_empty());
        }
    }
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        let _ = DataSource::at(&path, None, format);
    }
}

/// One good file of every format.
fn good_files() -> Vec<Vec<u8>> {
    let header = r#"{"features":{"dtype":"U8","shape":[1,2,2],"data_offsets":[0,4]},"labels":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#;
    vec![
        b"age,sex,visits,smoker,ill\n50,m,4,yes,yes\n1,f,2,no,no\n".to_vec(),
        patients_parquet(Compression::SNAPPY),
        patients_parquet(Compression::ZSTD(ZstdLevel::default())),
        patients_parquet(Compression::UNCOMPRESSED),
        png(2, 2, &[0, 1, 2, 3]),
        idx(8, &[1, 2, 2], &[0, 1, 2, 3]),
        npy("<f4", "(1, 2, 2)", &f32s(&[0.0, 1.0, 2.0, 3.0])),
        safetensors(header, &[0, 1, 2, 3, 1]),
        "abab\nabab\nab\u{e9}".as_bytes().to_vec(),
        gzip(b"abab\nabab\n"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever a file holds, reading it ends in a data set or an error.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&Folder::new(), &bytes);
    }

    /// Good files, damaged: as random bytes, but past the first check.
    #[test]
    fn damaged_files_never_panic(
        file in 0..10usize,
        at in any::<prop::sample::Index>(),
        byte: u8,
        more in any::<prop::sample::Index>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = good_files().swap_remove(file);
        let (at, more) = (at.index(bytes.len()), more.index(bytes.len()));
        bytes[at] = byte;
        bytes[more] = bytes[more].wrapping_add(1);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_as_everything(&Folder::new(), &bytes);
    }
}
