//! How events are shown: bars on a terminal, plain lines otherwise, JSON lines for programs.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use covey_aggregation::program::answer::{note, print_line};
use covey_aggregation::program::{Exit, Format};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::event::Event;

/// Off a terminal, how far something is shown at most this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shows events.
pub struct Screen {
    format: Format,
    bar: Option<ProgressBar>,
    last_progress: Option<Instant>,
}

impl Screen {
    /// For this process's stdout and stderr.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && format == Format::Text;
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is fixed; were it wrong, the default style would do.
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { format, bar, last_progress: None }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        if self.format == Format::Json {
            let line = serde_json::to_value(event).unwrap_or_default();
            print_line(&line.to_string());
            return;
        }
        match &self.bar {
            Some(bar) if event.is_progress() => {
                let (position, length) = match event {
                    Event::Training { step, steps, .. } => (*step, *steps),
                    Event::Uploading { sent, bytes, .. } => (*sent, *bytes),
                    _ => return,
                };
                bar.set_length(length);
                bar.set_position(position);
                bar.set_message(event.to_string());
            }
            Some(bar) => {
                bar.suspend(|| note(event));
                bar.reset();
            }
            None if event.is_progress() => {
                let now = Instant::now();
                let is_due = self.last_progress.is_none_or(|last| now - last >= PLAIN_EVERY);
                if is_due {
                    self.last_progress = Some(now);
                    note(event);
                }
            }
            None => note(event),
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self, exit: Exit) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.format == Format::Json {
            let end = json!({ "event": "stopped", "exit": exit.status(), "terminal": true });
            print_line(&end.to_string());
        }
    }
}
