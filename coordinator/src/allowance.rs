//! How much one member may ask in a second: so many in the long run, and for a moment more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use covey_aggregation::party::PartyId;

/// Members that are remembered before those who have asked nothing for a while are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// What is left to each member.
pub struct Allowance {
    per_s: f64,
    burst: f64,
    left: Mutex<HashMap<PartyId, Left>>,
}

struct Left {
    requests: f64,
    at: Instant,
}

impl Allowance {
    /// So many requests in a second, and those of so many seconds at once.
    #[must_use]
    pub fn new(per_s: u32, burst_s: u32) -> Self {
        let (per_s, burst_s) = (f64::from(per_s), f64::from(burst_s));
        Self { per_s, burst: per_s * burst_s, left: Mutex::default() }
    }

    /// One request of `who`, now.
    ///
    /// # Errors
    /// How long to wait, where there were too many.
    pub fn take(&self, who: &PartyId) -> Result<(), Duration> {
        self.take_at(who, Instant::now())
    }

    fn take_at(&self, who: &PartyId, now: Instant) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= REMEMBERED_MAX && !left.contains_key(who) {
            left.retain(|_, one| self.after(one, now) < self.burst);
        }
        let mine = left.entry(*who).or_insert(Left { requests: self.burst, at: now });
        *mine = Left { requests: self.after(mine, now), at: now };
        if mine.requests >= 1.0 {
            mine.requests -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - mine.requests) / self.per_s))
    }

    fn after(&self, left: &Left, now: Instant) -> f64 {
        let more = now.saturating_duration_since(left.at).as_secs_f64() * self.per_s;
        (left.requests + more).min(self.burst)
    }
}

/// For a message to the member, in milliseconds, at least one.
#[must_use]
pub fn wait_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_and_nobody_is_charged_for_another() {
        let allowance = Allowance::new(10, 2);
        let (ada, bob, begun) = (PartyId([1; 32]), PartyId([2; 32]), Instant::now());
        for _ in 0..20 {
            assert_eq!(allowance.take_at(&ada, begun), Ok(()));
        }
        let wait = allowance.take_at(&ada, begun).expect_err("too many");
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(allowance.take_at(&bob, begun), Ok(()));
        let later = begun + Duration::from_millis(250);
        assert_eq!(allowance.take_at(&ada, later), Ok(()));
        assert_eq!(allowance.take_at(&ada, later), Ok(()));
        assert!(allowance.take_at(&ada, later).is_err());
        // Who has paused may ask a burst again, and no more.
        let later = begun + Duration::from_secs(60);
        let passed = (0..100).filter(|_| allowance.take_at(&ada, later).is_ok()).count();
        assert_eq!(passed, 20);
    }
}
