//! What training took: as owners say, and as it is computed from the plan. Never part of credit.

use covey_ledger::book::{ComputeReport, ComputeTotal, RunRecord};
use covey_ledger::entry::MeasuredBy;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{WhichRun, Who};
use super::reader::{Reader, none_of};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table};
use crate::text;

/// Reports that a run's page shows at most.
const RUN_ROWS_MAX: usize = 30;

/// Reports that their own page shows at most.
const PAGE_ROWS_MAX: usize = 2_000;

/// How much these numbers are worth.
const HOW_SURE: &str = "What owners say of their own devices is asserted: nobody can check it. Each runs a short \
    reference benchmark once; device time at that speed is what different devices can be compared by. Operations \
    are computed from the plan, for the examples that owners say they trained on. Never part of credit.";

/// What a run took an owner.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ComputeLine {
    /// Whose; none for all together.
    owner: Option<Who>,
    /// Rounds that were reported.
    rounds: u32,
    /// Asserted by the owner: examples that were trained on, each as often as it was.
    asserted_examples: u64,
    /// Asserted by the owner: how long its device worked, in milliseconds.
    asserted_device_ms: u64,
    /// Asserted by the owner: bytes sent.
    asserted_bytes_up: u64,
    /// Asserted by the owner: bytes received.
    asserted_bytes_down: u64,
    /// Asserted by the owner: operations that its device would have done in that time at the speed of its
    /// reference benchmark, in decimal digits.
    asserted_benchmark_flops: String,
    /// Computed from the plan and the asserted examples: floating-point operations, in decimal digits.
    computed_flops: Option<String>,
}

/// What compute bought.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QualityLine {
    /// The metric.
    metric: String,
    /// Who measured it.
    by: String,
    /// Its first value, in millionths.
    from_millionths: i64,
    /// Its last value, in millionths.
    to_millionths: i64,
    /// Asserted: device time for each hundredth gained, in milliseconds; none where nothing was gained.
    asserted_device_ms_per_hundredth: Option<u64>,
    /// Asserted: that time at the speeds of the devices' reference benchmarks, in floating-point operations
    /// in decimal digits: what runs on different devices can be compared by. None where nothing was
    /// gained, or a device has run no benchmark.
    asserted_benchmark_flops_per_hundredth: Option<String>,
    /// Computed from the plan and the asserted examples: floating-point operations for each hundredth
    /// gained, in decimal digits.
    computed_flops_per_hundredth: Option<String>,
}

/// What a round took an owner.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReportLine {
    round: u32,
    owner: Who,
    /// Asserted by the owner: examples that were trained on, each as often as it was.
    asserted_examples: u64,
    /// Asserted by the owner: how long its device worked, in milliseconds.
    asserted_device_ms: u64,
    /// Asserted by the owner: bytes sent.
    asserted_bytes_up: u64,
    /// Asserted by the owner: bytes received.
    asserted_bytes_down: u64,
    /// Asserted by the owner: what its device does in a second of the reference benchmark, in millions of
    /// floating-point operations; 0 where it was not run.
    asserted_benchmark_mflops: u64,
    /// Asserted by the owner: operations that its device would have done in that time at that speed, in
    /// decimal digits.
    asserted_benchmark_flops: String,
    /// Computed from the plan and the asserted examples: floating-point operations, in decimal digits.
    computed_flops: Option<String>,
    /// The entry.
    entry: u64,
}

/// What every round of a run took every owner that said so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComputeView {
    /// The run.
    run: WhichRun,
    /// By owner, and of all together.
    totals: Vec<ComputeLine>,
    /// What that bought.
    quality: Vec<QualityLine>,
    /// Every report, ascending by round.
    reports: Vec<ReportLine>,
}

pub(crate) fn answer(reader: &Reader<'_>, id: &str) -> Answer {
    let Some(run) = reader.run(id) else { return none_of("run", id) };
    Answer::of(&ComputeView {
        run: reader.which(&run.plan.run),
        totals: ComputeLine::all(reader, run),
        quality: quality_of(run),
        reports: ReportLine::all(reader, run),
    })
}

impl ReportLine {
    /// All reports of a run, ascending by round.
    pub(crate) fn all(reader: &Reader<'_>, run: &RunRecord) -> Vec<Self> {
        run.reports().map(|report| Self::of(reader, report)).collect()
    }

    fn of(reader: &Reader<'_>, report: ComputeReport) -> Self {
        let said = report.said;
        Self {
            round: report.round,
            owner: reader.who(&report.owner),
            asserted_examples: said.examples,
            asserted_device_ms: said.device_ms,
            asserted_bytes_up: said.bytes_up,
            asserted_bytes_down: said.bytes_down,
            asserted_benchmark_mflops: said.benchmark_mflops,
            asserted_benchmark_flops: report.benchmark_flops.to_string(),
            computed_flops: report.flops,
            entry: report.entry,
        }
    }
}

