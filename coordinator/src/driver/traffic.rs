//! Bytes over the owners' links, as their transports count them.

use covey_aggregation::party::Role;
use covey_ledger::entry::Traffic;

use super::Driver;
use crate::session::Peer;

impl Driver {
    /// What the links of owners have carried since this program began.
    pub(super) fn traffic(&self) -> Traffic {
        self.peers.values().map(of).fold(self.traffic_gone, sum)
    }

    /// What they have carried since.
    pub(super) fn traffic_since(&self, before: Traffic) -> Traffic {
        let now = self.traffic();
        Traffic { up: now.up.saturating_sub(before.up), down: now.down.saturating_sub(before.down) }
    }

    /// A link is no longer looked at.
    pub(super) fn keep_traffic(&mut self, gone: &Peer) {
        self.traffic_gone = sum(self.traffic_gone, of(gone));
    }
}

fn of(peer: &Peer) -> Traffic {
    match peer.member.role {
        Role::DataOwner => {
            let (down, up) = peer.traffic_bytes();
            Traffic { up, down }
        }
        _ => Traffic { up: 0, down: 0 },
    }
}

const fn sum(one: Traffic, other: Traffic) -> Traffic {
    Traffic { up: one.up.saturating_add(other.up), down: one.down.saturating_add(other.down) }
}
