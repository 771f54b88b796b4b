//! Who attacks, and who has whose examples.

use covey_model::random::{shuffle, stream};

use super::{Attack, AttackKind};

/// What a client is in a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Role {
    /// What it does; nothing where it is honest.
    pub(crate) kind: Option<AttackKind>,
    /// What it has.
    pub(crate) share: Share,
}

/// A client's examples: of those of client `of`, every `parts`-th from number `part` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Whose they are.
    pub(crate) of: usize,
    /// From 0, below `parts`.
    pub(crate) part: usize,
    /// Among how many they are divided.
    pub(crate) parts: usize,
}

/// The role of each client.
pub(crate) fn cast(attacks: &[Attack], clients: usize, seed: u64) -> Vec<Role> {
    let mut order: Vec<usize> = (0..clients).collect();
    shuffle(&mut order, &mut stream("simulated-attackers", &[&seed.to_le_bytes()]));
    let own = |of| Role { kind: None, share: Share { of, part: 0, parts: 1 } };
    let mut roles: Vec<Role> = (0..clients).map(own).collect();
    let mut rest = order.as_slice();
    for attack in attacks {
        let drawn;
        (drawn, rest) = rest.split_at(attack.clients.min(rest.len()));
        for (place, &client) in drawn.iter().enumerate() {
            let role = &mut roles[client];
            role.kind = Some(attack.kind);
            match attack.kind {
                AttackKind::Duplicate => role.share.of = drawn[place - place % 2],
                AttackKind::Sybil => {
                    role.share = Share { of: drawn[0], part: place, parts: drawn.len() };
                }
                _ => {}
            }
        }
    }
    roles
}

impl Share {
    /// Of what `of` has.
    pub(crate) fn take(self, examples: impl Iterator<Item = usize>) -> Vec<usize> {
        examples.skip(self.part).step_by(self.parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<Attack> {
        texts.iter().map(|text| text.parse().expect("an attack")).collect()
    }

    #[test]
    fn so_many_clients_attack_as_was_asked_and_the_seed_says_who() {
        let attacks = read(&["label-flip:3", "noise:2"]);
        let roles = cast(&attacks, 50, 1);
        let count = |kind| roles.iter().filter(|one| one.kind == Some(kind)).count();
        assert_eq!((count(AttackKind::LabelFlip), count(AttackKind::Noise(0.1))), (3, 2));
        assert!(roles.iter().enumerate().all(|(client, role)| role.share.of == client));
        assert_eq!(roles, cast(&attacks, 50, 1));
        assert_ne!(roles, cast(&attacks, 50, 2));
    }

    #[test]
    fn duplicates_have_the_same_examples_two_by_two() {
        let roles = cast(&read(&["duplicate:4"]), 20, 3);
        let copies: Vec<_> = (0..20).filter(|client| roles[*client].share.of != *client).collect();
        assert_eq!(copies.len(), 2);
        let first = |copy: &usize| roles[*copy].share.of;
        assert!(copies.iter().all(|copy| roles[first(copy)].kind == Some(AttackKind::Duplicate)));
        assert_ne!(first(&copies[0]), first(&copies[1]));
    }

    #[test]
    fn one_owner_as_three_clients_has_no_more_than_one() {
        let roles = cast(&read(&["sybil:3", "free-rider:1"]), 20, 3);
        let sybils: Vec<_> =
            roles.iter().filter(|one| one.kind == Some(AttackKind::Sybil)).collect();
        assert!(sybils.iter().all(|one| one.share.of == sybils[0].share.of));
        let mut all: Vec<_> =
            sybils.iter().flat_map(|one| one.share.take([4, 5, 7, 8, 9].into_iter())).collect();
        all.sort_unstable();
        assert_eq!(all, [4, 5, 7, 8, 9]);
        // Another attack of the same kind is another owner.
        let roles = cast(&read(&["sybil:2", "sybil:2"]), 4, 3);
        let owners: std::collections::BTreeSet<_> = roles.iter().map(|one| one.share.of).collect();
        assert_eq!(owners.len(), 2);
    }
}
