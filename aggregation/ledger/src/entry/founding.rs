//! The first entry.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, PartyId};
use serde::{Deserialize, Serialize};

use crate::charter::Charter;
use crate::document::Document;
use crate::form::hex;

/// A federation begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    /// Digest of the founding roster ([`covey_aggregation::roster::Roster::digest`]).
    #[serde(with = "hex")]
    pub roster: Digest,
    /// Digest of its authority's certificate ([`covey_aggregation::roster::Roster::authority`]), which
    /// every roster has: what members sign is for this federation alone.
    #[serde(with = "hex")]
    pub authority: Digest,
    /// The roster's bytes, as they are sent.
    pub roster_document: Document,
    /// Who keeps the ledger.
    pub coordinator: Seated,
    /// The committee, in order. They cosign the ledger.
    pub holders: Vec<Seated>,
    /// How many of them make a certificate, and a checkpoint final.
    pub quorum: u32,
    /// Data owners and researchers that are members from the beginning, in the roster's order.
    pub members: Vec<Founder>,
    /// Who reviews, ascending by key.
    #[serde(with = "hex::list")]
    pub reviewers: Vec<PartyId>,
    /// What is voted on, as it is in the beginning.
    pub charter: Charter,
}

/// A member with a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seated {
    /// Its name.
    pub name: Name,
    /// Its key.
    #[serde(with = "hex")]
    pub id: PartyId,
}

/// A member from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// Its name.
    pub name: Name,
    /// Its key.
    #[serde(with = "hex")]
    pub id: PartyId,
    /// What it may do: `data-owner` or `researcher`.
    pub role: covey_aggregation::party::Role,
}

impl Founding {
    pub(super) fn subject(&self) -> String {
        "founding".to_owned()
    }
}
