//! One member: what it brought, what it was given.

use covey_ledger::book::{CreditsRecord, MemberRecord, RunRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::disputes::{DisputeLine, disputes_table};
use super::members::{MemberLine, status_cell};
use super::overview::{EntryLine, entries_table};
use super::parts::{OwnerCredit, WhichRun};
use super::reader::{Reader, none_of};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Highlight, Page, Table};
use crate::chart::{Interval, Intervals, Stacks};
use crate::text;

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    /// The member in a line.
    line: MemberLine,
    /// Its key.
    key: String,
    /// Why it is no longer a member, in words.
    why: Option<String>,
    /// Where it is paid.
    address: Option<String>,
    /// Addresses that it set or took back, each with its entry.
    addresses: Vec<AddressLine>,
    /// Of what it is credited: what can still be disputed, or is, in micro-credits.
    pending_micro: u64,
    /// What it owes in the next epoch, in micro-credits.
    debt_micro: u64,
    /// Its credits, epoch by epoch.
    credits: Vec<MemberCredit>,
    /// Runs that it was invited in.
    runs: Vec<MemberRun>,
    /// Disputes that it opened, or that are about its credits.
    disputes: Vec<DisputeLine>,
    /// Entries that name it, the newest first.
    entries: Vec<EntryLine>,
}

/// An address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddressLine {
    /// None where it was taken back.
    address: Option<String>,
    /// The entry.
    entry: u64,
}

/// A member's credit in an epoch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberCredit {
    /// From 1.
    epoch: u32,
    /// The run.
    run: WhichRun,
    /// The entry of the settlement.
    entry: u64,
    /// The credit.
    credit: OwnerCredit,
}

/// A member in a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberRun {
    /// The run.
    run: WhichRun,
    /// Rounds that it was invited in.
    invited: Vec<u32>,
    /// Rounds whose sum it is not in, though it was invited.
    missed: Vec<u32>,
}

/// Entries that are listed.
const LISTED: usize = 50;

pub(crate) fn answer(reader: &Reader<'_>, who: &str) -> Answer {
    let Some(record) = reader.member(who) else { return none_of("member", who) };
    Answer::of(&view(reader, record))
}

fn view(reader: &Reader<'_>, record: &MemberRecord) -> MemberView {
    let id = &record.id;
    let now_ms = reader.source.now_ms();
    let totals = reader.ledger.map(|book| book.totals(id, now_ms)).unwrap_or_default();
    let credit = |credits: &CreditsRecord| {
        let all = OwnerCredit::all(reader, credits);
        let key = covey_aggregation::hash::Digest(id.0).to_string();
        let credit = all.into_iter().find(|one| one.owner.id == key)?;
        let run = reader.which(&credits.run);
        Some(MemberCredit { epoch: credits.epoch, run, entry: credits.entry, credit })
    };
    let is_its =
        |one: &&&covey_ledger::book::DisputeRecord| one.by == *id || one.dispute.owner == *id;
    let disputes = reader.ledger.map(|book| book.disputes()).unwrap_or_default();
    let entries: Vec<_> =
        reader.ledger.into_iter().flat_map(|book| book.entries_of_member(id)).collect();
    let runs = reader.ledger.map_or(&[][..], |book| book.runs());
    MemberView {
        line: MemberLine::of(reader, record),
        key: covey_aggregation::hash::Digest(id.0).to_string(),
        why: record.why.clone(),
        address: record.address.map(|(address, _)| address.to_string()),
        addresses: record
            .addresses
            .iter()
            .map(|(entry, address)| AddressLine {
                address: address.map(|address| address.to_string()),
                entry: *entry,
            })
            .collect(),
        pending_micro: totals.pending_micro,
        debt_micro: totals.debt_micro,
        credits: reader.settlements().into_iter().filter_map(credit).collect(),
        runs: runs.iter().filter_map(|run| member_run(reader, run, record)).collect(),
        disputes: disputes.iter().filter(is_its).map(|one| DisputeLine::of(reader, one)).collect(),
        entries: entries
            .into_iter()
            .rev()
            .take(LISTED)
            .map(|one| EntryLine::of(reader, one))
            .collect(),
    }
}

fn member_run(reader: &Reader<'_>, run: &RunRecord, record: &MemberRecord) -> Option<MemberRun> {
    let (mut invited, mut missed) = (Vec::new(), Vec::new());
    for (number, round) in &run.rounds {
        let part = round.owners.iter().find(|one| one.owner == record.id);
        if let Some(part) = part {
            invited.push(*number);
            if part.missing.is_some() {
                missed.push(*number);
            }
        }
    }
    let run = reader.which(&run.plan.run);
    (!invited.is_empty()).then_some(MemberRun { run, invited, missed })
}

impl MemberView {
    fn credits_table(&self) -> Table {
        let columns = vec![
            Column::number("Epoch", "epoch"),
            Column::text("Run", "run"),
            Column::number("Rounds", "rounds"),
            Column::number("Credit", "credit_micro"),
            Column::number("From", "low_micro"),
            Column::number("To", "high_micro"),
            Column::number("Paid", "payment_micro"),
            Column::text("Remarks", "remarks"),
            Column::text("Why", "entry"),
        ];
        let row = |one: &MemberCredit| {
            vec![
                Cell::number(one.epoch).to(format!("/credits?epoch={}", one.epoch)),
                one.run.cell(),
                Cell::number(one.credit.rounds),
                Cell::credits(one.credit.credit_micro),
                Cell::credits(one.credit.low_micro),
                Cell::credits(one.credit.high_micro),
                Cell { class: "strong", ..Cell::credits(one.credit.payment_micro) },
                one.credit.remarks(),
                Cell::link("why", format!("/entries/{}?owner={}", one.entry, self.key))
                    .read_as(one.entry.to_string()),
            ]
        };
        Table::new("Credits", columns).with(self.credits.iter().map(row)).or("No credits yet.")
    }

