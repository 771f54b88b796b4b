//! Disputes, proposals and votes.

use covey_aggregation::credit::MICRO;
use covey_aggregation::signing::Identity;

use super::*;
use crate::charter::BadCharter;
use crate::document::Held;
use crate::entry::{Difference, ProposalDecided, Resolution, Verdict};
use crate::example::Voter::{Holder, Owner, Researcher};
use crate::statement::{
    Budget, Change, Choice, Dispute, Proposal, Remedy, Reviewers, Vote, Withdraw,
};

const DAY_MS: u64 = 24 * 3_600_000;

fn dispute(run: Digest, owner: PartyId, remedy: Remedy) -> Says {
    Says::Dispute(Dispute { run, owner, remedy, why: "why".to_owned(), evidence: Vec::new() })
}

fn says(example: &Example, who: &Identity, says: Says) -> Refused {
    refused(example, example.say(who, says).into_body())
}

#[test]
fn a_dispute_is_of_a_settled_credit_in_its_window_with_a_remedy() {
    let (mut example, run) = settled();
    let owner = example.owners[2].id();
    let by = |example: &Example, run, owner, remedy| {
        says(example, &example.owners[2], dispute(run, owner, remedy))
    };
    let nothing = Remedy::Pay(0);
    let other = Digest::ZERO;
    assert_eq!(by(&example, other, owner, nothing.clone()), Refused::UnknownRun(other));
    let nobody = example.researcher.id();
    assert_eq!(by(&example, run, nobody, nothing.clone()), Refused::NoAccount(nobody));
    let same = example.book.settlements().next().expect("credits").payment_micro(&owner);
    for remedy in [
        Remedy::Pay(same),
        Remedy::Pay(1_000_000 * MICRO),
        Remedy::Without(vec![3]),
        Remedy::Without(vec![1, 2]),
    ] {
        assert!(matches!(by(&example, run, owner, remedy), Refused::Remedy(_)));
    }
    example.dispute((&run, 2, 2), nothing.clone(), "it is too much").expect("a dispute");
    assert_eq!(by(&example, run, owner, Remedy::Pay(7)), Refused::DisputedAlready);
    let end_ms = example.book.settlements().next().expect("credits").window_end_ms;
    example.now_ms = end_ms;
    assert_eq!(by(&example, run, example.owners[1].id(), nothing), Refused::WindowOver { end_ms });
    let mut early = founded();
    let run = early.begin("digits").expect("a run");
    assert_eq!(by(&early, run, owner, Remedy::Pay(7)), Refused::NotSettled(run));
}

#[test]
fn a_member_has_so_many_disputes_open_at_once() {
    let (mut example, run) = settled();
    let mut charter = example.book.charter().clone();
    charter.disputes_open_max = 2;
    example.book.charters.push((0, charter));
    for owner in 0..2 {
        example.dispute((&run, 2, owner), Remedy::Pay(1), "all of them").expect("a dispute");
    }
    let third = || dispute(run, example.owners[4].id(), Remedy::Pay(1));
    let full = Refused::Quota { open: 2, max: 2 };
    assert_eq!(says(&example, &example.owners[2], third()), full);
    let others = example.say(&example.owners[3], third()).into_body();
    example.write(others).expect("another member's");
}

#[test]
fn who_may_not_vote_is_refused() {
    let (mut example, run) = settled();
    let id = example.dispute((&run, 0, 1), Remedy::Pay(7), "too much").expect("a dispute");
    let vote = |example: &Example, who: &Identity, on| {
        says(example, who, Says::Vote(Vote { on, choice: Choice::No }))
    };
    let (opener, owner) = (&example.owners[0], &example.owners[1]);
    assert_eq!(vote(&example, opener, id), Refused::OwnCause(opener.id()), "who opened it");
    assert_eq!(vote(&example, owner, id), Refused::OwnCause(owner.id()), "whose credit it is");
    let other = &example.owners[2];
    assert_eq!(vote(&example, other, id), Refused::NotReviewer(other.id()));
    let nothing = Digest::ZERO;
    assert_eq!(vote(&example, &example.holders[0], nothing), Refused::NotOpen(nothing));
    example.vote(Holder(0), id, Choice::Yes).expect("a vote");
    let holder = &example.holders[0];
    assert_eq!(vote(&example, holder, id), Refused::VotedTwice(holder.id()));
    let end_ms = example.book.dispute(&id).expect("a dispute").poll.deadline_ms;
    example.now_ms = end_ms;
    assert_eq!(vote(&example, &example.holders[1], id), Refused::VoteOver { end_ms });
}

#[test]
fn nobody_votes_on_a_remedy_that_gives_it_more_or_less() {
    let (mut example, run) = settled();
    let without = Remedy::Without(vec![2]);
    let id = example.dispute((&run, 4, 4), without, "round 2 was ours").expect("a dispute");
    let reviewer = &example.owners[0];
    let vote = Says::Vote(Vote { on: id, choice: Choice::No });
    assert_eq!(says(&example, reviewer, vote), Refused::OwnCause(reviewer.id()));
}

