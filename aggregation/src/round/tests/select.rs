//! Select: the terms, and who countersigns them.

use super::*;

#[test]
fn terms_that_cannot_be_kept_are_not_opened() {
    let federation = Federation::new();
    let (min, max) = (MINIMUM, OWNERS as u32);
    let cases: [(BadTerms, Spoil); 6] = [
        (BadTerms::Cohort, |terms| terms.cohort.swap(0, 1)),
        (BadTerms::Cohort, |terms| terms.config.cohort = Digest::ZERO),
        (BadTerms::CohortSize { got: 2, min, max }, |terms| {
            terms.cohort.truncate(2);
            terms.config.cohort = crate::config::cohort_digest(&terms.cohort);
        }),
        (BadTerms::Timing("vote_ms"), |terms| terms.timings.vote_ms = 0),
        (BadTerms::CollectTime { told: 1, kept: 2_000 }, |terms| terms.config.collect_ms = 1),
        (BadTerms::Config(crate::config::BadConfig::Round), |terms| terms.config.round = 0),
    ];
    for (expected, spoil) in cases {
        let mut terms = federation.terms(1);
        spoil(&mut terms);
        let opened = Round::open(terms, federation.coordinator.clone(), Time(0));
        assert_eq!(opened.err(), Some(expected));
    }
}

#[test]
fn nothing_is_asked_before_the_opening_is_durable() {
    let mut bench = Bench::new();
    let Some(RoundEffect::Append { sequence, .. }) = bench.round.poll_effect() else {
        panic!("the record comes first")
    };
    assert_eq!(bench.round.poll_effect(), None);
    bench.round.handle_stored(sequence);
    assert_eq!(drain_round(&mut bench.round).len(), 4);
}

#[test]
fn countersignatures_are_refused_each_with_its_reason() {
    let mut bench = Bench::new();
    let round_ctx = bench.context;
    let own = bench.federation.countersignature(0, &round_ctx);
    let of_another = FromHolder::Countersigned { round_ctx, signature: own.clone() };
    let refused = bench.holder_says(1, of_another.clone());
    assert_eq!(refused, Err(malformed("countersignature of another holder")));
    let mut forged = own.clone();
    forged.holder = HolderIndex(1);
    let wrong_key = FromHolder::Countersigned { round_ctx, signature: forged };
    assert_eq!(bench.holder_says(1, wrong_key), Err(Refusal::BadSignature));
    let replayed = bench.federation.countersignature(0, &Digest::ZERO);
    let of_another_round = FromHolder::Countersigned { round_ctx, signature: replayed };
    assert_eq!(bench.holder_says(0, of_another_round), Err(Refusal::BadSignature));
    let elsewhere = FromHolder::Countersigned { round_ctx: Digest::ZERO, signature: own };
    assert_eq!(bench.holder_says(0, elsewhere), Err(Refusal::UnknownRound));
    let owner = bench.owner(0);
    let refused = bench.round.handle_holder(bench.now, owner, of_another, &Boxes(&[]));
    assert_eq!(refused, Err(Refusal::NotAdmitted));
}

#[test]
fn select_ends_with_the_quorum_or_names_who_is_missing() {
    let mut bench = Bench::new();
    bench.countersign(0).unwrap();
    bench.countersign(1).unwrap();
    assert_eq!(bench.round.phase(), Phase::Select);
    assert_eq!(bench.round.poll_timeout(), Some(Time(TIMINGS.resend_ms)));
    bench.wait_until(TIMINGS.select_ms);
    let (got, needed) = (2, CommitteeShape::Four.quorum() as u32);
    assert_eq!(*bench.abandoned(), AbandonReason::NotCountersigned { got, needed });
    let silent = HolderFault::Silent(Phase::Select);
    assert_eq!(bench.report().faults, [(HolderIndex(2), silent), (HolderIndex(3), silent)]);
    let missing = &bench.report().missing;
    assert!(missing.iter().all(|(_, why)| *why == MissingReason::NoAnswer));
    assert_eq!(bench.round.poll_timeout(), None);
}

#[test]
fn a_refusal_is_final_unless_the_holder_is_only_busy() {
    let mut bench = Bench::new();
    let round_ctx = bench.context;
    for holder in 0..2 {
        let refusal = Refusal::Busy { retry_after_ms: 1 };
        bench.holder_says(holder, FromHolder::Refused { round_ctx, refusal }).unwrap();
    }
    assert_eq!(bench.round.phase(), Phase::Select);
    for holder in 0..2 {
        let refusal = Refusal::Terms("no".into());
        bench.holder_says(holder, FromHolder::Refused { round_ctx, refusal }).unwrap();
    }
    let reason = AbandonReason::NotCountersigned { got: 0, needed: 3 };
    assert_eq!(*bench.abandoned(), reason, "three can no longer be had");
    let refused = HolderFault::Refused(Phase::Select);
    assert_eq!(bench.report().faults, [(HolderIndex(0), refused), (HolderIndex(1), refused)]);
}
