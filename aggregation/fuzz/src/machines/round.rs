//! The coordinator's machine, as clients and holders that do what they like, and a driver that is
//! killed, drive it.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use covey_aggregation::config::{CommitteeShape, HolderIndex, set_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    Complaint, ComplaintKind, Countersignature, Decline, FromClient, FromHolder, MissingReason,
    Outcome, Phase, Refusal, Release, Report, SignedHeader, ToClient, ToHolder,
};
use covey_aggregation::party::PartyId;
use covey_aggregation::record::{RoundRecord, Sequence};
use covey_aggregation::round::{BoxSource, OpenFailure, Opened, Round, RoundEffect};
use covey_aggregation::signing::Statement;
use covey_aggregation::time::Time;

use super::federation::{Case, FEDERATION, HOLDERS, KINDS, Kind, MINIMUM, OWNERS, TIMINGS};
use super::{Disk, altered, operations};

#[derive(Arbitrary, Debug)]
enum Operation {
    Holder(u8, Message),
    AlteredHolder(u8, Message, (u16, u8)),
    Client(u8, bool),
    AlteredClient(u8, bool, (u16, u8)),
    Contribute { owner: u8, from: u8, kind: u8 },
    Opened(bool),
    Wait(u16),
    Store(u8),
    Kill,
    Stop,
}

#[derive(Arbitrary, Debug)]
enum Message {
    Countersigned { as_holder: u8 },
    Checked { fewer: u8, complaint: Option<(u8, bool)> },
    Voted { is_other: bool },
    Released { lie: bool, is_short: bool },
    Lacking,
    Refused { is_busy: bool },
}

/// What the round said, in all of its lives.
#[derive(Default)]
struct Witness {
    receipts: BTreeMap<PartyId, Digest>,
    asked_votes_for: Option<Vec<Digest>>,
    outcome: Option<Outcome>,
}

struct Bench {
    now: Time,
    round: Round,
    disk: Disk<RoundRecord>,
    /// A worker is opening the sum.
    is_opening: bool,
    /// It must be over by then.
    end: Time,
    witness: Witness,
}

struct Boxes;

impl BoxSource for Boxes {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let (owner, kind) = case().find(header)?;
        case().sealed[owner][kind as usize].boxes.get(usize::from(holder.0)).cloned()
    }
}

fn case() -> &'static Case {
    &FEDERATION.cases[0]
}

const PHASES_MS: u64 =
    TIMINGS.select_ms + TIMINGS.collect_ms + TIMINGS.vote_ms + 2 * TIMINGS.release_ms;

/// Runs the operations that the bytes spell. Returns how the round ended.
pub fn run(bytes: &[u8]) -> Outcome {
    let identity = FEDERATION.coordinator.clone();
    let round = Round::open(case().terms.clone(), identity, Time(0)).expect("good terms");
    let mut bench = Bench {
        now: Time(0),
        round,
        disk: Disk::default(),
        is_opening: false,
        end: Time(PHASES_MS),
        witness: Witness::default(),
    };
    bench.drain();
    bench.store(1);
    for operation in operations::<Operation>(bytes) {
        bench.run(operation);
        bench.drain();
    }
    bench.judge()
}

