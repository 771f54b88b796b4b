//! The four programs, killed: whatever is killed, and when, no promise is broken, nothing is counted
//! twice, and the run goes on by itself. Every run is judged by what everybody has on disk at its end
//! (`processes/oracle.rs`).
//!
//! What kills at an exact call is a small library that is loaded into the program
//! (`processes/interpose.c`). A seeded sample of calls is tried by default; all of them, before and after
//! each, in a quarter of an hour on two processors with nothing else to do. A kill takes nothing from a
//! disk in memory, either, and that one is fast:
//!
//! ```sh
//! cargo build --release --workspace    # the tests run the programs that are there
//! TMPDIR=/dev/shm cargo test --release --workspace --test crash -- --ignored --nocapture
//! ```
//!
//! `COVEY_PART=1/4` tries every fourth of them, `2/4` the next ones, and so on.
#![cfg(target_os = "linux")]

#[path = "processes/oracle.rs"]
mod oracle;
mod processes;

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use processes::fault::{Fault, Happening, ROLES, calls, every_call, side_by_side};
use processes::{Federation, Lives, Plan, Process, Who, Work};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// SIGKILL.
const KILL: i32 = 9;

/// Far more than a start takes; what it takes is printed.
const BACK_MAX: Duration = Duration::from_secs(30);

/// The phases of a round, as the coordinator tells them; the last one is publishing.
const PHASES: [&str; 7] = ["Select", "Collect", "Vote", "Audit", "Release", "Credit", "Done"];

fn small() -> Federation {
    Federation::new(4, &Plan { rounds: 2, has_noise: true, ..Plan::default() })
}

/// Waits until the coordinator, in whichever life, has begun this phase.
#[track_caller]
fn wait_for_phase(work: &mut Work<'_>, round: u64, phase: &str) {
    work.process(Who::Coordinator).wait_for(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = event["event"] == "phase" && event["round"] == round && event["phase"] == phase;
        is_it.then_some(())
    });
}

fn is_linked(line: &str) -> Option<()> {
    line.contains("linked").then_some(())
}

/// Round after round, in the next phase and at the next role.
fn killed_in_every_phase(shift: usize) {
    let rounds = u32::try_from(PHASES.len()).expect("few");
    let federation =
        Federation::new(6, &Plan { rounds, minimum: 5, has_credit: true, ..Plan::default() });
    let mut work = Work::start(&federation);
    let mut slowest = Duration::ZERO;
    for (index, (round, phase)) in (1..).zip(PHASES).enumerate() {
        let who = ROLES[(index + shift) % ROLES.len()];
        wait_for_phase(&mut work, round, phase);
        work.restart(who);
        let process = work.process(who);
        match who {
            Who::Coordinator => process.wait_for(|line| line.contains("listening").then_some(())),
            Who::Holder(_) | Who::Owner(_) => process.wait_for(is_linked),
        }
        let back = process.serving_since().expect("it serves").duration_since(process.began);
        println!("round {round}, {phase}: {who} killed, serving again in {back:.2?}");
        if who == Who::Coordinator {
            slowest = slowest.max(back);
        }
    }
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    println!(
        "over in {:.1?}; a killed coordinator served again in {slowest:.2?} at most",
        story.took
    );
    assert!(slowest < BACK_MAX);
    assert_eq!(story.finished["rounds"], rounds);
    oracle::check(&federation);
}

#[test]
fn whoever_is_killed_in_whichever_phase_no_promise_is_broken_and_the_run_goes_on() {
    killed_in_every_phase(0);
}

#[test]
#[ignore = "the other roles in each phase: two minutes"]
fn every_role_is_killed_in_every_phase() {
    killed_in_every_phase(1);
    killed_in_every_phase(2);
}

/// A run in which everybody named is killed at one call. How many kills there were.
fn killed_at(faults: &[(Who, Fault)]) -> usize {
    let federation = small();
    let work = Work::start_with(&federation, faults);
    let victims: Vec<Who> = faults.iter().map(|(who, _)| *who).collect();
    let story = work.finish(&victims).unwrap_or_else(|why| panic!("{}: {why}", list(faults)));
    for ((who, fault), Lives { ends, back, words }) in faults.iter().zip(&story.lives) {
        let (call, took) = (fault.call(&federation.calls_file(*who)), story.took);
        println!("{who}, {fault} ({call}): over in {took:.1?}, serving again in {back:.2?}");
        assert!(ends.iter().all(|status| status.signal() == Some(KILL)), "{ends:?}: {words:?}");
        assert!(back.iter().all(|back| *back < BACK_MAX), "{back:?}");
    }
    // Whatever is not kept is told with all that happened.
    println!("judging {}", list(faults));
    oracle::check(&federation);
    story.lives.iter().map(|lives| lives.ends.len()).sum()
}

