//! The audit of a whole log: no change of any byte is missed.

use std::collections::BTreeSet;

use covey_ledger::bundle::{
    CHECKPOINT_PATH, FileFault, audit, audit_checkpoint, audit_tree, paths,
};
use covey_ledger::checkpoint::TreeHead;
use covey_ledger::quorum::NotFinal;

use crate::support::{Store, entry, published, quorum};

const SIZE: u64 = 1_000;

/// The files that an export has, of a log of 1,000 entries written in batches.
fn export() -> Store {
    let mut store = published(&(0..SIZE).map(entry).collect::<Vec<_>>(), 129);
    let wanted: BTreeSet<_> = paths(SIZE).collect();
    store.files.retain(|path, _| wanted.contains(path));
    assert_eq!(store.files.len(), wanted.len());
    store
}

/// How many of the changes are missed: each byte at `places` of each file is changed in one bit, and the
/// log audited. The checkpoint that is signed is the same for all other files, and checked once.
fn missed(store: &Store, step: usize, only: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let head = audit(|path| store.read(path), &quorum(), |_, _| {}).expect("sound").checkpoint.head;
    let (mut changes, mut missed) = (0, Vec::new());
    for (path, bytes) in store.files.iter().filter(|(path, _)| only(path)) {
        for place in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            let read = |other: &str| match other == path {
                true => Some(changed.clone()),
                false => store.read(other),
            };
            changes += 1;
            if !is_found(read, path, head) {
                missed.push(format!("{path}, byte {place}"));
            }
        }
    }
    (changes, missed)
}

fn is_found(read: impl Fn(&str) -> Option<Vec<u8>>, path: &str, head: TreeHead) -> bool {
    if path == CHECKPOINT_PATH {
        audit_checkpoint(read, &quorum()).is_err()
    } else {
        audit_tree(read, head, |_, _| {}).is_err()
    }
}

#[test]
fn changed_bytes_here_and_there_are_all_found() {
    let store = export();
    let (changes, missed) = missed(&store, 61, |_| true);
    assert!(changes > 1_000, "{changes}");
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn every_changed_bit_of_the_checkpoint_is_found() {
    let store = export();
    let good = store.files[CHECKPOINT_PATH].clone();
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[place] ^= 1 << bit;
            let audited = audit_checkpoint(|_| Some(changed.clone()), &quorum());
            assert!(audited.is_err(), "byte {place}, bit {bit}");
        }
    }
}

/// Every byte of every file, 96,380 of them: 16 seconds.
#[test]
fn every_changed_byte_of_a_log_of_1000_entries_is_found() {
    let store = export();
    let halves = [
        |path: &str| path.starts_with("tile/entries"),
        |path: &str| !path.starts_with("tile/entries"),
    ];
    let results = std::thread::scope(|scope| {
        let runs = halves.map(|half| {
            scope.spawn({
                let store = &store;
                move || missed(store, 1, half)
            })
        });
        runs.map(|run| run.join().expect("it ends"))
    });
    let changes: usize = results.iter().map(|(changes, _)| changes).sum();
    let bytes: usize = store.files.values().map(Vec::len).sum();
    assert_eq!(changes, bytes);
    for (_, missed) in results {
        assert_eq!(missed, Vec::<String>::new());
    }
    println!("{changes} changes, 0 missed");
}

#[test]
fn a_missing_cut_or_lengthened_file_is_found_and_named() {
    let store = export();
    for (path, bytes) in &store.files {
        let with = |changed: Option<Vec<u8>>| {
            let read = |other: &str| match other == path {
                true => changed.clone(),
                false => store.read(other),
            };
            audit(read, &quorum(), |_, _| {}).expect_err("found")
        };
        let fault = with(None);
        assert_eq!((&fault.path, &fault.fault), (path, &FileFault::Missing));
        assert_eq!(&with(Some(bytes[..bytes.len() - 1].to_vec())).path, path);
        assert_eq!(&with(Some([bytes.as_slice(), &[0]].concat())).path, path);
        assert_eq!(&with(Some(Vec::new())).path, path);
    }
}

#[test]
fn the_fault_says_which_entry_or_hash_it_is() {
    let store = export();
    let fault = |path: &str, place: usize| {
        let read = |other: &str| {
            let mut bytes = store.read(other)?;
            if other == path {
                bytes[place] ^= 1;
            }
            Some(bytes)
        };
        audit(read, &quorum(), |_, _| {}).expect_err("found")
    };
    let bundle = "tile/entries/002";
    let found = fault(bundle, 2);
    assert_eq!((found.path.as_str(), found.fault), (bundle, FileFault::Entry(512)));
    let found = fault("tile/0/001", 32 * 5);
    // The entry and its hash differ; which of them was changed shows only in the root.
    assert_eq!((found.path.as_str(), found.fault), ("tile/entries/001", FileFault::Entry(261)));
    let found = fault("tile/1/000.p/3", 64);
    assert_eq!((found.path.as_str(), found.fault), ("tile/1/000.p/3", FileFault::Hash(2)));
}

#[test]
fn a_log_written_anew_with_another_entry_has_another_root_than_the_one_signed() {
    let store = export();
    let mut other =
        published(&(0..SIZE).map(|n| entry(n + u64::from(n == 7))).collect::<Vec<_>>(), 129);
    let checkpoint = store.files[CHECKPOINT_PATH].clone();
    other.files.insert(CHECKPOINT_PATH.to_owned(), checkpoint);
    let fault = audit(|path| other.read(path), &quorum(), |_, _| {}).expect_err("found");
    assert_eq!((fault.path.as_str(), fault.fault), (CHECKPOINT_PATH, FileFault::Root));
}

#[test]
fn signatures_that_nobody_knows_and_too_few_witnesses_are_faults() {
    let store = export();
    let text = String::from_utf8(store.files[CHECKPOINT_PATH].clone()).expect("text");
    let with = |text: &str| {
        let fault = audit_checkpoint(|_| Some(text.as_bytes().to_vec()), &quorum());
        fault.map(|_| ()).map_err(|fault| fault.fault)
    };
    assert_eq!(with(&text), Ok(()));
    assert_eq!(with(&text.replace("fed/holder-3", "fed/holder-4")), Err(FileFault::Unknown(1)));
    let last = text.lines().last().expect("a line");
    assert_eq!(with(&format!("{text}{last}\n")), Err(FileFault::Unknown(1)));
    let lines: Vec<_> = text.lines().collect();
    let few = format!("{}\n", lines[..lines.len() - 2].join("\n"));
    let too_few = FileFault::Checkpoint(NotFinal::TooFew { got: 2, needed: 3 });
    assert_eq!(with(&few), Err(too_few));
}
