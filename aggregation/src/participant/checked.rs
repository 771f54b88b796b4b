//! What a participant takes of its roster.

use crate::config::Seat;
use crate::hash::Digest;
use crate::party::{PartyId, Role};
use crate::roster::{BadRoster, Roster};

/// What participants take of a roster that rounds can be run with. Checked and hashed once,
/// however many participants of one process share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRoster {
    pub(super) digest: Digest,
    pub(super) coordinator: PartyId,
    pub(super) committee: Vec<Seat>,
    /// Data owners, ascending.
    owners: Vec<PartyId>,
}

impl CheckedRoster {
    /// Checks a roster.
    ///
    /// # Errors
    /// [`BadRoster`] by the first fault.
    pub fn new(roster: &Roster) -> Result<Self, BadRoster> {
        roster.validate()?;
        let mut owners: Vec<_> = roster.with_role(Role::DataOwner).map(|owner| owner.id).collect();
        owners.sort_unstable();
        Ok(Self {
            digest: roster.digest(),
            coordinator: roster.coordinator().ok_or(BadRoster::Coordinators(0))?,
            committee: roster.committee(),
            owners,
        })
    }

    pub(super) fn has_owner(&self, id: &PartyId) -> bool {
        self.owners.binary_search(id).is_ok()
    }

    /// How many data owners there are.
    pub(super) fn owners(&self) -> u32 {
        self.owners.len() as u32
    }
}
