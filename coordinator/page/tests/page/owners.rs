//! What the page answers about every owner.

use std::sync::Arc;

use covey_aggregation::credit::{Amount, explain, settle};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_ledger::book::{Book, DisputeRecord, State};
use covey_ledger::entry::Verdict;
use covey_ledger::verify::verify;
use serde_json::Value;

use crate::support::{Served, example};
use crate::{get, words};

/// What upheld disputes about a run changed for an owner.
fn upheld_micro(book: &Book, run: &Digest, owner: &PartyId) -> i64 {
    let is_upheld = |dispute: &&DisputeRecord| {
        dispute.dispute.run == *run && matches!(dispute.state, State::Decided(Verdict::Upheld, _))
    };
    let upheld = book.disputes().into_iter().filter(is_upheld);
    let changes = upheld.flat_map(|dispute| dispute.differences.iter());
    changes.filter(|one| one.owner == *owner).map(|one| one.micro).sum()
}

fn exact(micro: i64) -> String {
    Amount::from(micro).to_string()
}

/// As the page writes payments: `1 234.50`, for people.
fn in_hundredths(micro: u64) -> String {
    let hundredths = format!("{:.2}", Amount::from(micro));
    let (whole, rest) = hundredths.split_once('.').expect("a point");
    match whole.len().checked_sub(3).filter(|at| *at > 0) {
        Some(at) => format!("{}\u{202f}{}.{rest}", &whole[..at], &whole[at..]),
        None => format!("{whole}.{rest}"),
    }
}

/// A person who never saw the project: how many credits, why, how sure, what it could be disputed on. The
/// expected answers are the verifier's, which reads the ledger's entries for itself and settles the evidence
/// in them again; the page is served from another book.
#[tokio::test]
async fn for_every_owner_the_page_answers_how_much_why_how_sure_and_what_to_dispute() {
    for seed in [1, 2] {
        let example = example(seed);
        let served = Arc::new(Served::of(&example));
        let report = verify(example.entries.iter().map(Vec::as_slice), &example.documents);
        assert!(report.holds(), "{:?}", report.doubts);
        let book = report.book.expect("a book");
        let mut owners = 0;
        for credits in book.settlements() {
            let settled = settle(&credits.terms, &credits.rounds, &credits.carried);
            let settled = settled.expect("evidence that settles");
            for account in &settled.accounts {
                owners += 1;
                let key = Digest(account.owner.0);
                let path = format!("/entries/{}?owner={key}", credits.entry);
                let text = words(&get(&served, &path).await.text);
                let name = book.name_of(&account.owner);
                let told = |what: &str| {
                    assert!(text.contains(what), "{name}, {path}: no {what:?} in {text}")
                };
                // How many.
                let difference = upheld_micro(&book, &credits.run, &account.owner);
                let paid = account.payment_micro.saturating_add_signed(difference);
                told(&format!("Why {name} is paid {}", in_hundredths(paid)));
                // Why: the formula with its numbers, and each round's evidence.
                told(&exact(account.credit_micro));
                told(&exact(account.payable_micro as i64));
                told(&exact(account.payment_micro as i64));
                told(&exact(settled.pool_micro as i64));
                for input in book.inputs(&credits.run, &account.owner) {
                    told(&format!("#{input}"));
                }
                let explanation =
                    explain(&credits.terms, &credits.rounds, &settled, &account.owner);
                let explanation = explanation.expect("it has an account");
                assert_eq!(explanation.rounds.len() as u32, account.rounds);
                let names = |id: &PartyId| book.name_of(id);
                for line in explanation.words(&names).to_string().lines() {
                    told(line.trim_start_matches("- ").trim());
                }
                // How sure.
                told(&format!("{} to {}", exact(account.low_micro), exact(account.high_micro)));
                let is_told = account.low_micro > 0;
                told(if is_told {
                    "this credit is told from nothing"
                } else {
                    "this credit is not told from nothing"
                });
                for other in &settled.accounts {
                    let overlaps = other.low_micro <= account.high_micro
                        && account.low_micro <= other.high_micro;
                    if overlaps && other.owner != account.owner {
                        told("No clear difference from");
                        told(&book.name_of(&other.owner));
                    }
                }
                // What it could be disputed on, until when, and how.
                told("What it can be disputed on");
                told("Rounds that should not count");
                if served.now_ms <= credits.window_end_ms {
                    told(&format!("covey-client dispute open --run {} --owner {key}", credits.run));
                } else {
                    told("The window is closed since");
                }
                // What is proven, and what is not.
                told("That the data behind an update are genuine");
            }
        }
        assert!(owners >= 6, "the example has credits");
    }
}

#[tokio::test]
async fn overlapping_owners_are_of_one_group_and_are_not_ranked() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    for credits in example.book.settlements() {
        let path = format!("/credits.json?epoch={}", credits.epoch);
        let view: Value = serde_json::from_str(&get(&served, &path).await.text).expect("JSON");
        let owners = view["epoch"]["owners"].as_array().expect("owners");
        for one in owners {
            for other in owners {
                let ends = |who: &Value| {
                    (
                        who["low_micro"].as_i64().expect("low"),
                        who["high_micro"].as_i64().expect("high"),
                    )
                };
                let ((low, high), (other_low, other_high)) = (ends(one), ends(other));
                if low <= other_high && other_low <= high {
                    assert_eq!(one["group"], other["group"], "{one} {other}");
                }
            }
        }
    }
}
