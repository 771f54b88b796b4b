//! One entry: what it says, what it follows from, and what of that is proven.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_ledger::entry::{Entry, Kind};
use serde::Serialize;
use utoipa::ToSchema;

use super::credits::{Epoch, intervals_figure};
use super::overview::EntryLine;
use super::reader::{Reader, none_of};
use super::why::WhyView;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Page, Tone, Verify};
use crate::text;

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryView {
    /// The entry in a line.
    line: EntryLine,
    /// What it says, as it is in the ledger; none where its bytes cannot be read now.
    #[schema(value_type = Option<Object>)]
    said: Option<serde_json::Value>,
    /// Entries of the ledger.
    size: u64,
    /// Who vouches for it, and for what.
    proven: Vec<Proven>,
    /// For a settlement: its credits.
    epoch: Option<Epoch>,
    /// For a settlement, with `?owner=`: why that owner is credited what it is.
    why: Option<WhyView>,
}

/// What stands behind an entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proven {
    /// `checked`, `attested`, `asserted` or `not proven`.
    how: String,
    /// What.
    what: String,
}

pub(crate) async fn answer(reader: &Reader<'_>, index: &str) -> Answer {
    let number = index.parse::<u64>().ok().filter(|number| number.to_string() == index);
    let record = number.and_then(|number| {
        let at = usize::try_from(number).ok()?;
        reader.ledger?.entries().get(at)
    });
    let Some(record) = record else { return none_of("entry", index) };
    let bytes = match reader.source.entry(record.index).await {
        Ok(bytes) => bytes,
        Err(error) => return Answer::Failed(format!("Entry {index} cannot be read now: {error}.")),
    };
    // Only what is an entry is shown as one.
    let entry = bytes.filter(|bytes| Entry::parse(bytes).is_ok());
    let credits = reader.settlement_at(record.index);
    let epoch = credits.map(|credits| Epoch::of(reader, credits));
    let asked = reader.query.get("owner");
    let why = match (credits, &epoch) {
        (Some(credits), Some(epoch)) if !asked.is_empty() => {
            let Some(owner) = owner_of(reader, asked) else { return none_of("owner", asked) };
            let why = WhyView::of(reader, credits, epoch, &owner);
            let Some(why) = why else { return none_of("credit of", asked) };
            Some(why)
        }
        _ => None,
    };
    Answer::of(&EntryView {
        line: EntryLine::of(reader, record),
        said: entry.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        size: reader.size(),
        proven: proven(record.kind, reader),
        epoch,
        why,
    })
}

fn owner_of(reader: &Reader<'_>, text: &str) -> Option<PartyId> {
    let member = reader.member(text).map(|member| member.id);
    member.or_else(|| Digest::from_hex(text).map(|key| PartyId(key.0)))
}

/// What stands behind an entry of a kind.
fn proven(kind: Kind, reader: &Reader<'_>) -> Vec<Proven> {
    let federation = reader.source.federation();
    let one = |how: &str, what: String| Proven { how: how.to_owned(), what };
    let mut all = vec![one(
        "checked",
        format!(
            "That it is in the ledger, and that nothing before it was changed: the log's signature, and the cosignatures of {} of {} holders.",
            federation.quorum,
            federation.witnesses.len(),
        ),
    )];
    let (how, what) = match kind {
        Kind::CreditsSettled => (
            "checked",
            "That these credits follow from the evidence and the debts in the ledger, to the last micro-credit: anybody computes them again.",
        ),
        Kind::EvidenceGiven => (
            "attested",
            "That these scores were opened by the committee for the contributions of the round: a quorum of holders signed it.",
        ),
        Kind::RoundClosed => (
            "attested",
            "That the sum is of this set of contributions: a quorum of holders signed the set. Its publication can be added up again by anybody.",
        ),
        Kind::MemberJoined | Kind::MemberLeft => (
            "attested",
            "That the member is, or is no longer, on the roster: a quorum of holders signed the roster.",
        ),
        Kind::DisputeOpened
        | Kind::DisputeWithdrawn
        | Kind::VoteCast
        | Kind::ProposalOpened
        | Kind::AddressSet => ("checked", "That this member said so: its signature."),
        Kind::ComputeReported => (
            "checked",
            "That this member said so: its signature. That it is true is only asserted.",
        ),
        Kind::Resolution | Kind::ProposalDecided => {
            ("checked", "That the votes in the ledger decide it so, by the charter.")
        }
        Kind::PayoutMade => (
            "checked",
            "That the amounts follow from the credits and addresses in the ledger: anybody builds the same tree.",
        ),
        Kind::FoldOpened => (
            "asserted",
            "Which examples of the validation pool were opened; what follows from them is attested with the evidence.",
        ),
        Kind::Founding => (
            "asserted",
            "The first entry: compare its roster with the one that you pinned when you joined.",
        ),
        Kind::PlanAccepted | Kind::RunExtended | Kind::RunEnded => {
            ("asserted", "That the coordinator took it so; the plan's text is bound by its digest.")
        }
    };
    all.push(one(how, what.to_owned()));
    if matches!(kind, Kind::RoundClosed) {
        all.push(one("asserted", "Who was invited, who was late and why, how long it took, and metrics on the coordinator's file: its own word.".to_owned()));
    }
    if matches!(kind, Kind::CreditsSettled | Kind::EvidenceGiven) {
        all.push(one("not proven", "That the data behind an update are genuine, and that members are different people or institutions.".to_owned()));
    }
    all.push(one("asserted", "The time: the coordinator's clock.".to_owned()));
    all
}

