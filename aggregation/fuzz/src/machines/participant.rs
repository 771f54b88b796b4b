//! The data owner's machine, as a coordinator that does what it likes and a driver that fails
//! drive it.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PARTICIPANT_ROUNDS_MAX;
use covey_aggregation::message::{
    AbandonReason, Decline, MissingReason, Outcome, Receipt, Refusal, Report, ToClient,
};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup};
use covey_aggregation::record::{ParticipantRecord, Sequence};
use covey_aggregation::signing::{Signature, Statement};
use covey_aggregation::time::Time;

use super::federation::{Case, FEDERATION, KINDS, Kind, ROUNDS};
use super::{Disk, altered, operations, picked};

/// The owner under test.
const OWNER: usize = 0;
const RESEND_MS: u64 = 100;
const PATIENCE_MS: u64 = 10_000;

#[derive(Arbitrary, Debug)]
enum Operation {
    Say(Message),
    Altered(Message, (u16, u8)),
    Prepared { round: u8, of: u8, kind: u8, owner: bool },
    Failed { round: u8, is_policy: bool },
    Wait(u16),
    Store(u8),
    Leave,
    Kill,
}

#[derive(Arbitrary, Debug)]
enum Message {
    Open { round: u8, signers: u8 },
    Receipt { round: u8, kind: u8, is_forged: bool },
    Refused { round: u8, why: u8 },
    Ended { round: u8, how: u8 },
}

/// What the owner said and did, in all of its lives.
#[derive(Default)]
struct Witness {
    uploads: BTreeMap<Digest, Digest>,
    /// Rounds of which it was told that it is counted.
    told_counted: BTreeSet<Digest>,
}

struct Bench {
    now: Time,
    owner: Participant,
    disk: Disk<ParticipantRecord>,
    /// The one round that the driver was asked to prepare.
    preparing: Option<Digest>,
    witness: Witness,
}

/// Runs the operations that the bytes spell.
pub fn run(bytes: &[u8]) {
    let mut bench = Bench {
        now: Time(0),
        owner: revived(&[]),
        disk: Disk::default(),
        preparing: None,
        witness: Witness::default(),
    };
    for operation in operations::<Operation>(bytes) {
        bench.run(operation);
        bench.drain();
        bench.check();
    }
    bench.judge();
}

fn revived(records: &[ParticipantRecord]) -> Participant {
    let setup = ParticipantSetup {
        identity: FEDERATION.owners[OWNER].clone(),
        roster: FEDERATION.roster.clone(),
        resend_ms: RESEND_MS,
        patience_ms: PATIENCE_MS,
    };
    Participant::new(setup, records.iter().cloned()).expect("its own records")
}

fn case(round: u8) -> &'static Case {
    &FEDERATION.cases[usize::from(round) % ROUNDS]
}

fn kind(kind: u8) -> Kind {
    KINDS[usize::from(kind) % KINDS.len()]
}

impl Message {
    fn build(&self) -> ToClient {
        match *self {
            Self::Open { round, signers } => ToClient::Open {
                config: Box::new(case(round).terms.config.clone()),
                countersignatures: picked(signers, 4)
                    .map(|holder| case(round).countersignatures[holder].clone())
                    .collect(),
            },
            Self::Receipt { round, kind, is_forged } => {
                let (round_ctx, header) =
                    (case(round).context, case(round).digest(OWNER, self::kind(kind)));
                let coordinator = &FEDERATION.coordinator;
                let signature = if is_forged {
                    Signature::from_bytes([7; 64])
                } else {
                    coordinator.sign(Statement::Receipt, &round_ctx, &header.0)
                };
                ToClient::Receipt(Receipt { round_ctx, header, signature })
            }
            Self::Refused { round, why } => {
                let refusals = [
                    Refusal::WrongPhase,
                    Refusal::UnknownRound,
                    Refusal::Busy { retry_after_ms: 500 },
                    Refusal::Conflict,
                    Refusal::Malformed("so".into()),
                ];
                let refusal = refusals[usize::from(why) % refusals.len()].clone();
                ToClient::Refused { round_ctx: case(round).context, refusal }
            }
            Self::Ended { round, how } => {
                let id = FEDERATION.owners[OWNER].id();
                let missing = vec![(id, MissingReason::NoAnswer)];
                let report = Report::default();
                let outcome = match how % 4 {
                    0 => Outcome::Done(Report { counted: vec![id], ..report }),
                    1 => Outcome::Done(Report { missing, ..report }),
                    2 => Outcome::Done(report),
                    _ => Outcome::Abandoned { reason: AbandonReason::Stopped, report },
                };
                ToClient::Ended { round_ctx: case(round).context, outcome }
            }
        }
    }
}

