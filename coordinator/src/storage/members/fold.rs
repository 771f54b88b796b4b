//! Who the next roster holds: the one in force, and what has happened since.

use covey_aggregation::party::Role;
use covey_aggregation::roster::{Member, Roster};

use super::{MemberEntry, Standing};

/// The members of the next roster; none where nothing has changed. Holders and the coordinator stay.
#[must_use]
pub fn next_members(current: &Roster, entries: &[MemberEntry]) -> Option<Vec<Member>> {
    let is_gone = |member: &Member| {
        entries.iter().any(|entry| entry.member.id == member.id && entry.standing.is_shut_out())
    };
    let stays = |member: &&Member| is_seated(member.role) || !is_gone(member);
    let mut members: Vec<Member> = current.members.iter().filter(stays).cloned().collect();
    let newcomers = entries
        .iter()
        .filter(|entry| entry.standing == Standing::Approved && !is_seated(entry.member.role));
    for entry in newcomers {
        let is_taken = |one: &Member| one.id == entry.member.id || one.name == entry.member.name;
        if !members.iter().any(is_taken) {
            members.push(entry.member.clone());
        }
    }
    (members != current.members).then_some(members)
}

/// The members of a founding roster whose committee is to have `holders`: holders take their seats in
/// the order in which they joined, and nobody else comes in before all have. None where nothing has
/// changed.
#[must_use]
pub fn founded(current: &Roster, entries: &[MemberEntry], holders: usize) -> Option<Vec<Member>> {
    let mut members = current.members.clone();
    let approved = |entry: &&MemberEntry| {
        entry.standing == Standing::Approved && entry.member.role == Role::Holder
    };
    for entry in entries.iter().filter(approved) {
        let seated = members.iter().filter(|one| one.role == Role::Holder).count();
        let is_taken = |one: &Member| one.id == entry.member.id || one.name == entry.member.name;
        if seated < holders && !members.iter().any(is_taken) {
            members.push(entry.member.clone());
        }
    }
    (members != current.members).then_some(members)
}

const fn is_seated(role: Role) -> bool {
    matches!(role, Role::Coordinator | Role::Holder)
}

#[cfg(test)]
mod tests {
    use covey_aggregation::config::SealingKey;
    use covey_aggregation::hash::Digest;
    use covey_aggregation::party::PartyId;

    use super::*;

    fn member(name: &str, id: u8, role: Role) -> Member {
        let key = || SealingKey { ml_kem: vec![1; 1184].into(), x25519: [2; 32] };
        let sealing_key = (role == Role::Holder).then(key);
        Member { name: name.parse().expect("a name"), id: PartyId([id; 32]), role, sealing_key }
    }

    fn entry(member: Member, standing: Standing) -> MemberEntry {
        MemberEntry { member, standing, since_s: 0 }
    }

    fn roster(members: Vec<Member>) -> Roster {
        Roster::founding("test".parse().expect("a name"), Digest::ZERO, members)
    }

    fn names(members: Option<Vec<Member>>) -> Vec<String> {
        members.expect("a change").iter().map(|member| member.name.to_string()).collect()
    }

    #[test]
    fn owners_come_when_they_are_approved_and_go_when_they_are_shut_out() {
        let (ada, bob) = (member("ada", 2, Role::DataOwner), member("bob", 3, Role::DataOwner));
        let current = roster(vec![member("c", 1, Role::Coordinator), ada.clone()]);
        assert_eq!(next_members(&current, &[]), None);
        assert_eq!(next_members(&current, &[entry(bob.clone(), Standing::Waiting)]), None);
        assert_eq!(next_members(&current, &[entry(ada.clone(), Standing::Approved)]), None);
        let come = next_members(&current, &[entry(bob.clone(), Standing::Approved)]);
        assert_eq!(names(come), ["c", "ada", "bob"]);
        for gone in [Standing::Suspended, Standing::Revoked, Standing::Left] {
            let swapped = [entry(ada.clone(), gone), entry(bob.clone(), Standing::Approved)];
            assert_eq!(names(next_members(&current, &swapped)), ["c", "bob"]);
        }
        // A new key under a name that is free again.
        let again = entry(member("ada", 4, Role::DataOwner), Standing::Approved);
        let renamed = next_members(&current, &[entry(ada, Standing::Revoked), again]);
        assert_eq!(renamed.expect("a change")[1].id, PartyId([4; 32]));
    }

    #[test]
    fn a_committee_stays_as_it_was_founded() {
        let holder = |id| member(&format!("kh-{id}"), id, Role::Holder);
        let current = roster(vec![member("c", 1, Role::Coordinator), holder(2)]);
        assert_eq!(next_members(&current, &[entry(holder(3), Standing::Approved)]), None);
        assert_eq!(next_members(&current, &[entry(holder(2), Standing::Revoked)]), None);
        let joined = [entry(holder(4), Standing::Approved), entry(holder(3), Standing::Approved)];
        assert_eq!(names(founded(&current, &joined, 4)), ["c", "kh-2", "kh-4", "kh-3"]);
        assert_eq!(names(founded(&current, &joined, 2)), ["c", "kh-2", "kh-4"]);
        assert_eq!(founded(&current, &joined, 1), None);
        let owner = [entry(member("ada", 9, Role::DataOwner), Standing::Approved)];
        assert_eq!(founded(&current, &owner, 4), None);
    }
}
