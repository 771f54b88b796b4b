//! One roster after another.
//!
//! - Data owners and researchers come and go; the coordinator, the committee and the authority stay.
//! - A holder signs the next roster of the one that it has pinned, each number once, and never a lower
//!   one after a higher ([`Roster::check_next`]; the holder's machine remembers). So whoever holds two
//!   certified rosters knows which one counts.
//! - Anybody with any roster of the federation takes a certified one with a higher number
//!   ([`Roster::check_newer`]): the committee whose signatures count is in the roster it has.
//!
//! So a coordinator can neither invent an owner, nor bring back one that has left, without a quorum of
//! the committee.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::CommitteeShape;
use crate::hash::Digest;
use crate::limits::ROSTER_BYTES_MAX;
use crate::message::Vote;
use crate::party::{PartyId, Role};
use crate::signing::{Identity, Signature, Statement};
use crate::wire;

use super::{BadRoster, Member, Roster};

/// A roster and who of the committee signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedRoster {
    /// The roster.
    pub roster: Roster,
    /// By ascending holder, each over the roster's digest as [`Statement::Roster`].
    pub votes: Vec<Vote>,
}

/// Who came and who left from one roster to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the new one only, or under another name, key or role.
    pub joined: Vec<Member>,
    /// In the old one only.
    pub left: Vec<Member>,
}

/// A roster that does not come after the one at hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSuccessor {
    /// No roster for rounds at all.
    #[error(transparent)]
    Invalid(#[from] BadRoster),
    /// Of another federation or authority.
    #[error("it is of another federation, or names another authority")]
    OtherFederation,
    /// Not after the one at hand.
    #[error("its number is {theirs}, the roster at hand has {ours}")]
    NotNewer {
        /// Of the roster at hand.
        ours: u32,
        /// Of the other.
        theirs: u32,
    },
    /// It does not follow from the one at hand.
    #[error("it does not follow from the roster at hand")]
    OtherPrevious,
    /// Another coordinator or another committee.
    #[error("it changes the coordinator or the committee, which needs a new federation")]
    Seats,
    /// Too long to be sent.
    #[error("it takes {got} bytes, {ROSTER_BYTES_MAX} are allowed")]
    Long {
        /// So many.
        got: usize,
    },
    /// Too few of the committee signed it.
    #[error("{got} holders of the committee signed it, {needed} are needed")]
    TooFewVotes {
        /// Valid ones.
        got: usize,
        /// The quorum.
        needed: usize,
    },
    /// Not by ascending holder, or somebody else's.
    #[error("holder {0}'s signature is none of the committee, or there twice")]
    Vote(u8),
}

impl Roster {
    /// The roster after this one, with `number` and these members.
    #[must_use]
    pub fn next(&self, number: u32, members: Vec<Member>) -> Self {
        let (federation, authority) = (self.federation.clone(), self.authority);
        Self { federation, authority, number, previous: self.digest(), members }
    }

    /// Checks that `next` may be signed by a holder who has pinned this one.
    ///
    /// # Errors
    /// [`BadSuccessor`], by the first fault.
    pub fn check_next(&self, next: &Self) -> Result<(), BadSuccessor> {
        self.check_same_seats(next)?;
        if next.previous == self.digest() { Ok(()) } else { Err(BadSuccessor::OtherPrevious) }
    }

    /// Checks that `newer` counts instead of this one.
    ///
    /// # Errors
    /// [`BadSuccessor`], by the first fault.
    pub fn check_newer(&self, newer: &CertifiedRoster) -> Result<(), BadSuccessor> {
        self.check_same_seats(&newer.roster)?;
        self.check_votes(newer)
    }

    /// Checks that a quorum of this roster's committee signed `other`, be it older or newer.
    ///
    /// # Errors
    /// [`BadSuccessor`], by the first fault.
    pub fn check_votes(&self, other: &CertifiedRoster) -> Result<(), BadSuccessor> {
        let committee = self.committee();
        let quorum = CommitteeShape::of_members(committee.len()).map(CommitteeShape::quorum);
        let needed = quorum.ok_or(BadRoster::Holders(committee.len()))?;
        let digest = other.roster.digest();
        for (place, vote) in other.votes.iter().enumerate() {
            let bad = BadSuccessor::Vote(vote.holder.0);
            let before = place.checked_sub(1).and_then(|before| other.votes.get(before));
            let seat = committee.get(usize::from(vote.holder.0));
            let signed = seat.is_some_and(|seat| verify(&seat.holder, &digest, &vote.signature));
            if !signed || before.is_some_and(|before| before.holder >= vote.holder) {
                return Err(bad);
            }
        }
        let got = other.votes.len();
        if got < needed { Err(BadSuccessor::TooFewVotes { got, needed }) } else { Ok(()) }
    }

    /// Whether another roster is of the same federation and authority, and has the same coordinator and
    /// committee.
    #[must_use]
    pub fn is_of_same_seats(&self, other: &Self) -> bool {
        let seats = |roster: &Self| {
            let seated = |member: &&Member| matches!(member.role, Role::Coordinator | Role::Holder);
            roster.members.iter().filter(seated).cloned().collect::<Vec<_>>()
        };
        self.federation == other.federation
            && self.authority == other.authority
            && seats(self) == seats(other)
    }

