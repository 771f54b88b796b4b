//! A run: its plan, its rounds, its curves.

use std::collections::BTreeMap;

use covey_ledger::book::{RoundRecord, RunRecord};
use covey_ledger::entry::MeasuredBy;
use serde::Serialize;
use utoipa::ToSchema;

use super::compute::{ComputeLine, QualityLine, compute_blocks, quality_of};
use super::credits::intervals_figure;
use super::overview::{EntryLine, entries_table, live_block};
use super::parts::{OwnerCredit, Who, word_of};
use super::reader::{Reader, none_of};
use super::runs::{RunLine, run_state_cell};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Highlight, Page, Table, Tone};
use crate::chart::{Figure, Line, Lines, Point, Stacks};
use crate::source::Live;
use crate::text;

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunView {
    /// The run in a line.
    line: RunLine,
    /// The live state, where it is the run at hand.
    live: Option<Live>,
    /// Digest by which rounds name the plan.
    plan: String,
    /// The plan's text (TOML), word for word; none where it is not at hand.
    plan_text: Option<String>,
    /// SHA-256 digest of that text: the name of its document.
    plan_sha256: String,
    /// Numbers that travel in an update.
    parameters: u64,
    /// What its credits are settled by, where it gives any.
    terms: Option<TermsLine>,
    /// Why it ended, in words.
    ended_why: Option<String>,
    /// The model that it came to.
    model: Option<String>,
    /// Its rounds, ascending.
    rounds: Vec<RoundLine>,
    /// Owners that were not in a sum though they were invited.
    missing: Vec<MissingLine>,
    /// What its owners are credited.
    credits: Option<RunCredits>,
    /// What owners say that it took them. Never part of credit.
    compute: Vec<ComputeLine>,
    /// What that bought.
    quality: Vec<QualityLine>,
    /// Entries of the ledger about it, ascending.
    entries: Vec<EntryLine>,
    #[serde(skip)]
    figures: Vec<Figure>,
}

/// Terms of credit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TermsLine {
    /// What a round gives, in micro-credits.
    pub(crate) budget_micro: u64,
    /// Rounds of the epoch at most.
    pub(crate) rounds: u32,
    /// Fewest contributions of a round with evidence.
    pub(crate) contributions_min: u32,
}

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

/// A run's credits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunCredits {
    /// The entry of the settlement.
    entry: u64,
    /// From 1.
    epoch: u32,
    /// What the epoch gives, in micro-credits.
    pool_micro: u64,
    /// Every owner's.
    owners: Vec<OwnerCredit>,
}

pub(crate) async fn answer(reader: &Reader<'_>, id: &str) -> Answer {
    let Some(run) = reader.run(id) else { return none_of("run", id) };
    if run.plan.run.to_string() != id {
        return Answer::Elsewhere(format!("/runs/{}", run.plan.run));
    }
    let mut view = view(reader, run);
    if view.plan_text.is_none()
        && let Ok(Some(bytes)) = reader.source.document(&view.plan_sha256).await
    {
        view.plan_text = text_of(&bytes);
    }
    Answer::of(&view)
}

/// A plan's document: its text as a JSON string.
fn text_of(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice(bytes).ok()
}

fn view(reader: &Reader<'_>, run: &RunRecord) -> RunView {
    let plan = &run.plan;
    let live = reader.live().filter(|live| live.run.as_ref() == Some(&plan.run.to_string()));
    let entries = reader.ledger.into_iter().flat_map(|book| book.entries_of_run(&plan.run));
    RunView {
        line: RunLine::of(reader, run),
        live,
        plan: plan.plan.to_string(),
        plan_text: plan.text.clone(),
        plan_sha256: plan.document.sha256.to_string(),
        parameters: plan.parameters,
        terms: run.terms.map(|terms| TermsLine {
            budget_micro: terms.get().budget_micro,
            rounds: terms.get().rounds,
            contributions_min: terms.get().contributions_min,
        }),
        ended_why: run.ended.as_ref().map(|(ended, _)| ended.why.clone()),
        model: run.ended.as_ref().map(|(ended, _)| ended.model.to_string()),
        rounds: run.rounds.values().map(|round| RoundLine::of(round)).collect(),
        missing: missing_of(reader, run),
        credits: run.credits.as_ref().map(|credits| RunCredits {
            entry: credits.entry,
            epoch: credits.epoch,
            pool_micro: credits.settlement.pool_micro,
            owners: OwnerCredit::all(reader, credits),
        }),
        compute: ComputeLine::all(reader, run),
        quality: quality_of(run),
        entries: entries.map(|entry| EntryLine::of(reader, entry)).collect(),
        figures: figures(run),
    }
}

