//! Tiles and bundles of entries: the log as files that never change
//! ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)).
//!
//! - A tile at level L holds up to 256 hashes: of entries at level 0, of full tiles of the level below
//!   further up. What lies between is computed.
//! - A bundle holds up to 256 entries, each after its length in two bytes.
//! - Where there are fewer than 256, the path says how many, so no file ever changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::proof::{Node, Nodes};
use crate::tree::{HASH_BYTES, Hash, fold};

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that a tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Bytes of an entry: its length is written in two bytes. What is longer is published elsewhere, and the
/// entry has its digest and length.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Bytes of a bundle: 256 entries of the greatest length.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (ENTRY_BYTES_MAX + 2);
/// Levels of tiles that a log has at most: 2^64 entries are below one of level 7.
const LEVELS: u8 = 8;
/// Bytes of a path: room for twenty digits in groups of three, and for the rest.
const PATH_BYTES_MAX: usize = 64;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hashes, at this level of tiles.
    Hashes(u8),
    /// Entries.
    Entries,
}

impl Kind {
    /// Entries that one hash or one entry of such a file is over, as a power of two.
    const fn shift(self) -> u32 {
        match self {
            Self::Hashes(level) => level as u32 * TILE_HEIGHT,
            Self::Entries => 0,
        }
    }
}

/// A tile or a bundle, by its place. As text, its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// From the left, within its kind.
    pub index: u64,
    /// How much it holds: 1 to 256.
    pub width: u16,
}

/// The text is no path of a tile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no path of a tile or of a bundle of entries")]
pub struct BadPath {
    /// What was given.
    pub text: String,
}

/// The bytes are not those of a tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTile {
    /// No whole number of hashes, or another one than the path says.
    #[error("it has {got} bytes, its path says {expected}")]
    Bytes {
        /// So many.
        got: usize,
        /// For its width.
        expected: usize,
    },
    /// More or fewer entries than the path says.
    #[error("it has {got} entries, its path says {expected}")]
    Entries {
        /// So many, or more.
        got: usize,
        /// Its width.
        expected: u16,
    },
    /// The last entry is cut off.
    #[error("its last entry is cut off")]
    CutOff,
}

/// An entry is too long for a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {got} bytes is too long, {ENTRY_BYTES_MAX} are allowed")]
pub struct LongEntry {
    /// So many.
    pub got: usize,
}

