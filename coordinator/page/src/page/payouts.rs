//! Payouts: what every address has been paid, all in all.

use covey_ledger::book::PayoutRecord;
use covey_ledger::payout::payable_runs;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{WhichRun, Who, word_of};
use super::reader::{Reader, none_of};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table, Verify};
use crate::text;

/// All payouts, and what comes next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutsView {
    /// The newest first.
    payouts: Vec<PayoutLine>,
    /// Runs that the next payout can have in it, beside those of earlier ones.
    payable: Vec<WhichRun>,
    /// Runs that it cannot, and why.
    not_payable: Vec<NotYet>,
}

/// A payout in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutLine {
    /// From 1.
    number: u32,
    /// When it was made, in milliseconds since the Unix epoch.
    made_ms: u64,
    /// Addresses that have something.
    payees: u32,
    /// What they have together, in the smallest units of the token: decimal digits.
    total_units: String,
    /// What one credit is paid: decimal digits.
    units_per_credit: String,
    /// Root of the tree.
    root: String,
    /// SHA-256 digest of the file with the tree.
    file: String,
    /// The entry.
    entry: u64,
}

/// A run that cannot be paid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotYet {
    run: WhichRun,
    why: String,
}

/// A payout.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutView {
    /// The payout in a line.
    line: PayoutLine,
    /// Entries of the ledger that it was computed from.
    log_size: u64,
    /// Runs whose credits are in it beside those of earlier payouts.
    runs: Vec<WhichRun>,
    /// What each address has been paid, all in all.
    amounts: Vec<AmountLine>,
    /// Credits that are not in it.
    held_back: Vec<HeldLine>,
}

/// An address and its amount.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AmountLine {
    address: String,
    /// In the smallest units of the token: decimal digits.
    units: String,
    /// Who is paid there now.
    members: Vec<Who>,
}

/// A credit that is held back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldLine {
    run: WhichRun,
    owner: Who,
    /// In micro-credits.
    micro: u64,
    /// `disputed`, `suspended` or `no-address`.
    why: String,
}

impl PayoutLine {
    fn of(record: &PayoutRecord) -> Self {
        let payout = &record.payout;
        Self {
            number: payout.number,
            made_ms: record.made_ms,
            payees: payout.payees,
            total_units: payout.total.to_string(),
            units_per_credit: payout.units_per_credit.to_string(),
            root: payout.root.to_string(),
            file: payout.file.sha256.to_string(),
            entry: record.entry,
        }
    }
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let book = match reader.book() {
        Ok(book) => book,
        Err(empty) => return empty,
    };
    let (payable, others) = payable_runs(book, reader.source.now_ms());
    let not_yet =
        |(run, why): (covey_aggregation::hash::Digest, covey_ledger::payout::NotPayable)| {
            let why = match why {
                covey_ledger::payout::NotPayable::WindowOpen(end_ms) => {
                    format!("its credits can be disputed until {}", text::time(end_ms))
                }
                other => other.to_string(),
            };
            NotYet { run: reader.which(&run), why }
        };
    let paid: Vec<_> = book.payouts().iter().flat_map(|one| one.payout.runs.clone()).collect();
    let new = payable.iter().filter(|run| !paid.contains(run));
    Answer::of(&PayoutsView {
        payouts: book.payouts().iter().rev().map(PayoutLine::of).collect(),
        payable: new.map(|run| reader.which(run)).collect(),
        not_payable: others.into_iter().map(not_yet).collect(),
    })
}

pub(crate) fn one(reader: &Reader<'_>, number: &str) -> Answer {
    let all = reader.ledger.map_or(&[][..], |book| book.payouts());
    let Some(record) = all.iter().find(|one| one.payout.number.to_string() == number) else {
        return none_of("payout", number);
    };
    let paid_at = |address| {
        let members = reader.ledger.into_iter().flat_map(|book| book.members());
        let at = members.filter(|one| one.address.is_some_and(|(one, _)| one == address));
        at.map(|one| reader.who(&one.id)).collect()
    };
    Answer::of(&PayoutView {
        line: PayoutLine::of(record),
        log_size: record.payout.log_size,
        runs: record.payout.runs.iter().map(|run| reader.which(run)).collect(),
        amounts: record
            .amounts
            .iter()
            .map(|(address, units)| AmountLine {
                address: address.to_string(),
                units: units.clone(),
                members: paid_at(*address),
            })
            .collect(),
        held_back: record
            .held_back
            .iter()
            .map(|one| HeldLine {
                run: reader.which(&one.run),
                owner: reader.who(&one.owner),
                micro: one.micro,
                why: word_of(&one.why),
            })
            .collect(),
    })
}

