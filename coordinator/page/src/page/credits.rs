//! Credits by epoch: every run that gives credits is one.

use covey_ledger::book::CreditsRecord;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

use super::overview::EpochPaid;
use super::parts::{OwnerCredit, WhichRun};
use super::reader::{Reader, none_of};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table, Tone, Verify, VerifyCredits};
use crate::chart::{Figure, Intervals, Stacks};
use crate::text;

/// Credits of an epoch, and all epochs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditsView {
    /// The epoch that is shown: the one asked for, or else the last.
    epoch: Option<Epoch>,
    /// All epochs, with what each member was paid.
    epochs: Vec<EpochPaid>,
}

/// An epoch: a run's credits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Epoch {
    /// From 1.
    pub(crate) number: u32,
    /// The run.
    pub(crate) run: WhichRun,
    /// The entry of the settlement.
    pub(crate) entry: u64,
    /// The entries of its evidence, by round.
    pub(crate) evidence: Vec<u64>,
    /// The entry of the settlement before it.
    pub(crate) before: Option<u64>,
    /// When it was settled, in milliseconds since the Unix epoch.
    pub(crate) settled_ms: u64,
    /// Until when it may be disputed.
    pub(crate) window_end_ms: u64,
    /// Whether it may be disputed now.
    pub(crate) is_open: bool,
    /// Rounds with evidence.
    pub(crate) rounds: Vec<u32>,
    /// What it gives, in micro-credits.
    pub(crate) pool_micro: u64,
    /// What it pays, in micro-credits.
    pub(crate) paid_micro: u64,
    /// Whether reviewers have yet to approve what it gives.
    pub(crate) needs_approval: bool,
    /// Every owner's credit, the largest first; order within a group says nothing.
    pub(crate) owners: Vec<OwnerCredit>,
    /// Pairs of owners whose scores go together, with the correlation in millionths.
    pub(crate) duplicates: Vec<Pair>,
}

/// Two owners whose scores go together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pair {
    owners: [String; 2],
    rounds: u32,
    correlation_millionths: u32,
}

/// What every member was paid in every epoch.
pub(crate) fn over_epochs(reader: &Reader<'_>) -> Vec<EpochPaid> {
    let of = |credits: &&CreditsRecord| {
        let accounts = credits.settlement.accounts.iter();
        let paid =
            accounts.map(|one| (reader.who(&one.owner).name, credits.payment_micro(&one.owner)));
        EpochPaid {
            epoch: credits.epoch,
            run: reader.which(&credits.run),
            entry: credits.entry,
            paid_micro: paid.collect::<BTreeMap<_, _>>(),
        }
    };
    reader.settlements().iter().map(of).collect()
}

/// Credits over epochs, stacked by member; who was paid most in all is at the bottom.
pub(crate) fn epochs_figure(epochs: &[EpochPaid]) -> Figure {
    let names: BTreeSet<&String> = epochs.iter().flat_map(|one| one.paid_micro.keys()).collect();
    let paid = |name: &str| epochs.iter().filter_map(|one| one.paid_micro.get(name)).sum::<u64>();
    let mut series: Vec<String> = names.into_iter().cloned().collect();
    series.sort_by_key(|name| std::cmp::Reverse(paid(name)));
    let part = |epoch: &EpochPaid, name: &String| {
        epoch.paid_micro.get(name).copied().unwrap_or(0) as f64 / 1e6
    };
    let bar = |epoch: &EpochPaid| {
        (epoch.epoch.to_string(), series.iter().map(|name| part(epoch, name)).collect())
    };
    let stacks = Stacks {
        title: "Credits paid, by epoch and member".to_owned(),
        summary: format!(
            "{}. What resolutions of disputes changed is in it.",
            text::count(epochs.len() as u64, "epoch"),
        ),
        across: "Epoch",
        up: "Credits",
        bars: epochs.iter().map(bar).collect(),
        series,
        digits: 2,
    };
    stacks.draw()
}

