use super::*;
use crate::config::Control;
use crate::fixture::{Federation, Spoil, drain_participant, resign};
use crate::message::Report;
use crate::round::Terms;

/// Owner 0.
struct Bench {
    federation: Federation,
    participant: Participant,
    records: Vec<ParticipantRecord>,
    terms: Terms,
    context: Digest,
}

impl Bench {
    fn new() -> Self {
        let federation = Federation::new();
        let participant = federation.participant(0, &[]);
        let terms = federation.terms(1);
        let context = terms.config.context();
        Self { federation, participant, records: Vec::new(), terms, context }
    }

    /// Sealed, uploaded once.
    fn sealed() -> Self {
        let mut bench = Self::new();
        let open = bench.open();
        assert!(matches!(bench.tell(0, open)[..], [ParticipantEffect::Prepare { .. }]));
        let effects = bench.prepared(50);
        assert!(matches!(effects[..], [ParticipantEffect::Upload { .. }]), "{effects:?}");
        bench
    }

    /// With a receipt.
    fn promised() -> Self {
        let mut bench = Self::sealed();
        let receipt = bench.receipt();
        let effects = bench.tell(60, ToClient::Receipt(receipt));
        assert!(matches!(effects[..], [ParticipantEffect::Promised(_)]), "{effects:?}");
        bench
    }

    fn open(&self) -> ToClient {
        self.open_of(&self.terms)
    }

    fn open_of(&self, terms: &Terms) -> ToClient {
        let config = Box::new(terms.config.clone());
        let countersignatures = self.federation.countersignatures(&config.context());
        ToClient::Open { config, countersignatures }
    }

    fn header(&self) -> SignedHeader {
        self.federation.sealed(&self.terms.config, 0).header
    }

    fn receipt(&self) -> Receipt {
        let (round_ctx, header) = (self.context, self.header().header.digest());
        let coordinator = &self.federation.coordinator;
        let signature = coordinator.sign(Statement::Receipt, &round_ctx, &header.0);
        Receipt { round_ctx, header, signature }
    }

    fn effects(&mut self) -> Vec<ParticipantEffect> {
        let (effects, records) = drain_participant(&mut self.participant);
        self.records.extend(records);
        effects
    }

    fn tell(&mut self, now_ms: u64, message: ToClient) -> Vec<ParticipantEffect> {
        self.participant.handle(Time(now_ms), message);
        self.effects()
    }

    fn prepared(&mut self, now_ms: u64) -> Vec<ParticipantEffect> {
        let (context, header) = (self.context, self.header());
        self.participant.handle_prepared(Time(now_ms), &context, Ok(header));
        self.effects()
    }

    fn wait_until(&mut self, now_ms: u64) -> Vec<ParticipantEffect> {
        self.participant.handle_timeout(Time(now_ms));
        self.effects()
    }

    fn ended(&self, outcome: Outcome) -> ToClient {
        ToClient::Ended { round_ctx: self.context, outcome }
    }

    fn refused(&self, refusal: Refusal) -> ToClient {
        ToClient::Refused { round_ctx: self.context, refusal }
    }

    fn upload(&self) -> ParticipantEffect {
        let (round_ctx, header) = (self.context, self.header().header.digest());
        ParticipantEffect::Upload { round_ctx, header }
    }

    fn pending(&self) -> ParticipantEffect {
        ParticipantEffect::Send(FromClient::Pending { round_ctx: self.context })
    }

    fn restart(&mut self) {
        self.participant = self.federation.participant(0, &self.records);
    }
}

#[test]
fn terms_that_do_not_fit_the_roster_are_declined_each_with_its_reason() {
    let cases: [(BadOffer, Spoil); 4] = [
        (BadOffer::OtherOwners, |terms| {
            let (range, clip_norm, owners) = (1.0, 1.0, 99);
            let variate = Digest::ZERO;
            terms.config.control = Some(Control { range, clip_norm, owners, variate });
        }),
        (BadOffer::Config(crate::config::BadConfig::Round), |terms| terms.config.round = 0),
        (BadOffer::OtherRoster, |terms| terms.config.federation = Digest::ZERO),
        (BadOffer::OtherCommittee, |terms| terms.config.committee.swap(0, 1)),
    ];
    for (expected, spoil) in cases {
        let mut bench = Bench::new();
        spoil(&mut bench.terms);
        let round_ctx = bench.terms.config.context();
        let signatures = bench.federation.countersignatures(&round_ctx);
        let refused = bench.participant.check_offer(&bench.terms.config, &signatures);
        assert_eq!(refused, Err(expected));
        let open = bench.open();
        let declined = FromClient::Declined { round_ctx, reason: Decline::Terms };
        assert_eq!(bench.tell(0, open), [ParticipantEffect::Send(declined)]);
    }
}

