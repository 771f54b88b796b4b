//! Payouts.

use covey_aggregation::credit::MICRO;

use super::*;
use crate::charter::Charter;
use crate::document::{Document, Held};
use crate::entry::{PayoutMade, WhyHeld};
use crate::example::Voter::{Holder, Owner};
use crate::payout::{
    Built, NoPayout, NotPayable, Payee, Tree, build, csv, payable_runs, preview, units_csv,
};
use crate::statement::{Budget, Change, Choice, Proposal, Remedy};

const DAY_MS: u64 = 24 * 3_600_000;

/// The example with addresses, after the window, and the payout that would be made.
fn payable() -> (Example, Digest, Built) {
    let (mut example, run) = settled();
    example.addresses().expect("addresses");
    example.wait_ms(4 * DAY_MS);
    let built = built(&example);
    (example, run, built)
}

fn built(example: &Example) -> Built {
    let (runs, _) = payable_runs(&example.book, example.now_ms);
    let amounts = preview(&example.book, &runs, example.now_ms).expect("amounts");
    build(&amounts, &example.book).expect("a payout")
}

/// The same payout with another tree.
fn with_payees(example: &mut Example, built: &Built, payees: Vec<Payee>) -> PayoutMade {
    let tree = Tree::new(payees).expect("a tree");
    let file = tree.to_file();
    let document = Document::of(&file);
    example.documents.insert(document.sha256, file);
    let (payees, total) = (tree.payees().len() as u32, tree.total().expect("a total"));
    PayoutMade { root: tree.root(), file: document, payees, total, ..built.entry.clone() }
}

fn payees_of(built: &Built) -> Vec<Payee> {
    Tree::from_file(&built.file).expect("a tree").payees().copied().collect()
}

#[test]
fn a_payout_gives_what_credits_come_to_in_whole_units() {
    let (example, run, built) = payable();
    let credits = example.book.run(&run).and_then(|run| run.credits.as_ref()).expect("credits");
    let tree = Tree::from_file(&built.file).expect("a tree");
    for owner in &example.owners {
        let micro = u128::from(credits.payment_micro(&owner.id()));
        let has_address = owner.id() != example.owners[3].id();
        let expected = (micro > 0 && has_address).then_some(micro * 1_000_000_000_000);
        let found = tree.proof(&example.address_of(&owner.id())).map(|(payee, _)| payee.amount);
        assert_eq!(found, expected);
    }
    let held = built.entry.held_back.get(&()).expect("a list");
    assert_eq!(held.iter().map(|one| one.why).collect::<Vec<_>>(), [WhyHeld::NoAddress]);
    let (runs, _) = payable_runs(&example.book, example.now_ms);
    let amounts = preview(&example.book, &runs, example.now_ms).expect("amounts");
    assert_eq!(csv(&amounts, &example.book).lines().count(), 1 + amounts.shares.len());
    assert!(csv(&amounts, &example.book).contains("clinic-1,"));
    assert_eq!(units_csv(&tree).lines().count(), 1 + tree.payees().len());
}

#[test]
fn nothing_is_paid_before_its_window_is_over_or_above_what_is_free() {
    let (mut example, run) = settled();
    example.addresses().expect("addresses");
    let end_ms = example.book.settlements().next().expect("credits").window_end_ms;
    let why = NotPayable::WindowOpen(end_ms);
    let early = preview(&example.book, &[run], end_ms).map(|_| ());
    assert_eq!(early, Err(NoPayout::Run(run, why)));
    assert_eq!(payable_runs(&example.book, end_ms), (Vec::new(), vec![(run, why)]));
    let (_, _, built) = payable();
    example.now_ms = end_ms - 10;
    assert_eq!(refused(&example, built.entry), Refused::NotPayable { run, why });
    let unknown = Digest::ZERO;
    let none = NoPayout::Run(unknown, NotPayable::NotSettled);
    assert_eq!(preview(&example.book, &[unknown], end_ms).map(|_| ()), Err(none));
}

