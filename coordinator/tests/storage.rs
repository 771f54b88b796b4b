//! What survives a crash, on real disks and real databases: each test of a store runs with SQLite's
//! files and with a PostgreSQL server.

mod postgres;

use std::fs;
use std::path::Path;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::net::enrolment::NotEnrolled;
use covey_aggregation::net::invite::{InviteId, InviteSecret};
use covey_aggregation::net::{IdentityKey, Request};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::research::{Order, RunState};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::stop::Ending;
use covey_aggregation::time::Time;
use covey_coordinator::storage::StorageError;
use covey_coordinator::storage::journal::{ChangeRow, Journal, RoundRow, RunRow};
use covey_coordinator::storage::members::{Approval, Members, NewInvite, NotJoined, Standing};
use covey_coordinator::storage::place::{self, Databases, Place};
use covey_coordinator::storage::registry::{NewRun, NotRecorded, Registry};
use zeroize::Zeroizing;

/// Stores of a test's own.
struct Stores {
    databases: Databases,
    folder: tempfile::TempDir,
}

impl Stores {
    fn new(databases: Databases) -> Self {
        Self { databases, folder: tempfile::tempdir().expect("a folder") }
    }

    fn place(&self) -> Place {
        self.databases.journal(self.folder.path())
    }

    async fn journal(&self) -> Journal {
        Journal::open(self.place()).await.expect("opens")
    }

    async fn members(&self) -> Members {
        let place = self.databases.members(self.folder.path());
        Members::open_at(&place).await.expect("opens")
    }

    async fn registry(&self) -> Registry {
        let place = self.databases.runs(self.folder.path());
        Registry::open_at(&place).await.expect("opens")
    }
}

/// Each of these tests, once for each database.
macro_rules! on_both {
    ($($(#[$what:meta])* async fn $name:ident($stores:ident) $body:block)*) => {
        $($(#[$what])* async fn $name($stores: Stores) $body)*

        mod with_files {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Stores::new(super::Databases::Files)).await;
            })*
        }

        mod with_a_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(databases) = super::postgres::databases() {
                    super::$name(super::Stores::new(databases)).await;
                }
            })*
        }
    };
}

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

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn request(called: &str, number: u8) -> Request {
    let key = IdentityKey::from_seed(Zeroizing::new([number + 1; 32]));
    Request::create(&key, name(called), Role::DataOwner, None).expect("made")
}

