//! The federation at a glance.

use std::collections::BTreeMap;

use covey_aggregation::party::Role;
use covey_ledger::book::{Book, State, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::credits::over_epochs;
use super::parts::{WhichRun, Who};
use super::reader::Reader;
use super::run::metric_figures;
use super::runs::{RunLine, runs_table};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Highlight, LiveLine, Page, Table, Tone};
use crate::live::Words;
use crate::source::{Federation, Live};
use crate::text;

/// Runs and entries that are listed.
const LISTED: usize = 5;

/// The federation at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverviewView {
    /// Its name and the keys of its log.
    federation: Federation,
    /// Entries of the ledger.
    entries: u64,
    /// Active data owners.
    owners: u64,
    /// Active researchers.
    researchers: u64,
    /// Holders of the committee.
    holders: Vec<Who>,
    /// Members that review.
    reviewers: Vec<Who>,
    /// Runs that were accepted.
    runs: u64,
    /// Epochs that were settled: each run that gives credits is one.
    epochs: u64,
    /// What they paid, in micro-credits.
    paid_micro: u64,
    /// Disputes that are voted on.
    disputes_open: u64,
    /// Proposals that are voted on.
    proposals_open: u64,
    /// Payouts that were made.
    payouts: u64,
    /// The run at hand.
    live: Option<Live>,
    /// The newest runs.
    newest_runs: Vec<RunLine>,
    /// What each member was paid in each epoch, in micro-credits, by epoch and name.
    paid_by_epoch: Vec<EpochPaid>,
    /// The newest entries.
    newest_entries: Vec<EntryLine>,
    #[serde(skip)]
    figures: Vec<Block>,
}

/// What members were paid in an epoch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EpochPaid {
    /// From 1.
    pub(crate) epoch: u32,
    /// The run.
    pub(crate) run: WhichRun,
    /// The entry of the settlement.
    pub(crate) entry: u64,
    /// By name: micro-credits.
    pub(crate) paid_micro: BTreeMap<String, u64>,
}

/// An entry in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryLine {
    /// From 0.
    pub(crate) index: u64,
    /// When it was written, in milliseconds since the Unix epoch.
    pub(crate) time_ms: u64,
    /// What it is about.
    pub(crate) kind: String,
    /// What names it.
    pub(crate) subject: String,
    /// The run that it belongs to.
    pub(crate) run: Option<WhichRun>,
    /// The round of that run.
    pub(crate) round: Option<u32>,
    /// The members that it names.
    pub(crate) members: Vec<Who>,
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    match reader.book() {
        Ok(book) => Answer::of(&view(reader, book)),
        Err(empty) => empty,
    }
}

fn view(reader: &Reader<'_>, book: &Book) -> OverviewView {
    let active = |role| {
        let all = book.members_with(role);
        all.filter(|member| member.status == Status::Active).count() as u64
    };
    let settlements = reader.settlements();
    let paid = settlements.iter().map(|one| one.settlement.paid_micro);
    let newest_runs: Vec<_> =
        book.runs().iter().rev().take(LISTED).map(|run| RunLine::of(reader, run)).collect();
    let paid_by_epoch = over_epochs(reader);
    let mut figures = Vec::new();
    let last = book.runs().iter().rev().find(|run| !run.rounds.is_empty());
    if let Some(run) = last {
        let label = format!("{} ", run.plan.name);
        let mut newest = metric_figures(&[(label.clone(), run)]);
        newest.truncate(1);
        for mut figure in newest {
            figure.title = format!("{label}\u{2013} {}", figure.title);
            figures.push(Block::Figure(figure));
        }
    }
    figures.push(Block::Figure(super::credits::epochs_figure(&paid_by_epoch)));
    let newest = book.entries().iter().rev().take(LISTED);
    OverviewView {
        federation: reader.source.federation(),
        entries: book.size(),
        owners: active(Role::DataOwner),
        researchers: active(Role::Researcher),
        holders: book.founding().holders.iter().map(|holder| reader.who(&holder.id)).collect(),
        reviewers: book.reviewers().iter().map(|reviewer| reader.who(reviewer)).collect(),
        runs: book.runs().len() as u64,
        epochs: settlements.len() as u64,
        paid_micro: paid.sum(),
        disputes_open: book.disputes().iter().filter(|one| matches!(one.state, State::Open)).count()
            as u64,
        proposals_open: book
            .proposals()
            .iter()
            .filter(|one| matches!(one.state, State::Open))
            .count() as u64,
        payouts: book.payouts().len() as u64,
        live: reader.live(),
        newest_runs,
        paid_by_epoch,
        newest_entries: newest.map(|entry| EntryLine::of(reader, entry)).collect(),
        figures,
    }
}