#[test]
fn a_run_that_gives_more_than_is_free_waits_for_the_reviewers() {
    let mut example = founded();
    let free = Charter { budget_free_micro: 0, ..example.book.charter().clone() };
    example.book.charters[0].1 = free;
    let run = example.first_run().expect("a run");
    example.addresses().expect("addresses");
    example.wait_ms(4 * DAY_MS);
    let waiting = vec![(run, NotPayable::NotApproved)];
    assert_eq!(payable_runs(&example.book, example.now_ms), (Vec::new(), waiting));
    let pool_micro = example.book.settlements().next().expect("credits").settlement.pool_micro;
    let change = Change::Budget(Budget { run, pool_micro });
    let proposal = Says::Proposal(Proposal { change, why: String::new() });
    let signed = example.say(&example.researcher, proposal);
    let id = signed.id();
    example.write(signed.into_body()).expect("a proposal");
    for voter in [Holder(0), Holder(1), Owner(0)] {
        example.vote(voter, id, Choice::Yes).expect("a vote");
    }
    example.write_due().expect("a decision");
    assert_eq!(payable_runs(&example.book, example.now_ms), (vec![run], Vec::new()));
    example.pay().expect("a payout");
}

#[test]
fn a_payout_with_a_credit_under_dispute_is_refused_and_the_others_stand() {
    let (mut example, run) = settled();
    example.addresses().expect("addresses");
    let end_ms = example.book.settlements().next().expect("credits").window_end_ms;
    example.now_ms = end_ms - DAY_MS;
    let (_, _, all) = payable();
    example.dispute((&run, 2, 2), Remedy::Pay(7), "less").expect("a dispute");
    example.now_ms = end_ms + 1;
    let one = refused(&example, PayoutMade { log_size: example.book.size(), ..all.entry.clone() });
    let owner = example.owners[2].id();
    let Refused::MustHoldBack(held) = one else { panic!("{one}") };
    assert_eq!((held.run, held.owner, held.why), (run, owner, WhyHeld::Disputed));
    let built = built(&example);
    let address = example.address_of(&owner);
    let mut payees = payees_of(&built);
    assert!(payees.iter().all(|payee| payee.address != address));
    let others = payees_of(&all).into_iter().filter(|payee| payee.address != address);
    assert_eq!(payees, others.collect::<Vec<_>>(), "the others stand");
    // With the right list, but the disputed credit in the tree all the same.
    let theirs = payees_of(&all).into_iter().find(|payee| payee.address == address);
    payees.push(theirs.expect("a payee"));
    let forged = with_payees(&mut example, &built, payees);
    assert!(matches!(refused(&example, forged), Refused::OtherAmount { .. }));
    example.write(built.entry).expect("a payout");
}

#[test]
fn a_payout_is_to_addresses_that_members_signed_and_never_shrinks() {
    let (mut example, run, built) = payable();
    let payees = payees_of(&built);
    let stranger = crate::payout::Address([7; 20]);
    let mut stolen = payees.clone();
    stolen[0].address = stranger;
    let forged = with_payees(&mut example, &built, stolen);
    assert_eq!(refused(&example, forged), Refused::UnsignedAddress(stranger));
    let mut more = payees.clone();
    more[1].amount += 1;
    let (address, expected) = (payees[1].address, payees[1].amount);
    let forged = with_payees(&mut example, &built, more);
    let got = expected + 1;
    assert_eq!(refused(&example, forged), Refused::OtherAmount { address, expected, got });
    example.write(built.entry.clone()).expect("a payout");

    // The fourth owner sets its address later: it is paid, and the others keep what they have.
    let fourth = example.owners[3].id();
    let address = Some(example.address_of(&fourth));
    let signed = example.say(&example.owners[3], Says::Address(SetAddress { address }));
    example.write(signed.into_body()).expect("an address");
    let (runs, _) = payable_runs(&example.book, example.now_ms);
    let amounts = preview(&example.book, &runs, example.now_ms).expect("amounts");
    assert_eq!(amounts.shares.iter().map(|share| share.owner).collect::<Vec<_>>(), [fourth]);
    let next = build(&amounts, &example.book).expect("a payout");
    let mut less = payees_of(&next);
    let had = payees[0];
    let at = less.iter().position(|one| one.address == had.address).expect("a payee");
    less[at].amount -= 1;
    let forged = with_payees(&mut example, &next, less);
    let shrinks = Refused::Shrinks { address: had.address, had: had.amount, got: had.amount - 1 };
    assert_eq!(refused(&example, forged), shrinks);
    let none = PayoutMade { runs: Vec::new(), ..next.entry.clone() };
    assert_eq!(refused(&example, none), Refused::OtherPayout("list of runs"), "earlier runs stay");
    example.write(next.entry).expect("a payout");
    assert!(example.book.included().contains(&(run, fourth)));
}

