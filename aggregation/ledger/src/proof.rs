//! Proofs of inclusion and of consistency: made as in [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962.html),
//! sections 2.1.1 and 2.1.2, checked as in [RFC 9162](https://www.rfc-editor.org/rfc/rfc9162.html),
//! sections 2.1.3.2 and 2.1.4.2.
//!
//! Whoever makes a proof reads nodes of full trees through [`Nodes`], which tiles answer
//! ([`crate::tile::Tiles`]). What will be read is known before ([`inclusion_nodes`],
//! [`consistency_nodes`]), so tiles can be fetched first, all at once.

use std::ops::Range;

use crate::tree::{Hash, combine, empty_root, node_hash};

/// Hashes in a proof at most: a tree has at most 64 levels above its leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// The place of a node: the root of the full tree over the leaves
/// `index * 2^level .. (index + 1) * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Above the leaves.
    pub level: u32,
    /// From the left, within its level.
    pub index: u64,
}

/// Where nodes are read.
pub trait Nodes {
    /// Why a node could not be read.
    type Error;

    /// The hash of a node.
    ///
    /// # Errors
    /// The reader's, when it cannot be had.
    fn node(&self, node: Node) -> Result<Hash, Self::Error>;
}

/// A proof was asked for that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof<E> {
    /// The entry is not in the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange {
        /// The entry.
        index: u64,
        /// The tree's.
        size: u64,
    },
    /// The older tree is larger than the newer one, or empty.
    #[error("there is no proof from a tree of {old} entries to one of {new}")]
    Sizes {
        /// Of the older tree.
        old: u64,
        /// Of the newer one.
        new: u64,
    },
    /// A node could not be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// A proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// The entry is not in the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange {
        /// The entry.
        index: u64,
        /// The tree's.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {old} entries is not before one of {new}")]
    Sizes {
        /// Of the older tree.
        old: u64,
        /// Of the newer one.
        new: u64,
    },
    /// It has more or fewer hashes than such a proof has.
    #[error("the proof has {got} hashes, which is not the number for these trees")]
    Length {
        /// So many.
        got: usize,
    },
    /// It leads to another root of the older tree.
    #[error("the proof leads to another root of the older tree")]
    OldRoot,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Proves that entry `index` is in the tree of the first `size` entries: the hashes beside its way up,
/// lowest first.
///
/// # Errors
/// [`NoProof`] when it is not in there or a node cannot be read.
pub fn inclusion<N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, NoProof<N::Error>> {
    if index >= size {
        return Err(NoProof::OutOfRange { index, size });
    }
    read(nodes, inclusion_ranges(index, size))
}

/// Proves that the tree of the first `old` entries is the beginning of that of the first `new`.
///
/// # Errors
/// [`NoProof`] when it cannot be, or a node cannot be read.
pub fn consistency<N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, NoProof<N::Error>> {
    if old > new {
        return Err(NoProof::Sizes { old, new });
    }
    read(nodes, consistency_ranges(old, new))
}

/// The root of the tree of the first `size` entries.
///
/// # Errors
/// [`NoProof::Read`] when a node cannot be read.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, NoProof<N::Error>> {
    Ok(range_hash(nodes, 0..size)?)
}

/// The nodes that [`inclusion`] reads; none when the entry is not in the tree.
#[must_use]
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    let ranges = if index < size { inclusion_ranges(index, size) } else { Vec::new() };
    ranges.into_iter().flat_map(full_trees).collect()
}

/// The nodes that [`consistency`] reads; none when there is no such proof.
#[must_use]
pub fn consistency_nodes(old: u64, new: u64) -> Vec<Node> {
    let ranges = if old <= new { consistency_ranges(old, new) } else { Vec::new() };
    ranges.into_iter().flat_map(full_trees).collect()
}

/// The nodes that [`root`] reads: the roots of the full trees that a tree is made of, highest first.
#[must_use]
pub fn root_nodes(size: u64) -> Vec<Node> {
    full_trees(0..size)
}

/// Checks that the entry with hash `leaf` is entry `index` of the tree with `size` entries and `root`.
///
/// # Errors
/// [`BadProof`], by the first fault.
pub fn check_inclusion(
    proof: &[Hash],
    index: u64,
    leaf: Hash,
    size: u64,
    root: &Hash,
) -> Result<(), BadProof> {
    if index >= size {
        return Err(BadProof::OutOfRange { index, size });
    }
    let short = BadProof::Length { got: proof.len() };
    let (mut place, mut last, mut node) = (index, size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return Err(short);
        }
        if place % 2 == 1 || place == last {
            node = node_hash(beside, &node);
            // Where there is no node to the right, the way goes up without one beside it.
            while place % 2 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            node = node_hash(&node, beside);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(short);
    }
    if node == *root { Ok(()) } else { Err(BadProof::Root) }
}

