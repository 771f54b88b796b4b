//! One dispute, and one proposal.

use covey_aggregation::hash::Digest;
use covey_ledger::document::Document;
use covey_ledger::entry::Difference;
use covey_ledger::review::Poll;
use covey_ledger::statement::Choice;
use serde::Serialize;
use utoipa::ToSchema;

use super::disputes::{DisputeLine, ProposalLine};
use super::parts::{Who, state_cell};
use super::reader::{Reader, none_of};
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table, Verify};
use crate::text;

/// A dispute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputeView {
    /// The dispute in a line.
    line: DisputeLine,
    /// Where the disputed credit is explained.
    credit: String,
    /// What it says shows it. Only digests are signed: whoever opened it keeps the files.
    documents: Vec<EvidenceLine>,
    /// How payments change if it is upheld.
    differences: Vec<DifferenceLine>,
    /// The votes.
    ballots: Vec<BallotLine>,
    /// Who has no vote in it.
    parties: Vec<Who>,
}

/// A file that a dispute brings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceLine {
    /// The SHA-256 digest of its bytes.
    sha256: String,
    /// How many there are.
    bytes: u64,
    /// Whether it is published here, at `/documents/` and its digest.
    is_published: bool,
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposalView {
    /// The proposal in a line.
    line: ProposalLine,
    /// The votes.
    ballots: Vec<BallotLine>,
    /// Who has no vote in it.
    parties: Vec<Who>,
}

/// What changes for an owner.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceLine {
    owner: Who,
    /// In micro-credits.
    micro: i64,
}

/// A vote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BallotLine {
    reviewer: Who,
    /// `yes` or `no`.
    choice: String,
    /// The entry.
    entry: u64,
}

fn ballots(reader: &Reader<'_>, poll: &Poll) -> Vec<BallotLine> {
    let line = |one: &covey_ledger::review::Ballot| BallotLine {
        reviewer: reader.who(&one.reviewer),
        choice: if one.choice == Choice::Yes { "yes" } else { "no" }.to_owned(),
        entry: one.entry,
    };
    poll.ballots.iter().map(line).collect()
}

/// What a dispute brings; a file that cannot be read here now is not published here now.
async fn evidence(reader: &Reader<'_>, documents: &[Document]) -> Vec<EvidenceLine> {
    let mut lines = Vec::with_capacity(documents.len());
    for one in documents {
        let sha256 = one.sha256.to_string();
        let found = reader.source.document(&sha256).await;
        let is_published = found.is_ok_and(|bytes| bytes.is_some_and(|bytes| one.is(&bytes)));
        lines.push(EvidenceLine { sha256, bytes: one.bytes, is_published });
    }
    lines
}

pub(crate) async fn answer(reader: &Reader<'_>, id: &str) -> Answer {
    let found = Digest::from_hex(id).and_then(|id| reader.ledger?.dispute(&id));
    let Some(record) = found else { return none_of("dispute", id) };
    let run = reader.ledger.and_then(|book| book.run(&record.dispute.run));
    let entry = run.and_then(|run| run.credits.as_ref()).map(|credits| credits.entry);
    let owner = Digest(record.dispute.owner.0);
    let difference =
        |one: &Difference| DifferenceLine { owner: reader.who(&one.owner), micro: one.micro };
    Answer::of(&DisputeView {
        line: DisputeLine::of(reader, record),
        credit: entry.map_or_else(String::new, |entry| format!("/entries/{entry}?owner={owner}")),
        documents: evidence(reader, &record.dispute.evidence).await,
        differences: record.differences.iter().map(difference).collect(),
        ballots: ballots(reader, &record.poll),
        parties: record.poll.parties.iter().map(|one| reader.who(one)).collect(),
    })
}

pub(crate) fn proposal(reader: &Reader<'_>, id: &str) -> Answer {
    let found = Digest::from_hex(id).and_then(|id| reader.ledger?.proposal(&id));
    let Some(record) = found else { return none_of("proposal", id) };
    Answer::of(&ProposalView {
        line: ProposalLine::of(reader, record),
        ballots: ballots(reader, &record.poll),
        parties: record.poll.parties.iter().map(|one| reader.who(one)).collect(),
    })
}

fn votes_cell(yes: u32, no: u32, quorum: u32) -> Cell {
    Cell::text(format!("{yes} yes, {no} no; {quorum} equal votes decide"))
}

fn names(parties: &[Who]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (at, one) in parties.iter().enumerate() {
        if at > 0 {
            cells.push(Cell::text(", "));
        }
        cells.push(one.cell());
    }
    if cells.is_empty() { vec![Cell::none()] } else { cells }
}

fn ballots_table(ballots: &[BallotLine]) -> Table {
    let columns = vec![
        Column::text("Reviewer", "reviewer"),
        Column::text("Vote", "choice"),
        Column::number("Entry", "entry"),
    ];
    let row = |one: &BallotLine| {
        vec![one.reviewer.cell(), Cell::text(one.choice.clone()), Cell::entry(one.entry)]
    };
    Table::new("Votes", columns).with(ballots.iter().map(row)).or("Nobody has voted yet.")
}

