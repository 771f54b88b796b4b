//! What must be true of a world, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    AbandonReason, FromHolder, HolderFault, MissingReason, Outcome, Report,
};
use covey_aggregation::party::PartyId;

use crate::liars::OwnerLie;
use crate::network::Node;
use crate::nodes::{OwnerNode, weight};
use crate::world::World;

/// What was seen while it happened. Things that may never happen are asserted on the spot.
#[derive(Default)]
pub(crate) struct Witness {
    begun_ms: BTreeMap<Digest, u64>,
    ended_ms: BTreeMap<Digest, u64>,
    openings: BTreeSet<Digest>,
    receipts: BTreeSet<(Digest, PartyId)>,
    promises: BTreeSet<(Digest, usize)>,
    uploads: BTreeMap<(Digest, usize), Digest>,
    votes: BTreeMap<(Digest, usize), Digest>,
    lists: BTreeMap<(Digest, usize), Digest>,
    openings_of: BTreeMap<(Digest, usize), Digest>,
    verdicts: BTreeMap<(Digest, usize), Digest>,
    releases: BTreeMap<(Digest, usize), Digest>,
    numbers: BTreeMap<(Digest, usize), Digest>,
    attestations: BTreeMap<(Digest, usize), Digest>,
    crashes: BTreeMap<Node, u64>,
    /// Rounds whose contributions could not be read when they were to be opened.
    unreadable: BTreeSet<Digest>,
    pub(crate) disk_faults: u64,
}

impl Witness {
    pub(crate) fn saw_begin(&mut self, round_ctx: Digest, now_ms: u64) {
        self.begun_ms.entry(round_ctx).or_insert(now_ms);
    }

    pub(crate) fn saw_end(&mut self, round_ctx: Digest, now_ms: u64) {
        self.ended_ms.insert(round_ctx, now_ms);
    }

    pub(crate) fn saw_crash(&mut self, node: Node) {
        *self.crashes.entry(node).or_default() += 1;
    }

    pub(crate) fn saw_unreadable(&mut self, round_ctx: Digest) {
        self.unreadable.insert(round_ctx);
    }

    fn crashes(&self, node: Node) -> u64 {
        self.crashes.get(&node).copied().unwrap_or_default()
    }

    pub(crate) fn saw_opening(&mut self, round_ctx: Digest) {
        self.openings.insert(round_ctx);
    }

    pub(crate) fn saw_receipt(&mut self, round_ctx: Digest, client: PartyId) {
        self.receipts.insert((round_ctx, client));
    }

    pub(crate) fn saw_promise(&mut self, round_ctx: Digest, owner: usize) {
        self.promises.insert((round_ctx, owner));
    }

    /// An owner uploads the same bytes for a round each time, in all of its lives.
    pub(crate) fn saw_upload(&mut self, round_ctx: Digest, owner: usize, header: Digest) {
        let first = *self.uploads.entry((round_ctx, owner)).or_insert(header);
        assert_eq!(first, header, "owner {owner} seals once per round");
    }

    /// An honest holder votes for and releases one set per round, in all of its lives.
    pub(crate) fn saw_holder(&mut self, holder: usize, message: &FromHolder) {
        let key = (*message.round_ctx(), holder);
        match message {
            FromHolder::Voted { set, .. } => {
                let first = *self.votes.entry(key).or_insert(*set);
                assert_eq!(first, *set, "holder {holder} votes once per round");
            }
            FromHolder::Listed { list, .. } => {
                let first = *self.lists.entry(key).or_insert(*list);
                assert_eq!(first, *list, "holder {holder} votes for one list per round");
            }
            FromHolder::Opened(part) => {
                let first = *self.openings_of.entry(key).or_insert(part.list);
                assert_eq!(first, part.list, "holder {holder} opens one list per round");
            }
            FromHolder::Judged { verdict, .. } => {
                let first = *self.verdicts.entry(key).or_insert_with(|| verdict.digest());
                assert_eq!(first, verdict.digest(), "holder {holder} judges once per round");
            }
            FromHolder::Released(release) => {
                let first = *self.releases.entry(key).or_insert(release.set);
                assert_eq!(first, release.set, "holder {holder} releases once per round");
            }
            FromHolder::Credited(part) => {
                let first = *self.numbers.entry(key).or_insert(part.list);
                assert_eq!(first, part.list, "holder {holder} opens one set of numbers per round");
            }
            FromHolder::Attested { attestation, .. } => {
                let first = *self.attestations.entry(key).or_insert(*attestation);
                assert_eq!(first, *attestation, "holder {holder} attests once per round");
            }
            _ => {}
        }
    }

    /// Whether any honest holder released anything.
    pub(crate) fn saw_release(&self) -> bool {
        !self.releases.is_empty()
    }
}

