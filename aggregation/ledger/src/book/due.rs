//! What the coordinator should write next, because it follows from the ledger.

use covey_aggregation::hash::Digest;

use super::Book;
use super::records::State;
use crate::document::Held;
use crate::entry::{Body, HELD_BYTES_MAX, ProposalDecided, Resolution};

/// An entry that follows, with the document that it names, if any.
pub type Due = (Body, Option<Vec<u8>>);

impl Book {
    /// The decisions that are due at a time, in the order of their disputes' and proposals' entries. Each
    /// may change what follows: write the first, and ask again.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> Vec<Due> {
        let disputes = self.disputes.values().filter(|one| one.state == State::Open);
        let proposals = self.proposals.values().filter(|one| one.state == State::Open);
        let disputes = disputes.map(|one| (one.entry, one.id, true));
        let proposals = proposals.map(|one| (one.entry, one.id, false));
        let mut open: Vec<_> = disputes.chain(proposals).collect();
        open.sort_unstable();
        let due = |(_, id, is_dispute): (u64, Digest, bool)| {
            if is_dispute {
                self.due_resolution(&id, now_ms)
            } else {
                self.due_decision(&id, now_ms)
            }
        };
        open.into_iter().filter_map(due).collect()
    }

    fn due_resolution(&self, id: &Digest, now_ms: u64) -> Option<Due> {
        let (verdict, votes, differences) = self.resolution(id, now_ms).ok()??;
        let (differences, document) = Held::new(differences, HELD_BYTES_MAX);
        let run = self.run(&self.dispute(id)?.dispute.run)?;
        let window_end_ms = run.credits.as_ref()?.window_end_ms;
        let body = Resolution { dispute: *id, verdict, votes, differences, window_end_ms };
        Some((body.into(), document))
    }

    fn due_decision(&self, id: &Digest, now_ms: u64) -> Option<Due> {
        let (verdict, votes) = self.decision(id, now_ms).ok()??;
        Some((ProposalDecided { proposal: *id, verdict, votes }.into(), None))
    }
}
