//! `inclusion.json`, `consistency.json`, `receipt.json`.

use covey_ledger::checkpoint::TreeHead;
use covey_ledger::proof::{
    BadProof, Node, Nodes, check_consistency, check_inclusion, consistency, inclusion, root,
};
use covey_ledger::receipt::{BadReceipt, InclusionProof, Receipt};
use covey_ledger::tree::{Hash, fold, leaf_hash};
use serde_json::{Value, json};

use crate::support::entry;

use super::notes::{QUORUM, cosigned, fault, quorum_of, with_quorum};
use super::{File, NAME, REFUSED, WRONG, base64, bytes, invalid, number, text, texts};

/// Entries of the largest tree.
const SIZE: u64 = 300;

/// All leaves of a log.
struct Leaves;

impl Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&self, node: Node) -> Result<Hash, Self::Error> {
        let first = node.index << node.level;
        let leaves: Vec<_> =
            (first..first + (1 << node.level)).map(|n| leaf_hash(&entry(n))).collect();
        Ok(fold(&leaves).expect("a full tree"))
    }
}

fn root_of(size: u64) -> Hash {
    root(&Leaves, size).expect("a tree")
}

fn hashes(proof: &[Hash]) -> Value {
    json!(proof.iter().map(Hash::to_string).collect::<Vec<_>>())
}

fn proof_of(case: &Value) -> Vec<Hash> {
    texts(case, "proof").iter().map(|hash| hash.parse().expect("a hash")).collect()
}

fn bad_proof(bad: &BadProof) -> String {
    let name = match bad {
        BadProof::OutOfRange { .. } => "out-of-range",
        BadProof::Sizes { .. } => "sizes",
        BadProof::Length { .. } => "length",
        BadProof::OldRoot => "old-root",
        BadProof::Root => "root",
    };
    name.to_owned()
}

/// Changed proofs, each with what is wrong and the fault it is refused for.
fn changes(proof: &[Hash], other: &'static str) -> Vec<(&'static str, &'static str, Vec<Hash>)> {
    let mut flipped = proof.to_vec();
    flipped[0].0[0] ^= 1;
    let mut swapped = proof.to_vec();
    swapped.swap(0, 1);
    vec![
        ("a bit of its first hash changed", other, flipped),
        ("its first two hashes swapped", other, swapped),
        ("its last hash missing", "length", proof[..proof.len() - 1].to_vec()),
        ("a hash more", "length", [proof, &[proof[0]]].concat()),
        ("no hash at all", "length", Vec::new()),
    ]
}

pub(super) fn inclusions() -> File {
    let case = |index: u64, size: u64| {
        let proof = inclusion(&Leaves, index, size).expect("in the tree");
        json!({
            "name": format!("entry {index} of {size}"), "entry": base64(entry(index)),
            "index": index.to_string(), "size": size.to_string(),
            "root": root_of(size).to_string(), "proof": hashes(&proof),
        })
    };
    let places = [
        (0, 1),
        (0, 2),
        (1, 2),
        (2, 3),
        (4, 5),
        (6, 7),
        (0, 8),
        (7, 8),
        (8, 9),
        (100, 255),
        (255, 256),
        (256, 257),
        (0, 300),
        (255, 300),
        (256, 300),
        (299, 300),
    ];
    let good = case(100, SIZE);
    let proof = inclusion(&Leaves, 100, SIZE).expect("in the tree");
    let mut bad: Vec<_> = changes(&proof, "root")
        .into_iter()
        .map(|(wrong, refused, proof)| {
            invalid(&good, wrong, wrong, refused, &[("proof", hashes(&proof))])
        })
        .collect();
    let with = |name: &str, refused: &str, field: &str, value: Value| {
        invalid(&good, name, name, refused, &[(field, value)])
    };
    bad.extend([
        with("another entry", "root", "entry", base64(entry(101))),
        with("another index", "root", "index", json!("101")),
        with("an index that is not there", "out-of-range", "index", json!("300")),
        with("a far greater index", "out-of-range", "index", json!(u64::MAX.to_string())),
        with("a greater size", "length", "size", json!("600")),
        with("a size of zero", "out-of-range", "size", json!("0")),
        with("another root", "root", "root", json!(root_of(299).to_string())),
    ]);
    File {
        about: "proofs of inclusion (RFC 6962, 2.1.1; checked as in RFC 9162, 2.1.3.2)",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("entry", "the bytes of the entry"),
            ("index", "its place in the log, from 0"),
            ("size", "entries of the tree"),
            ("root", "of the tree"),
            ("proof", "hashes, lowest first"),
        ],
        valid: places.into_iter().map(|(index, size)| case(index, size)).collect(),
        invalid: bad,
    }
}