#[test]
fn an_owner_that_moves_is_paid_once() {
    let (mut example, _, built) = payable();
    let payees = payees_of(&built);
    example.write(built.entry).expect("a payout");
    let first = example.owners[0].id();
    let (old, new) = (example.address_of(&first), crate::payout::Address([5; 20]));
    let move_to = Says::Address(SetAddress { address: Some(new) });
    let signed = example.say(&example.owners[0], move_to);
    example.write(signed.into_body()).expect("an address");
    let (runs, _) = payable_runs(&example.book, example.now_ms);
    let amounts = preview(&example.book, &runs, example.now_ms).expect("amounts");
    assert!(amounts.shares.is_empty(), "nothing is new");
    let kept = payees.iter().find(|payee| payee.address == old).expect("a payee");
    assert_eq!(amounts.at().get(&old), Some(&kept.amount));
    assert_eq!(amounts.at().get(&new), None);
}

#[test]
fn every_other_number_of_a_payout_is_checked() {
    let (example, _, built) = payable();
    let with = |change: fn(&mut PayoutMade)| {
        let mut body = built.entry.clone();
        change(&mut body);
        refused(&example, body)
    };
    let is_other = |refused| matches!(refused, Refused::OtherPayout(_));
    assert_eq!(with(|one| one.number = 2), Refused::PayoutOrder { expected: 1, got: 2 });
    assert!(is_other(with(|one| one.log_size += 1)));
    assert!(is_other(with(|one| one.total += 1)));
    assert!(is_other(with(|one| one.payees += 1)));
    assert!(is_other(with(|one| one.units_per_credit += 1)));
    assert!(is_other(with(|one| one.root = Digest::ZERO)));
    assert!(is_other(with(|one| one.file.bytes += 1)));
    assert!(matches!(
        with(|one| one.held_back = Held::Here(Vec::new())),
        Refused::MustHoldBack(held) if held.why == WhyHeld::NoAddress
    ));
    let held = built.entry.held_back.get(&()).expect("a list")[0];
    let too_many = crate::entry::HeldBack { owner: example.owners[0].id(), ..held };
    let mut list = vec![held, too_many];
    list.sort_unstable();
    let body = PayoutMade { held_back: Held::Here(list), ..built.entry.clone() };
    assert_eq!(refused(&example, body), Refused::HeldBack(too_many));
}

#[test]
fn units_are_rounded_down_and_nothing_is_lost_between_payouts() {
    let (mut example, run) = settled();
    // A token with so few digits that micro-credits are rounded.
    let charter = Charter { units_per_credit: 7, ..example.book.charter().clone() };
    example.book.charters.push((0, charter));
    example.addresses().expect("addresses");
    example.wait_ms(4 * DAY_MS);
    let credits = example.book.run(&run).and_then(|run| run.credits.as_ref()).expect("credits");
    let micro = credits.payment_micro(&example.owners[0].id());
    let amounts = preview(&example.book, &[run], example.now_ms).expect("amounts");
    let share = amounts.shares.iter().find(|one| one.owner == example.owners[0].id());
    let expected = u128::from(micro) * 7 / u128::from(MICRO);
    assert_eq!(share.map(|share| share.units), Some(expected));
}
