//! What training took: as owners say, and as it is computed from the plan. Never part of credit.

use covey_ledger::book::{ComputeTotal, RunRecord};
use covey_ledger::entry::MeasuredBy;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::Who;
use super::reader::Reader;
use crate::block::{Block, Cell, Column, Table};
use crate::text;

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
    /// Device time for each hundredth gained, in milliseconds; none where nothing was gained.
    device_ms_per_hundredth: Option<u64>,
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
            device_ms_per_hundredth: quality.device_ms_per_hundredth,
        })
    };
    run.metrics().into_iter().filter_map(line).collect()
}

/// The tables about compute.
pub(crate) fn compute_blocks(lines: &[ComputeLine], quality: &[QualityLine]) -> Vec<Block> {
    let heading = Block::Heading("What it took".to_owned(), "compute");
    if lines.is_empty() {
        let text = "No owner has reported what its rounds took. It would never be part of credit.";
        return vec![heading, Block::Text(vec![Cell::text(text)])];
    }
    let text = "What owners say of their own devices is asserted: nobody can check it. Operations are \
                computed from the plan, for the examples that owners say they trained on. Never part of credit.";
    vec![
        heading,
        Block::Text(vec![Cell::text(text)]),
        Block::Table(compute_table(lines)),
        Block::Table(quality_table(quality)),
    ]
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
        let size = |count: u64| Cell::text(text::bytes(count)).read_as(count.to_string());
        let flops = |digits: &str| Cell::text(operations(digits)).read_as(digits);
        vec![
            owner,
            Cell::number(one.rounds),
            Cell::number(one.asserted_examples),
            Cell::text(text::duration(one.asserted_device_ms))
                .read_as(one.asserted_device_ms.to_string()),
            size(one.asserted_bytes_up),
            size(one.asserted_bytes_down),
            flops(&one.asserted_benchmark_flops),
            one.computed_flops.as_deref().map_or_else(Cell::none, flops),
        ]
    };
    Table::new("What rounds took", columns).with(lines.iter().map(row))
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
        Column::number("Device time for each 0.01 gained", "device_ms_per_hundredth"),
    ];
    let value = |millionths: i64| {
        Cell::text(text::decimal(millionths as f64 / 1e6, 4)).read_as(millionths.to_string())
    };
    let row = |one: &QualityLine| {
        let price = one.device_ms_per_hundredth.map_or_else(
            || Cell::text("nothing gained").read_as(""),
            |ms| Cell::text(text::duration(ms)).read_as(ms.to_string()),
        );
        vec![
            Cell::text(one.metric.clone()),
            Cell::text(one.by.clone()),
            value(one.from_millionths),
            value(one.to_millionths),
            price,
        ]
    };
    Table::new("What that bought", columns)
        .with(quality.iter().map(row))
        .or("No metric was measured.")
}
