//! Running text.

use super::*;

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
