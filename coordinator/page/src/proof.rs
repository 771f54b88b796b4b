//! Proofs of inclusion, made from what is published (C2SP tlog-proof).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::proof::{inclusion, inclusion_nodes};
use covey_ledger::tile::{Tile, Tiles, tiles_of};

use crate::source::Source;

/// The proof that an entry is in the ledger of the published checkpoint; the checkpoint is at its end.
///
/// # Errors
/// Why there is none, in words.
pub(crate) async fn of(source: &dyn Source, index: u64) -> Result<Vec<u8>, String> {
    let note = read(source, "checkpoint").await?;
    let (checkpoint, _) = Checkpoint::parse(&note).map_err(|error| error.to_string())?;
    let size = checkpoint.head.size;
    if index >= size {
        return Err(format!("The published checkpoint has {size} entries: entry {index} is not in it yet."));
    }
    let mut tiles = BTreeMap::new();
    for tile in tiles_of(&inclusion_nodes(index, size), size) {
        tiles.insert(tile, read(source, &tile.to_string()).await?);
    }
    let nodes = Tiles::new(size, |tile: &Tile| -> Result<Vec<u8>, String> {
        tiles.get(tile).cloned().ok_or_else(|| format!("{tile} was not read"))
    });
    let proof = inclusion(&nodes, index, size).map_err(|error| error.to_string())?;
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
    for hash in proof {
        // Writing to a string does not fail.
        _ = writeln!(text, "{hash}");
    }
    let mut bytes = text.into_bytes();
    bytes.push(b'\n');
    bytes.extend(note);
    Ok(bytes)
}

async fn read(source: &dyn Source, path: &str) -> Result<Vec<u8>, String> {
    match source.published(path).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("{path} is not published yet.")),
        Err(error) => Err(format!("{path} cannot be read now: {error}.")),
    }
}
