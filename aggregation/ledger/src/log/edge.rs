//! The right edge of a log: what appending needs of it, and what it writes.

use crate::checkpoint::TreeHead;
use crate::tile::{
    Kind, LongEntry, TILE_WIDTH, Tile, decode_entries, decode_hashes, edge, encode_hashes,
    push_entry,
};
use crate::tree::{Hash, combine, fold, leaf_hash};

use super::staging::File;

const WIDTH: usize = TILE_WIDTH as usize;

/// The partial bundle, and the partial tile of each level; those that are empty are so here too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    size: u64,
    bundle: Vec<u8>,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Of a log with this head, from its files; which path is missing, or holds something else.
    pub(super) fn read(
        head: &TreeHead,
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, String> {
        let mut read_edge = Self { size: head.size, ..Self::default() };
        for tile in edge(head.size) {
            let path = tile.to_string();
            let bytes = read(&path).ok_or_else(|| path.clone())?;
            match tile.kind {
                Kind::Entries => read_edge.bundle = bytes,
                Kind::Hashes(level) => {
                    let hashes = decode_hashes(&tile, &bytes).map_err(|_| path)?;
                    *read_edge.level(usize::from(level)) = hashes;
                }
            }
        }
        read_edge.check(head)?;
        Ok(read_edge)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry; `files` gets the bundle and the tiles that it fills.
    pub(super) fn push(&mut self, entry: &[u8], files: &mut Vec<File>) -> Result<(), LongEntry> {
        push_entry(&mut self.bundle, entry)?;
        let index = self.size / u64::from(TILE_WIDTH);
        self.size += 1;
        let (mut hash, mut level) = (Some(leaf_hash(entry)), 0u8);
        while let Some(one) = hash.take() {
            let tile = self.level(usize::from(level));
            tile.push(one);
            if tile.len() == WIDTH {
                hash = fold(tile);
                let bytes = encode_hashes(tile);
                tile.clear();
                let index = index >> (8 * u32::from(level));
                let path = Tile { kind: Kind::Hashes(level), index, width: TILE_WIDTH };
                files.push((path.to_string(), bytes));
            }
            level += 1;
        }
        if self.size.is_multiple_of(u64::from(TILE_WIDTH)) {
            let path = Tile { kind: Kind::Entries, index, width: TILE_WIDTH };
            files.push((path.to_string(), std::mem::take(&mut self.bundle)));
        }
        Ok(())
    }

    /// `files` gets the partial bundle and tiles that have grown since the log had `old_size` entries.
    pub(super) fn partial(&self, old_size: u64, files: &mut Vec<File>) {
        for tile in edge(self.size) {
            let (bytes, shift) = match tile.kind {
                Kind::Entries => (self.bundle.clone(), 0),
                Kind::Hashes(level) => {
                    let hashes = self.levels.get(usize::from(level)).map_or(&[][..], Vec::as_slice);
                    (encode_hashes(hashes), 8 * u32::from(level))
                }
            };
            if old_size >> shift < self.size >> shift {
                files.push((tile.to_string(), bytes));
            }
        }
    }

    pub(super) fn root(&self) -> Hash {
        let peaks = self.levels.iter().rev().flat_map(|hashes| {
            let mut rest = hashes.as_slice();
            std::iter::from_fn(move || {
                let width = 1 << rest.len().checked_ilog2()?;
                let (full, after) = rest.split_at(width);
                rest = after;
                fold(full)
            })
        });
        combine(&peaks.collect::<Vec<_>>())
    }

    fn level(&mut self, level: usize) -> &mut Vec<Hash> {
        if self.levels.len() <= level {
            self.levels.resize(level + 1, Vec::new());
        }
        &mut self.levels[level]
    }

    /// Which file is not the one that the head speaks of.
    fn check(&self, head: &TreeHead) -> Result<(), String> {
        let leaves = self.levels.first().map_or(&[][..], Vec::as_slice);
        let bundle = edge(head.size).into_iter().find(|tile| tile.kind == Kind::Entries);
        if let Some(tile) = bundle {
            let bad = |_| tile.to_string();
            let entries = decode_entries(&tile, &self.bundle).map_err(bad)?;
            let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            if hashes != leaves {
                return Err(tile.to_string());
            }
        }
        if self.root() == head.root {
            return Ok(());
        }
        // The tiles of the edge are all that the root is made of; which of them is false, nobody knows.
        let tiles: Vec<_> = edge(head.size).iter().map(Tile::to_string).collect();
        Err(tiles.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::tile::new_tiles;
    use crate::tree::Frontier;

    use super::*;

    proptest! {
        #[test]
        fn appending_writes_the_new_tiles_of_the_specification_and_finds_itself_again(
            batches in prop::collection::vec(1u64..700, 1..5),
        ) {
            let (mut edge, mut tree, mut files) = (Edge::default(), Frontier::default(), BTreeMap::new());
            for batch in batches {
                let (old, mut written) = (edge.size(), Vec::new());
                for index in old..old + batch {
                    let entry = format!("entry {index}");
                    edge.push(entry.as_bytes(), &mut written).expect("short");
                    tree.push(leaf_hash(entry.as_bytes()));
                }
                edge.partial(old, &mut written);
                let mut paths: Vec<_> = written.iter().map(|(path, _)| path.clone()).collect();
                let mut expected: Vec<_> =
                    new_tiles(old, edge.size()).iter().map(Tile::to_string).collect();
                paths.sort();
                expected.sort();
                prop_assert_eq!(paths, expected);
                prop_assert_eq!(edge.root(), tree.root());
                files.extend(written);
                let head = TreeHead { size: edge.size(), root: edge.root() };
                let again = Edge::read(&head, |path| files.get(path).cloned()).expect("all written");
                prop_assert_eq!((again.root(), &again.bundle), (edge.root(), &edge.bundle));
            }
        }
    }

    #[test]
    fn an_edge_that_is_not_the_heads_is_refused() {
        let (mut edge, mut files) = (Edge::default(), Vec::new());
        (0..300u64).for_each(|n| edge.push(&n.to_be_bytes(), &mut files).expect("short"));
        edge.partial(0, &mut files);
        let files: BTreeMap<_, _> = files.into_iter().collect();
        let head = TreeHead { size: 300, root: edge.root() };
        let read = |files: &BTreeMap<String, Vec<u8>>| {
            Edge::read(&head, |path| files.get(path).cloned()).map(|edge| edge.size())
        };
        assert_eq!(read(&files), Ok(300));
        for path in ["tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"] {
            let mut without = files.clone();
            without.remove(path);
            assert_eq!(read(&without), Err(path.to_owned()));
            let mut changed = files.clone();
            changed.get_mut(path).expect("there")[5] ^= 1;
            assert!(read(&changed).is_err(), "{path}");
        }
    }
}
