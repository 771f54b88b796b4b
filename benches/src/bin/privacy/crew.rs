//! Work on all cores.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `work` gives for each item, in their order. Each item is worked on by one thread.
///
/// # Errors
/// The first error that any item gave.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let turn = || {
        while let Some((place, item)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            items.get(place).map(|item| (place, item))
        } {
            let result = work(item);
            let mut done = done.lock().map_err(|_| io::Error::other("another thread panicked"))?;
            done.push((place, result?));
        }
        Ok::<(), io::Error>(())
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..cores.min(items.len())).map(|_| scope.spawn(turn)).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| io::Error::other("a thread panicked"))?
        })
    })?;
    let mut done = done.into_inner().map_err(|_| io::Error::other("a thread panicked"))?;
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_errors_are_told() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = map(&items, |item| Ok(2 * item)).expect("done");
        assert!(doubled.iter().zip(0..).all(|(got, item)| *got == 2 * item));
        let odd = map(&items, |item| match item {
            7 => Err(io::Error::other("seven")),
            _ => Ok(()),
        });
        assert_eq!(odd.expect_err("one failed").to_string(), "seven");
    }
}
