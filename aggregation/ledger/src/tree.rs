//! The log's tree: [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962.html), section 2.1, over SHA-256.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A hash of the tree: of a leaf, or of the nodes below it. As text, base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; HASH_BYTES]);

/// The text is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not 32 bytes in base64")]
pub struct BadHash {
    /// What was given.
    pub text: String,
}

/// The root of no leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::new().finalize().into())
}

/// The hash of an entry: SHA-256 of a zero byte and the entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of the node above two: SHA-256 of a byte 1 and both.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The hash of the nodes of one level that lie side by side below one node; their number is a power of
/// two. `None` when it is not.
#[must_use]
pub fn fold(nodes: &[Hash]) -> Option<Hash> {
    if !nodes.len().is_power_of_two() {
        return None;
    }
    let mut level = nodes.to_vec();
    while level.len() > 1 {
        level =
            level.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    level.first().copied()
}

/// The hash over nodes from left to right, each the root of a full tree and higher than the next: the
/// lowest two are combined first.
#[must_use]
pub fn combine(peaks: &[Hash]) -> Hash {
    let lowest_first = peaks.iter().rev().copied();
    lowest_first.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

/// What appending needs of a tree: the roots of the full trees that it is made of, highest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of a tree of `size` leaves; `None` when the number of peaks is not that of such a tree, which is
    /// the number of ones in its size.
    #[must_use]
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let fits = u32::try_from(peaks.len()) == Ok(size.count_ones());
        fits.then_some(Self { size, peaks })
    }

    /// Leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let full_below = self.size.trailing_ones() as usize;
        let kept = self.peaks.len().saturating_sub(full_below);
        let below = self.peaks.split_off(kept);
        let node = below.iter().rev().fold(leaf, |right, left| node_hash(left, &right));
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        combine(&self.peaks)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        let bytes = BASE64.decode(text.as_bytes()).ok();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        hash.ok_or_else(|| BadHash { text: text.to_owned() })
    }
}

impl TryFrom<String> for Hash {
    type Error = BadHash;

    fn try_from(text: String) -> Result<Self, BadHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_tree_and_one_leaf_have_the_hashes_of_rfc_6962() {
        let hex = |hash: Hash| data_encoding::HEXLOWER.encode(&hash.0);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(empty_root()), empty);
        assert_eq!(Frontier::default().root(), empty_root());
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(leaf_hash(b"")), leaf);
    }

    #[test]
    fn the_roots_of_the_reference_tree_of_certificate_transparency_come_out() {
        // The eight leaves that the tests of several implementations of RFC 6962 share.
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.push(leaf_hash(leaf));
            assert_eq!(data_encoding::HEXLOWER.encode(&tree.root().0), root);
        }
    }

    #[test]
    fn a_frontier_has_as_many_peaks_as_its_size_has_ones() {
        assert!(Frontier::new(5, vec![empty_root(); 2]).is_some());
        assert!(Frontier::new(5, vec![empty_root(); 3]).is_none());
        assert_eq!(fold(&[empty_root(); 3]), None);
        assert_eq!(fold(&[]), None);
    }

    #[test]
    fn base64_that_is_not_canonical_is_refused() {
        let text = empty_root().to_string();
        assert_eq!(text.parse(), Ok(empty_root()));
        // The last digit of 32 bytes carries two bits that must be zero.
        let loose = format!("{}V=", &text[..42]);
        assert!(loose.parse::<Hash>().is_err(), "{loose}");
        assert!(text.trim_end_matches('=').parse::<Hash>().is_err());
    }

    proptest! {
        #[test]
        fn roots_are_those_of_another_implementation(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..300),
        ) {
            let (mut ours, mut theirs) = (Frontier::default(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
            for entry in entries {
                ours.push(leaf_hash(&entry));
                theirs.push(entry);
            }
            prop_assert_eq!(ours.root().0.to_vec(), theirs.root().as_bytes().to_vec());
        }
    }
}
