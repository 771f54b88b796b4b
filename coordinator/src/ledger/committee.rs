//! The key holders as witnesses of the ledger: how far each has cosigned, as far as is known, and whom to
//! ask what.

use std::collections::BTreeMap;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{NoteBytes, ToHolder};
use covey_aggregation::party::PartyId;
use covey_ledger::bundle::CHECKPOINT_PATH;
use covey_ledger::proof::consistency;
use covey_ledger::tile::Tiles;

use super::files::LedgerFiles;

/// How often a witness says the same before the operator is told: two questions that cross on their way give
/// one answer too many, and that means nothing.
const CROSSED_MAX: u32 = 3;

/// How far each witness has cosigned.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    /// Entries of its last checkpoint. Of one that is not here nothing is known: it is asked as if it had
    /// cosigned nothing, and says what it has.
    sizes: BTreeMap<PartyId, u64>,
    /// Entries of the last checkpoint whose cosignature by it is at hand. A program that was started again has
    /// none: a witness that has cosigned all there is must be asked for it once more.
    at_hand: BTreeMap<PartyId, u64>,
    /// Why each did not cosign, where it did not, by its code; and how often it said so.
    refused: BTreeMap<PartyId, (u16, u32)>,
}

impl Witnesses {
    /// A witness has cosigned a checkpoint.
    pub(super) fn cosigned(&mut self, holder: PartyId, size: u64) {
        self.sizes.insert(holder, size);
        self.at_hand.insert(holder, size);
        self.refused.remove(&holder);
    }

    /// A witness has refused, and says how far it has cosigned. Says whether it is worth asking it again
    /// at once, and whether the operator is to be told.
    pub(super) fn refused(
        &mut self,
        holder: PartyId,
        size: Option<u64>,
        code: u16,
    ) -> (bool, bool) {
        let known = size.and_then(|size| self.sizes.insert(holder, size).map(|was| was == size));
        // 409: it goes on from another checkpoint than was thought.
        if code == 409 && known != Some(true) {
            return (true, false);
        }
        let times = match self.refused.get(&holder) {
            Some(&(before, times)) if before == code => times.saturating_add(1),
            _ => 1,
        };
        self.refused.insert(holder, (code, times));
        (false, times == if code == 409 { CROSSED_MAX } else { 1 })
    }

    /// Whether its cosignature of the checkpoint of so many entries is at hand.
    pub(super) fn has_cosigned(&self, holder: &PartyId, size: u64) -> bool {
        self.at_hand.get(holder) == Some(&size)
    }

    /// How far a witness has cosigned, as far as is known.
    pub(super) fn size_of(&self, holder: &PartyId) -> u64 {
        self.sizes.get(holder).copied().unwrap_or(0)
    }
}

/// What a witness that has cosigned `old_size` entries is asked about a checkpoint of `size`; none where
/// there is no such proof, because it knows more than this ledger has, or a tile is missing.
pub(super) fn question(
    files: &LedgerFiles,
    (old_size, size): (u64, u64),
    checkpoint: &[u8],
) -> Option<ToHolder> {
    let tiles = Tiles::new(size, |path: &str| files.at_hand(path));
    // From nothing, everything follows.
    let proof =
        if old_size == 0 { Vec::new() } else { consistency(&tiles, old_size, size).ok()? };
    let proof = proof.into_iter().map(|hash| Digest(hash.0)).collect();
    let checkpoint = NoteBytes::new(checkpoint.to_vec())?;
    let published = files.at_hand(CHECKPOINT_PATH).and_then(NoteBytes::new);
    Some(ToHolder::Cosign { old_size, proof, checkpoint, published })
}
