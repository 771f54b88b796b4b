//! A run as it goes on.

use std::time::Duration;

use covey_aggregation::net::link::ControlReceiver;
use covey_aggregation::party::Name;
use covey_aggregation::research::{FromResearcher, ToResearcher};
use tokio::time::sleep;

use super::{Talk, Trouble};

/// How a run is, is told at least this often: times that are left go by.
const TELL_EVERY: Duration = Duration::from_secs(10);

impl Talk<'_> {
    /// Tells how a run goes on until it is over, or until the researcher asks something else,
    /// which is returned. What comes too fast is told once: only rounds are told one by one.
    pub(super) async fn watch(
        &mut self,
        run: &Name,
        mut after: u32,
        receiver: &mut ControlReceiver,
    ) -> Result<Option<FromResearcher>, Trouble> {
        let run = self.desk.registry.lock().await.find(run).await?.run;
        let (mut changes, mut view) = (self.desk.changes.clone(), self.desk.view.clone());
        loop {
            // Seen from here on; what changes while it is told is told next.
            changes.mark_unchanged();
            view.mark_unchanged();
            let status = self.status(&run).await?;
            if status.rounds_over > after {
                for line in self.rounds(&run, after).await? {
                    after = line.round;
                    self.sender.send(&ToResearcher::Round(Box::new(line))).await?;
                }
            }
            let is_over = status.state.is_over();
            self.sender.send(&ToResearcher::Run(Box::new(status))).await?;
            if is_over {
                self.sender.send(&ToResearcher::End).await?;
                return Ok(None);
            }
            tokio::select! {
                request = receiver.receive() => return Ok(request?),
                // Both senders live as long as the coordinator.
                _ = changes.changed() => {}
                _ = view.changed() => {}
                () = sleep(TELL_EVERY) => {}
            }
        }
    }
}