    fn check_same_seats(&self, other: &Self) -> Result<(), BadSuccessor> {
        other.validate()?;
        let (ours, theirs) = (self.number, other.number);
        if self.federation != other.federation || self.authority != other.authority {
            return Err(BadSuccessor::OtherFederation);
        }
        if theirs <= ours {
            return Err(BadSuccessor::NotNewer { ours, theirs });
        }
        if !self.is_of_same_seats(other) {
            return Err(BadSuccessor::Seats);
        }
        let got = wire::encode(other).len();
        if got > ROSTER_BYTES_MAX { Err(BadSuccessor::Long { got }) } else { Ok(()) }
    }

    /// Who comes and who leaves with `next`.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Changes {
        let only = |these: &Self, those: &Self| {
            let those: BTreeSet<_> =
                those.members.iter().map(|one| (&one.name, one.id, one.role)).collect();
            let is_new = |one: &&Member| !those.contains(&(&one.name, one.id, one.role));
            these.members.iter().filter(is_new).cloned().collect()
        };
        Changes { joined: only(next, self), left: only(self, next) }
    }
}

/// A holder's signature of a roster, by its digest.
#[must_use]
pub fn sign(identity: &Identity, roster: &Digest) -> Signature {
    identity.sign(Statement::Roster, roster, &roster.0)
}

/// Whether `holder` signed a roster, by its digest.
#[must_use]
pub fn verify(holder: &PartyId, roster: &Digest, signature: &Signature) -> bool {
    holder.verify(Statement::Roster, roster, &roster.0, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HolderIndex;
    use crate::fixture::Federation;

    fn certified(federation: &Federation, roster: Roster, holders: &[u8]) -> CertifiedRoster {
        let digest = roster.digest();
        let vote = |&holder: &u8| Vote {
            holder: HolderIndex(holder),
            signature: sign(&federation.holders[usize::from(holder)], &digest),
        };
        CertifiedRoster { votes: holders.iter().map(vote).collect(), roster }
    }

    /// The founding roster without its last owner, and the next one with it.
    fn pair(federation: &Federation) -> (Roster, Roster) {
        let mut first = federation.roster.clone();
        let newcomer = first.members.pop().expect("an owner");
        let members = first.members.iter().cloned().chain([newcomer]).collect();
        let next = first.next(1, members);
        (first, next)
    }

    #[test]
    fn a_roster_signed_by_a_quorum_counts() {
        let federation = Federation::new();
        let (first, next) = pair(&federation);
        assert_eq!(first.check_next(&next), Ok(()));
        for holders in [&[0, 1, 2][..], &[0, 1, 2, 3], &[1, 2, 3]] {
            let newer = certified(&federation, next.clone(), holders);
            assert_eq!(first.check_newer(&newer), Ok(()));
        }
        let changes = first.changes(&next);
        assert_eq!((changes.joined.len(), changes.left.len()), (1, 0));
        let back = next.changes(&first);
        assert_eq!((back.joined.len(), back.left.len()), (0, 1));
    }

    #[test]
    fn without_a_quorum_no_roster_counts() {
        let federation = Federation::new();
        let (first, next) = pair(&federation);
        let check = |votes: &[u8]| first.check_newer(&certified(&federation, next.clone(), votes));
        assert_eq!(check(&[0, 1]), Err(BadSuccessor::TooFewVotes { got: 2, needed: 3 }));
        assert_eq!(check(&[0, 1, 1]), Err(BadSuccessor::Vote(1)));
        assert_eq!(check(&[0, 2, 1]), Err(BadSuccessor::Vote(1)));
        let mut forged = certified(&federation, next.clone(), &[0, 1, 2]);
        forged.votes[2].holder = HolderIndex(3);
        assert_eq!(first.check_newer(&forged), Err(BadSuccessor::Vote(3)));
        forged.votes[2].holder = HolderIndex(9);
        assert_eq!(first.check_newer(&forged), Err(BadSuccessor::Vote(9)));
        let mut other = certified(&federation, next, &[0, 1, 2]);
        other.roster.members.pop();
        assert_eq!(first.check_newer(&other), Err(BadSuccessor::Vote(0)), "another roster's");
    }

    #[test]
    fn an_older_roster_a_fork_or_another_committee_is_not_signed() {
        let federation = Federation::new();
        let (first, next) = pair(&federation);
        let changed = |change: fn(&mut Roster)| {
            let mut roster = next.clone();
            change(&mut roster);
            first.check_next(&roster)
        };
        let not_newer = BadSuccessor::NotNewer { ours: 0, theirs: 0 };
        assert_eq!(changed(|roster| roster.number = 0), Err(not_newer));
        assert_eq!(changed(|one| one.previous = Digest::ZERO), Err(BadSuccessor::OtherPrevious));
        assert_eq!(changed(|one| one.authority = Digest::ZERO), Err(BadSuccessor::OtherFederation));
        assert_eq!(changed(|one| one.members.swap(1, 2)), Err(BadSuccessor::Seats));
        assert_eq!(
            changed(|one| one.members[0].id = PartyId([7; 32])),
            Err(BadSuccessor::Seats),
            "the coordinator"
        );
        let invalid = changed(|one| one.members[6].name = one.members[5].name.clone());
        assert!(matches!(invalid, Err(BadSuccessor::Invalid(BadRoster::Twice(_)))));
        let crowd = |roster: &mut Roster| {
            let owner = roster.members[5].clone();
            roster.members.extend((0..30_000_u32).map(|index| {
                let mut id = [9; 32];
                id[..4].copy_from_slice(&index.to_le_bytes());
                let name = format!("crowd-{index}").parse().expect("a name");
                Member { name, id: PartyId(id), ..owner.clone() }
            }));
        };
        assert!(matches!(changed(crowd), Err(BadSuccessor::Long { .. })));
    }
}
