//! The program itself, given bad input: one clear message that names the file, the line or the
//! layer, and the exit code that scripts rely on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PLAN: &str = r#"schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
target = { column = "side", classes = ["left", "right"] }
columns = [{ name = "x", type = "float", min = -1, max = 1 }]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.0 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_covey-client"));
    command.args(arguments).stdin(Stdio::null()).output().expect("started")
}

#[track_caller]
fn check(arguments: &[&str], code: i32, named: &[&str]) {
    let output = run(arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for named in named {
        assert!(text.contains(named), "{arguments:?}: {text}\nexpected {named}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn write<'a>(path: &'a Path, text: &str) -> &'a str {
    fs::write(path, text).expect("written");
    path.to_str().expect("text")
}

#[test]
fn a_plan_is_checked_with_all_its_errors_and_layers_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = folder.path().join("plan.toml");
    check(&["plan", "check", write(&plan, PLAN)], 0, &["plan ok: halves", "bytes per parameter"]);

    let two = PLAN.replace("minimum = 3", "minimum = 2").replace("rounds = 3", "runds = 3");
    let named = ["plan.toml:12:1", "P002", "plan.toml:17:11", "P020", "help"];
    check(&["plan", "check", write(&plan, &two)], 2, &named);
    let output = run(&["plan", "check", "--json", plan.to_str().expect("text")]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &answer["status"]), (Some(2), &"error".into()));
    let details = answer["error"]["details"].as_array().expect("a list");
    assert!(details.iter().any(|one| one["code"] == "P020" && one["line"] == 17), "{answer}");

    let misfit =
        PLAN.replace(r#"{ kind = "tanh" }"#, r#"{ kind = "conv2d", out = 3, kernel = 3 }"#);
    let named = ["plan.toml:10:", "layers[1]", "conv2d", "help"];
    check(&["plan", "check", write(&plan, &misfit)], 2, &named);
    check(&["plan", "check", "nowhere.toml"], 2, &["nowhere.toml"]);
}

#[test]
fn data_are_checked_with_file_line_and_column() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = folder.path().join("plan.toml");
    let plan = write(&plan, PLAN);
    let data = folder.path().join("data.csv");
    let good = "x,side\n0.5,right\n-0.5,left\n0.25,right\n";
    let named = ["3 examples", "per class: 1 2"];
    check(&["data", "check", write(&data, good), "--plan", plan], 0, &named);
    for (bad, named) in [
        (good.replace("-0.5,left", "-0.5,up"), ["data.csv", "line 3"]),
        (good.replace("-0.5,left", "a,left"), ["data.csv", "line 3"]),
        (good.replace("-0.5,left", "-0.5"), ["data.csv", "line 3"]),
        (good.replace("x,side", "z,side"), ["data.csv", "x"]),
    ] {
        check(&["data", "check", write(&data, &bad), "--plan", plan], 2, &named);
    }
    check(&["data", "check", "nowhere.csv", "--plan", plan], 2, &["nowhere.csv"]);
}

#[test]
fn a_start_that_cannot_work_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ada = folder.path().join("ada");
    let dir = ada.to_str().expect("text");
    let named = ["request.json", "never leave"];
    check(&["init", "--name", "ada", "--dir", dir, "--coordinator", "127.0.0.1:9"], 0, &named);
    check(&["init", "--name", "ada", "--dir", dir], 2, &["exists already"]);
    let config = ada.join("client.toml");
    let text = fs::read_to_string(&config).expect("read");
    let config = config.to_str().expect("text");
    check(&["start", "--config", config], 4, &["roster.json", "operator"]);
    check(&["status", "--config", config], 4, &["roster.json"]);
    check(&["start", "--config", "nowhere.toml"], 2, &["nowhere.toml"]);
    check(&["start", "--confg", "x"], 2, &["--config"]);
    let bad = ada.join("bad.toml");
    for (changed, named) in [
        (text.replace("state", "stat"), "bad.toml:4:1"),
        (text.replace("= 200", "= \"many\""), "bad.toml:13:14"),
        (text.replace("min_contributions = 3", "min_contributions = 1"), "min_contributions"),
    ] {
        check(&["start", "--config", write(&bad, &changed)], 2, &[named]);
    }
}

#[test]
fn nothing_of_the_program_lets_an_update_out_in_the_clear() {
    let help = run(&["start", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let options: Vec<&str> =
        help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert_eq!(options, ["--config", "--json", "--device", "--help"], "{help}");
}