impl Message {
    fn build(&self, holder: usize, round: &Round) -> FromHolder {
        let round_ctx = case().context;
        let identity = &FEDERATION.holders[holder];
        let index = HolderIndex(holder as u8);
        let set: Vec<Digest> = round.set().iter().map(|one| one.header.digest()).collect();
        match *self {
            Self::Countersigned { as_holder } => {
                // Mostly its own.
                let signer =
                    if as_holder < 224 { holder } else { usize::from(as_holder) % HOLDERS };
                let signature: Countersignature = case().countersignatures[signer].clone();
                FromHolder::Countersigned { round_ctx, signature }
            }
            Self::Checked { fewer, ref complaint } => {
                let contributions: Vec<&SignedHeader> = round.contributions().collect();
                let fewer = if fewer < 224 { 0 } else { usize::from(fewer % 3) };
                let total = contributions.len().saturating_sub(fewer) as u32;
                let complaints = complaint.iter().filter_map(|&(which, is_key)| {
                    let count = contributions.len();
                    let header = contributions.get(usize::from(which) % count.max(1))?;
                    let header = header.header.digest();
                    let kind = if is_key {
                        ComplaintKind::Key
                    } else {
                        ComplaintKind::Contents { box_key: [which; 32] }
                    };
                    let body = Complaint::body(&header, index, &kind);
                    let signature = identity.sign(Statement::Complaint, &round_ctx, &body);
                    Some(Complaint { round_ctx, header, holder: index, kind, signature })
                });
                FromHolder::Checked { round_ctx, total, complaints: complaints.collect() }
            }
            Self::Voted { is_other } => {
                let voted = if is_other { &set[..set.len().min(1)] } else { &set[..] };
                let set = set_digest(&round_ctx, voted);
                let vote = FEDERATION.vote(holder, &round_ctx, &set);
                FromHolder::Voted { round_ctx, set, vote }
            }
            Self::Released { lie, is_short } => {
                let length = case().terms.config.profile.key_vector_bytes();
                let mut sum = vec![0; length];
                sum[0] = u8::from(lie);
                let known = CommitteeShape::Four.components_of(index).len();
                let sums = vec![sum; known - usize::from(is_short)];
                let set = set_digest(&round_ctx, &set);
                let body = Release::body(&set, &sums);
                let signature = identity.sign(Statement::Release, &round_ctx, &body);
                let release = Release { round_ctx, set, holder: index, sums, signature };
                FromHolder::Released(Box::new(release))
            }
            Self::Lacking => FromHolder::Lacking { round_ctx },
            Self::Refused { is_busy: true } => {
                FromHolder::Refused { round_ctx, refusal: Refusal::Busy { retry_after_ms: 1 } }
            }
            Self::Refused { is_busy: false } => {
                FromHolder::Refused { round_ctx, refusal: Refusal::Replayed }
            }
        }
    }
}

