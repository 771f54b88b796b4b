//! What researchers have done to their runs, over real QUIC with real key holders: pause, resume and
//! stop, also across restarts, and what the coordinator does when members do not come.

mod federation;
mod postgres;

use covey_aggregation::research::{Order, Refusal, RunState, RunStatus};
use covey_coordinator::config::Positive;
use covey_coordinator::coordinator::JOURNAL_FILE;
use covey_coordinator::storage::journal::Journal;
use covey_coordinator::storage::place::Databases;
use covey_coordinator::storage::registry::run_folder;
use federation::researcher::{Researcher, assert_verified, open, plan, stop, waits_for_the_first};
use federation::{Members, Operator};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_finishes_its_round_lets_others_by_and_outlives_restarts() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (first, _) = alice.submit("digits", &plan(3, 1)).await.expect("taken");
    alice.watch("digits", waits_for_the_first).await;
    assert_eq!(alice.order("digits", Order::Pause).await, Ok((RunState::Pausing, true)));
    assert_eq!(alice.order("digits", Order::Pause).await, Ok((RunState::Pausing, false)));
    alice.submit("later", &plan(1, 2)).await.expect("taken");

    // Killed in the round that it is to finish: it is finished in the next life, and no other.
    operator.kill().await;
    let operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    alice.watch("digits", |run| run.state == RunState::Pausing && waits_for_the_first(run)).await;
    members.gates[0].send_replace(true);
    let paused = alice.until("digits", RunState::Paused).await;
    assert_eq!((paused.rounds_over, paused.rounds_done), (1, 1));
    assert_eq!(paused.reason.expect("why").as_str(), "paused by alice");
    // The next run is carried out meanwhile.
    alice.until("later", RunState::Done).await;

    stop(operator).await;
    let operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (still, lines) = alice.show("digits").await;
    assert_eq!((still.state, lines.len()), (RunState::Paused, 1));
    let (state, is_changed) = alice.order("digits", Order::Resume).await.expect("resumed");
    assert!(is_changed && matches!(state, RunState::Queued | RunState::Running), "{state}");
    let (done, rounds) = alice.watch("digits", |run| run.state == RunState::Done).await;
    assert_eq!((done.run, done.rounds_done, rounds.len()), (first.run, 3, 3));
    assert_verified(&federation, &config, &first);
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_opens_nothing_more_also_when_the_stop_is_only_on_the_disk() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    let mut alice = Researcher::dial(&federation, "alice").await;
    // The first round is done, the second and last is stopped.
    let (first, _) = alice.submit("digits", &plan(2, 1)).await.expect("taken");
    alice.watch("digits", waits_for_the_first).await;
    alice.order("digits", Order::Pause).await.expect("pausing");
    members.gates[0].send_replace(true);
    alice.until("digits", RunState::Paused).await;
    members.gates[0].send_replace(false);
    alice.order("digits", Order::Resume).await.expect("resumed");
    alice.watch("digits", waits_for_the_first).await;
    alice.submit("queued", &plan(1, 2)).await.expect("taken");
    assert_eq!(alice.order("queued", Order::Stop).await, Ok((RunState::Stopped, true)));
    assert_eq!(alice.order("digits", Order::Stop).await, Ok((RunState::Stopping, true)));
    let (stopped, rounds) = alice.watch("digits", |run| run.state == RunState::Stopped).await;
    assert_eq!(stopped.reason.expect("why").as_str(), "stopped by alice");
    assert_eq!((stopped.rounds_over, stopped.rounds_done), (2, 1));
    let last = rounds.last().expect("a round");
    assert_eq!(last.abandoned.as_ref().expect("abandoned").as_str(), "the run was stopped");
    assert_eq!((last.counted, last.aggregate), (0, None));
    assert_eq!(alice.order("digits", Order::Stop).await, Ok((RunState::Stopped, false)));
    let resumed = alice.order("digits", Order::Resume).await;
    assert_eq!(resumed, Err(Refusal::Over { state: RunState::Stopped }));
    let journal = run_folder(&config.state_dir, &first.run).join(JOURNAL_FILE);
    let mut journal = Journal::open_to_read(&journal).await.expect("a journal");
    let row = journal.run().await.expect("read").expect("a run");
    assert_eq!(
        (row.ending.as_deref(), row.reason.as_deref()),
        (Some("stopped"), Some("stopped by alice"))
    );
    journal.close().await.expect("closed");

    // In another run's first round: the coordinator dies with the order on its disk.
    alice.submit("again", &plan(2, 3)).await.expect("taken");
    alice.watch("again", waits_for_the_first).await;
    assert_eq!(alice.order("again", Order::Stop).await, Ok((RunState::Stopping, true)));
    operator.kill().await;
    let operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    let stopped = alice.until("again", RunState::Stopped).await;
    assert_eq!((stopped.rounds_over, stopped.rounds_done), (1, 0));
    // Those who waited are served with the next run.
    members.gates[0].send_replace(true);
    alice.submit("last", &plan(1, 4)).await.expect("taken");
    alice.until("last", RunState::Done).await;
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_members_do_not_come_is_held_and_goes_on_when_it_is_resumed() {
    held_and_resumed(Databases::Files).await;
}

/// The same run is taken up again and again: its journal, which one session holds, is there still.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_goes_on_when_its_records_are_on_a_server() {
    if let Some(databases) = postgres::databases() {
        held_and_resumed(databases).await;
    }
}

async fn held_and_resumed(databases: Databases) {
    let federation = open();
    let mut config = federation.open_config(4);
    config.databases = databases;
    config.start.wait_s = Positive::of(1);
    let operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    alice.submit("digits", &plan(1, 1)).await.expect("taken");
    let held = alice.until("digits", RunState::Held).await;
    let reason = held.reason.expect("why");
    let needed = "waited 1 s for 3 holders (0 connected) and 4 data owners (0 connected)";
    assert!(reason.as_str().contains(needed), "{reason}");
    let _members = Members::start(&federation, 4);
    // However long the members take to dial.
    while alice.order("digits", Order::Resume).await.is_ok() {
        let settled = |run: &RunStatus| matches!(run.state, RunState::Held | RunState::Done);
        if alice.watch("digits", settled).await.0.state == RunState::Done {
            break;
        }
    }
    assert_eq!(alice.show("digits").await.0.state, RunState::Done);
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_take_turns_and_both_are_whole() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let mut bob = Researcher::dial(&federation, "bob").await;
    let (one, _) = alice.submit("one", &plan(3, 1)).await.expect("taken");
    alice.watch("one", waits_for_the_first).await;
    // It comes while the first round of the other is held, and need not wait for its last.
    let (two, _) = bob.submit("two", &plan(2, 2)).await.expect("taken");
    members.gates[0].send_replace(true);
    alice.until("one", RunState::Done).await;
    bob.until("two", RunState::Done).await;
    let mut ends = Vec::new();
    for run in [&one, &two] {
        let journal = run_folder(&config.state_dir, &run.run).join(JOURNAL_FILE);
        let mut journal = Journal::open_to_read(&journal).await.expect("a journal");
        let rounds = journal.rounds().await.expect("read");
        ends.extend(rounds.iter().map(|row| (row.ended, run.name.to_string())));
    }
    ends.sort();
    let order: Vec<_> = ends.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(order, ["one", "two", "one", "two", "one"]);
    for run in [&one, &two] {
        assert_verified(&federation, &config, run);
    }
    stop(operator).await;
}
