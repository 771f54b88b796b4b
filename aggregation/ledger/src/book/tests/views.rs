//! What a page asks of a book.

use covey_aggregation::hash::Digest;

use super::*;
use crate::entry::{MeasuredBy, RoundOutcome, WhyHeld};
use crate::example::Voter::{Holder, Owner, Researcher};
use crate::payout::preview;
use crate::statement::{Choice, Remedy};

fn whole() -> Example {
    Example::new(Shape::default()).expect("an example")
}

#[test]
fn every_owners_credit_has_an_answer_that_adds_up() {
    for seed in [1, 2] {
        let shape = Shape { seed, ..Shape::default() };
        let example = Example::new(shape).expect("an example");
        for credits in example.book.settlements() {
            let mut paid = 0;
            for account in &credits.settlement.accounts {
                let answer = example.book.answer(&credits.run, &account.owner).expect("an answer");
                let settled = answer.settled_micro.saturating_add_signed(answer.difference_micro);
                assert_eq!(answer.payment_micro, settled);
                let (low, high) = answer.interval_micro;
                assert!(low <= answer.credit_micro && answer.credit_micro <= high);
                assert!(answer.inputs.is_sorted_by(|one, next| one < next));
                assert!(answer.inputs.contains(&credits.entry));
                let rounds = example.book.run(&credits.run).expect("a run").rounds.len();
                let debts = usize::from(answer.carried_micro > 0);
                assert_eq!(answer.grounds.len(), rounds + debts, "every round is a ground");
                let told = example.book.explain(&credits.run, &account.owner).expect("why");
                assert_eq!(told.account, *account);
                paid += answer.settled_micro;
            }
            assert_eq!(paid, credits.settlement.paid_micro);
        }
    }
}

#[test]
fn where_a_payment_is_can_be_told() {
    let example = whole();
    let runs: Vec<_> = example.book.settlements().map(|one| one.run).collect();
    let paid = |run: usize, owner: usize| {
        let owner = example.owners[owner].id();
        example.book.answer(&runs[run], &owner).map(|answer| answer.paid)
    };
    assert_eq!(paid(0, 0), Some(Paid::InPayout));
    assert_eq!(paid(0, 3), Some(Paid::HeldBack(WhyHeld::NoAddress)));
    assert_eq!(paid(1, 0), Some(Paid::NotYet));
    assert_eq!(paid(1, 3), Some(Paid::HeldBack(WhyHeld::Disputed)));
    assert_eq!(paid(0, 6), None, "it joined later");
}

#[test]
fn one_box_finds_members_runs_entries_and_digests() {
    let example = whole();
    let book = &example.book;
    let owner = example.owners[0].id();
    let run = book.runs()[0].plan.run;
    let has = |text: &str, hit: Hit| book.search(text, 50).contains(&hit);
    assert!(has("clinic-1", Hit::Member(owner)));
    assert!(has(&Digest(owner.0).to_string()[..8].to_uppercase(), Hit::Member(owner)));
    assert!(has(&example.address_of(&owner).to_string(), Hit::Member(owner)));
    assert!(has(&example.address_of(&owner).to_string(), Hit::Payout(1)));
    assert!(has("digits", Hit::Run(run)));
    assert!(has(&run.to_string(), Hit::Run(run)));
    assert!(has("7", Hit::Entry(7)) && has("#7", Hit::Entry(7)));
    assert!(has("payout-made", Hit::Entry(46)));
    assert!(has(&format!("round/{run}"), Hit::Entry(2)));
    let model = book.runs()[0].rounds[&2].closed.model_after;
    assert!(has(&model.to_string(), Hit::Entry(10)));
    let dispute = book.disputes()[0].id;
    assert!(has(&dispute.to_string(), Hit::Dispute(dispute)));
    assert!(book.search("", 50).is_empty() && book.search("<script>", 50).is_empty());
    assert!(!book.search("abc", 50).iter().any(|hit| matches!(hit, Hit::Run(_))), "too few digits");
    assert_eq!(book.search("compute-reported", 3).len(), 3);
    assert!(book.entries_of_member(&owner).count() > 10);
    assert!(book.entries_of_run(&run).count() > 20);
    assert_eq!(book.member_named("ada").map(|one| one.id), Some(example.researcher.id()));
}

#[test]
fn runs_have_curves_and_members_have_totals() {
    let example = whole();
    let run = &example.book.runs()[0];
    let curve = run.curve("accuracy", MeasuredBy::Coordinator);
    assert_eq!(curve.iter().map(|point| point.round).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(curve.is_sorted_by(|one, next| one.millionths < next.millionths));
    assert_eq!(run.count(RoundOutcome::Abandoned), 1);
    assert!(!run.is_live() && example.book.runs()[2].is_live());
    let fourth = example.owners[3].id();
    let totals = example.book.totals(&fourth, example.now_ms);
    assert_eq!((totals.rounds_invited, totals.rounds_counted), (10, 8));
    assert_eq!((totals.epochs, totals.paid_micro), (2, 0));
    assert!(totals.pending_micro > 0 && totals.pending_micro < totals.credited_micro);
    let first = example.book.totals(&example.owners[0].id(), u64::MAX);
    assert_eq!(first.pending_micro, 0, "the windows are over");
    assert!(first.paid_micro > 0 && first.paid_micro < first.credited_micro);
}

#[test]
fn the_order_of_votes_and_of_runs_does_not_matter() {
    let orders = [[Holder(0), Owner(0), Researcher], [Researcher, Holder(0), Owner(0)]];
    let decided = orders.map(|order| {
        let (mut example, run) = settled();
        let id = example.dispute((&run, 2, 2), Remedy::Pay(5), "less").expect("a dispute");
        for voter in order {
            example.vote(voter, id, Choice::Yes).expect("a vote");
        }
        let (due, _) = example.book.due(example.now_ms).remove(0);
        let Body::Resolution(due) = due else { panic!("a resolution") };
        (due.verdict, due.votes.len(), due.differences)
    });
    assert_eq!(decided[0], decided[1]);
    let mut example = whole();
    example.wait_ms(30 * 24 * 3_600_000);
    example.write_due().expect("what is due");
    let mut runs: Vec<_> = example.book.settlements().map(|one| one.run).collect();
    let one = preview(&example.book, &runs, example.now_ms).expect("amounts");
    runs.reverse();
    assert_eq!(preview(&example.book, &runs, example.now_ms), Ok(one));
}
