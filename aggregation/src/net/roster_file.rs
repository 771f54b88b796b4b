//! The roster as people read it: JSON with whole keys in hexadecimal. The digest in it is for
//! reading aloud over the telephone; it is recomputed, never believed.

use std::fmt;
use std::path::Path;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::hash::Digest;
use crate::limits::MEMBER_FILE_BYTES_MAX;
use crate::net::files::{self, FileError};
use crate::net::request::sealing_key_from_hex;
use crate::net::text::{party_from_hex, party_to_hex, to_hex};
use crate::party::{Name, Role};
use crate::roster::{Member, Roster};

/// The file's name in a member's folder.
pub const ROSTER_FILE: &str = "roster.json";

const SCHEMA: &str = "covey-roster/1";

#[derive(Serialize)]
struct RosterText {
    schema: &'static str,
    federation: Name,
    digest: String,
    authority: String,
    number: u32,
    previous: String,
    members: Vec<MemberText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterRead {
    schema: String,
    federation: Name,
    digest: String,
    authority: String,
    number: u32,
    previous: String,
    members: Members,
}

/// Members, each checked as it is read: a long list of what is none is refused at its first, and
/// no list of texts is held beside them.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneByOne;

        impl<'de> Visitor<'de> for OneByOne {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of members")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(text) = texts.next_element()? {
                    members.push(member(text).map_err(A::Error::custom)?);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_seq(OneByOne)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberText {
    name: Name,
    role: Role,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sealing_key: Option<SealingKeyText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealingKeyText {
    ml_kem: String,
    x25519: String,
}

/// A newcomer cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdded {
    /// Its name is taken by another key.
    #[error("the name {0} belongs to another member; ask for a request with another name")]
    NameTaken(Name),
    /// Its key is enrolled under another name or role.
    #[error("this key is enrolled already, as {name} ({role})")]
    KeyTaken {
        /// The name it has.
        name: Name,
        /// The role it has.
        role: Role,
    },
}

/// Adds a newcomer at the end of the roster. Says whether it is new: enrolling the same member
/// twice changes nothing.
///
/// # Errors
/// [`NotAdded`].
pub fn add_member(roster: &mut Roster, member: &Member) -> Result<bool, NotAdded> {
    if roster.members.contains(member) {
        return Ok(false);
    }
    if let Some(other) = roster.member(&member.id) {
        return Err(NotAdded::KeyTaken { name: other.name.clone(), role: other.role });
    }
    if roster.members.iter().any(|other| other.name == member.name) {
        return Err(NotAdded::NameTaken(member.name.clone()));
    }
    roster.members.push(member.clone());
    Ok(true)
}

/// Writes a roster, durably.
///
/// # Errors
/// [`FileError::Write`].
pub fn write_roster(path: &Path, roster: &Roster) -> Result<(), FileError> {
    files::write_durably(path, to_json(roster).as_bytes())
}

/// Reads a roster. Does not ask whether rounds can be run with it ([`Roster::validate`]).
///
/// # Errors
/// [`FileError`], also when the digest in the file is not that of its content.
pub fn read_roster(path: &Path) -> Result<Roster, FileError> {
    from_json(&files::read_text(path, MEMBER_FILE_BYTES_MAX)?)
        .map_err(|what| FileError::content(path, what))
}

/// The roster as JSON text.
#[must_use]
pub fn to_json(roster: &Roster) -> String {
    let members = roster.members.iter().map(|member| MemberText {
        name: member.name.clone(),
        role: member.role,
        id: party_to_hex(&member.id),
        sealing_key: member
            .sealing_key
            .as_ref()
            .map(|key| SealingKeyText { ml_kem: to_hex(&key.ml_kem), x25519: to_hex(&key.x25519) }),
    });
    let text = RosterText {
        schema: SCHEMA,
        federation: roster.federation.clone(),
        digest: roster.digest().to_string(),
        authority: roster.authority.to_string(),
        number: roster.number,
        previous: roster.previous.to_string(),
        members: members.collect(),
    };
    let mut json = serde_json::to_string_pretty(&text).unwrap_or_default();
    json.push('\n');
    json
}

/// Reads the text of a roster file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn from_json(text: &str) -> Result<Roster, String> {
    let text: RosterRead = serde_json::from_str(text)
        .map_err(|error| format!("not a roster of this version: {error}"))?;
    if text.schema != SCHEMA {
        return Err(format!("schema {:?}, not {SCHEMA:?}", text.schema));
    }
    let authority = Digest::from_hex(&text.authority).ok_or("\"authority\" is no digest")?;
    let previous = Digest::from_hex(&text.previous).ok_or("\"previous\" is no digest")?;
    let RosterRead { federation, number, members: Members(members), digest: said, .. } = text;
    let roster = Roster { federation, authority, number, previous, members };
    let digest = roster.digest().to_string();
    if digest == said {
        Ok(roster)
    } else {
        Err(format!("the roster was edited: it says digest {said}, its content has {digest}"))
    }
}

fn member(text: MemberText) -> Result<Member, String> {
    let MemberText { name, role, id, sealing_key } = text;
    let id = party_from_hex(&id).ok_or_else(|| format!("member {name}: \"id\" is no key"))?;
    let sealing_key = sealing_key
        .map(|key| {
            sealing_key_from_hex(&key.ml_kem, &key.x25519)
                .ok_or_else(|| format!("member {name}: \"sealing_key\" holds no keys"))
        })
        .transpose()?;
    Ok(Member { name, id, role, sealing_key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SealingKey;
    use crate::party::PartyId;

    fn roster() -> Roster {
        let member = |name: &str, id: u8, role, sealing_key| Member {
            name: name.parse().expect("a name"),
            id: PartyId([id; 32]),
            role,
            sealing_key,
        };
        let key = SealingKey { ml_kem: vec![1; 1184].into(), x25519: [2; 32] };
        Roster {
            federation: "test".parse().expect("a name"),
            authority: Digest([3; 32]),
            number: 7,
            previous: Digest([4; 32]),
            members: vec![
                member("c", 1, Role::Coordinator, None),
                member("kh-1", 2, Role::Holder, Some(key)),
                member("owner", 3, Role::DataOwner, None),
            ],
        }
    }

    #[test]
    fn a_roster_survives_its_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(ROSTER_FILE);
        write_roster(&path, &roster()).expect("written");
        assert_eq!(read_roster(&path).expect("read"), roster());
    }

    #[test]
    fn an_edited_roster_is_refused() {
        let text = to_json(&roster()).replace("data-owner", "coordinator");
        let what = from_json(&text).expect_err("refused");
        assert!(what.contains("was edited"), "{what}");
    }

    #[test]
    fn a_name_and_a_key_are_enrolled_once() {
        let mut roster = roster();
        let mut member = roster.members[2].clone();
        assert_eq!(add_member(&mut roster, &member), Ok(false));
        member.name = "other".parse().expect("a name");
        assert!(matches!(add_member(&mut roster, &member), Err(NotAdded::KeyTaken { .. })));
        member.id = PartyId([9; 32]);
        assert_eq!(add_member(&mut roster, &member), Ok(true));
        member.id = PartyId([10; 32]);
        assert!(matches!(add_member(&mut roster, &member), Err(NotAdded::NameTaken(_))));
    }
}
