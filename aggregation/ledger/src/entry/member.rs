//! Members come and go.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Vote;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::signing::Signature;
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::form::hex;

/// A holder's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatVote {
    /// Its place in the committee, from 0.
    pub holder: u8,
    /// What it signed is said where the votes are.
    #[serde(with = "hex")]
    pub signature: Signature,
}

impl From<&Vote> for SeatVote {
    fn from(vote: &Vote) -> Self {
        let Vote { holder: HolderIndex(holder), signature } = *vote;
        Self { holder, signature }
    }
}

/// The roster that a change of members came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterProof {
    /// Its number; above that of the founding roster, 0.
    pub number: u32,
    /// Its digest.
    #[serde(with = "hex")]
    pub digest: Digest,
    /// Its bytes, as they are sent.
    pub document: Document,
    /// A quorum of the committee, ascending: each over the roster's digest
    /// ([`covey_aggregation::roster::succession`]).
    pub votes: Vec<SeatVote>,
}

/// Somebody became a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberJoined {
    /// Its name.
    pub name: Name,
    /// Its key.
    #[serde(with = "hex")]
    pub id: PartyId,
    /// What it may do.
    pub role: Role,
    /// The first roster that it is on.
    pub roster: RosterProof,
}

/// Why somebody is no longer a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// It may come back; what it is owed is kept.
    Suspended,
    /// Its key is no longer good.
    Revoked,
    /// By its own wish.
    Left,
}

/// Somebody is no longer a member. What it was credited stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberLeft {
    /// Its key.
    #[serde(with = "hex")]
    pub id: PartyId,
    /// How.
    pub how: Leaving,
    /// Why, in words; may be empty.
    pub why: String,
    /// The first roster that it is not on.
    pub roster: RosterProof,
}

impl MemberJoined {
    pub(super) fn subject(&self) -> String {
        format!("member/{}/joined/{}", Digest(self.id.0), self.roster.number)
    }
}

impl MemberLeft {
    pub(super) fn subject(&self) -> String {
        format!("member/{}/left/{}", Digest(self.id.0), self.roster.number)
    }
}
