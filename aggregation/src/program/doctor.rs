//! Before a program starts: everything that a person would have to put right, each with how. Here is
//! what the three programs look at alike; each adds what only it needs.
//!
//! - [`member`]: keys, certificate, roster, and the clock that they are judged by
//! - [`place`]: the state folder and the room that there is
//! - [`path`]: the way to the coordinator

pub mod member;
pub mod path;
pub mod place;

use std::fmt;

use serde::Serialize;

use super::{Exit, Failure};

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// The program cannot work like this.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, in a word that does not change.
    pub name: &'static str,
    /// How it was found.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    pub fix: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// In order.
    pub checks: Vec<Check>,
    /// Problems.
    pub problems: usize,
    /// Warnings.
    pub warnings: usize,
}

impl Diagnosis {
    /// As it should be.
    pub fn ok(&mut self, name: &'static str, found: impl fmt::Display) {
        self.add(Check { name, verdict: Verdict::Ok, found: found.to_string(), fix: None });
    }

    /// It works, and somebody should look at it.
    pub fn warn(&mut self, name: &'static str, found: impl fmt::Display, fix: impl Into<String>) {
        let (found, fix) = (found.to_string(), Some(fix.into()));
        self.add(Check { name, verdict: Verdict::Warning, found, fix });
    }

    /// The program cannot work like this.
    pub fn problem(
        &mut self,
        name: &'static str,
        found: impl fmt::Display,
        fix: impl Into<String>,
    ) {
        let (found, fix) = (found.to_string(), Some(fix.into()));
        self.add(Check { name, verdict: Verdict::Problem, found, fix });
    }

    /// What a command would fail with; `fix` where it says nothing itself.
    pub fn failed(&mut self, name: &'static str, failure: &Failure, fix: &str) {
        let help = failure.help.clone().unwrap_or_else(|| fix.to_owned());
        self.problem(name, &failure.message, help);
    }

    /// How a program ends that was asked for this.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        if self.problems == 0 { Exit::Done } else { Exit::Failed }
    }

    fn add(&mut self, check: Check) {
        match check.verdict {
            Verdict::Ok => {}
            Verdict::Warning => self.warnings += 1,
            Verdict::Problem => self.problems += 1,
        }
        self.checks.push(check);
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, verdict, found, fix } in &self.checks {
            let word = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
            };
            writeln!(f, "{word:<8} {name:<12} {found}")?;
            if let Some(fix) = fix {
                writeln!(f, "{:<21} fix: {fix}", "")?;
            }
        }
        match (self.problems, self.warnings) {
            (0, 0) => f.write_str("Everything is as it should be."),
            (0, warnings) => write!(f, "No problem, {warnings} to look at."),
            (problems, _) => write!(f, "{problems} to put right before this can work."),
        }
    }
}

#[cfg(test)]
mod tests;
