//! The commands about plans: templates, checks, plain words, comparisons and the JSON Schema.

mod bad;
mod commands;
mod json_schema;

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A plan that every part of this program is tried on; its lines are counted on in `bad`.
const PLAN: &str = r#"schema = "plan/1"
name = "patients"
purpose = "Try the commands about plans"
seed = 7
[data]
kind = "tabular"
holdout = 0.25
columns = [
  { name = "age", type = "float", min = 0, max = 120, missing = "indicator" },
  { name = "sex", type = "category", values = ["f", "m"] },
]
target = { column = "ill", classes = ["no", "yes"] }
[model]
layers = [
  { kind = "linear", out = 8 },
  { kind = "relu" },
  { kind = "linear", out = 2 },
]
[training]
rounds = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.5 }
weighting = { capped_examples = 500 }
[strategy]
name = "fedavg"
[evaluation]
metrics = ["accuracy", "loss"]
[stop]
target = { metric = "accuracy", value = 0.9 }
[cohort]
minimum = 3
maximum = 10
deadlines = { collect = "90s" }
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

/// The plan with one piece of text replaced.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert_eq!(PLAN.matches(from).count(), 1, "{from:?} must occur once");
    PLAN.replace(from, to)
}

/// A researcher's folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("text").to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-client"));
        let command = command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.output().expect("started")
    }

    /// Runs a command; what it answers and notes.
    #[track_caller]
    fn text(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    /// Runs a command with `--json`; the one object on stdout.
    #[track_caller]
    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(answer["schema_version"], 1);
        assert_eq!(answer["status"], if code == 0 { "ok" } else { "error" });
        answer
    }
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text}\nexpected {part:?}");
    }
}
