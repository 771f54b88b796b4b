//! Release: component sums, and the opening.

use super::*;

#[test]
fn a_signed_release_that_is_malformed_or_for_another_set_names_the_holder() {
    let mut bench = Bench::releasing();
    let own = bench.release(0);
    let elsewhere = bench.signed(0, Digest::ZERO, own.sums.clone());
    bench.send_release(0, elsewhere).expect_err("another set");
    let short = bench.signed(1, own.set, own.sums[..2].to_vec());
    bench.send_release(1, short).expect_err("malformed");
    // Not signed by its holder: nobody can say who sent it.
    let mut unsigned = bench.release(2);
    unsigned.set = Digest::ZERO;
    bench.send_release(2, unsigned).expect_err("not signed");
    bench.round.stop(bench.now);
    let liar = |holder| (HolderIndex(holder), HolderFault::WrongRelease);
    assert_eq!(bench.report().faults, [liar(0), liar(1)]);
}

#[test]
fn releases_are_refused_each_with_its_reason() {
    let mut bench = Bench::voting();
    let early = bench.release(0);
    assert_eq!(bench.send_release(0, early), Err(Refusal::WrongPhase));
    let mut bench = Bench::releasing();
    let own = bench.release(0);
    let refused = bench.send_release(1, own.clone());
    assert_eq!(refused, Err(malformed("the release of another holder")));
    let elsewhere = bench.signed(0, Digest::ZERO, own.sums.clone());
    let why = "a release for a set that is not certified";
    assert_eq!(bench.send_release(0, elsewhere), Err(Refusal::BadSet(why.into())));
    let why = "a release has 3 sums of 12800 bytes";
    let short = bench.signed(0, own.set, own.sums[..2].to_vec());
    assert_eq!(bench.send_release(0, short), Err(malformed(why)));
    let mut sums = own.sums.clone();
    sums[1].pop();
    let short = bench.signed(0, own.set, sums);
    assert_eq!(bench.send_release(0, short), Err(malformed(why)));
    let mut changed = own.clone();
    changed.sums[2][7] ^= 1;
    assert_eq!(bench.send_release(0, changed.clone()), Err(Refusal::BadSignature));
    bench.send_release(0, own.clone()).unwrap();
    bench.send_release(0, own.clone()).expect("the same again");
    let second = bench.signed(0, own.set, changed.sums);
    assert_eq!(bench.send_release(0, second), Err(Refusal::Conflict));
    bench.wait_until(TIMINGS.release_ms);
    assert_eq!(*bench.abandoned(), AbandonReason::NotReleased { got: 1, needed: 2 });
    let liar = (HolderIndex(0), HolderFault::WrongRelease);
    assert!(bench.report().faults.contains(&liar));
}

#[test]
fn the_sum_is_opened_as_soon_as_every_component_was_given_twice() {
    let mut bench = Bench::releasing();
    drain_round(&mut bench.round);
    bench.round.handle_opened(bench.now, Ok(OPENED));
    assert_eq!(bench.round.phase(), Phase::Release, "nobody asked for that");
    for holder in 0..3 {
        let release = bench.release(holder);
        bench.send_release(holder, release).unwrap();
    }
    let effects = drain_round(&mut bench.round);
    let [RoundEffect::Open { set, components, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((set.len(), components.len()), (OWNERS, 4));
    bench.round.handle_opened(bench.now, Ok(OPENED));
    assert_eq!(bench.round.phase(), Phase::Done);
    assert_eq!(bench.report().counted, bench.federation.cohort());
    assert!(!bench.report().is_degraded());
    assert_eq!(bench.round.opened(), Some(&OPENED));
    assert!(bench.report().faults.is_empty(), "the fourth was not waited for");
}

#[test]
fn a_failed_or_endless_opening_abandons_the_round() {
    for answers in [true, false] {
        let mut bench = Bench::releasing();
        for holder in 0..3 {
            let release = bench.release(holder);
            bench.send_release(holder, release).unwrap();
        }
        if answers {
            let failure = OpenFailure::Spoiled("nonsense".into());
            bench.round.handle_opened(bench.now, Err(failure));
            assert_eq!(*bench.abandoned(), AbandonReason::Spoiled("nonsense".into()));
        } else {
            bench.wait_until(TIMINGS.release_ms);
            assert!(matches!(bench.abandoned(), AbandonReason::Spoiled(_)));
            bench.round.handle_opened(bench.now, Ok(OPENED));
        }
        assert_eq!(bench.round.phase(), Phase::Abandon);
        let missing = &bench.report().missing;
        assert!(missing.iter().all(|(_, why)| *why == MissingReason::Abandoned));
    }
}
