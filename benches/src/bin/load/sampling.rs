//! The coordinator's memory while contributions come.

use std::time::{Duration, Instant};

use covey_benches::Process;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(5);

/// Longest wait for the next contribution.
const PATIENCE: Duration = Duration::from_secs(600);

/// Resident bytes when so many contributions were promised, or a few more.
pub(crate) struct Samples(Vec<(usize, u64)>);

impl Samples {
    /// Looks until all are promised.
    pub(crate) async fn take(
        coordinator: &Process,
        promised: impl Fn() -> usize,
        all: usize,
    ) -> Result<Self, String> {
        let mut marks: Vec<usize> = [10, 100].into_iter().filter(|mark| *mark < all).collect();
        marks.push(all);
        let mut taken = Vec::new();
        let mut last = (0, Instant::now());
        while let Some(mark) = marks.get(taken.len()) {
            let count = promised();
            if count >= *mark {
                taken.push((*mark, coordinator.resident_bytes()?));
                continue;
            }
            if count > last.0 {
                last = (count, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                return Err(format!(
                    "{count} of {all} were promised, and no more for {PATIENCE:?}"
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self(taken))
    }

    pub(crate) fn at(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied()
    }

    /// Memory with all of them over that with the first ten.
    pub(crate) fn growth(&self) -> f64 {
        match (self.0.first(), self.0.last()) {
            (Some((_, first)), Some((_, last))) => *last as f64 / *first as f64,
            _ => 1.0,
        }
    }
}
