//! The proofs of a round: each owner's signed one, and the list of all that holders certify before
//! anything is opened.

use serde::{Deserialize, Serialize};

use crate::audit::proof::{BadProof, Proof};
use crate::audit::question::Question;
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::signing::{BadSignature, Identity, Signature, Statement};

/// An owner's proof as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// Whose.
    pub client: PartyId,
    /// Examples that it declares its update to be from, at most the plan's cap: published, as credits
    /// weigh by it. 1 where owners count alike, and where there is no credit.
    pub examples: u32,
    /// [`Proof::to_bytes`].
    #[serde(with = "serde_bytes")]
    pub proof: Vec<u8>,
    /// Over [`Question::proof_digest`].
    pub signature: Signature,
}

/// A proof that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProven {
    /// Not the bytes of a proof of this round.
    #[error("the proof: {0}")]
    Proof(#[from] BadProof),
    /// No number of examples of this round.
    #[error("{0} examples are none that count in this round")]
    Examples(u32),
    /// Not signed by its owner, for this question.
    #[error("the proof is not signed by its owner for this question")]
    Signature,
}

impl From<BadSignature> for BadProven {
    fn from(_: BadSignature) -> Self {
        Self::Signature
    }
}

impl Proven {
    /// Signs a proof of a contribution whose weight is `weight`; it is declared where the round's credit
    /// needs it.
    #[must_use]
    pub fn sign(
        question: &Question<'_>,
        (proof, weight): (&Proof, u32),
        identity: &Identity,
    ) -> Self {
        let (client, bytes) = (identity.id(), proof.to_bytes());
        let examples = weight.clamp(1, question.config.declared_max());
        let digest = question.proof_digest(&client, examples, &bytes);
        let signature = identity.sign(Statement::Proof, &question.round_ctx, &digest.0);
        Self { client, examples, proof: bytes, signature }
    }

    /// The proof and its digest, if it is well-formed and its owner signed it for this question.
    ///
    /// # Errors
    /// [`BadProven`].
    pub fn check(&self, question: &Question<'_>) -> Result<(Proof, Digest), BadProven> {
        let proof = Proof::from_bytes(&question.terms, &self.proof)?;
        let examples_max = question.config.declared_max();
        if !(1..=examples_max).contains(&self.examples) {
            return Err(BadProven::Examples(self.examples));
        }
        let digest = question.proof_digest(&self.client, self.examples, &self.proof);
        let context = &question.round_ctx;
        self.client.verify(Statement::Proof, context, &digest.0, &self.signature)?;
        Ok((proof, digest))
    }
}

/// H(Lambda): digest of the proofs of the set `set`, by ascending owner.
#[must_use]
pub fn list_digest<'a>(
    set: &Digest,
    proofs: impl Iterator<Item = (&'a PartyId, &'a Digest)>,
) -> Digest {
    let mut parts: Vec<&[u8]> = vec![&set.0];
    for (client, digest) in proofs {
        parts.push(&client.0);
        parts.push(&digest.0);
    }
    hash(Domain::ProofList, &parts)
}
