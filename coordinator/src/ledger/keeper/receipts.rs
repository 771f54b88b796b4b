//! Receipts: the entry of a round with the proof that it is in the published ledger, for the owners that
//! took part in it.

use std::ops::Range;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::RecordBytes;
use covey_aggregation::party::PartyId;
use covey_ledger::bundle::CHECKPOINT_PATH;
use covey_ledger::proof::inclusion;
use covey_ledger::receipt::{InclusionProof, Receipt};
use covey_ledger::tile::Tiles;
use tokio::task::block_in_place;

use super::Keeper;
use crate::session::Input;

/// Rounds whose receipts are waited for: more than can be under way. Owners ask again.
const LACKING_MAX: usize = 256;

impl Keeper {
    /// Sends the receipts of rounds that are published now to their owners, and to those who asked.
    pub(super) async fn send_receipts(&mut self, entries: Range<u64>) {
        let Some(open) = &self.open else { return };
        let rounds = open.rounds.iter().filter(|(_, index)| entries.contains(index));
        let rounds: Vec<_> = rounds.map(|(context, index)| (*context, *index)).collect();
        for (round_ctx, index) in rounds {
            let mut owners = self.lacking.remove(&round_ctx).unwrap_or_default();
            owners.extend(self.counted(index));
            self.send_receipt(owners.into_iter().collect(), round_ctx, index).await;
        }
    }

    /// An owner lacks the receipt of a round: it gets it, now or once the round is published.
    pub(super) async fn unrecorded(&mut self, owner: PartyId, round_ctx: Digest) {
        let Some(open) = &self.open else { return };
        match open.rounds.get(&round_ctx).copied() {
            Some(index) if index < open.log.published() => {
                self.send_receipt(vec![owner], round_ctx, index).await;
            }
            _ if self.lacking.len() >= LACKING_MAX => {}
            _ => {
                self.lacking.entry(round_ctx).or_default().insert(owner);
            }
        }
    }

    /// The owners in the sum of the round of an entry.
    fn counted(&self, index: u64) -> Vec<PartyId> {
        let Some(book) = self.book() else { return Vec::new() };
        let mut rounds = book.runs().iter().flat_map(|run| run.rounds.values());
        let round = rounds.find(|round| round.entry == index);
        let owners = round.iter().flat_map(|round| &round.owners);
        owners.filter(|one| one.missing.is_none()).map(|one| one.owner).collect()
    }

    async fn send_receipt(&self, owners: Vec<PartyId>, round_ctx: Digest, index: u64) {
        let receipt = block_in_place(|| self.receipt(index));
        let record = receipt.and_then(|receipt| RecordBytes::new(receipt.to_string().into_bytes()));
        if let (Some(record), Some(inputs)) = (record, self.inputs.upgrade()) {
            // A driver that is gone tells nobody any more.
            let _ = inputs.send(Input::Recorded { owners, round_ctx, record }).await;
        }
    }

    /// The receipt of an entry, by the checkpoint that is published.
    fn receipt(&self, index: u64) -> Option<Receipt> {
        let size = self.open.as_ref()?.log.published();
        let tiles = Tiles::new(size, |path: &str| self.files.at_hand(path));
        let proof = InclusionProof {
            index,
            hashes: inclusion(&tiles, index, size).ok()?,
            checkpoint: self.files.at_hand(CHECKPOINT_PATH)?,
        };
        Some(Receipt { entry: self.entry_bytes(index)?, proof })
    }
}
