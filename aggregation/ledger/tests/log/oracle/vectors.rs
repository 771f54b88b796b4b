//! The known answers in `tests/vectors`, by the other implementation: `tlog_tiles` for proofs, tiles and the
//! texts of checkpoints, `signed_note` for notes and signatures. What it takes and we refuse is listed, case by
//! case, and so is what it has no word for; everything else must come to the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use serde_json::Value;
use signed_note::{Note, Signature, StandardVerifier, Verifier, VerifierList, key_id};
use tlog_tiles::tlog::{
    check_record, check_tree, prove_record, prove_tree, record_hash, tree_hash,
};
use tlog_tiles::{Checkpoint, Error, Hash, HashReader, Tile, TileHashReader, TileReader};

use crate::vectors::{bytes, number, read, text, texts};

/// Types of keys: of a plain signature, and of a cosignature.
const ED25519: u8 = 1;
const COSIGNATURE: u8 = 4;

/// What they take and we refuse: file, case, and why we are stricter.
const STRICTER: [(&str, &str, &str); 3] = [
    ("note.json", "too many signatures", "they take 100 lines, we 64"),
    ("note.json", "a false line beside", "they look at the first line of a key only"),
    ("cosignature.json", "a key of small order", "they verify without looking at the key's order"),
];

/// Refused, in whatever words.
type Checked = Result<(), String>;

fn word(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// Every case of a file but those without a word of theirs: valid ones hold, invalid ones are refused, but for
/// [`STRICTER`].
fn compare(
    name: &str,
    check: impl Fn(&Value) -> Checked,
    has_word: impl Fn(&Value) -> bool,
) -> usize {
    let file = read(name);
    let mut checked = 0;
    for list in ["valid", "invalid"] {
        let cases = file[list].as_array().expect("a list");
        for case in cases.iter().filter(|case| has_word(case)) {
            let case_name = text(case, "name");
            let is_taken = STRICTER.iter().any(|(file, one, _)| *file == name && *one == case_name);
            let expected = list == "valid" || is_taken;
            let told = check(case);
            assert_eq!(told.is_ok(), expected, "{name}: {case_name}: {told:?}");
            checked += 1;
        }
    }
    checked
}

fn every_case(_: &Value) -> bool {
    true
}

fn hash(case: &Value, field: &str) -> Hash {
    Hash::parse_hash(text(case, field)).expect("a hash")
}

fn proof(case: &Value) -> Vec<Hash> {
    texts(case, "proof").iter().map(|hash| Hash::parse_hash(hash).expect("a hash")).collect()
}

#[test]
fn their_proofs_of_inclusion_are_ours() {
    let check = |case: &Value| {
        let (index, size) = (number(case, "index"), number(case, "size"));
        let leaf = record_hash(&bytes(case, "entry"));
        check_record(&proof(case), size, hash(case, "root"), index, leaf).map_err(word)
    };
    assert_eq!(compare("inclusion.json", check, every_case), 16 + 12);
}

#[test]
fn their_proofs_of_consistency_are_ours_but_for_the_empty_tree() {
    let check = |case: &Value| {
        let (old, new) = (number(case, "old_size"), number(case, "new_size"));
        check_tree(&proof(case), new, hash(case, "new_root"), old, hash(case, "old_root"))
            .map_err(word)
    };
    let has_word = |case: &Value| number(case, "old_size") > 0;
    assert_eq!(compare("consistency.json", check, has_word), 15 + 11);
    // They know no proof from a tree without entries.
    for case in read("consistency.json")["valid"].as_array().expect("a list") {
        assert_eq!(check(case).is_ok(), has_word(case), "{case}");
    }
}

/// A witness' key to them: they have only plain signatures, of which a cosignature is one over another text.
struct Cosigner {
    name: String,
    id: u32,
    key: StandardVerifier,
}

impl Cosigner {
    fn of(key: &str) -> Self {
        let (name, data) = (key.split('+').next().expect("a name"), key.splitn(3, '+').nth(2));
        let mut data = BASE64.decode(data.expect("a key").as_bytes()).expect("base64");
        assert_eq!(data[0], COSIGNATURE);
        let id = key_id(name, &data);
        assert_eq!(format!("{name}+{id:08x}+{}", BASE64.encode(&data)), key);
        data[0] = ED25519;
        let plain = format!("{name}+{:08x}+{}", key_id(name, &data), BASE64.encode(&data));
        let key = StandardVerifier::new(&plain).expect("a key");
        Self { name: name.to_owned(), id, key }
    }
}

impl Verifier for Cosigner {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk::<8>() else { return false };
        let time_s = i64::from_be_bytes(*time);
        let signed = [format!("cosignature/v1\ntime {time_s}\n").as_bytes(), text].concat();
        time_s >= 0 && self.key.verify(&signed, signature)
    }
}

