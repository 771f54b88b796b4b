//! What `doctor` says of a client that can work, and of one that cannot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use covey_aggregation::net::Validity;
use covey_aggregation::program::Exit;
use covey_aggregation::program::doctor::{Diagnosis, Verdict};
use covey_client::doctor::examine;
use covey_client::outbound::FOLDER;

use super::coordinator::Coordinator;
use super::federation::{Federation, PLAN};
use super::tap;

async fn diagnosis(federation: &Federation) -> Diagnosis {
    let config = federation.path("ada").join("client.toml");
    let plan: PathBuf = federation.path("plan.toml");
    // As the program does: on a thread with no runtime around it.
    let examined = tokio::task::spawn_blocking(move || examine(&config, Some(&plan)));
    examined.await.expect("no panic").expect("examined")
}

#[track_caller]
fn has(diagnosis: &Diagnosis, name: &str, verdict: Verdict, part: &str) {
    let is_it = |check: &&covey_aggregation::program::doctor::Check| {
        let text = format!("{} {}", check.found, check.fix.as_deref().unwrap_or_default());
        check.name == name && check.verdict == verdict && text.contains(part)
    };
    assert!(diagnosis.checks.iter().find(is_it).is_some(), "no {name} with {part:?}\n{diagnosis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_can_work_is_told_so_and_each_fault_is_told_with_its_remedy() {
    let federation = Federation::new(&["ada"]);
    let coordinator = Coordinator::start(federation.membership("c"));
    let tap = tap(&federation, &coordinator, &["ada"]);
    federation.settle("ada", &tap.address, "Learn which half*", 40);
    fs::write(federation.path("plan.toml"), PLAN).expect("written");

    let healthy = diagnosis(&federation).await;
    assert_eq!((healthy.problems, healthy.exit()), (0, Exit::Done), "{healthy}");
    // The certificate of these tests is for a week.
    has(&healthy, "certificate", Verdict::Warning, "enrol again in time");
    has(&healthy, "coordinator", Verdict::Ok, &tap.address);
    has(&healthy, "data", Verdict::Ok, "40 examples");
    has(&healthy, "device", Verdict::Ok, "trains on");
    has(&healthy, "log", Verdict::Ok, "0 messages");
    has(&healthy, "roster", Verdict::Ok, &federation.roster.digest().to_string());
    assert_eq!(tap.bytes("ada"), 0, "the coordinator was told nothing");
    let state = federation.config("ada").state;
    assert!(!state.exists(), "nothing was made");

    let ada = federation.path("ada");
    let set = |mode| {
        let key = ada.join("identity.key");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).expect("changed");
    };
    set(0o644);
    let exposed = diagnosis(&federation).await;
    has(&exposed, "key", Verdict::Problem, "chmod 600");
    assert_eq!(exposed.exit(), Exit::Failed);
    set(0o600);

    let year = Duration::from_secs(365 * 86_400);
    federation.certify_for("ada", Validity { from: SystemTime::now() - year, days: 7 });
    let expired = diagnosis(&federation).await;
    has(&expired, "certificate", Verdict::Problem, "expired");
    federation.certify_for("ada", Validity { from: SystemTime::now() + year, days: 7 });
    has(&diagnosis(&federation).await, "clock", Verdict::Problem, "set the clock");
    federation.certify_for("ada", Validity { from: SystemTime::now(), days: 365 });

    // Data, log and address, all at once.
    fs::write(ada.join("data.csv"), "x,y,side\n0.5,7,left\n").expect("written");
    fs::create_dir_all(state.join(FOLDER)).expect("a folder");
    fs::write(state.join(FOLDER).join("000000000000.jsonl"), "{}\n").expect("written");
    let config = ada.join("client.toml");
    let text = fs::read_to_string(&config).expect("read");
    fs::write(&config, text.replace(&tap.address, "nowhere")).expect("written");
    let bad = diagnosis(&federation).await;
    has(&bad, "data", Verdict::Problem, "line 2");
    has(&bad, "log", Verdict::Problem, "no entry");
    has(&bad, "coordinator", Verdict::Problem, "set the coordinator's address");
    assert_eq!(bad.problems, 3, "{bad}");
    let json = serde_json::to_value(&bad).expect("JSON");
    assert_eq!(json["checks"][0]["name"], "config");

    fs::write(&config, "schema = \"client/1\"\n").expect("written");
    let none = diagnosis(&federation).await;
    has(&none, "config", Verdict::Problem, "missing field");
    assert_eq!(none.checks.len(), 1);
}
