//! A few threads that work through a list of clients.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use covey_aggregation::program::Failure;

/// Does `work` for each of `clients` on so many threads, and hands what came of it to `take` on
/// this one. At most one result for each thread waits, so memory does not grow with the list.
///
/// # Errors
/// What `take` says first; then nothing more is begun.
pub(super) fn for_each<T: Send>(
    clients: &[usize],
    workers: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(0);
        for _ in 0..workers.clamp(1, clients.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(&client) = clients.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send((client, work(client))).is_err() {
                        return; // `take` failed
                    }
                }
            });
        }
        drop(sender);
        // By value, so that the threads' sending fails as soon as this ends.
        receiver.into_iter().try_for_each(|(client, result)| take(client, result))
    })
}

#[cfg(test)]
mod tests {
    use covey_aggregation::program::Exit;

    use super::*;

    #[test]
    fn every_client_is_worked_for_once() {
        for (clients, workers) in [(0, 2), (1, 8), (100, 1), (100, 3)] {
            let list: Vec<usize> = (0..clients).collect();
            let mut seen = Vec::new();
            let take = |client, double| {
                assert_eq!(double, 2 * client);
                seen.push(client);
                Ok(())
            };
            for_each(&list, workers, |client| 2 * client, take).expect("no failure");
            seen.sort_unstable();
            assert_eq!(seen, list);
        }
    }

    #[test]
    fn the_first_failure_ends_it() {
        let list: Vec<usize> = (0..1000).collect();
        let mut taken = 0;
        let take = |_, ()| {
            taken += 1;
            if taken < 10 { Ok(()) } else { Err(Failure::new(Exit::Failed, "TEST", "ten")) }
        };
        let failure = for_each(&list, 3, |_| (), take).expect_err("it fails");
        assert_eq!((failure.code, taken), ("TEST", 10));
    }
}