/// The time that a cosignature says.
fn time_s(signature: &Signature) -> u64 {
    let time = signature.signature().first_chunk::<8>().expect("a time");
    u64::from_be_bytes(*time)
}

#[test]
fn their_notes_and_signatures_are_ours() {
    let check = |case: &Value| {
        let note = Note::from_bytes(&bytes(case, "note")).map_err(word)?;
        let key = StandardVerifier::new(text(case, "key")).expect("a key");
        note.verify(&VerifierList::new(vec![Box::new(key)])).map_err(word)?;
        assert_eq!(note.text(), bytes(case, "text"));
        Ok(())
    };
    assert_eq!(compare("note.json", check, every_case), 4 + 14);
}

#[test]
fn their_signatures_over_the_text_of_a_cosignature_are_ours() {
    let check = |case: &Value| {
        let line = Signature::from_bytes(text(case, "line").as_bytes()).map_err(word)?;
        let note = Note::new(&bytes(case, "text"), &[line]).map_err(word)?;
        let keys = VerifierList::new(vec![Box::new(Cosigner::of(text(case, "key")))]);
        let (held, _) = note.verify(&keys).map_err(word)?;
        let said = time_s(&held[0]).to_string();
        assert!(case["refused"].is_string() || said == text(case, "time_s"), "{said}");
        Ok(())
    };
    assert_eq!(compare("cosignature.json", check, every_case), 1 + 11);
}

/// A checkpoint that is final to them: what it says, by whom it is cosigned and when, and how many lines are
/// of keys that are not known.
fn checkpoint(
    bytes: &[u8],
    log: &str,
    witnesses: &[String],
    needed: u64,
) -> Result<(Checkpoint, BTreeMap<String, u64>, usize), String> {
    let note = Note::from_bytes(bytes).map_err(word)?;
    let key = StandardVerifier::new(log).expect("a key");
    let origin = key.name().to_owned();
    let mut keys: Vec<Box<dyn Verifier>> = vec![Box::new(key)];
    keys.extend(witnesses.iter().map(|key| -> Box<dyn Verifier> { Box::new(Cosigner::of(key)) }));
    let (held, unknown) = note.verify(&VerifierList::new(keys)).map_err(word)?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(word)?;
    let (of_log, of_witnesses): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|one| one.name() == origin);
    let cosigned: BTreeMap<_, _> =
        of_witnesses.iter().map(|one| (one.name().to_owned(), time_s(one))).collect();
    if checkpoint.origin() != origin || of_log.is_empty() || (cosigned.len() as u64) < needed {
        return Err("of another log, not signed by it, or without a quorum".to_owned());
    }
    Ok((checkpoint, cosigned, unknown.len()))
}

#[test]
fn their_checkpoints_are_ours() {
    let check = |case: &Value| {
        let (witnesses, needed) = (texts(case, "witnesses"), case["needed"].as_u64());
        let needed = needed.expect("a number");
        let (checkpoint, cosigned, unknown) =
            checkpoint(&bytes(case, "checkpoint"), text(case, "log"), &witnesses, needed)?;
        let (size, root) = (number(case, "size"), hash(case, "root"));
        assert_eq!((checkpoint.size(), checkpoint.hash()), (size, &root));
        assert_eq!(
            (serde_json::json!(cosigned), serde_json::json!(unknown)),
            (case["cosigned"].clone(), case["unknown"].clone())
        );
        Ok(())
    };
    assert_eq!(compare("checkpoint.json", check, every_case), 4 + 10);
}

/// Files by our paths, for them.
struct Files {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Files {
    fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { files: RefCell::new(files.into_iter().collect()) }
    }
}

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let files = self.files.borrow();
        let read = |tile: &Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            files.get(&path).cloned().ok_or(Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Hashes at hand, by the index that they are stored under.
struct Hashes(Vec<Hash>);

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let of = |index: &u64| self.0.get(*index as usize).copied();
        indexes.iter().map(|index| of(index).ok_or(Error::IndexesNotInTree)).collect()
    }
}

/// The root over some records, by them alone.
fn root_of(records: &[Hash]) -> Hash {
    let mut stored = Hashes(Vec::new());
    for (index, record) in (0..).zip(records) {
        let more = tlog_tiles::tlog::stored_hashes_for_record_hash(index, *record, &stored);
        stored.0.extend(more.expect("the hashes before it are there"));
    }
    tree_hash(records.len() as u64, &stored).expect("a root")
}

