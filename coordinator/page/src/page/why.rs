//! Why an owner is credited what it is: the formula with its numbers, how sure it is, what is proven,
//! and how it can be disputed.

use covey_aggregation::credit::{Amount, Case, Percent, RoundCredit};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_ledger::book::CreditsRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::credits::{Epoch, intervals_figure};
use super::disputes::{DisputeLine, command, disputes_table};
use super::parts::{OwnerCredit, Who};
use super::reader::Reader;
use crate::block::{Block, Cell, Column, Page, Table, Tone};
use crate::chart::{Line, Lines, Point};
use crate::text;

/// Why an owner is credited what it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyView {
    /// The owner's credit.
    pub(crate) credit: OwnerCredit,
    /// The explanation in words.
    words: String,
    /// Whether the credit is told from 0: its interval is above 0.
    is_told_from_zero: bool,
    /// Owners that it is not told from: their intervals overlap with its.
    no_clear_difference: Vec<Who>,
    /// What the pool is divided by: everybody's, in micro-credits.
    payable_total_micro: u64,
    /// Debt from earlier epochs that was taken off, in micro-credits.
    carried_micro: u64,
    /// Its rounds.
    rounds: Vec<WhyRound>,
    /// What it would have been paid otherwise, the others being what they are.
    changes: Vec<WhyChange>,
    /// The entries that all this follows from, ascending.
    inputs: Vec<u64>,
    /// Disputes about it.
    disputes: Vec<DisputeLine>,
    /// What it can be disputed on.
    grounds: Vec<String>,
    /// The command that opens a dispute, to be signed with a member's key.
    command: String,
}

/// An owner's credit in a round.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyRound {
    round: u32,
    /// Examples that it declared.
    count: u32,
    /// Examples that counted.
    counted: u32,
    /// Its released score.
    score: i64,
    /// Its credit in the round, in micro-credits.
    credit_micro: i64,
    /// The entry of the evidence.
    entry: Option<u64>,
}

/// What would have been paid otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyChange {
    /// If what.
    case: String,
    /// In micro-credits.
    payment_micro: u64,
}

impl WhyView {
    /// Of an owner in a settlement; none where it has no account there.
    pub(crate) fn of(
        reader: &Reader<'_>,
        credits: &CreditsRecord,
        epoch: &Epoch,
        owner: &PartyId,
    ) -> Option<Self> {
        let book = reader.ledger?;
        let explanation = book.explain(&credits.run, owner)?;
        let key = Digest(owner.0).to_string();
        let credit = epoch.owner(&key)?.clone();
        let evidence = |round: u32| {
            let run = book.run(&credits.run)?;
            run.rounds.get(&round)?.evidence.as_ref().map(|(entry, _)| *entry)
        };
        let round = |one: &RoundCredit| WhyRound {
            round: one.round,
            count: one.count,
            counted: one.counted,
            score: one.s,
            credit_micro: one.credit_micro,
            entry: evidence(one.round),
        };
        let overlaps = |one: &&OwnerCredit| {
            one.owner.id != key
                && one.low_micro <= credit.high_micro
                && one.high_micro >= credit.low_micro
        };
        let names = |id: &PartyId| reader.who(id).name;
        let changes = explanation.changes.iter().map(|change| WhyChange {
            case: case_words(change.case).to_owned(),
            payment_micro: change.payment_micro,
        });
        let disputes = reader.disputes_of(credits, owner);
        Some(Self {
            words: explanation.words(&names).to_string(),
            is_told_from_zero: credit.low_micro > 0,
            no_clear_difference: epoch
                .owners
                .iter()
                .filter(overlaps)
                .map(|one| one.owner.clone())
                .collect(),
            payable_total_micro: explanation.payable_total_micro,
            carried_micro: explanation.account.carried_micro,
            rounds: explanation.rounds.iter().map(round).collect(),
            changes: changes.collect(),
            inputs: book.inputs(&credits.run, owner),
            disputes: disputes.into_iter().map(|one| DisputeLine::of(reader, one)).collect(),
            grounds: grounds(epoch, &credit, &explanation.rounds),
            command: command(&credits.run.to_string(), &key, "--pay CREDITS", "WHY"),
            credit,
        })
    }
}

