use super::*;
use crate::config::Control;
use crate::fixture::{Federation, MINIMUM, OWNERS, Spoil, digests, drain_holder, identity, resign};
use crate::message::{ComplaintKind, Header, Outcome, Report};
use crate::round::Terms;
use crate::sum::seal::Sealed;

/// Holder 0 in a round whose terms it has countersigned.
struct Bench {
    federation: Federation,
    holder: Holder,
    records: Vec<HolderRecord>,
    terms: Terms,
    context: Digest,
    sealed: Vec<Sealed>,
}

impl Bench {
    fn new() -> Self {
        let federation = Federation::new();
        let terms = federation.terms(7);
        let context = terms.config.context();
        let sealed = (0..OWNERS).map(|index| federation.sealed(&terms.config, index)).collect();
        let holder = federation.holder(0, &[]);
        let mut bench = Self { federation, holder, records: Vec::new(), terms, context, sealed };
        let proposal = Federation::propose(&bench.terms);
        assert!(matches!(bench.tell(proposal)[..], [FromHolder::Countersigned { .. }]));
        bench
    }

    fn tell(&mut self, message: ToHolder) -> Vec<FromHolder> {
        self.holder.handle(message);
        let (said, records) = drain_holder(&mut self.holder);
        self.records.extend(records);
        said
    }

    fn restart(&mut self) {
        self.holder = self.federation.holder(0, &self.records);
    }

    fn envelopes(&self, range: std::ops::Range<usize>, total: usize) -> ToHolder {
        let batch = self.sealed[range].iter().map(|one| Federation::envelope(one, 0)).collect();
        ToHolder::Envelopes { round_ctx: self.context, total: total as u32, batch }
    }

    fn show_all(&mut self) {
        let message = self.envelopes(0..OWNERS, OWNERS);
        assert!(matches!(self.tell(message)[..], [FromHolder::Checked { .. }]));
    }

    fn set(&self, set: &[Digest]) -> ToHolder {
        ToHolder::Set { round_ctx: self.context, set: set.to_vec() }
    }

    fn certified(&self, set: &[Digest], holders: &[usize]) -> ToHolder {
        let certificate = self.federation.certificate(&self.context, set, holders);
        ToHolder::Certified { set: set.to_vec(), certificate }
    }

    #[track_caller]
    fn assert_refused(&mut self, message: ToHolder, expected: Refusal) {
        let records = self.records.len();
        let said = self.tell(message);
        let [FromHolder::Refused { refusal, .. }] = &said[..] else { panic!("{said:?}") };
        assert_eq!(*refusal, expected);
        assert_eq!(self.records.len(), records, "nothing is signed");
    }

    #[track_caller]
    fn assert_lacking(&mut self, message: ToHolder) {
        let said = self.tell(message);
        assert!(matches!(said[..], [FromHolder::Lacking { .. }]), "{said:?}");
    }
}

#[test]
fn a_signature_leaves_only_after_its_record_is_durable() {
    let federation = Federation::new();
    let mut holder = federation.holder(0, &[]);
    holder.handle(Federation::propose(&federation.terms(1)));
    let Some(HolderEffect::Append { sequence, .. }) = holder.poll_effect() else {
        panic!("the record comes first")
    };
    assert_eq!(holder.poll_effect(), None);
    holder.handle_stored(sequence);
    assert!(matches!(
        holder.poll_effect(),
        Some(HolderEffect::Send(FromHolder::Countersigned { .. }))
    ));
}

#[test]
fn terms_that_do_not_fit_the_roster_are_refused_each_with_its_reason() {
    let cases: [(&str, Spoil); 8] = [
        ("another number of owners", |terms| {
            let (range, clip_norm, owners) = (1.0, 1.0, OWNERS as u32 + 1);
            let variate = Digest::ZERO;
            terms.config.control = Some(Control { range, clip_norm, owners, variate });
        }),
        ("rounds count from 1", |terms| terms.config.round = 0),
        ("another roster", |terms| terms.config.federation = Digest::ZERO),
        ("another committee", |terms| terms.config.committee.swap(0, 1)),
        ("not the one that the terms name", |terms| terms.config.cohort = Digest::ZERO),
        ("not in ascending order", |terms| terms.cohort.swap(0, 1)),
        ("no data owner", |terms| {
            terms.cohort[0] = PartyId([0; 32]);
            terms.config.cohort = crate::config::cohort_digest(&terms.cohort);
        }),
        ("smaller than the fewest", |terms| {
            terms.cohort.truncate(MINIMUM as usize - 1);
            terms.config.cohort = crate::config::cohort_digest(&terms.cohort);
        }),
    ];
    let federation = Federation::new();
    for (reason, spoil) in cases {
        let mut terms = federation.terms(1);
        spoil(&mut terms);
        let mut holder = federation.holder(0, &[]);
        holder.handle(Federation::propose(&terms));
        let (said, records) = drain_holder(&mut holder);
        let [FromHolder::Refused { refusal: Refusal::Terms(text), .. }] = &said[..] else {
            panic!("{reason}: {said:?}")
        };
        assert!(text.contains(reason), "{text}");
        assert_eq!(records, Vec::new());
    }
}

