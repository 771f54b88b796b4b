//! The program itself, as a process: killed, started twice, stopped, given bad input.
#![cfg(unix)]

mod federation;
mod witness;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromHolder, Refusal, ToHolder};
use covey_aggregation::net::{Arrival, GuestList, Link, Listener, write_roster};
use federation::{Federation, copy, run};
use tokio::time::timeout;

/// A listener on a free port, and a federation whose holders know it.
fn meeting() -> (Listener, Federation) {
    let federation = Federation::new("test", 0x20);
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let coordinator = federation.membership("c");
    let guests = GuestList::pinned(&coordinator);
    let listener = Listener::bind(address, coordinator, guests).expect("bound");
    federation.dial(&listener.address().to_string());
    (listener, federation)
}

async fn arrived(listener: &mut Listener) -> Link {
    let arrival = timeout(Duration::from_secs(60), listener.accept()).await;
    match arrival.expect("in time").expect("listening") {
        Arrival::Link(link) => *link,
        Arrival::Applicant(_) => panic!("somebody enrols"),
        Arrival::Refused { error, .. } => panic!("refused: {error}"),
    }
}

async fn ask(link: &mut Link, question: ToHolder) -> FromHolder {
    link.sender.send(&question).await.expect("sent");
    let answer = timeout(Duration::from_secs(60), link.receiver.receive()).await;
    answer.expect("in time").expect("a link").expect("an answer")
}

