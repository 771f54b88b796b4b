//! What the run's researcher wants, and what those who watch are shown.

use covey_aggregation::hash::Digest;
use covey_aggregation::research::Now;
use covey_aggregation::time::Time;

use super::Driver;
use crate::storage::registry::Wish;
use crate::view::View;

impl Driver {
    /// What is wanted of the run at hand.
    #[must_use]
    pub fn wish(&self) -> Wish {
        self.wish.borrow().clone()
    }

    /// Ends the round if the run is to stop. Once the committee releases the key, the sum is as
    /// good as open: such a round is finished, so that its record tells what is known.
    pub(super) fn obey(&mut self) {
        let now = self.clock.now();
        if !matches!(*self.wish.borrow(), Wish::Stop { .. }) {
            return;
        }
        if let Some(live) = &mut self.live
            && !live.round.phase().is_release_or_later()
        {
            live.round.stop(now);
        }
    }

    /// Says which run is at hand.
    pub fn attend(&self, run: Option<Digest>) {
        self.view.send_replace(View { run, doing: None });
    }

    /// Shows what goes on to those who watch.
    pub(super) fn watched(&self, doing: Option<(Now, Time)>) {
        self.view.send_if_modified(|view| {
            let is_new = view.doing != doing;
            view.doing = doing;
            is_new
        });
    }
}
