//! A coordinator that cheats a holder in an audit: it has the messages of a whole honest round, and
//! tells them in other orders, changed, and twice.

use std::sync::Arc;

use covey_aggregation::config::set_digest;
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderEffect, HolderSetup};
use covey_aggregation::message::{FromHolder, Refusal, ToHolder};
use covey_aggregation::record::HolderRecord;

use crate::liars::OwnerLie;
use crate::scenario::Scenario;
use crate::world::World;

/// A holder, what it remembers, and what it was told in an honest round.
pub(crate) struct Cheated {
    pub(crate) world: World,
    pub(crate) told: Vec<ToHolder>,
    holder: Holder,
    records: Vec<HolderRecord>,
}

impl Cheated {
    fn new() -> Self {
        let mut scenario = Scenario::calm(11);
        scenario.is_audited = true;
        scenario.owners = 6;
        scenario.owner_lies = vec![(1, OwnerLie::Garbage)];
        Self::of(scenario)
    }

    /// Cheated in the honest rounds of `scenario`.
    pub(crate) fn of(scenario: Scenario) -> Self {
        let mut world = World::new(scenario);
        world.told = Some(Vec::new());
        world.run();
        world.judge();
        let told = world.told.take().expect("kept");
        let holder = revived(&world, &[]);
        Self { world, told, holder, records: Vec::new() }
    }

    /// The honest messages of one kind, in their order.
    pub(crate) fn honest(&self, is_it: fn(&ToHolder) -> bool) -> Vec<ToHolder> {
        self.told.iter().filter(|message| is_it(message)).cloned().collect()
    }

    /// Tells it something; all that it wants to store is stored at once. What it says.
    pub(crate) fn tell(&mut self, message: ToHolder) -> Vec<FromHolder> {
        self.holder.handle(message);
        let mut said = Vec::new();
        while let Some(effect) = self.holder.poll_effect() {
            match effect {
                HolderEffect::Append { sequence, record } => {
                    self.records.push(record);
                    self.holder.handle_stored(sequence);
                }
                HolderEffect::Send(message) => said.push(message),
                HolderEffect::Direct { round_ctx, question } => {
                    let opening = &self.world.coordinator.openings[&round_ctx];
                    let own = crate::direction::own(&question, &opening.aggregate.sums);
                    self.holder.handle_directed(&round_ctx, own);
                }
                HolderEffect::Reread { round_ctx, contributions } => {
                    let rereading = self.holder.rereading(&round_ctx).expect("it judges");
                    for signed in contributions {
                        let public = self.world.coordinator.blobs.measure(&rereading, signed);
                        self.holder.handle_reread(&round_ctx, &signed.header, public);
                    }
                }
            }
        }
        said
    }

    /// Everything of the honest round up to the first message that `is_it`.
    pub(crate) fn until(&mut self, is_it: fn(&ToHolder) -> bool) -> Vec<FromHolder> {
        let before: Vec<_> =
            self.told.iter().take_while(|message| !is_it(message)).cloned().collect();
        before.into_iter().flat_map(|message| self.tell(message)).collect()
    }

    /// It stops, and starts again with what it remembers.
    pub(crate) fn restart(&mut self) {
        self.holder = revived(&self.world, &self.records);
    }

    pub(crate) fn refusal(&mut self, message: ToHolder) -> Option<Refusal> {
        match self.tell(message).pop() {
            Some(FromHolder::Refused { refusal, .. }) => Some(refusal),
            other => panic!("it does not refuse: {other:?}"),
        }
    }
}

fn revived(world: &World, records: &[HolderRecord]) -> Holder {
    let node = &world.holders[0];
    let (identity, secret) = (Arc::clone(&node.identity), Arc::clone(&node.secret));
    let setup = HolderSetup { identity, secret, roster: world.roster.clone() };
    Holder::new(setup, records.iter().copied()).expect("its own records")
}

const fn is_list(message: &ToHolder) -> bool {
    matches!(message, ToHolder::List { .. })
}

const fn is_proofs(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Proofs { .. })
}

const fn is_listed(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Listed { .. })
}

const fn is_opening(message: &ToHolder) -> bool {
    matches!(message, ToHolder::OpenProofs { .. })
}

const fn is_judge(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Judge { .. })
}

const fn is_accepted(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Accepted { .. })
}

#[test]
fn the_certificate_of_the_set_releases_nothing_in_an_audited_round() {
    let mut cheated = Cheated::new();
    let said = cheated.until(is_list);
    assert!(said.iter().any(|message| matches!(message, FromHolder::Drawn { .. })));
    assert!(!said.iter().any(|message| matches!(message, FromHolder::Released(_))));
    // The set of the first certificate, under its own votes, is no verdict.
    let ToHolder::List { set, certificate, .. } = cheated.honest(is_list).remove(0) else {
        unreachable!()
    };
    let ToHolder::Accepted { verdict, .. } = cheated.honest(is_accepted).remove(0) else {
        unreachable!()
    };
    let false_verdict = ToHolder::Accepted { set, verdict, certificate };
    assert_eq!(cheated.refusal(false_verdict), Some(Refusal::BadCertificate));
}