impl ComputeLine {
    /// All owners of a run that said something, and the sum of them.
    pub(crate) fn all(reader: &Reader<'_>, run: &RunRecord) -> Vec<Self> {
        let owners = run.compute();
        if owners.is_empty() {
            return Vec::new();
        }
        let sum = run.compute_of(None);
        owners.iter().chain([&sum]).map(|total| Self::of(reader, total)).collect()
    }

    fn of(reader: &Reader<'_>, total: &ComputeTotal) -> Self {
        Self {
            owner: total.owner.map(|owner| reader.who(&owner)),
            rounds: total.rounds,
            asserted_examples: total.examples,
            asserted_device_ms: total.device_ms,
            asserted_bytes_up: total.bytes_up,
            asserted_bytes_down: total.bytes_down,
            asserted_benchmark_flops: total.benchmark_flops.to_string(),
            computed_flops: total.flops.clone(),
        }
    }
}

/// What the compute of a run bought, by every metric of it.
pub(crate) fn quality_of(run: &RunRecord) -> Vec<QualityLine> {
    let line = |(metric, by): (String, MeasuredBy)| {
        // Losses and errors are the better the smaller.
        let is_gain = !["loss", "error", "perplexity"].iter().any(|word| metric.contains(word));
        let quality = run.quality(&metric, by, is_gain)?;
        Some(QualityLine {
            metric,
            by: super::parts::word_of(&by),
            from_millionths: quality.from_to_millionths.0,
            to_millionths: quality.from_to_millionths.1,
            asserted_device_ms_per_hundredth: quality.price.as_ref().map(|price| price.device_ms),
            asserted_benchmark_flops_per_hundredth: quality
                .price
                .as_ref()
                .and_then(|price| price.benchmark_flops.clone()),
            computed_flops_per_hundredth: quality.price.and_then(|price| price.flops),
        })
    };
    run.metrics().into_iter().filter_map(line).collect()
}

/// The tables about compute, with the reports of the last rounds.
pub(crate) fn compute_blocks(
    run: &WhichRun,
    lines: &[ComputeLine],
    quality: &[QualityLine],
    reports: &[ReportLine],
) -> Vec<Block> {
    let heading = Block::Heading("What it took".to_owned(), "compute");
    if lines.is_empty() {
        let text = "No owner has reported what its rounds took. It would never be part of credit.";
        return vec![heading, Block::Text(vec![Cell::text(text)])];
    }
    vec![
        heading,
        Block::Text(vec![Cell::text(HOW_SURE)]),
        Block::Table(compute_table(lines)),
        Block::Table(quality_table(quality)),
        Block::Table(reports_table(newest(reports, RUN_ROWS_MAX))),
        Block::Text(vec![
            Cell::link("All reports", format!("/runs/{}/compute", run.id)),
            Cell::text(format!(
                " of this run, {} in all; for programs, too.",
                text::number(reports.len() as i128)
            )),
        ]),
    ]
}

/// The last of them: whole rounds, as far as they fit.
fn newest(reports: &[ReportLine], rows_max: usize) -> &[ReportLine] {
    let Some(from) = reports.len().checked_sub(rows_max).filter(|from| *from > 0) else {
        return reports;
    };
    let cut = reports[from - 1].round;
    let whole = reports[from..].iter().position(|one| one.round != cut);
    // A single round of more owners than fit is cut.
    &reports[from + whole.unwrap_or(0)..]
}

fn reports_table(reports: &[ReportLine]) -> Table {
    let columns = vec![
        Column::number("Round", "round"),
        Column::text("Owner", "owner"),
        Column::number("Examples (asserted)", "asserted_examples"),
        Column::number("Device time (asserted)", "asserted_device_ms"),
        Column::number("Sent (asserted)", "asserted_bytes_up"),
        Column::number("Received (asserted)", "asserted_bytes_down"),
        Column::number("Benchmark, a second (asserted)", "asserted_benchmark_mflops"),
        Column::number("At benchmark speed (asserted)", "asserted_benchmark_flops"),
        Column::number("Operations (computed)", "computed_flops"),
        Column::number("Entry", "entry"),
    ];
    let row = |one: &ReportLine| {
        let benchmark = match one.asserted_benchmark_mflops {
            0 => Cell::none(),
            mflops => {
                Cell::text(operations(&format!("{mflops}000000"))).read_as(mflops.to_string())
            }
        };
        vec![
            Cell::number(one.round),
            one.owner.cell(),
            Cell::number(one.asserted_examples),
            duration(one.asserted_device_ms),
            size(one.asserted_bytes_up),
            size(one.asserted_bytes_down),
            benchmark,
            flops(&one.asserted_benchmark_flops),
            one.computed_flops.as_deref().map_or_else(Cell::none, flops),
            Cell::entry(one.entry),
        ]
    };
    Table::new("What each round took, as its owners say", columns).with(reports.iter().map(row))
}

