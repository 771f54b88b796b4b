//! Rounds with noise: every owner adds its share and is charged before anything leaves; an owner
//! whose budget is too small stays away and says why, and the others go on.

use std::fs;
use std::sync::Arc;

use covey_aggregation::message::{Decline, MissingReason, Outcome};
use covey_aggregation::sum::open::Aggregate;
use covey_client::Event;
use covey_client::privacy::{Account, commands};

use super::coordinator::{Coordinator, Shelf};
use super::federation::{Federation, Ledger, PLAN, Running, until};
use super::{hold, ids};

const OWNERS: [&str; 4] = ["ada", "bob", "cyd", "dot"];

/// The plan with noise; a sum of three owners costs about 5.3 at delta 1e-6.
fn plan_of(unit: &str) -> String {
    let plan = PLAN
        .replace("{ capped_examples = 30 }", "\"uniform\"")
        .replace("bits = 12", "bits = 16")
        .replace("range = 0.5", "range = 128")
        .replace("profile = \"A\"", "profile = \"B\"");
    format!("{plan}[privacy]\n{unit}\nnoise_multiplier = 1.0\ndelta = 1e-6\n")
}

async fn round(
    federation: &Federation,
    coordinator: &mut Coordinator,
    number: u32,
) -> (Aggregate, Vec<MissingReason>) {
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(number, &parameters, ids(federation, &OWNERS));
    let mut round = coordinator.open_round(&terms);
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    let Outcome::Done(report) = finished.outcome else { panic!("{:?}", finished.outcome) };
    let missing = report.missing.into_iter().map(|(_, reason)| reason).collect();
    (finished.opened.expect("opened").0, missing)
}

fn charged(client: &Running) -> Vec<f64> {
    let epsilon = |event: Event| match event {
        Event::Charged { epsilon, .. } => Some(epsilon),
        _ => None,
    };
    client.events().into_iter().filter_map(epsilon).collect()
}

fn declined(client: &Running) -> Vec<String> {
    let why = |event: Event| match event {
        Event::Declined { reason, why, .. } if reason == "policy" => Some(why),
        _ => None,
    };
    client.events().into_iter().filter_map(why).collect()
}