fn missing_of(reader: &Reader<'_>, run: &RunRecord) -> Vec<MissingLine> {
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

/// A metric's name with its source.
pub(crate) fn metric_name(name: &str, by: MeasuredBy) -> String {
    match by {
        MeasuredBy::Coordinator => format!("{name} (coordinator's file, after)"),
        MeasuredBy::Owners => format!("{name} (owners together, before)"),
    }
}

impl RoundLine {
    fn of(round: &RoundRecord) -> Self {
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

/// One chart for each metric, with a line for each run and source.
pub(crate) fn metric_figures(runs: &[(String, &RunRecord)]) -> Vec<Figure> {
    let mut lines: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for (label, run) in runs {
        for (name, by) in run.metrics() {
            let points = run.curve(&name, by).into_iter();
            let points = points.map(|one| Point::at(one.round.into(), one.millionths as f64 / 1e6));
            let source = metric_name("", by);
            let line = Line { name: format!("{label}{source}"), points: points.collect() };
            lines.entry(name).or_default().push(line);
        }
    }
    let figure = |(name, lines): (String, Vec<Line>)| {
        let points = lines.iter().flat_map(|line| line.points.last());
        let last = points.map(|point| text::decimal(point.y, 4)).collect::<Vec<_>>().join(", ");
        let figure = Lines {
            title: format!("{name} per round"),
            summary: format!(
                "At the end: {last}. One run has one curve: no other seeds, hence no band."
            ),
            across: "Round",
            up: "Value",
            lines,
            limit: None,
            digits: 4,
        };
        figure.draw()
    };
    lines.into_iter().map(figure).collect()
}

fn figures(run: &RunRecord) -> Vec<Figure> {
    let mut figures = metric_figures(&[(String::new(), run)]);
    let rounds = || run.rounds.values();
    if run.rounds.is_empty() {
        return figures;
    }
    let count = |name: &str, of: fn(&RoundRecord) -> u32| Line {
        name: name.to_owned(),
        points: rounds().map(|one| Point::at(one.closed.round.into(), of(one).into())).collect(),
    };
    let minimum = run.terms.map(|terms| f64::from(terms.get().contributions_min));
    let cohort = Lines {
        title: "Owners per round".to_owned(),
        summary: "How many were invited, sent something, and are in the sum.".to_owned(),
        across: "Round",
        up: "Owners",
        lines: vec![
            count("invited", |one| one.closed.invited),
            count("joined", |one| one.closed.joined),
            count("counted", |one| one.closed.counted),
        ],
        limit: minimum.map(|minimum| ("fewest for credit".to_owned(), minimum)),
        digits: 0,
    };
    figures.push(cohort.draw());
    figures.extend(phases_figure(run));
    figures.extend(traffic_figure(run));
    figures.extend(epsilon_figure(run));
    figures
}

fn phases_figure(run: &RunRecord) -> Option<Figure> {
    let mut names: Vec<String> = Vec::new();
    for span in run.rounds.values().flat_map(|round| &round.closed.phases_ms) {
        if !names.contains(&span.phase) {
            names.push(span.phase.clone());
        }
    }
    let bar = |round: &RoundRecord| {
        let spans = &round.closed.phases_ms;
        let ms = |name: &String| {
            spans.iter().filter(|one| one.phase == *name).map(|one| one.ms).sum::<u64>()
        };
        (
            round.closed.round.to_string(),
            names.iter().map(|name| ms(name) as f64 / 1000.0).collect(),
        )
    };
    let bars: Vec<_> = run.rounds.values().map(bar).collect();
    (!names.is_empty()).then(|| {
        let stacks = Stacks {
            title: "Seconds per round and phase".to_owned(),
            summary: "Where the time of each round went.".to_owned(),
            across: "Round",
            up: "Seconds",
            series: names.clone(),
            bars,
            digits: 1,
        };
        stacks.draw()
    })
}

fn traffic_figure(run: &RunRecord) -> Option<Figure> {
    let traffic = |round: &RoundRecord| Some((round.closed.round, round.closed.traffic?));
    let all: Vec<_> = run.rounds.values().filter_map(traffic).collect();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    (!all.is_empty()).then(|| {
        let stacks = Stacks {
            title: "Bytes per round".to_owned(),
            summary: "Between owners and coordinator, all owners together.".to_owned(),
            across: "Round",
            up: "Megabytes",
            series: vec!["from owners".to_owned(), "to owners".to_owned()],
            bars: all
                .iter()
                .map(|(round, one)| {
                    (round.to_string(), vec![megabytes(one.up), megabytes(one.down)])
                })
                .collect(),
            digits: 3,
        };
        stacks.draw()
    })
}

fn epsilon_figure(run: &RunRecord) -> Option<Figure> {
    let mut spent = 0.0;
    let points: Vec<_> = run
        .rounds
        .values()
        .filter_map(|round| {
            let epsilon = round.closed.published.as_ref()?.epsilon_millionths?;
            spent += epsilon as f64 / 1e6;
            Some(Point::at(round.closed.round.into(), spent))
        })
        .collect();
    (!points.is_empty()).then(|| {
        let lines = Lines {
            title: "Epsilon spent".to_owned(),
            summary: "Added up over rounds: an upper bound; composition is tighter.".to_owned(),
            across: "Round",
            up: "Epsilon",
            lines: vec![Line { name: "spent".to_owned(), points }],
            limit: None,
            digits: 3,
        };
        lines.draw()
    })
}

fn rounds_table(rounds: &[RoundLine]) -> Table {
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

impl RunView {
    fn facts(&self) -> Block {
        let mut facts = vec![
            ("Launched by".to_owned(), vec![self.line.launched_by.cell()]),
            (
                "Accepted".to_owned(),
                vec![
                    Cell::time(self.line.accepted_ms),
                    Cell::text(", entry "),
                    Cell::entry(self.line.entry),
                ],
            ),
            ("Run".to_owned(), vec![Cell::whole_hex(&self.line.run.id)]),
            ("Plan".to_owned(), vec![Cell::whole_hex(&self.plan)]),
            ("Numbers in an update".to_owned(), vec![Cell::number(self.parameters)]),
        ];
        if let Some(terms) = &self.terms {
            let words = format!(
                "{} credits a round, for up to {} rounds with at least {} contributions",
                text::credits(terms.budget_micro),
                terms.rounds,
                terms.contributions_min,
            );
            facts.push(("Gives".to_owned(), vec![Cell::text(words)]));
        }
        if let Some(why) = &self.ended_why {
            facts.push((
                "Ended".to_owned(),
                vec![run_state_cell(&self.line.state), Cell::text(format!(" {why}"))],
            ));
        }
        if let Some(model) = &self.model {
            facts.push(("Model".to_owned(), vec![Cell::whole_hex(model)]));
        }
        Block::Facts(facts)
    }

    fn highlights(&self) -> Block {
        let one = |label: &str, value: String, note: String, href: String| Highlight {
            label: label.to_owned(),
            value,
            note,
            href,
        };
        let paid = self.line.paid_micro.map_or_else(|| "not settled".to_owned(), text::credits);
        let href =
            self.credits.as_ref().map_or_else(String::new, |one| format!("/entries/{}", one.entry));
        let metric =
            if self.line.metric.is_empty() { "none".to_owned() } else { self.line.metric.clone() };
        Block::Highlights(vec![
            one("State", self.line.state.clone(), String::new(), String::new()),
            one(
                "Rounds",
                text::number(self.line.rounds_over),
                format!("of {}, {} abandoned", self.line.rounds_asked, self.line.rounds_abandoned),
                String::new(),
            ),
            one(
                "Owners, last round",
                text::number(self.line.counted_last),
                "in the sum".to_owned(),
                String::new(),
            ),
            one("Newest metric", metric, String::new(), String::new()),
            one(
                "Credits paid",
                paid,
                self.credits
                    .as_ref()
                    .map_or_else(String::new, |one| format!("epoch {}", one.epoch)),
                href,
            ),
        ])
    }

    fn missing_table(&self) -> Table {
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
            .with(self.missing.iter().map(row))
            .or("Everybody who was invited is in every sum.")
    }
}

impl View for RunView {
    fn page(&self) -> Page {
        let mut page = Page::new(format!("Run {}", self.line.run.name));
        page.trail = vec![Cell::link("Runs", "/runs")];
        page.add(self.highlights());
        page.blocks.extend(self.live.as_ref().map(live_block));
        page.add(self.facts());
        page.blocks.extend(self.figures.iter().cloned().map(Block::Figure));
        let table = rounds_table(&self.rounds);
        page.csv = Some(table.clone());
        page.add(Block::Table(table));
        page.add(Block::Table(self.missing_table()));
        if let Some(credits) = &self.credits {
            page.heading("Credits", "credits");
            page.add(Block::Text(vec![
                Cell::text(format!(
                    "This run is epoch {}; it gave {} credits. ",
                    credits.epoch,
                    text::credits(credits.pool_micro)
                )),
                Cell::link(
                    "Why each owner is credited what it is",
                    format!("/entries/{}", credits.entry),
                ),
            ]));
            page.add(Block::Figure(intervals_figure(&credits.owners, "")));
        }
        page.blocks.extend(compute_blocks(&self.compute, &self.quality));
        page.heading("The plan", "plan");
        match &self.plan_text {
            Some(plan) => page.add(Block::Code("The plan", plan.clone())),
            None => page.text("Its text is not at hand; ask for the document by its digest."),
        }
        page.add(Block::Text(vec![
            Cell::text("As it was signed: "),
            Cell::link("document", format!("/documents/{}", self.plan_sha256)),
            Cell::text(", SHA-256 "),
            Cell::whole_hex(&self.plan_sha256),
        ]));
        page.add(Block::Table(entries_table("All entries about this run", &self.entries)));
        page
    }
}