impl Bench {
    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Holder(holder, message) => {
                let holder = usize::from(holder) % HOLDERS;
                self.hear(holder, message.build(holder, &self.round));
            }
            Operation::AlteredHolder(holder, message, change) => {
                let holder = usize::from(holder) % HOLDERS;
                if let Some(message) = altered(&message.build(holder, &self.round), change) {
                    self.hear(holder, message);
                }
            }
            Operation::Client(owner, is_pending) => {
                let _ = self.client(owner, Self::from_client(is_pending));
            }
            Operation::AlteredClient(owner, is_pending, change) => {
                if let Some(message) = altered(&Self::from_client(is_pending), change) {
                    let _ = self.client(owner, message);
                }
            }
            Operation::Contribute { owner, from, kind } => {
                let owner = usize::from(owner) % OWNERS;
                let from = if from < 224 { owner } else { usize::from(from) % OWNERS };
                self.contribute(owner, from, KINDS[usize::from(kind) % 3]);
            }
            Operation::Opened(is_good) => self.opened(is_good),
            Operation::Wait(ms) => {
                self.now = self.now.after_ms(ms.into());
                // A driver that comes late makes the phases after it late.
                let late_ms = self.round.poll_timeout().map_or(0, |due| self.now.since_ms(due));
                self.end = self.end.after_ms(late_ms);
                self.round.handle_timeout(self.now);
                let next = self.round.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "busy for nothing");
            }
            Operation::Store(count) => self.store(count.into()),
            Operation::Kill => self.kill(),
            Operation::Stop => self.round.stop(self.now),
        }
    }

    fn from_client(is_pending: bool) -> FromClient {
        let round_ctx = case().context;
        if is_pending {
            FromClient::Pending { round_ctx }
        } else {
            FromClient::Declined { round_ctx, reason: Decline::Policy }
        }
    }

    fn client(&mut self, owner: u8, message: FromClient) -> Result<(), Refusal> {
        let id = FEDERATION.owners[usize::from(owner) % OWNERS].id();
        self.round.handle_client(self.now, id, message)
    }

    fn hear(&mut self, holder: usize, message: FromHolder) {
        let from = FEDERATION.holders[holder].id();
        let _ = self.round.handle_holder(self.now, from, message, &Boxes);
    }

    fn contribute(&mut self, owner: usize, from: usize, kind: Kind) {
        let header = case().header(owner, kind).clone();
        let from = FEDERATION.owners[from].id();
        let known = self.round.known_answer(&from, &header);
        let may = self.round.may_contribute(&from, &header);
        let result = self.round.handle_contribution(self.now, from, header);
        if result.is_ok() {
            // The deadline may have come in between.
            assert!(known.is_some() || may.is_ok() || self.round.poll_timeout().is_none());
            assert_eq!(from, FEDERATION.owners[owner].id(), "in another's name");
        }
    }

    fn opened(&mut self, is_good: bool) {
        // The question may still wait for a record: no driver answers it before it is asked.
        if !self.is_opening && !self.disk.waiting.is_empty() {
            return;
        }
        let count = self.round.set().len() as u32;
        let opened =
            Opened { aggregate: Digest([1; 32]), key_sum: Digest([2; 32]), count, weight: 1 };
        let result =
            if is_good { Ok(opened) } else { Err(OpenFailure::Spoiled("garbage".to_owned())) };
        let was_over = self.round.outcome().is_some();
        self.round.handle_opened(self.now, result);
        if !was_over && matches!(self.round.outcome(), Some(Outcome::Done(_))) {
            assert!(self.is_opening && is_good, "done, and nobody opened anything");
        }
    }

    fn store(&mut self, count: usize) {
        if let Some(last) = self.disk.store(count) {
            self.round.handle_stored(Sequence(last));
        }
        self.drain();
    }

    /// What a round is, as far as it can be asked.
    fn view(
        round: &Round,
    ) -> (Phase, Option<Outcome>, Vec<SignedHeader>, Vec<SignedHeader>, String) {
        let rest = format!(
            "{:?} {:?} {:?}",
            round.countersignatures(),
            round.certificate(),
            round.opened()
        );
        let contributions = round.contributions().cloned().collect();
        (round.phase(), round.outcome().cloned(), round.set().to_vec(), contributions, rest)
    }

    fn kill(&mut self) {
        let is_whole = self.disk.waiting.is_empty();
        let before = Self::view(&self.round);
        self.disk.waiting.clear();
        let identity = FEDERATION.coordinator.clone();
        let records = self.disk.durable.iter().cloned();
        self.round = Round::replay(records, identity, self.now).expect("its own records");
        if is_whole {
            assert!(Self::view(&self.round) == before, "another state after a replay");
        }
        self.is_opening = false;
        // The phase at hand gets its whole time again, and then those after it have theirs. (Which
        // phase that is depends on what was durable.)
        let rest_ms = match self.round.phase() {
            Phase::Select => PHASES_MS,
            Phase::Collect => PHASES_MS - TIMINGS.select_ms,
            Phase::Vote => TIMINGS.vote_ms + 2 * TIMINGS.release_ms,
            Phase::Release => 2 * TIMINGS.release_ms,
            Phase::Done | Phase::Abandon => 0,
            Phase::Audit | Phase::Credit => panic!("no round of these is audited"),
        };
        self.end = self.now.after_ms(rest_ms);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.round.poll_effect() {
            match effect {
                RoundEffect::Append { sequence, record } => self.disk.append(sequence.0, record),
                RoundEffect::ToHolder { to, message } => self.tell_holder(to, message),
                RoundEffect::ToClient { to, message } => self.tell_client(to, message),
                RoundEffect::SendEnvelopes { to, holder, headers } => {
                    assert_eq!(to, FEDERATION.holders[usize::from(holder.0)].id());
                    assert!(
                        self.is_durable(|record| matches!(record, RoundRecord::Checking { .. }))
                    );
                    assert!(headers.len() >= MINIMUM);
                }
                RoundEffect::Open { set, components, .. } => {
                    let is_certified =
                        |record: &RoundRecord| matches!(record, RoundRecord::Certified { .. });
                    assert!(self.is_durable(is_certified), "opened without a certificate");
                    let expected = CommitteeShape::Four.components().len();
                    assert_eq!((set.len() >= MINIMUM, components.len()), (true, expected));
                    self.is_opening = true;
                }
                RoundEffect::SendProofs { .. }
                | RoundEffect::Measure { .. }
                | RoundEffect::Direct { .. } => panic!("no round of these is audited"),
                RoundEffect::Ended(outcome) => {
                    let ended = |record: &RoundRecord| matches!(record, RoundRecord::Ended { outcome: other, .. } if *other == outcome);
                    assert!(self.is_durable(ended));
                    let first = self.witness.outcome.get_or_insert_with(|| outcome.clone());
                    assert!(*first == outcome, "one end, and the same again");
                }
            }
        }
    }

    fn is_durable(&self, is_it: impl Fn(&RoundRecord) -> bool) -> bool {
        self.disk.durable.iter().any(is_it)
    }

    /// Whether a holder may be told this, now.
    fn tell_holder(&mut self, to: PartyId, message: ToHolder) {
        assert!(FEDERATION.holders.iter().any(|holder| holder.id() == to));
        match message {
            ToHolder::Propose { config, .. } => assert!(*config == case().terms.config),
            ToHolder::Set { set, .. } => {
                let fixed = |record: &RoundRecord| matches!(record, RoundRecord::Voting { set: fixed, .. } if *fixed == set);
                assert!(self.is_durable(fixed), "a set that may still change");
                let first = self.witness.asked_votes_for.get_or_insert_with(|| set.clone());
                assert_eq!(*first, set, "one set, ever");
            }
            ToHolder::Certified { set, certificate } => {
                let certified = |record: &RoundRecord| matches!(record, RoundRecord::Certified { certificate: other, .. } if *other == certificate);
                assert!(self.is_durable(certified));
                assert_eq!(certificate.verify(&case().terms.config, &case().context), Ok(()));
                assert_eq!(set_digest(&case().context, &set), certificate.set);
            }
            ToHolder::Ended { .. } => assert!(self.is_over()),
            ToHolder::Envelopes { .. }
            | ToHolder::Proofs { .. }
            | ToHolder::Approve { .. }
            | ToHolder::Cosign { .. } => panic!("the driver's"),
            ToHolder::Deal { .. }
            | ToHolder::List { .. }
            | ToHolder::Listed { .. }
            | ToHolder::OpenProofs { .. }
            | ToHolder::Part { .. }
            | ToHolder::Judge { .. }
            | ToHolder::Accepted { .. }
            | ToHolder::Credit(_)
            | ToHolder::CreditPart { .. }
            | ToHolder::Attest { .. } => panic!("no round of these is audited"),
        }
    }

    fn is_over(&self) -> bool {
        self.is_durable(|record| matches!(record, RoundRecord::Ended { .. }))
    }

    /// Whether a client may be told this, now.
    fn tell_client(&mut self, to: PartyId, message: ToClient) {
        match message {
            ToClient::Open { .. } => {
                let collecting =
                    |record: &RoundRecord| matches!(record, RoundRecord::Collecting { .. });
                assert!(self.is_durable(collecting));
            }
            ToClient::Receipt(receipt) => {
                let stored = |record: &RoundRecord| {
                    matches!(record, RoundRecord::Contributed { header, .. }
                        if header.header.client == to && header.header.digest() == receipt.header)
                };
                assert!(self.is_durable(stored), "a promise that a crash could break");
                let first = *self.witness.receipts.entry(to).or_insert(receipt.header);
                assert_eq!(first, receipt.header, "the first stands");
            }
            ToClient::Ended { .. } => assert!(self.is_over()),
            ToClient::Refused { .. } => {}
            ToClient::Prove { .. } => panic!("no round of these is audited"),
            ToClient::Recorded { .. } => panic!("the driver's"),
        }
    }

    /// Whatever happened, the round ends by its deadlines, names everybody once, and keeps what
    /// its receipts promise.
    fn judge(mut self) -> Outcome {
        self.store(usize::MAX);
        let mut steps = 0;
        while let Some(at) = self.round.poll_timeout() {
            assert!(steps < 2_000, "it never ends");
            self.now = Time(self.now.0.max(at.0));
            assert!(self.now <= self.end || steps == 0, "{:?} is late, {:?}", self.now, self.end);
            self.round.handle_timeout(self.now);
            self.drain();
            self.store(usize::MAX);
            steps += 1;
        }
        let outcome = self.round.outcome().cloned().expect("it has ended");
        let report: &Report = match &outcome {
            Outcome::Done(report) => {
                let set = self.round.set().iter().map(|one| one.header.client);
                assert!(report.counted.iter().copied().eq(set), "those of the set are counted");
                assert!(report.counted.len() >= MINIMUM);
                let certificate = self.round.certificate().expect("a certificate");
                assert_eq!(certificate.verify(&case().terms.config, &case().context), Ok(()));
                report
            }
            Outcome::Abandoned { report, .. } => {
                assert_eq!((report.counted.as_slice(), self.round.opened()), (&[][..], None));
                report
            }
        };
        let missing = report.missing.iter().map(|(client, _)| *client);
        let mut named: Vec<PartyId> = report.counted.iter().copied().chain(missing).collect();
        named.sort_unstable();
        assert_eq!(named, case().terms.cohort, "everybody is named once");
        for (client, reason) in &report.missing {
            let promised = self.witness.receipts.contains_key(client);
            let allows = !matches!(reason, MissingReason::NoAnswer | MissingReason::Declined(_));
            assert!(!promised || allows, "a receipt is not honoured: {reason}");
        }
        self.kill();
        assert_eq!(self.round.outcome(), Some(&outcome), "the same end after a replay");
        outcome
    }
}
