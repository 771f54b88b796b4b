//! Whose signatures make a checkpoint final: the log's own, and those of enough witnesses.
//!
//! The log's key is the coordinator's, under the federation's name; the witnesses are the key holders,
//! under the federation's name, a slash and their own. All of them are in the founding roster, which
//! every member has pinned, so nobody else is asked whom to trust.

use std::collections::BTreeMap;

use covey_aggregation::config::CommitteeShape;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::roster::Roster;

use crate::checkpoint::{BadCheckpoint, Checkpoint};
use crate::cosignature::{self, BadCosignature};
use crate::note::{Algorithm, KeyName, Note, VerifierKey};

/// A log's key, its witnesses, and how many of them are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    log: VerifierKey,
    witnesses: Vec<VerifierKey>,
    needed: usize,
}

/// No such quorum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuorum {
    /// A key that does not sign as its place asks.
    #[error("the key {0} signs in another way than its place asks")]
    Algorithm(KeyName),
    /// A name or key that occurs twice.
    #[error("the witness {0} occurs twice, by name or by key")]
    Twice(KeyName),
    /// None is needed, or more than there are.
    #[error("{needed} of {witnesses} witnesses is no quorum")]
    Needed {
        /// Asked for.
        needed: usize,
        /// There are.
        witnesses: usize,
    },
    /// The roster has no coordinator or no committee.
    #[error("the roster has no coordinator, or no committee of 4 or 7")]
    Roster,
}

/// A checkpoint that the log has signed, and which witnesses cosigned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// With all signatures.
    pub note: Note,
    /// The witnesses and when each of them cosigned last, in seconds since 1970.
    pub witnesses: BTreeMap<KeyName, u64>,
    /// Signature lines of keys that are not known here, which say nothing.
    pub unknown: usize,
}

