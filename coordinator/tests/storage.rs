//! What survives a crash, on a real disk and a real SQLite.

use std::fs;
use std::path::Path;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::stop::Ending;
use covey_aggregation::time::Time;
use covey_coordinator::storage::StorageError;
use covey_coordinator::storage::journal::{ChangeRow, Journal, RoundRow, RunRow};

fn digest(text: &str) -> Digest {
    hash(Domain::Body, &[text.as_bytes()])
}

fn run_row() -> RunRow {
    RunRow {
        run: digest("run"),
        federation: digest("federation"),
        plan: digest("plan"),
        model: digest("model"),
        state: Some(digest("state")),
        first_round: 6,
        rounds: 10,
        origin: Some((digest("earlier run"), 5)),
        started: Time(17),
        ending: None,
        reason: None,
    }
}

fn records(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|i| vec![i; 40 + usize::from(i)]).collect()
}

async fn open(folder: &Path) -> Journal {
    Journal::open(&folder.join("journal.db")).await.expect("opens")
}

#[tokio::test]
async fn a_journal_replays_what_was_appended_in_order_and_by_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    journal.launch(&run_row(), None).await.expect("launched");
    journal.append(1, 0, &records(3)).await.expect("appended");
    journal.append(1, 3, &records(2)).await.expect("appended");
    journal.append(2, 0, &records(1)).await.expect("appended");
    drop(journal); // as a crash would: no clean close

    let mut journal = open(folder.path()).await;
    assert_eq!(journal.run().await.expect("read"), Some(run_row()));
    let first = journal.replay(1, 0).await.expect("replayed");
    assert_eq!(first, [records(3), records(2)].concat());
    assert_eq!(journal.replay(2, 0).await.expect("replayed"), records(1));
    assert!(journal.replay(3, 0).await.expect("replayed").is_empty());
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    journal.append(1, 0, &records(2)).await.expect("appended");
    // The second of this batch collides with record 1, so the first must not stay either.
    let error = journal.append(1, 1, &records(3)).await.expect_err("a collision");
    assert!(matches!(error, StorageError::Database { .. }), "{error}");
    assert_eq!(journal.replay(1, 0).await.expect("replayed"), records(2));
    journal.append(1, 2, &records(1)).await.expect("goes on after the failure");
}

#[tokio::test]
async fn a_torn_write_ahead_log_loses_only_what_was_not_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    journal.append(1, 0, &records(3)).await.expect("appended");
    journal.close().await.expect("closed: the log is folded into the file");
    let mut journal = open(folder.path()).await;
    journal.append(1, 3, &records(3)).await.expect("appended");

    // The state that a power cut in the middle of the last write leaves: a log cut short.
    let torn = tempfile::tempdir().expect("a folder");
    fs::copy(folder.path().join("journal.db"), torn.path().join("journal.db")).expect("copied");
    let wal = fs::read(folder.path().join("journal.db-wal")).expect("a log");
    fs::write(torn.path().join("journal.db-wal"), &wal[..wal.len() - 100]).expect("written");
    let mut journal = open(torn.path()).await;
    assert_eq!(journal.replay(1, 0).await.expect("replayed"), records(3));
    journal.append(1, 3, &records(1)).await.expect("goes on");
}