#[test]
fn terms_without_enough_countersignatures_are_declined() {
    let bench = Bench::new();
    let good = bench.federation.countersignatures(&bench.context);
    let mut wrong_key = good.clone();
    wrong_key[2].signature = wrong_key[1].signature;
    let twice = vec![good[0].clone(), good[0].clone(), good[1].clone()];
    let replayed = bench.federation.countersignatures(&Digest::ZERO);
    for signatures in [good[..2].to_vec(), wrong_key, twice, replayed] {
        let refused = bench.participant.check_offer(&bench.terms.config, &signatures);
        assert_eq!(refused, Err(BadOffer::NotCountersigned));
    }
    assert_eq!(bench.participant.check_offer(&bench.terms.config, &good), Ok(()));
}

#[test]
fn nothing_is_uploaded_before_the_sealing_is_recorded() {
    let mut bench = Bench::new();
    let open = bench.open();
    bench.tell(0, open);
    let (context, header) = (bench.context, bench.header());
    bench.participant.handle_prepared(Time(1), &context, Ok(header));
    let Some(ParticipantEffect::Append { sequence, .. }) = bench.participant.poll_effect() else {
        panic!("the record comes first")
    };
    assert_eq!(bench.participant.poll_effect(), None);
    bench.participant.handle_stored(sequence);
    assert_eq!(bench.participant.poll_effect(), Some(bench.upload()));
}

#[test]
fn the_upload_is_repeated_until_a_valid_receipt_comes_even_after_a_restart() {
    let mut bench = Bench::sealed();
    assert_eq!(bench.participant.poll_timeout(), Some(Time(150)));
    assert_eq!(bench.wait_until(149), []);
    assert_eq!(bench.wait_until(150), [bench.upload()]);
    bench.restart();
    assert_eq!(bench.wait_until(151), [bench.upload()]);

    let mut forged = bench.receipt();
    let liar = bench.federation.holders[0].clone();
    forged.signature = liar.sign(Statement::Receipt, &bench.context, &forged.header.0);
    assert_eq!(bench.tell(160, ToClient::Receipt(forged)), []);
    let mut of_another = bench.receipt();
    of_another.header = Digest::ZERO;
    assert_eq!(bench.tell(160, ToClient::Receipt(of_another)), []);
    assert_eq!(bench.participant.receipts().count(), 0);

    let receipt = bench.receipt();
    let promised = [ParticipantEffect::Promised(receipt.clone())];
    assert_eq!(bench.tell(170, ToClient::Receipt(receipt.clone())), promised);
    assert_eq!(bench.tell(171, ToClient::Receipt(receipt.clone())), []);
    assert_eq!(bench.participant.receipts().collect::<Vec<_>>(), [&receipt]);
    assert_eq!(bench.wait_until(270), [bench.pending()]);
    bench.restart();
    assert_eq!(bench.wait_until(271), [bench.pending()]);
}

#[test]
fn an_owner_seals_once_per_round_number_ever() {
    let mut bench = Bench::promised();
    let outcome = Outcome::Abandoned { reason: AbandonReason::Stopped, report: Report::default() };
    let ended = bench.ended(outcome);
    bench.tell(80, ended);
    for _ in 0..2 {
        let same = bench.open();
        assert_eq!(bench.tell(90, same), []);
        let mut other = bench.terms.clone();
        other.config.model = Digest::ZERO;
        let signatures = bench.federation.countersignatures(&other.config.context());
        let refused = bench.participant.check_offer(&other.config, &signatures);
        assert_eq!(refused, Err(BadOffer::Replayed));
        let other = bench.open_of(&other);
        assert_eq!(bench.tell(91, other), []);
        bench.restart();
    }
    let next = bench.open_of(&bench.federation.terms(2));
    assert!(matches!(bench.tell(92, next)[..], [ParticipantEffect::Prepare { .. }]));
}

#[test]
fn a_crash_before_the_sealing_is_recorded_starts_again() {
    let mut bench = Bench::new();
    let open = bench.open();
    bench.tell(0, open.clone());
    bench.restart();
    assert_eq!(bench.participant.poll_timeout(), None);
    assert!(matches!(bench.tell(1, open)[..], [ParticipantEffect::Prepare { .. }]));
}

