//! The holder as a witness of the ledger, asked by a coordinator that forks it.

use std::collections::BTreeMap;
use std::fs;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromHolder, NoteBytes, ToHolder};
use covey_ledger::checkpoint::{Checkpoint, TreeHead};
use covey_ledger::quorum::{Quorum, origin};
use covey_ledger::tree::leaf_hash;
use covey_ledger::witness::ForkEvidence;

use crate::federation::Federation;
use crate::{arrived, ask, meeting};

/// A request to cosign a checkpoint that the coordinator has signed: of one entry or more, of which only the
/// last root is made up.
fn cosign(federation: &Federation, old_size: u64, size: u64, root: &str) -> ToHolder {
    let head = TreeHead { size, root: leaf_hash(root.as_bytes()) };
    let checkpoint = Checkpoint::new(origin(&federation.roster.federation).expect("a name"), head);
    let coordinator = federation.membership("c");
    let note = checkpoint.sign(coordinator.identity()).expect("signed").to_string();
    let proof = if old_size > 0 && size > old_size { vec![Digest([9; 32])] } else { Vec::new() };
    let checkpoint = NoteBytes::new(note.into_bytes()).expect("short");
    ToHolder::Cosign { old_size, proof, checkpoint, published: None }
}

/// The evidence that a holder keeps: names and bytes.
fn kept(federation: &Federation) -> BTreeMap<String, Vec<u8>> {
    let folder = federation.path("kh-1").join("state/ledger");
    let files =
        fs::read_dir(folder).expect("the holder's folder").map(|file| file.expect("a file"));
    let named = files.map(|file| (file.file_name().to_string_lossy().into_owned(), file.path()));
    let is_evidence = |name: &str| name.starts_with("fork-") || name.starts_with("doubt-");
    named
        .filter(|(name, _)| is_evidence(name))
        .map(|(name, path)| (name, fs::read(path).expect("read")))
        .collect()
}

fn code(answer: FromHolder) -> u16 {
    let FromHolder::NotCosigned { size: Some(1), code, .. } = answer else { panic!("{answer:?}") };
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_keeps_what_proves_a_fork_once_and_for_all_and_not_without_end() {
    let (mut listener, federation) = meeting();
    let holding = federation.serve("kh-1");
    let mut link = arrived(&mut listener).await;
    let answer = ask(&mut link, cosign(&federation, 0, 1, "the first entry")).await;
    assert!(matches!(answer, FromHolder::Cosigned { .. }), "{answer:?}");
    assert!(kept(&federation).is_empty());

    // No proof that one follows from the other: doubts, of which a flood fills no disk.
    for number in 0..70 {
        let doubt = cosign(&federation, 1, 2, &format!("doubt {number}"));
        assert_eq!(code(ask(&mut link, doubt).await), 422);
    }
    assert_eq!(kept(&federation).len(), 64);

    // Two forks within a second are two files, and the same one again is none.
    let first = cosign(&federation, 1, 1, "a fork");
    assert_eq!(code(ask(&mut link, first.clone()).await), 409);
    let other = cosign(&federation, 1, 1, "another fork");
    assert_eq!(code(ask(&mut link, other).await), 409);
    assert_eq!(code(ask(&mut link, first.clone()).await), 409);
    let files = kept(&federation);
    let forks: BTreeMap<_, _> =
        files.iter().filter(|(name, _)| name.starts_with("fork-")).collect();
    assert_eq!((files.len(), forks.len()), (64, 2));
    let log = Quorum::of_roster(&federation.roster).expect("a committee").log().clone();
    for bytes in forks.values() {
        let evidence: ForkEvidence = serde_json::from_slice(bytes).expect("evidence");
        assert!(evidence.proves_fork(&log));
    }

    // After any number of others, both are as they were.
    for number in 0..70 {
        let fork = cosign(&federation, 1, 1, &format!("fork {number}"));
        assert_eq!(code(ask(&mut link, fork).await), 409);
    }
    assert_eq!(code(ask(&mut link, first).await), 409);
    let after = kept(&federation);
    assert_eq!(after.len(), 64);
    assert!(after.keys().all(|name| name.starts_with("fork-")));
    assert!(forks.into_iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    holding.kill();
}
