//! The key holder's machine, as a coordinator that does what it likes drives it.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use covey_aggregation::config::{HolderIndex, set_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderEffect, HolderSetup};
use covey_aggregation::limits::HOLDER_ROUNDS_MAX;
use covey_aggregation::message::{
    Complaint, FromHolder, Outcome, Refusal, Release, Report, ToHolder,
};
use covey_aggregation::record::{HolderRecord, Sequence};
use covey_aggregation::signing::Statement;

use super::federation::{Case, FEDERATION, HOLDERS, KINDS, Kind, MINIMUM, OWNERS, ROUNDS};
use super::{Disk, altered, operations, picked};

/// The holder under test.
const HOLDER: usize = 0;

#[derive(Arbitrary, Debug)]
enum Operation {
    Say(Message),
    Altered(Message, (u16, u8)),
    Again(u8),
    Store(u8),
    Kill,
}

#[derive(Arbitrary, Debug)]
enum Message {
    Propose(u8),
    Envelopes { round: u8, owners: u8, kinds: u8, total: u8 },
    Set { round: u8, owners: u8, kinds: u8, is_reversed: bool },
    Certified { round: u8, owners: u8, kinds: u8, voters: u8 },
    Ended(u8),
}

/// What the holder said and did, in all of its lives.
#[derive(Default)]
struct Witness {
    /// Run and number of the rounds that it was offered, some of them in altered terms.
    offered: BTreeMap<Digest, (Digest, u32)>,
    /// By run: the latest round number countersigned, and its context.
    countersigned: BTreeMap<Digest, (u32, Digest)>,
    voted: BTreeMap<Digest, Digest>,
    released: BTreeMap<Digest, Release>,
    /// Contributions that it was sent with good boxes.
    delivered: BTreeSet<Digest>,
    /// Sets that it was shown a quorum's votes for.
    certified: BTreeSet<Digest>,
}

struct Bench {
    holder: Holder,
    disk: Disk<HolderRecord>,
    said: Vec<ToHolder>,
    witness: Witness,
}

/// Runs the operations that the bytes spell.
pub fn run(bytes: &[u8]) {
    let mut bench = Bench {
        holder: revived(&[]),
        disk: Disk::default(),
        said: Vec::new(),
        witness: Witness::default(),
    };
    for operation in operations::<Operation>(bytes) {
        match operation {
            Operation::Say(message) => bench.say(message.build()),
            Operation::Altered(message, change) => {
                if let Some(message) = altered(&message.build(), change) {
                    bench.say(message);
                }
            }
            Operation::Again(index) => {
                if let Some(message) = bench.said.get(usize::from(index)) {
                    bench.say(message.clone());
                }
            }
            Operation::Store(count) => bench.store(usize::from(count)),
            Operation::Kill => bench.kill(),
        }
    }
    bench.judge();
}

fn revived(records: &[HolderRecord]) -> Holder {
    let setup = HolderSetup {
        identity: FEDERATION.holders[HOLDER].clone(),
        secret: FEDERATION.secrets[HOLDER].clone(),
        roster: FEDERATION.roster.clone(),
    };
    Holder::new(setup, records.iter().copied()).expect("its own records")
}

fn case(round: u8) -> &'static Case {
    &FEDERATION.cases[usize::from(round) % ROUNDS]
}

/// The kind of contribution of each owner, two bits of `kinds` for all: mostly good ones.
fn kind(kinds: u8, owner: usize) -> Kind {
    if kinds >> owner & 1 == 0 { Kind::Good } else { KINDS[1 + usize::from(kinds >> 7)] }
}

fn set(case: &Case, owners: u8, kinds: u8) -> Vec<Digest> {
    picked(owners, OWNERS).map(|owner| case.digest(owner, kind(kinds, owner))).collect()
}

