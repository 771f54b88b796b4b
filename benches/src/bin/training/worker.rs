//! Processes that train when they are asked to: this program again, and PyTorch. Each says hello
//! with a line of JSON, then answers each line with one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::case::Case;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// What trains.
    pub(crate) version: String,
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Wall time of the timed steps.
    pub(crate) seconds: f64,
    /// CPU time of all threads in them.
    pub(crate) cpu_seconds: f64,
    /// Parameters of the model.
    pub(crate) parameters: usize,
    /// The last step's loss.
    pub(crate) loss: f64,
}

/// A process that trains, ended when this is dropped.
pub(crate) struct Worker {
    pub(crate) version: String,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a process and waits for its hello.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(|error| format!("{shown}: {error}"))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{shown}: no pipes"));
        };
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        let hello = match answers.read_line(&mut line) {
            Ok(length) if length > 0 => serde_json::from_str::<Hello>(&line).ok(),
            _ => None,
        };
        let Some(Hello { version }) = hello else {
            let said = child.wait_with_output().map(|output| output.stderr).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            let last = said.lines().last().unwrap_or("it said nothing");
            return Err(format!("{shown}: {last}"));
        };
        Ok(Self { version, child, questions, answers })
    }

    /// Trains once.
    ///
    /// # Errors
    /// That the process ended, or what it wrote instead of an answer.
    pub(crate) fn train(&mut self, case: &Case) -> Result<Taken, String> {
        let question = serde_json::to_string(case).map_err(|error| error.to_string())?;
        writeln!(self.questions, "{question}").map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?} is no answer: {error}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