/// Checks that the tree with `old` entries and `old_root` is the beginning of the one with `new` entries
/// and `new_root`. The empty tree is the beginning of all, with an empty proof.
///
/// # Errors
/// [`BadProof`], by the first fault.
pub fn check_consistency(
    proof: &[Hash],
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
) -> Result<(), BadProof> {
    let length = BadProof::Length { got: proof.len() };
    if old > new {
        return Err(BadProof::Sizes { old, new });
    }
    if old == 0 || old == new {
        let same = if old == new { old_root == new_root } else { *old_root == empty_root() };
        return match (proof.is_empty(), same) {
            (false, _) => Err(length),
            (true, false) => Err(BadProof::OldRoot),
            (true, true) => Ok(()),
        };
    }
    // A tree that is full is a node of the newer one, and not repeated in the proof.
    let (start, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return Err(length),
    };
    let mut place = old - 1;
    let mut last = new - 1;
    let up = place.trailing_ones();
    (place, last) = (place >> up, last >> up);
    let (mut old_node, mut new_node) = (*start, *start);
    for beside in rest {
        if last == 0 {
            return Err(length);
        }
        if place % 2 == 1 || place == last {
            old_node = node_hash(beside, &old_node);
            new_node = node_hash(beside, &new_node);
            while place % 2 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new_node = node_hash(&new_node, beside);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last, old_node == *old_root, new_node == *new_root) {
        (0, true, true) => Ok(()),
        (0, true, false) => Err(BadProof::Root),
        (0, false, _) => Err(BadProof::OldRoot),
        _ => Err(length),
    }
}

/// What lies beside the way from an entry to the root, lowest first.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut inside, mut beside) = (0..size, Vec::new());
    while inside.end - inside.start > 1 {
        let middle = inside.start + split(inside.end - inside.start);
        if index < middle {
            beside.push(middle..inside.end);
            inside.end = middle;
        } else {
            beside.push(inside.start..middle);
            inside.start = middle;
        }
    }
    beside.reverse();
    beside
}

/// `SUBPROOF` of RFC 6962, section 2.1.2, lowest first.
fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    if old == 0 {
        return Vec::new();
    }
    let (mut inside, mut beside) = (0..new, Vec::new());
    while old < inside.end {
        let middle = inside.start + split(inside.end - inside.start);
        if old <= middle {
            beside.push(middle..inside.end);
            inside.end = middle;
        } else {
            beside.push(inside.start..middle);
            inside.start = middle;
        }
    }
    // The checker knows the older tree's root, when it is a node of the newer tree.
    if inside.start > 0 {
        beside.push(inside);
    }
    beside.reverse();
    beside
}

/// The largest power of two below `width`, which is at least 2.
const fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

fn read<N: Nodes>(nodes: &N, ranges: Vec<Range<u64>>) -> Result<Vec<Hash>, NoProof<N::Error>> {
    let hashes = ranges.into_iter().map(|range| range_hash(nodes, range));
    Ok(hashes.collect::<Result<_, _>>()?)
}

fn range_hash<N: Nodes>(nodes: &N, range: Range<u64>) -> Result<Hash, N::Error> {
    let peaks = full_trees(range).into_iter().map(|node| nodes.node(node));
    Ok(combine(&peaks.collect::<Result<Vec<_>, _>>()?))
}

