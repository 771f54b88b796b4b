//! The tree of a payout, as the package `@openzeppelin/merkle-tree` reads and checks it
//! (`standard-v1`): leaves are Keccak-256, twice, of the ABI encoding of address and amount; they are
//! sorted and laid from the end of the array; a node is Keccak-256 of its two children, the smaller
//! first.

use std::collections::BTreeMap;

use covey_aggregation::hash::Digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};

use super::address::Address;

/// Most payees of a payout: leaves of 10^6 make a file of 200 MB.
pub const PAYEES_MAX: usize = 1_000_000;

/// The Keccak-256 digest of bytes, as Ethereum uses it (not SHA3-256).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> Digest {
    Digest(Keccak256::digest(bytes).into())
}

/// An address and what it has been paid, all in all, in the smallest units of the token. The
/// contract's amounts have 256 bits; these have 128, which hold 10^20 credits of 10^18 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payee {
    /// Where.
    pub address: Address,
    /// How much.
    pub amount: u128,
}

impl Payee {
    /// The leaf: `keccak256(keccak256(abi.encode(address, uint256)))`.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        let mut encoded = [0; 64];
        encoded[12..32].copy_from_slice(&self.address.0);
        encoded[48..].copy_from_slice(&self.amount.to_be_bytes());
        keccak256(&keccak256(&encoded).0)
    }
}

/// A tree over payees, by ascending address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Digest>,
    /// Each with its place among the nodes.
    payees: Vec<(Payee, usize)>,
}

/// The tree as a file, field by field as the package writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeFile {
    /// `standard-v1`.
    pub format: String,
    /// `["address", "uint256"]`.
    #[serde(rename = "leafEncoding")]
    pub leaf_encoding: [String; 2],
    /// The nodes, the root first, each as `0x` and 64 digits.
    pub tree: Vec<String>,
    /// The payees.
    pub values: Vec<TreeValue>,
}

/// A payee in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeValue {
    /// Its address and, in decimal digits, its amount.
    pub value: [String; 2],
    /// Its leaf's place among the nodes.
    #[serde(rename = "treeIndex")]
    pub tree_index: usize,
}

/// A file that holds no tree of a payout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// Not of the form.
    #[error("not a payout file: {0}")]
    Shape(String),
    /// An address or an amount is none.
    #[error("payee {index}: {what}")]
    Payee {
        /// Its place among the values.
        index: usize,
        /// What is wrong.
        what: String,
    },
    /// Not by ascending address, each once.
    #[error("payee {0} is out of order, or its address is there twice")]
    Order(usize),
    /// No payee, or too many.
    #[error("{0} payees: use 1 to {PAYEES_MAX}")]
    Payees(usize),
    /// The nodes are not those of the payees.
    #[error("the tree is not the one of its payees")]
    Tree,
}

impl Tree {
    /// A tree over these payees, in any order; `None` where there is none, too many, or an address
    /// twice.
    #[must_use]
    pub fn new(mut payees: Vec<Payee>) -> Option<Self> {
        payees.sort_unstable();
        let is_set = payees.is_sorted_by(|one, next| one.address < next.address);
        if payees.is_empty() || payees.len() > PAYEES_MAX || !is_set {
            return None;
        }
        let mut leaves: Vec<_> =
            payees.iter().enumerate().map(|(index, payee)| (payee.leaf(), index)).collect();
        leaves.sort_unstable();
        let count = 2 * leaves.len() - 1;
        let mut nodes = vec![Digest::ZERO; count];
        let mut places = vec![0; payees.len()];
        for (place, (leaf, index)) in (0..count).rev().zip(leaves) {
            nodes[place] = leaf;
            places[index] = place;
        }
        for parent in (0..payees.len() - 1).rev() {
            nodes[parent] = node(nodes[2 * parent + 1], nodes[2 * parent + 2]);
        }
        Some(Self { nodes, payees: payees.into_iter().zip(places).collect() })
    }

