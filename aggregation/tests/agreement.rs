//! Known answers for what a round agrees on, in `tests/agreement.json`: Merkle root, set
//! digest, header, certificate and release (README, steps 8, 10 and 11), valid cases and named
//! invalid ones with what they are refused with. Written anew by
//! `cargo test --release --workspace --test agreement -- --ignored`.

mod support;

use std::path::PathBuf;

use covey_aggregation::config::{HolderIndex, set_digest};
use covey_aggregation::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use covey_aggregation::message::{Certificate, Release, SignedHeader, Vote};
use covey_aggregation::signing::Statement;
use covey_aggregation::wire;
use serde_json::{Value, json};
use support::{Fixture, Terms, client};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tree from above: the left part is the largest power of two below the number of leaves.
fn root_by_definition(leaves: &[Digest]) -> Digest {
    fn node(leaves: &[Digest]) -> Digest {
        let [first, rest @ ..] = leaves else { return Digest::ZERO };
        if rest.is_empty() {
            return *first;
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        hash(Domain::MerkleNode, &[&node(left).0, &node(right).0])
    }
    hash(Domain::MerkleRoot, &[&(leaves.len() as u64).to_le_bytes(), &node(leaves).0])
}

fn merkle() -> Value {
    let leaves: Vec<_> = (0..7u8).map(|i| chunk_leaf(i.into(), &[i; 5])).collect();
    let valid = [0, 1, 2, 3, 5, 6, 7].map(|count| {
        let root = merkle_root(&leaves[..count]);
        assert_eq!(root, root_by_definition(&leaves[..count]), "{count} leaves");
        json!({ "chunks": count, "root": root.to_string() })
    });
    let root = merkle_root(&leaves[..5]);
    let (mut swapped, mut moved) = (leaves[..5].to_vec(), leaves[..5].to_vec());
    swapped.swap(0, 1);
    moved[4] = chunk_leaf(5, &[4; 5]);
    let invalid = [
        ("two leaves exchanged", merkle_root(&swapped)),
        ("last leaf missing", merkle_root(&leaves[..4])),
        ("chunk 4 hashed as chunk 5", merkle_root(&moved)),
    ];
    let invalid = invalid.map(|(name, other)| {
        assert_ne!(other, root, "{name}");
        json!({ "name": name, "root": other.to_string(), "refused": "not the root" })
    });
    json!({ "chunk": "5 bytes, each the chunk's index", "valid": valid, "invalid": invalid })
}

fn header(fixture: &Fixture) -> Value {
    let good = fixture.seal(0, &[5; 300], 1).sealed.header;
    assert!(good.verify().is_ok());
    let invalid = |name: &str, change: fn(&mut SignedHeader)| {
        let mut changed = good.clone();
        change(&mut changed);
        json!({ "name": name, "refused": changed.verify().expect_err(name).to_string() })
    };
    json!({
        "valid": [{
            "header": hex(&wire::encode(&good.header)), "digest": good.header.digest().to_string(),
            "signature": hex(&good.signature.to_bytes()),
        }],
        "invalid": [
            invalid("another round", |signed| signed.header.round_ctx = Digest::ZERO),
            invalid("another client", |signed| signed.header.client = client(1).id()),
            invalid("another correction", |signed| signed.header.correction.0[0] ^= 1),
            invalid("signed as a vote", |signed| {
                let (round, body) = (signed.header.round_ctx, wire::encode(&signed.header));
                signed.signature = client(0).sign(Statement::Vote, &round, &body);
            }),
        ],
    })
}

fn certificate(fixture: &Fixture) -> Value {
    let (config, round) = (&fixture.config, fixture.round_ctx);
    let members = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    let set = set_digest(&round, &members);
    let vote = |holder: u8, set: &Digest| {
        let signature = fixture.holders[usize::from(holder)].sign(Statement::Vote, &round, &set.0);
        Vote { holder: HolderIndex(holder), signature }
    };
    let of = |holders: &[u8]| Certificate {
        round_ctx: round,
        set,
        votes: holders.iter().map(|&holder| vote(holder, &set)).collect(),
    };
    let valid = [[0, 1, 2].as_slice(), &[0, 2, 3], &[0, 1, 2, 3]].map(|holders| {
        let good = of(holders);
        assert_eq!(good.verify(config, &round), Ok(()), "{holders:?}");
        json!({ "holders": holders, "certificate": hex(&wire::encode(&good)) })
    });
    let other_set = set_digest(&round, &[members[1], members[0], members[2]]);
    assert_ne!(set, other_set, "the order counts");
    let mut stranger = of(&[0, 1, 2]);
    stranger.votes[2].holder = HolderIndex(9);
    let mut one_for_another = of(&[0, 1, 2]);
    one_for_another.votes[1] = vote(1, &other_set);
    let invalid = [
        ("too few votes", of(&[0, 1])),
        ("one holder twice", of(&[0, 1, 1])),
        ("votes not by ascending holder", of(&[1, 0, 2])),
        ("vote of a stranger", stranger),
        ("one vote for another set", one_for_another),
        ("votes for another set", Certificate { set: other_set, ..of(&[0, 1, 2]) }),
        ("another round", Certificate { round_ctx: Digest::ZERO, ..of(&[0, 1, 2]) }),
    ];
    let invalid = invalid.map(|(name, bad)| {
        let refused = bad.verify(config, &round).expect_err(name).to_string();
        json!({ "name": name, "certificate": hex(&wire::encode(&bad)), "refused": refused })
    });
    json!({
        "headers": "32 bytes of 01, of 02, of 03", "set": set.to_string(),
        "valid": valid, "invalid": invalid,
    })
}

fn release(fixture: &Fixture) -> Value {
    let (round, set) = (fixture.round_ctx, Digest([7; 32]));
    let sums = vec![vec![1; 51_200], vec![2; 51_200], vec![3; 51_200]];
    let body = Release::body(&set, &sums);
    let signature = fixture.holders[2].sign(Statement::Release, &round, &body);
    let verify = |round: &Digest, set: &Digest, sums: &[Vec<u8>]| {
        let body = Release::body(set, sums);
        fixture.holders[2].id().verify(Statement::Release, round, &body, &signature)
    };
    assert_eq!(verify(&round, &set, &sums), Ok(()));
    let mut changed = sums.clone();
    changed[2][51_199] ^= 1;
    let mut exchanged = sums.clone();
    exchanged.swap(0, 1);
    let invalid = [
        ("another round", verify(&Digest::ZERO, &set, &sums)),
        ("another set", verify(&round, &Digest([8; 32]), &sums)),
        ("last bit of the last sum changed", verify(&round, &set, &changed)),
        ("two sums exchanged", verify(&round, &set, &exchanged)),
        ("one sum missing", verify(&round, &set, &sums[..2])),
    ];
    let invalid = invalid.map(
        |(name, result)| json!({ "name": name, "refused": result.expect_err(name).to_string() }),
    );
    json!({
        "sums": "51,200 bytes of 01, of 02, of 03", "set": set.to_string(), "holder": 2,
        "valid": [{ "body": hex(&body), "signature": hex(&signature.to_bytes()) }],
        "invalid": invalid,
    })
}

fn computed() -> Value {
    let fixture = Fixture::new(Terms::default());
    json!({
        "what": "What a round agrees on: README, steps 8, 10 and 11. Holder h signs under the \
                 Ed25519 seed `h 00 00 00` then a0..; client 0 under `00 00 00 00` then c1...",
        "config": hex(&wire::encode(&fixture.config)), "round_ctx": fixture.round_ctx.to_string(),
        "merkle": merkle(), "header": header(&fixture), "certificate": certificate(&fixture),
        "release": release(&fixture),
    })
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "agreement.json"].iter().collect()
}

#[test]
fn what_a_round_agrees_on_is_the_known_answer() {
    let text = std::fs::read_to_string(path()).expect("the vectors are checked in");
    let known: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(computed(), known);
}

#[test]
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    let text = serde_json::to_string_pretty(&computed()).expect("JSON") + "\n";
    std::fs::write(path(), text).expect("writable");
}