#[test]
fn one_round_of_a_number_is_countersigned_and_none_before_it_even_after_a_restart() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        let mut other = bench.terms.clone();
        other.config.model = Digest::ZERO;
        bench.assert_refused(Federation::propose(&other), Refusal::Replayed);
        let earlier = bench.federation.terms(6);
        bench.assert_refused(Federation::propose(&earlier), Refusal::Replayed);
        let again = Federation::propose(&bench.terms);
        assert!(matches!(bench.tell(again)[..], [FromHolder::Countersigned { .. }]));
        assert_eq!(bench.records.len(), 1);
        bench.restart();
    }
    let next = Federation::propose(&bench.federation.terms(8));
    assert!(matches!(bench.tell(next)[..], [FromHolder::Countersigned { .. }]));
    let this = Federation::propose(&bench.terms);
    bench.assert_refused(this, Refusal::Replayed);
}

#[test]
fn envelopes_that_the_coordinator_should_have_refused_are_refused_each_with_its_reason() {
    let mut bench = Bench::new();
    let context = bench.context;
    let total = OWNERS as u32;
    let one = |envelope| ToHolder::Envelopes { round_ctx: context, total, batch: vec![envelope] };
    let good = Federation::envelope(&bench.sealed[0], 0);

    let mut changed = good.clone();
    changed.chunks_root.0[3] ^= 1;
    bench.assert_refused(one(changed), Refusal::BadSignature);

    let resealed = |owner: &Identity, change: &dyn Fn(&mut Header)| {
        let signed = resign(&bench.sealed[0].header, owner, change);
        Envelope::new(&signed, HolderIndex(0), good.sealed_box.clone()).expect("a seat")
    };
    let owner = bench.federation.owners[0].clone();
    let other_round = resealed(&owner, &|header| header.round_ctx = Digest::ZERO);
    let stranger = identity(0x55, 0);
    let of_stranger = resealed(&stranger, &|header| header.client = stranger.id());
    let second = resealed(&owner, &|header| header.correction = Digest::ZERO);
    bench.assert_refused(one(other_round), Refusal::BadSignature);

    bench.assert_refused(one(of_stranger), Refusal::NotAdmitted);

    let mut other_box = good.clone();
    other_box.sealed_box[9] ^= 1;
    bench.assert_refused(one(other_box), Refusal::BadSignature);

    let mut long_path = good.clone();
    long_path.path.push(Digest::ZERO);
    let why = "the header has not one hash per component and holder";
    bench.assert_refused(one(long_path), Refusal::Malformed(why.into()));

    let mut short_box = good.clone();
    short_box.sealed_box.pop();
    let why = "the box for holder 0 has 1231 bytes, 1232 expected";
    bench.assert_refused(one(short_box), Refusal::Malformed(why.into()));

    assert_eq!(bench.tell(one(good)), Vec::new());
    bench.assert_refused(one(second), Refusal::Conflict);
}

#[test]
fn the_number_of_contributions_is_within_the_terms_and_said_once() {
    let mut bench = Bench::new();
    let size = |got| Refusal::SetSize { got, min: MINIMUM, max: OWNERS as u32 };
    let message = bench.envelopes(0..2, 2);
    bench.assert_refused(message, size(2));
    let message = bench.envelopes(0..2, OWNERS + 1);
    bench.assert_refused(message, size(OWNERS as u32 + 1));
    let message = bench.envelopes(0..2, 4);
    assert_eq!(bench.tell(message), Vec::new());
    let message = bench.envelopes(2..4, 5);
    bench.assert_refused(message, Refusal::Conflict);
    let message = bench.envelopes(2..5, 4);
    bench.assert_refused(message, Refusal::Malformed("more contributions than announced".into()));
    let batch = vec![Federation::envelope(&bench.sealed[0], 0); ENVELOPES_PER_MESSAGE_MAX + 1];
    let message = ToHolder::Envelopes { round_ctx: bench.context, total: 4, batch };
    let why = "too many envelopes in one message";
    bench.assert_refused(message, Refusal::Malformed(why.into()));
}

