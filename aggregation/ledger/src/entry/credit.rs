//! From a round's evidence to a run's credits.

use covey_aggregation::credit::{CreditTerms, Debt, RoundEvidence, Settlement};
use covey_aggregation::hash::Digest;
use serde::{Deserialize, Serialize};

use super::member::SeatVote;
use crate::document::Held;
use crate::form::hex;

/// A round opened examples of the validation pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldOpened {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// The round.
    pub round: u32,
    /// Root of the pool ([`covey_aggregation::credit::pool`]).
    #[serde(with = "hex")]
    pub pool: Digest,
    /// Which examples, ascending.
    pub examples: Held<Vec<u32>>,
    /// How many examples of the pool were opened before.
    pub retired: u32,
}

/// What a round says about its owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceGiven {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// The round.
    pub round: u32,
    /// Digest of the terms that it will be settled by.
    #[serde(with = "hex")]
    pub terms: Digest,
    /// Three scores of each owner.
    pub evidence: Held<RoundEvidence>,
    /// What holders attest ([`covey_aggregation::credit::Attestation`]): its bytes, as they are sent.
    pub attestation: Held<Attested>,
    /// The votes for it, ascending.
    pub votes: Vec<SeatVote>,
}

/// The bytes of an attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested(#[serde(with = "hex")] pub Vec<u8>);

/// What a run's owners are credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditsSettled {
    /// The run, which is one epoch.
    #[serde(with = "hex")]
    pub run: Digest,
    /// What they are settled by.
    pub terms: CreditTerms,
    /// What owners owe from earlier epochs, ascending by owner: what the settlement before it in this
    /// ledger left.
    pub carried: Held<Vec<Debt>>,
    /// What comes of it.
    pub settlement: Held<Settlement>,
}

impl FoldOpened {
    pub(super) fn subject(&self) -> String {
        format!("fold/{}/{}", self.run, self.round)
    }
}

impl EvidenceGiven {
    pub(super) fn subject(&self) -> String {
        format!("evidence/{}/{}", self.run, self.round)
    }
}

impl CreditsSettled {
    pub(super) fn subject(&self) -> String {
        format!("credits/{}", self.run)
    }
}
