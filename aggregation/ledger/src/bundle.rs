//! A whole log as files, checked from the first entry to the last signature.
//!
//! Files are `checkpoint` and those of [`crate::tile`]; whoever has them, from a folder, an archive or a
//! server, audits them in the same way. Everything is derived again: each entry's hash is in the tile of
//! its level, each hash of a full tile in the one above, and all of them make the root that the log and a
//! quorum of its witnesses have signed. So a change of any byte of any of the files is found.

use crate::checkpoint::TreeHead;
use crate::quorum::{Cosigned, NotFinal, Quorum};
use crate::tile::{BadTile, Kind, TILE_WIDTH, Tile, decode_entries, decode_hashes, new_tiles};
use crate::tree::{Frontier, Hash, fold, leaf_hash};

/// Path of the checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// The first fault of a log's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct Fault {
    /// Which file.
    pub path: String,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Not there.
    #[error("the file is missing")]
    Missing,
    /// Not in its form.
    #[error(transparent)]
    Form(#[from] BadTile),
    /// Not signed as it must be.
    #[error(transparent)]
    Checkpoint(#[from] NotFinal),
    /// Signatures of keys that are not known here, which a server may ignore and an audit does not.
    #[error("{0} of its signatures are by unknown keys, or there twice")]
    Unknown(usize),
    /// An entry whose hash is not that of its tile.
    #[error("entry {0} is not the one that its tile has the hash of")]
    Entry(u64),
    /// A hash that does not follow from the tile below.
    #[error("hash {0} does not follow from the tile below")]
    Hash(usize),
    /// The entries make another root than the one signed.
    #[error("the entries make another root than the one that is signed")]
    Root,
}

/// The paths of all files of a log with `size` entries. Others that a server has beside them are partial
/// tiles of smaller logs.
pub fn paths(size: u64) -> impl Iterator<Item = String> {
    let tiles = new_tiles(0, size).into_iter().map(|tile| tile.to_string());
    std::iter::once(CHECKPOINT_PATH.to_owned()).chain(tiles)
}

/// Audits a whole log: `read` gives the bytes at a path, `visit` is given every entry by its index, in
/// order, before the whole is known to be right.
///
/// # Errors
/// The first [`Fault`].
pub fn audit(
    read: impl Fn(&str) -> Option<Vec<u8>>,
    quorum: &Quorum,
    visit: impl FnMut(u64, &[u8]),
) -> Result<Cosigned, Fault> {
    let cosigned = audit_checkpoint(&read, quorum)?;
    audit_tree(read, cosigned.checkpoint.head, visit)?;
    Ok(cosigned)
}

/// Audits the checkpoint alone: it is the log's and final, and every signature on it is by a known key.
///
/// # Errors
/// The [`Fault`] of that file.
pub fn audit_checkpoint(
    read: impl Fn(&str) -> Option<Vec<u8>>,
    quorum: &Quorum,
) -> Result<Cosigned, Fault> {
    let fault = |fault| Fault { path: CHECKPOINT_PATH.to_owned(), fault };
    let bytes = read(CHECKPOINT_PATH).ok_or_else(|| fault(FileFault::Missing))?;
    let cosigned = quorum.check(&bytes).map_err(|not_final| fault(not_final.into()))?;
    let known = cosigned.witnesses.len() + 1;
    match cosigned.note.signatures().len().saturating_sub(known) {
        0 => Ok(cosigned),
        more => Err(fault(FileFault::Unknown(more))),
    }
}

/// Audits all other files against a checkpoint that is known to be right.
///
/// # Errors
/// The first [`Fault`].
pub fn audit_tree(
    read: impl Fn(&str) -> Option<Vec<u8>>,
    head: TreeHead,
    mut visit: impl FnMut(u64, &[u8]),
) -> Result<(), Fault> {
    let (mut tree, mut below) = (Frontier::default(), Vec::new());
    for tile in tiles(Kind::Entries, head.size) {
        let bytes = bytes_of(&read, &tile)?;
        let entries = decode_entries(&tile, &bytes).map_err(|bad| fault_of(&tile, bad.into()))?;
        let first = tile.index * u64::from(TILE_WIDTH);
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let hashes = hashes_of(&read, &Tile { kind: Kind::Hashes(0), ..tile })?;
        if let Some(place) = differs(&leaves, &hashes) {
            return Err(fault_of(&tile, FileFault::Entry(first + place as u64)));
        }
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        (first..).zip(entries).for_each(|(index, entry)| visit(index, entry));
        below.extend(full(&tile, &leaves));
    }
    for level in 1.. {
        let (mut above, mut tiles) = (Vec::new(), tiles(Kind::Hashes(level), head.size).peekable());
        if tiles.peek().is_none() {
            break;
        }
        for tile in tiles {
            let hashes = hashes_of(&read, &tile)?;
            let first = usize::try_from(tile.index).unwrap_or(usize::MAX) * usize::from(TILE_WIDTH);
            let derived = below.get(first..first + hashes.len()).unwrap_or_default();
            if let Some(place) = differs(derived, &hashes) {
                return Err(fault_of(&tile, FileFault::Hash(place)));
            }
            above.extend(full(&tile, &hashes));
        }
        below = above;
    }
    if tree.root() == head.root {
        Ok(())
    } else {
        Err(Fault { path: CHECKPOINT_PATH.to_owned(), fault: FileFault::Root })
    }
}

/// All tiles of a kind, from left to right.
fn tiles(kind: Kind, size: u64) -> impl Iterator<Item = Tile> {
    (0..).map_while(move |index| Tile::at(kind, index, size))
}

fn bytes_of(read: &impl Fn(&str) -> Option<Vec<u8>>, tile: &Tile) -> Result<Vec<u8>, Fault> {
    read(&tile.to_string()).ok_or_else(|| fault_of(tile, FileFault::Missing))
}

fn hashes_of(read: &impl Fn(&str) -> Option<Vec<u8>>, tile: &Tile) -> Result<Vec<Hash>, Fault> {
    let bytes = bytes_of(read, tile)?;
    decode_hashes(tile, &bytes).map_err(|bad| fault_of(tile, bad.into()))
}

fn fault_of(tile: &Tile, fault: FileFault) -> Fault {
    Fault { path: tile.to_string(), fault }
}

/// The first place where two lists differ, in length or in content.
fn differs(derived: &[Hash], read: &[Hash]) -> Option<usize> {
    let same = derived.iter().zip(read).take_while(|(a, b)| a == b).count();
    (same < derived.len().max(read.len())).then_some(same)
}

/// What a tile has in the one above it, once it is full.
fn full(tile: &Tile, hashes: &[Hash]) -> Option<Hash> {
    tile.is_full().then(|| fold(hashes))?
}
