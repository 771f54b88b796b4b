//! Every operation of the store fails in every way, at every point of appending.

use std::collections::BTreeMap;

use covey_ledger::log::{AppendError, Effect, Failure, NotYet, OpenError, Standing};
use covey_ledger::note::SignatureLine;
use proptest::prelude::*;

use crate::support::{Fault, START_MS, Stopped, Store, entry, identity, log_identity, published};

/// Sizes of batches: a first one, small ones, one that fills a tile, one that goes over several.
const BATCHES: [u64; 6] = [1, 3, 252, 1, 600, 2];

fn batch(number: usize) -> Vec<Vec<u8>> {
    let first: u64 = BATCHES[..number].iter().sum();
    (first..first + BATCHES[number]).map(entry).collect()
}

/// Entries of the log, final or not, from what the lock says and the files hold.
fn size(store: &Store) -> u64 {
    store.open().expect("it opens after whatever happened").size()
}

/// Appends all batches, opening anew after each stop, and never a batch that is in the log already.
fn run(faults: BTreeMap<usize, Fault>) -> Store {
    let mut store = Store { faults, ..Store::default() };
    let mut log = store.open().expect("nothing yet");
    for number in 0..BATCHES.len() {
        let before: u64 = BATCHES[..number].iter().sum();
        let now_ms = START_MS + number as u64 * 1_000;
        loop {
            // What is in the log need not be appended again.
            if log.size() == before {
                log.append(&batch(number), now_ms, &log_identity()).expect("ready");
            }
            match store.drive(&mut log, now_ms) {
                Ok(true) => break,
                Ok(false) => {}
                Err(Stopped) => log = store.open().expect("it opens after whatever happened"),
            }
        }
    }
    store
}

fn check(store: &Store, what: &str) {
    let expected: Vec<_> = (0..BATCHES.iter().sum::<u64>()).map(entry).collect();
    assert_eq!(store.entries(), expected, "{what}: everything is there, once, in order");
    for (index, entry) in &store.acknowledged {
        assert_eq!(expected.get(*index as usize), Some(entry), "{what}: acknowledged");
    }
    let mut roots = BTreeMap::new();
    for head in &store.signed {
        assert_eq!(*roots.entry(head.size).or_insert(head.root), head.root, "{what}: forked");
    }
}

#[test]
fn a_log_that_fails_anywhere_in_any_way_goes_on_and_never_forks() {
    let operations = run(BTreeMap::new()).operations;
    assert!(operations > 60, "{operations}");
    for operation in 0..operations {
        for fault in Fault::ALL {
            let store = run(BTreeMap::from([(operation, fault)]));
            check(&store, &format!("{fault:?} at {operation}"));
        }
    }
}

#[test]
fn nothing_is_acknowledged_twice_by_one_run_and_all_is_without_faults() {
    let store = run(BTreeMap::new());
    check(&store, "without faults");
    assert_eq!(store.acknowledged.len() as u64, BATCHES.iter().sum::<u64>());
    assert!(!store.files.keys().any(|path| path.starts_with("staging/")), "all is unstaged");
}

