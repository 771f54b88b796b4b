//! The committee: how many holders, who knows which part of a key, and where clients seal to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::party::PartyId;

/// m holders of which f may be corrupt or missing, and Q = floor((m + f) / 2) + 1 votes certify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitteeShape {
    /// m = 4, f = 1, Q = 3.
    Four,
    /// m = 7, f = 2, Q = 5.
    Seven,
}

impl CommitteeShape {
    /// The shape with this many members.
    #[must_use]
    pub const fn of_members(members: usize) -> Option<Self> {
        match members {
            4 => Some(Self::Four),
            7 => Some(Self::Seven),
            _ => None,
        }
    }

    /// m.
    #[must_use]
    pub const fn members(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Seven => 7,
        }
    }

    /// f.
    #[must_use]
    pub const fn faults(self) -> usize {
        match self {
            Self::Four => 1,
            Self::Seven => 2,
        }
    }

    /// Q.
    #[must_use]
    pub const fn quorum(self) -> usize {
        usize::midpoint(self.members(), self.faults()) + 1
    }

    /// The components T of a shared key in canonical order: ascending bit masks of the f holders
    /// that do *not* know the component (bit h set: holder h lacks it).
    #[must_use]
    pub fn components(self) -> Vec<Component> {
        (0u16..1 << self.members())
            .filter(|mask| mask.count_ones() as usize == self.faults())
            .map(Component)
            .collect()
    }

    /// The components that holder `holder` knows, in canonical order.
    #[must_use]
    pub fn components_of(self, holder: HolderIndex) -> Vec<Component> {
        self.components().into_iter().filter(|component| component.known_to(holder)).collect()
    }
}

/// A holder's place in the committee, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HolderIndex(pub u8);

/// One component of a shared key, named by the holders that lack it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Component(pub u16);

impl Component {
    /// Whether `holder` knows this component.
    #[must_use]
    pub const fn known_to(self, holder: HolderIndex) -> bool {
        match self.0.checked_shr(holder.0 as u32) {
            Some(rest) => rest & 1 == 0,
            None => false,
        }
    }
}

/// A holder's public keys for sealed boxes: ML-KEM-768 (FIPS 203) and X25519 (RFC 7748).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey {
    /// ML-KEM-768 encapsulation key, 1184 bytes. Shared: it stands in the terms of every round, and
    /// a program may hold many copies of those.
    #[serde(with = "shared_bytes")]
    pub ml_kem: Arc<Vec<u8>>,
    /// X25519 public key.
    pub x25519: [u8; 32],
}

/// A shared byte string, on the wire as any other.
mod shared_bytes {
    use std::sync::Arc;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Arc<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Vec<u8>>, D::Error> {
        serde_bytes::deserialize(deserializer).map(Arc::new)
    }
}

/// One seat of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Who signs.
    pub holder: PartyId,
    /// Where clients seal to.
    pub sealing_key: SealingKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_is_more_than_half_of_members_and_faults() {
        assert_eq!(CommitteeShape::Four.quorum(), 3);
        assert_eq!(CommitteeShape::Seven.quorum(), 5);
        assert_eq!(CommitteeShape::Four.components().len(), 4);
        assert_eq!(CommitteeShape::Seven.components().len(), 21);
        assert_eq!(CommitteeShape::Four.components_of(HolderIndex(2)).len(), 3);
        assert_eq!(CommitteeShape::Seven.components_of(HolderIndex(0)).len(), 15);
    }
}
