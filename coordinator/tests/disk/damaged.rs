//! Files with changed bytes. Whoever reads them again has what was written, or says which file is not.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::Journal as MemberJournal;
use covey_aggregation::record::{HolderRecord, Sequence};
use covey_aggregation::stop::Ending;
use covey_aggregation::time::Time;
use covey_coordinator::storage::journal::{Journal, RoundRow, RunRow};

use crate::oracle;
use crate::processes::{Federation, Plan, Process, Who, Work};

/// In the default run one byte of so many is changed, not always at the same place of a block.
const EVERY: usize = 64;

/// What a reader makes of a file: its contents, or what is wrong.
type Read<T> = Result<T, String>;

/// Changes bytes of `original`, one at a time, and has the file read again. Whatever is read must be what
/// was written; what is refused must name the file.
fn assert_never_other<T: PartialEq + std::fmt::Debug>(
    (name, original): (&str, &[u8]),
    places: impl Iterator<Item = usize>,
    read: impl Fn(&Path) -> Read<T>,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |number: usize| {
        let path = folder.path().join(number.to_string());
        fs::create_dir(&path).expect("made");
        path.join(name)
    };
    let untouched = at(usize::MAX);
    fs::write(&untouched, original).expect("written");
    let good = read(&untouched).expect("whole");
    let (mut same, mut refused) = (0, 0);
    for place in places {
        let mut bytes = original.to_vec();
        bytes[place] ^= 0x41;
        let path = at(place);
        fs::write(&path, bytes).expect("written");
        match read(&path) {
            Ok(found) => {
                assert_eq!(found, good, "{name}, byte {place}: other contents, and nobody says so");
                same += 1;
            }
            Err(why) => {
                assert!(why.contains(name), "{name}, byte {place}: {why}");
                refused += 1;
            }
        }
        fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
    }
    println!("{name}: {refused} changed bytes refused, {same} without consequence");
    assert!(refused > 0, "no change was noticed");
}

/// Places of a file that are worth a look: of blocks that hold nothing, one.
fn places(bytes: &[u8], every: usize) -> Vec<usize> {
    let mut places = Vec::new();
    let mut was_empty = false;
    for (number, block) in bytes.chunks(every).enumerate() {
        let is_empty = block.iter().all(|byte| *byte == 0);
        if !is_empty || !was_empty {
            places.push(number * every + (number * 7) % block.len());
        }
        was_empty = is_empty;
    }
    places
}

/// What a journal of a coordinator says.
type Said = (Option<RunRow>, Vec<RoundRow>, Vec<Vec<Vec<u8>>>);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

fn read_journal(path: &Path) -> Read<Said> {
    let read = async {
        let mut journal = Journal::open(path).await?;
        let said = (
            journal.run().await?,
            journal.rounds().await?,
            vec![journal.replay(1, 0).await?, journal.replay(2, 0).await?],
        );
        journal.close().await?;
        Ok(said)
    };
    block_on(read).map_err(|error: covey_coordinator::storage::StorageError| error.to_string())
}

/// A journal with two rounds, one of which is over.
fn a_journal() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let digest = |seed: u8| Digest([seed; 32]);
    block_on(async {
        let mut journal = Journal::open(&path).await.expect("opened");
        let run = RunRow {
            run: digest(1),
            federation: digest(2),
            plan: digest(3),
            model: digest(4),
            state: Some(digest(5)),
            first_round: 1,
            rounds: 2,
            origin: None,
            started: Time(7),
            ending: None,
            reason: None,
        };
        journal.launch(&run, None).await.expect("launched");
        for round in [1, 2] {
            let records: Vec<Vec<u8>> = (1..20).map(|seed| vec![seed; 150]).collect();
            journal.append(round, 0, &records).await.expect("stored");
        }
        let round = RoundRow {
            round: 1,
            context: digest(6),
            model: digest(7),
            state: Some(digest(8)),
            counters: vec![3, 4],
            aggregate: Some(digest(9)),
            outcome: vec![5; 90],
            accuracy: Some(0.5),
            loss: Some(1.5),
            ended: Time(9),
        };
        let ending = Ending::Stopped { by: "alice".parse().expect("a name") };
        journal.close_round(&round, Some(&ending)).await.expect("closed");
        journal.close().await.expect("closed");
    });
    fs::read(path).expect("read")
}

fn journal_survives(every: usize) {
    let bytes = a_journal();
    let places = places(&bytes, every);
    assert_never_other(("journal.db", &bytes), places.into_iter(), read_journal);
}

#[test]
fn a_coordinators_journal_with_a_changed_byte_is_read_as_it_was_or_refused() {
    journal_survives(EVERY);
}

#[test]
#[ignore = "every byte of a small journal: five minutes"]
fn a_coordinators_journal_with_any_byte_changed_is_read_as_it_was_or_refused() {
    journal_survives(1);
}

#[test]
fn a_coordinators_journal_that_was_cut_is_refused() {
    let bytes = a_journal();
    let folder = tempfile::tempdir().expect("a folder");
    for (number, length) in (1..bytes.len()).step_by(bytes.len() / 13).enumerate() {
        let path = folder.path().join(format!("{number}/journal.db"));
        fs::create_dir(path.parent().expect("a folder")).expect("made");
        fs::write(&path, &bytes[..length]).expect("written");
        let why = read_journal(&path).expect_err("something is missing");
        assert!(why.contains("journal.db"), "{length} bytes: {why}");
    }
}

