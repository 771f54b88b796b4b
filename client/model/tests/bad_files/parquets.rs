//! Parquet files.

use super::*;

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
