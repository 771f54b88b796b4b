//! Disputes and proposals.

use covey_ledger::book::{DisputeRecord, ProposalRecord};
use covey_ledger::statement::{Change, Choice, Remedy};
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{WhichRun, Who, state_cell, state_entry, state_word};
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table};
use crate::text;

/// All disputes and proposals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputesView {
    /// The newest first.
    disputes: Vec<DisputeLine>,
    /// The newest first.
    proposals: Vec<ProposalLine>,
    /// Who reviews.
    reviewers: Vec<Who>,
    /// How many equal votes decide, by the charter in force.
    quorum: u32,
    /// How long credits may be disputed, in milliseconds.
    dispute_window_ms: u64,
    /// How long reviewers have to vote, in milliseconds.
    vote_window_ms: u64,
}

/// A dispute in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DisputeLine {
    /// What names it.
    pub(crate) id: String,
    /// `open`, `withdrawn`, `upheld`, `rejected` or `lapsed`.
    pub(crate) state: String,
    /// The run whose credits are disputed.
    pub(crate) run: WhichRun,
    /// Whose credit.
    pub(crate) owner: Who,
    /// Who opened it.
    pub(crate) by: Who,
    /// What should be instead, in words.
    pub(crate) remedy: String,
    /// Why, in the member's words.
    pub(crate) why: String,
    /// Votes for it.
    pub(crate) yes: u32,
    /// Votes against it.
    pub(crate) no: u32,
    /// How many equal votes decide.
    pub(crate) quorum: u32,
    /// Votes count until then, in milliseconds since the Unix epoch.
    pub(crate) deadline_ms: u64,
    /// When it was opened.
    pub(crate) opened_ms: u64,
    /// The entry that opened it.
    pub(crate) entry: u64,
    /// The entry that ended it.
    pub(crate) ended: Option<u64>,
}

/// A proposal in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProposalLine {
    /// What names it.
    pub(crate) id: String,
    /// `open`, `upheld`, `rejected` or `lapsed`.
    pub(crate) state: String,
    /// Who made it.
    pub(crate) by: Who,
    /// What shall be, in words.
    pub(crate) change: String,
    /// Why, in the member's words.
    pub(crate) why: String,
    /// Votes for it.
    pub(crate) yes: u32,
    /// Votes against it.
    pub(crate) no: u32,
    /// How many equal votes decide.
    pub(crate) quorum: u32,
    /// Votes count until then, in milliseconds since the Unix epoch.
    pub(crate) deadline_ms: u64,
    /// The entry that opened it.
    pub(crate) entry: u64,
    /// The entry that ended it.
    pub(crate) ended: Option<u64>,
}

impl DisputeLine {
    pub(crate) fn of(reader: &Reader<'_>, record: &DisputeRecord) -> Self {
        let dispute = &record.dispute;
        Self {
            id: record.id.to_string(),
            state: state_word(&record.state).to_owned(),
            run: reader.which(&dispute.run),
            owner: reader.who(&dispute.owner),
            by: reader.who(&record.by),
            remedy: remedy_words(&dispute.remedy),
            why: dispute.why.clone(),
            yes: record.poll.count(Choice::Yes) as u32,
            no: record.poll.count(Choice::No) as u32,
            quorum: record.poll.quorum,
            deadline_ms: record.poll.deadline_ms,
            opened_ms: record.opened_ms,
            entry: record.entry,
            ended: state_entry(&record.state),
        }
    }
}

impl ProposalLine {
    pub(crate) fn of(reader: &Reader<'_>, record: &ProposalRecord) -> Self {
        Self {
            id: record.id.to_string(),
            state: state_word(&record.state).to_owned(),
            by: reader.who(&record.by),
            change: change_words(reader, &record.proposal.change),
            why: record.proposal.why.clone(),
            yes: record.poll.count(Choice::Yes) as u32,
            no: record.poll.count(Choice::No) as u32,
            quorum: record.poll.quorum,
            deadline_ms: record.poll.deadline_ms,
            entry: record.entry,
            ended: state_entry(&record.state),
        }
    }
}

fn remedy_words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Pay(micro) => format!("pay {} credits", text::credits(*micro)),
        Remedy::Without(rounds) => {
            let rounds: Vec<_> = rounds.iter().map(u32::to_string).collect();
            format!("settle without rounds {}", rounds.join(", "))
        }
    }
}

