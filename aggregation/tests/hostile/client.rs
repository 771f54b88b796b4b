//! Clients that lie.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::message::{AbandonReason, MissingReason, Refusal};
use covey_aggregation::participant::Uncounted;

use crate::liars::OwnerLie;
use crate::scenario::Scenario;
use crate::world::World;
use crate::{abandoned, done, missing, run};

const LIAR: usize = 1;

/// A round of eight owners, one of which lies.
fn with(lie: OwnerLie) -> World {
    let mut scenario = Scenario::calm(21);
    scenario.owners = 8;
    scenario.owner_lies = vec![(LIAR, lie)];
    run(scenario)
}

/// Nobody can tell whose contribution it was while the audit is off: the round is lost, nothing
/// is opened, and nobody is named, the liar as little as anybody else.
#[track_caller]
fn assert_spoiled(world: &World, why: &str) {
    let (reason, report) = abandoned(world, 0);
    assert_eq!(*reason, AbandonReason::Spoiled(why.into()));
    assert!(world.coordinator.openings.is_empty(), "nothing was opened");
    assert_eq!(report.faults, []);
    let reasons: Vec<_> = report.missing.iter().map(|(_, why)| *why).collect();
    assert_eq!(reasons, [MissingReason::Abandoned; 8]);
}

/// Only the liar is missing, for this reason, and no holder is blamed.
#[track_caller]
fn assert_left_out(world: &World, why: MissingReason) {
    let report = done(world, 0);
    assert_eq!(missing(world, report, LIAR), Some(why));
    assert_eq!((report.counted.len(), report.missing.len()), (7, 1));
    assert_eq!(report.faults, []);
}

#[test]
fn client_with_garbage_ciphertext_spoils_the_round_unnamed() {
    assert_spoiled(&with(OwnerLie::Garbage), "sentinel 0 is not the number of contributions");
}

#[test]
fn client_with_a_wrong_correction_spoils_the_round_unnamed() {
    assert_spoiled(&with(OwnerLie::WrongCorrection), "entry 0 of the key sum is not short");
}

#[test]
fn client_with_a_malformed_box_is_named_by_the_first_holder_who_can_prove_it() {
    // Seed 0 is the one that holder 0 lacks.
    let bad = |holder| MissingReason::BadBox(HolderIndex(holder));
    assert_left_out(&with(OwnerLie::WrongCommitment), bad(1));
    assert_left_out(&with(OwnerLie::BrokenContents), bad(0));
}

#[test]
fn client_with_a_box_for_another_key_is_named_together_with_the_holder() {
    for lie in [OwnerLie::WrongBoxKey, OwnerLie::RandomBox] {
        assert_left_out(&with(lie), MissingReason::Disputed(HolderIndex(0)));
    }
}

#[test]
fn client_with_a_box_of_a_wrong_length_is_refused_before_anything_is_stored() {
    let world = with(OwnerLie::ShortBox);
    assert_left_out(&world, MissingReason::NoAnswer);
    assert_eq!(world.coordinator.blobs.0.len(), 7);
    let (_, told) = world.owners[LIAR].told.iter().next().expect("it was told");
    let Some(Uncounted::Refused(Refusal::Malformed(why))) = told else { panic!("{told:?}") };
    assert_eq!(why, "the box for holder 0 has 1231 bytes, 1232 expected");
}

/// The first of the two to come stands and counts once (the judge looks at the sum), the other one
/// is refused and never stored. Which comes first hangs on the network.
#[test]
fn client_with_two_different_messages_counts_once() {
    let mut second_came_first = Vec::new();
    for seed in 0..8 {
        let mut scenario = Scenario::calm(seed);
        scenario.owner_lies = vec![(LIAR, OwnerLie::TwoMessages)];
        let world = run(scenario);
        let report = done(&world, 0);
        assert_eq!(report.counted, world.cohort);
        assert_eq!((report.missing.len(), report.faults.len()), (0, 0));
        let liar = &world.owners[LIAR];
        let uploads = world.coordinator.blobs.0.values();
        let of_liar: Vec<_> =
            uploads.filter(|upload| upload.header.header.client == liar.identity.id()).collect();
        assert_eq!(of_liar.len(), 1, "one of the two is stored");
        let second = liar.second.values().next().expect("two were sealed and sent");
        second_came_first.push(of_liar[0].header == second.header);
        let told = liar.told.values().next().expect("it was told");
        let conflict = Some(Uncounted::Refused(Refusal::Conflict));
        assert!(told.is_none() || *told == conflict, "{told:?}");
    }
    assert!(second_came_first.contains(&true) && second_came_first.contains(&false));
}
