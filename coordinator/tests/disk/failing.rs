//! Calls of the four programs that fail, undone or done, as the system tells them.

use crate::oracle;
use crate::processes::fault::{Errno, Fault, Happening, ROLES, calls, every_call, side_by_side};
use crate::processes::{Federation, Lives, Plan, Who, Work};

fn small() -> Federation {
    Federation::new(4, &Plan { rounds: 2, ..Plan::default() })
}

/// A run in which one call of everybody named fails. Whoever ends then does so with a clear message and is
/// started again, as a person does after having looked. Returns how often somebody ended.
fn fails_at(faults: &[(Who, Fault)]) -> usize {
    let federation = small();
    let work = Work::start_with(&federation, faults);
    let victims: Vec<Who> = faults.iter().map(|(who, _)| *who).collect();
    let list: Vec<_> = faults.iter().map(|(who, fault)| format!("{who}: {fault}")).collect();
    let list = list.join("; ");
    let story = work.finish(&victims).unwrap_or_else(|why| panic!("{list}: {why}"));
    for ((who, fault), Lives { ends, words, .. }) in faults.iter().zip(&story.lives) {
        let call = fault.call(&federation.calls_file(*who));
        println!("{who}, {fault} ({call}): over in {:.1?}, ends {ends:?}", story.took);
        for (status, words) in ends.iter().zip(words) {
            assert_eq!(status.code(), Some(1), "{who}, {fault} ({call}):\n{words}");
            let says = |line: &str| line.contains("\"error\"") && line.contains("\"hint\"");
            assert!(words.lines().any(says), "{words}");
            assert!(!words.contains("panicked"), "{words}");
        }
    }
    // Whatever is not kept is told with all that happened.
    println!("judging {list}");
    oracle::check(&federation);
    story.lives.iter().map(|lives| lives.ends.len()).sum()
}

fn counts() -> [(Who, usize); 3] {
    let federation = small();
    let work = Work::start_all_watched(&federation);
    work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    ROLES.map(|who| (who, calls(&federation.calls_file(who)).len()))
}

/// The calls that matter most: what a receipt, a signature and an upload rest on.
#[test]
fn a_call_that_fails_is_never_taken_for_done() {
    let fails = |who: Who, of: &'static str, at: usize, happening: Happening| {
        let ended = fails_at(&[(who, Fault { of, at, happening })]);
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
#[ignore = "every call of every role, undone and done: a quarter of an hour"]
fn every_call_that_fails_is_never_taken_for_done() {
    let runs = every_call(&counts(), |at| {
        let errno = if at % 2 == 0 { Errno::Io } else { Errno::NoSpace };
        [Happening::FailsUndone(errno), Happening::FailsDone(errno)]
    });
    side_by_side(runs, |faults| {
        fails_at(faults);
    });
}
