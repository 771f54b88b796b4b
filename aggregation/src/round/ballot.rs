//! The holders' votes for a list of proofs, a verdict or a round's evidence: one kind of step, which
//! sends what is voted on once and then only asks.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::message::{Certificate, Refusal, Vote};
use crate::signing::Statement;

use super::Round;

impl Round {
    /// Checks that this is `holder`'s own vote for `voted`. From here on it cannot deny it.
    pub(super) fn check_vote(
        &self,
        statement: Statement,
        holder: HolderIndex,
        voted: &Digest,
        vote: &Vote,
    ) -> Result<(), Refusal> {
        if vote.holder != holder {
            return Err(Refusal::Malformed("the vote of another holder".into()));
        }
        let seat = &self.terms.config.committee[usize::from(holder.0)];
        let signed = seat.holder.verify(statement, &self.context, &voted.0, &vote.signature);
        signed.map_err(|_| Refusal::BadSignature)
    }
}

/// Votes that came, and who was sent what they are about.
#[derive(Default)]
pub(super) struct Ballot {
    votes: BTreeMap<HolderIndex, Vote>,
    sent: BTreeSet<HolderIndex>,
}

impl Ballot {
    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        self.votes.contains_key(&holder)
    }

    /// Whether `holder` has yet to be sent what is voted on; from now on it has.
    pub(super) fn begin(&mut self, holder: HolderIndex) -> bool {
        self.sent.insert(holder)
    }

    /// Votes that came.
    pub(super) fn votes(&self) -> usize {
        self.votes.len()
    }

    /// It lost what it was sent.
    pub(super) fn forget(&mut self, holder: HolderIndex) {
        self.sent.remove(&holder);
    }

    /// The first vote of a holder stands.
    pub(super) fn take(&mut self, vote: Vote) {
        self.votes.entry(vote.holder).or_insert(vote);
    }

    /// The certificate of `voted`, once there are `quorum` votes for it.
    pub(super) fn certificate(
        &self,
        quorum: usize,
        round_ctx: Digest,
        voted: Digest,
    ) -> Option<Certificate> {
        let votes = self.votes.values().cloned().collect();
        let certificate = Certificate { round_ctx, set: voted, votes };
        (self.votes.len() >= quorum).then_some(certificate)
    }
}