impl Message {
    fn build(&self) -> ToHolder {
        match *self {
            Self::Propose(round) => ToHolder::Propose {
                config: Box::new(case(round).terms.config.clone()),
                cohort: case(round).terms.cohort.clone(),
                beacons: Vec::new(),
                attested: None,
            },
            Self::Envelopes { round, owners, kinds, total } => {
                let case = case(round);
                let batch = picked(owners, OWNERS)
                    .map(|owner| case.envelope(owner, kind(kinds, owner), HOLDER))
                    .collect();
                let total = if total == 0 { OWNERS as u32 } else { u32::from(total) };
                ToHolder::Envelopes { round_ctx: case.context, total, batch }
            }
            Self::Set { round, owners, kinds, is_reversed } => {
                let mut set = set(case(round), owners, kinds);
                if is_reversed {
                    set.reverse();
                }
                ToHolder::Set { round_ctx: case(round).context, set }
            }
            Self::Certified { round, owners, kinds, voters } => {
                let set = set(case(round), owners, kinds);
                let voters = picked(voters, HOLDERS);
                let certificate = FEDERATION.certificate(&case(round).context, &set, voters);
                ToHolder::Certified { set, certificate }
            }
            Self::Ended(round) => ToHolder::Ended {
                round_ctx: case(round).context,
                outcome: Outcome::Done(Report::default()),
            },
        }
    }
}

impl Bench {
    fn say(&mut self, message: ToHolder) {
        self.note(&message);
        if self.said.len() < 256 {
            self.said.push(message.clone());
        }
        self.holder.handle(message);
        self.drain();
        assert!(self.holder.rounds_held() <= HOLDER_ROUNDS_MAX);
    }

    /// What the holder is shown.
    fn note(&mut self, message: &ToHolder) {
        match message {
            ToHolder::Propose { config, .. } => {
                self.witness.offered.insert(config.context(), (config.run, config.round));
            }
            ToHolder::Envelopes { round_ctx, batch, .. } => {
                let Some(case) = FEDERATION.cases.iter().find(|case| case.context == *round_ctx)
                else {
                    return;
                };
                for envelope in batch {
                    let shape = case.terms.config.shape;
                    let digest = envelope.digest(round_ctx, shape, HolderIndex(HOLDER as u8));
                    let known = digest.and_then(|digest| Some((digest, case.find(&digest)?)));
                    if let Some((digest, (_, Kind::Good | Kind::Other))) = known {
                        self.witness.delivered.insert(digest);
                    }
                }
            }
            ToHolder::Certified { certificate, .. } => {
                let mut cases = FEDERATION.cases.iter();
                let case = cases.find(|case| case.context == certificate.round_ctx);
                let holds = |case: &Case| certificate.verify(&case.terms.config, &case.context);
                if case.is_some_and(|case| holds(case).is_ok()) {
                    self.witness.certified.insert(certificate.set);
                }
            }
            _ => {}
        }
    }

    fn store(&mut self, count: usize) {
        if let Some(last) = self.disk.store(count) {
            self.holder.handle_stored(Sequence(last));
        }
        self.drain();
    }

    fn kill(&mut self) {
        self.disk.waiting.clear();
        self.holder = revived(&self.disk.durable);
        assert_eq!(self.holder.poll_effect(), None, "it says nothing by itself");
    }

    fn drain(&mut self) {
        while let Some(effect) = self.holder.poll_effect() {
            match effect {
                HolderEffect::Append { sequence, record } => self.disk.append(sequence.0, record),
                HolderEffect::Send(message) => self.heard(message),
                HolderEffect::Reread { .. } | HolderEffect::Direct { .. } => {
                    panic!("no round of these is audited")
                }
            }
        }
    }