#[test]
fn their_tiles_of_hashes_are_ours() {
    let is_of_hashes = |case: &Value| !text(case, "path").starts_with("tile/entries/");
    let check = |case: &Value| {
        let path = text(case, "path");
        let tile = Tile::from_path(&path.replacen("tile/", "tile/8/", 1)).map_err(word)?;
        let content: Vec<_> = texts(case, "content")
            .iter()
            .map(|one| Hash::parse_hash(one).expect("a hash"))
            .collect();
        let files = Files::of([(path.to_owned(), bytes(case, "bytes"))]);
        let reader = TileHashReader::new(u64::from(tile.width()), root_of(&content), &files);
        let indexes: Vec<_> = (0..content.len() as u64)
            .map(|at| tlog_tiles::tlog::stored_hash_index(0, at))
            .collect();
        assert_eq!(reader.read_hashes(&indexes).map_err(word)?, content);
        Ok(())
    };
    assert_eq!(compare("tile.json", check, is_of_hashes), 1 + 4);
}

/// The entries of a bundle: each after its length in two bytes. They have no reader of these.
fn bundle(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        entries.push(entry);
        bytes = rest;
    }
    entries
}

/// The log of `log.json`, as they read it.
struct Log {
    size: u64,
    root: Hash,
    records: Vec<Hash>,
    files: Files,
}

impl Log {
    fn read() -> Self {
        let log = read("log.json");
        let files = log["files"].as_object().expect("files");
        let files: BTreeMap<_, _> =
            files.keys().map(|path| (path.clone(), bytes(&log["files"], path))).collect();
        let needed = log["needed"].as_u64().expect("a number");
        let witnesses = texts(&log, "witnesses");
        let opened = checkpoint(&files["checkpoint"], text(&log, "log"), &witnesses, needed);
        let (checkpoint, cosigned, unknown) = opened.expect("it is final");
        assert_eq!((cosigned.len(), unknown), (witnesses.len(), 0));
        let size = number(&log, "size");
        assert_eq!(checkpoint.size(), size);
        let bundles = files.iter().filter(|(path, _)| path.starts_with("tile/entries/"));
        let records: Vec<_> =
            bundles.flat_map(|(_, bytes)| bundle(bytes)).map(record_hash).collect();
        assert_eq!(records.len() as u64, size);
        Self { size, root: *checkpoint.hash(), records, files: Files::of(files) }
    }

    /// Every record is proven to be in the tree, from the tiles.
    fn check(&self) -> Result<(), Error> {
        let reader = TileHashReader::new(self.size, self.root, &self.files);
        for (index, record) in (0..).zip(&self.records) {
            let proof = prove_record(self.size, index, &reader)?;
            check_record(&proof, self.size, self.root, index, *record)?;
        }
        Ok(())
    }
}

#[test]
fn their_proofs_from_the_tiles_of_the_whole_log_hold() {
    let log = Log::read();
    assert_eq!(root_of(&log.records), log.root);
    log.check().expect("it holds");
    let reader = TileHashReader::new(log.size, log.root, &log.files);
    for old in (1..=log.size).step_by(29) {
        let proof = prove_tree(log.size, old, &reader).expect("it begins so");
        let old_root = root_of(&log.records[..old as usize]);
        check_tree(&proof, log.size, log.root, old, old_root).expect("it holds");
        let other = root_of(&log.records[1..=(old as usize).min(log.records.len() - 1)]);
        assert!(check_tree(&proof, log.size, log.root, old, other).is_err(), "{old}");
    }
}

#[test]
fn a_changed_tile_of_the_whole_log_is_refused_by_them_too() {
    let log = Log::read();
    let tiles: BTreeSet<_> = log.files.files.borrow().keys().cloned().collect();
    let of_hashes =
        |path: &&String| path.starts_with("tile/") && !path.starts_with("tile/entries/");
    let tiles: Vec<_> = tiles.iter().filter(of_hashes).collect();
    assert_eq!(tiles.len(), 5);
    for path in tiles {
        let length = log.files.files.borrow()[path].len();
        for place in [0, length / 2, length - 1] {
            let change = |log: &Log| {
                let mut files = log.files.files.borrow_mut();
                files.get_mut(path).expect("a tile")[place] ^= 1;
            };
            change(&log);
            assert!(log.check().is_err(), "{path}, byte {place}");
            change(&log);
        }
    }
    log.check().expect("as it was");
}