/// The full trees that a range is made of, from left to right. It starts where the first of them may.
fn full_trees(range: Range<u64>) -> Vec<Node> {
    let (mut start, mut trees) = (range.start, Vec::new());
    while start < range.end {
        let level = (range.end - start).ilog2();
        trees.push(Node { level, index: start >> level });
        start += 1 << level;
    }
    trees
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
    use proptest::prelude::*;
    use sha2::Sha256;

    use crate::tree::{Frontier, fold, leaf_hash};

    use super::*;

    /// All leaves: a node is computed from those below it.
    struct Leaves(Vec<Hash>);

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;

        fn node(&self, node: Node) -> Result<Hash, Self::Error> {
            let (start, width) = ((node.index << node.level) as usize, 1usize << node.level);
            Ok(fold(&self.0[start..start + width]).expect("a power of two"))
        }
    }

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    fn leaves(size: u64) -> Leaves {
        Leaves((0..size).map(|index| leaf_hash(&entry(index))).collect())
    }

    fn theirs(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        (0..size).for_each(|index| tree.push(entry(index)));
        tree
    }

    fn root_of(leaves: &Leaves, size: u64) -> Hash {
        let mut tree = Frontier::default();
        leaves.0.iter().take(size as usize).for_each(|leaf| tree.push(*leaf));
        tree.root()
    }

    fn flat(proof: &[Hash]) -> Vec<u8> {
        proof.iter().flat_map(|hash| hash.0).collect()
    }

    #[test]
    fn every_proof_up_to_70_entries_holds_and_none_holds_elsewhere() {
        let leaves = leaves(70);
        for size in 1..=70 {
            let root = root_of(&leaves, size);
            assert_eq!(super::root(&leaves, size), Ok(root));
            for index in 0..size {
                let proof = inclusion(&leaves, index, size).expect("in the tree");
                let leaf = leaves.0[index as usize];
                assert_eq!(check_inclusion(&proof, index, leaf, size, &root), Ok(()));
                let wrong = (index + 1) % size;
                assert!(
                    wrong == index || check_inclusion(&proof, wrong, leaf, size, &root).is_err()
                );
                let longer = [proof.as_slice(), &[root]].concat();
                assert!(check_inclusion(&longer, index, leaf, size, &root).is_err());
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(check_inclusion(shorter, index, leaf, size, &root).is_err());
                }
            }
            for old in 1..=size {
                let proof = consistency(&leaves, old, size).expect("it begins so");
                let (old_root, root) = (root_of(&leaves, old), root_of(&leaves, size));
                let check =
                    |proof: &[Hash]| check_consistency(proof, (old, &old_root), (size, &root));
                assert_eq!(check(&proof), Ok(()), "{old} {size}");
                assert!(check(&[proof.as_slice(), &[root]].concat()).is_err());
                for place in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[place].0[0] ^= 1;
                    assert!(check(&changed).is_err());
                    changed.remove(place);
                    assert!(check(&changed).is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_in_no_tree_has_no_proof() {
        let leaves = leaves(3);
        assert_eq!(inclusion(&leaves, 3, 3), Err(NoProof::OutOfRange { index: 3, size: 3 }));
        assert_eq!(consistency(&leaves, 4, 3), Err(NoProof::Sizes { old: 4, new: 3 }));
        assert!(inclusion_nodes(3, 3).is_empty() && consistency_nodes(4, 3).is_empty());
        let (root, leaf) = (root_of(&leaves, 3), leaves.0[0]);
        let out = BadProof::OutOfRange { index: 3, size: 3 };
        assert_eq!(check_inclusion(&[], 3, leaf, 3, &root), Err(out));
        let sizes = BadProof::Sizes { old: 4, new: 3 };
        assert_eq!(check_consistency(&[], (4, &root), (3, &root)), Err(sizes));
    }

    #[test]
    fn the_empty_tree_is_before_every_other_and_equal_sizes_need_equal_roots() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        assert_eq!(check_consistency(&[], (0, &empty_root()), (1, &a)), Ok(()));
        assert_eq!(check_consistency(&[], (0, &a), (1, &a)), Err(BadProof::OldRoot));
        assert_eq!(check_consistency(&[], (1, &a), (1, &a)), Ok(()));
        assert_eq!(check_consistency(&[], (1, &a), (1, &b)), Err(BadProof::OldRoot));
        let length = Err(BadProof::Length { got: 1 });
        assert_eq!(check_consistency(&[a], (1, &a), (1, &a)), length);
        assert_eq!(check_consistency(&[a], (0, &empty_root()), (1, &a)), length);
    }

    fn flip(proof: &mut [Hash], change: Option<(prop::sample::Index, u8)>) {
        if let (Some((place, bit)), false) = (change, proof.is_empty()) {
            let place = place.index(proof.len());
            proof[place].0[usize::from(bit)] ^= 1 << bit;
        }
    }

    proptest! {
        #[test]
        fn proofs_are_those_of_another_implementation(size in 1u64..400, at in any::<u64>()) {
            let (leaves, theirs) = (leaves(size), theirs(size));
            let index = at % size;
            let ours = inclusion(&leaves, index, size).expect("in the tree");
            let proof = theirs.prove_inclusion(index as usize);
            prop_assert_eq!(&flat(&ours), proof.as_bytes());
            let old = at % size + 1;
            let ours = consistency(&leaves, old, size).expect("it begins so");
            if old < size {
                let proof = theirs.prove_consistency((size - old) as usize);
                prop_assert_eq!(&flat(&ours), proof.as_bytes());
            }
        }

        #[test]
        fn another_implementation_takes_and_refuses_what_we_do(
            size in 1u64..200,
            at in any::<u64>(),
            change in prop::option::of((any::<prop::sample::Index>(), 0u8..8)),
        ) {
            let leaves = leaves(size);
            let (index, root) = (at % size, root_of(&leaves, size));
            let mut proof = inclusion(&leaves, index, size).expect("in the tree");
            flip(&mut proof, change);
            let ours = check_inclusion(&proof, index, leaf_hash(&entry(index)), size, &root);
            let theirs = RootHash::<Sha256>::new(root.0.into(), size);
            let their_proof = InclusionProof::try_from_bytes(flat(&proof)).expect("whole hashes");
            let verdict = theirs.verify_inclusion(&entry(index), index, &their_proof);
            prop_assert_eq!(ours.is_ok(), verdict.is_ok());

            let old = at % size + 1;
            let old_root = root_of(&leaves, old);
            let mut proof = consistency(&leaves, old, size).expect("it begins so");
            flip(&mut proof, change);
            let ours = check_consistency(&proof, (old, &old_root), (size, &root));
            if old < size {
                let their_proof = ConsistencyProof::try_from_bytes(flat(&proof)).expect("whole hashes");
                let before = RootHash::<Sha256>::new(old_root.0.into(), old);
                let verdict = theirs.verify_consistency(&before, &their_proof);
                prop_assert_eq!(ours.is_ok(), verdict.is_ok());
            } else {
                prop_assert_eq!(ours, Ok(()));
            }
        }
    }
}
