//! Who takes part.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::limits::NAME_BYTES_MAX;

/// A party's public Ed25519 key; the name by which machines know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartyId(pub [u8; 32]);

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest(self.0).short())
    }
}

impl fmt::Debug for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartyId({self})")
    }
}

/// What a party may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The untrusted middle.
    Coordinator,
    /// A member of the committee.
    Holder,
    /// Holds private data and trains on it.
    DataOwner,
    /// Asks for runs and watches them; has no part in any round.
    Researcher,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Coordinator, Self::Holder, Self::DataOwner, Self::Researcher];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded: members are listed in columns.
        f.pad(match self {
            Self::Coordinator => "coordinator",
            Self::Holder => "holder",
            Self::DataOwner => "data-owner",
            Self::Researcher => "researcher",
        })
    }
}

/// A member's name: lower-case letters, digits, `-` and `.`, so that it is safe in file names,
/// certificates and pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no name: use 1 to {NAME_BYTES_MAX} lower-case letters, digits, '-' or '.', beginning with a letter or digit"
)]
pub struct BadName {
    /// What was given.
    pub text: String,
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let starts_well = text.bytes().next().is_some_and(plain);
        let is_plain = text.bytes().all(|c| plain(c) || c == b'-' || c == b'.');
        if starts_well && is_plain && text.len() <= NAME_BYTES_MAX {
            Ok(Self(text))
        } else {
            Err(BadName { text })
        }
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_roles_keep_to_their_column() {
        let name: Name = "ada".parse().expect("a name");
        assert_eq!(format!("{name:<6}|{:<11}|", Role::DataOwner), "ada   |data-owner |");
    }
}
