//! A journal's file that a crash or a disk has left otherwise.

use super::*;

pub(crate) async fn open(folder: &Path) -> Journal {
    Journal::open(&folder.join("journal.db")).await.expect("opens")
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
async fn a_journal_of_an_older_program_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).await.close().await.expect("closed");
    let path = folder.path().join("journal.db");
    // `user_version` lies at byte 60 of the file, big-endian.
    let mut bytes = fs::read(&path).expect("read");
    assert_eq!(bytes[60..64], [0, 0, 0, 3]);
    bytes[63] = 1;
    fs::write(&path, bytes).expect("written");
    let error = Journal::open(&path).await.err().expect("refused");
    assert!(matches!(error, StorageError::Older { got: 1, known: 2, .. }), "{error}");
}