#[test]
fn a_bad_box_is_complained_of_and_its_contribution_never_voted_for() {
    let mut bench = Bench::new();
    let owner = bench.federation.owners[1].clone();
    // Component 1 of the canonical order is known to holder 0.
    bench.sealed[1].header =
        resign(&bench.sealed[1].header, &owner, |header| header.components[1] = Digest::ZERO);
    let message = bench.envelopes(0..OWNERS, OWNERS);
    let said = bench.tell(message);
    let [FromHolder::Checked { total, complaints, .. }] = &said[..] else { panic!("{said:?}") };
    assert_eq!((*total, complaints.len()), (OWNERS as u32, 1));
    let complaint = &complaints[0];
    let all = digests(&bench.sealed);
    assert_eq!(complaint.header, all[1]);
    assert!(matches!(complaint.kind, ComplaintKind::Contents { .. }));
    let body = crate::message::Complaint::body(&all[1], HolderIndex(0), &complaint.kind);
    let holder = bench.federation.holders[0].id();
    holder.verify(Statement::Complaint, &bench.context, &body, &complaint.signature).unwrap();

    let message = bench.set(&all);
    let why = "it names a contribution whose box is bad";
    bench.assert_refused(message, Refusal::BadSet(why.into()));
    let message = bench.certified(&all, &[1, 2, 3]);
    bench.assert_refused(message, Refusal::BadSet(why.into()));
    let message = bench.set(&[all[0], all[2], all[3]]);
    assert!(matches!(bench.tell(message)[..], [FromHolder::Voted { .. }]));
}

#[test]
fn sets_that_are_unsafe_or_unknown_are_refused_each_with_its_reason() {
    let mut bench = Bench::new();
    let all = digests(&bench.sealed);
    let message = bench.set(&all);
    bench.assert_lacking(message);
    let message = bench.envelopes(0..2, OWNERS);
    bench.tell(message);
    let message = bench.set(&all);
    bench.assert_lacking(message);
    bench.show_all();

    let size = |got| Refusal::SetSize { got, min: MINIMUM, max: OWNERS as u32 };
    let message = bench.set(&all[..2]);
    bench.assert_refused(message, size(2));
    let message = bench.set(&[all.clone(), all.clone()].concat());
    bench.assert_refused(message, size(10));
    let order = "its clients are not in ascending order, each once";
    for set in [[all[1], all[0], all[2]], [all[0], all[0], all[1]]] {
        let message = bench.set(&set);
        bench.assert_refused(message, Refusal::BadSet(order.into()));
    }
    let message = bench.set(&[all[0], all[1], Digest::ZERO]);
    let why = "it names a contribution that was never sent";
    bench.assert_refused(message, Refusal::BadSet(why.into()));
}

#[test]
fn a_second_vote_is_refused_even_after_a_restart_and_the_first_is_repeated() {
    let mut bench = Bench::new();
    bench.show_all();
    let all = digests(&bench.sealed);
    let message = bench.set(&all);
    let first = bench.tell(message);
    assert!(matches!(first[..], [FromHolder::Voted { .. }]));
    for _ in 0..2 {
        let message = bench.set(&all[..4]);
        bench.assert_refused(message, Refusal::AlreadyVoted);
        let message = bench.set(&all);
        assert_eq!(bench.tell(message), first);
        bench.restart();
    }
}

#[test]
fn nothing_is_released_without_a_valid_certificate_for_the_very_set() {
    let mut bench = Bench::new();
    bench.show_all();
    let all = digests(&bench.sealed);
    for holders in [&[0, 1][..], &[1, 1, 1], &[2, 1, 0]] {
        let message = bench.certified(&all, holders);
        bench.assert_refused(message, Refusal::BadCertificate);
    }
    // A vote with a wrong key, and a vote of nobody of the committee.
    for (holder, index) in [(0, 3), (1, 9)] {
        let mut certificate = bench.federation.certificate(&bench.context, &all, &[0, 1, 2]);
        certificate.votes[2] = bench.federation.vote(holder, &bench.context, &certificate.set);
        certificate.votes[2].holder = HolderIndex(index);
        let message = ToHolder::Certified { set: all.clone(), certificate };
        bench.assert_refused(message, Refusal::BadCertificate);
    }
    let certificate = bench.federation.certificate(&bench.context, &all, &[0, 1, 2]);
    let message = ToHolder::Certified { set: all[..4].to_vec(), certificate: certificate.clone() };
    let why = "not the set that the certificate names";
    bench.assert_refused(message, Refusal::BadSet(why.into()));
    let elsewhere = bench.federation.certificate(&Digest::ZERO, &all, &[0, 1, 2]);
    bench.assert_lacking(ToHolder::Certified { set: all, certificate: elsewhere });
}

