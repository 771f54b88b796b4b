//! What survives a crash, on real disks and real databases: each test of a store runs with SQLite's
//! files and with a PostgreSQL server.

mod files;
mod formats;
#[path = "../postgres/mod.rs"]
mod postgres;
mod server;

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