    /// Whether the holder may say this, now.
    fn heard(&mut self, message: FromHolder) {
        let is_durable = |record| self.disk.durable.contains(&record);
        let round_ctx = *message.round_ctx();
        let case = FEDERATION.cases.iter().find(|case| case.context == round_ctx);
        match message {
            FromHolder::Countersigned { signature, .. } => {
                let (run, round) = self.witness.offered[&round_ctx];
                assert!(is_durable(HolderRecord::Countersigned { run, round, round_ctx }));
                let latest = self.witness.countersigned.entry(run).or_insert((round, round_ctx));
                assert!(latest.0 < round || *latest == (round, round_ctx), "one, and none before");
                *latest = (round, round_ctx);
                let id = FEDERATION.holders[HOLDER].id();
                let signed =
                    id.verify(Statement::Config, &round_ctx, &round_ctx.0, &signature.signature);
                assert_eq!(signed, Ok(()));
            }
            FromHolder::Voted { set, vote, .. } => {
                let run = case.expect("a round").terms.config.run;
                assert!(is_durable(HolderRecord::Voted { run, round_ctx, set }));
                assert_eq!(*self.witness.voted.entry(round_ctx).or_insert(set), set, "one vote");
                assert_eq!(vote, FEDERATION.vote(HOLDER, &round_ctx, &set));
                self.assert_openable(case.expect("a round"), &set);
            }
            FromHolder::Released(release) => {
                let (run, set) = (case.expect("a round").terms.config.run, release.set);
                assert!(is_durable(HolderRecord::Released { run, round_ctx, set }));
                assert!(self.witness.certified.contains(&set), "released without a certificate");
                self.assert_openable(case.expect("a round"), &set);
                let first =
                    self.witness.released.entry(round_ctx).or_insert_with(|| *release.clone());
                assert!(*first == *release, "one release, and the same again");
            }
            FromHolder::Checked { total, complaints, .. } => {
                assert!((MINIMUM..=OWNERS).contains(&(total as usize)));
                for Complaint { header, holder, .. } in complaints {
                    let found = case.expect("a round").find(&header);
                    // An altered envelope may still be signed by nobody.
                    assert!(matches!(found, Some((_, Kind::Bad))), "a good box");
                    assert_eq!(holder, HolderIndex(HOLDER as u8));
                }
            }
            FromHolder::Lacking { .. } | FromHolder::Refused { .. } => {}
            FromHolder::Approved { .. } => panic!("nobody has said yes"),
            FromHolder::Cosigned { .. } | FromHolder::NotCosigned { .. } => {
                panic!("the witness's")
            }
            FromHolder::Dealt(_)
            | FromHolder::Drawn { .. }
            | FromHolder::Listed { .. }
            | FromHolder::Opened(_)
            | FromHolder::Judged { .. }
            | FromHolder::Credited(_)
            | FromHolder::Attested { .. } => panic!("no round of these is audited"),
        }
    }

    /// The set is one of three or more good contributions that came, each owner's once.
    fn assert_openable(&self, case: &Case, set: &Digest) {
        let named = case.openable.get(set);
        let named = named.expect("an acceptable set");
        assert!(named.iter().all(|header| self.witness.delivered.contains(header)));
    }

    /// After any life: what is durable binds the holder for ever.
    fn judge(mut self) {
        self.store(usize::MAX);
        self.kill();
        for record in self.disk.durable.clone() {
            let HolderRecord::Voted { round_ctx, set, .. } = record else { continue };
            let case = FEDERATION.cases.iter().find(|case| case.context == round_ctx);
            let case = case.expect("a round of this federation");
            let latest = self.witness.countersigned.get(&case.terms.config.run);
            if latest.is_some_and(|(_, latest)| *latest != round_ctx) {
                continue;
            }
            for owners in [0b111, 0b11111] {
                let set_now = self::set(case, owners, 0);
                let is_same = set_digest(&round_ctx, &set_now) == set;
                self.holder.handle(ToHolder::Set { round_ctx, set: set_now });
                let Some(HolderEffect::Send(answer)) = self.holder.poll_effect() else {
                    panic!("an answer, and nothing new to record")
                };
                match answer {
                    FromHolder::Voted { .. } => assert!(is_same),
                    FromHolder::Refused { refusal, .. } => {
                        assert!(!is_same && refusal == Refusal::AlreadyVoted);
                    }
                    FromHolder::Lacking { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
