//! Members: who there is, and what each has said last.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::config::CommitteeShape;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::signing::Statement;

use super::records::{MemberRecord, Status};
use super::{Book, Refused};
use crate::entry::{Founding, Leaving, MemberJoined, MemberLeft, RosterProof};
use crate::statement::{BadStatement, Says, Signed};

/// Index and time of the entry at hand.
pub(super) type At = (u64, u64);

/// Checks what a federation needs to begin.
pub(super) fn check_founding(founding: &Founding) -> Result<(), Refused> {
    let shape = CommitteeShape::of_members(founding.holders.len());
    let shape = shape.ok_or(Refused::BadFounding("a committee has 4 or 7 holders"))?;
    if founding.quorum as usize != shape.quorum() {
        return Err(Refused::BadFounding("the quorum is not that of the committee"));
    }
    let all = everybody(founding);
    let names: BTreeSet<_> = all.iter().map(|(name, ..)| name).collect();
    let ids: BTreeSet<_> = all.iter().map(|(_, id, _)| id).collect();
    if names.len() != all.len() || ids.len() != all.len() {
        return Err(Refused::BadFounding("a name or a key occurs twice"));
    }
    let is_seat = |role| matches!(role, Role::Coordinator | Role::Holder);
    if founding.members.iter().any(|member| is_seat(member.role)) {
        return Err(Refused::BadFounding("a member has a role that needs a seat"));
    }
    let reviewers = &founding.reviewers;
    if !reviewers.is_sorted_by(|one, next| one < next) {
        return Err(Refused::Order("reviewers"));
    }
    if let Some(stranger) = reviewers.iter().find(|reviewer| !ids.contains(reviewer)) {
        return Err(Refused::UnknownMember(*stranger));
    }
    Ok(founding.charter.check(reviewers.len())?)
}

fn everybody(founding: &Founding) -> Vec<(Name, PartyId, Role)> {
    let coordinator = [(&founding.coordinator, Role::Coordinator)];
    let holders = founding.holders.iter().map(|holder| (holder, Role::Holder));
    let seats = coordinator.into_iter().chain(holders);
    let seats = seats.map(|(seat, role)| (seat.name.clone(), seat.id, role));
    let members = founding.members.iter().map(|one| (one.name.clone(), one.id, one.role));
    seats.chain(members).collect()
}

/// The members from the beginning.
pub(super) fn founders(founding: &Founding) -> BTreeMap<PartyId, MemberRecord> {
    let record = |(name, id, role)| (id, MemberRecord::new(name, id, role, 0));
    everybody(founding).into_iter().map(record).collect()
}

impl MemberRecord {
    fn new(name: Name, id: PartyId, role: Role, entry: u64) -> Self {
        Self {
            id,
            name,
            role,
            status: Status::Active,
            why: None,
            history: vec![entry],
            address: None,
            addresses: Vec::new(),
        }
    }
}

impl Book {
    pub(super) fn member_joined(
        &mut self,
        (index, _): At,
        body: &MemberJoined,
    ) -> Result<(), Refused> {
        let is_seat = matches!(body.role, Role::Coordinator | Role::Holder);
        if is_seat {
            let what = "joining a federation that is founded: seats stay as they are";
            return Err(Refused::MayNot { member: body.id, what });
        }
        let is_taken = |member: &MemberRecord| {
            let is_it = member.id == body.id || member.name == body.name;
            is_it && member.status == Status::Active
        };
        if self.members.values().any(is_taken) {
            return Err(Refused::MemberTwice(body.name.clone()));
        }
        if self.members.get(&body.id).is_some_and(|member| member.status == Status::Revoked) {
            return Err(Refused::MayNot { member: body.id, what: "with a key that is still good" });
        }
        self.check_roster(&body.roster)?;
        self.take_roster(&body.roster);
        let (id, name, role) = (body.id, body.name.clone(), body.role);
        match self.members.get_mut(&id) {
            Some(member) => {
                (member.name, member.role) = (name, role);
                (member.status, member.why) = (Status::Active, None);
                member.history.push(index);
            }
            None => {
                self.members.insert(id, MemberRecord::new(name, id, role, index));
            }
        }
        Ok(())
    }

    pub(super) fn member_left(&mut self, (index, _): At, body: &MemberLeft) -> Result<(), Refused> {
        let may_leave = |member: &MemberRecord| {
            let has_seat = matches!(member.role, Role::Coordinator | Role::Holder);
            member.status == Status::Active && !has_seat
        };
        self.member_who(&body.id, "a member without a seat", may_leave)?;
        self.check_roster(&body.roster)?;
        self.take_roster(&body.roster);
        if let Some(member) = self.members.get_mut(&body.id) {
            member.status = match body.how {
                Leaving::Suspended => Status::Suspended,
                Leaving::Revoked => Status::Revoked,
                Leaving::Left => Status::Left,
            };
            member.why = (!body.why.is_empty()).then(|| body.why.clone());
            member.history.push(index);
        }
        Ok(())
    }

    fn take_roster(&mut self, roster: &RosterProof) {
        self.roster = (roster.number, roster.digest);
        self.rosters.insert(roster.digest, roster.document);
    }

    /// Checks that a roster is the last one or a newer one, and certified.
    fn check_roster(&self, roster: &RosterProof) -> Result<(), Refused> {
        let (last, digest) = self.roster;
        let got = roster.number;
        if got < last || got == 0 || (got == last && roster.digest != digest) {
            return Err(Refused::Roster { got, last });
        }
        let signed = (&roster.digest, &roster.digest);
        self.check_votes("roster", Statement::Roster, signed, &roster.votes)
    }

    /// Checks a statement by a member whose status may be one of these, and that it is new.
    pub(super) fn check_signed(&self, signed: &Signed, may: &[Status]) -> Result<(), Refused> {
        signed.check(&self.founding.authority)?;
        let statement = &signed.statement;
        let what = "a member that may say this";
        self.member_who(&statement.member, what, |member| may.contains(&member.status))?;
        let key = (statement.member, statement.says.word());
        match self.numbers.get(&key) {
            Some(&last) if last >= statement.number => {
                Err(Refused::Replayed { got: statement.number, last })
            }
            _ => Ok(()),
        }
    }

    /// Remembers a statement that was taken.
    pub(super) fn remember(&mut self, signed: &Signed) {
        let statement = &signed.statement;
        self.numbers.insert((statement.member, statement.says.word()), statement.number);
    }

    /// Number of the last statement of this kind that a member made: the next one has a larger.
    #[must_use]
    pub fn last_number(&self, member: &PartyId, says: &Says) -> Option<u64> {
        self.numbers.get(&(*member, says.word())).copied()
    }

    pub(super) fn address_set(&mut self, (index, _): At, signed: &Signed) -> Result<(), Refused> {
        let Says::Address(set) = &signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active, Status::Suspended, Status::Left])?;
        self.remember(signed);
        if let Some(member) = self.members.get_mut(&signed.statement.member) {
            member.addresses.push((index, set.address));
            member.address = set.address.map(|address| (address, index));
        }
        Ok(())
    }
}
