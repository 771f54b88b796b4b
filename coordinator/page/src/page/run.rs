//! A run: its plan, its rounds, its curves.

mod figures;
mod rounds;

use covey_aggregation::plan::Plan;
use covey_ledger::book::RunRecord;
use covey_ledger::entry::MeasuredBy;
use serde::Serialize;
use utoipa::ToSchema;

use self::figures::figures;
pub(crate) use self::figures::metric_figures;
use self::rounds::{MissingLine, RoundLine, missing_of, missing_table, rounds_table};
use super::compute::{ComputeLine, QualityLine, ReportLine, compute_blocks, quality_of};
use super::credits::intervals_figure;
use super::overview::{EntryLine, entries_table, live_block};
use super::parts::OwnerCredit;
use super::reader::{Reader, none_of};
use super::runs::{RunLine, run_state_cell};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Highlight, Page};
use crate::chart::Figure;
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
    /// What its noise guarantees each owner and what it does not cover, in plain words; empty where the
    /// plan's text is not at hand.
    privacy: Vec<String>,
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
    /// What each round took, as its owners say, ascending by round. Never part of credit.
    reports: Vec<ReportLine>,
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
    Answer::of(&view(reader, run, reader.plan_text(run).await))
}

fn view(reader: &Reader<'_>, run: &RunRecord, plan_text: Option<String>) -> RunView {
    let plan = &run.plan;
    let parsed = plan_text.as_deref().and_then(|text| Plan::parse(text).ok());
    let live = reader.live().filter(|live| live.run.as_ref() == Some(&plan.run.to_string()));
    let entries = reader.ledger.into_iter().flat_map(|book| book.entries_of_run(&plan.run));
    RunView {
        line: RunLine::of(reader, run),
        live,
        plan: plan.plan.to_string(),
        plan_text,
        plan_sha256: plan.document.sha256.to_string(),
        parameters: plan.parameters,
        privacy: parsed.map_or_else(Vec::new, |parsed| parsed.guarantee(plan.parameters)),
        terms: run.terms.map(|terms| TermsLine {
            budget_micro: terms.get().budget_micro,
            rounds: terms.get().rounds,
            contributions_min: terms.get().contributions_min,
        }),
        ended_why: run.ended.as_ref().map(|(ended, _)| ended.why.clone()),
        model: run.ended.as_ref().map(|(ended, _)| ended.model.to_string()),
        rounds: run.rounds.values().map(RoundLine::of).collect(),
        missing: missing_of(reader, run),
        credits: run.credits.as_ref().map(|credits| RunCredits {
            entry: credits.entry,
            epoch: credits.epoch,
            pool_micro: credits.settlement.pool_micro,
            owners: OwnerCredit::all(reader, credits),
        }),
        compute: ComputeLine::all(reader, run),
        quality: quality_of(run),
        reports: ReportLine::all(reader, run),
        entries: entries.map(|entry| EntryLine::of(reader, entry)).collect(),
        figures: figures(run),
    }
}

/// A metric's name with its source.
pub(crate) fn metric_name(name: &str, by: MeasuredBy) -> String {
    match by {
        MeasuredBy::Coordinator => format!("{name} (coordinator's file, after)"),
        MeasuredBy::Owners => format!("{name} (owners together, before)"),
    }
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
        page.add(Block::Table(missing_table(&self.missing)));
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
        let blocks = compute_blocks(&self.line.run, &self.compute, &self.quality, &self.reports);
        page.blocks.extend(blocks);
        if !self.privacy.is_empty() {
            page.heading("Privacy", "privacy");
            let point = |line: &String| vec![Cell::text(sentence(line))];
            page.add(Block::Points(self.privacy.iter().map(point).collect()));
        }
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

/// With a large first letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}
