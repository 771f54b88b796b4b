//! What a server adds: a lock, sessions that end, a password, and folders that remember it.

use super::*;

/// The session that writes has the lock: another program is refused, and comes in once it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_lets_one_program_write_a_journal() {
    let Some(databases) = postgres::databases() else { return };
    let stores = Stores::new(databases);
    let mut first = stores.journal().await;
    first.append(1, 0, &records(1)).await.expect("appended");
    let refused = Journal::open(stores.place()).await.err().expect("refused");
    assert!(matches!(refused, StorageError::InUse { .. }), "{refused}");
    let mut reader = Journal::open_to_read(stores.place()).await.expect("beside the writer");
    assert_eq!(reader.replay(1, 0).await.expect("read"), records(1));
    assert!(reader.append(1, 1, &records(1)).await.is_err(), "it only reads");
    drop(first); // as a crash would
    let mut second = stores.journal().await;
    second.append(1, 1, &records(1)).await.expect("goes on");
}

/// A journal whose session ended is not written again by the same program, since another may have
/// taken over; what others share is dialled again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_session_ends_a_journal_and_not_the_members() {
    let Some(url) = postgres::url() else { return };
    let stores = Stores::new(url.parse().expect("good"));
    let (mut journal, mut members) = (stores.journal().await, stores.members().await);
    journal.append(1, 0, &records(1)).await.expect("appended");
    end_sessions(&url).await;
    let lost = journal.append(1, 1, &records(1)).await.expect_err("lost");
    assert!(matches!(lost, StorageError::Server { .. }), "{lost}");
    let lost = journal.append(1, 1, &records(1)).await.expect_err("still lost");
    assert!(matches!(lost, StorageError::Lost { .. }), "{lost}");
    let failure = covey_aggregation::program::Failure::from(lost);
    assert_eq!(failure.code, "STORAGE");
    assert!(failure.help.is_some_and(|help| help.contains("database server")), "says what to do");
    assert!(members.all().await.is_err(), "told once");
    assert!(members.all().await.expect("dialled again").is_empty());
    let mut journal = stores.journal().await;
    assert_eq!(journal.replay(1, 0).await.expect("read"), records(1), "what was acknowledged");
}

/// Ends every session but its own of the schemas of this URL's database.
async fn end_sessions(url: &str) {
    use sqlx::ConnectOptions as _;
    let (address, query) = url.split_once('?').expect("a query");
    let prefix = query.split("prefix=").nth(1).expect("a prefix");
    let options: sqlx::postgres::PgConnectOptions =
        format!("{address}?port=5432").parse().expect("good");
    let mut connection = options.connect().await.expect("connected");
    // Sessions of other tests go on: only those that have used this test's schemas are meant.
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND application_name = $1",
    );
    ended
        .bind(format!("covey-coordinator {prefix}"))
        .fetch_all(&mut connection)
        .await
        .expect("ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_changed_on_a_server_is_refused_by_name() {
    use sqlx::ConnectOptions as _;
    let Some(url) = postgres::url() else { return };
    let stores = Stores::new(url.parse().expect("good"));
    let mut journal = stores.journal().await;
    journal.append(1, 0, &records(3)).await.expect("appended");
    let (address, query) = url.split_once('?').expect("a query");
    let prefix = query.split("prefix=").nth(1).expect("a prefix");
    let options: sqlx::postgres::PgConnectOptions =
        format!("{address}?port=5432").parse().expect("good");
    let mut connection = options.connect().await.expect("connected");
    let change = format!(
        "UPDATE {prefix}_journal.records SET bytes = set_byte(bytes, 5, 9) WHERE sequence = 2"
    );
    sqlx::query(sqlx::AssertSqlSafe(change)).execute(&mut connection).await.expect("changed");
    let error = journal.replay(1, 0).await.expect_err("damaged");
    assert!(error.to_string().contains("record 2 of round 1 has changed bytes"), "{error}");
}

/// A password is nowhere in what is said of a database.
#[tokio::test]
async fn a_password_is_never_shown() {
    let url = "postgres://ada:s3cr3t@127.0.0.1:1/covey?prefix=mine";
    let databases: Databases = url.parse().expect("good");
    assert_eq!(databases.to_string(), "postgres://127.0.0.1:1/covey?prefix=mine");
    assert!(!format!("{databases:?}").contains("s3cr3t"));
    let place = databases.journal(Path::new("state"));
    let error = Journal::open(&place).await.err().expect("nobody listens there");
    assert!(matches!(error, StorageError::Server { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    for bad in [
        "mysql://ada:s3cr3t@host/covey",
        "postgres://ada:s3cr3t@host:port/covey",
        "postgres://ada:s3cr3t@host/covey?sslmode=s3cr3t",
        "postgres://ada:s3cr3t@host/covey?prefix=S3cr3t",
    ] {
        let error = bad.parse::<Databases>().expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("ada:s3cr3t"), "{error}");
    }
}

/// Settings that no longer name the server do not begin a new life in empty files.
#[test]
fn a_folder_remembers_that_its_stores_are_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = |prefix: &str| -> Databases {
        format!("postgres://ada:s3cr3t@host/covey?prefix={prefix}").parse().expect("good")
    };
    let folders = [folder.path()];
    place::settle(&server("mine"), &folders).expect("remembered");
    place::settle(&server("mine"), &folders).expect("the same");
    for other in [Databases::Files, server("other")] {
        let error = place::check(&other, &folders).expect_err("refused");
        assert!(matches!(error, StorageError::OtherDatabase { .. }), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
    let files = tempfile::tempdir().expect("a folder");
    fs::write(files.path().join("runs.db"), b"").expect("written");
    place::settle(&Databases::Files, &[files.path()]).expect("files");
    assert!(place::settle(&server("mine"), &[files.path()]).is_err(), "its runs are in files");
}