    fn figures(&self) -> Vec<Block> {
        let paid = |one: &MemberCredit| {
            (one.epoch.to_string(), vec![one.credit.payment_micro as f64 / 1e6])
        };
        let over = Stacks {
            title: "Credits paid in each epoch".to_owned(),
            summary: format!("{}.", text::count(self.credits.len() as u64, "epoch")),
            across: "Epoch",
            up: "Credits",
            series: vec![self.line.member.name.clone()],
            bars: self.credits.iter().map(paid).collect(),
            digits: 2,
        };
        let interval = |one: &MemberCredit| Interval {
            name: format!("epoch {}: {}", one.epoch, one.run.name),
            href: format!("/entries/{}?owner={}", one.entry, self.key),
            ..one.credit.interval("")
        };
        let sure = Intervals {
            title: "Contribution in each run, with its interval".to_owned(),
            summary: "Runs give different amounts: compare each with 0, not with one another."
                .to_owned(),
            across: "Credits",
            intervals: self.credits.iter().map(interval).collect(),
            digits: 2,
        };
        vec![Block::Figure(over.draw()), Block::Figure(sure.draw())]
    }

    fn runs_table(&self) -> Table {
        let columns = vec![
            Column::text("Run", "run"),
            Column::number("Rounds invited", "invited"),
            Column::text("Not in the sum of rounds", "missed"),
        ];
        let row = |one: &MemberRun| {
            let missed: Vec<_> = one.missed.iter().map(u32::to_string).collect();
            let missed =
                if missed.is_empty() { Cell::none() } else { Cell::text(missed.join(", ")) };
            vec![one.run.cell(), Cell::number(one.invited.len() as u64), missed]
        };
        Table::new("Rounds", columns)
            .with(self.runs.iter().map(row))
            .or("It was never invited to a round.")
    }

    fn facts(&self) -> Block {
        let mut facts = vec![
            ("Role".to_owned(), vec![Cell::text(self.line.role.clone())]),
            ("Status".to_owned(), vec![status_cell(&self.line.status)]),
            ("Key".to_owned(), vec![Cell::whole_hex(&self.key)]),
        ];
        if let Some(why) = self.why.as_ref().filter(|why| !why.is_empty()) {
            facts.push(("Why".to_owned(), vec![Cell::text(why.clone())]));
        }
        if self.line.is_reviewer {
            facts.push((
                "Reviews".to_owned(),
                vec![Cell::text("It votes on disputes and proposals.")],
            ));
        }
        let address = self.address.clone().map_or_else(
            || Cell::text("none set: nothing can be paid out to it"),
            |address| Cell { class: "code whole", ..Cell::text(address) },
        );
        facts.push(("Paid at".to_owned(), vec![address]));
        if self.debt_micro > 0 {
            facts.push(("Owes in the next epoch".to_owned(), vec![Cell::credits(self.debt_micro)]));
        }
        Block::Facts(facts)
    }
}

impl View for MemberView {
    fn page(&self) -> Page {
        let line = &self.line;
        let mut page = Page::new(line.member.name.clone());
        page.trail = vec![Cell::link("Members", "/members")];
        let one = |label: &str, value: String, note: String| Highlight {
            label: label.to_owned(),
            value,
            note,
            href: String::new(),
        };
        page.add(Block::Highlights(vec![
            one(
                "Credited",
                text::credits(line.credited_micro),
                format!("in {}", text::count(self.credits.len() as u64, "epoch")),
            ),
            one(
                "Can still change",
                text::credits(self.pending_micro),
                "open to dispute, or disputed".to_owned(),
            ),
            one("Paid out", text::credits(line.paid_micro), "credits in payouts".to_owned()),
            one(
                "Rounds",
                text::number(line.rounds_counted),
                format!("counted, of {} invited", line.rounds_invited),
            ),
        ]));
        page.add(self.facts());
        let table = self.credits_table();
        page.csv = Some(table.clone());
        page.add(Block::Table(table));
        if !self.credits.is_empty() {
            page.blocks.extend(self.figures());
        }
        page.add(Block::Table(self.runs_table()));
        if !self.disputes.is_empty() {
            page.add(Block::Table(disputes_table(
                "Disputes that it has a part in",
                &self.disputes,
            )));
        }
        let columns = vec![Column::text("Address", "address"), Column::number("Entry", "entry")];
        let row = |one: &AddressLine| {
            let address = one.address.clone().map_or_else(
                || Cell::text("taken back"),
                |address| Cell { class: "code", ..Cell::text(address) },
            );
            vec![address, Cell::entry(one.entry)]
        };
        let table = Table::new("Addresses that it set, signed with its key", columns);
        page.add(Block::Table(table.with(self.addresses.iter().map(row)).or("None.")));
        page.add(Block::Table(entries_table("Newest entries that name it", &self.entries)));
        page
    }
}
