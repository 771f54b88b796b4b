//! Payouts.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::{Deserialize, Serialize};

use crate::document::{Document, Held};
use crate::form::{decimal, hex};
use crate::statement::Signed;

/// A member says where it is paid: [`crate::statement::SetAddress`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressSet {
    /// What it signed.
    pub signed: Signed,
}

/// What everybody has been paid, all in all, with this payout and all before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutMade {
    /// From 1.
    pub number: u32,
    /// Entries of the ledger that it was computed from.
    pub log_size: u64,
    /// Runs whose credits are in it, in the order of their settlements; those of earlier payouts are.
    #[serde(with = "hex::list")]
    pub runs: Vec<Digest>,
    /// What is in none of it, ascending by run and owner.
    pub held_back: Held<Vec<HeldBack>>,
    /// What one credit is paid, in the smallest units of the token.
    #[serde(with = "decimal")]
    pub units_per_credit: u128,
    /// Addresses that have something.
    pub payees: u32,
    /// What they have together, in the smallest units of the token.
    #[serde(with = "decimal")]
    pub total: u128,
    /// Root of the tree (OpenZeppelin `standard-v1`).
    #[serde(with = "hex")]
    pub root: Digest,
    /// The file with the tree ([`crate::payout`]).
    pub file: Document,
}

/// An owner's credit of a run that is not in a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBack {
    /// Of which run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Whose.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// How much, in micro-credits.
    pub micro: u64,
    /// Why.
    pub why: WhyHeld,
}

/// Why a credit is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyHeld {
    /// It is under dispute.
    Disputed,
    /// The owner is suspended.
    Suspended,
    /// The owner has set no address.
    NoAddress,
}

impl AddressSet {
    pub(super) fn subject(&self) -> String {
        self.signed.subject()
    }
}

impl PayoutMade {
    pub(super) fn subject(&self) -> String {
        format!("payout/{}", self.number)
    }
}
