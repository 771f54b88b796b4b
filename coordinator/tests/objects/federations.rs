//! Whole federations whose bulk bytes are in a bucket.

use std::fs;

use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_aggregation::publication::Publication;
use covey_aggregation::research::{FromResearcher, Part, RunState, ToResearcher};
use covey_coordinator::cli::PublishedFetch;
use covey_coordinator::config::Config;
use covey_coordinator::published::fetch;
use covey_coordinator::storage::blobs::Depot;

use crate::federation::owner::units;
use crate::federation::researcher::{Researcher, open, plan, stop};
use crate::federation::{Federation, Members, Operator, PlanOptions, name, round_of};
use crate::server::{BUCKET, Server};

/// As many as credits ask for, and one more.
const OWNERS: usize = 6;

/// Adds a bucket to the operator's settings, as the operator would; and reads them.
fn with_bucket(federation: &Federation, server: &Server, owners: usize) -> Config {
    federation.config(owners);
    let path = federation.dir().join("coordinator.toml");
    let text = fs::read_to_string(&path).expect("read");
    let text = format!(
        "objects = \"s3://{BUCKET}/fed\"\n{text}[s3]\nendpoint = \"http://{}\"\n\
         allow_http = true\nregion = \"eu-north-1\"\ncredentials = \"{}\"\n",
        server.address,
        server.credentials().display(),
    );
    fs::write(&path, text).expect("written");
    Config::load(&path).expect("valid")
}

/// With proofs, rereading holders and credits; and a coordinator that is killed between the rounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_a_bucket_is_done_and_everybody_can_check_it() {
    let server = Server::start();
    let options = PlanOptions {
        rounds: 2,
        minimum: 5,
        is_audited: true,
        pool_rows: 200,
        more: "[credit]\nbudget = 10\nfold = 30\nsteps = 3\n",
        ..PlanOptions::default()
    };
    let federation = Federation::new(OWNERS, &options);
    let config = with_bucket(&federation, &server, OWNERS);
    let mut operator = Operator::start(config.clone());
    let members = Members::start(&federation, OWNERS);
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done && summary.counted.len() == OWNERS, "{summary}");
    operator.kill().await;
    let mut operator = Operator::start(config.clone());
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done && summary.counted.len() == OWNERS, "{summary}");
    let publication = summary.publication.expect("published").display().to_string();
    assert_eq!(publication, format!("s3://{BUCKET}/fed/published/round-0002/{PUBLICATION_FILE}"));
    operator.finished().await.expect("done");
    drop(members);

    // No bulk byte is left on the coordinator's machine, and no working copy in the bucket.
    let state = federation.dir().join("state");
    for folder in ["objects", "published"] {
        assert!(!state.join(folder).exists(), "{folder}");
    }
    assert_eq!(fs::read_dir(state.join("rounds")).expect("listed").count(), 0);
    let keys = |folder: &str| {
        let depot = Depot::new(&config.state_dir, config.objects.as_ref()).expect("settings");
        let entries = depot.read().entries().expect("listed").into_iter();
        entries.filter(|entry| entry.key.starts_with(folder)).count()
    };
    assert_eq!(keys("rounds/"), 0);
    assert!(keys("objects/") > 3, "the plan, and the models of three moments");

    let (config, to) = (federation.dir().join("coordinator.toml"), federation.path("fetched"));
    let options = PublishedFetch { config, to: to.clone(), run: None };
    let answer = fetch(&options).await.expect("fetched");
    assert!(answer.data["files"].as_u64() > Some(2 * (1 + OWNERS as u64 * 2)), "{}", answer.text);
    assert_eq!(fetch(&options).await.expect("fetched").data["files"], 0, "nothing is new");
    let roster = federation.dir().join("roster.json");
    let report = covey_committee::verify::verify_folder(&to, &roster, |_| {});
    assert!(report.expect("readable").is_verified);
    assert!(to.join("credits/credits.json").exists());
    for round in 1..=2 {
        let bundle = fs::read(to.join(format!("round-{round:04}/{PUBLICATION_FILE}")));
        let published = Publication::decode(&bundle.expect("fetched")).expect("well-formed");
        let result = published.result;
        let mut sums = vec![0; result.config.dimension as usize];
        for owner in 0..OWNERS {
            let units = units(owner, round, result.config.dimension);
            sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
        }
        assert_eq!(result.aggregate.sums, sums);
        assert!(result.audit.is_some_and(|audit| audit.credit.is_some()), "credited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_is_sent_from_a_bucket_what_a_round_published() {
    let server = Server::start();
    let federation = open();
    let config = Config { plan: None, ..with_bucket(&federation, &server, 4) };
    let operator = Operator::start(config.clone());
    let _members = Members::start(&federation, 4);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (run, _) = alice.submit("digits", &plan(1, 1)).await.expect("taken");
    alice.until("digits", RunState::Done).await;
    let half = &run.run.to_string()[..32];
    let stored = server.stored().join(format!("fed/runs/{half}/published/round-0001"));
    let bundle = fs::read(stored.join(PUBLICATION_FILE)).expect("published");
    let publication = Publication::decode(&bundle).expect("a publication");
    let header = publication.result.headers[0].header.digest();
    let contribution = stored.join(format!("contributions/{header}"));
    let read = |file: &str| fs::read(contribution.join(file)).expect("published");
    for (part, content) in [
        (Part::Publication, bundle),
        (Part::Correction(header), read("correction")),
        (Part::Chunks(header), read("chunks")),
    ] {
        let mut whole = Vec::new();
        loop {
            let (run, offset) = (name("digits"), whole.len() as u64);
            let answer = alice.ask(&FromResearcher::Fetch { run, round: 1, part, offset }).await;
            let ToResearcher::Piece { total, bytes } = answer else { panic!("{answer:?}") };
            assert_eq!(total, content.len() as u64);
            if bytes.as_bytes().is_empty() {
                break;
            }
            whole.extend_from_slice(bytes.as_bytes());
        }
        assert!(whole == content, "{part:?}");
    }
    stop(operator).await;

    // The operator's command finds the run by its name.
    let (config, to) = (federation.dir().join("coordinator.toml"), federation.path("fetched"));
    fetch(&PublishedFetch { config, to: to.clone(), run: Some(name("digits")) })
        .await
        .expect("fetched");
    let roster = federation.dir().join("roster.json");
    let report = covey_committee::verify::verify_folder(&to, &roster, |_| {});
    assert!(report.expect("readable").is_verified);
}
