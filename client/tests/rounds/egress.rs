//! What leaves an owner's machine: everything has an entry in its log, nothing else leaves, and
//! nothing of its data is in it.

use std::fs;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::message::Outcome;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::net::{Dialer, LinkError};
use covey_aggregation::program::Exit;
use covey_client::Event;
use covey_client::outbound::chain::{files_of, walk};
use covey_client::outbound::entry::{Entry, Sent, What, no_hash, sha256};
use covey_client::outbound::{FILE_BYTES_MAX, FOLDER, OutboundLog};
use covey_client::pause::Pause;

use super::canary::{WORD, canaries, found, parcels, planted};
use super::coordinator::Coordinator;
use super::federation::{Federation, Running, until};
use super::{hold, ids, tap};

const OWNERS: [&str; 3] = ["ada", "bob", "cyd"];

fn entries(federation: &Federation, owner: &str) -> Vec<(String, u64, String, Option<u32>)> {
    let mut sent = Vec::new();
    let paths = files_of(&federation.config(owner).state.join(FOLDER)).expect("listed");
    walk(&paths, &mut |entry, _| {
        if let What::Sent(one) = &entry.what {
            sent.push((one.kind.clone(), one.bytes, one.sha256.clone(), one.round));
        }
    })
    .expect("a whole log");
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_client_writes_is_in_its_log_and_nothing_of_its_data_is_in_it() {
    let federation = Federation::new(&OWNERS);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let tap = tap(&federation, &coordinator, &OWNERS);
    let mut clients = Vec::new();
    for owner in OWNERS {
        federation.settle(owner, &tap.address, "*", 40);
        fs::write(federation.path(owner).join("data.csv"), planted()).expect("written");
        clients.push(federation.start(owner, None));
    }
    let mut parameters = coordinator.task.initial_parameters();
    let mut configs: Vec<RoundConfig> = Vec::new();
    for round in 1..=2 {
        let terms = coordinator.terms(round, &parameters, ids(&federation, &OWNERS));
        let mut running = coordinator.open_round(&terms);
        let finished = coordinator.run(&terms, &mut running, |_| false).await.expect("a round");
        let Outcome::Done(report) = &finished.outcome else { panic!("{:?}", finished.outcome) };
        assert_eq!(report.counted.len(), 3);
        let (aggregate, _) = finished.opened.expect("opened");
        let mean = aggregate.mean(&terms.config.quantiser);
        parameters.iter_mut().zip(mean).for_each(|(parameter, change)| *parameter += change);
        let digest = coordinator.task.parameters_digest(&parameters);
        coordinator.shelve(digest, &parameters);
        configs.push(terms.config);
    }
    for client in clients {
        let counted = |event: &&Event| matches!(event, Event::Counted { .. });
        until("both rounds are counted", || client.events().iter().filter(counted).count() == 2)
            .await;
        client.stop().await;
    }
    for owner in OWNERS {
        let written = tap.written(owner);
        assert_eq!(found(&written), Vec::<String>::new(), "{owner}");
        let mut seen: Vec<(u64, String)> = written
            .iter()
            .flat_map(parcels)
            .map(|parcel| (parcel.len() as u64, sha256(parcel)))
            .collect();
        let entries = entries(&federation, owner);
        let mut logged: Vec<_> =
            entries.iter().map(|(_, bytes, sha256, _)| (*bytes, sha256.clone())).collect();
        seen.sort();
        logged.sort();
        assert_eq!(seen, logged, "{owner}: what was written, and what was logged");
        let count = |kind: &str, round: Option<u32>| {
            entries.iter().filter(|entry| entry.0 == kind && entry.3 == round).count()
        };
        assert_eq!(count("Greeting", None), 1, "{entries:?}");
        assert_eq!(count("BulkRequest::Plan", None), 1);
        assert_eq!(count("BulkRequest::Model", None), 1);
        for (round, config) in (1..).zip(&configs) {
            assert_eq!(count("BulkRequest::Contribution", Some(round)), 1);
            assert_eq!(count("Contribution", Some(round)), 1);
            // The entry of the encrypted bytes is by far the longest.
            let longest = entries.iter().filter(|entry| entry.3 == Some(round)).max_by_key(|e| e.1);
            let longest = longest.expect("entries of the round");
            assert_eq!(longest.0, "Contribution");
            assert!(longest.1 > config.payload_bytes());
        }
    }
    for holder in holders {
        holder.stop().await;
    }
}

/// A client that is killed in the midst of an upload has it sealed in its state, and after it is started
/// again sends what the coordinator does not have: that, and nothing else, is in its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_in_the_midst_of_an_upload_sends_and_logs_only_the_rest() {
    /// In the midst of the correction.
    const CUT_BYTES: usize = 10_000;

    let federation = Federation::new(&OWNERS);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let tap = tap(&federation, &coordinator, &OWNERS);
    let mut clients = Vec::new();
    for owner in OWNERS {
        federation.settle(owner, &tap.address, "*", 20);
        clients.push(federation.start(owner, None));
    }
    coordinator.shelf.lock().expect("a lock").cuts_after = Some(CUT_BYTES);
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(1, &parameters, ids(&federation, &OWNERS));
    let mut round = coordinator.open_round(&terms);
    let all_cut = |shelf: &super::coordinator::Shelf| shelf.halves.len() == 3;
    assert!(coordinator.run(&terms, &mut round, all_cut).await.is_none(), "cut before the end");
    for client in clients {
        client.kill().await;
    }
    let before = OWNERS.map(|owner| entries(&federation, owner).len());
    coordinator.shelf.lock().expect("a lock").cuts_after = None;
    let clients = OWNERS.map(|owner| federation.start(owner, None));
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    let Outcome::Done(report) = &finished.outcome else { panic!("{:?}", finished.outcome) };
    assert_eq!(report.counted.len(), 3);
    for ((owner, client), before) in OWNERS.into_iter().zip(clients).zip(before) {
        let sent = |event: &Event| match event {
            Event::Uploaded { bytes, .. } => Some(*bytes),
            _ => None,
        };
        until("it was told", || client.events().iter().any(|event| sent(event).is_some())).await;
        let bytes = client.events().iter().find_map(sent).expect("uploaded");
        client.stop().await;
        let is_upload = |entry: &&(String, u64, String, Option<u32>)| entry.0 == "Contribution";
        let all = entries(&federation, owner);
        let whole = all[..before].iter().find(is_upload).expect("the upload that was cut").1;
        let rest: Vec<_> = all[before..].iter().filter(is_upload).collect();
        assert_eq!(rest.len(), 1, "{owner} uploads once more: {rest:?}");
        assert_eq!((rest[0].1, bytes), (whole - CUT_BYTES as u64, whole - CUT_BYTES as u64));
        // These bytes, and no others, were written.
        let written = tap.written(owner);
        let parcels = written.iter().flat_map(parcels);
        let found = parcels.filter(|parcel| sha256(parcel) == rest[0].2).count();
        assert_eq!(found, 1, "{owner}: the rest as it is in the log");
    }
    for holder in holders {
        holder.stop().await;
    }
}

