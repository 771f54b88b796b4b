//! What one entry says, and what that is worth.

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::ROSTER_BYTES_MAX;
use covey_aggregation::party::PartyId;
use covey_aggregation::roster::Roster;
use covey_aggregation::wire;

use super::{Doubt, Line, Standing, Why};
use crate::book::Book;
use crate::document::{BadDocument, Document, Documents};
use crate::entry::{Body, Entry, Founding, PlanAccepted, RosterProof};
use crate::statement::Signed;

/// What an entry that the book has read says, with every doubt. The book may have read more.
#[must_use]
pub fn statements(
    book: &Book,
    index: u64,
    entry: &Entry,
    documents: &dyn Documents,
) -> (Vec<Line>, Vec<Doubt>) {
    let mut teller =
        Teller { book, documents, entry: index, lines: Vec::new(), doubts: Vec::new() };
    teller.tell(&entry.body);
    (teller.lines, teller.doubts)
}

pub(super) struct Teller<'a> {
    pub(super) book: &'a Book,
    pub(super) documents: &'a dyn Documents,
    entry: u64,
    lines: Vec<Line>,
    doubts: Vec<Doubt>,
}

impl Teller<'_> {
    pub(super) fn say(&mut self, standing: Standing, what: impl Into<String>) {
        self.lines.push(Line { entry: self.entry, what: what.into(), standing });
    }

    pub(super) fn checked(&mut self, what: impl Into<String>) {
        self.say(Standing::Checked, what);
    }

    pub(super) fn asserted(&mut self, what: impl Into<String>) {
        let by = format!("the coordinator, {}", self.book.founding().coordinator.name);
        self.say(Standing::Asserted(by), what);
    }

    pub(super) fn doubt(&mut self, why: Why) {
        self.doubts.push(Doubt { entry: self.entry, why });
    }

    /// A document that is at hand; other bytes than its own are a doubt.
    pub(super) fn document(&mut self, document: &Document) -> Option<Vec<u8>> {
        let bytes = self.documents.document(document)?;
        if document.is(&bytes) {
            return Some(bytes);
        }
        self.doubt(Why::Document(BadDocument::Altered(*document)));
        None
    }

    fn tell(&mut self, body: &Body) {
        match body {
            Body::Founding(body) => self.founding(body),
            Body::MemberJoined(body) => {
                let what = format!("{} is a member ({})", body.name, body.role);
                self.roster(&body.roster, &body.id, &what, true);
            }
            Body::MemberLeft(body) => {
                let name = self.book.name_of(&body.id);
                let what = format!("{name} is no longer a member");
                self.roster(&body.roster, &body.id, &what, false);
                self.asserted(format!("how {name} left: {:?}, {}", body.how, quoted(&body.why)));
            }
            Body::PlanAccepted(body) => self.plan(body),
            Body::RunExtended(body) => {
                self.asserted(format!("{} asked for more rounds", self.book.name_of(&body.by)));
                self.checked("the terms of credit are those of the run, for its rounds of now");
            }
            Body::RoundClosed(body) => self.round(body),
            Body::FoldOpened(body) => self.fold(body),
            Body::EvidenceGiven(body) => self.evidence(body),
            Body::RunEnded(body) => {
                self.checked("the run's last round and model are those of the rounds before");
                self.asserted(format!("why the run ended: {}", body.why));
            }
            Body::CreditsSettled(_) => {
                self.checked("every credit follows from the run's evidence, terms and debts");
            }
            Body::ComputeReported(body) => {
                self.said(&body.signed, "what the round took it");
            }
            Body::DisputeOpened(body) => {
                self.said(&body.signed, "what it doubts, and why");
                self.checked("the dispute came within its window");
            }
            Body::DisputeWithdrawn(body) => {
                self.said(&body.signed, "that it withdraws its dispute")
            }
            Body::VoteCast(body) => {
                self.said(&body.signed, "how it votes");
                self.checked("it may review, judges nothing of its own, and votes once, in time");
            }
            Body::Resolution(_) => {
                self.checked("the decision follows from the votes, the difference from the remedy");
            }
            Body::ProposalOpened(body) => self.said(&body.signed, "what it proposes, and why"),
            Body::ProposalDecided(_) => self.checked("the decision follows from the votes"),
            Body::AddressSet(body) => self.said(&body.signed, "where it is paid"),
            Body::PayoutMade(_) => {
                self.checked(
                    "every amount, and the root, follow from credits, reviews and addresses",
                );
                self.checked("nothing is paid that is under dispute, and no amount shrank");
            }
        }
    }

    /// A statement that a member signed: the book has checked the signature.
    fn said(&mut self, signed: &Signed, what: &str) {
        let name = self.book.name_of(&signed.statement.member);
        self.checked(format!("{name} signed this"));
        self.say(Standing::Asserted(name), what);
    }

    fn founding(&mut self, body: &Founding) {
        let what = "members, committee and quorum are those of the founding roster";
        match self.roster_of(&body.roster_document, &body.roster) {
            Some(roster) if is_founded_by(body, &roster) => {
                self.checked(format!("{what} {}, which every member has pinned", body.roster));
            }
            Some(_) => self.doubt(Why::Roster("members, committee or quorum are other ones")),
            None => self.asserted(format!("{what} {} (not at hand)", body.roster)),
        }
        self.asserted("the first charter, and who reviews in the beginning");
    }

    /// A roster that is at hand, if it has this digest.
    pub(super) fn roster_of(&mut self, document: &Document, digest: &Digest) -> Option<Roster> {
        let bytes = self.document(document)?;
        let roster: Option<Roster> = wire::decode(&bytes, ROSTER_BYTES_MAX).ok();
        let roster = roster.filter(|roster| roster.digest() == *digest);
        if roster.is_none() {
            self.doubt(Why::Roster("it has another digest, or is none"));
        }
        roster
    }

    fn roster(&mut self, proof: &RosterProof, id: &PartyId, what: &str, is_member: bool) {
        let (number, votes) = (proof.number, Standing::Attested(proof.votes.len()));
        self.say(votes.clone(), format!("the roster {number} is {}", proof.digest));
        match self.roster_of(&proof.document, &proof.digest) {
            Some(roster) if roster.number != number => {
                self.doubt(Why::Roster("it has another number"));
            }
            Some(roster) if roster.member(id).is_some() == is_member => self.say(votes, what),
            Some(_) => self.doubt(Why::Roster("it says the contrary of the member")),
            None => self.asserted(format!("{what} by that roster (not at hand)")),
        }
    }

    fn plan(&mut self, body: &PlanAccepted) {
        let is_at_hand = body.text.is_some() || self.document(&body.document).is_some();
        let what =
            "digests, name, size, operations and terms of credit are those of the plan's text";
        if is_at_hand {
            self.checked(what);
        } else {
            self.asserted(format!("{what} (not at hand)"));
        }
        self.asserted(format!("{} launched it", self.book.name_of(&body.launched_by)));
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "no reason given".to_owned() } else { format!("\"{text}\"") }
}

fn is_founded_by(body: &Founding, roster: &Roster) -> bool {
    let charter = body.charter.clone();
    let same = crate::facts::founding(roster, &body.reviewers, charter);
    let same = same.and_then(|facts| facts.bodies.into_iter().next());
    same.is_some_and(|same| matches!(same, Body::Founding(same) if *same == *body))
}
