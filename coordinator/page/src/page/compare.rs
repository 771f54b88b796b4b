//! Runs side by side.

use covey_ledger::book::RunRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::reader::{Reader, none_of};
use super::run::metric_figures;
use super::runs::{RunLine, runs_table};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table};
use crate::chart::Figure;
use crate::text;

/// Runs that are compared at most: as many as have a colour and a shape.
const RUNS_MAX: usize = 8;

/// Runs side by side.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CompareView {
    /// In the order asked for.
    runs: Vec<RunLine>,
    /// Each run's plan: lines that not all of them have. None where a plan's text is not in the ledger.
    plan_differences: Vec<PlanDifference>,
    #[serde(skip)]
    figures: Vec<Figure>,
}

/// Lines of a plan that another one does not have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanDifference {
    /// The run.
    run: String,
    /// The lines.
    lines: Vec<String>,
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let ids = reader.query.get("ids");
    let names = ids.split([',', ' ']).filter(|id| !id.is_empty());
    let mut runs = Vec::new();
    for name in names.take(RUNS_MAX) {
        match reader.run(name) {
            Some(run) => runs.push(run),
            None => return none_of("run", name),
        }
    }
    let labelled: Vec<_> = runs.iter().map(|run| (label(run), *run)).collect();
    Answer::of(&CompareView {
        runs: runs.iter().map(|run| RunLine::of(reader, run)).collect(),
        plan_differences: differences(&runs),
        figures: metric_figures(&labelled),
    })
}

fn label(run: &RunRecord) -> String {
    format!("{} {} ", run.plan.name, text::short(&run.plan.run.to_string()))
}

fn differences(runs: &[&RunRecord]) -> Vec<PlanDifference> {
    fn lines(run: &RunRecord) -> Vec<&str> {
        let text = run.plan.text.as_deref().unwrap_or("");
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }
    let is_everywhere = |line: &str| runs.iter().all(|run| lines(run).contains(&line));
    let of = |run: &&RunRecord| {
        let own = lines(run).into_iter().filter(|line| !is_everywhere(line));
        PlanDifference { run: run.plan.run.to_string(), lines: own.map(str::to_owned).collect() }
    };
    runs.iter().map(of).collect()
}

impl View for CompareView {
    fn page(&self) -> Page {
        let mut page = Page::new("Runs compared");
        page.trail = vec![Cell::link("Runs", "/runs")];
        if self.runs.is_empty() {
            page.text("Name runs in the address: /runs/compare?ids=, separated by commas.");
        }
        page.blocks.extend(self.figures.iter().cloned().map(Block::Figure));
        let table = runs_table("The runs", &self.runs);
        page.csv = Some(table.clone());
        page.add(Block::Table(table));
        let columns = vec![Column::text("Run", "run"), Column::text("Only in its plan", "line")];
        let name = |id: &str| {
            let run = self.runs.iter().find(|one| one.run.id == id);
            run.map_or_else(Cell::none, |one| one.run.cell())
        };
        let rows = self.plan_differences.iter().flat_map(|one| {
            one.lines.iter().map(move |line| {
                vec![name(&one.run), Cell { class: "code", ..Cell::text(line.clone()) }]
            })
        });
        let table = Table::new("Where their plans differ", columns).with(rows);
        page.add(Block::Table(table.or("Their plans are the same, or not in the ledger.")));
        page
    }
}
