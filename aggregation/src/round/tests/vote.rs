//! Vote: the check of envelopes, complaints and votes.

use super::*;

#[test]
fn the_check_waits_for_all_holders_until_half_time_and_then_for_the_quorum() {
    let mut bench = Bench::checking();
    for holder in 0..3 {
        bench.checked(holder, Vec::new()).unwrap();
    }
    assert!(bench.round.set().is_empty());
    bench.wait_until(TIMINGS.vote_ms / 2);
    assert_eq!(bench.set(), digests(&bench.sealed));

    let mut bench = Bench::checking();
    bench.checked(0, Vec::new()).unwrap();
    bench.wait_until(TIMINGS.vote_ms / 2);
    assert!(bench.round.poll_timeout() > Some(bench.now), "no timer in the past");
    bench.checked(1, Vec::new()).unwrap();
    assert!(bench.round.set().is_empty());
    bench.checked(2, Vec::new()).unwrap();
    assert_eq!(bench.set().len(), OWNERS);
}

#[test]
fn complaints_drop_the_client_or_name_the_holder() {
    let mut bench = Bench::checking();
    let owner = bench.federation.owners[0].clone();
    // Owner 0 commits to another seed of component 1, which holders 0, 2 and 3 know.
    bench.sealed[0].header =
        resign(&bench.sealed[0].header, &owner, |header| header.components[1] = Digest::ZERO);
    let mut bench = {
        let mut fresh = Bench::collecting();
        fresh.sealed = bench.sealed;
        for owner in 0..OWNERS {
            fresh.contribute(owner).unwrap();
        }
        fresh
    };
    let envelope = Federation::envelope(&bench.sealed[0], 0);
    let secret = &bench.federation.secrets[0];
    let kind =
        open_envelope(bench.round.config(), &bench.context, HolderIndex(0), secret, &envelope);
    let Err(BadBox::Complaint(kind)) = kind else { panic!("a bad box") };
    let proven = bench.complaint(0, 0, kind);
    bench.checked(0, vec![proven]).unwrap();
    let unprovable = bench.complaint(1, 1, ComplaintKind::Key);
    bench.checked(1, vec![unprovable]).unwrap();
    let false_one = bench.complaint(2, 2, ComplaintKind::Contents { box_key: [7; 32] });
    bench.checked(2, vec![false_one]).unwrap();
    let all = (0..OWNERS).map(|owner| bench.complaint(3, owner, ComplaintKind::Key)).collect();
    bench.checked(3, all).unwrap();

    assert_eq!(bench.set(), digests(&bench.sealed)[2..]);
    bench.round.stop(bench.now);
    let report = bench.report();
    let why = |owner: usize| {
        let id = bench.federation.owners[owner].id();
        report.missing.iter().find(|(client, _)| *client == id).map(|(_, why)| *why)
    };
    assert_eq!(why(0), Some(MissingReason::BadBox(HolderIndex(0))));
    assert_eq!(why(1), Some(MissingReason::Disputed(HolderIndex(1))));
    assert_eq!(why(2), Some(MissingReason::Abandoned));
    let liar = HolderFault::FalseComplaint;
    assert_eq!(report.faults, [(HolderIndex(2), liar), (HolderIndex(3), liar)]);
}

#[test]
fn votes_are_refused_each_with_its_reason() {
    let mut bench = Bench::checking();
    assert_eq!(bench.vote(0), Err(Refusal::WrongPhase), "no set is fixed yet");
    let mut bench = Bench::voting();
    let round_ctx = bench.context;
    let set = set_digest(&round_ctx, &bench.set());
    let own = bench.federation.vote(0, &round_ctx, &set);
    let of_another = FromHolder::Voted { round_ctx, set, vote: own.clone() };
    assert_eq!(bench.holder_says(1, of_another), Err(malformed("the vote of another holder")));
    let mut forged = own;
    forged.holder = HolderIndex(1);
    let wrong_key = FromHolder::Voted { round_ctx, set, vote: forged };
    assert_eq!(bench.holder_says(1, wrong_key), Err(Refusal::BadSignature));
    let replayed = bench.federation.vote(0, &Digest::ZERO, &set);
    let of_another_round = FromHolder::Voted { round_ctx, set, vote: replayed };
    assert_eq!(bench.holder_says(0, of_another_round), Err(Refusal::BadSignature));
    let other = Digest([8; 32]);
    let vote = bench.federation.vote(0, &round_ctx, &other);
    let second = FromHolder::Voted { round_ctx, set: other, vote };
    let why = "a vote for a set that was not proposed";
    assert_eq!(bench.holder_says(0, second), Err(Refusal::BadSet(why.into())));
    for _ in 0..3 {
        bench.vote(0).unwrap();
    }
    bench.vote(1).unwrap();
    assert_eq!(bench.round.phase(), Phase::Vote, "one holder's votes count once");
    bench.vote(2).unwrap();
    assert_eq!(bench.round.phase(), Phase::Release);
    let certificate = bench.round.certificate().expect("certified");
    assert_eq!(certificate.verify(bench.round.config(), &round_ctx), Ok(()));
    bench.vote(3).expect("late, but right");
}

#[test]
fn a_vote_for_another_set_names_the_holder_who_signed_it() {
    let mut bench = Bench::voting();
    let (round_ctx, other) = (bench.context, Digest([8; 32]));
    for holder in [2, 3] {
        let vote = bench.federation.vote(holder, &round_ctx, &other);
        let message = FromHolder::Voted { round_ctx, set: other, vote };
        bench.holder_says(holder, message).expect_err("not the set that was proposed");
        // It may vote for the right one as well.
        bench.vote(holder).unwrap();
        bench.vote(0).unwrap();
    }
    bench.vote(1).unwrap();
    // After the certificate, too.
    let vote = bench.federation.vote(1, &round_ctx, &other);
    let message = FromHolder::Voted { round_ctx, set: other, vote };
    bench.holder_says(1, message).expect_err("not the set that was proposed");
    bench.round.stop(bench.now);
    let liar = |holder| (HolderIndex(holder), HolderFault::OtherVote);
    assert_eq!(bench.report().faults, [liar(1), liar(2), liar(3)]);
}

#[test]
fn vote_ends_by_its_deadline_and_names_the_silent() {
    let mut bench = Bench::voting();
    bench.vote(0).unwrap();
    bench.wait_until(TIMINGS.vote_ms);
    assert_eq!(*bench.abandoned(), AbandonReason::NotCertified { got: 1, needed: 3 });
    let silent = |holder| (HolderIndex(holder), HolderFault::Silent(Phase::Vote));
    assert_eq!(bench.report().faults, [silent(1), silent(2), silent(3)]);
}

#[test]
fn a_holder_that_lacks_the_round_is_told_again_but_not_without_end() {
    let mut bench = Bench::voting();
    drain_round(&mut bench.round);
    let lacking = FromHolder::Lacking { round_ctx: bench.context };
    for _ in 0..5 {
        bench.holder_says(0, lacking.clone()).unwrap();
    }
    let effects = drain_round(&mut bench.round);
    let [RoundEffect::ToHolder { message, .. }, RoundEffect::SendEnvelopes { headers, .. }] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert!(matches!(message, ToHolder::Propose { .. }));
    assert_eq!(headers.len(), OWNERS);
    bench.checked(0, Vec::new()).unwrap();
    let effects = drain_round(&mut bench.round);
    let asked = |effect: &RoundEffect| {
        matches!(effect, RoundEffect::ToHolder { message: ToHolder::Set { .. }, .. })
    };
    assert!(effects.iter().all(asked) && effects.len() == 1, "{effects:?}");
}
