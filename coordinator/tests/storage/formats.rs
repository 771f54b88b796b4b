//! Stores of older formats, and of newer ones.

use super::*;
use crate::files::open;

/// Members as the first format had them; the tables are as that program made them.
const MEMBERS_1: &str = "
    CREATE TABLE invites (
        id BLOB PRIMARY KEY,
        secret BLOB NOT NULL,
        role TEXT NOT NULL,
        name TEXT NOT NULL,
        approval TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        expires_s INTEGER NOT NULL,
        used_by BLOB,
        used_s INTEGER,
        revoked_s INTEGER
    ) STRICT;
    CREATE TABLE members (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        standing TEXT NOT NULL,
        since_s INTEGER NOT NULL,
        invite BLOB,
        request TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX names ON members (name) WHERE standing NOT IN ('revoked', 'left');
    CREATE TABLE rosters (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        roster BLOB NOT NULL,
        votes BLOB
    ) STRICT;
    INSERT INTO members (id, name, role, standing, since_s, request) VALUES
        (x'0303030303030303030303030303030303030303030303030303030303030303', 'bob', 'data-owner',
         'approved', 4, '');
    PRAGMA user_version = 1;
";

#[tokio::test]
async fn a_file_of_an_older_format_is_migrated_and_a_copy_is_kept() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("members.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut older = options.create_if_missing(true).connect().await.expect("made");
    sqlx::raw_sql(MEMBERS_1).execute(&mut older).await.expect("tables");
    older.close().await.expect("closed");
    let role = Role::ALL.into_iter().find(|role| role.to_string() == "data-owner");
    assert!(role.is_some(), "as that program wrote it");

    let mut members = Members::open(folder.path()).await.expect("migrated");
    members.belong_to(&digest("authority")).await.expect("the new table");
    let names: Vec<_> =
        members.all().await.expect("read").into_iter().map(|one| one.member.name).collect();
    assert_eq!(names, [name("bob")]);
    members.close().await.expect("closed");
    let format = |file: &str| {
        let bytes = fs::read(folder.path().join(file)).expect("read");
        bytes[63] // The last byte of `user_version`.
    };
    assert_eq!((format("members.db.format-1"), format("members.db")), (1, 3));
    Members::open(folder.path()).await.expect("once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_an_older_format_is_migrated_and_a_newer_one_is_refused() {
    let Some(url) = postgres::url() else { return };
    let stores = Stores::new(url.parse().expect("good"));
    let mut members = stores.members().await;
    let bob = Member {
        name: name("bob"),
        id: PartyId([3; 32]),
        role: Role::DataOwner,
        sealing_key: None,
    };
    members.stand(&bob, Standing::Approved, 4).await.expect("recorded");
    members.close().await.expect("closed");
    let older = "DROP TABLE {}.federation; DROP TABLE {}.payouts; UPDATE {}.store SET format = 1";
    change_on_server(&url, older).await;
    let mut members = stores.members().await;
    members.belong_to(&digest("authority")).await.expect("the new table");
    assert_eq!(members.all().await.expect("read").len(), 1);
    change_on_server(&url, "UPDATE {}.store SET format = 4").await;
    let place = stores.databases.members(stores.folder.path());
    let error = Members::open_at(&place).await.err().expect("refused");
    assert!(matches!(error, StorageError::Newer { got: 4, known: 3, .. }), "{error}");
}

/// Changes the members' schema of this URL behind the program's back.
async fn change_on_server(url: &str, change: &str) {
    use sqlx::ConnectOptions as _;
    let (address, query) = url.split_once('?').expect("a query");
    let prefix = query.split("prefix=").nth(1).expect("a prefix");
    let options: sqlx::postgres::PgConnectOptions =
        format!("{address}?port=5432").parse().expect("good");
    let mut connection = options.connect().await.expect("connected");
    let change = change.replace("{}", &format!("{prefix}_members"));
    sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&mut connection).await.expect("changed");
}

/// Whoever wrote in format 2 stored no digests beside rounds and run: they are read all the same, and the
/// next change of the run stores one.
#[tokio::test]
async fn a_journal_without_digests_is_read_and_gets_them() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = open(folder.path()).await;
    journal.launch(&run_row(), None).await.expect("launched");
    journal.close().await.expect("closed");
    let path = folder.path().join("journal.db");
    let older = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut older = older.connect().await.expect("opened");
    let change = "ALTER TABLE run DROP COLUMN digest; ALTER TABLE rounds DROP COLUMN digest;
        PRAGMA user_version = 2;";
    sqlx::raw_sql(change).execute(&mut older).await.expect("as it was");
    older.close().await.expect("closed");

    let mut journal = open(folder.path()).await;
    assert_eq!(journal.run().await.expect("read"), Some(run_row()));
    journal.end(&Ending::Done { rounds: 2 }).await.expect("ended");
    journal.close().await.expect("closed");
    let mut bytes = fs::read(&path).expect("read");
    let reason = Ending::Done { rounds: 2 }.to_string();
    let reason = reason.as_bytes();
    let at = bytes.windows(reason.len()).position(|window| window == reason).expect("the reason");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
    let error = open(folder.path()).await.run().await.expect_err("it says something else");
    assert!(error.to_string().contains("the run has changed bytes"), "{error}");
}
