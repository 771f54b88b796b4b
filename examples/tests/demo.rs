//! The demo as a program would use it: real processes, real encryption, JSON lines out.

use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().expect("the demo starts")
}

fn last_line(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| {
        panic!("{error}: {line}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

#[test]
fn a_short_federation_ends_exact_and_verified() {
    let output = demo(&["--json", "--clients", "4", "--rounds", "3", "--seed", "11"]);
    let last = last_line(&output);
    assert!(output.status.success(), "{last}");
    for (key, expected) in
        [("terminal", true), ("exact", true), ("verified", true)].map(|(k, v)| (k, Value::from(v)))
    {
        assert_eq!(last[key], expected, "{key} in {last}");
    }
    assert_eq!(
        (last["rounds_done"].as_u64(), last["rounds_abandoned"].as_u64()),
        (Some(3), Some(0))
    );
    let (encrypted, plain) = (&last["accuracy"], &last["accuracy_plain"]);
    let gap = encrypted.as_f64().expect("a number") - plain.as_f64().expect("a number");
    assert!(gap.abs() <= 0.01, "encrypted {encrypted}, plain {plain}");
    let parameters = last["parameters"].as_f64().expect("a number");
    let bytes = |of: &str| last[of].as_f64().expect("a number");
    assert!(bytes("bytes_proof") > 10_000.0, "rounds are audited");
    let all = bytes("bytes_payload") + bytes("bytes_fixed") + bytes("bytes_proof");
    assert_eq!(last["bytes_per_parameter"].as_f64(), Some(all / parameters));
}

#[test]
fn other_data_train_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from("a,label,b\n");
    for i in 0..400u32 {
        let label = i % 2;
        let noise = f64::from(i * 7919 % 101) / 101.0;
        text += &format!("{},{label},{}\n", f64::from(label) + noise, noise - f64::from(label));
    }
    std::fs::write(folder.path().join("points.csv"), text).expect("written");
    let data = folder.path().display().to_string();
    let output = demo(&["--json", "--clients", "3", "--rounds", "2", "--data-dir", &data]);
    let last = last_line(&output);
    assert!(output.status.success(), "{last}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((last["exact"].as_bool(), last["verified"].as_bool()), (Some(true), Some(true)));
    assert!(last["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.8), "{last}");
}

/// What is wrong is said once, with the file, and the exit code is that of bad input.
#[test]
fn bad_input_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |within: &str, name: &str, bytes: &[u8]| {
        let inner = folder.path().join(within);
        std::fs::create_dir_all(&inner).expect("a folder");
        std::fs::write(inner.join(name), bytes).expect("written");
        inner.display().to_string()
    };
    let missing = folder.path().join("nowhere").display().to_string();
    let empty = write("empty", "readme.txt", b"nothing here");
    let unlabelled = write("unlabelled", "rows.csv", b"a,b\n1,2\n");
    let no_number = write("no-number", "rows.csv", b"a,label\n1,0\n2,dog\n");
    let cut_off = write("cut-off", "train-images.idx", &[0, 0, 8, 3, 0, 0, 0, 2]);
    let cut_off_labels = write("cut-off", "train-labels.idx", &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0]);
    assert_eq!(cut_off, cut_off_labels);
    let cases: [(&[&str], &str); 7] = [
        (&["--clients", "2"], "--clients"),
        (&["--data-dir", &missing], "nowhere"),
        (&["--data-dir", &empty], "found neither"),
        (&["--data-dir", &unlabelled], "no column `label`"),
        (&["--data-dir", &no_number], "line 3"),
        (&["--data-dir", &cut_off], "train-images.idx"),
        (&["--keep", &empty], "exists already"),
    ];
    for (arguments, expected) in cases {
        let output = demo(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

/// An owner on a card is never quietly one on the processor.
#[cfg(not(feature = "cuda"))]
#[test]
fn an_owner_on_a_card_is_refused_by_a_build_without_cuda() {
    let output = demo(&["--json", "--clients", "4", "--cuda-owners", "1"]);
    let last = last_line(&output);
    assert_eq!(output.status.code(), Some(2), "{last}");
    let message = last["error"]["message"].as_str().expect("a message");
    assert!(message.contains("`cuda` feature"), "{message}");
    let output = demo(&["--clients", "4", "--cuda-owners", "5"]);
    assert_eq!(output.status.code(), Some(2));
}
