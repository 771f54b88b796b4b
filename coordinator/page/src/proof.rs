//! Receipts of entries, made from what is published (C2SP tlog-proof).

use std::collections::BTreeMap;

use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::proof::{inclusion, inclusion_nodes};
use covey_ledger::receipt::{InclusionProof, Receipt};
use covey_ledger::tile::{Tiles, tiles_of};

use crate::source::Source;

/// The receipt of an entry: it, the proof that it is in the ledger of the published checkpoint, and that
/// checkpoint.
///
/// # Errors
/// Why there is none, in words.
pub(crate) async fn of(source: &dyn Source, index: u64) -> Result<Vec<u8>, String> {
    let checkpoint = read(source, "checkpoint").await?;
    let (parsed, _) = Checkpoint::parse(&checkpoint).map_err(|error| error.to_string())?;
    let size = parsed.head.size;
    if index >= size {
        return Err(format!(
            "The published checkpoint is of {size} entries: {index} is not in it."
        ));
    }
    let mut tiles = BTreeMap::new();
    for tile in tiles_of(&inclusion_nodes(index, size), size) {
        let path = tile.to_string();
        let bytes = read(source, &path).await?;
        tiles.insert(path, bytes);
    }
    let nodes = Tiles::new(size, |path: &str| tiles.get(path).cloned());
    let hashes = inclusion(&nodes, index, size).map_err(|error| error.to_string())?;
    let entry = match source.entry(index).await {
        Ok(Some(entry)) => entry,
        Ok(None) => return Err(format!("Entry {index} is not at hand.")),
        Err(error) => return Err(format!("Entry {index} cannot be read now: {error}.")),
    };
    let proof = InclusionProof { index, hashes, checkpoint };
    Ok(Receipt { entry, proof }.to_string().into_bytes())
}

async fn read(source: &dyn Source, path: &str) -> Result<Vec<u8>, String> {
    match source.published(path).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("{path} is not published yet.")),
        Err(error) => Err(format!("{path} cannot be read now: {error}.")),
    }
}