fn propose(federation: &Federation, terms: &RoundConfig) -> ToHolder {
    ToHolder::Propose {
        config: Box::new(terms.clone()),
        cohort: federation.cohort(),
        beacons: Vec::new(),
        attested: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_never_votes_for_another_set() {
    let (mut listener, federation) = meeting();
    let terms = federation.terms(1, 1.0);
    let round_ctx = terms.context();
    let envelopes = federation.envelopes(&terms);
    let set: Vec<Digest> = envelopes
        .iter()
        .map(|one| one.digest(&round_ctx, terms.shape, HolderIndex(0)).expect("a seat"))
        .collect();
    let smaller = set[1..].to_vec();
    let all = ToHolder::Envelopes { round_ctx, total: 4, batch: envelopes };

    let holding = federation.serve("kh-1");
    let mut link = arrived(&mut listener).await;
    let answer = ask(&mut link, propose(&federation, &terms)).await;
    let FromHolder::Countersigned { signature: first, .. } = answer else { panic!("{answer:?}") };
    let answer = ask(&mut link, all.clone()).await;
    let FromHolder::Checked { total: 4, complaints, .. } = answer else { panic!("{answer:?}") };
    assert!(complaints.is_empty());
    let answer = ask(&mut link, ToHolder::Set { round_ctx, set: set.clone() }).await;
    let FromHolder::Voted { vote, .. } = answer else { panic!("{answer:?}") };
    holding.kill();
    drop(link);

    let holding = federation.serve("kh-1");
    let mut link = arrived(&mut listener).await;
    let answer = ask(&mut link, ToHolder::Set { round_ctx, set: smaller.clone() }).await;
    let no = FromHolder::Refused { round_ctx, refusal: Refusal::AlreadyVoted };
    assert_eq!(answer, no, "before it has heard the terms again");
    let answer = ask(&mut link, propose(&federation, &terms)).await;
    let FromHolder::Countersigned { signature: again, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(again, first);
    ask(&mut link, all).await;
    let answer = ask(&mut link, ToHolder::Set { round_ctx, set: smaller }).await;
    assert_eq!(answer, no, "and after");
    let answer = ask(&mut link, ToHolder::Set { round_ctx, set }).await;
    let FromHolder::Voted { vote: again, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(again, vote);
    let other = federation.terms(1, 2.0);
    let answer = ask(&mut link, propose(&federation, &other)).await;
    let FromHolder::Refused { refusal: Refusal::Replayed, .. } = answer else {
        panic!("{answer:?}");
    };
    holding.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_runs_once_and_stops_when_asked() {
    let (mut listener, federation) = meeting();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let holding = federation.serve("kh-2");
        let link = arrived(&mut listener).await;
        let config = federation.config("kh-2");
        let second = run(&["serve", "--config", &config]);
        let text = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(1), "{text}");
        assert!(text.contains("another program is running"), "{text}");
        let status = run(&["status", "--config", &config]);
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        let last = text.lines().last().expect("a line");
        assert!(last == "running" || last.starts_with("running, linked to 127.0.0.1"), "{text}");
        assert_eq!(holding.signal(signal), Some(code));
        drop(link);
    }
    let status = run(&["status", "--json", "--config", &federation.config("kh-2")]);
    let answer: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer["data"]["name"], "kh-2");
    assert_eq!(answer["data"]["is_running"], false);
    assert_eq!(answer["data"]["signed"]["voted"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_of_another_federation_ends_the_program_with_its_reason() {
    let (listener, theirs) = meeting();
    let ours = Federation::new("ours", 0x90);
    ours.dial(&listener.address().to_string());
    let config = ours.config("kh-1");
    let served =
        tokio::task::spawn_blocking(move || run(&["serve", "--json", "--config", &config]));
    let served = served.await.expect("ran");
    let text = String::from_utf8_lossy(&served.stdout).into_owned();
    assert_eq!(served.status.code(), Some(4), "{text}");
    assert!(text.contains("federation test") && text.contains("\"status\":\"error\""), "{text}");
    drop(theirs);
}

#[test]
fn every_bad_input_has_its_exit_code_and_names_what_is_wrong() {
    let federation = Arc::new(Federation::new("test", 0x20));
    let other = Federation::new("test", 0x90);
    let config = |text: &str, member: &str| {
        let path = federation.path(member).join("bad.toml");
        fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let good = fs::read_to_string(federation.config("kh-1")).expect("read");
    let folder = federation.path("kh-1");
    fs::create_dir(folder.join("empty")).expect("a folder");
    write_roster(&folder.join("mine.json"), &federation.roster).expect("written");
    let (empty, mine) = (folder.join("empty"), folder.join("mine.json"));
    let (empty, mine) = (empty.to_str().expect("text"), mine.to_str().expect("text"));
    fs::remove_file(federation.path("kh-2").join("identity.key")).expect("removed");
    copy(&other.path("kh-3"), &federation.path("kh-3"), "authority.pem");
    copy(&other.path("kh-4"), &federation.path("kh-4"), "sealing.key");
    let dir = folder.to_str().expect("text");
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["serve", "--config", "nowhere.toml"], 2, "nowhere.toml"),
        (vec!["serv"], 2, "serve"),
        (vec!["verify", "nowhere", "--roster", mine], 2, "nowhere"),
        (vec!["verify", empty, "--roster", "nowhere.json"], 2, "nowhere.json"),
        (vec!["verify", empty, "--roster", mine], 6, "NOT VERIFIED"),
        (vec!["init", "--name", "Bad Name", "--dir", "x"], 2, "Bad Name"),
        (vec!["init", "--name", "kh-1", "--dir", dir], 2, "request.json exists already"),
    ];
    for (arguments, code, named) in cases {
        check(&arguments, code, named);
    }
    let configs = [
        (good.replace("state =", "sate ="), "kh-1", 2, "bad.toml:7:1: unknown field `sate`"),
        (good.replace("holder/1", "holder/2"), "kh-1", 2, "bad.toml:1:10: "),
        (good.replace("coordinator = ", "coordinator = 7 #"), "kh-1", 2, "bad.toml:2:15: "),
        (good.clone(), "kh-2", 4, "identity.key"),
        (good.clone(), "kh-3", 4, "authority.pem"),
        (good.clone(), "kh-4", 1, "sealing"),
    ];
    for (text, member, code, named) in configs {
        check(&["serve", "--config", &config(&text, member)], code, named);
    }
}

fn check(arguments: &[&str], code: i32, named: &str) {
    let output = run(arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(named), "{arguments:?}: {text}\nexpected {named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_dials_the_coordinator_and_names_what_is_wrong_with_the_keys() {
    let (_listener, federation) = meeting();
    let federation = Arc::new(federation);
    let examine = async || {
        let config = federation.config("kh-1");
        let ran = tokio::task::spawn_blocking(move || run(&["doctor", "--config", &config]));
        let output = ran.await.expect("no panic");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = examine().await;
    assert_eq!(code, Some(0), "{said}");
    for part in ["answers over QUIC", "sealing key", "No problem", "roster"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    copy(&federation.path("kh-2"), &federation.path("kh-1"), "sealing.key");
    let (code, said) = examine().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the roster has another sealing key"), "{said}");
    fs::remove_file(federation.path("kh-1").join("identity.key")).expect("removed");
    let (code, said) = examine().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("identity.key") && said.contains("restore this machine's own"), "{said}");
}