#[test]
fn a_verdict_releases_its_own_set_and_no_other() {
    let mut cheated = Cheated::new();
    cheated.until(is_accepted);
    let ToHolder::List { set: all, .. } = cheated.honest(is_list).remove(0) else { unreachable!() };
    let ToHolder::Accepted { set, verdict, certificate } = cheated.honest(is_accepted).remove(0)
    else {
        unreachable!()
    };
    assert_eq!((all.len(), set.len()), (6, 5));
    let with_all =
        ToHolder::Accepted { set: all.clone(), verdict, certificate: certificate.clone() };
    assert!(matches!(cheated.refusal(with_all), Some(Refusal::BadSet(_))));
    let mut other = verdict;
    other.set = set_digest(&certificate.round_ctx, &all);
    let changed = ToHolder::Accepted { set: all, verdict: other, certificate: certificate.clone() };
    assert_eq!(cheated.refusal(changed), Some(Refusal::BadCertificate));
    let said = cheated.tell(ToHolder::Accepted { set, verdict, certificate });
    assert!(matches!(&said[..], [FromHolder::Released(release)] if release.set == verdict.set));
}

#[test]
fn one_list_is_voted_for_even_after_a_restart() {
    let mut cheated = Cheated::new();
    cheated.until(is_listed);
    let is_list_record = |record: &&HolderRecord| matches!(record, HolderRecord::Listed { .. });
    assert_eq!(cheated.records.iter().filter(is_list_record).count(), 1);
    cheated.restart();
    // The same round again, with a proof less.
    let mut messages = cheated.told.clone();
    messages.retain(|message| !is_proofs(message) && !is_list(message));
    for message in messages.into_iter().take_while(|message| !is_listed(message)) {
        cheated.tell(message);
    }
    let ToHolder::List { set, certificate, rows, total } = cheated.honest(is_list).remove(0) else {
        unreachable!()
    };
    let fewer = ToHolder::List { set, certificate, rows, total: total - 1 };
    assert_eq!(cheated.tell(fewer), []);
    let mut proofs: Vec<_> = Vec::new();
    let mut context = Digest::ZERO;
    for message in cheated.honest(is_proofs) {
        let ToHolder::Proofs { round_ctx, batch } = message else { unreachable!() };
        context = round_ctx;
        proofs.extend(batch);
    }
    proofs.truncate(total as usize - 1);
    let refusal = cheated.refusal(ToHolder::Proofs { round_ctx: context, batch: proofs });
    assert_eq!(refusal, Some(Refusal::AlreadyVoted));
    assert_eq!(cheated.records.iter().filter(is_list_record).count(), 1);
}

#[test]
fn nothing_is_drawn_or_opened_for_what_is_not_certified() {
    let mut cheated = Cheated::new();
    cheated.until(is_listed);
    let ToHolder::List { certificate: of_set, rows, .. } = cheated.honest(is_list).remove(0) else {
        unreachable!()
    };
    let listed = ToHolder::Listed { certificate: of_set.clone() };
    assert_eq!(cheated.refusal(listed), Some(Refusal::BadCertificate));
    let ToHolder::OpenProofs { certificate, check } = cheated.honest(is_opening).remove(0) else {
        unreachable!()
    };
    let by_set = ToHolder::OpenProofs { certificate: of_set, check: check.clone() };
    assert_eq!(cheated.refusal(by_set), Some(Refusal::BadCertificate));
    // The beacon of the rows is no check, nor is one that too few drew.
    let by_rows = ToHolder::OpenProofs { certificate: certificate.clone(), check: rows };
    assert!(matches!(cheated.refusal(by_rows), Some(Refusal::BadBeacon(_))));
    let mut few = check;
    few.drawn.truncate(1);
    let by_few = ToHolder::OpenProofs { certificate, check: few };
    assert!(matches!(cheated.refusal(by_few), Some(Refusal::BadBeacon(_))));
}

#[test]
fn one_verdict_is_given_even_after_a_restart() {
    let mut cheated = Cheated::new();
    let said = cheated.until(is_accepted);
    let verdict = |said: &[FromHolder]| {
        said.iter().find_map(|message| match message {
            FromHolder::Judged { verdict, .. } => Some(*verdict),
            _ => None,
        })
    };
    let first = verdict(&said).expect("a verdict");
    // Asked again, also after a restart, it says the same.
    cheated.restart();
    let again = cheated.until(is_accepted);
    assert_eq!(verdict(&again), Some(first));
    // Other public values, which make another verdict: it reads what then fails, and refuses.
    let ToHolder::Judge { round_ctx, mut public } = cheated.honest(is_judge).remove(0) else {
        unreachable!()
    };
    public[0] ^= 1;
    let refusal = cheated.refusal(ToHolder::Judge { round_ctx, public });
    assert!(matches!(refusal, Some(Refusal::Misread(_))), "{refusal:?}");
    let is_verdict = |record: &&HolderRecord| matches!(record, HolderRecord::Judged { .. });
    assert_eq!(cheated.records.iter().filter(is_verdict).count(), 1);
}

#[test]
fn proofs_of_strangers_and_changed_proofs_are_refused() {
    let mut cheated = Cheated::new();
    cheated.until(is_proofs);
    let ToHolder::Proofs { round_ctx, batch } = cheated.honest(is_proofs).remove(0) else {
        unreachable!()
    };
    let changed = |change: fn(&mut covey_aggregation::audit::list::Proven)| {
        let mut proven = batch[0].clone();
        change(&mut proven);
        ToHolder::Proofs { round_ctx, batch: vec![proven] }
    };
    let stranger = cheated.world.coordinator.identity.id();
    let mut foreign = batch[0].clone();
    foreign.client = stranger;
    let foreign = ToHolder::Proofs { round_ctx, batch: vec![foreign] };
    assert_eq!(cheated.refusal(foreign), Some(Refusal::NotAdmitted));
    for message in [
        changed(|proven| proven.proof[30] ^= 1),
        changed(|proven| proven.proof.truncate(5_000)),
        changed(|proven| proven.proof[16..66].fill(0xff)),
    ] {
        assert!(matches!(cheated.refusal(message), Some(Refusal::Malformed(_))));
    }
}
