//! What is printed: lines for readers, or objects for programs.

use serde::Serialize;

use crate::auc::Measured;

/// Explanations are at most so wide.
const WIDTH: usize = 100;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What was measured, dotted: `accuracy.owner`.
    pub(crate) name: &'static str,
    /// Under which protection.
    pub(crate) setting: String,
    /// Epsilon that the accountant gives, where anything bounds it.
    pub(crate) epsilon: Option<f64>,
    /// The figure.
    pub(crate) value: f64,
    /// Its standard error, where it has one.
    pub(crate) error: Option<f64>,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The most that the accountant lets an attack reach, in the same unit.
    pub(crate) allowed: Option<f64>,
    /// A verdict in words; empty where none is needed.
    pub(crate) verdict: String,
}

impl Line {
    /// A figure with its standard error.
    pub(crate) fn new(
        name: &'static str,
        setting: impl Into<String>,
        measured: Measured,
        unit: &'static str,
    ) -> Self {
        Self {
            name,
            setting: setting.into(),
            epsilon: None,
            value: measured.value,
            error: Some(measured.error),
            unit,
            allowed: None,
            verdict: String::new(),
        }
    }

    /// The same under so much privacy.
    pub(crate) fn epsilon(self, epsilon: Option<f64>) -> Self {
        Self { epsilon, ..self }
    }

    /// The same beside the most that is allowed.
    pub(crate) fn allowed(self, most: f64) -> Self {
        Self { allowed: Some(most), ..self }
    }

    /// The same without an error: it is computed, or a bound.
    pub(crate) fn exact(self) -> Self {
        Self { error: None, ..self }
    }

    /// The same with a word on it.
    pub(crate) fn verdict(self, verdict: impl Into<String>) -> Self {
        Self { verdict: verdict.into(), ..self }
    }
}

/// Prints figures as they come.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// A heading and what its lines mean.
    pub(crate) fn section(&mut self, title: &str, meaning: &str) {
        self.note(&format!("\n== {title}"));
        let mut line = String::new();
        for word in meaning.split_whitespace() {
            if line.len() + word.len() >= WIDTH {
                self.note(&std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.note(&line);
    }

    /// A line of explanation; with JSON it goes to the errors, so that it is seen.
    pub(crate) fn note(&mut self, text: &str) {
        if self.json { eprintln!("{text}") } else { println!("{text}") }
    }

    /// One figure.
    pub(crate) fn line(&mut self, line: &Line) {
        if self.json {
            // Plain data: it cannot fail.
            println!("{}", serde_json::to_string(line).unwrap_or_default());
            return;
        }
        let epsilon = match line.epsilon {
            Some(epsilon) => format!("epsilon {epsilon:>7.2}"),
            None => "no bound".to_owned(),
        };
        let error = line.error.map_or_else(String::new, |error| format!(" +- {error:.3}"));
        let allowed = line.allowed.map_or_else(String::new, |most| format!("at most {most:.3}  "));
        let Line { name, setting, value, unit, verdict, .. } = line;
        let value = format!("{value:.3}{error} {unit}");
        println!("{name:<19} {setting:<53} {epsilon:<16} {value:<29} {allowed}{verdict}");
    }
}