fn evidence_table(documents: &[EvidenceLine]) -> Table {
    let columns = vec![
        Column::text("SHA-256 digest", "sha256"),
        Column::number("Size", "bytes"),
        Column::text("Where", "where"),
    ];
    let row = |one: &EvidenceLine| {
        let place = match one.is_published {
            true => Cell::link("published here", format!("/documents/{}", one.sha256)),
            false => Cell::text("with whoever opened it"),
        };
        let size = Cell::text(text::bytes(one.bytes)).read_as(one.bytes.to_string());
        vec![Cell::whole_hex(&one.sha256), size, place]
    };
    Table::new("Files that it brings", columns).with(documents.iter().map(row))
}

fn vote_command(id: &str, is_open: bool) -> Vec<Block> {
    if !is_open {
        return Vec::new();
    }
    let command = format!("covey-committee review vote {id} yes|no");
    vec![
        Block::Text(vec![Cell::text("Reviewers vote with their own key:")]),
        Block::Code("Command that votes", command),
    ]
}

impl View for DisputeView {
    fn page(&self) -> Page {
        let line = &self.line;
        let mut page = Page::new(format!("Dispute {}", text::short(&line.id)));
        page.trail = vec![Cell::link("Disputes", "/disputes")];
        let mut facts = vec![
            ("State".to_owned(), vec![state_cell(&line.state)]),
            (
                "Credit of".to_owned(),
                vec![line.owner.cell(), Cell::text(" in run "), line.run.cell()],
            ),
            (
                "Opened".to_owned(),
                vec![
                    line.by.cell(),
                    Cell::text(", "),
                    Cell::time(line.opened_ms),
                    Cell::text(", entry "),
                    Cell::entry(line.entry),
                ],
            ),
            ("Asks to".to_owned(), vec![Cell::text(line.remedy.clone())]),
            ("Why".to_owned(), vec![Cell::text(line.why.clone())]),
            ("Votes".to_owned(), vec![votes_cell(line.yes, line.no, line.quorum)]),
            ("Votes until".to_owned(), vec![Cell::time(line.deadline_ms)]),
            ("No vote in it".to_owned(), names(&self.parties)),
            ("Dispute".to_owned(), vec![Cell::whole_hex(&line.id)]),
        ];
        if let Some(ended) = line.ended {
            facts.push(("Ended by".to_owned(), vec![Cell::text("entry "), Cell::entry(ended)]));
        }
        page.add(Block::Facts(facts));
        if !self.credit.is_empty() {
            page.add(Block::Text(vec![Cell::link(
                "Why the disputed credit is what it is",
                self.credit.clone(),
            )]));
        }
        let columns = vec![Column::text("Owner", "owner"), Column::number("Difference", "micro")];
        let row = |one: &DifferenceLine| vec![one.owner.cell(), Cell::credits(one.micro)];
        let caption = if line.state == "upheld" {
            "What it changed"
        } else {
            "What it changes if it is upheld"
        };
        page.add(Block::Table(Table::new(caption, columns).with(self.differences.iter().map(row))));
        page.add(Block::Table(ballots_table(&self.ballots)));
        if !self.documents.is_empty() {
            page.add(Block::Table(evidence_table(&self.documents)));
            page.text(
                "Only the digests are signed. Whoever opened the dispute keeps the files and gives them to \
                 reviewers, who compare: sha256sum FILE.",
            );
        }
        page.blocks.extend(vote_command(&line.id, line.state == "open"));
        let entries = [line.entry].into_iter().chain(line.ended).collect();
        page.verify = Some(Verify { entries, ..Verify::default() });
        page
    }
}

impl View for ProposalView {
    fn page(&self) -> Page {
        let line = &self.line;
        let mut page = Page::new(format!("Proposal {}", text::short(&line.id)));
        page.trail = vec![Cell::link("Disputes and proposals", "/disputes#proposals")];
        let mut facts = vec![
            ("State".to_owned(), vec![state_cell(&line.state)]),
            ("What shall be".to_owned(), vec![Cell::text(line.change.clone())]),
            (
                "By".to_owned(),
                vec![line.by.cell(), Cell::text(", entry "), Cell::entry(line.entry)],
            ),
            ("Why".to_owned(), vec![Cell::text(line.why.clone())]),
            ("Votes".to_owned(), vec![votes_cell(line.yes, line.no, line.quorum)]),
            ("Votes until".to_owned(), vec![Cell::time(line.deadline_ms)]),
            ("No vote in it".to_owned(), names(&self.parties)),
        ];
        if let Some(ended) = line.ended {
            facts.push(("Ended by".to_owned(), vec![Cell::text("entry "), Cell::entry(ended)]));
        }
        page.add(Block::Facts(facts));
        page.add(Block::Table(ballots_table(&self.ballots)));
        page.blocks.extend(vote_command(&line.id, line.state == "open"));
        page.verify = Some(Verify { entries: vec![line.entry], ..Verify::default() });
        page
    }
}
