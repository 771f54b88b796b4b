//! Whom a listener lets in: the roster in force, and who is shut out at once, before a roster without
//! them is.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::hash::Digest;
use crate::net::certificate::{Claim, Stranger};
use crate::net::membership::Membership;
use crate::party::{PartyId, Role};
use crate::roster::Member;
use crate::roster::succession::CertifiedRoster;

/// What a listener goes by. Cheap to clone; all clones are one list.
#[derive(Clone)]
pub struct GuestList(Arc<RwLock<Guests>>);

/// The list as it is at one moment.
#[derive(Clone)]
pub struct Guests {
    /// The roster in force; a founding one has no votes.
    pub certified: Arc<CertifiedRoster>,
    /// Its digest.
    pub digest: Digest,
    shut_out: Arc<BTreeSet<PartyId>>,
}

impl GuestList {
    /// A list of everybody in this roster.
    #[must_use]
    pub fn new(certified: CertifiedRoster) -> Self {
        let digest = certified.roster.digest();
        let certified = Arc::new(certified);
        Self(Arc::new(RwLock::new(Guests { certified, digest, shut_out: Arc::default() })))
    }

    /// A list of everybody in the roster that a member has pinned, without its signatures.
    #[must_use]
    pub fn pinned(membership: &Membership) -> Self {
        Self::new(CertifiedRoster {
            roster: membership.roster().as_ref().clone(),
            votes: Vec::new(),
        })
    }

    /// The list as it is now.
    #[must_use]
    pub fn now(&self) -> Guests {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another roster is in force.
    pub fn renew(&self, certified: CertifiedRoster) {
        let mut guests = self.0.write().unwrap_or_else(PoisonError::into_inner);
        guests.digest = certified.roster.digest();
        guests.certified = Arc::new(certified);
    }

    /// These, and nobody else, are shut out, whatever the roster says.
    pub fn shut_out(&self, parties: BTreeSet<PartyId>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).shut_out = Arc::new(parties);
    }
}

impl Guests {
    /// Whether somebody is shut out, whatever the roster says.
    #[must_use]
    pub fn is_shut_out(&self, id: &PartyId) -> bool {
        self.shut_out.contains(id)
    }

    /// The member that a certificate claims to be, if it may come in one of `roles`.
    pub(super) fn recognise(&self, claim: &Claim, roles: &[Role]) -> Result<Member, Stranger> {
        if self.shut_out.contains(&claim.key) {
            return Err(Stranger::ShutOut { name: claim.name.clone() });
        }
        claim.check_member(&self.certified.roster, roles)
    }
}
