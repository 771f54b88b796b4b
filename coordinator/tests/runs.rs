//! Runs as a whole: their models follow from what is published, they end with a reason, they are
//! resumed from any round, and extended.

mod federation;
mod postgres;

use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::party::Name;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::time::Time;
use covey_coordinator::backup;
use covey_coordinator::config::{Asked, Config, ResumePoint};
use covey_coordinator::coordinator::JOURNAL_FILE;
use covey_coordinator::event::{Event, RunSummary};
use covey_coordinator::restore::{self, Restore};
use covey_coordinator::storage::journal::{ChangeRow, Journal, RoundRow, RunRow};
use covey_coordinator::storage::place::Databases;
use federation::{Federation, Members, Operator, PlanOptions, round_of};

/// Serves to the end.
async fn serve(config: Config) -> Result<RunSummary, Failure> {
    Operator::start(config).finished().await
}

async fn journal(config: &Config) -> (RunRow, Vec<RoundRow>, Vec<String>) {
    let place = config.databases.journal(&config.state_dir);
    let mut journal = Journal::open_to_read(place).await.expect("a journal");
    let run = journal.run().await.expect("read").expect("a run");
    let rounds = journal.rounds().await.expect("read");
    let changes = journal.changes().await.expect("read");
    journal.close().await.expect("closed");
    let changes = changes.into_iter().map(|change| format!("{}: {}", change.by, change.what));
    (run, rounds, changes.collect())
}

/// Settings with another state folder, which goes on from a round of the first.
fn resumed(federation: &Federation, name: &str, round: u32) -> Config {
    let mut config = federation.config(4);
    let state_dir = config.state_dir.clone();
    config.state_dir = federation.dir().join(name);
    config.asked = Asked { resume_from: Some(ResumePoint { state_dir, round }), rounds: None };
    config
}

/// Every model and everything kept, computed again from the published sums of `rounds`.
fn assert_all_follows(federation: &Federation, rounds: &[RoundRow]) {
    let (task, replayed) = federation.replay(rounds.len() as u32);
    for (row, (result, stepped)) in rounds.iter().zip(replayed) {
        assert_eq!(row.round, result.config.round);
        assert_eq!(row.counters, result.aggregate.counters);
        assert_eq!(row.model, task.parameters_digest(&stepped.parameters), "round {}", row.round);
        let kept = row.state.expect("something is kept");
        assert_eq!(kept, stepped.state.digest(), "round {}", row.round);
        let bytes = std::fs::read(federation.dir().join(format!("state/objects/{kept}")));
        assert_eq!(bytes.expect("durable"), stepped.state.encode());
    }
}

const ADAM: &str = "[strategy]\nname = \"fedadam\"\ntau = 0.01\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_resumed_from_its_middle_ends_with_the_same_model() {
    let options = PlanOptions { rounds: 4, more: ADAM, ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let config = federation.config(4);
    let _members = Members::start(&federation, 4);

    // Killed and begun again after its first round: what the strategy keeps is on the disk.
    let mut operator = Operator::start(config.clone());
    operator.wait_for(round_of).await;
    operator.kill().await;
    let whole = serve(config.clone()).await.expect("done");
    assert_eq!((whole.rounds_done, whole.ending.as_str()), (4, "done"));
    assert_eq!(whole.reason, "all 4 rounds were tried");
    let (run, rounds, changes) = journal(&config).await;
    assert_eq!((run.first_round, run.rounds, run.origin), (1, 4, None));
    assert!(changes.is_empty());
    assert_all_follows(&federation, &rounds);
    assert!(federation.is_verified());

    let again = resumed(&federation, "again", 2);
    let half = serve(again.clone()).await.expect("done");
    assert_eq!((half.rounds_done, &half.model), (2, &whole.model));
    let (other, later, changes) = journal(&again).await;
    assert_eq!((other.first_round, other.origin), (3, Some((run.run, 2))));
    assert_ne!(other.run, run.run);
    assert_eq!(changes, [format!("coordinator: begun from round 2 of run {}", run.run)]);
    assert_eq!((rounds.len(), later.len()), (4, 2));
    for (first, second) in rounds[2..].iter().zip(&later) {
        assert_eq!((first.round, first.model), (second.round, second.model));
        assert_eq!((first.state, first.aggregate), (second.state, second.aggregate));
    }
    // Serving again changes nothing, also with the same wish; with another run's round, it is
    // refused.
    assert_eq!(serve(again.clone()).await.expect("over"), half);
    for (from, code) in [(again.state_dir.clone(), "OTHER_RUN"), ("nowhere".into(), "NO_RUN")] {
        let mut other = again.clone();
        other.asked.resume_from = Some(ResumePoint { state_dir: from, round: 2 });
        assert_eq!(serve(other).await.expect_err("another beginning").code, code);
    }
    for bad in [resumed(&federation, "bad", 5), resumed(&federation, "state", 2)] {
        let failure = serve(bad).await.expect_err("no such beginning");
        assert_eq!(failure.exit, Exit::BadInput, "{failure}");
    }
    let failure = serve(resumed(&federation, "late", 4)).await.expect_err("nothing is left to do");
    assert_eq!(failure.code, "BAD_ROUNDS");
    let stored = std::fs::read_dir(federation.dir().join("late/objects")).expect("listed");
    assert_eq!(stored.count(), 1, "nothing but the plan");
}

