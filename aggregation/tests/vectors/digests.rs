//! `hash.json` and `merkle.json`.

use covey_aggregation::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex, unhex};
use crate::reference::bytes;

/// The domains of the secure sum and their texts.
const DOMAINS: [(Domain, &str); 25] = [
    (Domain::RoundConfig, "round-config"),
    (Domain::Mask, "mask"),
    (Domain::ClientRng, "client-rng"),
    (Domain::Share, "share"),
    (Domain::ComponentCommitment, "component-commitment"),
    (Domain::BoxKey, "box-key"),
    (Domain::BoxKeyCommitment, "box-key-commitment"),
    (Domain::SealedBox, "sealed-box"),
    (Domain::Correction, "correction"),
    (Domain::ChunkLeaf, "chunk-leaf"),
    (Domain::MerkleNode, "merkle-node"),
    (Domain::MerkleRoot, "merkle-root"),
    (Domain::Contents, "contents"),
    (Domain::Components, "components"),
    (Domain::Seat, "seat"),
    (Domain::Header, "header"),
    (Domain::Set, "set"),
    (Domain::Cohort, "cohort"),
    (Domain::Roster, "roster"),
    (Domain::Plan, "plan"),
    (Domain::Model, "model"),
    (Domain::Release, "release"),
    (Domain::KeySum, "key-sum"),
    (Domain::Aggregate, "aggregate"),
    (Domain::Body, "body"),
];

pub(crate) fn hashes() -> File {
    let case = |(domain, text): (Domain, &str), parts: &[&[u8]]| {
        let name = format!("{text}, {} parts", parts.len());
        let hexed: Vec<_> = parts.iter().map(|part| hex(part)).collect();
        let digest = hash(domain, parts).to_string();
        json!({ "name": name, "domain": text, "parts": hexed, "digest": digest })
    };
    let mut valid: Vec<Value> =
        DOMAINS.iter().map(|one| case(*one, &[b"covey", &[], &[0; 70]])).collect();
    valid.push(case(DOMAINS[24], &[]));
    valid.push(case(DOMAINS[24], &[b"one"]));
    let refused = |name: &str, domain: &str, parts: &[&[u8]], digest: Digest| {
        let parts: Vec<_> = parts.iter().map(|part| hex(part)).collect();
        let wrong = format!("the digest is that of {name}");
        json!({
            "name": name, "wrong": wrong, "domain": domain, "parts": parts,
            "digest": digest.to_string(), "refused": "another digest",
        })
    };
    File {
        about: "digests: BLAKE3 in derive-key mode with context \"covey/v1/<domain>\" over the \
                parts, each after its length as eight little-endian bytes",
        step: "Notation, H",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("domain", "what the digest is for"),
            ("parts", "the parts, bytes"),
            ("digest", "32 bytes"),
        ],
        valid,
        invalid: vec![
            refused("parts cut elsewhere", "body", &[b"ab", b"c"], hash(Domain::Body, &[b"abc"])),
            refused("another domain", "body", &[b"ab"], hash(Domain::Set, &[b"ab"])),
            refused("one empty part more", "body", &[b"ab"], hash(Domain::Body, &[b"ab", b""])),
        ],
    }
}

pub(crate) fn check_hash(case: &mut Case, is_valid: bool) {
    let (text, parts) = (case.text("domain"), case.bytes_list("parts"));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let (domain, _) = DOMAINS.iter().find(|(_, known)| *known == text).expect("a domain");
    let digest = case.digest("digest");
    assert_eq!(hash(*domain, &parts).0, bytes::hash(&text, &parts));
    assert_eq!(hash(*domain, &parts) == digest, is_valid, "{}", case.name);
    if !is_valid {
        case.refusal();
    }
}

pub(crate) fn trees() -> File {
    let chunks = |number: u8| -> Vec<Vec<u8>> { (0..number).map(|i| vec![i; 5]).collect() };
    let root = |chunks: &[Vec<u8>]| {
        let leaves: Vec<_> = (0..).zip(chunks).map(|(i, chunk)| chunk_leaf(i, chunk)).collect();
        merkle_root(&leaves)
    };
    let hexed = |chunks: &[Vec<u8>]| chunks.iter().map(|one| hex(one)).collect::<Vec<_>>();
    let valid = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|number| {
        let chunks = chunks(number);
        json!({
            "name": format!("{number} chunks"),
            "chunks": hexed(&chunks), "root": root(&chunks).to_string(),
        })
    });
    let refused = |name: &str, change: fn(&mut Vec<Vec<u8>>)| {
        let mut changed = chunks(5);
        let root = root(&changed).to_string();
        change(&mut changed);
        json!({
            "name": name, "wrong": format!("the root is that of five chunks, then: {name}"),
            "chunks": hexed(&changed), "root": root, "refused": "another root",
        })
    };
    File {
        about: "the Merkle tree over the chunks of a contribution: leaf H(chunk-leaf; number in \
                four bytes, chunk), node H(merkle-node; left, right), a node without a neighbour \
                carried up, root H(merkle-root; number of leaves in eight bytes, top node); the \
                top node of no leaves is 32 zero bytes",
        step: "step 8, Header",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("chunks", "the chunks in order, bytes"),
            ("root", "the root, 32 bytes"),
        ],
        valid: valid.to_vec(),
        invalid: vec![
            refused("two chunks swapped", |chunks| chunks.swap(1, 3)),
            refused("last chunk missing", |chunks| chunks.truncate(4)),
            refused("last chunk twice", |chunks| chunks.push(chunks[4].clone())),
            refused("a bit changed", |chunks| chunks[2][4] ^= 1),
            refused("an empty chunk more", |chunks| chunks.push(Vec::new())),
        ],
    }
}

pub(crate) fn check_tree(case: &mut Case, is_valid: bool) {
    let chunks: Vec<Vec<u8>> =
        case.list("chunks").iter().map(|one| unhex(one.as_str().expect("text"))).collect();
    let leaves: Vec<_> = (0..).zip(&chunks).map(|(i, chunk)| chunk_leaf(i, chunk)).collect();
    let root = merkle_root(&leaves);
    assert_eq!(root.0, bytes::merkle_root(&chunks));
    assert_eq!(case.digest("root") == root, is_valid, "{}", case.name);
    if !is_valid {
        case.refusal();
    }
}