impl Tile {
    /// The tile at `index` of a log with `size` entries: full, or as wide as that log makes it. `None`
    /// when nothing is in it.
    #[must_use]
    pub fn at(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(u64::from(TILE_WIDTH))?;
        let there = (size.checked_shr(kind.shift()).unwrap_or(0)).checked_sub(before)?;
        let width = u16::try_from(there).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// The tile that a node is read from, in a log with `size` entries; `None` when it is not in there.
    #[must_use]
    pub fn of_node(node: Node, size: u64) -> Option<Self> {
        let (level, height) = (node.level / TILE_HEIGHT, node.level % TILE_HEIGHT);
        let level = u8::try_from(level).ok().filter(|level| *level < LEVELS)?;
        let tile = Self::at(Kind::Hashes(level), node.index >> (TILE_HEIGHT - height), size)?;
        let last = (node.index << height) % u64::from(TILE_WIDTH) + (1 << height);
        (last <= u64::from(tile.width)).then_some(tile)
    }

    /// Whether it will not grow.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The hash of a node that lies in this tile with these hashes.
    fn node(&self, hashes: &[Hash], node: Node) -> Option<Hash> {
        let height = node.level % TILE_HEIGHT;
        let first = usize::try_from((node.index << height) % u64::from(TILE_WIDTH)).ok()?;
        fold(hashes.get(first..first + (1 << height))?)
    }
}

/// The tiles and bundles that a log of `new` entries has and one of `old` had not; all of them for an
/// `old` of zero, except that those partial ones are left out which only logs in between had.
#[must_use]
pub fn new_tiles(old: u64, new: u64) -> Vec<Tile> {
    let hashes = (0..LEVELS).map(Kind::Hashes);
    let kinds = std::iter::once(Kind::Entries).chain(hashes);
    kinds.flat_map(|kind| new_tiles_of(kind, old, new)).collect()
}

/// Folders of partial tiles and bundles that a log of `new` entries no longer needs and one of `old` did:
/// their full ones are there now, and serve whoever still asks for them. They may be removed once those are
/// durable; only partial ones are in there.
#[must_use]
pub fn superseded(old: u64, new: u64) -> Vec<String> {
    let full = new_tiles(old, new).into_iter().filter(Tile::is_full);
    full.map(|tile| format!("{tile}.p")).collect()
}

/// What is at the right edge of a log of `size` entries: its partial tiles and its partial bundle.
#[must_use]
pub fn edge(size: u64) -> Vec<Tile> {
    let hashes = (0..LEVELS).map(Kind::Hashes);
    let kinds = std::iter::once(Kind::Entries).chain(hashes);
    let last = |kind: Kind| Tile::at(kind, size.checked_shr(kind.shift())? / 256, size);
    kinds.filter_map(last).collect()
}

/// The tiles that nodes are read from, each once.
#[must_use]
pub fn tiles_of(nodes: &[Node], size: u64) -> BTreeSet<Tile> {
    nodes.iter().filter_map(|node| Tile::of_node(*node, size)).collect()
}

/// The bundle that an entry is in, in a log with `size` entries, and its place in there; `None` when
/// there is no such entry.
#[must_use]
pub fn bundle_of(index: u64, size: u64) -> Option<(Tile, usize)> {
    let (bundle, place) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
    let tile = (index < size).then(|| Tile::at(Kind::Entries, bundle, size))??;
    Some((tile, usize::try_from(place).ok()?))
}

/// The bytes of a tile with these hashes.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile.
///
/// # Errors
/// [`BadTile::Bytes`] when they are not as many as its path says.
pub fn decode_hashes(tile: &Tile, bytes: &[u8]) -> Result<Vec<Hash>, BadTile> {
    let expected = usize::from(tile.width) * HASH_BYTES;
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if bytes.len() != expected || !rest.is_empty() {
        return Err(BadTile::Bytes { got: bytes.len(), expected });
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// Appends an entry to the bytes of a bundle.
///
/// # Errors
/// [`LongEntry`] when its length has no place in two bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), LongEntry> {
    let length = u16::try_from(entry.len()).map_err(|_| LongEntry { got: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle.
///
/// # Errors
/// [`BadTile`] when they are not as many as its path says, or the last is cut off.
pub fn decode_entries<'b>(tile: &Tile, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, BadTile> {
    let (mut rest, mut entries) = (bytes, Vec::with_capacity(usize::from(tile.width)));
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(BadTile::CutOff)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(BadTile::CutOff)?;
        entries.push(entry);
        rest = after;
        if entries.len() > usize::from(tile.width) {
            break;
        }
    }
    if entries.len() == usize::from(tile.width) {
        Ok(entries)
    } else {
        Err(BadTile::Entries { got: entries.len(), expected: tile.width })
    }
}

fn new_tiles_of(kind: Kind, old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let count = |size: u64| size.checked_shr(kind.shift()).unwrap_or(0);
    let (before, after) = (count(old), count(new));
    let grown = if after > before { before / 256..after.div_ceil(256) } else { 0..0 };
    grown.filter_map(move |index| Tile::at(kind, index, new))
}

/// Why a node could not be read from tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The log has no such node.
    #[error("a log of {size} entries has no node {} at level {}", node.index, node.level)]
    NoNode {
        /// Which.
        node: Node,
        /// The log's.
        size: u64,
    },
    /// The file is not there.
    #[error("{path} is missing")]
    Missing {
        /// Which.
        path: String,
    },
    /// The file is not what its path says.
    #[error("{path}: {fault}")]
    Bad {
        /// Which.
        path: String,
        /// Why.
        fault: BadTile,
    },
}

/// Reads nodes from the tiles of a log with `size` entries, each tile once. Where a partial tile is gone,
/// the full one that came after it serves as well.
pub struct Tiles<F> {
    size: u64,
    read: F,
    cache: RefCell<BTreeMap<Tile, Vec<Hash>>>,
}

impl<F: Fn(&str) -> Option<Vec<u8>>> Tiles<F> {
    /// `read` gives the bytes at a path, if there are any.
    pub const fn new(size: u64, read: F) -> Self {
        Self { size, read, cache: RefCell::new(BTreeMap::new()) }
    }

    /// How many tiles were read.
    #[must_use]
    pub fn tiles_read(&self) -> usize {
        self.cache.borrow().len()
    }

    /// All hashes of a tile.
    ///
    /// # Errors
    /// [`TileError`] when it is missing or not what its path says.
    pub fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, TileError> {
        let bad = |tile: &Tile, fault| TileError::Bad { path: tile.to_string(), fault };
        if let Some(bytes) = (self.read)(&tile.to_string()) {
            return decode_hashes(&tile, &bytes).map_err(|fault| bad(&tile, fault));
        }
        let full = Tile { width: TILE_WIDTH, ..tile };
        let bytes = (self.read)(&full.to_string());
        let bytes = bytes.ok_or_else(|| TileError::Missing { path: tile.to_string() })?;
        let mut hashes = decode_hashes(&full, &bytes).map_err(|fault| bad(&full, fault))?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }
}

impl<F: Fn(&str) -> Option<Vec<u8>>> Nodes for Tiles<F> {
    type Error = TileError;

    fn node(&self, node: Node) -> Result<Hash, TileError> {
        let absent = TileError::NoNode { node, size: self.size };
        let Some(tile) = Tile::of_node(node, self.size) else { return Err(absent) };
        if let Some(hashes) = self.cache.borrow().get(&tile) {
            return tile.node(hashes, node).ok_or(absent);
        }
        let hashes = self.hashes(tile)?;
        let hash = tile.node(&hashes, node).ok_or(absent);
        self.cache.borrow_mut().insert(tile, hashes);
        hash
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
            Kind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let tile = (text.len() <= PATH_BYTES_MAX).then(|| parse(text)).flatten();
        // There is one text for each place.
        tile.filter(|tile| tile.to_string() == text)
            .ok_or_else(|| BadPath { text: text.chars().take(PATH_BYTES_MAX).collect() })
    }
}

fn parse(text: &str) -> Option<Tile> {
    let (kind, place) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(level.parse().ok().filter(|level| *level < LEVELS)?),
    };
    let (place, width) = match place.split_once(".p/") {
        Some((place, width)) => {
            (place, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?)
        }
        None => (place, TILE_WIDTH),
    };
    let digits = place.replace("/x", "/").replace('/', "");
    let index = digits.trim_start_matches('x').parse().ok()?;
    Some(Tile { kind, index, width })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::proof::{
        check_consistency, check_inclusion, consistency, inclusion, inclusion_nodes, root,
    };
    use crate::tree::{Frontier, leaf_hash};

    use super::*;

    const fn hashes(level: u8, index: u64, width: u16) -> Tile {
        Tile { kind: Kind::Hashes(level), index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let known = [
            ("tile/0/x001/x234/067", hashes(0, 1_234_067, 256)),
            ("tile/4/000", hashes(4, 0, 256)),
            ("tile/1/001.p/5", hashes(1, 1, 5)),
            ("tile/5/x123/x456/078.p/2", hashes(5, 123_456_078, 2)),
            (
                "tile/entries/x003/x057/500",
                Tile { kind: Kind::Entries, index: 3_057_500, width: 256 },
            ),
            ("tile/entries/000.p/255", Tile { kind: Kind::Entries, index: 0, width: 255 }),
        ];
        for (path, tile) in known {
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile), "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        let others = [
            "tile/5/123/456/078",
            "tile/-1/000",
            "tile/64/000",
            "tile/00/000",
            "tile/0/0",
            "tile/0/x000/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/data/000",
            "tile/0/+01",
            "tile/0/x001/x234",
            "tile/0/../000",
            "/tile/0/000",
            "checkpoint",
            "",
        ];
        for path in others {
            assert!(path.parse::<Tile>().is_err(), "{path}");
        }
    }

    #[test]
    fn a_log_of_70_000_entries_has_the_tiles_of_the_specification() {
        let tiles = new_tiles(0, 70_000);
        let count = |kind: Kind, full: bool| {
            tiles.iter().filter(|tile| tile.kind == kind && tile.is_full() == full).count()
        };
        assert_eq!((count(Kind::Hashes(0), true), count(Kind::Entries, true)), (273, 273));
        assert_eq!(count(Kind::Hashes(1), true), 1);
        for partial in [hashes(0, 273, 112), hashes(1, 1, 17), hashes(2, 0, 1)] {
            assert!(tiles.contains(&partial), "{partial}");
        }
        assert_eq!(tiles.len(), 2 * 274 + 2 + 1);
        assert_eq!(
            new_tiles(0, 256),
            [
                Tile { kind: Kind::Entries, index: 0, width: 256 },
                hashes(0, 0, 256),
                hashes(1, 0, 1)
            ]
        );
        assert_eq!(edge(256), [hashes(1, 0, 1)]);
    }

    #[test]
    fn a_growing_log_writes_what_it_did_not_have() {
        assert!(new_tiles(5, 5).is_empty() && new_tiles(0, 0).is_empty());
        let at = |old, new| new_tiles(old, new).iter().map(Tile::to_string).collect::<Vec<_>>();
        assert_eq!(at(100, 101), ["tile/entries/000.p/101", "tile/0/000.p/101"]);
        assert_eq!(
            at(255, 257),
            [
                "tile/entries/000",
                "tile/entries/001.p/1",
                "tile/0/000",
                "tile/0/001.p/1",
                "tile/1/000.p/1"
            ]
        );
    }

    #[test]
    fn partial_tiles_are_superseded_when_their_full_one_is_there() {
        assert!(superseded(0, 255).is_empty() && superseded(256, 300).is_empty());
        let folders = ["tile/entries/000.p", "tile/0/000.p"];
        assert_eq!(superseded(255, 256), folders);
        assert_eq!(superseded(100, 300), folders);
    }

    #[test]
    fn bundles_give_their_entries_back_and_others_are_refused() {
        let mut bytes = Vec::new();
        let entries: [&[u8]; 3] = [b"one", b"", &[7; ENTRY_BYTES_MAX]];
        entries.iter().for_each(|entry| push_entry(&mut bytes, entry).expect("short enough"));
        let tile = |width| Tile { kind: Kind::Entries, index: 0, width };
        assert_eq!(decode_entries(&tile(3), &bytes), Ok(entries.to_vec()));
        let count = |got, expected| Err(BadTile::Entries { got, expected });
        assert_eq!(decode_entries(&tile(2), &bytes), count(3, 2));
        assert_eq!(decode_entries(&tile(4), &bytes), count(3, 4));
        assert_eq!(decode_entries(&tile(3), &bytes[..9]), Err(BadTile::CutOff));
        assert_eq!(decode_entries(&tile(1), &[0]), Err(BadTile::CutOff));
        let long = LongEntry { got: ENTRY_BYTES_MAX + 1 };
        assert_eq!(push_entry(&mut bytes, &[0; ENTRY_BYTES_MAX + 1]), Err(long));
        let bytes = BadTile::Bytes { got: 33, expected: 32 };
        assert_eq!(decode_hashes(&hashes(0, 0, 1), &[0; 33]), Err(bytes));
    }

    /// The tiles of a log of `size` entries, made leaf by leaf.
    fn tiles_of_log(size: u64) -> BTreeMap<String, Vec<u8>> {
        let leaves: Vec<_> = (0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect();
        let (mut files, mut level) = (BTreeMap::new(), leaves);
        for number in 0..LEVELS {
            for (index, chunk) in level.chunks(256).enumerate() {
                let tile = hashes(number, index as u64, chunk.len() as u16);
                files.insert(tile.to_string(), encode_hashes(chunk));
            }
            level = level.as_chunks::<256>().0.iter().filter_map(|full| fold(full)).collect();
        }
        files
    }

    #[test]
    fn a_proof_in_a_log_of_a_million_entries_reads_a_few_tiles() {
        let size = 1_000_000;
        let files = tiles_of_log(size);
        let mut tree = Frontier::default();
        (0..size).for_each(|index| tree.push(leaf_hash(&index.to_be_bytes())));
        for index in [0, 1, 255, 256, 65_535, 65_536, 777_777, size - 1] {
            let tiles = Tiles::new(size, |path: &str| files.get(path).cloned());
            let proof = inclusion(&tiles, index, size).expect("in the log");
            let leaf = leaf_hash(&index.to_be_bytes());
            assert_eq!(check_inclusion(&proof, index, leaf, size, &tree.root()), Ok(()));
            assert!(tiles.tiles_read() <= 6, "{} for {index}", tiles.tiles_read());
            assert_eq!(tiles_of(&inclusion_nodes(index, size), size).len(), tiles.tiles_read());
        }
    }

    #[test]
    fn a_full_tile_serves_where_its_partial_one_is_gone() {
        let files = tiles_of_log(300);
        let tiles = Tiles::new(200, |path: &str| files.get(path).cloned());
        let mut tree = Frontier::default();
        (0..200u64).for_each(|index| tree.push(leaf_hash(&index.to_be_bytes())));
        assert_eq!(root(&tiles, 200), Ok(tree.root()));
        let tiles = Tiles::new(301, |path: &str| files.get(path).cloned());
        let missing = TileError::Missing { path: "tile/0/001.p/45".to_owned() };
        assert_eq!(root(&tiles, 301), Err(crate::proof::NoProof::Read(missing)));
    }

    proptest! {
        #[test]
        fn paths_are_parsed_as_they_are_written(
            level in prop::option::of(0..LEVELS), index in 0..u64::MAX / 256, width in 1u16..=256,
        ) {
            let tile = Tile { kind: level.map_or(Kind::Entries, Kind::Hashes), index, width };
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }

        #[test]
        fn no_text_makes_the_parser_fail(text in "(tile/)?[0-9x/.p]{0,40}") {
            if let Ok(tile) = text.parse::<Tile>() {
                prop_assert_eq!(tile.to_string(), text);
            }
        }

        #[test]
        fn steps_write_what_one_leap_writes_or_what_it_left_behind(
            a in 0u64..70_000, b in 0u64..600,
        ) {
            let all: BTreeSet<_> = new_tiles(0, a + b).into_iter().collect();
            let steps: BTreeSet<_> = [new_tiles(0, a), new_tiles(a, a + b)].concat().into_iter().collect();
            prop_assert!(all.is_subset(&steps));
            prop_assert!(steps.difference(&all).all(|tile| !tile.is_full()));
        }

        #[test]
        fn consistency_is_proven_from_tiles(old in 1u64..2_000, more in 0u64..2_000) {
            let (new, leaf) = (old + more, |index: u64| leaf_hash(&index.to_be_bytes()));
            let files = tiles_of_log(new);
            let tiles = Tiles::new(new, |path: &str| files.get(path).cloned());
            let mut tree = Frontier::default();
            (0..old).for_each(|index| tree.push(leaf(index)));
            let before = tree.root();
            (old..new).for_each(|index| tree.push(leaf(index)));
            let proof = consistency(&tiles, old, new).expect("it begins so");
            prop_assert_eq!(check_consistency(&proof, (old, &before), (new, &tree.root())), Ok(()));
        }
    }
}
