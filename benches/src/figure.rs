//! What a bench prints.

use serde::Serialize;

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured, dotted: `client.seal`.
    pub name: &'static str,
    /// Under which terms, in words.
    pub terms: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The plain baseline: what, and how much in the same unit.
    pub baseline: Option<(&'static str, f64)>,
    /// Figure over baseline.
    pub ratio: Option<f64>,
}

impl Figure {
    /// A figure without a baseline.
    #[must_use]
    pub fn new(name: &'static str, terms: &str, value: f64, unit: &'static str) -> Self {
        Self { name, terms: terms.to_owned(), value, unit, baseline: None, ratio: None }
    }

    /// Beside a baseline in the same unit.
    #[must_use]
    pub fn beside(mut self, what: &'static str, value: f64) -> Self {
        self.baseline = Some((what, value));
        self.ratio = (value > 0.0).then_some(self.value / value);
        self
    }
}

/// Prints figures as they come.
pub struct Report {
    json: bool,
}

impl Report {
    /// JSON lines when the program was called with `--json`, else a table.
    #[must_use]
    pub fn from_arguments() -> Self {
        Self { json: std::env::args().any(|argument| argument == "--json") }
    }

    /// A line of explanation; not in JSON.
    pub fn note(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    /// One figure.
    ///
    /// # Panics
    /// Never: figures are plain data.
    pub fn figure(&self, figure: &Figure) {
        if self.json {
            println!("{}", serde_json::to_string(figure).expect("plain data"));
            return;
        }
        let Figure { name, terms, value, unit, baseline, ratio } = figure;
        let baseline = match (baseline, ratio) {
            (Some((what, value)), Some(ratio)) => format!("{ratio:>8.1} x {what} ({value:.3})"),
            _ => String::new(),
        };
        println!("{name:<22} {terms:<30} {value:>12.3} {unit:<14} {baseline}");
    }
}
