//! Every transaction of a coordinator fails, before or after it is on the disk, within this process:
//! made-up updates tell whether the sum is exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use covey_aggregation::program::Exit;
use covey_coordinator::storage::faults::{Fate, Faults};

use crate::federation::owner::{units, weight};
use crate::federation::{Federation, Members, Operator, PlanOptions};

const OWNERS: usize = 4;

/// The `at`th transaction from 1 on has this fate, all others are done. Also counts them.
fn at(at: usize, fate: Fate) -> (Faults, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let faults = Faults::injected(move || {
        let number = counting.fetch_add(1, Ordering::SeqCst) + 1;
        if number == at { fate } else { Fate::Done }
    });
    (faults, count)
}

/// A run of one round, in which one transaction fails: the program stops with it, and a second life
/// comes to the exact sum of all owners. How many transactions there were, and whether it stopped.
async fn run(failing: usize, fate: Fate) -> (usize, bool) {
    let federation = Federation::new(OWNERS, &PlanOptions::default());
    let (faults, count) = at(failing, fate);
    let mut operator = Operator::start_with(federation.config(OWNERS), faults);
    let members = Members::start(&federation, OWNERS);
    let ended = operator.finished().await;
    let stopped = ended.is_err();
    let summary = match ended {
        Ok(summary) => summary,
        Err(failure) => {
            assert_eq!((failure.exit, failure.code), (Exit::Failed, "STORAGE"), "{failure}");
            assert!(failure.message.contains("a fault that a test injected"), "{failure}");
            drop(operator);
            let mut operator = Operator::start(federation.config(OWNERS));
            operator.finished().await.expect("done")
        }
    };
    assert_eq!((summary.rounds_done, summary.rounds_abandoned), (1, 0), "{failing} {fate:?}");
    let published = federation.publication(1).result;
    let mut sums = vec![0; published.config.dimension as usize];
    for owner in 0..OWNERS {
        let units = units(owner, 1, published.config.dimension);
        sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
    }
    assert_eq!(published.aggregate.sums, sums, "transaction {failing}, {fate:?}");
    let weights: u32 = (0..OWNERS).map(weight).sum();
    assert_eq!(published.aggregate.weight, u64::from(weights));
    assert_eq!(published.headers.len(), OWNERS);
    assert!(federation.is_verified(), "transaction {failing}, {fate:?}");
    for owner in &members.owners {
        let diary = owner.diary.lock().expect("a diary");
        // Promises that were made are kept, and none was kept twice.
        assert!(diary.not_counted.is_empty() && diary.counted.len() <= 1);
    }
    (count.load(Ordering::SeqCst), stopped)
}

/// Transactions from the start to the first contribution, and one after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_stops_the_program_and_nothing_of_it_is_lost_or_doubled() {
    for (failing, fate) in [(7, Fate::FailsUndone), (9, Fate::FailsDone)] {
        let (_, stopped) = run(failing, fate).await;
        assert!(stopped, "transaction {failing} was reached");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "every transaction of a round, both ways: five minutes"]
async fn every_transaction_that_fails_stops_the_program_and_nothing_of_it_is_lost_or_doubled() {
    let (all, stopped) = run(usize::MAX, Fate::Done).await;
    assert!(!stopped && all > 10, "{all} transactions");
    println!("{all} transactions of a round");
    for failing in 1..=all {
        for fate in [Fate::FailsUndone, Fate::FailsDone] {
            let (_, stopped) = run(failing, fate).await;
            println!(
                "transaction {failing}, {fate:?}: {}",
                if stopped { "stopped" } else { "not reached" }
            );
        }
    }
}
