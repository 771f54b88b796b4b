//! Collect: contributions and receipts.

use super::*;

#[test]
fn a_receipt_leaves_only_after_its_record_is_durable_and_comes_again_for_the_same_header() {
    let mut bench = Bench::collecting();
    drain_round(&mut bench.round);
    bench.contribute(0).unwrap();
    let owner = bench.owner(0);
    let Some(RoundEffect::Append { sequence, .. }) = bench.round.poll_effect() else {
        panic!("the record comes first")
    };
    assert_eq!(bench.round.poll_effect(), None);
    assert_eq!(bench.round.receipt(&owner), None);
    bench.round.handle_stored(sequence);
    let receipt = bench.round.receipt(&owner).expect("durable");
    let message = ToClient::Receipt(receipt.clone());
    let expected = vec![RoundEffect::ToClient { to: owner, message: message.clone() }];
    assert_eq!(drain_round(&mut bench.round), expected);
    bench.contribute(0).unwrap();
    assert_eq!(drain_round(&mut bench.round), expected);
    assert_eq!(bench.round.known_answer(&owner, &bench.sealed[0].header), Some(message));
    let Receipt { header, signature, .. } = receipt;
    let coordinator = bench.federation.coordinator.id();
    coordinator.verify(Statement::Receipt, &bench.context, &header.0, &signature).unwrap();
}

#[test]
fn contributions_are_refused_each_with_its_reason() {
    let mut bench = Bench::new();
    assert_eq!(bench.contribute(0), Err(Refusal::WrongPhase));
    let mut bench = Bench::collecting();
    let good = bench.sealed[0].header.clone();
    let (owner, other) = (bench.owner(0), bench.owner(1));
    let identity_of_owner = bench.federation.owners[0].clone();
    let mut refused = |from, header: &SignedHeader| {
        let refusal = bench.round.may_contribute(&from, header).expect_err("refused");
        let now = bench.now;
        let same = bench.round.handle_contribution(now, from, header.clone());
        assert_eq!(same, Err(refusal.clone()));
        refusal
    };
    let stranger = identity(0x55, 0);
    assert_eq!(refused(stranger.id(), &good), Refusal::NotAdmitted);
    let why = "the header names another client";
    assert_eq!(refused(other, &good), malformed(why));
    let mut changed = good.clone();
    changed.header.correction.0[0] ^= 1;
    assert_eq!(refused(owner, &changed), Refusal::BadSignature);
    let resigned =
        |change: fn(&mut crate::message::Header)| resign(&good, &identity_of_owner, change);
    let elsewhere = resigned(|header| header.round_ctx = Digest::ZERO);
    assert_eq!(refused(owner, &elsewhere), Refusal::UnknownRound);
    let short = resigned(|header| header.boxes.truncate(3));
    let why = "the header has not one hash per component and holder";
    assert_eq!(refused(owner, &short), malformed(why));

    bench.contribute(0).unwrap();
    let second = resigned(|header| header.correction = Digest::ZERO);
    let refused = bench.round.may_contribute(&owner, &second);
    assert_eq!(refused, Err(Refusal::Conflict));
}

#[test]
fn a_contribution_after_the_deadline_is_late_and_one_with_a_receipt_is_not() {
    let mut bench = Bench::collecting();
    for owner in 0..4 {
        bench.contribute(owner).unwrap();
    }
    drain_round(&mut bench.round);
    bench.now = Time(TIMINGS.collect_ms);
    assert_eq!(bench.contribute(4), Err(Refusal::WrongPhase));
    assert_eq!(bench.round.phase(), Phase::Vote);
    bench.contribute(0).unwrap();
    bench.round.stop(bench.now);
    assert_eq!(bench.contribute(0), Err(Refusal::UnknownRound));
    let answer = bench.round.known_answer(&bench.owner(0), &bench.sealed[0].header);
    assert!(matches!(answer, Some(ToClient::Ended { .. })), "{answer:?}");
}

#[test]
fn a_client_that_declined_is_not_waited_for_and_may_not_change_its_mind() {
    let mut bench = Bench::collecting();
    let (round_ctx, reason) = (bench.context, Decline::Policy);
    let declined = FromClient::Declined { round_ctx, reason };
    let owner = bench.owner(0);
    for _ in 0..2 {
        bench.round.handle_client(bench.now, owner, declined.clone()).unwrap();
    }
    assert_eq!(bench.contribute(0), Err(Refusal::Conflict));
    bench.contribute(1).unwrap();
    let from = bench.owner(1);
    let late = bench.round.handle_client(bench.now, from, declined.clone());
    assert_eq!(late, Err(Refusal::Conflict));
    let stranger = identity(0x55, 0).id();
    let refused = bench.round.handle_client(bench.now, stranger, declined);
    assert_eq!(refused, Err(Refusal::NotAdmitted));
    let elsewhere = FromClient::Pending { round_ctx: Digest::ZERO };
    let refused = bench.round.handle_client(bench.now, owner, elsewhere);
    assert_eq!(refused, Err(Refusal::UnknownRound));
    for owner in 2..OWNERS {
        bench.contribute(owner).unwrap();
    }
    assert_eq!(bench.round.phase(), Phase::Vote, "all have answered");
}