/// A checkpoint that is not final, or none of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFinal {
    /// No checkpoint at all.
    #[error(transparent)]
    Malformed(#[from] BadCheckpoint),
    /// Of another log.
    #[error("the checkpoint is of {got}, this log is {expected}")]
    Origin {
        /// What it says.
        got: KeyName,
        /// Ours.
        expected: KeyName,
    },
    /// Without a signature of the log that holds.
    #[error("the log {log} has not signed this checkpoint")]
    Unsigned {
        /// Ours.
        log: KeyName,
    },
    /// A known key's signature that does not hold.
    #[error(transparent)]
    Cosignature(#[from] BadCosignature),
    /// Too few witnesses.
    #[error("{got} witnesses have cosigned, {needed} are needed")]
    TooFew {
        /// So many.
        got: usize,
        /// Of them.
        needed: usize,
    },
}

impl Quorum {
    /// Of a log and its witnesses.
    ///
    /// # Errors
    /// [`BadQuorum`], by the first fault.
    pub fn new(
        log: VerifierKey,
        witnesses: Vec<VerifierKey>,
        needed: usize,
    ) -> Result<Self, BadQuorum> {
        if log.algorithm != Algorithm::Ed25519 {
            return Err(BadQuorum::Algorithm(log.name));
        }
        for (place, witness) in witnesses.iter().enumerate() {
            if witness.algorithm != Algorithm::Cosignature {
                return Err(BadQuorum::Algorithm(witness.name.clone()));
            }
            // A cosignature does not say its witness's name, so each has a key of its own.
            let is_same =
                |other: &VerifierKey| other.name == witness.name || other.key == witness.key;
            if witnesses.iter().take(place).any(is_same) || is_same(&log) {
                return Err(BadQuorum::Twice(witness.name.clone()));
            }
        }
        if !(1..=witnesses.len()).contains(&needed) {
            return Err(BadQuorum::Needed { needed, witnesses: witnesses.len() });
        }
        Ok(Self { log, witnesses, needed })
    }

    /// Of a federation, by its roster; the founding one's coordinator and committee are those of all.
    ///
    /// # Errors
    /// [`BadQuorum`] when the roster is none that rounds are run with.
    pub fn of_roster(roster: &Roster) -> Result<Self, BadQuorum> {
        let coordinator = roster.coordinator().ok_or(BadQuorum::Roster)?;
        let log = VerifierKey::new(origin(&roster.federation)?, Algorithm::Ed25519, coordinator);
        let witnesses = roster.with_role(Role::Holder).map(|holder| {
            let name = witness_name(&roster.federation, &holder.name)?;
            Ok(VerifierKey::new(name, Algorithm::Cosignature, holder.id))
        });
        let witnesses: Vec<_> = witnesses.collect::<Result<_, BadQuorum>>()?;
        let shape = CommitteeShape::of_members(witnesses.len()).ok_or(BadQuorum::Roster)?;
        Self::new(log, witnesses, shape.quorum())
    }

    /// The log's key; its name is the log's origin.
    #[must_use]
    pub const fn log(&self) -> &VerifierKey {
        &self.log
    }

    /// The witnesses' keys.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// How many witnesses make a checkpoint final.
    #[must_use]
    pub const fn needed(&self) -> usize {
        self.needed
    }

    /// Checks that a checkpoint is this log's and final.
    ///
    /// # Errors
    /// [`NotFinal`], by the first fault.
    pub fn check(&self, bytes: &[u8]) -> Result<Cosigned, NotFinal> {
        let cosigned = self.check_signed(bytes)?;
        let (got, needed) = (cosigned.witnesses.len(), self.needed);
        if got < needed { Err(NotFinal::TooFew { got, needed }) } else { Ok(cosigned) }
    }

    /// Checks that a checkpoint is this log's, signed by it, and has no false cosignature, however few
    /// there are. Signatures of unknown keys are counted and otherwise ignored, as the specification
    /// asks.
    ///
    /// # Errors
    /// [`NotFinal`], by the first fault; never [`NotFinal::TooFew`].
    pub fn check_signed(&self, bytes: &[u8]) -> Result<Cosigned, NotFinal> {
        let (checkpoint, note) = Checkpoint::parse(bytes)?;
        let (got, expected) = (checkpoint.origin.clone(), self.log.name.clone());
        if got != expected {
            return Err(NotFinal::Origin { got, expected });
        }
        if !note.is_signed_by(&self.log) {
            return Err(NotFinal::Unsigned { log: expected });
        }
        let (mut witnesses, mut unknown) = (BTreeMap::new(), 0);
        for line in note.signatures().iter().filter(|line| !self.log.is_of(line)) {
            if let Some(key) = self.witnesses.iter().find(|key| key.is_of(line)) {
                let time_s = cosignature::check(note.text(), key, line)?;
                let last = witnesses.entry(key.name.clone()).or_insert(time_s);
                *last = time_s.max(*last);
            } else {
                unknown += 1;
            }
        }
        Ok(Cosigned { checkpoint, note, witnesses, unknown })
    }
}

/// The name of a federation's log and of its key.
///
/// # Errors
/// [`BadQuorum::Roster`] for no name that there is: a federation's is always one of a key.
pub fn origin(federation: &Name) -> Result<KeyName, BadQuorum> {
    federation.as_str().parse().map_err(|_| BadQuorum::Roster)
}

/// The name of a key holder's key as a witness.
///
/// # Errors
/// [`BadQuorum::Roster`] for no names that there are: two names and a slash are always one of a key.
pub fn witness_name(federation: &Name, holder: &Name) -> Result<KeyName, BadQuorum> {
    format!("{federation}/{holder}").parse().map_err(|_| BadQuorum::Roster)
}

#[cfg(test)]
mod tests {
    use covey_aggregation::hash::Digest;
    use covey_aggregation::roster::Member;
    use covey_aggregation::signing::Identity;
    use zeroize::Zeroizing;

    use crate::checkpoint::TreeHead;
    use crate::cosignature::cosign;
    use crate::note::SignatureLine;
    use crate::tree::leaf_hash;

    use super::*;

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(&Zeroizing::new([seed; 32]))
    }

    fn name(text: &str) -> KeyName {
        text.parse().expect("a name")
    }

    fn witness(number: u8) -> VerifierKey {
        let name = name(&format!("fed/holder-{number}"));
        VerifierKey::new(name, Algorithm::Cosignature, identity(number).id())
    }

    fn log() -> VerifierKey {
        VerifierKey::new(name("fed"), Algorithm::Ed25519, identity(100).id())
    }

    /// Three of four.
    fn quorum() -> Quorum {
        Quorum::new(log(), (0..4).map(witness).collect(), 3).expect("a quorum")
    }

    fn signed(origin: &str) -> Note {
        let head = TreeHead { size: 1, root: leaf_hash(b"entry") };
        Checkpoint::new(name(origin), head).sign(&identity(100)).expect("a checkpoint")
    }

    fn cosigned(witnesses: &[u8]) -> Note {
        let mut note = signed("fed");
        for number in witnesses {
            let time_s = 1_000 + u64::from(*number);
            let line = cosign(note.text(), witness(*number).name, time_s, &identity(*number));
            note.push(line.expect("a text")).expect("room");
        }
        note
    }

    fn bytes(note: &Note) -> Vec<u8> {
        note.to_string().into_bytes()
    }

    #[test]
    fn three_of_four_witnesses_make_a_checkpoint_final() {
        let cosigned = quorum().check(&bytes(&cosigned(&[0, 2, 3]))).expect("final");
        assert_eq!(cosigned.checkpoint.head.size, 1);
        let times: Vec<_> = cosigned.witnesses.values().copied().collect();
        assert_eq!((times, cosigned.unknown), (vec![1_000, 1_002, 1_003], 0));
    }

    #[test]
    fn two_of_them_or_one_twice_do_not() {
        let few = Err(NotFinal::TooFew { got: 2, needed: 3 });
        let two = cosigned(&[0, 1]);
        assert_eq!(quorum().check(&bytes(&two)), few);
        let again = cosign(two.text(), witness(1).name, 2_000, &identity(1)).expect("a text");
        let mut three_lines = two.clone();
        three_lines.push(again).expect("room");
        assert_eq!(quorum().check(&bytes(&three_lines)), few);
        let signed = quorum().check_signed(&bytes(&three_lines)).expect("signed");
        assert_eq!(signed.witnesses.get(&witness(1).name), Some(&2_000), "the later of its times");
    }

    #[test]
    fn lines_of_unknown_keys_say_nothing_and_false_ones_of_known_keys_are_refused() {
        let mut note = cosigned(&[0, 1, 2]);
        let stranger = cosign(note.text(), name("fed/holder-9"), 1, &identity(9)).expect("a text");
        note.push(stranger).expect("room");
        assert_eq!(quorum().check(&bytes(&note)).map(|cosigned| cosigned.unknown), Ok(1));
        let mut forged = cosign(note.text(), witness(3).name, 1, &identity(3)).expect("a text");
        forged.signature[20] ^= 1;
        note.push(forged).expect("room");
        let bad = BadCosignature { witness: witness(3).name };
        assert_eq!(quorum().check(&bytes(&note)), Err(NotFinal::Cosignature(bad)));
    }

    #[test]
    fn a_checkpoint_of_another_log_or_without_its_signature_is_refused() {
        let (got, expected) = (name("other"), name("fed"));
        assert_eq!(
            quorum().check(&bytes(&signed("other"))),
            Err(NotFinal::Origin { got, expected: expected.clone() })
        );
        let unsigned = NotFinal::Unsigned { log: expected };
        let note = cosigned(&[0, 1, 2]);
        let text = bytes(&note);
        let text = String::from_utf8(text).expect("text");
        let log_line = note.signatures()[0].to_string();
        let without = text.replace(&format!("{log_line}\n"), "");
        assert_eq!(quorum().check(without.as_bytes()), Err(unsigned.clone()));
        let line = note.signatures()[0].clone();
        let mut forged = line.signature.clone();
        forged[0] ^= 1;
        let forged = SignatureLine { signature: forged, ..line };
        let forged = text.replace(&log_line, &forged.to_string());
        assert_eq!(quorum().check(forged.as_bytes()), Err(unsigned));
    }

    #[test]
    fn a_federations_coordinator_signs_and_its_committee_cosigns() {
        let member = |name: &str, seed: u8, role: Role| Member {
            name: name.parse().expect("a name"),
            id: identity(seed).id(),
            role,
            sealing_key: None,
        };
        let mut members = vec![member("hub", 100, Role::Coordinator)];
        let holders = (0..4).map(|seed| member(&format!("holder-{seed}"), seed, Role::Holder));
        members.extend(holders);
        members.push(member("ada", 50, Role::DataOwner));
        let federation: Name = "fed".parse().expect("a name");
        let mut roster = Roster::founding(federation, Digest::ZERO, members);
        assert_eq!(Quorum::of_roster(&roster), Ok(quorum()));
        roster.members.remove(1);
        assert_eq!(Quorum::of_roster(&roster), Err(BadQuorum::Roster), "three holders");
        roster.members.remove(0);
        assert_eq!(Quorum::of_roster(&roster), Err(BadQuorum::Roster), "no coordinator");
    }

    #[test]
    fn quorums_that_cannot_be_are_refused() {
        let needed = |needed| Quorum::new(log(), vec![witness(0), witness(1)], needed);
        assert!(needed(1).is_ok() && needed(2).is_ok());
        for bad in [0, 3] {
            assert_eq!(needed(bad), Err(BadQuorum::Needed { needed: bad, witnesses: 2 }));
        }
        let twice = VerifierKey { name: name("another"), ..witness(0) };
        let witnesses = vec![witness(0), twice.clone()];
        assert_eq!(Quorum::new(log(), witnesses, 1), Err(BadQuorum::Twice(twice.name)));
        let algorithm = BadQuorum::Algorithm(log().name);
        assert_eq!(Quorum::new(log(), vec![log()], 1), Err(algorithm));
        let algorithm = BadQuorum::Algorithm(witness(0).name);
        assert_eq!(Quorum::new(witness(0), vec![witness(1)], 1), Err(algorithm));
    }
}
