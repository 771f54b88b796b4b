//! What is staged: the lock's next content and every file of the batch, as one file that says itself
//! whether it is whole.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::TreeHead;

/// A path and its bytes.
pub(super) type File = (String, Vec<u8>);

/// What every staged file begins with.
const MAGIC: &[u8] = b"covey-staged-batch/1\n";

/// What the lock holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    /// When the batch was written, in milliseconds since 1970.
    pub(super) time_ms: u64,
    /// The checkpoint, signed by the log alone.
    pub(super) checkpoint: String,
}

impl Lock {
    pub(super) fn encode(&self) -> Vec<u8> {
        // A number and a text always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let lock: Self = serde_json::from_slice(bytes).ok()?;
        (lock.encode() == bytes).then_some(lock)
    }
}

/// Where the batch that ends with this head is staged. Another batch of the same size has another root,
/// so it never takes this one's place.
pub(super) fn staging_path(head: &TreeHead) -> String {
    format!("staging/{}-{}", head.size, data_encoding::HEXLOWER.encode(&head.root.0))
}

/// Each part after its length in eight bytes, and SHA-256 of it all at the end.
pub(super) fn encode(lock: &[u8], files: &[File]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut part = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    part(lock);
    for (path, content) in files {
        part(path.as_bytes());
        part(content);
    }
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// The lock and the files; `None` when the bytes are not whole.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<u8>, Vec<File>)> {
    let (bytes, hash) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(bytes).as_slice() != hash.as_slice() {
        return None;
    }
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (part, after) = after.split_at_checked(length)?;
        parts.push(part.to_vec());
        rest = after;
    }
    let mut parts = parts.into_iter();
    let (lock, mut files) = (parts.next()?, Vec::new());
    while let Some(path) = parts.next() {
        files.push((String::from_utf8(path).ok()?, parts.next()?));
    }
    Some((lock, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_comes_back_and_what_is_torn_does_not() {
        let files = vec![("a".to_owned(), vec![1, 2]), ("b/c".to_owned(), Vec::new())];
        let bytes = encode(b"lock", &files);
        assert_eq!(decode(&bytes), Some((b"lock".to_vec(), files)));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None);
            let mut changed = bytes.clone();
            changed[end] ^= 1;
            assert_eq!(decode(&changed), None);
        }
    }

    #[test]
    fn the_lock_has_one_form_only() {
        let lock = Lock { time_ms: 7, checkpoint: "log\n".to_owned() };
        assert_eq!(Lock::decode(&lock.encode()), Some(lock));
        assert_eq!(Lock::decode(br#"{"time_ms":7, "checkpoint":""}"#), None);
        assert_eq!(Lock::decode(br#"{"time_ms":7,"checkpoint":"","more":1}"#), None);
    }
}