on_both! {
async fn a_journal_replays_what_was_appended_in_order_and_by_round(stores) {
    let mut journal = stores.journal().await;
    journal.launch(&run_row(), None).await.expect("launched");
    journal.append(1, 0, &records(3)).await.expect("appended");
    journal.append(1, 3, &records(2)).await.expect("appended");
    journal.append(2, 0, &records(1)).await.expect("appended");
    drop(journal); // as a crash would: no clean close

    let mut journal = stores.journal().await;
    assert_eq!(journal.run().await.expect("read"), Some(run_row()));
    let first = journal.replay(1, 0).await.expect("replayed");
    assert_eq!(first, [records(3), records(2)].concat());
    assert_eq!(journal.replay(2, 0).await.expect("replayed"), records(1));
    assert!(journal.replay(3, 0).await.expect("replayed").is_empty());
}

async fn a_batch_is_stored_whole_or_not_at_all(stores) {
    let mut journal = stores.journal().await;
    journal.append(1, 0, &records(2)).await.expect("appended");
    // The second of this batch collides with record 1, so the first must not stay either.
    let error = journal.append(1, 1, &records(3)).await.expect_err("a collision");
    let is_one = matches!(error, StorageError::Database { .. } | StorageError::Server { .. });
    assert!(is_one, "{error}");
    assert_eq!(journal.replay(1, 0).await.expect("replayed"), records(2));
    journal.append(1, 2, &records(1)).await.expect("goes on after the failure");
}

async fn a_state_folder_holds_one_run_and_its_rounds(stores) {
    let mut journal = stores.journal().await;
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
        Journal::open_to_read(stores.place()).await.expect("beside the writer");
    assert_eq!(reader.rounds().await.expect("read"), [done, abandoned]);
    let outcome = reader.outcome(&digest("context 2")).await.expect("read");
    assert_eq!(outcome, Some(vec![1, 2, 3]));
    assert_eq!(reader.outcome(&digest("context 3")).await.expect("read"), None);
    let run = reader.run().await.expect("read").expect("there");
    assert_eq!(run.ending.as_deref(), Some("done"));
    assert_eq!(run.reason.as_deref(), Some("all 2 rounds were tried"));
}

/// The reason that the last round brought is recorded with it, and an extension with who asked.
async fn an_ending_comes_with_its_round_and_an_extension_takes_it_back(stores) {
    let mut journal = stores.journal().await;
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
    let mut journal = stores.journal().await;
    let run = journal.run().await.expect("read").expect("there");
    assert_eq!((run.rounds, run.ending, run.reason), (20, None, None));
    let whats: Vec<_> =
        journal.changes().await.expect("read").into_iter().map(|change| change.what).collect();
    assert_eq!(whats, ["begun from round 5", "rounds 20 instead of 10"]);
}

async fn a_loss_that_is_no_number_is_kept_as_none(stores) {
    let mut journal = stores.journal().await;
    let row = |round: u32, loss: f64| RoundRow {
        round,
        context: digest(&format!("context {round}")),
        model: digest("model"),
        state: None,
        counters: vec![4],
        aggregate: None,
        outcome: vec![1],
        accuracy: Some(0.1),
        loss: Some(loss),
        ended: Time(9),
    };
    journal.launch(&run_row(), None).await.expect("launched");
    for (round, loss) in [(6, f64::NAN), (7, f64::INFINITY), (8, 0.5)] {
        journal.close_round(&row(round, loss), None).await.expect("closed");
    }
    let rounds = journal.rounds().await.expect("read back, with their digests");
    let losses: Vec<_> = rounds.iter().map(|round| round.loss).collect();
    assert_eq!(losses, [None, Some(f64::INFINITY), Some(0.5)]);
}

/// Whoever comes by an invite at the same time as others: exactly one gets in, by whichever program.
async fn of_twenty_who_come_by_one_invite_exactly_one_gets_in(stores) {
    let secret = || InviteSecret::new(&Zeroizing::new([7; 16]));
    let invite = NewInvite {
        id: InviteId([1; 8]),
        secret: secret().digest(),
        role: Role::DataOwner,
        name: name("ada"),
        approval: Approval::Auto,
        created_s: 0,
        expires_s: 100,
    };
    stores.members().await.invite(&invite).await.expect("recorded");
    let mut comers = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mut members = stores.members().await;
        comers.spawn(async move {
            let request = request("ada", number);
            members.join(InviteId([1; 8]), &secret(), &request, 5).await
        });
    }
    let mut came = Vec::new();
    while let Some(comer) = comers.join_next().await {
        match comer.expect("no panic") {
            Ok(entry) => came.push(entry),
            Err(NotJoined::Refused(NotEnrolled::Used)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let [entry] = &came[..] else { panic!("{} came in", came.len()) };
    assert_eq!(stores.members().await.all().await.expect("read"), came);
    let invites = stores.members().await.invites().await.expect("read");
    assert_eq!(invites[0].used_by, Some(entry.member.id));
}

/// Twenty programs record newcomers at once: all are there, and of two with one name one.
async fn what_many_programs_record_at_once_is_all_there_once(stores) {
    let secret = || InviteSecret::new(&Zeroizing::new([7; 16]));
    let mut members = stores.members().await;
    for number in 0..20_u8 {
        let called = if number < 2 { "twin".to_owned() } else { format!("owner-{number}") };
        let invite = NewInvite {
            id: InviteId([number; 8]),
            secret: secret().digest(),
            role: Role::DataOwner,
            name: name(&called),
            approval: Approval::Manual,
            created_s: number.into(),
            expires_s: 100,
        };
        members.invite(&invite).await.expect("recorded");
    }
    let version = members.version().await.expect("read");
    let mut comers = tokio::task::JoinSet::new();
    for number in 0..20_u8 {
        let mut members = stores.members().await;
        comers.spawn(async move {
            let called = if number < 2 { "twin".to_owned() } else { format!("owner-{number}") };
            let (invite, request) = (InviteId([number; 8]), request(&called, number));
            members.join(invite, &secret(), &request, 5).await.map(|entry| entry.standing)
        });
    }
    let (mut waiting, mut taken) = (0, 0);
    while let Some(comer) = comers.join_next().await {
        match comer.expect("no panic") {
            Ok(Standing::Waiting) => waiting += 1,
            Err(NotJoined::Refused(NotEnrolled::Taken)) => taken += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((waiting, taken), (19, 1));
    assert_ne!(members.version().await.expect("read"), version, "a change is seen");
    let mut names: Vec<_> = members.all().await.expect("read").into_iter().map(|one| one.member.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 19);
    // The invite of whom the name was taken from is not used up.
    let unused = members.invites().await.expect("read").into_iter().filter(|one| one.used_by.is_none());
    assert_eq!(unused.count(), 1);
}

async fn a_member_and_the_rosters_are_read_back_as_they_were_written(stores) {
    let mut members = stores.members().await;
    let bob = Member { name: name("bob"), id: PartyId([3; 32]), role: Role::DataOwner, sealing_key: None };
    members.stand(&bob, Standing::Approved, 4).await.expect("recorded");
    members.stand(&bob, Standing::Suspended, 9).await.expect("recorded");
    let entry = members.entry_of(&bob.id).await.expect("read").expect("there");
    assert_eq!((entry.member, entry.standing, entry.since_s), (bob.clone(), Standing::Suspended, 9));
    let founding = |members| Roster::founding(name("test"), Digest::ZERO, members);
    members.put_roster(&founding(Vec::new())).await.expect("stored");
    // A founding roster grows; a later one is what it is.
    let grown = founding(vec![bob]);
    members.put_roster(&grown).await.expect("stored again");
    let first = grown.next(1, Vec::new());
    members.put_roster(&first).await.expect("stored");
    members.put_roster(&grown.next(1, grown.members.clone())).await.expect("changes nothing");
    let rosters = members.rosters(0).await.expect("read");
    assert_eq!(rosters.iter().map(|one| &one.roster).collect::<Vec<_>>(), [&grown, &first]);
    let found = members.roster_of(&first.digest()).await.expect("read").expect("there");
    assert!(found.votes.is_empty());
    members.close().await.expect("closed");
}

async fn runs_are_found_by_name_and_by_digits_and_keep_their_order(stores) {
    let mut registry = stores.registry().await;
    let by = Member { name: name("alice"), id: PartyId([1; 32]), role: Role::Researcher, sealing_key: None };
    let new = |number: u8, verdict| NewRun {
        run: Digest([number; 32]),
        name: name(&format!("run-{number}")),
        plan: Digest([100 + number; 32]),
        plan_bytes: vec![number; 5],
        by: by.id,
        by_name: by.name.clone(),
        at: Time(number.into()),
        verdict,
    };
    for number in 1..=3 {
        assert!(registry.submit(new(number, Ok(4))).await.expect("recorded").1);
    }
    assert!(!registry.submit(new(2, Ok(4))).await.expect("known").1);
    let other = NewRun { plan: Digest([9; 32]), ..new(2, Ok(4)) };
    assert!(matches!(registry.submit(other).await, Err(NotRecorded::Refused(_))));
    let refused = registry.submit(new(4, Err(Vec::new()))).await.expect("recorded").0;
    assert_eq!(refused.state, RunState::Refused);
    let found = registry.find(&name("0202")).await.expect("found by digits");
    assert_eq!((found.name, found.rounds), (name("run-2"), 4));
    assert!(matches!(registry.find(&name("0505")).await, Err(NotRecorded::Refused(_))));
    assert_eq!(registry.plan_bytes(&Digest([3; 32])).await.expect("read"), Some(vec![3; 5]));
    assert_eq!(registry.plan_bytes(&refused.run).await.expect("read"), None);
    registry.order(&name("run-1"), Order::Pause, &by, Time(9)).await.expect("paused");
    let begun = registry.begin_next().await.expect("read").expect("the second");
    assert_eq!(begun.run, Digest([2; 32]));
    let contexts = [digest("one"), digest("two")];
    registry.rounds_over(&begun.run, &contexts, (2, 1)).await.expect("recorded");
    registry.rounds_over(&begun.run, &contexts, (2, 1)).await.expect("again");
    assert_eq!(registry.run_of(&digest("two")).await.expect("read"), Some(begun.run));
    registry.close().await.expect("closed");
    let mut reader = Registry::open_to_read(&stores.databases.runs(stores.folder.path())).await.expect("opens");
    let rows = reader.rows(true).await.expect("read");
    let states: Vec<_> = rows.iter().map(|row| (row.number, row.state, row.rounds_over)).collect();
    assert_eq!(
        states,
        [(1, RunState::Paused, 0), (2, RunState::Running, 2), (3, RunState::Queued, 0), (4, RunState::Refused, 0)]
    );
    assert_eq!(reader.rows(false).await.expect("read").len(), 3);
}

/// Of two federations that meet in one store the second is told.
async fn members_are_those_of_one_federation(stores) {
    let mut members = stores.members().await;
    members.belong_to(&digest("authority")).await.expect("the first");
    members.belong_to(&digest("authority")).await.expect("the same");
    let error = members.belong_to(&digest("another")).await.expect_err("refused");
    assert!(matches!(error, StorageError::OtherFederation { .. }), "{error}");
}

async fn a_store_that_is_not_there_is_none_to_read(stores) {
    assert!(Journal::open_existing(stores.place()).await.expect("looked").is_none());
    stores.journal().await.close().await.expect("closed");
    assert!(Journal::open_existing(stores.place()).await.expect("looked").is_some());
}
}

async fn open(folder: &Path) -> Journal {
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
    assert_eq!((format("members.db.format-1"), format("members.db")), (1, 2));
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
    let older = "DROP TABLE {}.federation; UPDATE {}.store SET format = 1";
    change_on_server(&url, older).await;
    let mut members = stores.members().await;
    members.belong_to(&digest("authority")).await.expect("the new table");
    assert_eq!(members.all().await.expect("read").len(), 1);
    change_on_server(&url, "UPDATE {}.store SET format = 3").await;
    let place = stores.databases.members(stores.folder.path());
    let error = Members::open_at(&place).await.err().expect("refused");
    assert!(matches!(error, StorageError::Newer { got: 3, known: 2, .. }), "{error}");
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
