//! Known answers for other implementations, in `tests/vectors/*.json`; the page's verifier in JavaScript
//! is checked with the same files. Bytes, hashes and signatures are base64, numbers that may go beyond 53
//! bits are text. Every invalid case says by `refused` which fault it must be refused for.
//!
//! `cargo test -p covey-ledger --test log -- --ignored write_vectors` writes them anew, after a deliberate
//! change of the format only.

mod files;
mod notes;
mod proofs;

use std::collections::BTreeSet;
use std::path::PathBuf;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// A file: what it says of itself, and its cases.
struct File {
    about: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    valid: Vec<Value>,
    invalid: Vec<Value>,
}

/// Who makes a file, and who checks a case: `Err` with the fault's name when it is refused.
struct Subject {
    name: &'static str,
    file: fn() -> File,
    check: fn(&Value) -> Result<(), String>,
}

const SUBJECTS: [Subject; 8] = [
    Subject { name: "note.json", file: notes::notes, check: notes::check_note },
    Subject {
        name: "cosignature.json",
        file: notes::cosignatures,
        check: notes::check_cosignature,
    },
    Subject { name: "checkpoint.json", file: notes::checkpoints, check: notes::check_checkpoint },
    Subject {
        name: "inclusion.json",
        file: proofs::inclusions,
        check: proofs::check_inclusion_case,
    },
    Subject {
        name: "consistency.json",
        file: proofs::consistencies,
        check: proofs::check_consistency_case,
    },
    Subject { name: "receipt.json", file: proofs::receipts, check: proofs::check_receipt },
    Subject { name: "path.json", file: files::paths, check: files::check_path },
    Subject { name: "tile.json", file: files::tiles, check: files::check_tile },
];

const NAME: (&str, &str) = ("name", "name of the case");
const WRONG: (&str, &str) = ("wrong", "what is wrong, in words");
const REFUSED: (&str, &str) = ("refused", "name of the fault");

impl File {
    fn json(&self) -> Value {
        let fields: Map<_, _> =
            self.fields.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        json!({
            "about": self.about, "fields": fields, "valid": self.valid, "invalid": self.invalid,
        })
    }
}

/// An invalid case: a valid one with other fields, what is wrong, and the fault's name.
fn invalid(
    valid: &Value,
    name: &str,
    wrong: &str,
    refused: &str,
    changes: &[(&str, Value)],
) -> Value {
    let mut case = valid.as_object().expect("an object").clone();
    for (field, value) in changes {
        case.insert((*field).to_owned(), value.clone());
    }
    for (field, text) in [("name", name), ("wrong", wrong), ("refused", refused)] {
        case.insert(field.to_owned(), json!(text));
    }
    Value::Object(case)
}

fn base64(bytes: impl AsRef<[u8]>) -> Value {
    json!(BASE64.encode(bytes.as_ref()))
}

pub(crate) fn text<'v>(case: &'v Value, field: &str) -> &'v str {
    case[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {case}"))
}

pub(crate) fn bytes(case: &Value, field: &str) -> Vec<u8> {
    BASE64.decode(text(case, field).as_bytes()).expect("base64")
}

pub(crate) fn texts(case: &Value, field: &str) -> Vec<String> {
    let list = case[field].as_array().expect("a list");
    list.iter().map(|one| one.as_str().expect("text").to_owned()).collect()
}

pub(crate) fn number(case: &Value, field: &str) -> u64 {
    text(case, field).parse().expect("a number")
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors"].iter().collect()
}

pub(crate) fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("the vectors are checked in");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_case_holds() {
    for Subject { name, check, .. } in SUBJECTS {
        let (file, mut names) = (read(name), BTreeSet::new());
        for list in ["valid", "invalid"] {
            for case in file[list].as_array().expect("a list") {
                let case_name = text(case, "name");
                assert!(names.insert(case_name.to_owned()), "{name}: {case_name} is there twice");
                let expected = case["refused"].as_str().map(str::to_owned);
                assert_eq!(expected.is_some(), list == "invalid", "{name}: {case_name}");
                assert_eq!(check(case).err(), expected, "{name}: {case_name}");
            }
        }
    }
}

#[test]
fn every_file_is_what_the_library_writes() {
    for Subject { name, file, .. } in SUBJECTS {
        assert!(file().json() == read(name), "{name} differs; see write_vectors");
    }
    assert!(files::whole_log() == read("log.json"), "log.json differs; see write_vectors");
}

#[test]
fn every_field_is_explained_and_used() {
    for Subject { name, .. } in SUBJECTS {
        let file = read(name);
        let keys = |value: &Value| -> BTreeSet<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        let cases = ["valid", "invalid"].map(|list| file[list].as_array().expect("a list"));
        let used: BTreeSet<_> = cases.into_iter().flatten().flat_map(keys).collect();
        assert_eq!(used, keys(&file["fields"]), "{name}");
    }
}

#[test]
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    let write = |name: &str, value: &Value| {
        let text = serde_json::to_string_pretty(value).expect("JSON") + "\n";
        std::fs::write(folder().join(name), text).expect("writable");
    };
    SUBJECTS.iter().for_each(|subject| write(subject.name, &(subject.file)().json()));
    write("log.json", &files::whole_log());
}