/// Credits with their intervals, in the order given; `chosen` is the key of who the page is about.
pub(crate) fn intervals_figure(owners: &[OwnerCredit], chosen: &str) -> Figure {
    let groups = owners.iter().map(|one| one.group).max().unwrap_or(0);
    let summary = match (owners.len(), groups) {
        (0 | 1, _) => String::new(),
        (_, 1) => "No clear difference between any of them: all intervals overlap.".to_owned(),
        (_, groups) => format!(
            "{groups} groups can be told apart. Within a group intervals overlap: no clear difference. Dashed: not told from 0."
        ),
    };
    let intervals = Intervals {
        title: "Credit of each owner with its interval".to_owned(),
        summary,
        across: "Credits",
        intervals: owners.iter().map(|one| one.interval(chosen)).collect(),
        digits: 2,
    };
    intervals.draw()
}

impl Epoch {
    pub(crate) fn of(reader: &Reader<'_>, credits: &CreditsRecord) -> Self {
        let settlement = &credits.settlement;
        let before = reader.settlements();
        let before = before.iter().find(|one| one.epoch + 1 == credits.epoch).map(|one| one.entry);
        let pair = |one: &covey_aggregation::credit::Duplicate| Pair {
            owners: one.owners.map(|owner| reader.who(&owner).name),
            rounds: one.rounds,
            correlation_millionths: one.correlation_millionths,
        };
        Self {
            number: credits.epoch,
            run: reader.which(&credits.run),
            entry: credits.entry,
            evidence: reader.evidence_of(credits),
            before,
            settled_ms: credits.settled_ms,
            window_end_ms: credits.window_end_ms,
            is_open: reader.source.now_ms() <= credits.window_end_ms,
            rounds: settlement.rounds.clone(),
            pool_micro: settlement.pool_micro,
            paid_micro: settlement.paid_micro,
            needs_approval: credits.needs_approval,
            owners: OwnerCredit::all(reader, credits),
            duplicates: settlement.duplicates.iter().map(pair).collect(),
        }
    }

    /// What the reader's browser computes again.
    pub(crate) fn verify(&self) -> Verify {
        let credits = VerifyCredits {
            entry: self.entry,
            evidence: self.evidence.clone(),
            before: self.before,
        };
        Verify { entries: vec![self.entry], credits: Some(credits), is_whole: false }
    }

    pub(crate) fn owner(&self, id: &str) -> Option<&OwnerCredit> {
        self.owners.iter().find(|one| one.owner.id == id)
    }

    /// What is said above an epoch's numbers.
    pub(crate) fn notices(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let (tone, words) = match self.is_open {
            true => (Tone::Note, "These credits may be disputed until "),
            false => (Tone::Note, "These credits could be disputed until "),
        };
        blocks.push(Block::Notice(
            tone,
            vec![
                Cell::text(words),
                Cell::time(self.window_end_ms),
                Cell::text(". "),
                Cell::link("How to dispute", format!("/disputes/new?entry={}", self.entry)),
            ],
        ));
        if self.needs_approval {
            let words = "Reviewers have yet to approve what this run gives: nothing of it is paid out before.";
            blocks.push(Block::Notice(Tone::Warn, vec![Cell::text(words)]));
        }
        for pair in &self.duplicates {
            let words = format!(
                "For review: the scores of {} and {} go together over {} rounds (correlation {}). That may be the same data twice. It changes no payment.",
                pair.owners[0],
                pair.owners[1],
                pair.rounds,
                text::decimal(f64::from(pair.correlation_millionths) / 1e6, 3),
            );
            blocks.push(Block::Notice(Tone::Warn, vec![Cell::text(words)]));
        }
        blocks
    }

