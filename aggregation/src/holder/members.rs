//! What a holder says of the next roster: it signs each number once, in ascending order, and only what
//! follows from the roster that it has pinned. By which rule, or by whose word, is for the driver: it
//! comes with the question.

use crate::hash::Digest;
use crate::message::{FromHolder, Refusal, Vote};
use crate::record::HolderRecord;
use crate::roster::{Roster, succession};

use super::{Holder, No};

/// What the person who runs a holder, or the rule that they set, says of a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Sign it.
    Yes,
    /// Never sign it.
    No,
    /// Nobody has said yet.
    Open,
}

/// The roster that was signed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignedRoster {
    number: u32,
    digest: Digest,
}

impl Holder {
    /// The coordinator asks for a signature of `next`; `approval` is what the person says.
    pub fn handle_roster(&mut self, next: &Roster, approval: Approval) {
        let digest = next.digest();
        let answer = self.approve(next, digest, approval);
        self.answer(digest, answer.map(|answer| vec![answer]));
    }

    fn approve(
        &mut self,
        next: &Roster,
        digest: Digest,
        approval: Approval,
    ) -> Result<FromHolder, No> {
        let number = next.number;
        let is_signed = match self.signed_roster {
            Some(signed) if signed.number == number && signed.digest != digest => {
                return Err(Refusal::Conflict.into());
            }
            Some(signed) if signed.number > number => return Err(Refusal::Replayed.into()),
            signed => signed.is_some_and(|signed| signed.digest == digest),
        };
        if !is_signed {
            let bad = |bad: succession::BadSuccessor| Refusal::Terms(bad.to_string());
            self.pinned.check_next(next).map_err(bad)?;
            match approval {
                Approval::Yes => {}
                Approval::No => return Err(Refusal::Disapproved.into()),
                Approval::Open => return Err(Refusal::Undecided.into()),
            }
            self.remember(HolderRecord::Approved { number, roster: digest });
        }
        let signature = succession::sign(&self.identity, &digest);
        let vote = Vote { holder: self.seat, signature };
        Ok(FromHolder::Approved { roster: digest, vote })
    }

    pub(super) fn follows_roster(&self, number: u32) -> bool {
        self.signed_roster.is_none_or(|signed| signed.number < number)
    }

    pub(super) const fn apply_roster(&mut self, number: u32, digest: Digest) {
        self.signed_roster = Some(SignedRoster { number, digest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Federation;
    use crate::holder::{HolderEffect, HolderError};
    use crate::roster::Member;

    /// Asks; returns the answer, and what was recorded first.
    fn ask(
        holder: &mut Holder,
        next: &Roster,
        approval: Approval,
    ) -> (Vec<HolderRecord>, FromHolder) {
        holder.handle_roster(next, approval);
        let mut records = Vec::new();
        loop {
            match holder.poll_effect().expect("an answer") {
                HolderEffect::Append { sequence, record } => {
                    records.push(record);
                    holder.handle_stored(sequence);
                }
                HolderEffect::Send(message) => return (records, message),
                other => panic!("{other:?}"),
            }
        }
    }

    fn without(roster: &Roster, number: u32, left: usize) -> Roster {
        let owners = |member: &Member| member.sealing_key.is_none();
        let last = roster.members.iter().rposition(owners).expect("an owner");
        let mut members = roster.members.clone();
        members.remove(last - left);
        roster.next(number, members)
    }

    fn refusal(message: FromHolder) -> Refusal {
        match message {
            FromHolder::Refused { refusal, .. } => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_roster_is_signed_once_it_is_approved_and_after_its_record() {
        let federation = Federation::new();
        let mut holder = federation.holder(0, &[]);
        let next = without(&federation.roster, 1, 0);
        let (records, no) = ask(&mut holder, &next, Approval::Open);
        assert_eq!((records.len(), refusal(no)), (0, Refusal::Undecided));
        let (records, no) = ask(&mut holder, &next, Approval::No);
        assert_eq!((records.len(), refusal(no)), (0, Refusal::Disapproved));
        let (records, yes) = ask(&mut holder, &next, Approval::Yes);
        let record = HolderRecord::Approved { number: 1, roster: next.digest() };
        assert_eq!(records, [record]);
        let FromHolder::Approved { roster, vote } = &yes else { panic!("{yes:?}") };
        assert_eq!(*roster, next.digest());
        assert!(succession::verify(&federation.holders[0].id(), roster, &vote.signature));
        // What is signed is signed, also after a restart, and needs no record again.
        let mut again = federation.holder(0, &[record]);
        assert_eq!(ask(&mut again, &next, Approval::Open), (Vec::new(), yes));
    }

    #[test]
    fn of_one_number_only_one_roster_is_signed_and_none_of_a_lower_one() {
        let federation = Federation::new();
        let first = without(&federation.roster, 4, 0);
        let record = HolderRecord::Approved { number: 4, roster: first.digest() };
        let mut holder = federation.holder(0, &[record]);
        let other = without(&federation.roster, 4, 1);
        let (_, no) = ask(&mut holder, &other, Approval::Yes);
        assert_eq!(refusal(no), Refusal::Conflict);
        let lower = without(&federation.roster, 3, 1);
        let (_, no) = ask(&mut holder, &lower, Approval::Yes);
        assert_eq!(refusal(no), Refusal::Replayed);
        let higher = without(&federation.roster, 5, 1);
        let (records, _) = ask(&mut holder, &higher, Approval::Yes);
        assert_eq!(records, [HolderRecord::Approved { number: 5, roster: higher.digest() }]);
        let mut fork = higher.clone();
        fork.number = 6;
        fork.previous = first.digest();
        let (_, no) = ask(&mut holder, &fork, Approval::Yes);
        assert!(matches!(refusal(no), Refusal::Terms(_)));
    }

    #[test]
    fn records_of_signed_rosters_ascend() {
        let federation = Federation::new();
        let record = |number| HolderRecord::Approved { number, roster: Digest::ZERO };
        let setup = || crate::holder::HolderSetup {
            identity: federation.holders[0].clone(),
            secret: federation.secrets[0].clone(),
            roster: federation.roster.clone(),
        };
        assert!(Holder::new(setup(), [record(1), record(3)]).is_ok());
        let twice = Holder::new(setup(), [record(1), record(1)]);
        assert!(matches!(twice, Err(HolderError::Corrupt(1))));
    }
}