impl EntryView {
    fn facts(&self) -> Block {
        let line = &self.line;
        let mut facts = vec![
            ("What".to_owned(), vec![Cell::text(line.kind.replace('-', " "))]),
            ("Time".to_owned(), vec![Cell::time(line.time_ms)]),
        ];
        if let Some(run) = &line.run {
            let mut cells = vec![run.cell()];
            if let Some(round) = line.round {
                cells.push(Cell::text(format!(", round {round}")));
            }
            facts.push(("Run".to_owned(), cells));
        }
        if !line.members.is_empty() {
            let mut cells = Vec::new();
            for (at, one) in line.members.iter().enumerate() {
                if at > 0 {
                    cells.push(Cell::text(", "));
                }
                cells.push(one.cell());
            }
            facts.push(("Members".to_owned(), cells));
        }
        facts.push((
            "Subject".to_owned(),
            vec![Cell { class: "code whole", ..Cell::text(line.subject.clone()) }],
        ));
        let place =
            format!("leaf {} in a tree of {}. ", text::number(line.index), text::number(self.size));
        let proof = format!("/entries/{}/proof", line.index);
        facts.push((
            "Where".to_owned(),
            vec![
                Cell::text(place),
                Cell::link("Download its proof", proof),
                Cell::text("; "),
                Cell::link("how to check it without us", "/how#verify"),
            ],
        ));
        Block::Facts(facts)
    }

    fn proven_block(&self) -> Block {
        let point = |one: &Proven| {
            let tone = match one.how.as_str() {
                "checked" => Tone::Good,
                "attested" => Tone::Note,
                _ => Tone::Warn,
            };
            vec![Cell::badge(tone, one.how.clone()), Cell::text(format!(" {}", one.what))]
        };
        Block::Points(self.proven.iter().map(point).collect())
    }

    fn title(&self) -> String {
        let index = text::number(self.line.index);
        match (&self.why, &self.epoch) {
            (Some(why), _) => format!(
                "Entry {index}: {} credits to {}",
                text::credits(why.credit.payment_micro),
                why.credit.owner.name,
            ),
            (None, Some(_)) => format!("Entry {index}: credits settled"),
            (None, None) => format!("Entry {index}: {}", self.line.kind.replace('-', " ")),
        }
    }
}

impl View for EntryView {
    fn page(&self) -> Page {
        let mut page = Page::new(self.title());
        page.trail = vec![Cell::link("Ledger", "/ledger")];
        if self.why.is_some() {
            page.trail.push(Cell::link(
                format!("Entry {}", self.line.index),
                format!("/entries/{}", self.line.index),
            ));
        }
        page.verify = Some(Verify { entries: vec![self.line.index], ..Verify::default() });
        page.add(self.facts());
        if let Some(epoch) = &self.epoch {
            page.verify = Some(epoch.verify());
            page.blocks.extend(epoch.notices());
            match &self.why {
                Some(why) => why.add_to(&mut page, epoch),
                None => page.add(Block::Figure(intervals_figure(&epoch.owners, ""))),
            }
            let table = epoch.table();
            page.csv = Some(table.clone());
            page.add(Block::Table(table));
        }
        page.heading("What is proven, and what is not", "proven");
        page.add(self.proven_block());
        page.heading("What it says", "says");
        match &self.said {
            Some(said) => {
                let pretty = serde_json::to_string_pretty(said).unwrap_or_default();
                page.add(Block::Code("The entry", pretty));
            }
            None => page.add(Block::Notice(
                Tone::Warn,
                vec![Cell::text("Its bytes are not at hand, or are no entry.")],
            )),
        }
        page
    }
}

/// The entry's proof of inclusion, as a file (C2SP tlog-proof).
pub(crate) async fn proof(reader: &Reader<'_>, index: &str) -> Answer {
    let number = index.parse::<u64>().ok().filter(|number| *number < reader.size());
    let Some(number) = number else { return none_of("entry", index) };
    match crate::proof::of(reader.source, number).await {
        Ok(proof) => Answer::File("text/plain; charset=utf-8", proof),
        Err(why) => Answer::Failed(why),
    }
}