const fn case_words(case: Case) -> &'static str {
    match case {
        Case::EveryRound => "taken part in every round, in those it missed with its mean",
        Case::NoneNegative => "its rounds below 0 at 0",
        Case::Steady => "all its rounds like their mean",
        Case::NoDebt => "nothing owed from before",
    }
}

/// What an owner's credit can be disputed on.
fn grounds(epoch: &Epoch, credit: &OwnerCredit, rounds: &[RoundCredit]) -> Vec<String> {
    let numbers = |chosen: Vec<u32>| {
        let texts: Vec<_> = chosen.iter().map(u32::to_string).collect();
        texts.join(", ")
    };
    let of = |is_it: fn(&RoundCredit) -> bool| {
        numbers(rounds.iter().filter(|one| is_it(one)).map(|one| one.round).collect())
    };
    let missed: Vec<_> = epoch
        .rounds
        .iter()
        .copied()
        .filter(|number| !rounds.iter().any(|one| one.round == *number))
        .collect();
    let mut grounds = vec![
        format!(
            "The payment itself: {} credits, of which another amount is asked for (--pay).",
            text::credits(credit.payment_micro)
        ),
        format!(
            "Rounds that should not count: the run is settled without them (--without), of rounds {}.",
            numbers(epoch.rounds.clone())
        ),
    ];
    let negative = of(|one| one.credit_micro < 0);
    let capped = of(|one| one.counted < one.count);
    let missed = numbers(missed);
    let more = [
        (negative, "Rounds in which its credit is below 0"),
        (capped, "Rounds in which more examples were declared than counted"),
        (
            missed,
            "Rounds with evidence that it has no part in, each with the reason in the round's entry",
        ),
    ];
    grounds.extend(
        more.into_iter()
            .filter(|(list, _)| !list.is_empty())
            .map(|(list, what)| format!("{what}: {list}.")),
    );
    for flag in &credit.flags {
        grounds.push(format!("The flag \u{201c}{flag}\u{201d}, which people should look at."));
    }
    grounds
}

impl WhyView {
    /// The blocks of the page of a settlement's entry, with this owner chosen.
    pub(crate) fn add_to(&self, page: &mut Page, epoch: &Epoch) {
        let credit = &self.credit;
        page.heading(
            format!("Why {} is paid {}", credit.owner.name, text::credits(credit.payment_micro)),
            "why",
        );
        for part in self.words.split("\n\n") {
            let mut lines = part.split("\n- ");
            page.text(lines.next().unwrap_or(""));
            let points: Vec<_> = lines.map(|line| vec![Cell::text(line)]).collect();
            if !points.is_empty() {
                page.add(Block::Points(points));
            }
        }
        page.add(Block::Facts(self.formula(epoch)));
        self.add_certainty(page, epoch);
        page.add(Block::Table(self.rounds_table()));
        if self.rounds.len() > 1 {
            page.add(Block::Figure(self.rounds_figure()));
        }
        if !self.changes.is_empty() {
            page.add(Block::Table(self.changes_table()));
        }
        self.add_dispute(page, epoch);
        page.heading("What it follows from", "inputs");
        let mut cells = vec![Cell::text("Entries ")];
        for (at, entry) in self.inputs.iter().enumerate() {
            if at > 0 {
                cells.push(Cell::text(", "));
            }
            cells.push(Cell::entry(*entry));
        }
        page.add(Block::Text(cells));
    }

    fn formula(&self, epoch: &Epoch) -> Vec<(String, Vec<Cell>)> {
        let credit = &self.credit;
        let amount = |micro: i128| {
            let clamped = micro.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
            Amount::from(clamped).to_string()
        };
        let part = Percent { part: credit.settled_micro as i64, whole: epoch.pool_micro };
        let share = format!(
            "{} \u{d7} {} / {} = {} credits ({part} of the pool, by largest remainder)",
            amount(epoch.pool_micro.into()),
            amount(credit.payable_micro.into()),
            amount(self.payable_total_micro.into()),
            amount(credit.settled_micro.into()),
        );
        let payable = format!(
            "max(0, {} \u{2212} {} \u{2212} \u{3bb} \u{d7} {}) = {}",
            amount(credit.credit_micro.into()),
            amount(self.carried_micro.into()),
            amount(credit.error_micro.into()),
            amount(credit.payable_micro.into()),
        );
        let interval =
            format!("{} to {}", amount(credit.low_micro.into()), amount(credit.high_micro.into()));
        let mut facts = vec![
            ("Payment = pool \u{d7} counts for pay / everybody's".to_owned(), vec![Cell::text(share)]),
            ("Counts for pay = max(0, credit \u{2212} owed \u{2212} \u{3bb} \u{d7} standard error)".to_owned(), vec![Cell::text(payable)]),
            ("Credit = sum over its rounds".to_owned(), vec![Cell::text(amount(credit.credit_micro.into()))]),
            ("Interval of the credit".to_owned(), vec![Cell::text(interval)]),
        ];
        if credit.difference_micro != 0 {
            let words =
                format!("{} (resolutions of disputes)", amount(credit.difference_micro.into()));
            facts.push(("Changed by review".to_owned(), vec![Cell::text(words)]));
        }
        facts
    }

