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
    let call = calls(&federation.calls_file(who)).get(fault.at - 1).cloned().unwrap_or_default();
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
    let counts = counts();
    let nth = |who: Who, name: &str, nth: usize| {
        let calls = &counts.iter().find(|(one, _)| *one == who).expect("counted").1;
        let mut places = (1..).zip(calls).filter(|(_, call)| call.starts_with(name));
        places.nth(nth).unwrap_or_else(|| panic!("no {nth}th {name} in {calls:#?}")).0
    };
    let journal = nth(Who::Coordinator, "fsync /state/journal.db-wal", 6);
    let rounds = nth(Who::Coordinator, "fsync /state/rounds/round-0001", 8);
    let signature = nth(Who::Holder(0), "fdatasync /state/holder.redb", 5);
    let io = Happening::FailsUndone(Errno::Io);
    // What the system may have lost it will not tell again: nothing is tried a second time.
    let done = Happening::FailsDone(Errno::Io);
    assert_eq!(fails_at(Who::Coordinator, Fault { at: journal, happening: done }), 1);
    assert_eq!(fails_at(Who::Coordinator, Fault { at: rounds, happening: io }), 1);
    assert_eq!(fails_at(Who::Holder(0), Fault { at: signature, happening: io }), 1);
    // A round is declined for want of room; the program goes on.
    let sealed = nth(Who::Owner(0), "write /state/sealed/", 1);
    let happening = Happening::FailsUndone(Errno::NoSpace);
    assert_eq!(fails_at(Who::Owner(0), Fault { at: sealed, happening }), 0);
}

#[test]
#[ignore = "every call of every role, undone and done: an hour and a half"]
fn every_call_that_fails_is_never_taken_for_done() {
    let mut points = Vec::new();
    for (who, calls) in counts() {
        for at in 1..=calls.len() {
            let errno = if at % 2 == 0 { Errno::Io } else { Errno::NoSpace };
            for happening in [Happening::FailsUndone(errno), Happening::FailsDone(errno)] {
                points.push((who, Fault { at, happening }));
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
