//! The parsers of the ledger, each with what must hold for any input at all: no panic, one form only,
//! bounded memory.

use std::sync::LazyLock;

use covey_ledger::checkpoint::{Checkpoint, TreeHead};
use covey_ledger::entry::{Body, Entry};
use covey_ledger::example::{Example, Shape};
use covey_ledger::note::Note;
use covey_ledger::payout::Tree;
use covey_ledger::receipt::{InclusionProof, Receipt};
use covey_ledger::statement::Signed;
use covey_ledger::tile::{Kind, Tile, decode_entries, decode_hashes, encode_hashes, push_entry};
use covey_ledger::tree::{Frontier, Hash, leaf_hash};
use covey_ledger::witness::Request;

use crate::parsers::bounded;

/// JSON becomes structures: a digit and a comma may be a number of eight bytes, in a list that has just
/// doubled, and all of it is written again to be compared. Entries have 64 KiB at most.
const JSON_FACTOR: usize = 24;

/// Text and hashes.
const TEXT_FACTOR: usize = 4;

/// A parser.
pub struct Parser {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// Parses, and panics where something does not hold.
    pub check: fn(&[u8]),
    /// Inputs that it accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const PARSERS: [Parser; 7] = [
    Parser { name: "ledger_entry", check: entry, seeds: entries },
    Parser { name: "ledger_statement", check: statement, seeds: statements },
    Parser { name: "ledger_note", check: note, seeds: notes },
    Parser { name: "ledger_receipt", check: receipt, seeds: receipts },
    Parser { name: "ledger_request", check: request, seeds: requests },
    Parser { name: "ledger_tile", check: tile, seeds: tiles },
    Parser { name: "ledger_payout", check: payout, seeds: payouts },
];

static EXAMPLE: LazyLock<Example> =
    LazyLock::new(|| Example::new(Shape::default()).expect("an example"));

/// The parser of this name.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn parser(name: &str) -> &'static Parser {
    let mut all = PARSERS.iter();
    all.find(|parser| parser.name == name).unwrap_or_else(|| panic!("no parser {name}"))
}

fn entry(bytes: &[u8]) {
    if let Ok(entry) = bounded(bytes.len(), JSON_FACTOR, || Entry::parse(bytes)) {
        assert_eq!(entry.encode().as_deref(), Ok(bytes), "one form");
    }
}

fn statement(bytes: &[u8]) {
    let signed = bounded(bytes.len(), JSON_FACTOR, || Signed::parse(bytes));
    if let Ok(signed) = signed {
        let again = serde_json::to_vec(&signed).expect("JSON");
        assert_eq!(Signed::parse(&again).expect("it was one"), signed);
        let federation = signed.statement.federation;
        let _ = signed.check(&federation);
    }
}

fn note(bytes: &[u8]) {
    if let Ok(note) = bounded(bytes.len(), TEXT_FACTOR, || Note::parse(bytes)) {
        assert_eq!(note.to_string().as_bytes(), bytes, "one form");
    }
    if let Ok((checkpoint, note)) = bounded(bytes.len(), TEXT_FACTOR, || Checkpoint::parse(bytes)) {
        assert_eq!(checkpoint.to_string(), note.text(), "one form");
    }
}

fn receipt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(receipt) = bounded(bytes.len(), TEXT_FACTOR, || text.parse::<Receipt>()) {
        assert_eq!(receipt.to_string(), text, "one form");
    }
    let _ = bounded(bytes.len(), TEXT_FACTOR, || text.parse::<InclusionProof>());
}

fn request(bytes: &[u8]) {
    if let Ok(request) = bounded(bytes.len(), TEXT_FACTOR, || Request::parse(bytes)) {
        assert_eq!(request.encode(), bytes, "one form");
    }
}

