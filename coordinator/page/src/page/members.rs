//! All members.

use covey_ledger::book::MemberRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{Who, word_of};
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table, Tone};

/// All members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembersView {
    /// By role and name.
    members: Vec<MemberLine>,
    /// Who keeps the ledger.
    coordinator: Who,
    /// Who cosigns it and opens sums, in order.
    holders: Vec<Who>,
}

/// A member in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberLine {
    /// Who.
    pub(crate) member: Who,
    /// What it may do.
    pub(crate) role: String,
    /// Whether it still may.
    pub(crate) status: String,
    /// Whether it reviews.
    pub(crate) is_reviewer: bool,
    /// Rounds that it was invited in.
    pub(crate) rounds_invited: u32,
    /// Rounds whose sum it is in.
    pub(crate) rounds_counted: u32,
    /// What it is credited, all in all, in micro-credits.
    pub(crate) credited_micro: u64,
    /// What payouts paid it, in micro-credits.
    pub(crate) paid_micro: u64,
}

impl MemberLine {
    pub(crate) fn of(reader: &Reader<'_>, record: &MemberRecord) -> Self {
        let now_ms = reader.source.now_ms();
        let totals = reader.ledger.map(|book| book.totals(&record.id, now_ms)).unwrap_or_default();
        Self {
            member: reader.who(&record.id),
            role: record.role.to_string(),
            status: word_of(&record.status),
            is_reviewer: reader.ledger.is_some_and(|book| book.reviewers().contains(&record.id)),
            rounds_invited: totals.rounds_invited,
            rounds_counted: totals.rounds_counted,
            credited_micro: totals.credited_micro,
            paid_micro: totals.paid_micro,
        }
    }
}

pub(crate) fn status_cell(status: &str) -> Cell {
    let tone = match status {
        "active" => Tone::Good,
        "left" => Tone::Note,
        _ => Tone::Warn,
    };
    Cell::badge(tone, status)
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let book = match reader.book() {
        Ok(book) => book,
        Err(empty) => return empty,
    };
    let mut members: Vec<_> = book.members().map(|one| MemberLine::of(reader, one)).collect();
    members.sort_by(|one, other| (&one.role, &one.member).cmp(&(&other.role, &other.member)));
    let founding = book.founding();
    Answer::of(&MembersView {
        members,
        coordinator: reader.who(&founding.coordinator.id),
        holders: founding.holders.iter().map(|holder| reader.who(&holder.id)).collect(),
    })
}

impl View for MembersView {
    fn page(&self) -> Page {
        let mut page = Page::new("Members");
        page.lead =
            vec![Cell::text("Names are what members chose; who is behind one is not proven here.")];
        let columns = vec![
            Column::text("Member", "member"),
            Column::text("Role", "role"),
            Column::text("Status", "status"),
            Column::text("Reviews", "is_reviewer"),
            Column::number("Rounds invited", "rounds_invited"),
            Column::number("Counted", "rounds_counted"),
            Column::number("Credited", "credited_micro"),
            Column::number("Paid out", "paid_micro"),
        ];
        let row = |one: &MemberLine| {
            vec![
                one.member.cell(),
                Cell::text(one.role.clone()),
                status_cell(&one.status),
                if one.is_reviewer { Cell::text("yes") } else { Cell::none().read_as("no") },
                Cell::number(one.rounds_invited),
                Cell::number(one.rounds_counted),
                Cell::credits(one.credited_micro),
                Cell::credits(one.paid_micro),
            ]
        };
        let table = Table::new("Everybody who is or was a member", columns);
        page.add(Block::Table(table.with(self.members.iter().map(row)).or("No member yet.")));
        page.heading("Who runs it", "seats");
        let names: Vec<_> = self.holders.iter().map(|holder| holder.name.clone()).collect();
        page.add(Block::Facts(vec![
            ("Coordinator".to_owned(), vec![Cell::text(self.coordinator.name.clone())]),
            ("Holders, who cosign the ledger".to_owned(), vec![Cell::text(names.join(", "))]),
        ]));
        page
    }
}