/// That the search finds what is there, and that the log lets no such thing through.
#[tokio::test(flavor = "multi_thread")]
async fn a_planted_value_that_is_sent_is_found_and_the_log_withholds_it() {
    let federation = Federation::new(&OWNERS);
    let coordinator = Coordinator::start(federation.membership("c"));
    let tap = tap(&federation, &coordinator, &OWNERS);
    let membership = federation.membership("ada");
    let dialer = || Dialer::new(membership.clone(), tap.address.clone()).expect("a dialer");
    for (name, canary) in canaries() {
        let mut bare = dialer();
        // The coordinator may still be ending the link before it.
        let mut link = bare.connect(|_, _| {}).await.expect("a link");
        let before = tap.written("ada").len();
        let message = (7_u64, String::from("age"), canary.clone());
        link.sender.send(&message).await.expect("sent");
        let is_found = || found(&tap.written("ada")[before - 1..]).contains(&name);
        until(&format!("{name} is found"), is_found).await;
        bare.close().await;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (log, _) = OutboundLog::open(folder.path()).expect("a log");
    let mut logged = dialer().with_egress(std::sync::Arc::new(log.clone()));
    let mut link = logged.connect_once().await.expect("a link");
    let bytes = tap.bytes("ada");
    let message = (7_u64, String::from("age"), WORD);
    let error = link.sender.send(&message).await.expect_err("withheld");
    assert!(matches!(error, LinkError::Withheld(_)), "{error}");
    assert!(error.to_string().contains("no message of a data owner's client"), "{error}");
    assert_eq!(log.failure().expect("the log says so").code, "AUDIT_LOG");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(tap.bytes("ada"), bytes, "nothing of it left");
    logged.close().await;
}

/// A log whose next entry begins a file where there is something else.
fn full_log(federation: &Federation, owner: &str) {
    let folder = federation.config(owner).state.join(FOLDER);
    fs::create_dir_all(&folder).expect("a folder");
    let (mut text, mut previous, mut number) = (String::new(), no_hash(), 0);
    while (text.len() as u64) < FILE_BYTES_MAX {
        let sent = Sent {
            kind: "Greeting".to_owned(),
            bytes: 37,
            sha256: to_hex(&[7; 32]),
            peer: "c".to_owned(),
            address: "127.0.0.1:7443".to_owned(),
            run: None,
            round: None,
            context: None,
        };
        let time = "2026-11-28T10:58:02.123Z".to_owned();
        let entry = Entry { entry: number, time, what: What::Sent(sent), previous };
        let (line, hash) = entry.line();
        text += &line;
        text.push('\n');
        (previous, number) = (hash, number + 1);
    }
    fs::write(folder.join("000000000000.jsonl"), text).expect("written");
    fs::create_dir(folder.join(format!("{number:012}.jsonl.part"))).expect("a folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_write_its_log_stops_and_sends_nothing() {
    let federation = Federation::new(&OWNERS);
    let coordinator = Coordinator::start(federation.membership("c"));
    let tap = tap(&federation, &coordinator, &OWNERS);
    federation.settle("ada", &tap.address, "*", 20);
    full_log(&federation, "ada");
    let failure = federation.start("ada", None).task.await.expect("no panic").expect_err("ended");
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "AUDIT_LOG"), "{failure}");
    assert!(failure.message.contains("nothing more is sent"), "{failure}");
    assert!(failure.message.contains(".jsonl"), "names the file: {failure}");
    assert_eq!(tap.bytes("ada"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_client_finishes_what_it_has_sealed_and_is_silent_until_it_is_resumed() {
    let owners = ["ada", "bob", "cyd", "dot"];
    let federation = Federation::new(&owners);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let tap = tap(&federation, &coordinator, &owners);
    for owner in owners {
        federation.settle(owner, &tap.address, "*", 20);
    }
    let pause = Pause::of(&federation.config("dot").state);
    pause.ask(true).expect("paused before the start");
    let clients: Vec<Running> = owners.iter().map(|owner| federation.start(owner, None)).collect();
    let dot = &clients[3];
    let saw = |what: Event| dot.events().contains(&what);
    until("it is at rest", || saw(Event::Paused)).await;
    assert_eq!(tap.bytes("dot"), 0, "a client that starts paused does not even dial");
    pause.ask(false).expect("resumed");
    until("it goes on", || saw(Event::Resumed)).await;

    let parameters = coordinator.task.initial_parameters();
    let mut rounds = async |number: u32, cohort: &[&str], at_sealed: &dyn Fn() -> bool| {
        let terms = coordinator.terms(number, &parameters, ids(&federation, cohort));
        let mut round = coordinator.open_round(&terms);
        let finished = coordinator
            .run(&terms, &mut round, |_| {
                at_sealed();
                false
            })
            .await;
        let Outcome::Done(report) = finished.expect("a round").outcome else { panic!("abandoned") };
        report.counted.len()
    };
    // Paused as soon as it has sealed, it is counted all the same.
    let sealed = |event: &Event| matches!(event, Event::Sealed { .. });
    let ask = || dot.events().iter().any(sealed) && pause.ask(true).is_ok();
    assert_eq!(rounds(1, &owners, &ask).await, 4);
    until("it is told", ask).await;
    let rests = |event: &&Event| matches!(event, Event::Paused);
    until("it is at rest again", || dot.events().iter().filter(rests).count() == 2).await;
    let counted = |event: &Event| matches!(event, Event::Counted { .. });
    assert!(dot.events().iter().any(counted), "{:?}", dot.events());

    let bytes = tap.bytes("dot");
    assert_eq!(rounds(2, &OWNERS, &|| false).await, 3);
    assert_eq!(tap.bytes("dot"), bytes, "it is silent");
    pause.ask(false).expect("resumed");
    assert_eq!(rounds(3, &owners, &|| false).await, 4);
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
    let rounds: Vec<_> = entries(&federation, "dot").into_iter().filter_map(|one| one.3).collect();
    assert!(rounds.contains(&1) && rounds.contains(&3) && !rounds.contains(&2), "{rounds:?}");
}
