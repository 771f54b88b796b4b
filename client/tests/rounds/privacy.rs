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

/// Four owners at work on a plan of this unit, each with what it requires and so many examples.
struct Scene {
    federation: Federation,
    coordinator: Coordinator,
    holders: Vec<Running>,
    ledgers: Vec<Arc<Ledger>>,
    clients: Vec<Running>,
}

impl Scene {
    fn start(unit: &str, owners: [(u32, Option<f64>); 4]) -> Self {
        let federation = Federation::new(&OWNERS);
        let coordinator = Coordinator::start_with(federation.membership("c"), &plan_of(unit));
        let holders = hold(&federation, &coordinator);
        let ledgers: Vec<Arc<Ledger>> = OWNERS.iter().map(|_| Arc::default()).collect();
        for (owner, (examples, epsilon)) in OWNERS.iter().zip(owners) {
            federation.settle(owner, &coordinator.address, "*", examples);
            if let Some(epsilon) = epsilon {
                let require = format!(
                    "allow = {{ purposes = [\"*\"] }}\n[require]\nprivacy = {{ epsilon = \
                     {epsilon:?}, delta = 1e-6 }}"
                );
                federation.allow(owner, &require);
            }
        }
        let mut scene = Self { federation, coordinator, holders, ledgers, clients: Vec::new() };
        scene.start_clients();
        scene
    }

    fn start_clients(&mut self) {
        let clients = OWNERS.iter().zip(&self.ledgers);
        let start = |(owner, ledger): (&&str, &Arc<Ledger>)| {
            self.federation.start(owner, Some(ledger.clone()))
        };
        self.clients = clients.map(start).collect();
    }

    async fn stop(self) {
        for one in self.clients.into_iter().chain(self.holders) {
            one.stop().await;
        }
    }
}

const PER_OWNER: &str = "unit = \"owner\"\ncolluding_max = 0";

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
    let enough = (20, Some(50.0));
    let mut scene = Scene::start(PER_OWNER, [enough, enough, enough, (20, Some(2.0))]);
    let Scene { federation, coordinator, ledgers, clients, .. } = &mut scene;
    for number in 1..=2 {
        let (aggregate, missing) = round(federation, coordinator, number).await;
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
    assert_eq!((charges(federation, "dot"), charged(dot).len()), (0, 0));
    for (owner, client) in OWNERS.iter().zip(&*clients).take(3) {
        until("it was charged twice", || charged(client).len() == 2).await;
        let [one, two] = charged(client)[..] else { panic!("{:?}", client.events()) };
        assert!((5.0..5.6).contains(&one) && one < two && two < 2.0 * one, "{one} {two}");
        assert_eq!(charges(federation, owner), 2);
        let statement = commands::budget(&federation.path(owner).join("client.toml"));
        let statement = statement.expect("read");
        assert_eq!((statement.rounds, statement.budget), (2, Some(50.0)));
        assert_eq!(statement.epsilon.to_bits(), two.to_bits());
        // Joining again with another state folder does not reset it.
        assert!(federation.path(owner).join("data.csv.covey-privacy.json").exists());
        let config = federation.config(owner);
        fs::remove_file(config.state.join("privacy.json")).expect("removed");
        assert_eq!(charges(federation, owner), 2);
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_that_hide_their_examples_are_charged_by_how_many_they_have() {
    let unit = "unit = \"record\"\nclip_norm = 1.0";
    let owners = [(20, None), (80, None), (320, None), (8, Some(4.0))];
    let mut scene = Scene::start(unit, owners);
    let Scene { federation, coordinator, ledgers, clients, .. } = &mut scene;
    let (aggregate, missing) = round(federation, coordinator, 1).await;
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
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_after_sealing_sends_the_same_noise_and_is_charged_once() {
    let mut scene = Scene::start(PER_OWNER, [(20, None); 4]);
    let Scene { federation, coordinator, ledgers, clients, .. } = &mut scene;
    // A coordinator that dies whenever an upload begins.
    coordinator.shelf.lock().expect("a lock").cuts_uploads = true;
    let parameters = coordinator.task.initial_parameters();
    let terms = coordinator.terms(1, &parameters, ids(federation, &OWNERS));
    let all_offered = |shelf: &Shelf| {
        let mut offered = shelf.offered.clone();
        offered.sort_unstable();
        offered.dedup();
        offered.len() == 4
    };
    let mut round = coordinator.open_round(&terms);
    let interrupted = coordinator.run(&terms, &mut round, all_offered).await;
    assert!(interrupted.is_none(), "nobody could contribute");
    for client in clients.drain(..) {
        client.kill().await;
    }
    // What has begun to leave is charged already.
    assert!(OWNERS.iter().all(|owner| charges(federation, owner) == 1));
    let sealed = Ledger::sum(ledgers, 1).0;
    coordinator.shelf.lock().expect("a lock").cuts_uploads = false;
    scene.start_clients();
    let Scene { federation, coordinator, .. } = &mut scene;
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    assert_eq!(finished.opened.expect("opened").0.sums, sealed);
    assert!(OWNERS.iter().all(|owner| charges(federation, owner) == 1));
    scene.stop().await;
}