fn list(faults: &[(Who, Fault)]) -> String {
    let faults: Vec<_> = faults.iter().map(|(who, fault)| format!("{who}: {fault}")).collect();
    faults.join("; ")
}

/// How many calls each role makes in a run in which nothing happens.
fn counts() -> [(Who, usize); 3] {
    let federation = small();
    let work = Work::start_all_watched(&federation);
    work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    oracle::check(&federation);
    let counts = ROLES.map(|who| (who, calls(&federation.calls_file(who)).len()));
    println!("calls that change what is on the disk: {counts:?}");
    assert!(counts.iter().all(|(_, count)| *count > 50), "{counts:?}");
    counts
}

/// As many calls as a few seconds allow; others with another `COVEY_SEED`.
#[test]
fn whoever_is_killed_at_whichever_call_no_promise_is_broken_and_the_run_goes_on() {
    let seed = std::env::var("COVEY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(20_261_128);
    println!("COVEY_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for (who, count) in counts() {
        // Those towards the end may come after the run is over, or not at all.
        let at = rng.random_range(1..=count * 9 / 10);
        let happenings = [Happening::KilledBefore, Happening::KilledAfter];
        let happening = *happenings.choose(&mut rng).expect("two");
        let killed = killed_at(&[(who, Fault { of: "", at, happening })]);
        assert_eq!(killed, 1, "{who} was killed once");
    }
}

/// The journal says by then that the run is over; its end has yet to come into the ledger.
#[test]
fn whoever_is_killed_at_the_very_end_of_a_run_the_end_comes_into_the_ledger() {
    let of = "unlink /state/rounds/round-0002\n";
    let fault = Fault { of, at: 1, happening: Happening::KilledBefore };
    assert_eq!(killed_at(&[(Who::Coordinator, fault)]), 1);
}

#[test]
#[ignore = "every call of every role, before and after it: a quarter of an hour"]
fn every_call_of_every_role_survives_a_kill() {
    let runs = every_call(&counts(), |_| [Happening::KilledBefore, Happening::KilledAfter]);
    let all: usize = runs.iter().map(Vec::len).sum();
    let reached = AtomicUsize::new(0);
    side_by_side(runs, |faults| {
        reached.fetch_add(killed_at(faults), Ordering::Relaxed);
    });
    let reached = reached.into_inner();
    println!("{reached} of {all} kills happened before the run was over");
    // How often SQLite writes depends on what comes at the same moment, so the last calls vary.
    assert!(reached * 10 > all * 9, "{reached} of {all}");
}

/// Stopped processes keep their beliefs; what they say late must change nothing.
#[test]
fn who_was_stopped_for_a_while_finds_out_and_takes_part_again() {
    // With one holder missing a vote ends at its deadline.
    let plan = Plan { rounds: 3, holders_s: 6, ..Plan::default() };
    let federation = Federation::new(4, &plan);
    let mut work = Work::start(&federation);
    wait_for_phase(&mut work, 1, "Collect");
    // A holder, until the others have ended the round without it.
    work.process(Who::Holder(0)).signal("-STOP");
    let over = work.process(Who::Coordinator).wait_for(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "round").then_some(event)
    });
    assert_eq!(over["done"], true, "{over}");
    let faults = over["faults"].to_string();
    assert!(faults.contains("holder-0") && !faults.contains("holder-1"), "{over}");
    work.process(Who::Holder(0)).signal("-CONT");
    // It hears that the round is over, and of the next one.
    work.process(Who::Holder(0)).wait_for(|line| line.contains("round done").then_some(()));
    wait_for_phase(&mut work, 2, "Collect");
    work.process(Who::Coordinator).signal("-STOP");
    std::thread::sleep(Duration::from_secs(2));
    work.process(Who::Coordinator).signal("-CONT");
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 3, "{}", story.finished);
    oracle::check(&federation);
}

#[test]
fn a_coordinator_that_is_asked_to_stop_drains_and_a_second_one_is_refused() {
    let federation = small();
    let mut work = Work::start(&federation);
    wait_for_phase(&mut work, 1, "Collect");
    let mut second = Process::start(Who::Coordinator, &mut federation.command(Who::Coordinator));
    assert_eq!(second.wait().code(), Some(1), "{}", second.words());
    assert!(second.words().contains("ALREADY_RUNNING"), "{}", second.words());

    let asked = Instant::now();
    let coordinator = work.process(Who::Coordinator);
    coordinator.signal("-TERM");
    let status = coordinator.wait();
    println!("drained in {:.2?}", asked.elapsed());
    // Not 0: the run is not over, and 143 says why the program ended.
    assert_eq!(status.code(), Some(143), "{}", coordinator.words());
    assert!(asked.elapsed() < BACK_MAX);
    work.restart(Who::Coordinator);
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 2, "{}", story.finished);
    oracle::check(&federation);
}
