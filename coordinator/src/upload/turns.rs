//! Of each member one contribution comes at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use covey_aggregation::party::PartyId;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;

/// Longest wait until a member's older upload has ended; it is told to, and has nothing to wait for
/// but the disk.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// Whose contribution is coming: of each member one at a time. The newest counts, as an older one's
/// link may be lost without anybody knowing yet.
#[derive(Default)]
pub struct Turns(Mutex<BTreeMap<PartyId, Arc<Turn>>>);

/// A member's place.
#[derive(Default)]
pub(super) struct Turn {
    place: Arc<tokio::sync::Mutex<()>>,
    /// Told when a newer upload of the member begins.
    pub(super) newer: Notify,
}

impl Turns {
    /// Ends the member's older upload and waits for its place; none if it does not end.
    pub(super) async fn take(&self, member: &PartyId) -> Option<(Arc<Turn>, OwnedMutexGuard<()>)> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(*member).or_default())
        };
        turn.newer.notify_waiters();
        let place = timeout(TURN_WAIT, Arc::clone(&turn.place).lock_owned()).await.ok()?;
        Some((turn, place))
    }
}
