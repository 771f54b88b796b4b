//! What a program says at the end: the answer on stdout, everything else on stderr. With JSON,
//! exactly one object on stdout, also for a failure.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::json;

use crate::net::{FileError, LinkError};
use crate::program::exit::Exit;

/// Version of the JSON answers; counts up when a field changes its meaning or disappears.
const SCHEMA_VERSION: u32 = 1;

/// For whom answers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// People.
    #[default]
    Text,
    /// Programs.
    Json,
}

impl Format {
    /// JSON when asked for.
    #[must_use]
    pub const fn json(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Text }
    }

    /// Prints an answer: `text` for people, `data` for programs.
    pub fn answer(self, text: &dyn fmt::Display, data: &impl Serialize) {
        let answer = match self {
            Self::Text => text.to_string(),
            Self::Json => json!({ "schema_version": SCHEMA_VERSION, "status": "ok", "data": data })
                .to_string(),
        };
        print_line(&answer);
    }

    /// Prints why there is no answer; returns the exit code.
    pub fn fail(self, failure: &Failure) -> Exit {
        match self {
            Self::Text => note(failure),
            Self::Json => {
                let error = json!({
                    "code": failure.code,
                    "message": failure.message,
                    "hint": failure.help,
                    "details": failure.details,
                });
                let status = "error";
                let answer =
                    json!({ "schema_version": SCHEMA_VERSION, "status": status, "error": error });
                print_line(&answer.to_string());
            }
        }
        failure.exit
    }
}

/// Prints an answer to stdout. A reader that has gone away is no error of this program.
pub fn print_line(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints a line for people to stderr.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Why a program did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// A stable code for programs, such as `BAD_CONFIG`.
    pub code: &'static str,
    /// What happened, naming the file, line or peer.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// For programs: each of several errors by itself.
    pub details: Option<serde_json::Value>,
}

impl Failure {
    /// A failure without a help text.
    pub fn new(exit: Exit, code: &'static str, message: impl fmt::Display) -> Self {
        Self { exit, code, message: message.to_string(), help: None, details: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds each of several errors by itself.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }

    /// A member's files are missing or do not belong together.
    #[must_use]
    pub fn identity(error: &FileError) -> Self {
        Self::new(Exit::NoAccess, "IDENTITY", error).with_help(
            "the folder needs identity.key and, from the operator, member.pem, authority.pem and \
             roster.json",
        )
    }

    /// A file of this program cannot be read or written.
    #[must_use]
    pub fn file(error: &FileError) -> Self {
        Self::new(Exit::Failed, "FILE", error)
    }

    /// There is no link.
    #[must_use]
    pub fn link(error: &LinkError) -> Self {
        Self::new(Exit::NoAccess, "NO_LINK", error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}