#[test]
fn a_resolution_is_what_a_quorum_says_and_nothing_else() {
    let (mut example, run) = settled();
    let paid = example.book.settlements().next().expect("credits");
    let paid = paid.payment_micro(&example.owners[2].id());
    let remedy = Remedy::Pay(paid + 40 * MICRO);
    let id = example.dispute((&run, 2, 2), remedy, "more").expect("a dispute");
    let window_end_ms = example.book.settlements().next().expect("credits").window_end_ms;
    let early = Resolution {
        dispute: id,
        verdict: Verdict::Upheld,
        votes: Vec::new(),
        differences: Held::Here(Vec::new()),
        window_end_ms,
    };
    let undecided = |got| Refused::OtherVerdict { got, expected: None };
    assert_eq!(refused(&example, early.clone()), undecided(Verdict::Upheld));
    let lapsed = Resolution { verdict: Verdict::Lapsed, ..early.clone() };
    assert_eq!(
        refused(&example, lapsed.clone()),
        undecided(Verdict::Lapsed),
        "before the deadline"
    );
    for voter in [Holder(0), Owner(0)] {
        example.vote(voter, id, Choice::Yes).expect("a vote");
    }
    example.vote(Holder(1), id, Choice::No).expect("a vote");
    assert_eq!(refused(&example, early), undecided(Verdict::Upheld), "two of three");
    assert!(example.book.due(example.now_ms).is_empty());
    example.vote(Researcher, id, Choice::Yes).expect("a vote");
    let (due, _) = example.book.due(example.now_ms).pop().expect("a decision");
    let Body::Resolution(due) = due else { panic!("a resolution") };
    let with = |change: fn(&mut Resolution)| {
        let mut body = (*due).clone();
        change(&mut body);
        refused(&example, body)
    };
    let got = Verdict::Rejected;
    let expected = Some(Verdict::Upheld);
    assert_eq!(
        with(|one| one.verdict = Verdict::Rejected),
        Refused::OtherVerdict { got, expected }
    );
    assert_eq!(with(|one| one.votes.truncate(2)), Refused::OtherDecision("votes"));
    assert_eq!(with(|one| one.window_end_ms += 1), Refused::OtherDecision("window"));
    let more = |one: &mut Resolution| {
        let Held::Here(list) = &mut one.differences else { panic!("a list") };
        list[0].micro += 1;
    };
    assert_eq!(with(more), Refused::OtherDecision("differences"));
    example.write(*due).expect("the resolution");
    let credits = example.book.settlements().next().expect("credits");
    let owner = example.owners[2].id();
    assert_eq!(credits.differences, [Difference { owner, micro: 40_000_000 }]);
    assert_eq!(credits.payment_micro(&owner), paid + 40 * MICRO);
    assert!(example.book.inputs(&run, &owner).len() > 10);
}

#[test]
fn a_dispute_without_a_quorum_lapses_and_changes_nothing() {
    let (mut example, run) = settled();
    let id = example.dispute((&run, 2, 2), Remedy::Pay(7), "less").expect("a dispute");
    example.vote(Holder(0), id, Choice::Yes).expect("a vote");
    example.now_ms = example.book.dispute(&id).expect("a dispute").poll.deadline_ms + 1;
    example.write_due().expect("a decision");
    let dispute = example.book.dispute(&id).expect("a dispute");
    assert!(matches!(dispute.state, State::Decided(Verdict::Lapsed, _)));
    assert!(example.book.settlements().next().expect("credits").differences.is_empty());
}

#[test]
fn two_remedies_of_one_credit_do_not_add_up() {
    let (mut example, run) = settled();
    let owner = example.owners[2].id();
    let first = example.dispute((&run, 2, 2), Remedy::Pay(70), "less").expect("a dispute");
    let second = example.dispute((&run, 3, 2), Remedy::Pay(50), "even less").expect("a dispute");
    for id in [first, second] {
        for voter in [Holder(0), Holder(1), Researcher] {
            example.vote(voter, id, Choice::Yes).expect("a vote");
        }
        example.write_due().expect("a decision");
    }
    let credits = example.book.settlements().next().expect("credits");
    assert_eq!(credits.payment_micro(&owner), 50, "what the last remedy says, not the sum of both");
}

#[test]
fn only_who_opened_a_dispute_withdraws_it() {
    let (mut example, run) = settled();
    let id = example.dispute((&run, 2, 2), Remedy::Pay(7), "less").expect("a dispute");
    let withdraw = || Says::Withdraw(Withdraw { dispute: id });
    assert!(matches!(says(&example, &example.owners[0], withdraw()), Refused::MayNot { .. }));
    let signed = example.say(&example.owners[2], withdraw());
    example.write(signed.into_body()).expect("withdrawn");
    assert_eq!(says(&example, &example.owners[2], withdraw()), Refused::NotOpen(id));
    assert!(!example.book.is_disputed(&run, &example.owners[2].id()));
}

fn proposal(change: Change) -> Says {
    Says::Proposal(Proposal { change, why: "why".to_owned() })
}

