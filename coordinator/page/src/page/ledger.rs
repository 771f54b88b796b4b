//! All entries, page by page.

use serde::Serialize;
use utoipa::ToSchema;

use super::overview::{EntryLine, entries_table};
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Page, Verify};
use crate::source::Federation;
use crate::text;

/// Entries on a page.
const LISTED: u64 = 100;

/// Entries of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerView {
    /// Whose ledger, and the keys that it is verified by.
    federation: Federation,
    /// Entries in all.
    size: u64,
    /// The kind that is listed; all where it is empty.
    kind: String,
    /// Entries before this one are listed, the newest first; all where there is none.
    before: Option<u64>,
    /// The entries.
    entries: Vec<EntryLine>,
    /// Where older ones are.
    older: Option<String>,
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let kind = reader.query.get("kind").to_owned();
    let before = reader.query.number("before");
    let all = reader.ledger.map_or(&[][..], |book| book.entries());
    let is_listed = |entry: &&covey_ledger::book::EntryRecord| {
        (kind.is_empty() || entry.kind.word() == kind)
            && before.is_none_or(|before| entry.index < before)
    };
    let mut found = all.iter().rev().filter(is_listed);
    let entries: Vec<_> =
        found.by_ref().take(LISTED as usize).map(|entry| EntryLine::of(reader, entry)).collect();
    let last = entries.last().map(|entry| entry.index);
    let older = found.next().and(last).map(|last| {
        let kind = crate::query::encoded(&kind);
        format!("/ledger?kind={kind}&before={last}")
    });
    Answer::of(&LedgerView {
        federation: reader.source.federation(),
        size: reader.size(),
        kind,
        before,
        entries,
        older,
    })
}

impl View for LedgerView {
    fn page(&self) -> Page {
        let mut page = Page::new("Ledger");
        page.lead = vec![
            Cell::text(format!(
                "{} entries, none of which can be changed or taken out unnoticed. ",
                text::number(self.size)
            )),
            Cell::link("How to check that", "/how#verify"),
        ];
        let kinds = covey_ledger::entry::Kind::ALL.iter();
        let mut cells = vec![Cell::text("Only: "), Cell::link("all", "/ledger")];
        for kind in kinds {
            cells.push(Cell::text(" \u{b7} "));
            cells.push(Cell::link(
                kind.word().replace('-', " "),
                format!("/ledger?kind={}", kind.word()),
            ));
        }
        page.add(Block::Text(cells));
        page.add(Block::Table(entries_table("Entries, the newest first", &self.entries)));
        if let Some(older) = &self.older {
            page.add(Block::Text(vec![Cell::link("Older entries", older.clone())]));
        }
        page.heading("Keys", "keys");
        page.text("What this ledger is verified by. Compare them with those that you pinned when you joined, or with what others have.");
        let key = |key: &String| vec![Cell { class: "code whole", ..Cell::text(key.clone()) }];
        page.add(Block::Facts(vec![
            ("Log".to_owned(), key(&self.federation.log)),
            (
                format!("Witnesses, {} of which must cosign", self.federation.quorum),
                vec![Cell::number(self.federation.witnesses.len() as u64)],
            ),
        ]));
        page.add(Block::Points(self.federation.witnesses.iter().map(key).collect()));
        page.verify = Some(Verify { is_whole: true, ..Verify::default() });
        page
    }
}
