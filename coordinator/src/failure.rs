//! How a command ends when it does not succeed: an exit code for scripts, a stable word for
//! programs, a sentence for people, and what to do next.

use std::io::Write as _;

use serde_json::json;

/// Exit codes, the same for all programs of Covey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The operation failed.
    Failed = 1,
    /// Bad arguments, plan or configuration.
    Input = 2,
    /// A deadline passed.
    TimedOut = 3,
    /// No connection, TLS, or not authorised.
    Unreachable = 4,
    /// A proof or signature does not hold.
    Unverified = 6,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

/// A command that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the program exits with.
    pub exit: Exit,
    /// Stable, for programs: `PORT_IN_USE`.
    pub code: &'static str,
    /// What happened, and where.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with nothing to advise.
    pub fn new(exit: Exit, code: &'static str, message: impl ToString) -> Self {
        Self { exit, code, message: message.to_string(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it: to people on stderr or, with `json`, as one object on stdout.
    pub fn report(&self, json: bool) {
        if json {
            let error = json!({
                "schema_version": 1,
                "status": "error",
                "terminal": true,
                "error": { "code": self.code, "message": self.message, "hint": self.hint },
            });
            // A reader that has gone away has no use for the answer.
            let _ = writeln!(std::io::stdout(), "{error}");
            return;
        }
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("\n  help: {hint}"));
        let _ = writeln!(std::io::stderr(), "error: {}{hint}\n  code: {}", self.message, self.code);
    }
}

impl From<crate::storage::StorageError> for Failure {
    fn from(error: crate::storage::StorageError) -> Self {
        use crate::storage::StorageError::{Damaged, Database, File, Locked, Newer};
        let (code, hint) = match &error {
            Locked { .. } => {
                ("STATE_IN_USE", Some("stop the other one, or give this one another state_dir"))
            }
            Damaged { .. } => ("STATE_DAMAGED", None),
            Newer { .. } => ("STATE_NEWER", None),
            File { .. } | Database { .. } => ("STORAGE", None),
        };
        let failure = Self::new(Exit::Failed, code, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::Input, "BAD_CONFIG", error)
    }
}