    /// The credits as a table; numbers claim what the reader's browser computes again.
    pub(crate) fn table(&self) -> Table {
        let columns = vec![
            Column::text("Owner", "owner"),
            Column::number("Paid", "payment_micro"),
            Column::text("Why", "why"),
            Column::number("Credit", "credit_micro"),
            Column::number("From", "low_micro"),
            Column::number("To", "high_micro"),
            Column::number("Group", "group"),
            Column::number("Rounds", "rounds"),
            Column::number("Counts for pay", "payable_micro"),
            Column::number("Settled", "settled_micro"),
            Column::number("Changed by review", "difference_micro"),
            Column::text("Remarks", "remarks"),
        ];
        let row = |one: &OwnerCredit| {
            let claim = |name: &str, micro: i128| {
                Cell::credits(micro).claims(format!("{}/{name}", one.owner.id), micro.to_string())
            };
            let changed = match one.difference_micro {
                0 => Cell::none().read_as("0"),
                micro => Cell::credits(micro),
            };
            vec![
                one.owner.cell(),
                Cell { class: "strong", ..Cell::credits(one.payment_micro) },
                Cell::link("why", self.why(&one.owner.id)).read_as(self.why(&one.owner.id)),
                claim("credit_micro", one.credit_micro.into()),
                claim("low_micro", one.low_micro.into()),
                claim("high_micro", one.high_micro.into()),
                Cell::number(one.group),
                Cell::number(one.rounds),
                claim("payable_micro", one.payable_micro.into()),
                claim("payment_micro", one.settled_micro.into()),
                changed,
                one.remarks(),
            ]
        };
        let caption = "Credits of every owner; within a group there is no clear difference";
        Table::new(caption, columns).with(self.owners.iter().map(row))
    }

    /// Where an owner's credit is explained.
    pub(crate) fn why(&self, owner: &str) -> String {
        format!("/entries/{}?owner={owner}", self.entry)
    }
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let asked = reader.query.get("epoch");
    let settlements = reader.settlements();
    let chosen = if asked.is_empty() {
        settlements.last()
    } else {
        settlements.iter().find(|one| one.epoch.to_string() == asked)
    };
    if !asked.is_empty() && chosen.is_none() {
        return none_of("epoch", asked);
    }
    Answer::of(&CreditsView {
        epoch: chosen.map(|credits| Epoch::of(reader, credits)),
        epochs: over_epochs(reader),
    })
}

impl View for CreditsView {
    fn page(&self) -> Page {
        let mut page = Page::new("Credits");
        page.lead = vec![
            Cell::text(
                "What each owner's data were worth to the models, in whole numbers that anybody can compute again. ",
            ),
            Cell::link("How that is measured", "/how#credits"),
        ];
        let Some(epoch) = &self.epoch else {
            page.text("No credits are settled yet.");
            return page;
        };
        page.title = format!("Credits of epoch {}", epoch.number);
        page.add(Block::Facts(vec![
            ("Run".to_owned(), vec![epoch.run.cell()]),
            (
                "Settled".to_owned(),
                vec![
                    Cell::time(epoch.settled_ms),
                    Cell::text(", entry "),
                    Cell::entry(epoch.entry),
                ],
            ),
            (
                "Gives".to_owned(),
                vec![
                    Cell::credits(epoch.pool_micro),
                    Cell::text(format!(" credits for {} rounds with evidence", epoch.rounds.len())),
                ],
            ),
            ("Pays".to_owned(), vec![Cell::credits(epoch.paid_micro), Cell::text(" credits")]),
        ]));
        page.blocks.extend(epoch.notices());
        page.add(Block::Figure(intervals_figure(&epoch.owners, "")));
        let table = epoch.table();
        page.csv = Some(table.clone());
        page.add(Block::Table(table));
        page.heading("All epochs", "epochs");
        page.add(Block::Figure(epochs_figure(&self.epochs)));
        page.add(Block::Table(epochs_table(&self.epochs)));
        page.verify = Some(epoch.verify());
        page
    }
}

fn epochs_table(epochs: &[EpochPaid]) -> Table {
    let columns = vec![
        Column::number("Epoch", "epoch"),
        Column::text("Run", "run"),
        Column::number("Owners", "owners"),
        Column::number("Paid", "paid_micro"),
        Column::number("Entry", "entry"),
    ];
    let row = |one: &EpochPaid| {
        vec![
            Cell::number(one.epoch).to(format!("/credits?epoch={}", one.epoch)),
            one.run.cell(),
            Cell::number(one.paid_micro.len() as u64),
            Cell::credits(one.paid_micro.values().sum::<u64>()),
            Cell::entry(one.entry),
        ]
    };
    Table::new("Epochs", columns).with(epochs.iter().map(row))
}
