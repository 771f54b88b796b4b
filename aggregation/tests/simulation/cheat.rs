//! A coordinator that cheats, with f holders on its side, against the honest ones. One seed is
//! one strategy: which terms it has up its sleeve, how it begins, what it likes to try, how slow
//! the holders' disks are. Whatever it sends in whatever order, what the honest holders release
//! opens, together with all that the accomplices know, at most one set per round number: one of
//! an allowed size, of one contribution per client, that Q holders voted for.

mod accomplice;
mod moves;
mod strategy;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use covey_aggregation::config::{CommitteeShape, cohort_digest};
use covey_aggregation::hash::Digest;

use crate::stage::{Cast, Change};
use accomplice::Loot;
use moves::{Fate, Move};
use strategy::Strategy;

const OWNERS: usize = 5;
const MINIMUM: u32 = 3;

/// Terms that the cheat may show, each of them fit to be countersigned.
const OFFERS: [Change; 7] = [
    |_| {},
    |terms| terms.config.model = Digest([77; 32]),
    |terms| terms.config.contributions_min = OWNERS as u32,
    |terms| {
        terms.cohort.remove(0);
        terms.config.cohort = cohort_digest(&terms.cohort);
    },
    |terms| terms.config.round = 3,
    |terms| terms.config.round = 1,
    |terms| terms.config.run = Digest([99; 32]),
];

/// A federation, and what its accomplices know of every contribution.
struct Theatre {
    cast: Cast,
    /// By offer.
    loot: Vec<Loot>,
}

impl Theatre {
    fn new(shape: CommitteeShape) -> Self {
        let cast = Cast::new(shape, OWNERS, MINIMUM, &OFFERS);
        let loot = cast.offers.iter().map(|offer| Loot::new(&cast, offer)).collect();
        Self { cast, loot }
    }
}

/// What came of many strategies.
struct Tally {
    fates: [[u64; Fate::ALL.len()]; Move::ALL.len()],
    /// Sets opened, all of them safe.
    opened: u64,
    /// Strategies in which a set was.
    successful: u64,
}

impl Tally {
    const fn new() -> Self {
        Self { fates: [[0; Fate::ALL.len()]; Move::ALL.len()], opened: 0, successful: 0 }
    }

    const fn count(&mut self, action: Move, fate: Fate) {
        self.fates[action as usize][fate as usize] += 1;
    }

    fn add(&mut self, other: &Self) {
        for (fates, others) in self.fates.iter_mut().zip(&other.fates) {
            fates.iter_mut().zip(others).for_each(|(fate, other)| *fate += other);
        }
        self.opened += other.opened;
        self.successful += other.successful;
    }

    /// Every move that may succeed did and was refused; no other ever led to a signature.
    fn judge(&self) {
        for (action, fates) in Move::ALL.iter().zip(&self.fates) {
            let of = |fate: Fate| fates[fate as usize];
            let text = format!("{action:?}: {fates:?} of {:?}", Fate::ALL);
            let accepted = of(Fate::Signed) + of(Fate::Answered) + of(Fate::Quiet);
            if action.may_succeed() {
                assert!(accepted > 0, "never accepted: {text}");
            } else {
                assert_eq!(of(Fate::Signed), 0, "signed for: {text}");
            }
            assert!(of(Fate::Refused) > 0 || !action.may_fail(), "never refused: {text}");
        }
    }
}

/// Plays these strategies on all cores.
fn play(seeds: std::ops::Range<u64>) -> Tally {
    let four = Theatre::new(CommitteeShape::Four);
    let seven = Theatre::new(CommitteeShape::Seven);
    let next = AtomicU64::new(seeds.start);
    let (tally, failed) = (Mutex::new(Tally::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..crate::threads() {
            scope.spawn(|| {
                let mut own = Tally::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let theatre = if seed % 10 == 9 { &seven } else { &four };
                    let play = || Strategy::new(theatre, seed).play();
                    match catch_unwind(AssertUnwindSafe(play)) {
                        Ok(played) => own.add(&played),
                        Err(_) => failed.lock().expect("not poisoned").push(seed),
                    }
                }
                tally.lock().expect("not poisoned").add(&own);
            });
        }
    });
    let failed = failed.into_inner().expect("not poisoned");
    assert!(failed.is_empty(), "unsafe with the strategies {failed:?}");
    tally.into_inner().expect("not poisoned")
}

fn assert_safe(seeds: std::ops::Range<u64>) {
    let count = seeds.end - seeds.start;
    let tally = play(seeds);
    let Tally { opened, successful, .. } = tally;
    println!("{count} strategies: {opened} sets opened in {successful} of them, all safe");
    tally.judge();
    // It does get one set opened often enough for the rest to mean something.
    assert!(successful >= count / 4, "only {successful} of {count} strategies opened anything");
}

#[test]
fn a_cheating_coordinator_with_accomplices_never_has_two_sets_opened() {
    assert_safe(0..1_000);
}

#[test]
#[ignore = "takes minutes; run it before a release and after a change of the holder"]
fn ten_thousand_strategies_of_a_cheating_coordinator_open_nothing_unsafe() {
    assert_safe(0..10_000);
}
