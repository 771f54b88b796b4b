//! What a quorum of holders signs: the terms of a round, and its set.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::{HolderIndex, RoundConfig};
use crate::hash::Digest;
use crate::signing::{Signature, Statement};

/// Countersignature of a round's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersignature {
    /// Who signs.
    pub holder: HolderIndex,
    /// Over `round_ctx`, as [`Statement::Config`].
    pub signature: Signature,
}

/// Checks Q distinct countersignatures of the terms `round_ctx`.
#[must_use]
pub fn countersigned(
    config: &RoundConfig,
    round_ctx: &Digest,
    signatures: &[Countersignature],
) -> bool {
    let valid = |one: &Countersignature| {
        config.committee.get(usize::from(one.holder.0)).is_some_and(|seat| {
            let body = round_ctx.0;
            seat.holder.verify(Statement::Config, round_ctx, &body, &one.signature).is_ok()
        })
    };
    let ascending = signatures.windows(2).all(|pair| pair[0].holder < pair[1].holder);
    ascending && signatures.len() >= config.shape.quorum() && signatures.iter().all(valid)
}

/// A holder's vote: hashes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who votes.
    pub holder: HolderIndex,
    /// Over the digest of what is voted for: a set ([`Statement::Vote`]), the list of an audit's
    /// proofs ([`Statement::ProofList`]), its verdict ([`Statement::Verdict`]).
    pub signature: Signature,
}

/// Q votes for one set, one list of proofs, or one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The round.
    pub round_ctx: Digest,
    /// Its digest.
    pub set: Digest,
    /// At least Q votes, by ascending holder.
    pub votes: Vec<Vote>,
}

/// No certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// For another round.
    #[error("a certificate of another round")]
    OtherRound,
    /// Votes of fewer than Q holders.
    #[error("{got} distinct votes, {needed} needed")]
    TooFewVotes {
        /// Distinct votes.
        got: usize,
        /// Q.
        needed: usize,
    },
    /// Not by ascending holder, or a holder twice.
    #[error("the votes are not by ascending holder, each once")]
    Order,
    /// A vote by nobody of the committee, or not signed by its holder.
    #[error("vote of holder {0}: not a member's valid signature")]
    Vote(u8),
}

impl Certificate {
    /// Checks Q distinct valid votes for `set` in the round of `config`, whose context is
    /// `round_ctx`.
    ///
    /// # Errors
    /// [`BadCertificate`], by the first fault.
    pub fn verify(&self, config: &RoundConfig, round_ctx: &Digest) -> Result<(), BadCertificate> {
        self.verify_as(Statement::Vote, config, round_ctx)
    }

    /// The same, of votes that are another statement: for a list of proofs, or for a verdict.
    ///
    /// # Errors
    /// [`BadCertificate`], by the first fault.
    pub fn verify_as(
        &self,
        statement: Statement,
        config: &RoundConfig,
        round_ctx: &Digest,
    ) -> Result<(), BadCertificate> {
        if self.round_ctx != *round_ctx {
            return Err(BadCertificate::OtherRound);
        }
        for vote in &self.votes {
            let bad = BadCertificate::Vote(vote.holder.0);
            let seat =
                config.committee.get(usize::from(vote.holder.0)).ok_or_else(|| bad.clone())?;
            seat.holder
                .verify(statement, round_ctx, &self.set.0, &vote.signature)
                .map_err(|_| bad)?;
        }
        let distinct: BTreeSet<_> = self.votes.iter().map(|vote| vote.holder).collect();
        let (got, needed) = (distinct.len(), config.shape.quorum());
        if got < needed {
            return Err(BadCertificate::TooFewVotes { got, needed });
        }
        if !self.votes.is_sorted_by(|one, next| one.holder < next.holder) {
            return Err(BadCertificate::Order);
        }
        Ok(())
    }
}
