//! The experiments as programs: they say what is missing, and run on made data of the real form.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().expect("it starts")
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn without_its_data_an_experiment_says_what_to_get_and_ends_with_2() {
    let nowhere = ["--data", "/nowhere", "--model", "lstm"];
    for (program, arguments, source) in [
        (env!("CARGO_BIN_EXE_heart"), &nowhere[..2], "archive.ics.uci.edu"),
        (env!("CARGO_BIN_EXE_shakespeare"), &nowhere[..], "github.com/karpathy/char-rnn"),
    ] {
        let output = run(program, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("/nowhere") && error.contains(source), "{error}");
    }
}

/// Records in which ill and healthy hearts differ in age.
fn write_records(folder: &Path) {
    for (number, name) in (0..).zip(["cleveland", "hungarian", "switzerland", "va"]) {
        let rows = (0..40u32).fold(String::new(), |mut rows, row| {
            let age = 30 + (row * 7 + number) % 50;
            writeln!(rows, "{age},1,4,130,?,0,0,130,0,1.0,2,,3,{}", u32::from(age > 55))
                .expect("a string");
            rows
        });
        fs::write(folder.join(format!("processed.{name}.data")), rows).expect("written");
    }
}

#[test]
fn hospitals_are_compared_on_every_record() {
    let folder = tempfile::tempdir().expect("a folder");
    write_records(folder.path());
    let data = folder.path().to_str().expect("a plain path");
    let table =
        text(&run(env!("CARGO_BIN_EXE_heart"), &["--data", data, "--seeds", "1", "--as-it-ships"]));
    let line = |name: &str| {
        let found = table.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("{name}: {table}")).to_owned()
    };
    assert!(line("records").contains(" 160 "), "{table}");
    let accuracy = |name: &str| -> f64 {
        let value = line(name).replace(name, "");
        value.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    };
    for name in ["federated", "pooled"] {
        assert!((80.0..=100.0).contains(&accuracy(name)), "{table}");
    }
    for name in ["cleveland alone", "va alone", "mean of the four alone", "each alone, at home"] {
        assert!((20.0..=100.0).contains(&accuracy(name)), "{table}");
    }
}

#[test]
fn roles_learn_together_and_pooled_pass_by_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let play = ["ROMEO", "JULIET", "NURSE"]
        .map(|name| format!("{name}:\nThe king loves my lady {name} at dawn.\n\n").repeat(30));
    let path = folder.path().join("play.txt");
    fs::write(&path, play.concat()).expect("written");
    let data = path.to_str().expect("a plain path");
    let common = ["--data", data, "--model", "transformer", "--roles", "3"];
    let more = ["--set", "training.rounds=2", "--set", "training.batch_size=2"];
    let table = text(&run(env!("CARGO_BIN_EXE_shakespeare"), &[&common[..], &more].concat()));
    let rows: Vec<Vec<f64>> = table
        .lines()
        .map(|line| line.split_whitespace().map_while(|word| word.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() == 4)
        .collect();
    assert_eq!(rows.len(), 2, "{table}");
    for side in [1, 2] {
        assert!(rows[1][side] < rows[0][side] && rows[1][side] > 1.0, "{table}");
    }
    assert!((rows[1][1] / rows[1][2] - rows[1][3]).abs() < 0.01, "{table}");

    let steps = ["--set", "training.local_steps=3"];
    let output = run(env!("CARGO_BIN_EXE_shakespeare"), &[&common[..], &steps].concat());
    assert_eq!(output.status.code(), Some(2));
}
