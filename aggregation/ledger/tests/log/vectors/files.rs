//! `path.json`, `tile.json`, and `log.json`, a whole log.

use std::collections::BTreeMap;

use covey_ledger::bundle::paths as paths_of;
use covey_ledger::note::VerifierKey;
use covey_ledger::tile::{
    BadTile, Kind, Tile, decode_entries, decode_hashes, encode_hashes, push_entry,
};
use covey_ledger::tree::{Hash, leaf_hash};
use serde_json::{Value, json};

use crate::support::{entry, published, quorum};

use super::{File, NAME, REFUSED, WRONG, base64, bytes, invalid, number, text, texts};

pub(super) fn paths() -> File {
    let case = |path: &str| {
        let tile: Tile = path.parse().expect("a path");
        let level = match tile.kind {
            Kind::Hashes(level) => json!(level),
            Kind::Entries => json!("entries"),
        };
        json!({
            "name": path, "path": path, "level": level, "index": tile.index.to_string(),
            "width": tile.width,
        })
    };
    let good = case("tile/0/000");
    let bad = |path: &str| invalid(&good, path, "no such path", "path", &[("path", json!(path))]);
    File {
        about: "paths of tiles and of bundles of entries (c2sp.org/tlog-tiles)",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("path", "relative to the log"),
            ("level", "of the tile, or \"entries\" for a bundle"),
            ("index", "from the left"),
            ("width", "hashes or entries: 256 of a full one"),
        ],
        valid: [
            "tile/0/000",
            "tile/1/001.p/5",
            "tile/0/x001/x234/067",
            "tile/5/x123/x456/078.p/2",
            "tile/entries/000.p/255",
            "tile/entries/x003/x057/500",
        ]
        .map(case)
        .to_vec(),
        invalid: [
            "tile/0/0",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/64/000",
            "tile/00/000",
            "tile/-1/000",
            "tile/data/000",
            "tile/0/../000",
            "/tile/0/000",
        ]
        .map(bad)
        .to_vec(),
    }
}

pub(super) fn check_path(case: &Value) -> Result<(), String> {
    let tile: Tile = text(case, "path").parse().map_err(|_| "path".to_owned())?;
    let level = match tile.kind {
        Kind::Hashes(level) => json!(level),
        Kind::Entries => json!("entries"),
    };
    assert_eq!((level, json!(tile.width)), (case["level"].clone(), case["width"].clone()));
    assert_eq!(
        (tile.index, tile.to_string().as_str()),
        (number(case, "index"), text(case, "path"))
    );
    Ok(())
}

pub(super) fn tiles() -> File {
    let bundle = |entries: &[Vec<u8>]| {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut bytes, entry).expect("short"));
        bytes
    };
    let entries = vec![entry(0), Vec::new(), entry(2)];
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let of_entries = json!({
        "name": "a bundle of three", "path": "tile/entries/000.p/3", "bytes": base64(bundle(&entries)),
        "content": entries.iter().map(base64).collect::<Vec<_>>(),
    });
    let of_hashes = json!({
        "name": "their tile", "path": "tile/0/000.p/3", "bytes": base64(encode_hashes(&leaves)),
        "content": leaves.iter().map(Hash::to_string).collect::<Vec<_>>(),
    });
    let with = |good: &Value, name: &str, refused: &str, field: &str, value: Value| {
        invalid(good, name, name, refused, &[(field, value)])
    };
    let bytes = bundle(&entries);
    let path = |path: &str| json!(path);
    File {
        about: "bundles of entries and tiles of hashes, as files (c2sp.org/tlog-tiles)",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("path", "says what it is, and how many"),
            ("bytes", "of the file"),
            ("content", "the entries or hashes in it"),
        ],
        valid: vec![of_entries.clone(), of_hashes.clone()],
        invalid: vec![
            with(&of_entries, "an entry fewer", "entries", "path", path("tile/entries/000.p/4")),
            with(&of_entries, "an entry more", "entries", "path", path("tile/entries/000.p/2")),
            with(&of_entries, "cut off", "cut-off", "bytes", base64(&bytes[..bytes.len() - 1])),
            with(&of_entries, "half a length", "cut-off", "bytes", base64(&bytes[..1])),
            with(&of_entries, "an empty file", "entries", "bytes", base64([])),
            with(&of_hashes, "a hash fewer", "bytes", "path", path("tile/0/000.p/4")),
            with(&of_hashes, "a hash more", "bytes", "path", path("tile/0/000.p/2")),
            with(&of_hashes, "a byte fewer", "bytes", "bytes", base64([0; 95])),
            with(&of_hashes, "a tile that is not full", "bytes", "path", path("tile/0/000")),
        ],
    }
}

pub(super) fn check_tile(case: &Value) -> Result<(), String> {
    let name = |bad: BadTile| {
        let name = match bad {
            BadTile::Bytes { .. } => "bytes",
            BadTile::Entries { .. } => "entries",
            BadTile::CutOff => "cut-off",
        };
        name.to_owned()
    };
    let tile: Tile = text(case, "path").parse().expect("a path");
    let bytes = bytes(case, "bytes");
    let content: Vec<_> = match tile.kind {
        Kind::Entries => {
            let entries = decode_entries(&tile, &bytes).map_err(name)?;
            entries.iter().map(base64).collect()
        }
        Kind::Hashes(_) => {
            let hashes = decode_hashes(&tile, &bytes).map_err(name)?;
            hashes.iter().map(|hash| json!(hash.to_string())).collect()
        }
    };
    assert_eq!(json!(content), json!(texts(case, "content")));
    Ok(())
}

/// A log of 1,000 entries with all its files, for audits and for changes of every byte.
pub(super) fn whole_log() -> Value {
    let size = 1_000;
    let store = published(&(0..size).map(entry).collect::<Vec<_>>(), 129);
    let files: BTreeMap<_, _> =
        paths_of(size).map(|path| (path.clone(), base64(&store.files[&path]))).collect();
    let witnesses: Vec<_> = quorum().witnesses().iter().map(VerifierKey::to_string).collect();
    json!({
        "about": "a whole log of 1,000 entries; a change of any byte of any file must be found",
        "log": quorum().log().to_string(), "witnesses": witnesses, "needed": quorum().needed(),
        "size": size.to_string(), "files": files,
    })
}