/// The first byte is the width.
fn tile(bytes: &[u8]) {
    let Some((width, bytes)) = bytes.split_first() else { return };
    let tile = |kind| Tile { kind, index: 0, width: u16::from(*width) + 1 };
    let entries = tile(Kind::Entries);
    if let Ok(entries) = bounded(bytes.len(), TEXT_FACTOR, || decode_entries(&entries, bytes)) {
        let mut again = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut again, entry).expect("short"));
        assert_eq!(again, bytes, "one form");
    }
    let hashes = tile(Kind::Hashes(0));
    if let Ok(hashes) = bounded(bytes.len(), TEXT_FACTOR, || decode_hashes(&hashes, bytes)) {
        assert_eq!(encode_hashes(&hashes), bytes, "one form");
    }
}

fn payout(bytes: &[u8]) {
    if let Ok(tree) = bounded(bytes.len(), JSON_FACTOR, || Tree::from_file(bytes)) {
        let again = Tree::from_file(&tree.to_file()).expect("it was one");
        assert_eq!(again.root(), tree.root());
    }
}

fn entries() -> Vec<Vec<u8>> {
    EXAMPLE.entries.clone()
}

fn statements() -> Vec<Vec<u8>> {
    let signed = |body| match body {
        Body::DisputeOpened(body) => Some(body.signed),
        Body::DisputeWithdrawn(body) => Some(body.signed),
        Body::VoteCast(body) => Some(body.signed),
        Body::ProposalOpened(body) => Some(body.signed),
        Body::AddressSet(body) => Some(body.signed),
        Body::ComputeReported(body) => Some(body.signed),
        _ => None,
    };
    let bodies = EXAMPLE.entries.iter().map(|bytes| Entry::parse(bytes).expect("an entry").body);
    let signed = bodies.filter_map(signed);
    signed.map(|signed| serde_json::to_vec(&signed).expect("JSON")).collect()
}

/// The checkpoint of all entries.
fn checkpoint() -> Vec<u8> {
    let mut tree = Frontier::default();
    EXAMPLE.entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    let head = TreeHead { size: tree.size(), root: tree.root() };
    let origin = "covey.example".parse().expect("a name");
    let note = Checkpoint::new(origin, head).sign(&EXAMPLE.coordinator).expect("a text");
    note.to_string().into_bytes()
}

fn notes() -> Vec<Vec<u8>> {
    vec![checkpoint()]
}

fn hashes(count: usize) -> Vec<Hash> {
    EXAMPLE.entries.iter().take(count).map(|entry| leaf_hash(entry)).collect()
}

fn receipts() -> Vec<Vec<u8>> {
    let proof = |count| InclusionProof {
        index: 7,
        hashes: hashes(count),
        checkpoint: checkpoint(),
    };
    let short = EXAMPLE.entries.iter().min_by_key(|entry| entry.len()).expect("entries").clone();
    let receipt = |count| Receipt { entry: short.clone(), proof: proof(count) };
    [0, 1, 6].map(|count| receipt(count).to_string().into_bytes()).to_vec()
}

fn requests() -> Vec<Vec<u8>> {
    let request = |(old_size, count)| {
        Request { old_size, proof: hashes(count), checkpoint: checkpoint() }.encode()
    };
    [(0, 0), (3, 2), (20, 6)].map(request).to_vec()
}

fn tiles() -> Vec<Vec<u8>> {
    let mut bundle = vec![2];
    let mut shortest: Vec<_> = EXAMPLE.entries.iter().collect();
    shortest.sort_by_key(|entry| entry.len());
    shortest.iter().take(3).for_each(|entry| push_entry(&mut bundle, entry).expect("short"));
    let mut tile = vec![4];
    tile.extend(encode_hashes(&hashes(5)));
    vec![bundle, tile]
}

fn payouts() -> Vec<Vec<u8>> {
    let files = EXAMPLE.book.payouts().iter().map(|one| one.payout.file.sha256);
    files.map(|sha256| EXAMPLE.documents[&sha256].clone()).collect()
}
