//! The check of a card on a machine that has none, or in a build that cannot use it: the processor
//! is measured, and the program says that this is no pass.
#![cfg(not(feature = "cuda"))]

use std::process::Command;

use serde_json::Value;

#[test]
fn without_a_card_the_processor_is_measured_and_nothing_passes() {
    let program = env!("CARGO_BIN_EXE_gpu_check");
    let output = Command::new(program).arg("--json").output().expect("it starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(output.status.code(), Some(77), "{stdout}");
    let (last, trained) = lines.split_last().expect("lines");
    assert_eq!((&last["terminal"], &last["status"]), (&true.into(), &"not-checked".into()));
    let why = last["why"].as_str().expect("a reason");
    assert!(why.contains("`cuda` feature"), "{why}");
    let models: Vec<&str> = trained.iter().filter_map(|line| line["model"].as_str()).collect();
    assert_eq!(models, ["demo-cnn", "large-cnn", "transformer"]);
    for line in trained {
        assert_eq!((&line["event"], &line["device"]), (&"trained".into(), &"cpu".into()));
        assert!(line["samples_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{line}");
    }
}
