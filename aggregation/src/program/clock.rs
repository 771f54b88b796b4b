//! The only place that asks what time it is.

use std::time::{Duration, SystemTime};

use crate::time::Time;

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long until `time`; for ever (a day at a time) when there is none.
#[must_use]
pub fn until(time: Option<Time>) -> Duration {
    const DAY_MS: u64 = 86_400_000;
    let wait_ms = time.map_or(DAY_MS, |time| time.since_ms(now()).min(DAY_MS));
    Duration::from_millis(wait_ms)
}
