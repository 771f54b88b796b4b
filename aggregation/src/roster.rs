//! The pinned list of a federation's members. Every party keeps its own copy, so the coordinator
//! can neither invent a key holder nor an owner: a round names the roster's digest, and a party
//! refuses a round of another roster.
//!
//! Researchers are on the list too, so that everybody sees who may ask for runs, and there is one
//! list with one digest. They have no seat and are in no cohort: only holders and data owners are
//! looked for in a round.
//!
//! Members come and go: the next roster names the one before it and counts as soon as a quorum of the
//! committee has signed it ([`succession`]).

pub mod succession;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::{CommitteeShape, SealingKey, Seat};
use crate::hash::{Digest, Domain, hash};
use crate::party::{Name, PartyId, Role};
use crate::wire;

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Unique within the federation.
    pub name: Name,
    /// Its public signing key.
    pub id: PartyId,
    /// What it may do.
    pub role: Role,
    /// Holders only: where clients seal to.
    pub sealing_key: Option<SealingKey>,
}

/// The members of a federation, in the order of enrolment; holders' order is the committee's.
///
/// The founding roster has number 0 and is pinned by comparing its digest. It holds the coordinator and
/// the committee, which stay as they are; a later one is signed by a quorum of that committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The federation's name.
    pub federation: Name,
    /// BLAKE3 digest of the DER certificate of its authority.
    pub authority: Digest,
    /// Grows from one to the next, not always by one.
    pub number: u32,
    /// Digest of the one before; zero for the founding one.
    pub previous: Digest,
    /// Everybody.
    pub members: Vec<Member>,
}

/// A roster that no round can be run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoster {
    /// A name or key occurs twice.
    #[error("member {0} occurs twice (by name or by key)")]
    Twice(Name),
    /// Not exactly one coordinator.
    #[error("{0} coordinators, there must be exactly one")]
    Coordinators(usize),
    /// No such committee.
    #[error("{0} key holders: a committee has 4 or 7")]
    Holders(usize),
    /// A holder without sealing keys, or another member with some.
    #[error("member {0}: exactly the holders have sealing keys")]
    SealingKey(Name),
}

impl Roster {
    /// A founding roster.
    #[must_use]
    pub const fn founding(federation: Name, authority: Digest, members: Vec<Member>) -> Self {
        Self { federation, authority, number: 0, previous: Digest::ZERO, members }
    }

    /// What rounds name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Roster, &[&wire::encode(self)])
    }

    /// Checks that rounds can be run with this roster.
    ///
    /// # Errors
    /// [`BadRoster`] by the first fault.
    pub fn validate(&self) -> Result<(), BadRoster> {
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for member in &self.members {
            if !names.insert(&member.name) || !ids.insert(member.id) {
                return Err(BadRoster::Twice(member.name.clone()));
            }
            if member.sealing_key.is_some() != (member.role == Role::Holder) {
                return Err(BadRoster::SealingKey(member.name.clone()));
            }
        }
        let coordinators = self.with_role(Role::Coordinator).count();
        if coordinators != 1 {
            return Err(BadRoster::Coordinators(coordinators));
        }
        let holders = self.with_role(Role::Holder).count();
        CommitteeShape::of_members(holders).map(|_| ()).ok_or(BadRoster::Holders(holders))
    }

    /// Members with a role, in order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.role == role)
    }

    /// The member with this key.
    #[must_use]
    pub fn member(&self, id: &PartyId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// A member's name, or its key's first digits when it is unknown.
    #[must_use]
    pub fn name_of(&self, id: &PartyId) -> String {
        self.member(id).map_or_else(|| id.to_string(), |member| member.name.to_string())
    }

    /// The coordinator's key.
    #[must_use]
    pub fn coordinator(&self) -> Option<PartyId> {
        self.with_role(Role::Coordinator).next().map(|member| member.id)
    }

    /// The committee's seats, in order.
    #[must_use]
    pub fn committee(&self) -> Vec<Seat> {
        self.with_role(Role::Holder)
            .filter_map(|member| {
                let sealing_key = member.sealing_key.clone()?;
                Some(Seat { holder: member.id, sealing_key })
            })
            .collect()
    }
}