/// Backed up in the middle of a round while it serves, ruined, and restored: from files to a server
/// and from there to files again. The run goes on to its end, with the sums that were opened before.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_ruin_from_its_backup_also_with_another_database() {
    let options = PlanOptions { rounds: 6, more: ADAM, ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let mut config = federation.config(4);
    let members = Members::start(&federation, 4);
    let (dir, key) = (federation.dir(), federation.path("backup.key"));
    let server = postgres::databases();
    let others = server.into_iter().chain([Databases::Files]).collect::<Vec<_>>();
    let mut before = Vec::new();
    for (number, databases) in (1_u32..).zip(others) {
        let mut operator = Operator::start(config.clone());
        operator.wait_for(round_of).await;
        // The next round waits for this owner, or the one after it.
        members.gates[3].send_replace(false);
        let still = std::time::Duration::from_secs(1);
        while tokio::time::timeout(still, operator.wait_for(round_of)).await.is_ok() {}
        let to = federation.path(&format!("backup-{number}"));
        backup::backup(&config, &to, &key).await.expect("backed up while it serves");
        before = journal(&config).await.1;
        operator.kill().await;
        std::fs::remove_dir_all(&dir).expect("ruined");
        members.gates[3].send_replace(true);

        let (dir_to_be, databases) = (Some(dir.as_path()), Some(databases));
        let restoring = Restore {
            from: &to,
            key: &key,
            dir: None,
            state_dir: None,
            databases: None,
            verify: true,
        };
        let found = restore::restore(restoring).await.expect("whole");
        assert_eq!(
            found.data["replayed"]["open"].as_array().map(Vec::len),
            Some(1),
            "{}",
            found.text
        );
        assert!(!dir.exists(), "only looked");
        let restoring = Restore {
            from: &to,
            key: &key,
            dir: dir_to_be,
            state_dir: None,
            databases: databases.clone(),
            verify: false,
        };
        restore::restore(restoring).await.expect("restored");
        config = Config::load(&dir.join("coordinator.toml")).expect("the same settings");
        let elsewhere = Operator::start(config.clone()).finished().await;
        if let Some(Databases::Server(_)) = &databases {
            assert_eq!(elsewhere.expect_err("its stores are on the server").code, "OTHER_DATABASE");
            config.databases = databases.expect("a server");
            assert_eq!(journal(&config).await.1, before, "every row");
        } else {
            assert_eq!(elsewhere.expect("the run goes on to its end").rounds_done, 6);
        }
    }
    let (run, rounds, _) = journal(&config).await;
    assert_eq!((run.ending.as_deref(), rounds.len()), (Some("done"), 6));
    assert_eq!(rounds[..before.len()], before, "what was opened before");
    assert_all_follows(&federation, &rounds);
    assert!(federation.is_verified());
    assert!(dir.join(ROSTER_FILE).exists());
}

