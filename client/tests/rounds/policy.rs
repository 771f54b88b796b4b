//! What owners allow, while their clients run.

use std::fs;

use covey_aggregation::message::{Decline, MissingReason, Outcome};
use covey_aggregation::party::PartyId;
use covey_client::Event;
use covey_client::runs::{Runs, Standing, commands};

use super::coordinator::Coordinator;
use super::federation::{Federation, Running, until};
use super::{hold, ids};

const OWNERS: [&str; 4] = ["ada", "bob", "cyd", "dot"];

/// Carries out a round with all owners; how many counted, and who did not for which reason.
async fn round(
    federation: &Federation,
    coordinator: &mut Coordinator,
    number: u32,
) -> (usize, Vec<(PartyId, MissingReason)>) {
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(number, &parameters, ids(federation, &OWNERS));
    let mut round = coordinator.open_round(&terms);
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    let Outcome::Done(report) = finished.outcome else { panic!("{:?}", finished.outcome) };
    (report.counted.len(), report.missing)
}

fn has_trained(client: &Running) -> bool {
    let trained = |event: &Event| matches!(event, Event::Joined { .. } | Event::Training { .. });
    client.events().iter().any(trained)
}

fn bytes_sent(client: &Running) -> Vec<u64> {
    let sent = |event: Event| match event {
        Event::Uploaded { bytes, .. } => Some(bytes),
        _ => None,
    };
    client.events().into_iter().filter_map(sent).collect()
}

fn declined(client: &Running) -> Vec<String> {
    let why = |event: Event| match event {
        Event::Declined { reason, why, .. } if reason == "policy" => Some(why),
        _ => None,
    };
    client.events().into_iter().filter_map(why).collect()
}

/// No program is started again in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_asks_is_joined_once_it_is_approved_and_left_once_it_is_denied() {
    let federation = Federation::new(&OWNERS);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let mut clients = Vec::new();
    for owner in OWNERS {
        federation.settle(owner, &coordinator.address, "*", 20);
        if owner == "dot" {
            federation.allow(owner, "unknown = \"ask\"\nallow = { purposes = [\"cure *\"] }");
        }
        clients.push(federation.start(owner, None));
    }
    let dot = &clients[3];
    let (dots_id, path) = (ids(&federation, &["dot"])[0], federation.path("dot/client.toml"));
    let missing = vec![(dots_id, MissingReason::Declined(Decline::Policy))];
    assert_eq!(round(&federation, &mut coordinator, 1).await, (3, missing.clone()));
    until("it was declined", || declined(dot).len() == 1).await;
    let why = &declined(dot)[0];
    assert!(why.contains("Y001") && why.contains("runs approve 09090909"), "{why}");
    assert!(!has_trained(dot));
    let asks = commands::list(&path).expect("listed");
    let [asks] = &asks.runs[..] else { panic!("{asks}") };
    assert_eq!((asks.offer.standing, asks.offer.last_round), (Standing::Asks, 1));
    let sheet = commands::leaves(&path, "halves").expect("a sheet").sheet;

    commands::approve(&path, "0909").expect("approved");
    assert_eq!(round(&federation, &mut coordinator, 2).await, (4, Vec::new()));
    until("it has sent", || bytes_sent(dot).len() == 1).await;
    // What was foretold is what was sent, byte for byte.
    assert_eq!(bytes_sent(dot), [sheet.bytes_round]);
    let kept = Runs::of(&federation.config("dot").state).all().expect("read");
    assert_eq!((kept[0].standing, kept[0].first_round), (Standing::Allowed, 1));

    commands::deny(&path, "0909", Some("enough".to_owned())).expect("denied");
    assert_eq!(round(&federation, &mut coordinator, 3).await, (3, missing));
    until("it was declined again", || declined(dot).len() == 2).await;
    assert!(declined(dot)[1].contains("Y002") && declined(dot)[1].contains("enough"));
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_over_the_policy_is_refused_before_the_data_are_opened() {
    let federation = Federation::new(&OWNERS);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let mut clients = Vec::new();
    for owner in OWNERS {
        federation.settle(owner, &coordinator.address, "*", 20);
        if owner == "dot" {
            federation.allow(owner, "limits = { max_rounds = 2 }\nallow = { purposes = [\"*\"] }");
            // Who opens it says so.
            fs::write(federation.path("dot/data.csv"), "no data").expect("written");
        }
        clients.push(federation.start(owner, None));
    }
    let missing = vec![(ids(&federation, &["dot"])[0], MissingReason::Declined(Decline::Policy))];
    assert_eq!(round(&federation, &mut coordinator, 1).await, (3, missing));
    let dot = &clients[3];
    until("it was declined", || !declined(dot).is_empty()).await;
    let why = &declined(dot)[0];
    assert!(why.contains("Y004") && why.contains(": 3;") && why.contains("allows 2"), "{why}");
    assert!(!has_trained(dot));
    let runs = Runs::of(&federation.config("dot").state).all().expect("read");
    assert_eq!((runs[0].standing, &runs[0].why[..]), (Standing::Refused, &[why.clone()][..]));
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

/// Also what was sealed before, by a program that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_update_is_held_back_while_its_owner_denies_the_run() {
    let owners = ["ada", "bob", "cyd"];
    let federation = Federation::new(&owners);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let mut clients = Vec::new();
    for owner in owners {
        federation.settle(owner, &coordinator.address, "*", 20);
        clients.push(federation.start(owner, None));
    }
    coordinator.shelf.lock().expect("a lock").cuts_uploads = true;
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(1, &parameters, ids(&federation, &owners));
    let mut round = coordinator.open_round(&terms);
    let all_offered = |shelf: &super::coordinator::Shelf| {
        let mut offered = shelf.offered.clone();
        offered.sort_unstable();
        offered.dedup();
        offered.len() == 3
    };
    assert!(coordinator.run(&terms, &mut round, all_offered).await.is_none());
    for client in clients {
        client.kill().await;
    }
    coordinator.shelf.lock().expect("a lock").cuts_uploads = false;

    let path = federation.path("ada/client.toml");
    commands::deny(&path, "halves", None).expect("denied");
    let clients: Vec<_> = owners.iter().map(|owner| federation.start(owner, None)).collect();
    let ada = &clients[0];
    let approve = async {
        let held =
            |event: &Event| matches!(event, Event::HeldBack { why, .. } if why.contains("Y002"));
        until("it is held back", || ada.events().iter().any(held)).await;
        until("the others have sent", || {
            clients[1..].iter().all(|one| !bytes_sent(one).is_empty())
        })
        .await;
        assert_eq!(bytes_sent(ada), [0; 0]);
        commands::approve(&path, "halves").expect("approved");
    };
    let (finished, ()) = tokio::join!(coordinator.run(&terms, &mut round, |_| false), approve);
    let Outcome::Done(report) = finished.expect("a whole round").outcome else {
        panic!("not done")
    };
    assert_eq!(report.counted.len(), 3);
    until("it has sent", || bytes_sent(ada).len() == 1).await;
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}
