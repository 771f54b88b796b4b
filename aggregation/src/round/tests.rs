use super::*;
use crate::config::{CommitteeShape, set_digest};
use crate::fixture::{
    Federation, MINIMUM, OWNERS, Spoil, TIMINGS, digests, drain_round, identity, resign,
};
use crate::message::{
    AbandonReason, Complaint, ComplaintKind, Envelope, HolderFault, MissingReason, Phase, Receipt,
    Release,
};
use crate::signing::Statement;
use crate::sum::seal::Sealed;
use crate::sum::share::{BadBox, component_sums, open_envelope};

/// Boxes of all contributions.
struct Boxes<'a>(&'a [Sealed]);

impl BoxSource for Boxes<'_> {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let sealed = self.0.iter().find(|one| one.header.header.digest() == *header)?;
        sealed.boxes.get(usize::from(holder.0)).cloned()
    }
}

/// A round, and everybody who answers it.
struct Bench {
    federation: Federation,
    round: Round,
    context: Digest,
    sealed: Vec<Sealed>,
    now: Time,
}

impl Bench {
    /// In Select.
    fn new() -> Self {
        let federation = Federation::new();
        let terms = federation.terms(1);
        let sealed = (0..OWNERS).map(|index| federation.sealed(&terms.config, index)).collect();
        let context = terms.config.context();
        let identity = federation.coordinator.clone();
        let round = Round::open(terms, identity, Time(0)).expect("good terms");
        Self { federation, round, context, sealed, now: Time(0) }
    }

    /// In Collect.
    fn collecting() -> Self {
        let mut bench = Self::new();
        for holder in 0..4 {
            bench.countersign(holder).expect("a good countersignature");
        }
        bench
    }

    /// In Vote, all contributions in.
    fn checking() -> Self {
        let mut bench = Self::collecting();
        for owner in 0..OWNERS {
            bench.contribute(owner).expect("a good contribution");
        }
        bench
    }

    /// In Vote, the set fixed.
    fn voting() -> Self {
        let mut bench = Self::checking();
        for holder in 0..4 {
            bench.checked(holder, Vec::new()).expect("a good answer");
        }
        bench
    }

    /// In Release.
    fn releasing() -> Self {
        let mut bench = Self::voting();
        for holder in 0..3 {
            bench.vote(holder).expect("a good vote");
        }
        bench
    }

    fn holder_says(&mut self, holder: usize, message: FromHolder) -> Result<(), Refusal> {
        let from = self.federation.holders[holder].id();
        self.round.handle_holder(self.now, from, message, &Boxes(&self.sealed))
    }

    fn countersign(&mut self, holder: usize) -> Result<(), Refusal> {
        let signature = self.federation.countersignature(holder, &self.context);
        let round_ctx = self.context;
        self.holder_says(holder, FromHolder::Countersigned { round_ctx, signature })
    }

    fn contribute(&mut self, owner: usize) -> Result<(), Refusal> {
        let (from, header) = (self.owner(owner), self.sealed[owner].header.clone());
        self.round.handle_contribution(self.now, from, header)
    }

    fn owner(&self, owner: usize) -> PartyId {
        self.federation.owners[owner].id()
    }

    fn checked(&mut self, holder: usize, complaints: Vec<Complaint>) -> Result<(), Refusal> {
        let (round_ctx, total) = (self.context, OWNERS as u32);
        self.holder_says(holder, FromHolder::Checked { round_ctx, total, complaints })
    }

    fn complaint(&self, holder: usize, owner: usize, kind: ComplaintKind) -> Complaint {
        let header = self.sealed[owner].header.header.digest();
        let (round_ctx, index) = (self.context, HolderIndex(holder as u8));
        let body = Complaint::body(&header, index, &kind);
        let signer = &self.federation.holders[holder];
        let signature = signer.sign(Statement::Complaint, &round_ctx, &body);
        Complaint { round_ctx, header, holder: index, kind, signature }
    }

    fn vote(&mut self, holder: usize) -> Result<(), Refusal> {
        let (round_ctx, set) = (self.context, set_digest(&self.context, &self.set()));
        let vote = self.federation.vote(holder, &round_ctx, &set);
        self.holder_says(holder, FromHolder::Voted { round_ctx, set, vote })
    }

    fn set(&self) -> Vec<Digest> {
        self.round.set().iter().map(|signed| signed.header.digest()).collect()
    }

    fn release(&self, holder: usize) -> Release {
        let (config, index) = (self.round.config(), HolderIndex(holder as u8));
        let seeds: Vec<_> = self
            .sealed
            .iter()
            .map(|sealed| {
                let envelope: Envelope = Federation::envelope(sealed, holder);
                let secret = &self.federation.secrets[holder];
                let seeds = open_envelope(config, &self.context, index, secret, &envelope);
                let Ok(seeds) = seeds else { panic!("a good box") };
                (sealed.header.header.client, seeds)
            })
            .collect();
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        let sums = component_sums(config, &self.context, index, seeds);
        let set = set_digest(&self.context, &self.set());
        self.signed(holder, set, sums)
    }