#[test]
fn the_end_is_told_truly_and_the_bytes_are_deleted() {
    let id = Bench::new().federation.owners[0].id();
    let counted = Report { counted: vec![id], ..Report::default() };
    let bad_box = MissingReason::BadBox(crate::config::HolderIndex(1));
    let named = Report { missing: vec![(id, bad_box)], ..Report::default() };
    let reason = AbandonReason::Stopped;
    let abandoned = Outcome::Abandoned { reason: reason.clone(), report: Report::default() };
    let receipt = Bench::new().receipt();
    // Reasons that the receipt disproves.
    let denied = |why| {
        let report = Report { missing: vec![(id, why)], ..Report::default() };
        (Outcome::Done(report), Some(Uncounted::PromiseBroken(receipt.clone())))
    };
    for (outcome, why) in [
        denied(MissingReason::NoAnswer),
        denied(MissingReason::Declined(Decline::Data)),
        (Outcome::Done(counted), None),
        (Outcome::Done(named), Some(Uncounted::Missing(bad_box))),
        (abandoned, Some(Uncounted::Abandoned(reason))),
        (Outcome::Done(Report::default()), Some(Uncounted::PromiseBroken(receipt.clone()))),
    ] {
        let mut bench = Bench::promised();
        let round_ctx = bench.context;
        let ended = bench.ended(outcome);
        let told = match why {
            None => ParticipantEffect::Counted { round_ctx },
            Some(why) => ParticipantEffect::NotCounted { round_ctx, why },
        };
        let effects = bench.tell(70, ended.clone());
        assert_eq!(effects, [ParticipantEffect::Forget { round_ctx }, told]);
        assert_eq!(bench.tell(71, ended), []);
        assert_eq!(bench.participant.poll_timeout(), None);
        bench.restart();
        assert_eq!(bench.wait_until(72), []);
    }
}

#[test]
fn refusals_of_an_upload_delay_it_or_end_it() {
    let mut bench = Bench::sealed();
    let busy = bench.refused(Refusal::Busy { retry_after_ms: 500 });
    assert_eq!(bench.tell(100, busy), []);
    assert_eq!(bench.wait_until(599), []);
    assert_eq!(bench.wait_until(600), [bench.upload()]);
    let late = bench.refused(Refusal::WrongPhase);
    assert_eq!(bench.tell(610, late.clone()), []);
    assert_eq!(bench.wait_until(610), [bench.pending()], "too late: how does it end?");
    assert_eq!(bench.tell(611, late), []);
    assert_eq!(bench.wait_until(709), []);
    let refused = bench.refused(Refusal::Conflict);
    let round_ctx = bench.context;
    let why = Uncounted::Refused(Refusal::Conflict);
    let told = ParticipantEffect::NotCounted { round_ctx, why };
    assert_eq!(bench.tell(710, refused), [ParticipantEffect::Forget { round_ctx }, told]);

    let mut bench = Bench::sealed();
    let gone = bench.refused(Refusal::UnknownRound);
    assert_eq!(bench.tell(100, gone.clone()), []);
    assert_eq!(bench.wait_until(100), [bench.pending()], "was the receipt lost?");
    assert_eq!(bench.tell(110, gone).len(), 2, "nobody knows");

    let mut bench = Bench::promised();
    let conflict = bench.refused(Refusal::Conflict);
    assert_eq!(bench.tell(100, conflict), [], "there is a receipt");
    let gone = bench.refused(Refusal::UnknownRound);
    assert_eq!(bench.tell(110, gone).len(), 2);
}

#[test]
fn a_silent_coordinator_is_not_waited_for_without_end() {
    for mut bench in [Bench::sealed(), Bench::promised()] {
        let round_ctx = bench.context;
        bench.wait_until(10_000);
        let effects = bench.wait_until(10_061);
        let why = Uncounted::Silence(10_000);
        let told = ParticipantEffect::NotCounted { round_ctx, why };
        assert_eq!(effects, [ParticipantEffect::Forget { round_ctx }, told]);
        assert_eq!(bench.participant.poll_timeout(), None);
    }
}

#[test]
fn rounds_are_prepared_one_at_a_time_and_a_later_round_ends_the_preparation() {
    let mut bench = Bench::new();
    let first = bench.open();
    bench.tell(0, first);
    let mut other = bench.federation.terms(1);
    other.config.run = Digest([77; 32]);
    let open_other = bench.open_of(&other);
    assert_eq!(bench.tell(1, open_other), [], "queued");
    let next = bench.open_of(&bench.federation.terms(2));
    let effects = bench.tell(2, next);
    let (round_ctx, why) = (bench.context, Uncounted::Superseded);
    let config = Box::new(other.config.clone());
    assert_eq!(
        effects,
        [
            ParticipantEffect::Cancel { round_ctx },
            ParticipantEffect::NotCounted { round_ctx, why },
            ParticipantEffect::Prepare { config },
        ]
    );
    let forget = ParticipantEffect::Forget { round_ctx };
    assert_eq!(bench.prepared(3), [forget], "an answer that nobody waits for");
    let late = bench.open();
    assert_eq!(bench.tell(3, late), [], "a late offer of a round that is over");
    let (context, reason) = (other.config.context(), Decline::Data);
    bench.participant.handle_prepared(Time(4), &context, Err(reason));
    let effects = bench.effects();
    let declined = FromClient::Declined { round_ctx: context, reason };
    assert_eq!(effects[0], ParticipantEffect::Send(declined.clone()));
    assert!(matches!(effects[1..], [ParticipantEffect::Prepare { .. }]));
    let again = bench.open_of(&other);
    assert_eq!(bench.tell(5, again), [ParticipantEffect::Send(declined)]);
}

