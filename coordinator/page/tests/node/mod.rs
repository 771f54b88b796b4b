//! Runs the page's JavaScript under node. Where there is none, tests say so and pass, unless
//! `COVEY_REQUIRE_BROWSER` is 1.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a script of this folder says to this input; none where there is no node.
pub(crate) fn run(script: &str, arguments: &[&str], input: &str) -> Option<String> {
    if !is_there("node") {
        return None;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(script);
    let mut command = Command::new("node");
    command.arg(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("node starts");
    let mut stdin = child.stdin.take().expect("its input");
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("node ends");
    _ = writing.join().expect("the input is written");
    assert!(output.status.success(), "{script} failed");
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// Whether a program can be run.
///
/// # Panics
/// Where it cannot and must.
pub(crate) fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    let is_required = std::env::var("COVEY_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
    assert!(found || !is_required, "{program} is needed (COVEY_REQUIRE_BROWSER=1) and not there");
    if !found {
        eprintln!("SKIPPED: no {program} here; nothing was tested");
    }
    found
}
