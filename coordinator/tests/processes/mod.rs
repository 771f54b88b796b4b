//! A whole federation as people run it: the real programs, each a process of its own.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unused_imports, reason = "likewise")]

pub(crate) mod fault;
mod federation;
pub(crate) mod network;
mod plan;
mod process;
mod who;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

pub(crate) use federation::Federation;
pub(crate) use plan::Plan;
pub(crate) use process::Process;
pub(crate) use who::Who;
pub(crate) use work::{Lives, Story, Work};

/// Longest wait for anything; far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) const HOLDERS: usize = 4;

/// Where a program is: beside this package's own, where `cargo test --workspace` puts them all.
fn path_of(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_covey-coordinator")).with_file_name(program);
    assert!(
        path.exists(),
        "there is no {}: run the tests of the whole workspace, or build it first \
         (cargo build --release --workspace)",
        path.display()
    );
    path
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(path_of(program));
    command.args(arguments).env_remove("COVEY_JSON").stdin(Stdio::null());
    command.output().expect("started")
}

/// Runs a program that must be done; its answer.
#[track_caller]
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Value {
    let output = run(program, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?} {said}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("copied");
        }
    }
}
