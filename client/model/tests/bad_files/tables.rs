//! Tables as text.

use super::*;

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