#[test]
fn a_header_for_another_round_or_in_anothers_name_is_never_uploaded() {
    for spoil in [0, 1] {
        let mut bench = Bench::new();
        let open = bench.open();
        bench.tell(0, open);
        let owner = bench.federation.owners[0].clone();
        let other = bench.federation.owners[1].id();
        let header = resign(&bench.header(), &owner, |header| match spoil {
            0 => header.round_ctx = Digest::ZERO,
            _ => header.client = other,
        });
        let round_ctx = bench.context;
        bench.participant.handle_prepared(Time(1), &round_ctx, Ok(header));
        let declined = FromClient::Declined { round_ctx, reason: Decline::Training };
        assert_eq!(bench.effects(), [ParticipantEffect::Send(declined)]);
    }
}

#[test]
fn leaving_declines_what_is_not_sealed_and_keeps_what_is() {
    let mut bench = Bench::sealed();
    let mut other = bench.federation.terms(1);
    other.config.run = Digest([77; 32]);
    let open_other = bench.open_of(&other);
    bench.tell(60, open_other);
    bench.participant.leave();
    let round_ctx = other.config.context();
    let declined = FromClient::Declined { round_ctx, reason: Decline::Leaving };
    let cancel = ParticipantEffect::Cancel { round_ctx };
    assert_eq!(bench.effects(), [cancel, ParticipantEffect::Send(declined)]);
    assert_eq!(bench.wait_until(150), [bench.upload()]);
}

#[test]
fn a_participant_that_cannot_work_is_told_why() {
    let federation = Federation::new();
    let attempt = |identity: &Arc<Identity>, resend_ms, records: Vec<ParticipantRecord>| {
        let (identity, roster) = (identity.clone(), federation.roster.clone());
        let setup = ParticipantSetup { identity, roster, resend_ms, patience_ms: 1 };
        Participant::new(setup, records).err()
    };
    let holder = &federation.holders[0];
    let owner = &federation.owners[0];
    assert_eq!(attempt(holder, 1, vec![]), Some(ParticipantError::NotAnOwner(holder.id())));
    assert_eq!(attempt(owner, 0, vec![]), Some(ParticipantError::Timing("resend_ms")));
    let (run, round_ctx, header) = (Digest([2; 32]), Digest([3; 32]), Digest([4; 32]));
    let sealed = ParticipantRecord::Sealed { run, round: 1, round_ctx, header };
    let ended = ParticipantRecord::Ended { round_ctx, counted: true };
    let corrupt = |at| Some(ParticipantError::Corrupt(at));
    assert_eq!(attempt(owner, 1, vec![ended.clone()]), corrupt(0));
    assert_eq!(attempt(owner, 1, vec![sealed.clone(), sealed.clone()]), corrupt(1));
    assert_eq!(attempt(owner, 1, vec![sealed, ended.clone(), ended]), corrupt(2));
    let mut roster = federation.roster.clone();
    let twice = roster.members[0].clone();
    roster.members.push(twice.clone());
    let twice = BadRoster::Twice(twice.name);
    assert_eq!(CheckedRoster::new(&roster), Err(twice.clone()));
    let identity = owner.clone();
    let setup = ParticipantSetup { identity, roster, resend_ms: 1, patience_ms: 1 };
    assert_eq!(Participant::new(setup, []).err(), Some(ParticipantError::Roster(twice)));
}

#[test]
fn participants_that_share_a_roster_are_told_the_same() {
    let federation = Federation::new();
    let roster = Arc::new(CheckedRoster::new(&federation.roster).expect("a good one"));
    let attempt = |identity: &Arc<Identity>, times| {
        Participant::sharing(Arc::clone(&roster), Arc::clone(identity), times, []).err()
    };
    for owner in &federation.owners {
        assert_eq!(attempt(owner, (1, 1)), None);
        assert_eq!(attempt(owner, (1, 0)), Some(ParticipantError::Timing("patience_ms")));
    }
    for other in &federation.holders {
        assert_eq!(attempt(other, (0, 0)), Some(ParticipantError::NotAnOwner(other.id())));
    }
}
