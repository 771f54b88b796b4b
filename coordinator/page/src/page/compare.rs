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
    /// Each run's plan: lines that not all of them have.
    plan_differences: Vec<PlanDifference>,
    #[serde(skip)]
    figures: Vec<Figure>,
}

/// Lines of a plan that another one does not have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanDifference {
    /// The run.
    run: String,
    /// Whether its plan's text is at hand; where it is not, it has no lines here, and the others are
    /// compared without it.
    is_at_hand: bool,
    /// The lines.
    lines: Vec<String>,
}

pub(crate) async fn answer(reader: &Reader<'_>) -> Answer {
    let ids = reader.query.get("ids");
    let names = ids.split([',', ' ']).filter(|id| !id.is_empty());
    let mut runs = Vec::new();
    for name in names.take(RUNS_MAX) {
        match reader.run(name) {
            Some(run) => runs.push(run),
            None => return none_of("run", name),
        }
    }
    let mut plans = Vec::with_capacity(runs.len());
    for run in &runs {
        plans.push((run.plan.run.to_string(), reader.plan_text(run).await));
    }
    let labelled: Vec<_> = runs.iter().map(|run| (label(run), *run)).collect();
    Answer::of(&CompareView {
        runs: runs.iter().map(|run| RunLine::of(reader, run)).collect(),
        plan_differences: differences(&plans),
        figures: metric_figures(&labelled),
    })
}

fn label(run: &RunRecord) -> String {
    format!("{} {} ", run.plan.name, text::short(&run.plan.run.to_string()))
}

/// Where plans differ: runs, and the texts of their plans.
fn differences(plans: &[(String, Option<String>)]) -> Vec<PlanDifference> {
    fn lines(text: &str) -> Vec<&str> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }
    let known: Vec<_> = plans.iter().filter_map(|(_, text)| text.as_deref().map(lines)).collect();
    let is_everywhere = |line: &str| known.iter().all(|lines| lines.contains(&line));
    let of = |(run, text): &(String, Option<String>)| {
        let own = text.as_deref().map(lines).unwrap_or_default();
        let own = own.into_iter().filter(|line| !is_everywhere(line));
        PlanDifference {
            run: run.clone(),
            is_at_hand: text.is_some(),
            lines: own.map(str::to_owned).collect(),
        }
    };
    plans.iter().map(of).collect()
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
            let missing = (!one.is_at_hand)
                .then(|| vec![name(&one.run), Cell::text("its text is not at hand")]);
            let lines = one.lines.iter().map(|line| {
                vec![name(&one.run), Cell { class: "code", ..Cell::text(line.clone()) }]
            });
            missing.into_iter().chain(lines)
        });
        let table = Table::new("Where their plans differ", columns).with(rows);
        page.add(Block::Table(table.or("Their plans are the same.")));
        page
    }
}
