//! All runs.

use covey_ledger::book::RunRecord;
use covey_ledger::entry::RoundOutcome;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{WhichRun, Who, word_of};
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table, Tone};

/// All runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunsView {
    /// The newest first.
    runs: Vec<RunLine>,
}

/// A run in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RunLine {
    /// The run.
    pub(crate) run: WhichRun,
    /// Who launched it.
    pub(crate) launched_by: Who,
    /// `running`, or how it ended.
    pub(crate) state: String,
    /// Rounds that are over.
    pub(crate) rounds_over: u32,
    /// Rounds among them in which nothing was opened.
    pub(crate) rounds_abandoned: u32,
    /// Rounds that are asked for.
    pub(crate) rounds_asked: u32,
    /// Owners in the sum of the last round that was opened.
    pub(crate) counted_last: u32,
    /// The newest metric, as `accuracy 0.91`; empty where there is none.
    pub(crate) metric: String,
    /// What owners are paid, in micro-credits; none before the settlement.
    pub(crate) paid_micro: Option<u64>,
    /// When the plan was accepted, in milliseconds since the Unix epoch.
    pub(crate) accepted_ms: u64,
    /// The entry of the plan.
    pub(crate) entry: u64,
}

impl RunLine {
    pub(crate) fn of(reader: &Reader<'_>, run: &RunRecord) -> Self {
        let closed = || run.rounds.values().map(|round| &round.closed);
        let is_abandoned = |outcome| outcome == RoundOutcome::Abandoned;
        let opened = closed().rev().find(|round| !is_abandoned(round.outcome));
        let metric = closed().rev().find_map(|round| round.metrics.first());
        Self {
            run: reader.which(&run.plan.run),
            launched_by: reader.who(&run.plan.launched_by),
            state: state_of(run),
            rounds_over: run.rounds.len() as u32,
            rounds_abandoned: closed().filter(|round| is_abandoned(round.outcome)).count() as u32,
            rounds_asked: run.rounds_asked,
            counted_last: opened.map_or(0, |round| round.counted),
            metric: metric.map_or_else(String::new, |metric| {
                let value = crate::text::decimal(metric.millionths as f64 / 1e6, 4);
                format!("{} {value}", metric.name)
            }),
            paid_micro: run.credits.as_ref().map(|credits| credits.settlement.paid_micro),
            accepted_ms: run.accepted_ms,
            entry: run.entry,
        }
    }
}

/// `running`, or how it ended.
pub(crate) fn state_of(run: &RunRecord) -> String {
    run.ended.as_ref().map_or_else(|| "running".to_owned(), |(ended, _)| word_of(&ended.how))
}

pub(crate) fn run_state_cell(state: &str) -> Cell {
    let tone = match state {
        "running" => Tone::Note,
        "done" | "target" | "plateau" => Tone::Good,
        _ => Tone::Warn,
    };
    Cell::badge(tone, state)
}

/// Runs as a table.
pub(crate) fn runs_table(caption: &str, runs: &[RunLine]) -> Table {
    let columns = vec![
        Column::text("Run", "run"),
        Column::text("State", "state"),
        Column::number("Rounds over", "rounds_over"),
        Column::number("Asked for", "rounds_asked"),
        Column::number("Abandoned", "rounds_abandoned"),
        Column::number("Owners, last", "counted_last"),
        Column::text("Newest metric", "metric"),
        Column::number("Credits paid", "paid_micro"),
        Column::text("Launched by", "launched_by"),
        Column::text("Accepted", "accepted"),
    ];
    let row = |run: &RunLine| {
        vec![
            run.run.cell(),
            run_state_cell(&run.state),
            Cell::number(run.rounds_over),
            Cell::number(run.rounds_asked),
            Cell::number(run.rounds_abandoned),
            Cell::number(run.counted_last),
            Cell::text(run.metric.clone()),
            run.paid_micro.map_or_else(Cell::none, Cell::credits),
            run.launched_by.cell(),
            Cell::time(run.accepted_ms),
        ]
    };
    Table::new(caption, columns).with(runs.iter().map(row)).or("No run yet.")
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    match reader.book() {
        Ok(book) => {
            let runs = book.runs().iter().rev();
            Answer::of(&RunsView { runs: runs.map(|run| RunLine::of(reader, run)).collect() })
        }
        Err(empty) => empty,
    }
}

impl View for RunsView {
    fn page(&self) -> Page {
        let mut page = Page::new("Runs");
        page.lead = vec![Cell::text("A run is a plan being carried out, round by round.")];
        page.add(Block::Table(runs_table("All runs, the newest first", &self.runs)));
        if let [newest, before, ..] = self.runs.as_slice() {
            let ids = format!("/runs/compare?ids={},{}", before.run.id, newest.run.id);
            page.add(Block::Text(vec![
                Cell::link("Compare the two newest", ids),
                Cell::text(
                    ", or any others: /runs/compare?ids=, with the runs separated by commas.",
                ),
            ]));
        }
        page
    }
}