#[tokio::test]
async fn a_changed_or_missing_record_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    journal.append(1, 0, &records(3)).await.expect("appended");
    journal.close().await.expect("closed");

    // A bit flips inside record 2 (its bytes are all 2, 42 of them).
    let path = folder.path().join("journal.db");
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes.windows(42).position(|window| window == [2; 42]).expect("record 2");
    bytes[at + 5] ^= 1;
    fs::write(&path, bytes).expect("written");
    let mut journal = open(folder.path()).await;
    let error = journal.replay(1, 0).await.expect_err("damaged");
    assert!(
        matches!(&error, StorageError::Damaged { what, .. }
        if what == "record 2 of round 1 has changed bytes"),
        "{error}"
    );

    journal.append(2, 1, &records(1)).await.expect("appended, without a record 0");
    let error = journal.replay(2, 0).await.expect_err("damaged");
    assert!(error.to_string().contains("record 0 of round 2 is missing"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("journal.db"), [7; 8192]).expect("written");
    let error = Journal::open(&folder.path().join("journal.db")).await.err().expect("refused");
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_state_folder_holds_one_run_and_its_rounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    assert_eq!(journal.run().await.expect("read"), None);
    journal.launch(&run_row(), None).await.expect("launched");
    assert!(journal.launch(&run_row(), None).await.is_err(), "a second run is refused");
    let done = RoundRow {
        round: 1,
        context: digest("context 1"),
        model: digest("model 1"),
        state: Some(digest("state 1")),
        counters: vec![0, u64::MAX, 7],
        aggregate: Some(digest("aggregate")),
        outcome: vec![1, 2, 3],
        accuracy: Some(0.5),
        loss: None,
        ended: Time(99),
    };
    let abandoned = RoundRow {
        round: 2,
        context: digest("context 2"),
        state: None,
        counters: Vec::new(),
        aggregate: None,
        accuracy: None,
        ..done.clone()
    };
    journal.close_round(&done, None).await.expect("closed");
    journal.close_round(&abandoned, None).await.expect("closed");
    assert!(journal.close_round(&done, None).await.is_err(), "a round ends once");
    journal.end(&Ending::Done { rounds: 2 }).await.expect("ended");
    let mut reader =
        Journal::open_to_read(&folder.path().join("journal.db")).await.expect("beside the writer");
    assert_eq!(reader.rounds().await.expect("read"), [done, abandoned]);
    let outcome = reader.outcome(&digest("context 2")).await.expect("read");
    assert_eq!(outcome, Some(vec![1, 2, 3]));
    assert_eq!(reader.outcome(&digest("context 3")).await.expect("read"), None);
    let run = reader.run().await.expect("read").expect("there");
    assert_eq!(run.ending.as_deref(), Some("done"));
    assert_eq!(run.reason.as_deref(), Some("all 2 rounds were tried"));
}

/// The reason that the last round brought is recorded with it, and an extension with who asked.
#[tokio::test]
async fn an_ending_comes_with_its_round_and_an_extension_takes_it_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    let change = |what: &str| ChangeRow { at: Time(5), by: "middle".into(), what: what.into() };
    journal.launch(&run_row(), Some(&change("begun from round 5"))).await.expect("launched");
    let row = RoundRow {
        round: 6,
        context: digest("context"),
        model: digest("model 6"),
        state: None,
        counters: vec![4, 3],
        aggregate: Some(digest("aggregate")),
        outcome: vec![1],
        accuracy: None,
        loss: None,
        ended: Time(9),
    };
    let why = "parameter 3 is no longer a finite number".to_owned();
    let ending = Ending::Diverged { round: 6, why };
    journal.close_round(&row, Some(&ending)).await.expect("closed");
    let run = journal.run().await.expect("read").expect("there");
    assert_eq!(run.ending.as_deref(), Some("diverged"));
    assert!(run.reason.expect("a reason").contains("parameter 3"));
    assert!(journal.close_round(&row, Some(&ending)).await.is_err(), "both or neither");
    journal.extend(20, &change("rounds 20 instead of 10")).await.expect("extended");
    drop(journal);
    let mut journal = open(folder.path()).await;
    let run = journal.run().await.expect("read").expect("there");
    assert_eq!((run.rounds, run.ending, run.reason), (20, None, None));
    let whats: Vec<_> =
        journal.changes().await.expect("read").into_iter().map(|change| change.what).collect();
    assert_eq!(whats, ["begun from round 5", "rounds 20 instead of 10"]);
}

#[tokio::test]
async fn a_journal_of_an_older_program_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).await.close().await.expect("closed");
    let path = folder.path().join("journal.db");
    // `user_version` lies at byte 60 of the file, big-endian.
    let mut bytes = fs::read(&path).expect("read");
    assert_eq!(bytes[60..64], [0, 0, 0, 2]);
    bytes[63] = 1;
    fs::write(&path, bytes).expect("written");
    let error = Journal::open(&path).await.err().expect("refused");
    assert!(matches!(error, StorageError::Older { got: 1, known: 2, .. }), "{error}");
}