pub(super) fn check_inclusion_case(case: &Value) -> Result<(), String> {
    let (index, size) = (number(case, "index"), number(case, "size"));
    let root = text(case, "root").parse().expect("a hash");
    let leaf = leaf_hash(&bytes(case, "entry"));
    check_inclusion(&proof_of(case), index, leaf, size, &root).map_err(|bad| bad_proof(&bad))
}

pub(super) fn consistencies() -> File {
    let case = |old: u64, new: u64| {
        let proof = consistency(&Leaves, old, new).expect("it begins so");
        json!({
            "name": format!("{old} to {new}"), "old_size": old.to_string(),
            "new_size": new.to_string(), "old_root": root_of(old).to_string(),
            "new_root": root_of(new).to_string(), "proof": hashes(&proof),
        })
    };
    let sizes = [
        (0, 1),
        (0, 300),
        (1, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (3, 7),
        (4, 7),
        (6, 8),
        (7, 8),
        (8, 9),
        (255, 256),
        (256, 257),
        (129, 300),
        (256, 300),
        (299, 300),
        (300, 300),
    ];
    let good = case(129, SIZE);
    let proof = consistency(&Leaves, 129, SIZE).expect("it begins so");
    let mut bad: Vec<_> = changes(&proof, "old-root")
        .into_iter()
        .map(|(wrong, refused, proof)| {
            invalid(&good, wrong, wrong, refused, &[("proof", hashes(&proof))])
        })
        .collect();
    let mut last = proof.clone();
    if let Some(hash) = last.last_mut() {
        hash.0[31] ^= 1;
    }
    let with = |name: &str, refused: &str, changes: &[(&str, Value)]| {
        invalid(&good, name, name, refused, changes)
    };
    let other = root_of(128).to_string();
    let equal = case(SIZE, SIZE);
    let empty = case(0, SIZE);
    bad.extend([
        with("a bit of the last hash changed", "root", &[("proof", hashes(&last))]),
        with("another old root", "old-root", &[("old_root", json!(other))]),
        with("another new root", "root", &[("new_root", json!(other))]),
        with("the log has shrunk", "sizes", &[("old_size", json!("301"))]),
        invalid(
            &equal,
            "equal sizes, other roots",
            "a fork",
            "old-root",
            &[("new_root", json!(other))],
        ),
        invalid(
            &equal,
            "equal sizes, a proof",
            "not empty",
            "length",
            &[("proof", hashes(&proof))],
        ),
        invalid(
            &empty,
            "from nothing, a proof",
            "not empty",
            "length",
            &[("proof", hashes(&proof))],
        ),
        invalid(
            &empty,
            "from nothing, a root",
            "not the hash of nothing",
            "old-root",
            &[("old_root", json!(other))],
        ),
    ]);
    File {
        about: "proofs of consistency (RFC 6962, 2.1.2; checked as in RFC 9162, 2.1.4.2)",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("old_size", "entries of the older tree"),
            ("new_size", "entries of the newer tree"),
            ("old_root", "of the older tree"),
            ("new_root", "of the newer tree"),
            ("proof", "hashes, lowest first"),
        ],
        valid: sizes.into_iter().map(|(old, new)| case(old, new)).collect(),
        invalid: bad,
    }
}

pub(super) fn check_consistency_case(case: &Value) -> Result<(), String> {
    let root = |field: &str| text(case, field).parse().expect("a hash");
    let (old_root, new_root) = (root("old_root"), root("new_root"));
    let (old, new) = (number(case, "old_size"), number(case, "new_size"));
    check_consistency(&proof_of(case), (old, &old_root), (new, &new_root))
        .map_err(|bad| bad_proof(&bad))
}

