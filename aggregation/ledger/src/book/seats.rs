//! The committee's signatures in entries.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Statement;

use crate::entry::SeatVote;

/// Votes that make no quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVotes {
    /// Too few.
    #[error("{got} votes of the committee, {needed} are needed")]
    TooFew {
        /// So many.
        got: usize,
        /// Q.
        needed: usize,
    },
    /// Not ascending, or a holder twice.
    #[error("the votes are not by ascending holder, each once")]
    Order,
    /// Of nobody in the committee, or not its signature.
    #[error("the vote of holder {0} is not a member's of the committee, or not of this")]
    Vote(u8),
}

/// The committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seats {
    pub(super) holders: Vec<PartyId>,
    pub(super) quorum: usize,
}

impl Seats {
    /// Checks a quorum of votes for `digest` as `statement` in `context`.
    pub(super) fn check(
        &self,
        statement: Statement,
        context: &Digest,
        digest: &Digest,
        votes: &[SeatVote],
    ) -> Result<(), BadVotes> {
        if !votes.is_sorted_by(|one, next| one.holder < next.holder) {
            return Err(BadVotes::Order);
        }
        for SeatVote { holder, signature } in votes {
            let seat = self.holders.get(usize::from(*holder)).ok_or(BadVotes::Vote(*holder))?;
            seat.verify(statement, context, &digest.0, signature)
                .map_err(|_| BadVotes::Vote(*holder))?;
        }
        let (got, needed) = (votes.len(), self.quorum);
        if got < needed { Err(BadVotes::TooFew { got, needed }) } else { Ok(()) }
    }
}
