//! Receipts: the entry of a round, or of a run's credits, with the proof that it is in the published ledger,
//! for the owners that it is about.

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

/// Rounds and runs whose receipts are waited for: more than can be under way. Owners ask again.
const LACKING_MAX: usize = 256;

impl Keeper {
    /// Sends the receipts of what is published now to the owners that it is about, and to those who asked.
    pub(super) async fn send_receipts(&mut self, entries: Range<u64>) {
        let Some(open) = &self.open else { return };
        let new = open.receipted.iter().filter(|(_, index)| entries.contains(index));
        let new: Vec<_> = new.map(|(about, index)| (*about, *index)).collect();
        for (about, index) in new {
            let mut owners = self.lacking.remove(&about).unwrap_or_default();
            owners.extend(self.counted(index).into_iter().chain(self.credited(index)));
            self.send_receipt(owners.into_iter().collect(), about, index).await;
        }
    }

    /// An owner lacks a receipt: it gets it, now or once the entry is published.
    pub(super) async fn unrecorded(&mut self, owner: PartyId, about: Digest) {
        let Some(open) = &self.open else { return };
        match open.receipted.get(&about).copied() {
            Some(index) if index < open.log.published() => {
                self.send_receipt(vec![owner], about, index).await;
            }
            _ if self.lacking.len() >= LACKING_MAX => {}
            _ => {
                self.lacking.entry(about).or_default().insert(owner);
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

    /// The owners with an account in the credits of an entry.
    fn credited(&self, index: u64) -> Vec<PartyId> {
        let Some(book) = self.book() else { return Vec::new() };
        let credits = book.settlements().find(|credits| credits.entry == index);
        let accounts = credits.iter().flat_map(|credits| &credits.settlement.accounts);
        accounts.map(|account| account.owner).collect()
    }

    async fn send_receipt(&self, owners: Vec<PartyId>, about: Digest, index: u64) {
        let receipt = block_in_place(|| self.receipt(index));
        let record = receipt.and_then(|receipt| RecordBytes::new(receipt.to_string().into_bytes()));
        if let (Some(record), Some(inputs)) = (record, self.inputs.upgrade()) {
            // A driver that is gone tells nobody any more.
            let _ = inputs.send(Input::Recorded { owners, about, record }).await;
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
