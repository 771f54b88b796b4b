//! Calls of the four programs that fail, undone or done, as the system tells them.

use std::sync::Mutex;

use crate::oracle;
use crate::processes::fault::{Errno, Fault, Happening, calls};
use crate::processes::{Federation, Plan, Who, Work};

/// One of each role: the others of it are alike.
const ROLES: [Who; 3] = [Who::Coordinator, Who::Owner(0), Who::Holder(0)];

fn small() -> Federation {
    Federation::new(4, &Plan { rounds: 2, ..Plan::default() })
}

/// A run in which one call of `who` fails. Whoever ends then does so with a clear message and is started
/// again, as a person does after having looked. Returns how often it ended.
fn fails_at(who: Who, fault: Fault) -> usize {
    let federation = small();
    let work = Work::start(&federation, Some((who, Some(fault))));
    let story = work.finish(Some(who)).unwrap_or_else(|why| panic!("{who}, {fault}: {why}"));
    let call = fault.call(&federation.calls_file(who));
    println!("{who}, {fault} ({call}): over in {:.1?}, ends {:?}", story.took, story.ends);
    for (status, words) in story.ends.iter().zip(&story.words) {
        assert_eq!(status.code(), Some(1), "{who}, {fault} ({call}):\n{words}");
        let says = |line: &str| line.contains("\"error\"") && line.contains("\"hint\"");
        assert!(words.lines().any(says), "{words}");
        assert!(!words.contains("panicked"), "{words}");
    }
    oracle::check(&federation);
    story.ends.len()
}

fn counts() -> Vec<(Who, Vec<String>)> {
    let federation = small();
    let work = Work::start_all_watched(&federation);
    work.finish(None).unwrap_or_else(|why| panic!("{why}"));
    ROLES.iter().map(|who| (*who, calls(&federation.calls_file(*who)))).collect()
}

/// The calls that matter most: what a receipt, a signature and an upload rest on.
#[test]
fn a_call_that_fails_is_never_taken_for_done() {
    let fails = |who: Who, of: &'static str, at: usize, happening: Happening| {
        let ended = fails_at(who, Fault { of, at, happening });
        (ended, happening)
    };
    let io = Happening::FailsUndone(Errno::Io);
    // What the system may have lost it will not tell again: nothing is tried a second time.
    let done = Happening::FailsDone(Errno::Io);
    assert_eq!(fails(Who::Coordinator, "fsync /state/journal.db-wal", 7, done), (1, done));
    assert_eq!(fails(Who::Coordinator, "fsync /state/rounds/round-0001", 9, io), (1, io));
    assert_eq!(fails(Who::Holder(0), "fdatasync /state/holder.redb\n", 3, io), (1, io));
    // A round is declined for want of room; the program goes on.
    let full = Happening::FailsUndone(Errno::NoSpace);
    assert_eq!(fails(Who::Owner(0), "write /state/sealed/", 2, full), (0, full));
}

#[test]
#[ignore = "every call of every role, undone and done: an hour and a half"]
fn every_call_that_fails_is_never_taken_for_done() {
    let mut points = Vec::new();
    for (who, calls) in counts() {
        for at in 1..=calls.len() {
            let errno = if at % 2 == 0 { Errno::Io } else { Errno::NoSpace };
            for happening in [Happening::FailsUndone(errno), Happening::FailsDone(errno)] {
                points.push((who, Fault { of: "", at, happening }));
            }
        }
    }
    let points = Mutex::new(points.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = points.lock().expect("no panic").next();
                    let Some((who, fault)) = next else { break };
                    fails_at(who, fault);
                }
            });
        }
    });
}
