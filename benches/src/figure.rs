//! What a bench prints.

use serde::Serialize;

/// Under which terms a figure was taken: fields in JSON, words in a table.
pub trait Conditions: Clone + Serialize {
    /// All that distinguishes the figure from others of its name.
    fn text(&self) -> &str;
}

/// The terms of a secure sum.
#[derive(Clone, Debug, Serialize)]
pub struct Terms {
    /// Profile and packing, in words.
    #[serde(skip)]
    pub text: String,
    /// Parameters.
    pub d: u64,
    /// Most contributions.
    pub n_max: u32,
    /// Bits of a quantised value.
    pub w: u8,
    /// Profile, `A` or `B`.
    pub profile: String,
    /// Holders.
    pub holders: usize,
    /// `ifma`, `avx2` or `portable`.
    pub path: &'static str,
}

impl Conditions for Terms {
    fn text(&self) -> &str {
        &self.text
    }
}

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure<C = Terms> {
    /// What was measured, dotted: `client.seal`.
    pub name: &'static str,
    /// Under which terms.
    #[serde(flatten)]
    pub terms: C,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The plain baseline, in words.
    pub plain: Option<&'static str>,
    /// Figure over the plain baseline of the same run.
    pub ratio_to_plain: Option<f64>,
    /// The baseline in the figure's unit.
    pub plain_value: Option<f64>,
}

impl<C: Conditions> Figure<C> {
    /// A figure without a baseline.
    #[must_use]
    pub fn new(name: &'static str, terms: &C, value: f64, unit: &'static str) -> Self {
        let terms = terms.clone();
        Self { name, terms, value, unit, plain: None, ratio_to_plain: None, plain_value: None }
    }

    /// Beside a baseline in the same unit.
    #[must_use]
    pub fn beside(mut self, what: &'static str, value: f64) -> Self {
        self.plain = Some(what);
        self.plain_value = Some(value);
        self.ratio_to_plain = (value > 0.0).then_some(self.value / value);
        self
    }
}

/// Prints figures as they come.
pub struct Report {
    json: bool,
}

impl Report {
    /// JSON lines, or a table.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// JSON lines when the program was called with `--json`, else a table.
    #[must_use]
    pub fn from_arguments() -> Self {
        Self::new(std::env::args().any(|argument| argument == "--json"))
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
    pub fn figure<C: Conditions>(&self, figure: &Figure<C>) {
        if self.json {
            println!("{}", serde_json::to_string(figure).expect("plain data"));
            return;
        }
        let Figure { name, terms, value, unit, plain, ratio_to_plain, plain_value } = figure;
        let plain = match (plain, ratio_to_plain, plain_value) {
            (Some(what), Some(ratio), Some(value)) => format!("{ratio:>7.2} x {what} ({value:.3})"),
            _ => String::new(),
        };
        println!("{name:<20} {:<42} {value:>12.3} {unit:<14} {plain}", terms.text());
    }
}