fn change_words(reader: &Reader<'_>, change: &Change) -> String {
    match change {
        Change::Budget(budget) => {
            let run = reader.which(&budget.run).label();
            format!("run {run} may give up to {} credits", text::credits(budget.pool_micro))
        }
        Change::Charter(charter) => format!(
            "another charter: {} votes decide, {} to dispute, {} to vote, {} credits free of a vote, {} token units a credit",
            charter.quorum,
            text::duration(charter.dispute_window_ms),
            text::duration(charter.vote_window_ms),
            text::credits(charter.budget_free_micro),
            charter.units_per_credit,
        ),
        Change::Reviewers(change) => {
            let names = |list: &[covey_aggregation::party::PartyId]| {
                let names: Vec<_> = list.iter().map(|id| reader.who(id).name).collect();
                if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
            };
            format!("reviewers: {} begin, {} cease", names(&change.add), names(&change.remove))
        }
    }
}

/// Disputes as a table.
pub(crate) fn disputes_table(caption: &str, disputes: &[DisputeLine]) -> Table {
    let columns = vec![
        Column::text("Dispute", "id"),
        Column::text("State", "state"),
        Column::text("Credit of", "owner"),
        Column::text("Run", "run"),
        Column::text("Asks to", "remedy"),
        Column::number("Yes", "yes"),
        Column::number("No", "no"),
        Column::number("Decide", "quorum"),
        Column::text("Votes until", "deadline"),
        Column::text("Opened by", "by"),
        Column::number("Entry", "entry"),
    ];
    let row = |one: &DisputeLine| {
        vec![
            Cell::hex(&one.id).to(format!("/disputes/{}", one.id)),
            state_cell(&one.state),
            one.owner.cell(),
            one.run.cell(),
            Cell::text(one.remedy.clone()),
            Cell::number(one.yes),
            Cell::number(one.no),
            Cell::number(one.quorum),
            Cell::time(one.deadline_ms),
            one.by.cell(),
            Cell::entry(one.entry),
        ]
    };
    Table::new(caption, columns).with(disputes.iter().map(row)).or("Nothing was ever disputed.")
}

fn proposals_table(proposals: &[ProposalLine]) -> Table {
    let columns = vec![
        Column::text("Proposal", "id"),
        Column::text("State", "state"),
        Column::text("What shall be", "change"),
        Column::number("Yes", "yes"),
        Column::number("No", "no"),
        Column::number("Decide", "quorum"),
        Column::text("Votes until", "deadline"),
        Column::text("By", "by"),
        Column::number("Entry", "entry"),
    ];
    let row = |one: &ProposalLine| {
        vec![
            Cell::hex(&one.id).to(format!("/proposals/{}", one.id)),
            state_cell(&one.state),
            Cell::text(one.change.clone()),
            Cell::number(one.yes),
            Cell::number(one.no),
            Cell::number(one.quorum),
            Cell::time(one.deadline_ms),
            one.by.cell(),
            Cell::entry(one.entry),
        ]
    };
    Table::new("Proposals, the newest first", columns)
        .with(proposals.iter().map(row))
        .or("Nothing was ever proposed.")
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let book = match reader.book() {
        Ok(book) => book,
        Err(empty) => return empty,
    };
    let charter = book.charter();
    let disputes = book.disputes();
    let proposals = book.proposals();
    Answer::of(&DisputesView {
        disputes: disputes.iter().rev().map(|one| DisputeLine::of(reader, one)).collect(),
        proposals: proposals.iter().rev().map(|one| ProposalLine::of(reader, one)).collect(),
        reviewers: book.reviewers().iter().map(|one| reader.who(one)).collect(),
        quorum: charter.quorum,
        dispute_window_ms: charter.dispute_window_ms,
        vote_window_ms: charter.vote_window_ms,
    })
}

impl View for DisputesView {
    fn page(&self) -> Page {
        let mut page = Page::new("Disputes");
        page.lead = vec![Cell::text(
            "A member that doubts a credit says so in the ledger, signed. Reviewers vote; nobody judges its own.",
        )];
        let mut reviewers = Vec::new();
        for (at, one) in self.reviewers.iter().enumerate() {
            if at > 0 {
                reviewers.push(Cell::text(", "));
            }
            reviewers.push(one.cell());
        }
        page.add(Block::Facts(vec![
            ("Reviewers".to_owned(), reviewers),
            ("Votes that decide".to_owned(), vec![Cell::number(self.quorum)]),
            (
                "Time to dispute".to_owned(),
                vec![Cell::text(text::duration(self.dispute_window_ms))],
            ),
            ("Time to vote".to_owned(), vec![Cell::text(text::duration(self.vote_window_ms))]),
        ]));
        page.add(Block::Text(vec![Cell::link("Prepare a dispute", "/disputes/new")]));
        page.add(Block::Table(disputes_table("Disputes, the newest first", &self.disputes)));
        page.heading("Proposals", "proposals");
        page.text("Reviewers decide likewise about large budgets, the charter and who reviews.");
        page.add(Block::Table(proposals_table(&self.proposals)));
        page
    }
}