fn units(digits: &str) -> Cell {
    Cell::text(text::grouped(digits)).read_as(digits)
}

impl View for PayoutsView {
    fn page(&self) -> Page {
        let mut page = Page::new("Payouts");
        page.lead = vec![Cell::text(
            "A payout says what every address has been paid all in all. Its tree is what a contract of OpenZeppelin's kind reads; no chain is needed to make it.",
        )];
        let columns = vec![
            Column::number("Payout", "number"),
            Column::text("Made", "made"),
            Column::number("Payees", "payees"),
            Column::number("Token units, all in all", "total_units"),
            Column::text("Root", "root"),
            Column::text("File", "file"),
            Column::number("Entry", "entry"),
        ];
        let row = |one: &PayoutLine| {
            vec![
                Cell::number(one.number).to(format!("/payouts/{}", one.number)),
                Cell::time(one.made_ms),
                Cell::number(one.payees),
                units(&one.total_units),
                Cell::hex(&one.root),
                Cell::hex(&one.file).to(format!("/documents/{}", one.file)),
                Cell::entry(one.entry),
            ]
        };
        let table = Table::new("Payouts, the newest first", columns);
        page.add(Block::Table(table.with(self.payouts.iter().map(row)).or("None was made yet.")));
        page.heading("The next one", "next");
        let columns =
            vec![Column::text("Run", "run"), Column::text("Can it be in the next payout?", "why")];
        let ready = self.payable.iter().map(|run| vec![run.cell(), Cell::text("yes")]);
        let others = self
            .not_payable
            .iter()
            .map(|one| vec![one.run.cell(), Cell::text(format!("not yet: {}", one.why))]);
        let table = Table::new("Runs with credits that are in no payout", columns);
        page.add(Block::Table(table.with(ready.chain(others)).or("None.")));
        page
    }
}

impl View for PayoutView {
    fn page(&self) -> Page {
        let line = &self.line;
        let mut page = Page::new(format!("Payout {}", line.number));
        page.trail = vec![Cell::link("Payouts", "/payouts")];
        let mut runs = Vec::new();
        for (at, run) in self.runs.iter().enumerate() {
            if at > 0 {
                runs.push(Cell::text(", "));
            }
            runs.push(run.cell());
        }
        let file = format!("/documents/{}", line.file);
        page.add(Block::Facts(vec![
            (
                "Made".to_owned(),
                vec![Cell::time(line.made_ms), Cell::text(", entry "), Cell::entry(line.entry)],
            ),
            (
                "Computed from".to_owned(),
                vec![Cell::text(format!("the first {} entries", text::number(self.log_size)))],
            ),
            ("Runs in it".to_owned(), runs),
            ("Token units, all in all".to_owned(), vec![units(&line.total_units)]),
            ("Token units of a credit".to_owned(), vec![units(&line.units_per_credit)]),
            (
                "Root".to_owned(),
                vec![Cell { class: "code whole", ..Cell::text(format!("0x{}", line.root)) }],
            ),
            (
                "File".to_owned(),
                vec![
                    Cell { href: file, ..Cell::whole_hex(&line.file) },
                    Cell::text(" (standard-v1; load it with @openzeppelin/merkle-tree)"),
                ],
            ),
        ]));
        let columns = vec![
            Column::text("Address", "address"),
            Column::text("Who is paid there", "members"),
            Column::number("Token units, all in all", "units"),
        ];
        let row = |one: &AmountLine| {
            let names: Vec<_> = one.members.iter().map(|member| member.name.clone()).collect();
            let who = match one.members.as_slice() {
                [] => Cell::none(),
                [only] => only.cell(),
                _ => Cell::text(names.join(", ")),
            };
            vec![Cell { class: "code", ..Cell::text(one.address.clone()) }, who, units(&one.units)]
        };
        page.add(Block::Table(Table::new("Amounts", columns).with(self.amounts.iter().map(row))));
        let columns = vec![
            Column::text("Owner", "owner"),
            Column::text("Run", "run"),
            Column::number("Credits", "micro"),
            Column::text("Why", "why"),
        ];
        let row = |one: &HeldLine| {
            let why = match one.why.as_str() {
                "disputed" => "under dispute",
                "suspended" => "the owner is suspended",
                _ => "the owner has set no address",
            };
            vec![
                one.owner.cell(),
                one.run.cell(),
                Cell::credits(one.micro),
                Cell::text(why).read_as(one.why.clone()),
            ]
        };
        let table = Table::new("Held back", columns).with(self.held_back.iter().map(row));
        page.add(Block::Table(table.or("Nothing is held back.")));
        page.verify = Some(Verify { entries: vec![line.entry], ..Verify::default() });
        page
    }
}