fn charges(federation: &Federation, owner: &str) -> usize {
    Account::of(&federation.config(owner)).charges().expect("read").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_budget_ends_stays_away_and_the_others_go_on() {
    let federation = Federation::new(&OWNERS);
    let plan = plan_of("unit = \"owner\"\ncolluding_max = 0");
    let mut coordinator = Coordinator::start_with(federation.membership("c"), &plan);
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = OWNERS.iter().map(|_| Arc::default()).collect();
    let mut clients = Vec::new();
    for (owner, ledger) in OWNERS.iter().zip(&ledgers) {
        federation.settle(owner, &coordinator.address, "*", 20);
        let epsilon = if *owner == "dot" { 2.0 } else { 50.0 };
        let require = format!(
            "allow = {{ purposes = [\"*\"] }}\n[require]\nprivacy = {{ epsilon = {epsilon:?}, \
             delta = 1e-6 }}"
        );
        federation.allow(owner, &require);
        clients.push(federation.start(owner, Some(ledger.clone())));
    }
    for number in 1..=2 {
        let (aggregate, missing) = round(&federation, &mut coordinator, number).await;
        assert_eq!(missing, [MissingReason::Declined(Decline::Policy)]);
        // The sum is exactly what its owners sealed, noise included.
        let (sums, weight) = Ledger::sum(&ledgers[..3], number);
        assert_eq!((&aggregate.sums, aggregate.weight, weight), (&sums, 3, 3));
    }
    let dot = &clients[3];
    until("it was declined twice", || declined(dot).len() == 2).await;
    let why = &declined(dot)[0];
    for part in ["Y018", "0.000 is spent", "allows epsilon 2 at delta 1e-6"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!((charges(&federation, "dot"), charged(dot).len()), (0, 0));
    for (owner, client) in OWNERS.iter().zip(&clients).take(3) {
        until("it was charged twice", || charged(client).len() == 2).await;
        let [one, two] = charged(client)[..] else { panic!("{:?}", client.events()) };
        assert!((5.0..5.6).contains(&one) && one < two && two < 2.0 * one, "{one} {two}");
        assert_eq!(charges(&federation, owner), 2);
        let statement = commands::budget(&federation.path(owner).join("client.toml"));
        let statement = statement.expect("read");
        assert_eq!((statement.rounds, statement.budget), (2, Some(50.0)));
        assert_eq!(statement.epsilon.to_bits(), two.to_bits());
        // Joining again with another state folder does not reset it.
        assert!(federation.path(owner).join("data.csv.covey-privacy.json").exists());
        let config = federation.config(owner);
        fs::remove_file(config.state.join("privacy.json")).expect("removed");
        assert_eq!(charges(&federation, owner), 2);
    }
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_that_hide_their_examples_are_charged_by_how_many_they_have() {
    let federation = Federation::new(&OWNERS);
    let plan = plan_of("unit = \"record\"\nclip_norm = 1.0");
    let mut coordinator = Coordinator::start_with(federation.membership("c"), &plan);
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = OWNERS.iter().map(|_| Arc::default()).collect();
    let mut clients = Vec::new();
    for ((owner, ledger), examples) in OWNERS.iter().zip(&ledgers).zip([20, 80, 320, 8]) {
        federation.settle(owner, &coordinator.address, "*", examples);
        if *owner == "dot" {
            let require = "allow = { purposes = [\"*\"] }\n[require]\nprivacy = { epsilon = 4.0, \
                           delta = 1e-6 }";
            federation.allow(owner, require);
        }
        clients.push(federation.start(owner, Some(ledger.clone())));
    }
    let (aggregate, missing) = round(&federation, &mut coordinator, 1).await;
    assert_eq!(missing, [MissingReason::Declined(Decline::Policy)]);
    assert_eq!(aggregate.sums, Ledger::sum(&ledgers[..3], 1).0);
    let mut costs = Vec::new();
    for client in &clients[..3] {
        until("it was charged", || charged(client).len() == 1).await;
        costs.push(charged(client)[0]);
    }
    // A batch of 8 is a smaller share of more examples.
    assert!(costs.is_sorted_by(|few, many| few > many), "{costs:?}");
    let dot = &clients[3];
    until("it was declined", || declined(dot).len() == 1).await;
    assert!(declined(dot)[0].contains("Y018"), "{:?}", declined(dot));
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_after_sealing_sends_the_same_noise_and_is_charged_once() {
    let federation = Federation::new(&OWNERS);
    let plan = plan_of("unit = \"owner\"\ncolluding_max = 0");
    let mut coordinator = Coordinator::start_with(federation.membership("c"), &plan);
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = OWNERS.iter().map(|_| Arc::default()).collect();
    let mut clients = Vec::new();
    for (owner, ledger) in OWNERS.iter().zip(&ledgers) {
        federation.settle(owner, &coordinator.address, "*", 20);
        clients.push(federation.start(owner, Some(ledger.clone())));
    }
    // A coordinator that dies whenever an upload begins.
    coordinator.shelf.lock().expect("a lock").cuts_uploads = true;
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(1, &parameters, ids(&federation, &OWNERS));
    let all_offered = |shelf: &Shelf| {
        let mut offered = shelf.offered.clone();
        offered.sort_unstable();
        offered.dedup();
        offered.len() == 4
    };
    let mut round = coordinator.open_round(&terms);
    let interrupted = coordinator.run(&terms, &mut round, all_offered).await;
    assert!(interrupted.is_none(), "nobody could contribute");
    for client in clients {
        client.kill().await;
    }
    // What has begun to leave is charged already.
    assert!(OWNERS.iter().all(|owner| charges(&federation, owner) == 1));
    let sealed = Ledger::sum(&ledgers, 1).0;
    coordinator.shelf.lock().expect("a lock").cuts_uploads = false;
    let clients: Vec<Running> =
        OWNERS.iter().zip(&ledgers).map(|(o, l)| federation.start(o, Some(l.clone()))).collect();
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    assert_eq!(finished.opened.expect("opened").0.sums, sealed);
    assert!(OWNERS.iter().all(|owner| charges(&federation, owner) == 1));
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}
