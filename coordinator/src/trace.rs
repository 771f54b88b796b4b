//! Spans of what goes on: of a run, in it of its rounds, in those of their phases, as OpenTelemetry
//! knows them. Whoever listens to `tracing` sees them; [`telemetry`](crate) says who does.
//!
//! They tell nobody who takes part: a run is named by its digest, and of members there are numbers only.
//! Nor do they hold anything that a person wrote.

use covey_aggregation::hash::Digest;
use covey_aggregation::message::Phase;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::event::RoundSummary;

/// What spans are made under: a listener may choose them by it.
pub const TARGET: &str = module_path!();

/// A run, from when it is begun or taken up until it is over or this program ends.
#[derive(Debug)]
pub struct RunSpan(Span);

/// A round of a run, and the phase that it is in. Both end when it is dropped.
#[derive(Debug)]
pub struct RoundSpan {
    round: Span,
    phase: Span,
}

impl Default for RunSpan {
    /// Of nothing: nobody sees it.
    fn default() -> Self {
        Self(Span::none())
    }
}

impl RunSpan {
    /// Begins with the run, or with its being taken up.
    #[must_use]
    pub fn begin(run: &Digest, rounds: u32, resumed: bool) -> Self {
        Self(
            info_span!(parent: None, "run", %run, rounds = i64::from(rounds), resumed, ending = Empty),
        )
    }

    /// A round of the run begins, or is taken up.
    #[must_use]
    pub fn round(&self, round: u32) -> RoundSpan {
        let span = info_span!(
            parent: &self.0,
            "round",
            round = i64::from(round),
            outcome = Empty,
            counted = Empty,
            missing = Empty
        );
        RoundSpan { round: span, phase: Span::none() }
    }

    /// The run is over; `ending` is how, in one word.
    pub fn end(&mut self, ending: &str) {
        self.0.record("ending", ending);
        self.0 = Span::none();
    }
}

impl RoundSpan {
    /// The next phase begins, and with it ends the last one.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = info_span!(parent: &self.round, "phase", phase = ?phase);
    }

    /// The round is over, and its result is durable.
    pub fn end(&mut self, summary: &RoundSummary) {
        self.phase = Span::none();
        self.round.record("outcome", if summary.done { "done" } else { "abandoned" });
        self.round.record("counted", number(summary.counted.len()));
        self.round.record("missing", number(summary.missing.len()));
        self.round = Span::none();
    }
}

/// The only numbers that OpenTelemetry has.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