impl Bench {
    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Say(message) => self.say(message.build()),
            Operation::Altered(message, change) => {
                if let Some(message) = altered(&message.build(), change) {
                    self.say(message);
                }
            }
            Operation::Prepared { round, of, kind, owner } => {
                let header = case(of).header(usize::from(owner), self::kind(kind)).clone();
                self.prepared(case(round).context, Ok(header));
            }
            Operation::Failed { round, is_policy } => {
                let reason = if is_policy { Decline::Policy } else { Decline::Training };
                self.prepared(case(round).context, Err(reason));
            }
            Operation::Wait(ms) => {
                self.now = self.now.after_ms(ms.into());
                self.owner.handle_timeout(self.now);
            }
            Operation::Store(count) => self.store(count.into()),
            Operation::Leave => self.owner.leave(),
            Operation::Kill => self.kill(),
        }
    }

    fn say(&mut self, message: ToClient) {
        if let ToClient::Ended { round_ctx, outcome: Outcome::Done(report) } = &message
            && report.counted.contains(&FEDERATION.owners[OWNER].id())
        {
            self.witness.told_counted.insert(*round_ctx);
        }
        self.owner.handle(self.now, message);
    }

    fn prepared(
        &mut self,
        round_ctx: Digest,
        result: Result<covey_aggregation::message::SignedHeader, Decline>,
    ) {
        if self.preparing == Some(round_ctx) {
            self.preparing = None;
        }
        self.owner.handle_prepared(self.now, &round_ctx, result);
    }

    fn store(&mut self, count: usize) {
        if let Some(last) = self.disk.store(count) {
            self.owner.handle_stored(Sequence(last));
        }
    }

    fn kill(&mut self) {
        self.disk.waiting.clear();
        self.owner = revived(&self.disk.durable);
        self.preparing = None;
        assert_eq!(self.owner.poll_effect(), None, "it says nothing by itself");
        let mut open: Vec<Digest> = self.owner.rounds().copied().collect();
        open.sort_unstable();
        assert_eq!(open, self.sealed_and_open(false), "the same rounds as before");
    }

    /// Rounds sealed and not over, by the records.
    fn sealed_and_open(&self, with_waiting: bool) -> Vec<Digest> {
        let waiting = self.disk.waiting.iter().filter(|_| with_waiting);
        let mut open = BTreeSet::new();
        for record in self.disk.durable.iter().chain(waiting) {
            match record {
                ParticipantRecord::Sealed { round_ctx, .. } => {
                    open.insert(*round_ctx);
                }
                ParticipantRecord::Ended { round_ctx, .. } => {
                    open.remove(round_ctx);
                }
                ParticipantRecord::Receipted { .. } => {}
            }
        }
        open.into_iter().collect()
    }

    fn drain(&mut self) {
        while let Some(effect) = self.owner.poll_effect() {
            match effect {
                ParticipantEffect::Append { sequence, record } => {
                    self.recorded(&record);
                    self.disk.append(sequence.0, record);
                }
                other => self.wanted(other),
            }
        }
    }

    /// One sealing for each round of a run, and none at or below one it has sealed for.
    fn recorded(&self, record: &ParticipantRecord) {
        let ParticipantRecord::Sealed { run, round, .. } = record else { return };
        for earlier in self.disk.durable.iter().chain(&self.disk.waiting) {
            if let ParticipantRecord::Sealed { run: other, round: before, .. } = earlier {
                assert!(run != other || before < round, "sealed twice");
            }
        }
    }

    /// Whether the owner may do this, now.
    fn wanted(&mut self, effect: ParticipantEffect) {
        let durable = &self.disk.durable;
        match effect {
            ParticipantEffect::Append { .. } | ParticipantEffect::Send(_) => {}
            ParticipantEffect::Prepare { config } => {
                let known = FEDERATION.cases.iter().any(|case| case.terms.config == *config);
                assert!(known, "terms that nobody countersigned");
                self.preparing = Some(config.context());
            }
            ParticipantEffect::Cancel { round_ctx } => {
                if self.preparing == Some(round_ctx) {
                    self.preparing = None;
                }
            }
            ParticipantEffect::Upload { round_ctx, header } => {
                let is_sealed = durable.iter().any(|record| {
                    matches!(record, ParticipantRecord::Sealed { round_ctx: other, header: sealed, .. }
                        if *other == round_ctx && *sealed == header)
                });
                assert!(is_sealed, "uploaded before it is recorded");
                let first = *self.witness.uploads.entry(round_ctx).or_insert(header);
                assert_eq!(first, header, "one upload, the same bytes again");
            }
            ParticipantEffect::Prove { .. } => panic!("no round of these is audited"),
            ParticipantEffect::Forget { round_ctx } => {
                assert!(!self.sealed_and_open(true).contains(&round_ctx), "forgets what it needs");
            }
            ParticipantEffect::Promised(receipt) => {
                assert!(
                    durable.contains(&ParticipantRecord::Receipted { receipt: receipt.clone() })
                );
                let Receipt { round_ctx, header, signature } = receipt;
                let coordinator = FEDERATION.coordinator.id();
                let signed =
                    coordinator.verify(Statement::Receipt, &round_ctx, &header.0, &signature);
                assert_eq!(signed, Ok(()));
            }
            ParticipantEffect::Counted { round_ctx } => {
                assert!(self.witness.told_counted.contains(&round_ctx));
                // Counted without having sealed is what a liar says; then there is no record.
                let ended = ParticipantRecord::Ended { round_ctx, counted: true };
                let sealed = durable.iter().any(|record| {
                    matches!(record, ParticipantRecord::Sealed { round_ctx: other, .. } if *other == round_ctx)
                });
                assert!(!sealed || durable.contains(&ended));
            }
            ParticipantEffect::NotCounted { .. } => {}
        }
    }

    fn check(&self) {
        assert!(self.owner.rounds().count() <= PARTICIPANT_ROUNDS_MAX + ROUNDS);
        let open = self.sealed_and_open(true);
        let rounds: BTreeSet<_> = self.owner.rounds().copied().collect();
        assert!(open.iter().all(|round_ctx| rounds.contains(round_ctx)), "none is lost");
        assert!(self.owner.receipts().all(|receipt| open.contains(&receipt.round_ctx)));
    }

    /// A coordinator that says nothing more is not waited for: only what is being prepared, and
    /// what waits for that, stays.
    fn judge(mut self) {
        self.store(usize::MAX);
        self.drain();
        let end = self.now.after_ms(PATIENCE_MS);
        self.owner.handle_timeout(self.now);
        self.drain();
        let mut steps = 0;
        while let Some(at) = self.owner.poll_timeout() {
            // A refusal may ask for patience, but not for more.
            assert!(at <= end && steps < 2_000, "it waits for ever");
            self.now = Time(self.now.0.max(at.0));
            self.owner.handle_timeout(self.now);
            self.drain();
            self.store(usize::MAX);
            self.drain();
            steps += 1;
        }
        assert_eq!(self.sealed_and_open(true), Vec::new(), "every sealed round is over");
        let rounds = self.owner.rounds().count();
        assert!(self.preparing.is_some() || rounds == 0, "{rounds} rounds, and none is prepared");
        self.kill();
    }
}