    /// The root, which a contract keeps.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.nodes[0]
    }

    /// The payees, ascending by address.
    pub fn payees(&self) -> impl ExactSizeIterator<Item = &Payee> {
        self.payees.iter().map(|(payee, _)| payee)
    }

    /// What all of them have; `None` where that is beyond 2^128.
    #[must_use]
    pub fn total(&self) -> Option<u128> {
        self.payees().try_fold(0u128, |sum, payee| sum.checked_add(payee.amount))
    }

    /// The amount of an address and the proof that a contract asks for; `None` of a stranger.
    #[must_use]
    pub fn proof(&self, address: &Address) -> Option<(Payee, Vec<Digest>)> {
        let at = self.payees.binary_search_by_key(address, |(payee, _)| payee.address).ok()?;
        let (payee, mut place) = self.payees[at];
        let mut proof = Vec::new();
        while place > 0 {
            // Children of a node lie side by side, the left one at an odd place.
            proof.push(self.nodes[if place % 2 == 1 { place + 1 } else { place - 1 }]);
            place = (place - 1) / 2;
        }
        Some((payee, proof))
    }

    /// The file, as bytes: compact JSON.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let value = |(payee, place): &(Payee, usize)| TreeValue {
            value: [payee.address.to_string(), payee.amount.to_string()],
            tree_index: *place,
        };
        let file = TreeFile {
            format: FORMAT.to_owned(),
            leaf_encoding: LEAF_ENCODING.map(str::to_owned),
            tree: self.nodes.iter().map(prefixed).collect(),
            values: self.payees.iter().map(value).collect(),
        };
        // Strings, integers and lists: there is nothing that JSON cannot say.
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// The tree in a file, computed again from its payees.
    ///
    /// # Errors
    /// [`BadFile`], by the first fault.
    pub fn from_file(bytes: &[u8]) -> Result<Self, BadFile> {
        let file: TreeFile =
            serde_json::from_slice(bytes).map_err(|error| BadFile::Shape(error.to_string()))?;
        if file.format != FORMAT || file.leaf_encoding != LEAF_ENCODING {
            let what = format!("it is not of the format {FORMAT} with {LEAF_ENCODING:?}");
            return Err(BadFile::Shape(what));
        }
        let mut payees: Vec<Payee> = Vec::new();
        for (index, TreeValue { value: [address, amount], .. }) in file.values.iter().enumerate() {
            let bad = |what: String| BadFile::Payee { index, what };
            let address = address.parse::<Address>().map_err(|error| bad(error.to_string()))?;
            let read = amount.parse::<u128>().ok().filter(|one| one.to_string() == *amount);
            let amount = read.ok_or_else(|| bad(format!("{amount:?} is no amount")))?;
            if payees.last().is_some_and(|last| last.address >= address) {
                return Err(BadFile::Order(index));
            }
            payees.push(Payee { address, amount });
        }
        let count = payees.len();
        let tree = Self::new(payees).ok_or(BadFile::Payees(count))?;
        let places = file.values.iter().map(|value| value.tree_index);
        let is_it = tree.nodes.iter().map(prefixed).eq(file.tree)
            && tree.payees.iter().map(|(_, place)| *place).eq(places);
        is_it.then_some(tree).ok_or(BadFile::Tree)
    }

    /// What changed since an earlier tree: of each address its amount there and here.
    #[must_use]
    pub fn changes(&self, earlier: Option<&Self>) -> BTreeMap<Address, (u128, u128)> {
        let mut changes: BTreeMap<Address, (u128, u128)> = BTreeMap::new();
        for payee in earlier.into_iter().flat_map(Self::payees) {
            changes.entry(payee.address).or_default().0 = payee.amount;
        }
        for payee in self.payees() {
            changes.entry(payee.address).or_default().1 = payee.amount;
        }
        changes
    }
}

/// Whether a proof leads from a payee to a root: what a contract computes.
#[must_use]
pub fn is_proof(root: &Digest, payee: &Payee, proof: &[Digest]) -> bool {
    proof.iter().fold(payee.leaf(), |sum, sibling| node(sum, *sibling)) == *root
}

const FORMAT: &str = "standard-v1";

const LEAF_ENCODING: [&str; 2] = ["address", "uint256"];

fn node(one: Digest, other: Digest) -> Digest {
    let (small, large) = if one <= other { (one, other) } else { (other, one) };
    keccak256(&[small.0, large.0].concat())
}

fn prefixed(digest: &Digest) -> String {
    format!("0x{}", HEXLOWER.encode(&digest.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn payees(count: u32) -> Vec<Payee> {
        let payee = |index: u32| {
            let mut address = [0; 20];
            address.copy_from_slice(&keccak256(&index.to_le_bytes()).0[12..]);
            let amount = u128::from(index + 1) * 1_000_000_000_000_000_007;
            Payee { address: Address(address), amount }
        };
        (0..count).map(payee).collect()
    }

    #[test]
    fn keccak_is_not_sha3() {
        let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(keccak256(b"").to_string(), empty);
    }

    #[test]
    fn every_payee_has_a_proof_and_no_other_amount_has() {
        for count in [1, 2, 3, 7, 8, 100] {
            let mut shuffled = payees(count);
            shuffled.reverse();
            let tree = Tree::new(shuffled).expect("a tree");
            assert_eq!(Some(&tree), Tree::new(payees(count)).as_ref(), "in any order");
            for payee in payees(count) {
                let (found, proof) = tree.proof(&payee.address).expect("a proof");
                assert_eq!(found, payee);
                assert!(is_proof(&tree.root(), &payee, &proof));
                let more = Payee { amount: payee.amount + 1, ..payee };
                assert!(!is_proof(&tree.root(), &more, &proof));
            }
            assert_eq!(tree.proof(&Address([1; 20])), None);
            assert_eq!(Tree::from_file(&tree.to_file()).as_ref(), Ok(&tree));
        }
        assert_eq!(Tree::new(Vec::new()), None);
        assert_eq!(Tree::new([payees(2), payees(1)].concat()), None, "an address twice");
    }

    #[test]
    fn an_altered_file_is_refused() {
        let tree = Tree::new(payees(3)).expect("a tree");
        let text = String::from_utf8(tree.to_file()).expect("text");
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} in {text}");
            Tree::from_file(text.replacen(from, to, 1).as_bytes())
        };
        let amount = |amount: u128| format!("\"{amount}\"");
        let one = tree.payees().next().expect("a payee").amount;
        assert_eq!(with(&amount(one), &amount(one + 1)), Err(BadFile::Tree));
        let zeros = format!("\"0{one}\"");
        assert!(matches!(with(&amount(one), &zeros), Err(BadFile::Payee { index: 0, .. })));
        assert!(matches!(with("standard-v1", "standard-v2"), Err(BadFile::Shape(_))));
        let root = prefixed(&tree.root());
        assert_eq!(with(&root, &root.replace("0x", "0X")), Err(BadFile::Tree));
        assert!(matches!(Tree::from_file(b"{}"), Err(BadFile::Shape(_))));
    }
}
