//! The page's verifier, in JavaScript, with the vectors of the log that the program is tested with: what
//! is valid is taken, what is invalid refused, and of a log of a thousand entries every change of one byte
//! of every file is found.

mod node;

use std::path::{Path, PathBuf};

use serde_json::Value;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../aggregation/ledger/tests/vectors")
}

#[test]
fn javascript_takes_what_is_valid_and_refuses_what_is_invalid() {
    let folder = vectors();
    let folder = folder.to_str().expect("text");
    let Some(output) = node::run("vectors.mjs", &[folder], "") else { return };
    let said: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(said["wrong"], Value::Array(Vec::new()));
    let count = |name: &str| said[name].as_u64().expect("a number");
    assert!(count("valid") >= 50 && count("invalid") >= 69, "{said}");
}

#[test]
fn javascript_finds_every_change_of_one_byte_in_a_thousand_entries() {
    let path = vectors().join("log.json");
    let Some(output) = node::run("ledger.mjs", &[path.to_str().expect("text")], "") else { return };
    let said: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(said["size"], 1000);
    assert_eq!(said["missed"], Value::Array(Vec::new()), "0 missed");
    let log: Value =
        serde_json::from_slice(&std::fs::read(path).expect("the vector")).expect("JSON");
    let files = log["files"].as_object().expect("files");
    let bytes = |text: &Value| {
        let text = text.as_str().expect("base64");
        text.len() / 4 * 3 - text.bytes().rev().take_while(|one| *one == b'=').count()
    };
    let changes: usize = files.values().map(bytes).sum();
    let counts = said["counts"].as_object().expect("counts");
    let counted: u64 = counts.values().map(|count| count.as_u64().expect("a number")).sum();
    assert_eq!(counted, changes as u64, "every byte of every file: {counts:?}");
    assert_eq!(counts.len(), 4, "checkpoint, bundles, and tiles of both levels");
}
