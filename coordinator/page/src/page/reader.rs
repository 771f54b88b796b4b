//! Reading the book for one answer.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_ledger::book::{Book, CreditsRecord, DisputeRecord, MemberRecord, RunRecord};

use super::parts::{WhichRun, Who};
use crate::answer::Answer;
use crate::query::{Query, encoded};
use crate::source::{Live, Source};
use crate::text;

/// The book, who asks, and for what.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a dyn Source,
    /// `None` before the first entry.
    pub(crate) ledger: Option<&'a Book>,
    pub(crate) query: Query,
}

impl<'a> Reader<'a> {
    /// The book.
    ///
    /// # Errors
    /// What is answered where there is none yet.
    pub(crate) fn book(&self) -> Result<&'a Book, Answer> {
        let empty = || Answer::Nothing("The ledger has no entry yet.".to_owned());
        self.ledger.ok_or_else(empty)
    }

    /// Entries of the ledger.
    pub(crate) fn size(&self) -> u64 {
        self.ledger.map_or(0, Book::size)
    }

    /// When the last entry was written.
    pub(crate) fn last_time_ms(&self) -> Option<u64> {
        self.ledger.map(Book::time_ms)
    }

    /// How a member is named.
    pub(crate) fn who(&self, id: &PartyId) -> Who {
        let key = Digest(id.0);
        let Some(book) = self.ledger else { return unknown(key) };
        if let Some(member) = book.member(id) {
            let name = member.name.as_str();
            // Names are unique among members of one time only, and an ending says a form.
            let is_its_own = book.member_named(name).is_some_and(|one| one.id == *id);
            let is_plain = is_its_own && !name.ends_with(".json") && !name.ends_with(".csv");
            let place = if is_plain { encoded(name) } else { key.to_string() };
            return Who {
                name: name.to_owned(),
                id: key.to_string(),
                href: format!("/members/{place}"),
            };
        }
        let founding = book.founding();
        let seats = std::iter::once(&founding.coordinator).chain(&founding.holders);
        let seat = seats.into_iter().find(|seat| seat.id == *id);
        seat.map_or_else(
            || unknown(key),
            |seat| Who { name: seat.name.to_string(), ..unknown(key) },
        )
    }

    /// A member by its name or its key in hexadecimal.
    pub(crate) fn member(&self, text: &str) -> Option<&'a MemberRecord> {
        let book = self.ledger?;
        let of_key = Digest::from_hex(text).and_then(|key| book.member(&PartyId(key.0)));
        of_key.or_else(|| book.member_named(text))
    }

    /// How a run is named.
    pub(crate) fn which(&self, run: &Digest) -> WhichRun {
        let record = self.ledger.and_then(|book| book.run(run));
        let name = record.map_or_else(|| "run".to_owned(), |record| record.plan.name.to_string());
        WhichRun { name, id: run.to_string() }
    }

    /// A run by what names it, or by the beginning of that where it is the only one.
    pub(crate) fn run(&self, text: &str) -> Option<&'a RunRecord> {
        let book = self.ledger?;
        if let Some(run) = Digest::from_hex(text) {
            return book.run(&run);
        }
        let is_digits = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let begins = |run: &&RunRecord| is_digits && run.plan.run.to_string().starts_with(text);
        let mut found = book.runs().iter().filter(begins);
        found.next().filter(|_| found.next().is_none())
    }

    /// The text of a run's plan, where it is at hand: in its entry, or in the document that this names.
    pub(crate) async fn plan_text(&self, run: &RunRecord) -> Option<String> {
        if let Some(text) = &run.plan.text {
            return Some(text.clone());
        }
        let document = &run.plan.document;
        let bytes = self.source.document(&document.sha256.to_string()).await.ok()??;
        if document.is(&bytes) { String::from_utf8(bytes).ok() } else { None }
    }

    /// The settlements, in order.
    pub(crate) fn settlements(&self) -> Vec<&'a CreditsRecord> {
        self.ledger.map_or_else(Vec::new, |book| book.settlements().collect())
    }

    /// The settlement of an entry.
    pub(crate) fn settlement_at(&self, entry: u64) -> Option<&'a CreditsRecord> {
        self.settlements().into_iter().find(|credits| credits.entry == entry)
    }

    /// The entries of the evidence of a settlement, ascending by round.
    pub(crate) fn evidence_of(&self, credits: &CreditsRecord) -> Vec<u64> {
        let Some(run) = self.ledger.and_then(|book| book.run(&credits.run)) else {
            return Vec::new();
        };
        let given = |number| run.rounds.get(number)?.evidence.as_ref().map(|(entry, _)| *entry);
        credits.settlement.rounds.iter().filter_map(given).collect()
    }

    /// The disputes about an owner's credit of a settlement, in the order of their entries.
    pub(crate) fn disputes_of(
        &self,
        credits: &CreditsRecord,
        owner: &PartyId,
    ) -> Vec<&'a DisputeRecord> {
        let Some(book) = self.ledger else { return Vec::new() };
        let all = credits.disputes.iter().filter_map(|id| book.dispute(id));
        all.filter(|one| one.dispute.owner == *owner).collect()
    }

    /// Whether an owner's credit is under dispute now.
    pub(crate) fn is_disputed(&self, credits: &CreditsRecord, owner: &PartyId) -> bool {
        self.ledger.is_some_and(|book| book.is_disputed(&credits.run, owner))
    }

    /// The run at hand, where there is one.
    pub(crate) fn live(&self) -> Option<Live> {
        let live = self.source.live().borrow().clone();
        live.run.is_some().then_some(live)
    }
}

fn unknown(key: Digest) -> Who {
    let id = key.to_string();
    Who { name: text::short(&id), href: format!("/members/{id}"), id }
}

/// Nothing of this name.
pub(crate) fn none_of(what: &str, name: &str) -> Answer {
    let name: String = name.chars().take(80).collect();
    Answer::Nothing(format!("There is no {what} \u{201c}{name}\u{201d} in this ledger."))
}
