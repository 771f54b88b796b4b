//! The program, run in a folder of its own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Somebody's folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Writes a file. Returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("text").to_owned()
    }

    /// Runs a command in this folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-client"));
        let command = command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.output().expect("started")
    }

    /// Runs a command that ends with this code; what it answers and notes.
    #[track_caller]
    pub(crate) fn text(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    /// Runs a command that ends with this code, and whose text holds these parts.
    #[track_caller]
    pub(crate) fn check(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        holds(&self.text(arguments, code), parts);
    }

    /// Runs a command with `--json`; the one object on stdout.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
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
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text}\nexpected {part:?}");
    }
}
