//! The three machines under the sequences that the fuzz targets start from, and under random ones.
//! `machines` says what must hold.

#[path = "../fuzz/src/machines/mod.rs"]
mod machines;

use covey_aggregation::message::Outcome;
use machines::{holder, participant, round, seeds};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Random sequences of each machine.
const SEQUENCES: usize = 200;
/// Their longest, as of the fuzz targets.
const BYTES_MAX: usize = 1024;

fn random() -> impl Iterator<Item = Vec<u8>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    (0..SEQUENCES).map(move |_| {
        let mut bytes = vec![0; random.random_range(0..=BYTES_MAX)];
        random.fill(&mut bytes[..]);
        bytes
    })
}

#[test]
fn a_round_that_goes_all_the_way_is_done() {
    let seeds = seeds::round();
    assert_eq!(seeds.len(), 4);
    for (index, seed) in seeds.iter().enumerate() {
        let outcome = round::run(seed);
        assert!(matches!(outcome, Outcome::Done(_)), "seed {index}: {outcome:?}");
    }
}

#[test]
fn a_round_ends_and_keeps_its_promises_whatever_happens() {
    random().for_each(|bytes| {
        round::run(&bytes);
    });
}

#[test]
fn a_holder_is_bound_by_what_it_said_whatever_happens() {
    seeds::holder().into_iter().chain(random()).for_each(|bytes| holder::run(&bytes));
}

#[test]
fn an_owner_seals_once_and_waits_for_nobody_for_ever_whatever_happens() {
    seeds::participant().into_iter().chain(random()).for_each(|bytes| participant::run(&bytes));
}
