//! Whatever bytes a parser is given, it does not fail in another way than by refusing; and what it takes
//! has one form only, so nothing can be changed without being noticed.

use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::note::{KeyName, Note, SignatureLine, VerifierKey};
use covey_ledger::proof::inclusion;
use covey_ledger::receipt::{InclusionProof, Receipt};
use covey_ledger::tile::{Kind, Tile, decode_entries, decode_hashes, push_entry};
use covey_ledger::tile::{Tiles, encode_hashes};
use covey_ledger::witness::Request;
use proptest::prelude::*;

use crate::support::{entry, published, quorum};

/// Every parser, on the same bytes.
fn parse_all(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
    if let Ok((checkpoint, note)) = Checkpoint::parse(bytes) {
        assert_eq!(checkpoint.to_string(), note.text());
    }
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    let _ = quorum().check(bytes);
    for width in [1, 3, 256] {
        let tile = |kind| Tile { kind, index: 0, width };
        if let Ok(entries) = decode_entries(&tile(Kind::Entries), bytes) {
            let mut again = Vec::new();
            entries.iter().for_each(|entry| push_entry(&mut again, entry).expect("short"));
            assert_eq!(again, bytes);
        }
        if let Ok(hashes) = decode_hashes(&tile(Kind::Hashes(0)), bytes) {
            assert_eq!(encode_hashes(&hashes), bytes);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(receipt) = text.parse::<Receipt>() {
        assert_eq!(receipt.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(tile) = text.parse::<Tile>() {
        assert_eq!(tile.to_string(), text);
    }
    if let Some(line) = SignatureLine::parse(text) {
        assert_eq!(line.to_string(), text.strip_suffix('\n').unwrap_or(text));
    }
    if let Ok(name) = text.parse::<KeyName>() {
        assert_eq!(name.as_str(), text);
    }
}

thread_local! {
    static SEEDS: Vec<Vec<u8>> = seeds();
}

/// One of each kind of text.
fn seeds() -> Vec<Vec<u8>> {
    let size = 20;
    let store = published(&(0..size).map(entry).collect::<Vec<_>>(), 7);
    let checkpoint = store.files["checkpoint"].clone();
    let tiles = Tiles::new(size, |path: &str| store.read(path));
    let hashes = inclusion(&tiles, 3, size).expect("in the log");
    let proof = InclusionProof { index: 3, hashes, checkpoint: checkpoint.clone() };
    let request = Request::new(7, size, checkpoint.clone(), &tiles).expect("it begins so");
    let line = Note::parse(&checkpoint).expect("a note").signatures()[1].to_string();
    vec![
        checkpoint,
        Receipt { entry: entry(3), proof }.to_string().into_bytes(),
        request.encode(),
        line.into_bytes(),
        quorum().log().to_string().into_bytes(),
        b"tile/0/x001/002.p/3".to_vec(),
        store.files["tile/entries/000.p/20"].clone(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_bytes_make_a_parser_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_all(&bytes);
    }

    #[test]
    fn no_change_of_good_bytes_makes_a_parser_fail_or_has_a_second_form(
        seed in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3, any::<u8>()), 1..4),
    ) {
        let seeds = SEEDS.with(Clone::clone);
        let mut bytes = seeds[seed.index(seeds.len())].clone();
        for (place, kind, byte) in edits {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => bytes.truncate(place + 1),
            }
        }
        parse_all(&bytes);
    }
}