fn propose(example: &mut Example, change: Change) -> Digest {
    let signed = example.say(&example.owners[3], proposal(change));
    let id = signed.id();
    example.write(signed.into_body()).expect("a proposal");
    id
}

fn decide(example: &mut Example, id: Digest, voters: &[crate::example::Voter]) {
    for voter in voters {
        example.vote(*voter, id, Choice::Yes).expect("a vote");
    }
    example.write_due().expect("a decision");
}

#[test]
fn the_charter_and_the_reviewers_change_by_a_quorum() {
    let mut example = founded();
    let mut charter = example.book.charter().clone();
    charter.dispute_window_ms = DAY_MS;
    let id = propose(&mut example, Change::Charter(charter.clone()));
    let early = ProposalDecided { proposal: id, verdict: Verdict::Upheld, votes: Vec::new() };
    let undecided = Refused::OtherVerdict { got: Verdict::Upheld, expected: None };
    assert_eq!(refused(&example, early), undecided);
    decide(&mut example, id, &[Holder(0), Holder(1), Owner(0)]);
    assert_eq!(*example.book.charter(), charter);
    assert_eq!(example.book.charters().len(), 2);

    let (add, remove) = (vec![example.owners[2].id()], vec![example.owners[0].id()]);
    let id = propose(&mut example, Change::Reviewers(Reviewers { add, remove }));
    let vote = || Says::Vote(Vote { on: id, choice: Choice::Yes });
    let own = Refused::OwnCause(example.owners[0].id());
    assert_eq!(says(&example, &example.owners[0], vote()), own);
    decide(&mut example, id, &[Holder(0), Holder(1), Owner(1)]);
    assert!(example.book.reviewers().contains(&example.owners[2].id()));
    assert!(!example.book.reviewers().contains(&example.owners[0].id()));
    assert_eq!(
        says(&example, &example.owners[0], vote()),
        Refused::NotReviewer(example.owners[0].id())
    );
}

#[test]
fn what_cannot_be_is_not_proposed() {
    let mut example = founded();
    let says_no = |example: &Example, change| says(example, &example.owners[3], proposal(change));
    let mut charter = example.book.charter().clone();
    charter.quorum = 1;
    let quorum = BadCharter::Quorum { quorum: 1, reviewers: 5 };
    assert_eq!(says_no(&example, Change::Charter(charter)), Refused::Charter(quorum));
    let reviewers = |add: &[PartyId], remove: &[PartyId]| {
        let (mut add, mut remove) = (add.to_vec(), remove.to_vec());
        add.sort_unstable();
        remove.sort_unstable();
        Change::Reviewers(Reviewers { add, remove })
    };
    assert!(matches!(says_no(&example, reviewers(&[], &[])), Refused::Change(_)));
    let own = example.owners[0].id();
    assert!(matches!(says_no(&example, reviewers(&[own], &[])), Refused::Change(_)));
    let none = example.owners[4].id();
    assert_eq!(says_no(&example, reviewers(&[], &[none])), Refused::NotReviewer(none));
    let nobody = PartyId([9; 32]);
    assert_eq!(says_no(&example, reviewers(&[nobody], &[])), Refused::UnknownMember(nobody));
    // Three reviewers would be too few for two sides of three.
    let all: Vec<_> = example.book.reviewers().iter().copied().collect();
    assert!(matches!(says_no(&example, reviewers(&[], &all[..3])), Refused::Charter(_)));
    let unknown = Change::Budget(Budget { run: Digest::ZERO, pool_micro: 1 });
    assert_eq!(says_no(&example, unknown), Refused::UnknownRun(Digest::ZERO));
    for _ in 0..8 {
        let mut charter = example.book.charter().clone();
        charter.vote_window_ms = DAY_MS;
        propose(&mut example, Change::Charter(charter));
    }
    let charter = example.book.charter().clone();
    assert_eq!(says_no(&example, Change::Charter(charter)), Refused::Quota { open: 8, max: 8 });
}

#[test]
fn an_approved_change_that_can_no_longer_be_has_lapsed() {
    let mut example = founded();
    let remove = vec![example.owners[0].id()];
    let change = || Change::Reviewers(Reviewers { add: Vec::new(), remove: remove.clone() });
    let (first, second) = (propose(&mut example, change()), propose(&mut example, change()));
    decide(&mut example, first, &[Holder(0), Holder(1), Owner(1)]);
    decide(&mut example, second, &[Holder(0), Holder(1), Owner(1)]);
    let state = |id| example.book.proposal(&id).map(|one| one.state);
    assert!(matches!(state(first), Some(State::Decided(Verdict::Upheld, _))));
    assert!(matches!(state(second), Some(State::Decided(Verdict::Lapsed, _))));
}

#[test]
fn who_launched_a_run_does_not_vote_on_its_budget() {
    let mut example = founded();
    let run = example.begin("digits").expect("a run");
    let id = propose(&mut example, Change::Budget(Budget { run, pool_micro: 1 }));
    let vote = Says::Vote(Vote { on: id, choice: Choice::Yes });
    let own = Refused::OwnCause(example.researcher.id());
    assert_eq!(says(&example, &example.researcher, vote), own);
}
