//! The demo with an owner on the card, as a process, and what it must say in the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Rounds of the demo.
const ROUNDS: u64 = 3;

/// The demo's arguments: one of four owners on the card.
const ARGUMENTS: [&str; 7] = ["--json", "--clients", "4", "--rounds", "3", "--cuda-owners", "1"];

/// What the demo showed.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    rounds: u64,
    accuracy: Option<f64>,
}

/// The demo beside this program.
pub(crate) fn demo() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let demo = own.with_file_name(format!("demo{}", std::env::consts::EXE_SUFFIX));
    if demo.exists() {
        return Ok(demo);
    }
    Err(format!(
        "{} is not there: build it with cargo build --release -p covey-examples --features cuda \
         --bins",
        demo.display()
    ))
}

/// Runs it.
pub(crate) fn run(demo: &Path) -> Result<Shown, String> {
    let output = Command::new(demo).args(ARGUMENTS).output();
    let output = output.map_err(|error| format!("{}: {error}", demo.display()))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    judge(last).map_err(|problem| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("the demo, {}: {problem}\n{}", output.status, said.trim_end())
    })
}

/// What the demo's last line says: every round done, every sum exact, the check from outside
/// passed, and the card's owner in every sum.
fn judge(last: &str) -> Result<Shown, String> {
    let summary: Value =
        serde_json::from_str(last).map_err(|error| format!("{last:?} is no JSON: {error}"))?;
    if let Some(message) = summary["error"]["message"].as_str() {
        return Err(message.to_owned());
    }
    for (key, expected) in [
        ("terminal", Value::from(true)),
        ("exact", true.into()),
        ("verified", true.into()),
        ("rounds_done", ROUNDS.into()),
        ("rounds_abandoned", 0.into()),
        ("cuda_owners", 1.into()),
        ("cuda_rounds", ROUNDS.into()),
    ] {
        if summary[key] != expected {
            return Err(format!("{key} is {}, not {expected}", summary[key]));
        }
    }
    Ok(Shown { rounds: ROUNDS, accuracy: summary["accuracy"].as_f64() })
}

impl Shown {
    pub(crate) fn text(&self) -> String {
        let accuracy = self
            .accuracy
            .map_or_else(String::new, |accuracy| format!(", accuracy {:.2} %", 100.0 * accuracy));
        format!("{} sums with the update of an owner on the card, verified{accuracy}", self.rounds)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "event": "demo", "rounds": self.rounds, "verified": true, "accuracy": self.accuracy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        json!({
            "terminal": true, "exact": true, "verified": true, "rounds_done": 3,
            "rounds_abandoned": 0, "cuda_owners": 1, "cuda_rounds": 3, "accuracy": 0.9,
        })
    }

    #[test]
    fn a_demo_counts_only_with_the_cards_owner_in_every_verified_sum() {
        assert_eq!(judge(&good().to_string()), Ok(Shown { rounds: 3, accuracy: Some(0.9) }));
        for (key, bad) in [
            ("verified", Value::from(false)),
            ("exact", false.into()),
            ("rounds_done", 2.into()),
            ("cuda_owners", 0.into()),
            ("cuda_rounds", 2.into()),
            ("terminal", Value::Null),
        ] {
            let mut summary = good();
            summary[key] = bad;
            let problem = judge(&summary.to_string()).expect_err(key);
            assert!(problem.contains(key), "{problem}");
        }
        let error = json!({ "error": { "message": "no card" }, "terminal": true });
        assert_eq!(judge(&error.to_string()), Err("no card".to_owned()));
        assert!(judge("").is_err());
    }
}
