//! What is published of a finished round, and the check that anybody can run: with the roster,
//! the publication and the stored contributions, everything the coordinator claims is computed
//! again. Only the holders' votes and the owners' headers are taken on their signatures.

mod verify;

use serde::{Deserialize, Serialize};

pub use self::verify::{
    Blame, ContributionSource, Part, PublicationFault, Verified, verify, verify_but_sum,
};

use crate::audit::record::AuditRecord;
use crate::config::RoundConfig;
use crate::hash::Digest;
use crate::limits::PUBLICATION_BYTES_MAX;
use crate::message::{Certificate, Countersignature, Header, Report, SignedHeader};
use crate::party::PartyId;
use crate::signing::{BadSignature, Identity, Signature, Statement};
use crate::sum::open::Aggregate;
use crate::wire::{self, Malformed};

/// Everything public about a round that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundResult {
    /// The terms.
    pub config: RoundConfig,
    /// Admitted clients, ascending: the list behind `config.cohort`.
    pub cohort: Vec<PartyId>,
    /// At least Q, by ascending holder.
    pub countersignatures: Vec<Countersignature>,
    /// The contributions that are summed, by ascending client: U, or where the round was audited
    /// those of U that passed.
    pub headers: Vec<SignedHeader>,
    /// Q votes for U.
    pub certificate: Certificate,
    /// The audit, where there was one.
    pub audit: Option<Box<AuditRecord>>,
    /// S ([`crate::sum::open::KeySum::to_bytes`]).
    #[serde(with = "serde_bytes")]
    pub key_sum: Vec<u8>,
    /// The opened sum.
    pub aggregate: Aggregate,
    /// Who took part and who did not.
    pub report: Report,
}

impl RoundResult {
    /// The contribution of `client`, if it was counted. An owner with a receipt looks here.
    #[must_use]
    pub fn contribution_of(&self, client: &PartyId) -> Option<&Header> {
        self.headers.iter().map(|signed| &signed.header).find(|header| header.client == *client)
    }
}

/// A round's result and the coordinator's signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// What is signed.
    pub result: RoundResult,
    /// By the coordinator, as [`Statement::Publication`].
    pub signature: Signature,
}

impl Publication {
    /// Signs a result as the coordinator.
    #[must_use]
    pub fn sign(result: RoundResult, coordinator: &Identity) -> Self {
        let (round_ctx, body) = (result.config.context(), wire::encode(&result));
        let signature = coordinator.sign(Statement::Publication, &round_ctx, &body);
        Self { result, signature }
    }

    /// Checks the coordinator's signature, and nothing else (see [`verify`]).
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify_signature(&self, coordinator: &PartyId) -> Result<(), BadSignature> {
        let (round_ctx, body) = (self.round_ctx(), wire::encode(&self.result));
        coordinator.verify(Statement::Publication, &round_ctx, &body, &self.signature)
    }

    /// The round.
    #[must_use]
    pub fn round_ctx(&self) -> Digest {
        self.result.config.context()
    }

    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// From published bytes, at most [`PUBLICATION_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        wire::decode(bytes, PUBLICATION_BYTES_MAX)
    }
}