#[test]
fn collect_ends_at_once_when_the_minimum_cannot_be_reached_any_more() {
    let mut bench = Bench::collecting();
    for owner in 0..3 {
        let (round_ctx, reason) = (bench.context, Decline::Data);
        let from = bench.owner(owner);
        let declined = FromClient::Declined { round_ctx, reason };
        bench.round.handle_client(bench.now, from, declined).unwrap();
    }
    let (got, needed) = (0, MINIMUM);
    assert_eq!(*bench.abandoned(), AbandonReason::TooFewContributions { got, needed });
}

/// In Collect, with one more time to collect in.
fn extensible() -> Bench {
    let federation = Federation::new();
    let mut terms = federation.terms(1);
    terms.timings.collect_again_ms = 700;
    let round = Round::open(terms, federation.coordinator.clone(), Time(0)).expect("good terms");
    let mut bench = Bench { round, ..Bench::new() };
    for holder in 0..4 {
        bench.countersign(holder).expect("a good countersignature");
    }
    bench
}

#[test]
fn collecting_is_extended_once_where_too_few_have_contributed() {
    let mut bench = extensible();
    bench.contribute(0).unwrap();
    drain_round(&mut bench.round);
    let over = TIMINGS.collect_ms;
    bench.now = Time(over);
    bench.round.handle_timeout(bench.now);
    assert!(bench.round.is_extended());
    assert_eq!(bench.round.progress().deadline, Some(Time(over + 700)));
    let asked = drain_round(&mut bench.round);
    let opens = |effect: &RoundEffect| {
        matches!(effect, RoundEffect::ToClient { message: ToClient::Open { .. }, .. })
    };
    assert_eq!(asked.iter().filter(|effect| opens(effect)).count(), OWNERS - 1, "asked again");
    for owner in 1..MINIMUM as usize {
        bench.contribute(owner).unwrap();
    }
    bench.now = Time(over + 700);
    bench.round.handle_timeout(bench.now);
    assert_eq!(bench.round.phase(), Phase::Vote, "with those who came late");
}

#[test]
fn an_extended_round_is_abandoned_when_still_too_few_have_contributed() {
    let mut bench = extensible();
    bench.contribute(0).unwrap();
    for over in [TIMINGS.collect_ms, TIMINGS.collect_ms + 700] {
        assert!(bench.round.outcome().is_none());
        bench.now = Time(over);
        bench.round.handle_timeout(bench.now);
    }
    let (got, needed) = (1, MINIMUM);
    assert_eq!(*bench.abandoned(), AbandonReason::TooFewContributions { got, needed });
}

#[test]
fn nothing_is_extended_where_enough_have_contributed_or_none_is_to_be() {
    let mut bench = extensible();
    for owner in 0..MINIMUM as usize {
        bench.contribute(owner).unwrap();
    }
    bench.now = Time(TIMINGS.collect_ms);
    bench.round.handle_timeout(bench.now);
    assert_eq!(bench.round.phase(), Phase::Vote);
    let mut bench = Bench::collecting();
    bench.contribute(0).unwrap();
    bench.now = Time(TIMINGS.collect_ms);
    bench.round.handle_timeout(bench.now);
    assert!(matches!(bench.abandoned(), AbandonReason::TooFewContributions { .. }));
}

#[test]
fn an_extended_round_that_is_replayed_is_not_extended_again() {
    let mut bench = extensible();
    let mut records = records_of(&mut bench.round);
    bench.contribute(0).unwrap();
    bench.round.handle_timeout(Time(TIMINGS.collect_ms));
    records.extend(records_of(&mut bench.round));
    assert!(matches!(records.last(), Some(RoundRecord::Extended { .. })), "{records:?}");
    let identity = bench.federation.coordinator.clone();
    let now = Time(TIMINGS.collect_ms + 100);
    let again = Round::replay(records.clone(), Arc::clone(&identity), now).expect("replays");
    assert!(again.is_extended());
    assert_eq!(again.progress().deadline, Some(now.after_ms(700)));
    let twice = records.last().cloned().expect("a record");
    records.push(twice);
    let refused = Round::replay(records, identity, now).map(|_| ());
    assert!(matches!(refused, Err(Corrupt::OutOfPhase { .. })), "{refused:?}");
}

/// Stores all records at once and returns them.
fn records_of(round: &mut Round) -> Vec<RoundRecord> {
    let mut records = Vec::new();
    while let Some(effect) = round.poll_effect() {
        if let RoundEffect::Append { sequence, record } = effect {
            round.handle_stored(sequence);
            records.push(record);
        }
    }
    records
}
