//! Time for the machines: it never runs backwards, and no change of the system's clock in the
//! middle of a round moves a deadline.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use covey_aggregation::time::Time;

/// The Unix time at start, and what has passed since by a clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    unix: Duration,
    start: Instant,
}

impl Clock {
    /// Reads both clocks.
    #[must_use]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix, start: Instant::now() }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Time {
        let now = self.unix.saturating_add(self.start.elapsed());
        Time(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// When `time` will be, for timers; now if it has passed.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        Instant::now() + Duration::from_millis(time.since_ms(self.now()))
    }
}