#[test]
fn a_certified_set_below_the_minimum_is_not_released() {
    let mut bench = Bench::new();
    bench.show_all();
    let all = digests(&bench.sealed);
    let message = bench.certified(&all[..2], &[1, 2, 3]);
    let (min, max) = (MINIMUM, OWNERS as u32);
    bench.assert_refused(message, Refusal::SetSize { got: 2, min, max });
}

#[test]
fn one_set_is_released_per_round_even_after_a_restart() {
    let mut bench = Bench::new();
    bench.show_all();
    let all = digests(&bench.sealed);
    let message = bench.certified(&all, &[1, 2, 3]);
    let first = bench.tell(message);
    let [FromHolder::Released(release)] = &first[..] else { panic!("{first:?}") };
    assert_eq!(release.sums.len(), 3);
    let body = Release::body(&release.set, &release.sums);
    let holder = bench.federation.holders[0].id();
    holder.verify(Statement::Release, &bench.context, &body, &release.signature).unwrap();

    // Even with a certificate that no honest committee can give.
    let message = bench.certified(&all[..4], &[1, 2, 3]);
    bench.assert_refused(message, Refusal::Conflict);
    let message = bench.certified(&all, &[1, 2, 3]);
    assert_eq!(bench.tell(message), first);

    bench.restart();
    let message = bench.certified(&all, &[1, 2, 3]);
    bench.assert_lacking(message);
    let message = Federation::propose(&bench.terms);
    bench.tell(message);
    bench.show_all();
    let message = bench.certified(&all[..4], &[1, 2, 3]);
    bench.assert_refused(message, Refusal::Conflict);
    let message = bench.certified(&all, &[1, 2, 3]);
    assert_eq!(bench.tell(message), first);
    assert_eq!(bench.records.len(), 2, "countersigned, released; each once");
}

#[test]
fn an_ended_or_superseded_round_is_forgotten() {
    let mut bench = Bench::new();
    bench.show_all();
    let outcome = Outcome::Done(Report::default());
    bench.tell(ToHolder::Ended { round_ctx: bench.context, outcome });
    assert_eq!(bench.holder.rounds_held(), 0);
    let all = digests(&bench.sealed);
    let message = bench.set(&all);
    bench.assert_lacking(message);
    let message = Federation::propose(&bench.terms);
    bench.tell(message);
    let next = Federation::propose(&bench.federation.terms(8));
    bench.tell(next);
    assert_eq!(bench.holder.rounds_held(), 1);
    let message = bench.set(&all);
    bench.assert_lacking(message);
}

#[test]
fn only_so_many_rounds_are_kept_in_memory_and_the_oldest_goes_first() {
    let mut bench = Bench::new();
    for run in 0..=HOLDER_ROUNDS_MAX {
        let mut terms = bench.federation.terms(1);
        terms.config.run = Digest([100 + run as u8; 32]);
        bench.tell(Federation::propose(&terms));
    }
    assert_eq!(bench.holder.rounds_held(), HOLDER_ROUNDS_MAX);
    let message = bench.envelopes(0..1, OWNERS);
    bench.assert_lacking(message);
}

#[test]
fn a_holder_that_cannot_work_is_told_why() {
    let federation = Federation::new();
    let attempt = |identity: &Arc<Identity>, secret: usize, records: Vec<HolderRecord>| {
        let (identity, secret) = (identity.clone(), federation.secrets[secret].clone());
        let setup = HolderSetup { identity, secret, roster: federation.roster.clone() };
        Holder::new(setup, records).err()
    };
    let owner = &federation.owners[0];
    assert_eq!(attempt(owner, 0, vec![]), Some(HolderError::NotAHolder(owner.id())));
    let holder = &federation.holders[0];
    assert_eq!(attempt(holder, 1, vec![]), Some(HolderError::SealingKey));
    let (run, round_ctx) = (Digest([2; 32]), Digest([3; 32]));
    let signed = HolderRecord::Countersigned { run, round: 3, round_ctx };
    let voted = HolderRecord::Voted { run, round_ctx, set: Digest::ZERO };
    assert_eq!(attempt(holder, 0, vec![voted]), Some(HolderError::Corrupt(0)));
    assert_eq!(attempt(holder, 0, vec![signed, signed]), Some(HolderError::Corrupt(1)));
    assert_eq!(attempt(holder, 0, vec![signed, voted, voted]), Some(HolderError::Corrupt(2)));
}
