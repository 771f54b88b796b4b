//! What a round wants done, and what it is answered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::list::Proven;
use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::message::{Outcome, SignedHeader, ToClient, ToHolder};
use crate::party::PartyId;
use crate::record::{RoundRecord, Sequence};
use crate::sum::open::Summands;

#[cfg(doc)]
use super::Round;

/// Sealed boxes of stored contributions, for checking complaints.
pub trait BoxSource {
    /// The box for `holder` in the contribution `header`, if it is stored.
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>>;
}

/// What the round wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundEffect {
    /// Store this durably, then say so with [`Round::handle_stored`].
    Append {
        /// Its place.
        sequence: Sequence,
        /// What.
        record: RoundRecord,
    },
    /// Send this to a holder.
    ToHolder {
        /// Who.
        to: PartyId,
        /// What.
        message: ToHolder,
    },
    /// Send these contributions' boxes to a holder, in batches of
    /// [`crate::limits::ENVELOPES_PER_MESSAGE_MAX`] as [`ToHolder::Envelopes`] with `total`
    /// the length of `headers`. Where the same is still on its way, nothing need be sent.
    SendEnvelopes {
        /// Who.
        to: PartyId,
        /// Whose boxes.
        holder: HolderIndex,
        /// All contributions of the round, in the order of their clients.
        headers: Arc<[SignedHeader]>,
    },
    /// Send this to a client.
    ToClient {
        /// Who.
        to: PartyId,
        /// What.
        message: ToClient,
    },
    /// Sum the stored contributions of `set` in order, recover the key sum, open, store both
    /// results durably, and answer with [`Round::handle_opened`].
    Open {
        /// U, in order.
        set: Arc<[SignedHeader]>,
        /// R_T for every component, in canonical order.
        components: Vec<Vec<u8>>,
        /// How many contributions that is, and of what weight.
        summands: Summands,
    },
    /// Send these to a holder, in batches of [`crate::limits::PROOFS_PER_MESSAGE_MAX`] as
    /// [`ToHolder::Proofs`]. Where the same is still on its way, nothing need be sent.
    SendProofs {
        /// Who.
        to: PartyId,
        /// Of all clients on the list, in their order.
        proofs: Arc<[Proven]>,
    },
    /// Compute the public values of these stored contributions, in order, for the audit of the set
    /// `set` with these beacons ([`crate::audit::rereading::Rereading`]), and answer with
    /// [`Round::handle_measured`].
    Measure {
        /// Contributions with a proof, in order.
        headers: Arc<[SignedHeader]>,
        /// H(U).
        set: Digest,
        /// The beacon of the rows.
        rows: Digest,
        /// The beacon of the check.
        check: Digest,
    },
    /// Compute fold, model, directions and functions ([`crate::audit::crediting::Directed`]) of this
    /// round, store the directions durably, and answer with [`Round::handle_directed`].
    Direct {
        /// H(U), which the fold was drawn for.
        set: Digest,
        /// The beacon of the rows.
        rows: Digest,
        /// The beacon of the fold.
        fold: Digest,
    },
    /// The round is over, and its record is durable. Comes again after a replay.
    Ended(Outcome),
}

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Digest of the aggregate.
    pub aggregate: Digest,
    /// Digest of the key sum.
    pub key_sum: Digest,
    /// Contributions in it.
    pub count: u32,
    /// Sum of their weights.
    pub weight: u64,
}

/// Why the worker did not open the sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// The key does not recover, or the sum opens to nonsense.
    #[error("{0}")]
    Spoiled(String),
    /// The coordinator could not read or store what it needs.
    #[error("the coordinator's storage failed: {0}")]
    Unavailable(String),
}
