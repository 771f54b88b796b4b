//! An invite: one line of text that makes one person a member in one role under one name, once, for a
//! while. It names the federation's authority, so that whoever uses it talks to that federation's
//! coordinator and to nobody else (no trust on first use), and a secret that the coordinator keeps only
//! a digest of.
//!
//! ```text
//! COVEY1-<base64url of the fields>-<eight hexadecimal digits that catch a typing error>
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hash::{Digest, Domain, hash};
use crate::party::{Name, Role};
use crate::wire;

/// What every invite begins with; the number is its version.
const PREFIX: &str = "COVEY1-";

/// Longest text of an invite: the longest names and address fit twice.
const INVITE_TEXT_BYTES_MAX: usize = 1024;

/// Hexadecimal digits of the checksum.
const CHECK_DIGITS: usize = 8;

/// Which invite: drawn, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InviteId(pub [u8; 8]);

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteId({self})")
    }
}

impl FromStr for InviteId {
    type Err = BadInvite;

    fn from_str(text: &str) -> Result<Self, BadInvite> {
        let bytes = crate::net::text::from_hex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(BadInvite::Id)
    }
}

/// What makes an invite worth something: 128 bits, known to whoever has the text. No `Debug`.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct InviteSecret([u8; 16]);

impl InviteSecret {
    /// From 16 secret bytes.
    #[must_use]
    pub fn new(bytes: &Zeroizing<[u8; 16]>) -> Self {
        Self(**bytes)
    }

    /// What the coordinator keeps of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::InviteSecret, &[&self.0])
    }

    /// Binds a request to the connection that it is sent over, so that nobody in between can put
    /// another in its place: `exporter` is the connection's (RFC 8446, section 7.5).
    #[must_use]
    pub fn binding(&self, request: &str, exporter: &[u8; 32]) -> Digest {
        hash(Domain::InviteBinding, &[&self.0, request.as_bytes(), exporter])
    }
}

/// An invite. No `Debug`: it holds its secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Invite {
    /// Where the coordinator is, `host:port`.
    pub address: String,
    /// The federation.
    pub federation: Name,
    /// BLAKE3 digest of the DER certificate of its authority.
    pub authority: Digest,
    /// What the newcomer becomes.
    pub role: Role,
    /// What it is called.
    pub name: Name,
    /// When it expires, in seconds of Unix time.
    pub expires_s: u64,
    /// Which invite.
    pub id: InviteId,
    /// Its secret.
    pub secret: InviteSecret,
}

/// A text that is no invite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvite {
    /// Something else.
    #[error("this is no invite: one begins with {PREFIX}")]
    Other,
    /// Not whole, or changed.
    #[error("the invite is not whole, or was mistyped: copy all of it, in one line")]
    Broken,
    /// Not the number of an invite.
    #[error("the number of an invite has 16 hexadecimal digits")]
    Id,
}

impl Invite {
    /// The text to hand over. It is a secret until it is used.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let fields = Zeroizing::new(wire::encode(self));
        let check = check(&fields);
        Zeroizing::new(format!("{PREFIX}{}-{check}", BASE64URL_NOPAD.encode(&fields)))
    }

    /// Reads a text; space around it does not count.
    ///
    /// # Errors
    /// [`BadInvite`].
    pub fn from_text(text: &str) -> Result<Self, BadInvite> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(BadInvite::Other)?;
        if text.len() > INVITE_TEXT_BYTES_MAX {
            return Err(BadInvite::Broken);
        }
        let (fields, said) = rest.rsplit_once('-').ok_or(BadInvite::Broken)?;
        let fields = BASE64URL_NOPAD.decode(fields.as_bytes());
        let fields = Zeroizing::new(fields.map_err(|_| BadInvite::Broken)?);
        if check(&fields) != said {
            return Err(BadInvite::Broken);
        }
        wire::decode(&fields, INVITE_TEXT_BYTES_MAX).map_err(|_| BadInvite::Broken)
    }
}

fn check(fields: &[u8]) -> String {
    let mut digits = hash(Domain::InviteCheck, &[fields]).to_string();
    digits.truncate(CHECK_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite {
            address: "covey.example.org:7443".to_owned(),
            federation: "f".parse().expect("a name"),
            authority: Digest([3; 32]),
            role: Role::DataOwner,
            name: "st-marys".parse().expect("a name"),
            expires_s: 1_800_000_000,
            id: InviteId([1; 8]),
            secret: InviteSecret([2; 16]),
        }
    }

    #[test]
    fn an_invite_is_one_word_and_survives_its_text() {
        let text = invite().to_text();
        assert!(
            text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
            "{}",
            *text
        );
        let read = Invite::from_text(&format!("  {}\n", *text)).expect("read");
        assert_eq!(*read.to_text(), *text);
        assert_eq!((read.name.as_str(), read.role), ("st-marys", Role::DataOwner));
    }

    #[test]
    fn every_changed_letter_of_an_invite_is_found() {
        let text = invite().to_text();
        for place in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[place] = if changed[place] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).expect("plain text");
            assert!(Invite::from_text(&changed).is_err(), "{place}");
            assert!(Invite::from_text(&text[..place]).is_err(), "{place}");
        }
        assert_eq!(Invite::from_text("hello").err(), Some(BadInvite::Other));
    }

    #[test]
    fn a_binding_is_of_one_secret_one_request_and_one_connection() {
        let secret = InviteSecret([2; 16]);
        let bound = secret.binding("request", &[5; 32]);
        assert_ne!(bound, secret.binding("request", &[6; 32]));
        assert_ne!(bound, secret.binding("another", &[5; 32]));
        assert_ne!(bound, InviteSecret([3; 16]).binding("request", &[5; 32]));
        assert_ne!(secret.digest(), bound);
    }
}