pub(super) fn receipts() -> File {
    let head = TreeHead { size: SIZE, root: root_of(SIZE) };
    let checkpoint = |witnesses: &[u8]| cosigned(head, witnesses).to_string();
    let receipt = |index: u64, witnesses: &[u8]| {
        let hashes = inclusion(&Leaves, index, SIZE).expect("in the tree");
        let proof =
            InclusionProof { index, hashes, checkpoint: checkpoint(witnesses).into_bytes() };
        Receipt { entry: entry(index), proof }
    };
    let case = |index: u64, witnesses: &[u8]| {
        with_quorum(json!({
            "name": format!("entry {index}, {} witnesses", witnesses.len()),
            "receipt": base64(receipt(index, witnesses).to_string()), "entry": base64(entry(index)),
            "index": index.to_string(), "size": SIZE.to_string(),
        }))
    };
    let good = case(77, &[0, 1, 2, 3]);
    let text = receipt(77, &[0, 1, 2, 3]).to_string();
    let with = |name: &str, refused: &str, text: &str| {
        invalid(&good, name, name, refused, &[("receipt", base64(text))])
    };
    let other = Receipt { entry: entry(78), ..receipt(77, &[0, 1, 2]) }.to_string();
    let mut longer = receipt(77, &[0, 1, 2]);
    longer.proof.hashes.push(head.root);
    let extra = text.lines().nth(1).expect("a line").to_owned() + "\n";
    let mut fields = vec![
        NAME,
        WRONG,
        REFUSED,
        ("receipt", "the text of the file"),
        ("entry", "the bytes of the entry"),
        ("index", "its place in the log"),
        ("size", "entries of the checkpoint"),
    ];
    fields.extend(QUORUM);
    File {
        about: "receipts (c2sp.org/tlog-proof) with their entry as the line \"extra\"",
        fields,
        valid: vec![good.clone(), case(0, &[0, 1, 2]), case(299, &[1, 2, 3])],
        invalid: vec![
            with("another version", "form", &text.replace("@v1", "@v2")),
            with("an index with a zero", "form", &text.replace("index 77", "index 077")),
            with("no index", "form", &text.replace("index 77\n", "")),
            with("no checkpoint", "form", text.split("\n\n").next().expect("lines")),
            with("no entry", "no-entry", &text.replace(&extra, "")),
            with("another entry", "root", &other),
            with("another index", "root", &text.replace("index 77", "index 78")),
            with(
                "an index that is not there",
                "out-of-range",
                &text.replace("index 77", "index 300"),
            ),
            with("a hash more", "length", &longer.to_string()),
            with("two witnesses", "too-few", &receipt(77, &[0, 1]).to_string()),
            with("another size", "unsigned", &text.replace("fed\n300\n", "fed\n301\n")),
            with("another log", "origin", &text.replace("fed\n300\n", "den\n300\n")),
            with(
                "no note",
                "malformed",
                &format!("{}\n\nfed\n", text.split("\n\n").next().expect("lines")),
            ),
        ],
    }
}

pub(super) fn check_receipt(case: &Value) -> Result<(), String> {
    let name = |bad: BadReceipt| match bad {
        BadReceipt::Form { .. } => "form".to_owned(),
        BadReceipt::NoEntry => "no-entry".to_owned(),
        BadReceipt::Long { .. } => "long".to_owned(),
        BadReceipt::Checkpoint(not_final) => fault(&not_final),
        BadReceipt::Proof(bad) => bad_proof(&bad),
    };
    let receipt = String::from_utf8(bytes(case, "receipt")).expect("text");
    let receipt: Receipt = receipt.parse().map_err(name)?;
    let included = receipt.check(&quorum_of(case)).map_err(name)?;
    assert_eq!(receipt.entry, bytes(case, "entry"));
    assert_eq!(included.index, number(case, "index"));
    assert_eq!(included.cosigned.checkpoint.head.size, number(case, "size"));
    Ok(())
}