    fn add_certainty(&self, page: &mut Page, epoch: &Epoch) {
        page.heading("How sure that is", "sure");
        let credit = &self.credit;
        let told = if self.is_told_from_zero {
            "The whole interval is above 0: this credit is told from nothing."
        } else {
            "The interval includes 0 or lies below it: this credit is not told from nothing."
        };
        page.text(told);
        let names: Vec<_> = self.no_clear_difference.iter().map(|one| one.name.as_str()).collect();
        page.text(match names.len() {
            0 => "It is clearly different from everybody else's.".to_owned(),
            _ => format!("No clear difference from {}: the intervals overlap.", names.join(", ")),
        });
        page.add(Block::Figure(intervals_figure(&epoch.owners, &credit.owner.id)));
    }

    fn rounds_table(&self) -> Table {
        let columns = vec![
            Column::number("Round", "round"),
            Column::number("Examples declared", "count"),
            Column::number("Counted", "counted"),
            Column::number("Score", "score"),
            Column::number("Credit", "credit_micro"),
            Column::number("Evidence", "entry"),
        ];
        let row = |one: &WhyRound| {
            vec![
                Cell::number(one.round),
                Cell::number(one.count),
                Cell::number(one.counted),
                Cell::number(one.score),
                Cell::credits(one.credit_micro),
                one.entry.map_or_else(Cell::none, Cell::entry),
            ]
        };
        let caption = format!("Rounds of {}", self.credit.owner.name);
        Table::new(caption, columns)
            .with(self.rounds.iter().map(row))
            .or("It took part in no round with evidence.")
    }

    fn rounds_figure(&self) -> crate::chart::Figure {
        let point = |one: &WhyRound| Point::at(one.round.into(), one.credit_micro as f64 / 1e6);
        let lines = Lines {
            title: "Credit in each round".to_owned(),
            summary: "The interval of the sum comes from how much these differ.".to_owned(),
            across: "Round",
            up: "Credits",
            lines: vec![Line {
                name: self.credit.owner.name.clone(),
                points: self.rounds.iter().map(point).collect(),
            }],
            limit: Some(("0".to_owned(), 0.0)),
            digits: 2,
        };
        lines.draw()
    }

    fn changes_table(&self) -> Table {
        let columns =
            vec![Column::text("If", "case"), Column::number("It would be paid", "payment_micro")];
        let row =
            |one: &WhyChange| vec![Cell::text(one.case.clone()), Cell::credits(one.payment_micro)];
        Table::new("What would have changed it, the others being what they are", columns)
            .with(self.changes.iter().map(row))
    }

    fn add_dispute(&self, page: &mut Page, epoch: &Epoch) {
        page.heading("What it can be disputed on", "dispute");
        page.add(Block::Points(
            self.grounds.iter().map(|one| vec![Cell::text(one.clone())]).collect(),
        ));
        let words = if epoch.is_open {
            "Until then a member may dispute it, signed with its own key: "
        } else {
            "The window is closed since "
        };
        page.add(Block::Notice(
            if epoch.is_open { Tone::Note } else { Tone::Warn },
            vec![Cell::text(words), Cell::time(epoch.window_end_ms)],
        ));
        if epoch.is_open {
            page.add(Block::Code("Command that opens a dispute", self.command.clone()));
            let form =
                format!("/disputes/new?entry={}&owner={}", epoch.entry, self.credit.owner.id);
            page.add(Block::Text(vec![Cell::link("Fill in this command", form)]));
        }
        if !self.disputes.is_empty() {
            page.add(Block::Table(disputes_table("Disputes about it", &self.disputes)));
        }
    }
}
