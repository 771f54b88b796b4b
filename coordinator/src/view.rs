//! What goes on at this moment, for those who watch: written by the driver, read by researchers'
//! sessions. Nothing is decided by it.

use covey_aggregation::hash::Digest;
use covey_aggregation::research::Now;
use covey_aggregation::time::Time;

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The run at hand.
    pub run: Option<Digest>,
    /// What it is at, and until when at most; none between two rounds.
    pub doing: Option<(Now, Time)>,
}

impl View {
    /// What `run` is at, its time left as of `now`.
    #[must_use]
    pub fn of(&self, run: &Digest, now: Time) -> Option<Now> {
        let (doing, until) = self.doing.as_ref().filter(|_| self.run == Some(*run))?;
        let mut doing = doing.clone();
        let (Now::Gathering { left_ms, .. } | Now::Round { left_ms, .. }) = &mut doing;
        *left_ms = until.since_ms(now);
        Some(doing)
    }
}
