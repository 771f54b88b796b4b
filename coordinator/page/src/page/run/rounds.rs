//! A run's rounds, and who was missing in them.

use std::collections::BTreeMap;

use covey_ledger::book::{RoundRecord, RunRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::metric_name;
use crate::block::{Cell, Column, Table, Tone};
use crate::page::parts::{Who, word_of};
use crate::page::reader::Reader;
use crate::text;

/// A round.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundLine {
    /// From 1.
    round: u32,
    /// `done`, `degraded` or `abandoned`.
    outcome: String,
    /// Why, where something was not as planned.
    reason: Option<String>,
    /// Owners that were asked.
    invited: u32,
    /// Owners whose contribution arrived.
    joined: u32,
    /// Owners in the sum.
    counted: u32,
    /// What holders did wrong.
    faults: Vec<String>,
    /// Metrics by name and source, in millionths.
    metrics_millionths: BTreeMap<String, i64>,
    /// How long each phase took, in milliseconds.
    phases_ms: BTreeMap<String, u64>,
    /// Bytes from owners.
    bytes_up: Option<u64>,
    /// Bytes to owners.
    bytes_down: Option<u64>,
    /// epsilon spent, in millionths.
    epsilon_millionths: Option<u64>,
    /// The model that it began with.
    model_before: String,
    /// The model that it came to.
    model_after: String,
    /// The document that the round published.
    publication: Option<String>,
    /// When it was over, in milliseconds since the Unix epoch.
    closed_ms: u64,
    /// The entry that says so.
    entry: u64,
    /// The entry of its evidence.
    evidence: Option<u64>,
}

/// An owner that is not in a sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingLine {
    round: u32,
    owner: Who,
    /// In a word.
    code: String,
    /// In words.
    why: String,
}

/// Who was missing in the rounds of a run.
pub(super) fn missing_of(reader: &Reader<'_>, run: &RunRecord) -> Vec<MissingLine> {
    let of_round = |round: &RoundRecord| -> Vec<MissingLine> {
        let missing = round.owners.iter().filter_map(|one| Some((one, one.missing.as_ref()?)));
        let line = |(one, missing): (
            &covey_ledger::entry::Participation,
            &covey_ledger::entry::Missing,
        )| {
            MissingLine {
                round: round.closed.round,
                owner: reader.who(&one.owner),
                code: word_of(&missing.code),
                why: missing.why.clone(),
            }
        };
        missing.map(line).collect()
    };
    run.rounds.values().flat_map(of_round).collect()
}

impl RoundLine {
    pub(super) fn of(round: &RoundRecord) -> Self {
        let closed = &round.closed;
        let metrics = closed.metrics.iter();
        Self {
            round: closed.round,
            outcome: word_of(&closed.outcome),
            reason: closed.reason.clone(),
            invited: closed.invited,
            joined: closed.joined,
            counted: closed.counted,
            faults: closed
                .faults
                .iter()
                .map(|one| format!("holder {}: {}", one.holder, one.fault))
                .collect(),
            metrics_millionths: metrics
                .map(|one| (metric_name(&one.name, one.by), one.millionths))
                .collect(),
            phases_ms: closed.phases_ms.iter().map(|one| (one.phase.clone(), one.ms)).collect(),
            bytes_up: closed.traffic.map(|traffic| traffic.up),
            bytes_down: closed.traffic.map(|traffic| traffic.down),
            epsilon_millionths: closed.published.as_ref().and_then(|one| one.epsilon_millionths),
            model_before: closed.model_before.to_string(),
            model_after: closed.model_after.to_string(),
            publication: closed.published.as_ref().map(|one| one.document.sha256.to_string()),
            closed_ms: round.closed_ms,
            entry: round.entry,
            evidence: round.evidence.as_ref().map(|(entry, _)| *entry),
        }
    }
}

/// Rounds as a table.
pub(super) fn rounds_table(rounds: &[RoundLine]) -> Table {
    let columns = vec![
        Column::number("Round", "round"),
        Column::text("Outcome", "outcome"),
        Column::number("Invited", "invited"),
        Column::number("Joined", "joined"),
        Column::number("Counted", "counted"),
        Column::text("Metrics", "metrics"),
        Column::number("Took", "took_ms"),
        Column::number("Up", "bytes_up"),
        Column::number("Down", "bytes_down"),
        Column::number("Entry", "entry"),
        Column::number("Evidence", "evidence"),
        Column::text("Remarks", "remarks"),
    ];
    let row = |round: &RoundLine| {
        let tone = match round.outcome.as_str() {
            "done" => Tone::Good,
            "degraded" => Tone::Note,
            _ => Tone::Warn,
        };
        let metrics = round.metrics_millionths.iter();
        let metrics: Vec<_> = metrics
            .map(|(name, value)| {
                format!(
                    "{} {}",
                    name.split(' ').next().unwrap_or(""),
                    text::decimal(*value as f64 / 1e6, 4)
                )
            })
            .collect();
        let took: u64 = round.phases_ms.values().sum();
        let size = |bytes: Option<u64>| {
            bytes.map_or_else(Cell::none, |count| {
                Cell::text(text::bytes(count)).read_as(count.to_string())
            })
        };
        let remarks = round.reason.iter().cloned().chain(round.faults.iter().cloned());
        vec![
            Cell::number(round.round),
            Cell::badge(tone, round.outcome.clone()),
            Cell::number(round.invited),
            Cell::number(round.joined),
            Cell::number(round.counted),
            Cell::text(metrics.join(", ")),
            Cell::text(text::duration(took)).read_as(took.to_string()),
            size(round.bytes_up),
            size(round.bytes_down),
            Cell::entry(round.entry),
            round.evidence.map_or_else(Cell::none, Cell::entry),
            Cell::text(remarks.collect::<Vec<_>>().join("; ")),
        ]
    };
    Table::new("Rounds", columns).with(rounds.iter().map(row)).or("No round is over yet.")
}

/// Who was missing, as a table.
pub(super) fn missing_table(missing: &[MissingLine]) -> Table {
    let columns = vec![
        Column::number("Round", "round"),
        Column::text("Owner", "owner"),
        Column::text("Why", "code"),
        Column::text("In words", "why"),
    ];
    let row = |one: &MissingLine| {
        vec![
            Cell::number(one.round),
            one.owner.cell(),
            Cell::text(one.code.clone()),
            Cell::text(one.why.clone()),
        ]
    };
    let caption = "Invited, but not in the sum";
    Table::new(caption, columns)
        .with(missing.iter().map(row))
        .or("Everybody who was invited is in every sum.")
}
