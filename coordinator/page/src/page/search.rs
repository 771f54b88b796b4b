//! One box that finds everything.

use covey_ledger::book::Hit;
use serde::Serialize;
use utoipa::ToSchema;

use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Column, Page, Table};
use crate::text;

/// Things that are listed.
const HITS_MAX: usize = 100;

/// What a text finds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchView {
    /// The text.
    query: String,
    /// What it finds.
    hits: Vec<HitLine>,
}

/// Something found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HitLine {
    /// `member`, `run`, `dispute`, `proposal`, `payout` or `entry`.
    kind: String,
    /// Its name.
    name: String,
    /// Where it is.
    href: String,
}

impl HitLine {
    fn of(reader: &Reader<'_>, hit: &Hit) -> Self {
        let (kind, name, href) = match hit {
            Hit::Member(id) => {
                let who = reader.who(id);
                ("member", who.name, who.href)
            }
            Hit::Run(run) => {
                let which = reader.which(run);
                ("run", which.label(), which.href())
            }
            Hit::Dispute(id) => {
                ("dispute", text::short(&id.to_string()), format!("/disputes/{id}"))
            }
            Hit::Proposal(id) => {
                ("proposal", text::short(&id.to_string()), format!("/proposals/{id}"))
            }
            Hit::Payout(number) => ("payout", number.to_string(), format!("/payouts/{number}")),
            Hit::Entry(index) => {
                let at = usize::try_from(*index).ok();
                let entry = at.and_then(|at| reader.ledger?.entries().get(at));
                let kind = entry.map_or("", |entry| entry.kind.word());
                (
                    "entry",
                    format!("{index}: {}", kind.replace('-', " ")),
                    format!("/entries/{index}"),
                )
            }
        };
        Self { kind: kind.to_owned(), name, href }
    }
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let query: String = reader.query.get("q").trim().chars().take(200).collect();
    let hits = reader.ledger.map(|book| book.search(&query, HITS_MAX)).unwrap_or_default();
    let hits: Vec<_> = hits.iter().map(|hit| HitLine::of(reader, hit)).collect();
    match hits.as_slice() {
        [only] => Answer::Elsewhere(only.href.clone()),
        _ => Answer::of(&SearchView { query, hits }),
    }
}

impl View for SearchView {
    fn page(&self) -> Page {
        let title = match self.query.as_str() {
            "" => "Search".to_owned(),
            query => format!("Search: {query}"),
        };
        let mut page = Page::new(title);
        let columns = vec![Column::text("What", "kind"), Column::text("Name", "name")];
        let row = |one: &HitLine| {
            vec![Cell::text(one.kind.clone()), Cell::link(one.name.clone(), one.href.clone())]
        };
        let table = Table::new("Found", columns).with(self.hits.iter().map(row));
        page.add(Block::Table(table.or(
            "Nothing. Try a run or member by a part of its name, the number of an entry, the first digits of a hash or key, or an address.",
        )));
        page
    }
}
