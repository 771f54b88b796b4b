//! What a person sees while the federation works: a bar on a terminal, plain lines otherwise, and
//! JSON lines for programs.

use covey_aggregation::message::Phase;
use covey_coordinator::event::{Event, RoundSummary};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal as _;

/// Progress goes to stderr, answers go to stdout.
pub(crate) struct Screen {
    json: bool,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// A bar for `rounds` when stderr is a terminal.
    pub(crate) fn new(json: bool, rounds: u32) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} rounds  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(u64::from(rounds)).with_style(style)
        });
        Self { json, bar }
    }

    /// Something worth a line.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            self.emit(&json!({ "event": "note", "text": text }));
        } else if let Some(bar) = &self.bar {
            bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// What the coordinator told.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Phase { round, phase, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("round {round}: {}", doing(*phase)));
                }
            }
            Event::Waiting { .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(event.to_string());
                }
            }
            Event::Round(summary) => self.round(summary),
            Event::Refused { .. } | Event::TurnedAway { .. } => self.note(&event.to_string()),
            _ => {}
        }
    }

    fn round(&self, summary: &RoundSummary) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::from(summary.round));
        }
        if self.json {
            self.emit(&json!({
                "event": "round",
                "round": summary.round,
                "done": summary.done,
                "reason": summary.reason,
                "counted": summary.counted,
                "missing": summary.missing,
                "faults": summary.faults,
                "accuracy": summary.accuracy,
                "weighing": summary.weighing,
                "phases_ms": summary.phases_ms,
            }));
        } else {
            self.note(&summary.to_string());
        }
    }

    /// Prints one JSON line on stdout.
    pub(crate) fn emit(&self, value: &Value) {
        if self.json {
            println!("{value}");
        }
    }

    /// Takes the bar away before the summary.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A phase in words.
const fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Select => "holders countersign the terms",
        Phase::Collect => "owners train, encrypt and send",
        Phase::Vote => "holders check and vote on the set",
        Phase::Audit => "owners prove, holders check what they cannot see",
        Phase::Release => "holders release the key of the sum",
        Phase::Credit => "holders open three numbers of each owner and attest them",
        Phase::Done => "done",
        Phase::Abandon => "abandoned",
    }
}
