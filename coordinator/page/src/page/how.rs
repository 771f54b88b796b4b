//! The method in words, and the limits of what is proven.

use serde::Serialize;
use utoipa::ToSchema;

use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Page};
use crate::text;

/// The method, with the numbers of this federation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HowView {
    /// The federation's name.
    federation: String,
    /// Holders that must cosign the ledger.
    quorum: u32,
    /// Holders in all.
    holders: u64,
    /// Sections: heading and points.
    sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Section {
    /// Its name in addresses.
    id: &'static str,
    heading: &'static str,
    points: Vec<String>,
}

pub(crate) fn answer(reader: &Reader<'_>) -> Answer {
    let federation = reader.source.federation();
    let charter = reader.ledger.map(|book| book.charter());
    let window = charter.map_or_else(String::new, |charter| {
        format!(
            "Credits may be disputed for {} after they are settled; reviewers have {} to vote, and {} equal votes decide.",
            text::duration(charter.dispute_window_ms), text::duration(charter.vote_window_ms), charter.quorum,
        )
    });
    let holders = federation.witnesses.len() as u64;
    let sections = vec![
        section("training", "How a model is trained", &[
            "A researcher writes a plan. Every data owner's own policy decides whether it takes part; nobody can loosen that policy from outside.",
            "Each owner trains at home on its own data and sends only an encrypted change of the model. Data never leave.",
            "The committee's holders open the sum of a round's changes, and of nothing smaller: no single change is ever seen by anybody.",
        ]),
        section("credits", "How credits are given", &[
            "In each round, some validation examples that nobody knew before say which way the model should move. An owner's change is scored by how far it went that way (its score s), and only that score is opened.",
            "A round's budget is divided by the square root of the examples that count, times s. Examples count up to a few medians of the round, so that declaring more than one has soon brings nothing. A change in the wrong direction counts against its owner.",
            "Over a run, an owner's credit is the sum over its rounds. How much the rounds differ says how sure that is: the standard error, and from it the interval.",
            "The pool is divided by each credit less its standard errors (\u{3bb} times), never below 0: what cannot be told from chance is not paid. What is below 0 is owed in the next run.",
            "Everything is in whole numbers: anybody gets the same credits to the last millionth. Flags are for people to look at and change no payment.",
            "Owners whose intervals overlap are not ranked here: the page says that there is no clear difference.",
            "What training costs an owner (time, energy) is shown where it says so, and is never part of credit.",
        ]),
        Section {
            id: "disputes",
            heading: "How credits are disputed and paid",
            points: vec![
                window,
                "Under dispute, that credit is held back; all others stand. Nobody judges its own, nor a dispute that changes its own payment.".to_owned(),
                "Payouts are cumulative: a tree of addresses and amounts that contracts read. No chain is needed to make or check it.".to_owned(),
            ],
        },
        section("limits", "What is not proven", &[
            "That data are genuine. An owner may train on invented data; scores on examples that nobody knew before make that useless rather than impossible.",
            "That members are different people or institutions. The committee approves members; who is behind a name is its judgement.",
            "Anything, if holders at or above the threshold collude: together they could open single changes, or sign what is false.",
            "That the coordinator is always there, or invites fairly. Who was invited, late or dropped, and why, is its own word; owners keep receipts of what they sent.",
            "What owners say of their own devices and times.",
            "That the interval holds more than chance between rounds: other validation examples or another first model are not in it.",
        ]),
        Section {
            id: "verify",
            heading: "How to check all this without this server",
            points: vec![
                format!("The ledger is a transparency log (C2SP tlog-tiles). Its head is signed by the log's key, and cosigned by at least {} of {} holders, each of which has seen that nothing before was changed.", federation.quorum, holders),
                "This page's own verifier, in the bar above, checks the head, its signatures, that the ledger continues what you saw before, and the credits, in your browser. A verifier that comes from the one who is verified is a convenience: it can be served in another form to you alone.".to_owned(),
                "Get the bundle with covey-coordinator ledger export, or from anybody who has it, and run covey-committee ledger verify on it: it works without a network, and says what is checked, what is attested by a quorum, and what is only asserted.".to_owned(),
                "Any tool for tlog-tiles reads /checkpoint and /tile. Every owner keeps a receipt of its contribution and its credit, which is verified without any server.".to_owned(),
                "The payout file loads in @openzeppelin/merkle-tree from npm.".to_owned(),
            ],
        },
    ];
    Answer::of(&HowView {
        federation: federation.origin,
        quorum: federation.quorum,
        holders,
        sections,
    })
}

fn section(id: &'static str, heading: &'static str, points: &[&str]) -> Section {
    Section { id, heading, points: points.iter().map(|point| (*point).to_owned()).collect() }
}

impl View for HowView {
    fn page(&self) -> Page {
        let mut page = Page::new("How it works, and what is not proven");
        page.lead = vec![Cell::text(
            "Nobody has to be trusted with the data, and everybody can check the result. Where that ends is said here, too.",
        )];
        for section in &self.sections {
            page.heading(section.heading, section.id);
            let points = section.points.iter().filter(|point| !point.is_empty());
            page.add(Block::Points(points.map(|point| vec![Cell::text(point.clone())]).collect()));
        }
        page
    }
}
