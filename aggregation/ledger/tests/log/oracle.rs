//! Beside another implementation of the specifications: a port of Go's `sumdb/tlog` to Rust. Whether a tile
//! was changed is not left to it: version 0.2.0 checks the full tiles from a wrong place on
//! (`TileHashReader::read_hashes` counts subtrees for tiles).

mod vectors;

use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::proof::{check_consistency, check_inclusion, consistency, inclusion};
use covey_ledger::tile::{Kind, Tile, Tiles, new_tiles};
use covey_ledger::tree::{Hash, leaf_hash};
use proptest::prelude::*;
use tlog_tiles::tlog::{check_record, check_tree, prove_record, prove_tree, record_hash};
use tlog_tiles::{Error, TileHashReader, TileReader};

use crate::support::{Store, entry, published};

/// Our files, read by them. Their paths begin with the tiles' height, of which there is one here.
struct Files<'s>(&'s Store);

fn ours(tile: &tlog_tiles::Tile) -> Tile {
    let width = tile.width().try_into().expect("at most 256");
    Tile { kind: Kind::Hashes(tile.level()), index: tile.level_index(), width }
}

impl TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile| self.0.read(&ours(tile).to_string()).ok_or(Error::InvalidTile);
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

fn theirs(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(hash.0)
}

fn hashes(proof: &[tlog_tiles::Hash]) -> Vec<Hash> {
    proof.iter().map(|hash| Hash(hash.0)).collect()
}

fn log(size: u64) -> Store {
    published(&(0..size).map(entry).collect::<Vec<_>>(), 100)
}

#[test]
fn they_read_our_tiles_and_make_the_proofs_that_we_make() {
    let size = 700;
    let store = log(size);
    let (checkpoint, _) = Checkpoint::parse(&store.files["checkpoint"]).expect("a checkpoint");
    let root = checkpoint.head.root;
    let files = Files(&store);
    let reader = TileHashReader::new(size, theirs(root), &files);
    let tiles = Tiles::new(size, |path: &str| store.read(path));
    for index in (0..size).step_by(7) {
        let ours = inclusion(&tiles, index, size).expect("in the log");
        let proof = prove_record(size, index, &reader).expect("in the log");
        assert_eq!(hashes(&proof), ours);
        let leaf = record_hash(&entry(index));
        assert_eq!(leaf.0, leaf_hash(&entry(index)).0);
        assert!(check_record(&proof, size, theirs(root), index, leaf).is_ok());
        assert_eq!(check_inclusion(&hashes(&proof), index, Hash(leaf.0), size, &root), Ok(()));
    }
    for old in (1..=size).step_by(13) {
        let ours = consistency(&tiles, old, size).expect("it begins so");
        let proof = prove_tree(size, old, &reader).expect("it begins so");
        assert_eq!(hashes(&proof), ours);
        let old_root = covey_ledger::proof::root(&tiles, old).expect("there");
        assert!(check_tree(&proof, size, theirs(root), old, theirs(old_root)).is_ok());
        assert_eq!(check_consistency(&ours, (old, &old_root), (size, &root)), Ok(()));
    }
}

#[test]
fn our_checkpoints_are_theirs() {
    let store = log(300);
    let (checkpoint, note) = Checkpoint::parse(&store.files["checkpoint"]).expect("a checkpoint");
    let theirs = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).expect("a checkpoint");
    assert_eq!(theirs.origin(), checkpoint.origin.as_str());
    assert_eq!((theirs.size(), theirs.hash().0), (300, checkpoint.head.root.0));
    assert_eq!(theirs.to_bytes(), note.text().as_bytes());
}

proptest! {
    #[test]
    fn growing_writes_the_tiles_that_they_write(old in 0u64..1 << 20, more in 0u64..100_000) {
        let mut expected: Vec<_> =
            tlog_tiles::Tile::new_tiles(8, old, old + more).iter().map(ours).collect();
        let written = new_tiles(old, old + more);
        let mut hashes: Vec<_> =
            written.into_iter().filter(|tile| tile.kind != Kind::Entries).collect();
        expected.sort();
        hashes.sort();
        prop_assert_eq!(hashes, expected);
    }

    #[test]
    fn paths_are_theirs_without_the_height(
        level in 0u8..8, index in 0u64..1 << 40, width in 1u16..=256,
    ) {
        let tile = Tile { kind: Kind::Hashes(level), index, width };
        let theirs = tlog_tiles::Tile::new(8, level, index, u32::from(width), false);
        prop_assert_eq!(theirs.path(), tile.to_string().replacen("tile/", "tile/8/", 1));
        let parsed = tlog_tiles::Tile::from_path(&theirs.path()).expect("their own");
        prop_assert_eq!(ours(&parsed), tile);
    }

    #[test]
    fn texts_are_checkpoints_to_both_or_to_none(
        text in "(log|a log|)\n(1|01|23)\n(CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=|AAAA)\n(more\n)?",
    ) {
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
        let ours = Checkpoint::of_text(&text);
        // They take an origin with spaces, which no key of ours could sign for.
        let spaced = text.starts_with("a log");
        prop_assert_eq!(ours.is_ok(), theirs.is_ok() && !spaced, "{:?}", text);
    }
}