    fn signed(&self, holder: usize, set: Digest, sums: Vec<Vec<u8>>) -> Release {
        let body = Release::body(&set, &sums);
        let signature =
            self.federation.holders[holder].sign(Statement::Release, &self.context, &body);
        let (round_ctx, holder) = (self.context, HolderIndex(holder as u8));
        Release { round_ctx, set, holder, sums, signature }
    }

    fn send_release(&mut self, holder: usize, release: Release) -> Result<(), Refusal> {
        self.holder_says(holder, FromHolder::Released(Box::new(release)))
    }

    fn abandoned(&self) -> &AbandonReason {
        match self.round.outcome() {
            Some(Outcome::Abandoned { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn report(&self) -> &crate::message::Report {
        match self.round.outcome() {
            Some(Outcome::Abandoned { report, .. } | Outcome::Done(report)) => report,
            None => panic!("not over"),
        }
    }

    fn wait_until(&mut self, at_ms: u64) {
        self.now = Time(at_ms);
        self.round.handle_timeout(self.now);
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}

const OPENED: Opened =
    Opened { aggregate: Digest([1; 32]), key_sum: Digest([2; 32]), count: 5, weight: 5 };

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
fn vote_ends_by_its_deadline_and_names_the_silent() {
    let mut bench = Bench::voting();
    bench.vote(0).unwrap();
    bench.wait_until(TIMINGS.vote_ms);
    assert_eq!(*bench.abandoned(), AbandonReason::NotCertified { got: 1, needed: 3 });
    let silent = |holder| (HolderIndex(holder), HolderFault::Silent(Phase::Vote));
    assert_eq!(bench.report().faults, [silent(1), silent(2), silent(3)]);
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
    let [RoundEffect::Open { set, components }] = &effects[..] else { panic!("{effects:?}") };
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

#[test]
fn a_stopped_round_says_so_to_everybody() {
    let mut bench = Bench::collecting();
    drain_round(&mut bench.round);
    bench.round.stop(bench.now);
    assert_eq!(*bench.abandoned(), AbandonReason::Stopped);
    let effects = drain_round(&mut bench.round);
    assert!(matches!(effects[0], RoundEffect::Ended(Outcome::Abandoned { .. })));
    assert_eq!(effects.len(), 1 + OWNERS + 4);
    for effect in effects {
        let RoundEffect::ToClient { to, message: ToClient::Ended { outcome, .. } } = effect else {
            continue;
        };
        let Outcome::Abandoned { report, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(report.missing, [(to, MissingReason::NoAnswer)], "its own line only");
    }
    bench.round.stop(bench.now);
    assert_eq!(drain_round(&mut bench.round), Vec::new());
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

#[test]
fn replay_stands_where_the_records_end_and_refuses_those_that_do_not_follow() {
    let mut bench = Bench::new();
    let mut records = Vec::new();
    let mut collect = |round: &mut Round| {
        while let Some(effect) = round.poll_effect() {
            if let RoundEffect::Append { sequence, record } = effect {
                round.handle_stored(sequence);
                records.push(record);
            }
        }
    };
    (0..4).for_each(|holder| bench.countersign(holder).unwrap());
    (0..OWNERS).for_each(|owner| bench.contribute(owner).unwrap());
    (0..4).for_each(|holder| bench.checked(holder, Vec::new()).unwrap());
    (0..3).for_each(|holder| bench.vote(holder).unwrap());
    bench.round.stop(bench.now);
    collect(&mut bench.round);
    let identity = bench.federation.coordinator.clone();
    let replay = |records: &[RoundRecord]| {
        Round::replay(records.iter().cloned(), identity.clone(), Time(9_000))
    };
    let phases = [
        Phase::Select,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Collect,
        Phase::Vote,
        Phase::Vote,
        Phase::Release,
        Phase::Abandon,
    ];
    assert_eq!(records.len(), phases.len());
    for (index, phase) in phases.into_iter().enumerate() {
        let round = replay(&records[..=index]).expect("its own records");
        assert_eq!(round.phase(), phase, "after record {index}");
        let over = round.outcome().is_some();
        assert!(over || round.poll_timeout() >= Some(Time(9_000)));
    }
    assert_eq!(replay(&[]).err(), Some(Corrupt::Empty));
    assert_eq!(replay(&records[1..]).err(), Some(Corrupt::Opening(0)));
    let twice = [&records[..1], &records[..1]].concat();
    assert_eq!(replay(&twice).err(), Some(Corrupt::Opening(1)));
    let skipped = [&records[..2], &records[8..]].concat();
    let phase = Phase::Collect;
    assert_eq!(replay(&skipped).err(), Some(Corrupt::OutOfPhase { at: 2, phase }));
    let counted_twice = [&records[..3], &records[2..]].concat();
    assert_eq!(replay(&counted_twice).err(), Some(Corrupt::Client(3)));
}