impl World {
    /// Judges a world that has come to rest. Returns whether it had to be live: all faults stopped,
    /// and nobody who could still prevent it kept the last round from counting everybody.
    pub(crate) fn judge(&self) -> bool {
        let seed = self.scenario.seed;
        let ended = &self.coordinator.ended;
        assert_eq!(ended.len(), self.scenario.rounds as usize, "seed {seed}: every round ends");
        for (round_ctx, outcome) in ended {
            self.judge_time(round_ctx);
            match outcome {
                Outcome::Done(report) => self.judge_done(round_ctx, report),
                Outcome::Abandoned { reason, report } => {
                    self.judge_abandoned(round_ctx, reason, report);
                }
            }
            self.judge_owners(round_ctx, outcome);
        }
        let last = ended.last().filter(|_| self.is_clear);
        last.is_some_and(|(round_ctx, outcome)| self.judge_clear(round_ctx, outcome))
    }

    /// A round that begins when all faults have stopped counts everybody who is there, willing
    /// and honest. Only those who lie or are gone for ever can still keep it from that.
    fn judge_clear(&self, round_ctx: &Digest, outcome: &Outcome) -> bool {
        let seed = self.scenario.seed;
        let lies = |owner: usize| self.scenario.owner_lies.iter().find(|(liar, _)| *liar == owner);
        let is_there = |index: &usize| {
            self.owners[*index].machine.is_some()
                && self.owners[*index].is_willing
                && lies(*index).is_none()
        };
        let honest: Vec<usize> = (0..self.owners.len()).filter(is_there).collect();
        let spoiled = self.scenario.owner_lies.iter().any(|(_, lie)| lie.spoils());
        let too_few = honest.len() < self.scenario.minimum as usize;
        let is_dead = |holder: &&crate::nodes::HolderNode| holder.machine.is_none();
        let faulty = self.holders.iter().filter(is_dead).count() + self.scenario.lies.len();
        let framed = self.may_be_framed(round_ctx);
        if spoiled || too_few || framed || faulty > self.scenario.shape.faults() {
            return false;
        }
        let Outcome::Done(report) = outcome else {
            panic!("seed {seed}: the faults have stopped, and yet: {outcome:?}")
        };
        for owner in honest {
            let id = self.owners[owner].identity.id();
            let why = report.missing.iter().find(|(client, _)| *client == id);
            let by_liar = |holder: &covey_aggregation::config::HolderIndex| {
                self.scenario.lies.iter().any(|(liar, _)| *liar == usize::from(holder.0))
            };
            let disputed =
                why.is_some_and(|(_, why)| matches!(why, MissingReason::Disputed(h) if by_liar(h)));
            assert!(why.is_none() || disputed, "seed {seed}: owner {owner}: {why:?}");
        }
        true
    }

    /// Whether so many clients of whom nobody can tell took part that holder 0 looks like the liar.
    fn may_be_framed(&self, round_ctx: &Digest) -> bool {
        let has_receipt = |owner: &usize| {
            let id = self.owners[*owner].identity.id();
            self.witness.receipts.contains(&(*round_ctx, id))
        };
        let undecidable = self.scenario.undecidable_owners().filter(has_receipt).count();
        let owners = 0..self.owners.len();
        undecidable > (owners.filter(has_receipt).count() / 4).max(1)
    }

    fn judge_time(&self, round_ctx: &Digest) {
        let timings = self.scenario.timings;
        let phases = timings.select_ms + timings.collect_ms + timings.vote_ms;
        // Where rounds are audited: three steps of holders as long as a vote, two as a release.
        let audit = 3 * timings.vote_ms + timings.audit_ms + 2 * timings.release_ms;
        let credit = 2 * timings.audit_ms + timings.vote_ms;
        let phases = phases
            + 2 * timings.release_ms
            + if self.scenario.is_audited { audit } else { 0 }
            + if self.scenario.has_credit { credit } else { 0 };
        let longest = timings.collect_ms.max(timings.vote_ms);
        // Down for at most 1.5 s, and a flush or two; a disk that cannot be read takes longer.
        let crashes = self.witness.crashes(Node::Coordinator);
        let disk_ms = 300 * self.witness.disk_faults;
        let bound_ms = phases + crashes * (longest + 1_500) + disk_ms + 500;
        let begun_ms = self.witness.begun_ms[round_ctx];
        let took_ms = self.witness.ended_ms[round_ctx] - begun_ms;
        assert!(took_ms <= bound_ms, "seed {}: {took_ms} ms", self.scenario.seed);
    }

    fn judge_done(&self, round_ctx: &Digest, report: &Report) {
        let seed = self.scenario.seed;
        let opening = &self.coordinator.openings[round_ctx];
        let count = report.counted.len() as u32;
        assert!(count >= self.scenario.minimum, "seed {seed}: below the minimum");
        assert!(opening.times.keys().eq(&report.counted), "seed {seed}: another set");
        let times = |owner: &OwnerNode| {
            opening.times.get(&owner.identity.id()).map_or(0, |times| *times as i32)
        };
        let unit = |owner: &OwnerNode| times(owner) * owner.unit();
        let expected: Vec<i32> = self.owners.iter().map(unit).collect();
        assert_eq!(opening.aggregate.sums, expected, "seed {seed}: the exact sum");
        let summands: u32 = opening.times.values().sum();
        let is_plain = opening.times.values().all(|times| *times == 1);
        assert!(self.scenario.is_weighed || is_plain, "seed {seed}: weighed");
        let opened = (opening.aggregate.count, opening.aggregate.weight);
        // What is declared counts, where an owner declares something else than it sealed.
        let weights = self.owners.iter().enumerate().map(|(index, owner)| {
            let undercounts = self.scenario.owner_lies.contains(&(index, OwnerLie::Undercounts));
            let each = if undercounts { 1 } else { weight(index, self.scenario.weighting) };
            u64::from(each) * times(owner) as u64
        });
        assert_eq!(opened, (summands, weights.sum()), "seed {seed}");
        assert_eq!(opening.opened.aggregate, opening.aggregate.digest(), "seed {seed}");
        self.judge_report(round_ctx, report);
    }

