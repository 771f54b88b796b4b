//! Disputes and proposals, and the form that prepares a dispute.

use covey_ledger::book::{DisputeRecord, ProposalRecord};
use covey_ledger::statement::{Change, Choice, Remedy};
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::{WhichRun, Who, quoted, state_cell, state_entry, state_word};
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Field, Form, Page, Table, Tone};
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

/// A dispute in preparation. Nothing is sent: a member signs it with its own key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PrepareView {
    /// The entry of the settlement.
    entry: Option<u64>,
    /// The owner whose credit it is: a name or a key.
    owner: String,
    /// `pay` or `without`.
    remedy: String,
    /// Credits, or rounds separated by commas.
    value: String,
    /// Why.
    why: String,
    /// What is missing, or wrong.
    problem: Option<String>,
    /// The command to sign with.
    command: Option<String>,
    /// Settlements: entry and words.
    #[serde(skip)]
    settlements: Vec<(String, String)>,
}

/// The command that opens a dispute.
pub(crate) fn command(run: &str, owner: &str, remedy: &str, why: &str) -> String {
    format!("covey-client dispute open --run {run} --owner {owner} {remedy} --why {}", quoted(why))
}

pub(crate) fn prepare(reader: &Reader<'_>) -> Answer {
    let query = &reader.query;
    let mut view = PrepareView {
        entry: query.number("entry"),
        owner: query.get("owner").to_owned(),
        remedy: query.get("remedy").to_owned(),
        value: query.get("value").trim().to_owned(),
        why: query.get("why").to_owned(),
        problem: None,
        command: None,
        settlements: reader
            .settlements()
            .iter()
            .rev()
            .map(|one| {
                (
                    one.entry.to_string(),
                    format!("epoch {}: {}", one.epoch, reader.which(&one.run).label()),
                )
            })
            .collect(),
    };
    if !view.remedy.is_empty() {
        match prepared(reader, &view) {
            Ok(command) => view.command = Some(command),
            Err(problem) => view.problem = Some(problem),
        }
    }
    Answer::of(&view)
}

fn prepared(reader: &Reader<'_>, view: &PrepareView) -> Result<String, String> {
    let credits = view.entry.and_then(|entry| reader.settlement_at(entry));
    let credits = credits.ok_or("Choose the credits that are disputed.")?;
    let owner = reader.member(view.owner.trim()).ok_or("There is no owner of this name or key.")?;
    credits.settlement.of(&owner.id).ok_or("This owner has no credit there.")?;
    if reader.source.now_ms() > credits.window_end_ms {
        let end = text::time(credits.window_end_ms);
        return Err(format!("These credits could be disputed until {end}."));
    }
    let is_amount = |text: &str| {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str, max: usize| {
            !part.is_empty() && part.len() <= max && part.bytes().all(|one| one.is_ascii_digit())
        };
        is_digits(whole, 12) && is_digits(rest, 6)
    };
    let remedy = match view.remedy.as_str() {
        "pay" if is_amount(&view.value) => format!("--pay {}", view.value),
        "pay" => return Err("Say how many credits, as 12.5.".to_owned()),
        _ => {
            let rounds: Result<Vec<u32>, _> =
                view.value.split(',').map(|one| one.trim().parse()).collect();
            let mut rounds = rounds.map_err(|_| "Say which rounds, as 3,5.")?;
            rounds.sort_unstable();
            rounds.dedup();
            if let Some(other) = rounds.iter().find(|one| !credits.settlement.rounds.contains(one))
            {
                return Err(format!("Round {other} has no evidence in these credits."));
            }
            let rounds: Vec<_> = rounds.iter().map(u32::to_string).collect();
            format!("--without {}", rounds.join(","))
        }
    };
    if view.why.trim().is_empty() {
        return Err("Say why: reviewers read it.".to_owned());
    }
    let key = covey_aggregation::hash::Digest(owner.id.0).to_string();
    Ok(command(&credits.run.to_string(), &key, &remedy, view.why.trim()))
}

impl View for PrepareView {
    fn page(&self) -> Page {
        let mut page = Page::new("Prepare a dispute");
        page.trail = vec![Cell::link("Disputes", "/disputes")];
        page.lead = vec![Cell::text(
            "This page only writes the command. You run it where your key is: it signs the dispute and sends it.",
        )];
        if let Some(problem) = &self.problem {
            page.add(Block::Notice(Tone::Warn, vec![Cell::text(problem.clone())]));
        }
        if let Some(command) = &self.command {
            page.text("Run this where your member key is:");
            page.add(Block::Code("The command", command.clone()));
        }
        let field = |name, label, value: &str, hint| Field {
            name,
            label,
            value: value.to_owned(),
            hint,
            ..Field::default()
        };
        let entry = self.entry.map_or_else(String::new, |entry| entry.to_string());
        let remedies = [("pay", "pay another amount"), ("without", "settle without some rounds")];
        let remedies = remedies.map(|(value, text)| (value.to_owned(), text.to_owned())).to_vec();
        page.add(Block::Form(Form {
            action: "/disputes/new",
            submit: "Write the command",
            fields: vec![
                Field {
                    options: self.settlements.clone(),
                    ..field("entry", "Credits", &entry, "")
                },
                field("owner", "Owner whose credit it is", &self.owner, "Its name or key."),
                Field {
                    options: remedies,
                    ..field("remedy", "What should be instead", &self.remedy, "")
                },
                field(
                    "value",
                    "Credits, or rounds",
                    &self.value,
                    "12.5 to be paid; or 3,5 to settle without rounds 3 and 5.",
                ),
                Field {
                    is_long: true,
                    ..field("why", "Why", &self.why, "In your own words; everybody can read them.")
                },
            ],
        }));
        page
    }
}