impl View for ComputeView {
    fn page(&self) -> Page {
        let mut page = Page::new(format!("What run {} took", self.run.name));
        page.trail = vec![Cell::link("Runs", "/runs"), self.run.cell()];
        page.text(HOW_SURE);
        page.add(Block::Table(compute_table(&self.totals)));
        page.add(Block::Table(quality_table(&self.quality)));
        page.csv = Some(reports_table(&self.reports));
        page.add(Block::Table(reports_table(newest(&self.reports, PAGE_ROWS_MAX))));
        if self.reports.len() > PAGE_ROWS_MAX {
            page.text("Only the last rounds are shown; JSON and CSV have all.");
        }
        page
    }
}

fn compute_table(lines: &[ComputeLine]) -> Table {
    let columns = vec![
        Column::text("Owner", "owner"),
        Column::number("Rounds", "rounds"),
        Column::number("Examples (asserted)", "asserted_examples"),
        Column::number("Device time (asserted)", "asserted_device_ms"),
        Column::number("Sent (asserted)", "asserted_bytes_up"),
        Column::number("Received (asserted)", "asserted_bytes_down"),
        Column::number("At benchmark speed (asserted)", "asserted_benchmark_flops"),
        Column::number("Operations (computed)", "computed_flops"),
    ];
    let row = |one: &ComputeLine| {
        let owner = one
            .owner
            .as_ref()
            .map_or_else(|| Cell { class: "strong", ..Cell::text("all") }, Who::cell);
        vec![
            owner,
            Cell::number(one.rounds),
            Cell::number(one.asserted_examples),
            duration(one.asserted_device_ms),
            size(one.asserted_bytes_up),
            size(one.asserted_bytes_down),
            flops(&one.asserted_benchmark_flops),
            one.computed_flops.as_deref().map_or_else(Cell::none, flops),
        ]
    };
    Table::new("What rounds took", columns).with(lines.iter().map(row))
}

fn size(bytes: u64) -> Cell {
    Cell::text(text::bytes(bytes)).read_as(bytes.to_string())
}

fn duration(ms: u64) -> Cell {
    Cell::text(text::duration(ms)).read_as(ms.to_string())
}

fn flops(digits: &str) -> Cell {
    Cell::text(operations(digits)).read_as(digits)
}

/// A number of operations: `1.23 tera`.
fn operations(digits: &str) -> String {
    let value = digits.parse::<f64>().unwrap_or(0.0);
    let units = [(1e15, "peta"), (1e12, "tera"), (1e9, "giga"), (1e6, "mega")];
    match units.into_iter().find(|(size, _)| value >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", value / size),
        None => text::decimal(value, 0),
    }
}

fn quality_table(quality: &[QualityLine]) -> Table {
    let columns = vec![
        Column::text("Metric", "metric"),
        Column::text("Measured by", "by"),
        Column::number("First", "from_millionths"),
        Column::number("Last", "to_millionths"),
        Column::number(
            "Device time for each 0.01 gained (asserted)",
            "asserted_device_ms_per_hundredth",
        ),
        Column::number(
            "At benchmark speed for each 0.01 (asserted)",
            "asserted_benchmark_flops_per_hundredth",
        ),
        Column::number("Operations for each 0.01 (computed)", "computed_flops_per_hundredth"),
    ];
    let value = |millionths: i64| {
        Cell::text(text::decimal(millionths as f64 / 1e6, 4)).read_as(millionths.to_string())
    };
    let row = |one: &QualityLine| {
        let price = one
            .asserted_device_ms_per_hundredth
            .map_or_else(|| Cell::text("nothing gained").read_as(""), duration);
        let operations = |digits: &Option<String>| digits.as_deref().map_or_else(Cell::none, flops);
        vec![
            Cell::text(one.metric.clone()),
            Cell::text(one.by.clone()),
            value(one.from_millionths),
            value(one.to_millionths),
            price,
            operations(&one.asserted_benchmark_flops_per_hundredth),
            operations(&one.computed_flops_per_hundredth),
        ]
    };
    Table::new("What that bought", columns)
        .with(quality.iter().map(row))
        .or("No metric was measured.")
}
