//! One entry: a line of JSON. Its `hash` is SHA-256 over everything in the line before `,"hash"`,
//! `previous` is the hash of the entry before; so people can check a line with `sha256sum`.

use covey_aggregation::net::text::to_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What stands between an entry and its hash.
const HASH_KEY: &str = ",\"hash\":\"";

/// What follows the hash.
const END: &str = "\"}";

/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub entry: u64,
    /// When, in UTC, as `2026-11-28T10:58:02.123Z`.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// The hash of the entry before; zeros for the first.
    pub previous: String,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// Something was about to leave.
    Sent(Sent),
    /// The oldest file of the log was about to be removed.
    Removed(Removed),
}

/// Something that was about to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The message's type, with its variant.
    pub kind: String,
    /// How many bytes; with its length, for a frame.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub sha256: String,
    /// The member they went to.
    pub peer: String,
    /// Where that was.
    pub address: String,
    /// The run, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The round's number, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The round's context, where the message is of a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A file that was about to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The last entry that the log did not keep.
    pub removed_to: u64,
    /// Its hash.
    pub removed_hash: String,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It has no hash at its end.
    #[error("it is no entry")]
    Shape,
    /// It was changed after it was written.
    #[error("it was changed: its hash is another one")]
    Hash,
    /// Its hash is right, but no version of this program writes such a line.
    #[error("it is no entry of this version's format")]
    Format,
}

/// The hash before the first entry.
#[must_use]
pub fn no_hash() -> String {
    "0".repeat(HASH_DIGITS)
}

/// SHA-256, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

impl Entry {
    /// The line, without its end, and the entry's hash.
    #[must_use]
    pub fn line(&self) -> (String, String) {
        // Strings and integers: there is nothing that JSON cannot say.
        let body = serde_json::to_string(self).unwrap_or_default();
        let open = body.strip_suffix('}').unwrap_or(&body);
        let hash = sha256(open.as_bytes());
        (format!("{open}{HASH_KEY}{hash}{END}"), hash)
    }

    /// Reads a line without its end; the entry and its hash.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn read(line: &str) -> Result<(Self, String), BadLine> {
        let rest = line.strip_suffix(END).ok_or(BadLine::Shape)?;
        let (rest, hash) = rest
            .len()
            .checked_sub(HASH_DIGITS)
            .and_then(|at| rest.split_at_checked(at))
            .ok_or(BadLine::Shape)?;
        let open = rest.strip_suffix(HASH_KEY).ok_or(BadLine::Shape)?;
        if sha256(open.as_bytes()) != hash {
            return Err(BadLine::Hash);
        }
        let entry: Self =
            serde_json::from_str(&format!("{open}}}")).map_err(|_| BadLine::Format)?;
        if entry.line().0 != line {
            return Err(BadLine::Format);
        }
        Ok((entry, hash.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let sent = Sent {
            kind: "FromClient::Pending".to_owned(),
            bytes: 38,
            sha256: sha256(b"x"),
            peer: "c".to_owned(),
            address: "127.0.0.1:7443".to_owned(),
            run: None,
            round: Some(3),
            context: Some("ab".repeat(32)),
        };
        let time = "2026-11-28T10:58:02.123Z".to_owned();
        Entry { entry: 7, time, what: What::Sent(sent), previous: no_hash() }
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_every_other_one_is_refused() {
        let removed = What::Removed(Removed { removed_to: 6, removed_hash: no_hash() });
        for entry in [entry(), Entry { what: removed, ..entry() }] {
            let (line, hash) = entry.line();
            assert_eq!(Entry::read(&line), Ok((entry, hash)));
            for at in 0..line.len() {
                let mut changed = line.clone().into_bytes();
                changed[at] ^= 1;
                if let Ok(changed) = String::from_utf8(changed) {
                    Entry::read(&changed).expect_err(&changed);
                }
                Entry::read(&line[..at]).expect_err("a part");
            }
        }
    }

    #[test]
    fn a_line_with_a_right_hash_must_still_be_one_of_ours() {
        let forge = |open: &str| format!("{open}{HASH_KEY}{}{END}", sha256(open.as_bytes()));
        let (line, _) = entry().line();
        let open = line.split(HASH_KEY).next().expect("a part");
        assert!(Entry::read(&forge(open)).is_ok());
        for changed in
            [open.replace("\"bytes\":38", "\"bytes\":38,\"more\":1"), open.replace(':', ": ")]
        {
            assert_eq!(Entry::read(&forge(&changed)), Err(BadLine::Format), "{changed}");
        }
    }
}