impl EntryLine {
    pub(crate) fn of(reader: &Reader<'_>, entry: &covey_ledger::book::EntryRecord) -> Self {
        Self {
            index: entry.index,
            time_ms: entry.time_ms,
            kind: entry.kind.to_string(),
            subject: entry.subject.clone(),
            run: entry.run.map(|run| reader.which(&run)),
            round: entry.round,
            members: entry.members.iter().map(|member| reader.who(member)).collect(),
        }
    }
}

/// Entries as a table.
pub(crate) fn entries_table(caption: &str, entries: &[EntryLine]) -> Table {
    let columns = vec![
        Column::number("Entry", "index"),
        Column::text("Time", "time"),
        Column::text("What", "kind"),
        Column::text("Run", "run"),
        Column::number("Round", "round"),
        Column::text("Who", "members"),
    ];
    let row = |entry: &EntryLine| {
        let run = entry.run.as_ref().map_or_else(Cell::none, WhichRun::cell);
        let round = entry.round.map_or_else(Cell::none, Cell::number);
        let who = match entry.members.as_slice() {
            [] => Cell::none(),
            [one] => one.cell(),
            [one, rest @ ..] => Cell::text(format!("{} and {} more", one.name, rest.len())),
        };
        let kind = Cell::text(entry.kind.replace('-', " ")).read_as(entry.kind.clone());
        vec![Cell::entry(entry.index), Cell::time(entry.time_ms), kind, run, round, who]
    };
    Table::new(caption, columns).with(entries.iter().map(row))
}

/// The line about the run at hand.
pub(crate) fn live_block(live: &Live) -> Block {
    let href = live.run.as_ref().map_or_else(|| "/runs".to_owned(), |run| format!("/runs/{run}"));
    Block::Live(Box::new(LiveLine { href, words: Words::of(live) }))
}

impl View for OverviewView {
    fn page(&self) -> Page {
        let mut page = Page::new(self.federation.origin.clone());
        page.lead = vec![Cell::text(
            "Who brought what to this federation, what it was worth, and why. All of it is read from \
             an append-only ledger that key holders cosign and anybody can check.",
        )];
        let one = |label: &str, value: String, note: String, href: &str| Highlight {
            label: label.to_owned(),
            value,
            note,
            href: href.to_owned(),
        };
        page.add(Block::Highlights(vec![
            one(
                "Data owners",
                text::number(self.owners),
                format!(
                    "{}, {}",
                    text::count(self.researchers, "researcher"),
                    text::count(self.holders.len() as u64, "holder"),
                ),
                "/members",
            ),
            one("Runs", text::number(self.runs), format!("{} settled", self.epochs), "/runs"),
            one(
                "Credits given",
                text::credits(self.paid_micro),
                format!("in {}", text::count(self.epochs, "epoch")),
                "/credits",
            ),
            one(
                "Open disputes",
                text::number(self.disputes_open),
                format!("and {}", text::count(self.proposals_open, "open proposal")),
                "/disputes",
            ),
            one("Payouts", text::number(self.payouts), "cumulative".to_owned(), "/payouts"),
            one(
                "Ledger",
                text::number(self.entries),
                format!(
                    "entries; {} of {} holders cosign",
                    self.federation.quorum,
                    self.federation.witnesses.len()
                ),
                "/ledger",
            ),
        ]));
        match &self.live {
            Some(live) => page.add(live_block(live)),
            None => {
                page.add(Block::Notice(Tone::Note, vec![Cell::text("No run is going on now.")]))
            }
        }
        page.blocks.extend(self.figures.iter().cloned());
        page.add(Block::Table(runs_table("Newest runs", &self.newest_runs)));
        page.add(Block::Table(entries_table("Newest entries", &self.newest_entries)));
        page
    }
}