    fn judge_abandoned(&self, round_ctx: &Digest, reason: &AbandonReason, report: &Report) {
        let seed = self.scenario.seed;
        assert!(report.counted.is_empty(), "seed {seed}: nobody is counted on Abandon");
        self.judge_report(round_ctx, report);
        let spoiled = matches!(reason, AbandonReason::Spoiled(_));
        let crashed = self.witness.crashes(Node::Coordinator) > 0;
        if !spoiled && !crashed {
            let opened = self.witness.openings.contains(round_ctx);
            assert!(!opened, "seed {seed}: opened, then abandoned: {reason}");
        }
        if self.scenario.is_within_bounds() && !self.may_be_framed(round_ctx) {
            match reason {
                AbandonReason::Spoiled(_) if self.witness.unreadable.contains(round_ctx) => {}
                AbandonReason::TooFewContributions { got, needed } => assert!(got < needed),
                AbandonReason::Spoiled(_) => {
                    let spoilers = self.scenario.owner_lies.iter();
                    let mut spoilers = spoilers.filter(|(_, lie)| lie.spoils());
                    let sent = |(owner, _): &(usize, OwnerLie)| {
                        let id = self.owners[*owner].identity.id();
                        self.witness.receipts.contains(&(*round_ctx, id))
                    };
                    assert!(spoilers.any(sent), "seed {seed}: spoiled by nobody");
                }
                other => panic!("seed {seed}: no reason to abandon: {other}; {report:?}"),
            }
        }
    }

    /// Everybody is named once; whoever has a receipt is counted or named with a reason that a
    /// receipt allows; honest holders are not accused of what they cannot have done.
    fn judge_report(&self, round_ctx: &Digest, report: &Report) {
        let seed = self.scenario.seed;
        let missing: Vec<PartyId> = report.missing.iter().map(|(client, _)| *client).collect();
        assert!(report.counted.is_sorted() && missing.is_sorted(), "seed {seed}: ascending");
        let mut named = [report.counted.clone(), missing].concat();
        named.sort_unstable();
        assert_eq!(named, self.cohort, "seed {seed}: everybody is named exactly once");
        for (client, reason) in &report.missing {
            let has_receipt = self.witness.receipts.contains(&(*round_ctx, *client));
            let allows = !matches!(reason, MissingReason::NoAnswer | MissingReason::Declined(_));
            assert!(!has_receipt || allows, "seed {seed}: {client} lost: {reason}");
        }
        for (holder, fault) in &report.faults {
            let index = usize::from(holder.0);
            let honest = !self.scenario.lies.iter().any(|(liar, _)| *liar == index);
            let grave = match fault {
                HolderFault::WrongRelease | HolderFault::OtherVote => true,
                HolderFault::FalseComplaint => !(index == 0 && self.may_be_framed(round_ctx)),
                _ => false,
            };
            assert!(!(honest && grave), "seed {seed}: honest holder {index} {fault}");
        }
    }

    /// Owners that are alive know how it ended, and what they were told is true.
    fn judge_owners(&self, round_ctx: &Digest, outcome: &Outcome) {
        let seed = self.scenario.seed;
        for (index, owner) in self.owners.iter().enumerate() {
            let Some(machine) = &owner.machine else { continue };
            assert_eq!(machine.rounds().count(), 0, "seed {seed}: owner {index} still waits");
            if owner.lie == Some(OwnerLie::TwoMessages) {
                // One of the two is refused, the other may be counted.
                continue;
            }
            let counted = match outcome {
                Outcome::Done(report) => report.counted.contains(&owner.identity.id()),
                Outcome::Abandoned { .. } => false,
            };
            match owner.told.get(round_ctx) {
                Some(None) => assert!(counted, "seed {seed}: owner {index} is told too much"),
                Some(Some(why)) => {
                    assert!(!counted, "seed {seed}: owner {index} is told {why}");
                }
                // A crash may swallow the news, never the contribution.
                None => {
                    let promised = self.witness.promises.contains(&(*round_ctx, index));
                    assert!(!promised || self.breaks_owner(index), "seed {seed}");
                }
            }
            if !self.breaks_owner(index) {
                assert!(owner.stored.is_empty(), "seed {seed}: owner {index} keeps old bytes");
            }
        }
    }
}

impl World {
    /// Whether the owner ever died.
    fn breaks_owner(&self, index: usize) -> bool {
        self.witness.crashes(Node::Owner(index)) > 0
    }
}
