//! The page's verifier, in JavaScript, on a ledger of a thousand entries: it holds, and every change of
//! one byte of every file is found.

mod node;
mod support;

use serde_json::Value;
use support::{Log, example};

#[test]
fn javascript_finds_every_change_of_one_byte_in_a_thousand_entries() {
    if !node::is_there("node") {
        return;
    }
    let example = example(3);
    let log = Log { example: &example };
    let entry = |at: u32| format!(r#"{{"schema":"covey-entry/1","kind":"example","number":{at}}}"#);
    let entries: Vec<_> = (0..1000).map(|at| entry(at).into_bytes()).collect();
    let files = log.publish(&entries, example.holders.len());
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("thousand-entries");
    _ = std::fs::remove_dir_all(&folder);
    for (path, bytes) in &files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    let keys = serde_json::to_string(&log.federation()).expect("JSON");
    let folder = folder.to_str().expect("text");
    let Some(output) = node::run("ledger.mjs", &[folder, &keys], "") else { return };
    let said: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(said["size"], 1000);
    assert_eq!(said["missed"], Value::Array(Vec::new()), "0 missed");
    let changes: usize = files.values().map(Vec::len).sum();
    let counts = said["counts"].as_object().expect("counts");
    let counted: u64 = counts.values().map(|count| count.as_u64().expect("a number")).sum();
    assert_eq!(counted, changes as u64, "every byte of every file: {counts:?}");
    assert_eq!(counts.len(), 4, "checkpoint, bundles, and tiles of both levels");
}