#[test]
fn starting_up_twice_changes_nothing() {
    for operation in 0..40 {
        let mut store =
            Store { faults: BTreeMap::from([(operation, Fault::KillAfter)]), ..Store::default() };
        let mut log = store.open().expect("nothing yet");
        log.append(&batch(2), START_MS, &log_identity()).expect("ready");
        if store.drive(&mut log, START_MS).is_ok() {
            continue;
        }
        let (first, second) = (size(&store), size(&store));
        assert_eq!(first, second);
        let effects = |store: &Store| store.open().expect("it opens").effect().cloned();
        assert_eq!(effects(&store), effects(&store));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_log_that_fails_again_and_again_goes_on_and_never_forks(
        faults in prop::collection::btree_map(0usize..160, 0usize..4, 0..40),
    ) {
        let faults = faults.into_iter().map(|(at, fault)| (at, Fault::ALL[fault])).collect();
        let store = run(faults);
        check(&store, "many faults");
    }
}

#[test]
fn a_second_writer_loses_and_must_open_anew() {
    let mut store = published(&batch(0), 1);
    let (mut first, mut second) = (store.open().expect("open"), store.open().expect("open"));
    second.append(&batch(2), START_MS, &log_identity()).expect("ready");
    first.append(&batch(1), START_MS, &log_identity()).expect("ready");
    assert_eq!(store.drive(&mut first, START_MS), Ok(true));
    assert!(matches!(second.effect(), Some(Effect::Stage { .. })));
    assert_eq!(second.done(), Ok(()));
    let Some(Effect::Commit { old, .. }) = second.effect() else { panic!("the lock comes next") };
    assert_ne!(*old, store.lock, "somebody else was faster");
    assert_eq!(second.failed(), Failure::Reopen);
    let again = second.append(&batch(2), START_MS, &log_identity());
    assert_eq!(again, Err(AppendError::Reopen));
    assert_eq!(second.effect(), None);
    assert_eq!(store.open().expect("open").size(), 4);
}

#[test]
fn a_clock_that_was_set_back_stops_the_log_with_a_clear_message() {
    let mut store = published(&batch(0), 1);
    let mut log = store.open().expect("open");
    let hour_before = START_MS - 3_600_000;
    let error = log.append(&batch(1), hour_before, &log_identity()).expect_err("an hour back");
    assert_eq!(error, AppendError::ClockBack { now_ms: hour_before, last_ms: START_MS });
    assert!(error.to_string().contains("set the clock"), "{error}");
    assert_eq!(log.effect(), None);
    log.append(&batch(1), START_MS, &log_identity()).expect("the clock is right again");
    assert_eq!(store.drive(&mut log, START_MS), Ok(true));
}

#[test]
fn a_lock_that_was_set_back_is_noticed_before_the_log_forks() {
    let mut store = published(&batch(0), 1);
    let old = store.lock.clone();
    let mut log = store.open().expect("open");
    log.append(&batch(1), START_MS, &log_identity()).expect("ready");
    assert_eq!(store.drive(&mut log, START_MS), Ok(true));
    for (lock, locked) in [(old, 1), (None, 0)] {
        store.lock = lock;
        let error = store.open().err();
        assert_eq!(error, Some(OpenError::SetBack { published: 4, locked }));
    }
}

#[test]
fn what_cannot_be_relied_on_is_refused_at_start_up() {
    let mut store = published(&batch(0), 1);
    store.lock = Some(b"{}".to_vec());
    assert_eq!(store.open().err(), Some(OpenError::Lock));

    let mut store = published(&batch(1), 3);
    store.files.remove("tile/entries/000.p/3");
    let path = "tile/entries/000.p/3".to_owned();
    assert_eq!(store.open().err(), Some(OpenError::File { path }));

    // Stopped after the commit, the staged file damaged since.
    let mut store = Store { faults: BTreeMap::from([(1, Fault::KillAfter)]), ..Store::default() };
    let mut log = store.open().expect("nothing yet");
    log.append(&batch(1), START_MS, &log_identity()).expect("ready");
    assert_eq!(store.drive(&mut log, START_MS), Err(Stopped));
    let (path, mut staged) = store.files.pop_first().expect("staged");
    staged[40] ^= 1;
    store.files.insert(path.clone(), staged);
    assert_eq!(store.open().err(), Some(OpenError::Staged { path }));
}

#[test]
fn a_published_checkpoint_that_was_damaged_is_published_anew() {
    let mut store = published(&batch(0), 1);
    let good = store.files["checkpoint"].clone();
    store.files.insert("checkpoint".to_owned(), b"nothing".to_vec());
    let mut log = store.open().expect("open");
    assert!(matches!(log.effect(), Some(Effect::Cosign { size: 1, .. })));
    assert_eq!(store.drive(&mut log, START_MS), Ok(true));
    assert_eq!(store.files["checkpoint"], good);
}

#[test]
fn batches_go_on_while_witnesses_are_away_and_are_acknowledged_together() {
    let mut store = published(&batch(0), 1);
    let mut log = store.open().expect("open");
    for number in 1..3 {
        log.append(&batch(number), START_MS, &log_identity()).expect("ready");
        assert!(!log.is_ready());
        let busy = log.append(&batch(number), START_MS, &log_identity());
        assert_eq!(busy, Err(AppendError::Busy));
        while !matches!(log.effect(), Some(Effect::Cosign { .. })) {
            match log.effect().cloned() {
                Some(Effect::Commit { new, .. }) => store.lock = Some(new),
                Some(Effect::Stage { path, bytes } | Effect::Write { path, bytes }) => {
                    store.files.insert(path, bytes);
                }
                _ => {}
            }
            assert_eq!(log.done(), Ok(()));
        }
        assert_eq!(log.done(), Err(NotYet(Standing { got: 0, needed: 3 })));
        assert!(log.is_ready());
    }
    assert_eq!((log.size(), log.published()), (256, 1));
    assert_eq!(store.drive(&mut log, START_MS), Ok(true));
    assert_eq!((log.size(), log.published()), (256, 256));
    assert_eq!(store.acknowledged.len(), 256);
}

#[test]
fn a_cosignature_that_comes_late_is_published_too_and_false_ones_are_not() {
    let mut store = published(&batch(0), 1);
    // The fourth witness was away.
    let bytes = store.files["checkpoint"].clone();
    let text = String::from_utf8(bytes).expect("text");
    let (rest, last) = text.trim_end().rsplit_once('\n').expect("lines");
    let late = SignatureLine::parse(last).expect("a line");
    store.files.insert("checkpoint".to_owned(), format!("{rest}\n").into_bytes());
    let mut log = store.open().expect("open");
    assert_eq!((log.effect(), log.standing().got), (None, 3));

    let mut forged = late.clone();
    forged.signature[30] ^= 1;
    assert!(log.cosigned(forged).is_err());
    let stranger = SignatureLine { id: [0; 4], ..late.clone() };
    assert!(log.cosigned(stranger).is_err());
    assert_eq!(log.effect(), None);

    assert_eq!(log.cosigned(late).expect("it holds").got, 4);
    assert!(matches!(log.effect(), Some(Effect::Publish { .. })));
    assert_eq!(store.drive(&mut log, START_MS), Ok(true));
    assert_eq!(store.files["checkpoint"], text.into_bytes());
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let store = Store::default();
    let mut log = store.open().expect("nothing yet");
    let mut append = |entries: &[Vec<u8>], seed: u8| {
        log.append(entries, START_MS, &identity(seed)).expect_err("refused")
    };
    assert_eq!(append(&[], 100), AppendError::Batch);
    assert_eq!(append(&[entry(0)], 101), AppendError::Key);
    assert!(matches!(append(&[vec![0; 65_536]], 100), AppendError::Long(_)));
    assert_eq!(append(&vec![vec![0]; 32_769], 100), AppendError::Batch);
    assert_eq!(append(&vec![vec![0; 65_535]; 1_100], 100), AppendError::Batch);
    assert_eq!((log.size(), log.effect()), (0, None));
}