const OWNER: PartyId = PartyId([1; 32]);

fn read_member(path: &Path) -> Read<Vec<HolderRecord>> {
    let opened = MemberJournal::<HolderRecord>::open(path, &OWNER);
    opened.map(|(_, records)| records).map_err(|error| error.to_string())
}

/// A holder's journal with the records of some rounds, and what a kill left of it.
fn a_members_journal() -> [(&'static str, Vec<u8>); 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("holder.redb");
    let (mut journal, _) = MemberJournal::<HolderRecord>::open(&path, &OWNER).expect("opened");
    for number in 0..12 {
        let (run, round_ctx) = (Digest([1; 32]), Digest([number; 32]));
        let record = HolderRecord::Voted { run, round_ctx, set: Digest([99; 32]) };
        journal.append(&[(Sequence(number.into()), record)]).expect("stored");
    }
    let killed = fs::read(&path).expect("read");
    drop(journal);
    [("holder.redb", fs::read(&path).expect("read")), ("killed.redb", killed)]
}

/// The byte of redb's header that tells which of the last two commits is the newer one. It has no
/// checksum: where it changes after a kill, the last commit is gone, and nobody can tell.
const NEWER: usize = 9;

fn members_journal_survives(every: usize) {
    for (name, bytes) in a_members_journal() {
        let places = places(&bytes, every).into_iter().filter(|place| *place != NEWER);
        assert_never_other((name, &bytes), places, read_member);
    }
}

/// Also the last record: without it a holder would sign a second time.
#[test]
fn a_members_journal_with_a_changed_byte_is_read_as_it_was_or_refused() {
    members_journal_survives(16 * EVERY);
}

#[test]
#[ignore = "every eighth byte of a small journal: half an hour"]
fn a_members_journal_with_any_byte_changed_is_read_as_it_was_or_refused() {
    members_journal_survives(8);
}

/// Changes one byte in the middle of a file.
fn change(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// The working copies of a round's contributions.
fn contributions(federation: &Federation, round: u32) -> Vec<PathBuf> {
    let folder = federation.state(Who::Coordinator).join(format!("rounds/round-{round:04}"));
    let entries = fs::read_dir(folder).expect("listed");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_dir() && path.extension().is_none()).collect()
}

/// A contribution that the disk gave back otherwise costs its round, with the reason; nothing is opened or
/// published that does not hold.
#[test]
fn a_stored_contribution_that_changed_never_comes_into_a_sum() {
    for is_audited in [false, true] {
        let federation = Federation::new(4, &Plan { rounds: 2, is_audited, ..Plan::default() });
        let mut work = Work::start(&federation);
        work.process(Who::Coordinator).wait_for(|line| {
            let is_it = line.contains("\"event\":\"phase\"") && line.contains("\"Vote\"");
            is_it.then_some(())
        });
        work.process(Who::Coordinator).kill();
        for one in contributions(&federation, 1) {
            change(&one.join("chunks"));
        }
        work.restart(Who::Coordinator);
        let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(story.finished["rounds"], 2);
        let first = story.rounds.iter().find(|round| round["round"] == 1).expect("told");
        println!("audited: {is_audited}: {first}");
        assert_eq!(first["done"], false, "{first}");
        let reason = first["reason"].as_str().expect("a reason");
        assert!(reason.contains("is damaged") || reason.contains("does not match"), "{reason}");
        oracle::check(&federation);
    }
}

/// A member whose file was changed says which; with the file as it was it goes on.
#[test]
fn a_member_with_a_damaged_file_names_it_and_goes_on_with_the_file_as_it_was() {
    let federation = Federation::new(4, &Plan::default());
    let work = Work::start(&federation);
    work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    let files: [(Who, &str, Range<i32>); 5] = [
        (Who::Owner(0), "state/client.redb", 1..2),
        (Who::Owner(0), "state/audit/000000000000.jsonl", 6..7),
        (Who::Owner(0), "state/sent.json", 1..2),
        (Who::Holder(0), "roster.json", 1..5),
        (Who::Coordinator, "state/journal.db", 1..2),
    ];
    for (who, file, codes) in files {
        let path = federation.home(who).join(file);
        let good = fs::read(&path).expect("read");
        // Cut off in its middle, and with a line that is not what it was.
        let mut torn = good[..good.len() / 2].to_vec();
        torn.extend_from_slice(b"\x01\x02 nonsense\n");
        fs::write(&path, &torn).expect("written");
        let mut process = Process::start(who, &mut federation.command(who));
        let status = process.wait();
        let words = process.words();
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        assert!(status.code().is_some_and(|code| codes.contains(&code)), "{file}: {words}");
        assert!(words.contains(name), "{file}: {words}");
        let says_what_to_do = words.contains("\"hint\":\"") || words.contains("restore it");
        assert!(says_what_to_do, "{file}: {words}");
        assert!(!words.contains("panicked"), "{file}: {words}");
        fs::write(&path, good).expect("written");
    }
    oracle::check(&federation);
}