/// A backup that was cut off, changed, or is opened with another key restores nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_not_whole_is_refused() {
    let federation = Federation::new(4, &PlanOptions::default());
    let config = federation.config(4);
    let _members = Members::start(&federation, 4);
    serve(config.clone()).await.expect("done");
    let (to, key) = (federation.path("backup"), federation.path("backup.key"));
    let inside = backup::backup(&config, &to, &to.join("key")).await;
    assert_eq!(inside.err().expect("refused").code, "BAD_KEY");
    backup::backup(&config, &to, &key).await.expect("backed up");
    assert_eq!(backup::backup(&config, &to, &key).await.err().expect("full").code, "NOT_EMPTY");
    let again = federation.path("again");
    let code = async |key: &std::path::Path| {
        let options = Restore {
            from: &to,
            key,
            dir: Some(&again),
            state_dir: None,
            databases: None,
            verify: true,
        };
        restore::restore(options).await.err().map(|failure| failure.code)
    };
    let other = federation.path("other.key");
    backup::backup(&config, &federation.path("other"), &other).await.expect("another");
    assert_eq!(code(&other).await, Some("BAD_KEY"));
    let change = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = to.join(file);
        let whole = std::fs::read(&path).expect("read");
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("written");
        (path, whole)
    };
    for file in ["manifest.json", "manifest.tag", "federation.sealed", "stores/journal.jsonl"] {
        let (path, whole) = change(file, &|bytes| bytes[10] ^= 1);
        assert!(matches!(code(&key).await, Some("BAD_KEY" | "BAD_BACKUP")), "{file}");
        std::fs::write(path, whole).expect("mended");
    }
    let manifest = to.join("manifest.json");
    let kept = std::fs::read(&manifest).expect("read");
    std::fs::remove_file(&manifest).expect("cut off");
    assert_eq!(code(&key).await, Some("BAD_BACKUP"));
    assert!(!again.exists(), "nothing was restored");
    std::fs::write(&manifest, kept).expect("mended");
    assert_eq!(code(&key).await, None);
    assert_eq!(code(&key).await, Some("NOT_EMPTY"));
    // Nothing secret is in it in the clear.
    let secret = std::fs::read(federation.dir().join("identity.key")).expect("read");
    for file in ["federation.sealed", "manifest.json"] {
        let bytes = std::fs::read(to.join(file)).expect("read");
        assert!(!bytes.windows(40).any(|window| window == &secret[40..80]), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_extended_and_the_record_says_so() {
    let options = PlanOptions { rounds: 1, more: ADAM, ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let mut config = federation.config(4);
    let _members = Members::start(&federation, 4);
    // The end is recorded with the last round; where an earlier program did not come to that, when
    // it is served again.
    let mut operator = Operator::start(config.clone());
    operator.wait_for(round_of).await;
    operator.kill().await;
    assert_eq!(journal(&config).await.0.reason.as_deref(), Some("all 1 rounds were tried"));
    let path = config.state_dir.join(JOURNAL_FILE);
    let mut forgetful = Journal::open(&path).await.expect("a journal");
    let change = ChangeRow { at: Time(1), by: "the test".into(), what: "no end".into() };
    forgetful.extend(1, &change).await.expect("changed");
    forgetful.close().await.expect("closed");
    assert_eq!(journal(&config).await.0.ending, None);
    serve(config.clone()).await.expect("done");
    assert_eq!(journal(&config).await.0.ending.as_deref(), Some("done"));
    config.asked.rounds = Some(2);
    let mut operator = Operator::start(config.clone());
    let told = operator.wait_for(|event| match event {
        Event::Changed { by, what } if by == "coordinator" => Some(format!("{by}: {what}")),
        _ => None,
    });
    assert_eq!(told.await, "coordinator: rounds 2 instead of 1");
    let summary = operator.finished().await.expect("done");
    assert_eq!((summary.rounds, summary.rounds_done), (2, 2));
    assert_eq!(summary.reason, "all 2 rounds were tried");
    let (run, rounds, changes) = journal(&config).await;
    assert_eq!((run.rounds, run.ending.as_deref()), (2, Some("done")));
    assert_eq!(rounds.len(), 2);
    assert_eq!(changes, ["the test: no end", "coordinator: rounds 2 instead of 1"]);
    assert_all_follows(&federation, &rounds);
    config.asked.rounds = Some(1);
    let failure = serve(config.clone()).await.expect_err("fewer than there are");
    assert_eq!(failure.code, "BAD_ROUNDS");
    // Without the wish, the extension stays.
    config.asked.rounds = None;
    assert_eq!(serve(config).await.expect("over").rounds, 2);
}

/// One more of ten is right in every round: 0.7 in round 3 of 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_the_owners_metric_reaches_its_target() {
    let options = PlanOptions {
        rounds: 6,
        weighting: "\"uniform\"",
        holdout: 0.2,
        more: "[strategy]\nname = \"scaffold\"\nrange = 0.5\nclip_norm = 9\n\
               [evaluation]\nmetrics = [\"accuracy\"]\n\
               [stop]\ntarget = { metric = \"accuracy\", value = 0.65 }\n",
        ..PlanOptions::default()
    };
    let federation = Federation::new(4, &options);
    let mut config = federation.config(4);
    let _members = Members::start(&federation, 4);
    let mut operator = Operator::start(config.clone());
    for accuracy in [0.5, 0.6, 0.7] {
        let summary = operator.wait_for(round_of).await;
        let scores = summary.federated.expect("measured");
        assert_eq!(scores.examples, 40);
        let got = scores.get(covey_aggregation::evaluation::Metric::Accuracy);
        assert_eq!(got, Some(accuracy), "round {}", summary.round);
    }
    let summary = operator.finished().await.expect("over");
    assert_eq!((summary.rounds_done, summary.ending.as_str()), (3, "target"));
    assert!(summary.reason.contains("accuracy 0.7000 of the model that round 3"), "{summary}");
    let (_, rounds, _) = journal(&config).await;
    assert_all_follows(&federation, &rounds);
    assert!(federation.is_verified());
    assert_eq!(serve(config.clone()).await.expect("still over"), summary);
    // What was measured is told by the run's own plan, whatever the settings name now.
    let mut elsewhere = config.clone();
    elsewhere.plan = Some(federation.dir().join("another-plan.toml"));
    let status = covey_coordinator::status::status(&elsewhere).await.expect("a run");
    assert_eq!(status.data["rounds"][0]["federated"]["examples"], 40, "{}", status.data);
    config.asked.rounds = Some(9);
    let failure = serve(config).await.expect_err("its rule would end it again");
    assert_eq!(failure.code, "RUN_OVER");
    // A new run that goes on from it takes its model, and begins its control variates anew.
    let again = resumed(&federation, "again", 1);
    let mut operator = Operator::start(again.clone());
    operator.wait_for(round_of).await;
    operator.finished().await.expect("over, by the same rule");
    let (run, ..) = journal(&again).await;
    assert_eq!(run.model, rounds[0].model);
    assert_ne!(run.state, rounds[0].state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_diverges_ends_with_its_last_good_model() {
    let options =
        PlanOptions { rounds: 3, more: "[stop]\nstep_norm_max = 0.01\n", ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let config = federation.config(4);
    let _members = Members::start(&federation, 4);
    let summary = serve(config.clone()).await.expect("over");
    assert_eq!((summary.rounds_done, summary.ending.as_str()), (1, "diverged"));
    assert!(summary.reason.contains("stop.step_norm_max is 0.01"), "{summary}");
    let (run, rounds, _) = journal(&config).await;
    assert_eq!((rounds[0].model, rounds.len()), (run.model, 1));
    assert_eq!(summary.model, run.model.to_string());
    // What was opened is published nevertheless.
    assert!(federation.is_verified());
    assert_eq!(federation.publication(1).result.config.model, run.model);
}

/// Three owners, all of whom a round needs; the first may not prepare.
fn short_of_one(on_shortfall: &'static str) -> (Federation, Members) {
    let options = PlanOptions { rounds: 3, collect: "5s", on_shortfall, ..PlanOptions::default() };
    let federation = Federation::new(3, &options);
    let members = Members::start(&federation, 3);
    members.gates[0].send_replace(false);
    (federation, members)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_stop_its_run_when_too_few_contribute() {
    let (federation, _members) = short_of_one("stop");
    let config = federation.config(3);
    let summary = serve(config.clone()).await.expect("stopped, as its plan says");
    assert_eq!((summary.rounds_done, summary.rounds_abandoned), (0, 1));
    let reason = "round 1 had 2 contributions, 3 are needed, and the plan says to stop then";
    assert_eq!((summary.ending.as_str(), summary.reason.as_str()), ("shortfall", reason));
    let (run, rounds, _) = journal(&config).await;
    assert_eq!((run.ending.as_deref(), run.reason.as_deref()), (Some("shortfall"), Some(reason)));
    assert_eq!(rounds.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_extend_a_round_that_too_few_contributed_to() {
    let (federation, members) = short_of_one("extend-once");
    let mut operator = Operator::start(federation.config(3));
    let extended = |event: &Event| match event {
        Event::Extended { round, answered, waiting, .. } => {
            let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
            Some((*round, names(answered), names(waiting)))
        }
        _ => None,
    };
    let (round, mut answered, waiting) = operator.wait_for(extended).await;
    answered.sort();
    assert_eq!(round, 1);
    assert_eq!(answered, ["owner-1", "owner-2"]);
    assert_eq!(waiting, ["owner-0"]);
    members.gates[0].send_replace(true);
    let round = operator.wait_for(round_of).await;
    assert!(round.done && round.counted.len() == 3, "{round}");
    let summary = operator.finished().await.expect("done");
    assert_eq!((summary.rounds_done, summary.rounds_abandoned), (3, 0));
}
