//! Whole rounds: real holders, real clients, real sockets and files; a coordinator that is the
//! real machine on a test's storage.

mod canary;
mod coordinator;
mod doctor;
mod egress;
mod federation;
mod policy;
mod privacy;
mod tap;
mod transport;

use std::fs;
use std::sync::Arc;

use coordinator::Coordinator;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::message::{Decline, MissingReason, Outcome};
use covey_aggregation::net::write_roster;
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Signal};
use covey_aggregation::publication::Publication;
use covey_aggregation::strategy::variate_digest;
use covey_client::Event;
use covey_client::export::{self, Form};
use covey_client::status::Status;
use covey_model::task::Task;
use federation::{Federation, Ledger, PLAN, Running, files_in, until};
use tap::Tap;

const HOLDERS: [&str; 4] = ["kh-1", "kh-2", "kh-3", "kh-4"];

fn ids(federation: &Federation, owners: &[&str]) -> Vec<PartyId> {
    let member = |owner: &&str| federation.membership(owner).member().id;
    owners.iter().map(member).collect()
}

fn hold(federation: &Federation, coordinator: &Coordinator) -> Vec<Running> {
    HOLDERS.iter().map(|holder| federation.hold(holder, &coordinator.address)).collect()
}

/// Somebody in the path between these owners and the coordinator.
fn tap(federation: &Federation, coordinator: &Coordinator, owners: &[&str]) -> Tap {
    let owners = owners.iter().map(|owner| ((*owner).to_owned(), federation.path(owner)));
    Tap::start(&coordinator.address, &federation.path("c"), owners)
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_train_together_and_only_their_sum_is_opened() {
    let owners = ["ada", "bob", "cyd"];
    let federation = Federation::new(&["ada", "bob", "cyd", "dot"]);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = owners.iter().map(|_| Arc::default()).collect();
    let mut clients = Vec::new();
    for ((owner, ledger), examples) in owners.iter().zip(&ledgers).zip([40, 20, 25]) {
        federation.settle(owner, &coordinator.address, "Learn which half*", examples);
        clients.push(federation.start(owner, Some(ledger.clone())));
    }
    federation.settle("dot", &coordinator.address, "cure *", 40);
    let dot = federation.start("dot", None);

    let published = federation.path("published");
    let mut parameters = coordinator.task.initial_parameters();
    for round in 1..=2 {
        let cohort = ids(&federation, &["ada", "bob", "cyd", "dot"]);
        let terms = coordinator.terms(round, &parameters, cohort);
        let quantiser = terms.config.quantiser;
        let mut running = coordinator.open_round(&terms);
        let finished = coordinator.run(&terms, &mut running, |_| false).await;
        let finished = finished.expect("not interrupted");
        let Outcome::Done(report) = &finished.outcome else { panic!("{:?}", finished.outcome) };
        assert_eq!(report.counted.len(), 3);
        let declined = MissingReason::Declined(Decline::Policy);
        assert_eq!(report.missing, [(ids(&federation, &["dot"])[0], declined)]);

        let (aggregate, publication) = finished.opened.expect("opened");
        let (sums, weight) = Ledger::sum(&ledgers, round);
        assert_eq!((&aggregate.sums, aggregate.weight), (&sums, weight));
        // Capped at 30: 40 counts as 30.
        assert_eq!(weight, 30 + 20 + 25);
        coordinator.write(&published, &publication);
        let mean = aggregate.mean(&quantiser);
        parameters.iter_mut().zip(mean).for_each(|(parameter, change)| *parameter += change);
    }
    verify(&federation, &published);
    export(&federation, &published, &coordinator, &parameters);

    let declined =
        |event: &Event| matches!(event, Event::Declined { reason, .. } if reason == "policy");
    assert!(dot.events().iter().any(declined), "{:?}", dot.events());
    dot.stop().await;
    for (owner, client) in owners.iter().zip(clients) {
        let counted = |event: &&Event| matches!(event, Event::Counted { .. });
        until("both rounds are counted", || client.events().iter().filter(counted).count() == 2)
            .await;
        assert_eq!(client.stop().await, Signal::Interrupt);
        let config = federation.config(owner);
        assert_eq!(files_in(&config.state.join("sealed")), 0, "sealed updates are forgotten");
        let contributed = Status::read(&config).expect("a status").contributed.expect("stopped");
        assert_eq!((contributed.receipts, contributed.counted), (2, 2));
    }
    for holder in holders {
        assert_eq!(holder.stop().await, Signal::Interrupt);
    }
}

/// The published rounds hold, and one changed bit anywhere in them does not.
fn verify(federation: &Federation, published: &std::path::Path) {
    let roster = federation.path("roster-of-a-reviewer.json");
    write_roster(&roster, &federation.roster).expect("written");
    let check = || covey_committee::verify::verify_folder(published, &roster, |_| {});
    let report = check().expect("checked");
    assert!(report.is_verified, "{report}");
    assert_eq!((report.verified, report.doubts), (2, 0));

    let contributions = published.join("round-0002/contributions");
    let first = fs::read_dir(&contributions).expect("listed").next().expect("one").expect("one");
    for file in ["chunks", "correction", "../../publication.covey"] {
        let path = first.path().join(file);
        let good = fs::read(&path).expect("read");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, &bad).expect("written");
        let report = check().expect("checked");
        assert!(!report.is_verified, "{file} was changed");
        assert_eq!((report.verified, report.doubts), (1, 1));
        fs::write(&path, &good[..good.len() - 1]).expect("written");
        assert!(!check().expect("checked").is_verified, "{file} was cut");
        fs::write(&path, &good).expect("written");
    }
    assert!(check().expect("checked").is_verified);
}

/// The model that is taken away is the one that was trained, by the published rounds alone.
fn export(
    federation: &Federation,
    published: &std::path::Path,
    coordinator: &Coordinator,
    parameters: &[f32],
) {
    let (task, plan) = (&coordinator.task, federation.path("plan.toml"));
    fs::write(&plan, federation::PLAN).expect("written");
    let roster = federation.path("roster-of-a-reviewer.json");
    let options = |name: &str, round, form| export::Options {
        from: published.to_owned(),
        plan: plan.clone(),
        round,
        form,
        out: federation.path(name),
        roster: Some(roster.clone()),
    };
    let last = export::export(&options("last", None, Form::HfFolder)).expect("exported");
    assert_eq!((last.round, last.parameters), (Some(2), parameters.len()));
    assert_eq!(last.model, task.parameters_digest(parameters).to_string());
    let file = federation.path("last").join("model.safetensors");
    assert_eq!(covey_model::weights::read_model(&file, task).expect("read"), parameters);
    let read = |name: &str| fs::read_to_string(federation.path("last").join(name)).expect("read");
    let provenance: serde_json::Value =
        serde_json::from_str(&read("provenance.json")).expect("JSON");
    let rounds = provenance["rounds"].as_array().expect("a list");
    let chain = |place: usize, end: &str| rounds[place][end].as_str().expect("a digest").to_owned();
    assert_eq!(rounds.len(), 2);
    assert_eq!(chain(0, "led_to"), chain(1, "began_with"));
    assert_eq!(chain(1, "led_to"), last.model);
    assert_eq!((&rounds[1]["contributions"], &rounds[1]["absent"]), (&3.into(), &1.into()));
    assert!(last.checked.iter().any(|line| line.contains("every ciphertext")), "{last}");
    let card = read("README.md");
    for part in ["| 2 | 3 | 1 |", &last.model, "Learn which half", "after round 2"] {
        assert!(card.contains(part), "no {part} in {card}");
    }
    assert_eq!(read("plan.toml"), federation::PLAN);

    // The model that a round began with, and the first one.
    let middle = export::export(&options("middle", Some(1), Form::Safetensors)).expect("exported");
    assert_eq!(middle.model, chain(1, "began_with"));
    assert!(middle.checked.iter().any(|line| line.contains("round 2 began with")), "{middle}");
    let first = export::export(&options("first", Some(0), Form::Onnx)).expect("exported");
    assert_eq!(first.model, task.parameters_digest(&task.initial_parameters()).to_string());

    // What does not follow is refused, and nothing is written.
    let refused = |change: &dyn Fn(&mut export::Options)| {
        let mut changed = options("refused", None, Form::HfFolder);
        change(&mut changed);
        let failure = export::export(&changed).expect_err("refused");
        assert!(!federation.path("refused").exists(), "{failure}");
        (failure.exit, failure.code)
    };
    assert_eq!(refused(&|one| one.round = Some(3)), (Exit::BadInput, "NO_ROUND"));
    let second = published.join("round-0002");
    let only_second = refused(&|one| one.from.clone_from(&second));
    assert_eq!(only_second, (Exit::Unverified, "NOT_VERIFIED"));
    let other = federation.path("other.toml");
    fs::write(&other, format!("{}# another", federation::PLAN)).expect("written");
    assert_eq!(refused(&|one| one.plan.clone_from(&other)), (Exit::BadInput, "OTHER_PLAN"));
    let contributions = second.join("contributions");
    let one = fs::read_dir(&contributions).expect("listed").next().expect("one").expect("one");
    let chunks = one.path().join("chunks");
    let good = fs::read(&chunks).expect("read");
    fs::write(&chunks, &good[..good.len() - 1]).expect("written");
    assert_eq!(refused(&|_| ()), (Exit::Unverified, "NOT_VERIFIED"));
    fs::write(&chunks, &good).expect("written");
    let failure = export::export(&options("last", None, Form::Safetensors)).expect_err("there");
    assert_eq!(failure.code, "EXISTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_after_sealing_sends_the_same_bytes_again() {
    let owners = ["ada", "bob", "cyd"];
    let federation = Federation::new(&owners);
    let mut coordinator = Coordinator::start(federation.membership("c"));
    let holders = hold(&federation, &coordinator);
    let mut clients = Vec::new();
    for owner in owners {
        federation.settle(owner, &coordinator.address, "*", 20);
        clients.push(federation.start(owner, None));
    }
    // A coordinator that dies whenever an upload begins.
    coordinator.shelf.lock().expect("a lock").cuts_uploads = true;
    let parameters = coordinator.task.initial_parameters();
    let cohort = ids(&federation, &owners);
    let terms = coordinator.terms(1, &parameters, cohort);
    let all_offered = |shelf: &coordinator::Shelf| {
        let mut offered = shelf.offered.clone();
        offered.sort_unstable();
        offered.dedup();
        offered.len() == 3
    };
    let mut round = coordinator.open_round(&terms);
    let interrupted = coordinator.run(&terms, &mut round, all_offered).await;
    assert!(interrupted.is_none(), "nobody could contribute");
    for client in clients {
        client.kill().await;
    }
    let first: Vec<_> = {
        let mut shelf = coordinator.shelf.lock().expect("a lock");
        shelf.cuts_uploads = false;
        std::mem::take(&mut shelf.offered)
    };
    let clients: Vec<Running> = owners.iter().map(|owner| federation.start(owner, None)).collect();
    let finished = coordinator.run(&terms, &mut round, |_| false).await.expect("a whole round");
    assert!(matches!(finished.outcome, Outcome::Done(_)), "{:?}", finished.outcome);
    let shelf = coordinator.shelf.lock().expect("a lock").offered.clone();
    assert!(shelf.iter().all(|header| first.contains(header)), "another update was sealed");
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_client_with_the_same_state_is_refused() {
    let federation = Federation::new(&["ada"]);
    let coordinator = Coordinator::start(federation.membership("c"));
    federation.settle("ada", &coordinator.address, "*", 20);
    let first = federation.start("ada", None);
    let linked = |event: &Event| matches!(event, Event::Linked { .. });
    until("a link", || first.events().iter().any(linked)).await;
    let second = federation.start("ada", None);
    let failure = second.task.await.expect("no panic").expect_err("refused");
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "ALREADY_RUNNING"));
    assert!(failure.message.contains("state"), "{failure}");
    first.stop().await;
}

/// Adds up what the owners sent in the clear.
fn sums(parts: impl Iterator<Item = (Vec<i32>, Vec<u64>)>) -> (Vec<i32>, Vec<u64>) {
    parts.fold((Vec::new(), Vec::new()), |(mut control, mut counters), part| {
        control.resize(part.0.len(), 0);
        counters.resize(part.1.len(), 0);
        control.iter_mut().zip(part.0).for_each(|(sum, unit)| *sum += unit);
        counters.iter_mut().zip(part.1).for_each(|(sum, counter)| *sum += counter);
        (control, counters)
    })
}

/// The owner's control variate, in its own folder.
fn own_variate(federation: &Federation, owner: &str) -> Vec<f64> {
    let folder = federation.config(owner).state.join("variates");
    let own = fs::read_dir(&folder).expect("listed").map(|entry| entry.expect("one").path());
    let own = own.filter(|path| path.extension().is_some_and(|end| end == "own"));
    let path = own.last().expect("a variate");
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Own {
        last: covey_aggregation::hash::Digest,
        values: Vec<f64>,
    }
    let bytes = fs::read(path).expect("read");
    covey_aggregation::wire::decode::<Own>(&bytes, bytes.len()).expect("a variate").values
}

/// Control variates and counters go through the encryption and come out as plain sums; the
/// owners' variates change with the rounds that count, and only with them.
#[tokio::test(flavor = "multi_thread")]
async fn scaffold_and_held_out_metrics_travel_inside_the_sum() {
    let owners = ["ada", "bob", "cyd"];
    let plan_text = federation::PLAN
        .replace("kind = \"tabular\"", "kind = \"tabular\"\nholdout = 0.25")
        + "[strategy]\nname = \"scaffold\"\nrange = 20.0\nclip_norm = 200.0\n\
           [evaluation]\n\
           metrics = [\"accuracy\", \"loss\", \"auroc\", \"macro_f1\"]\n";
    let federation = Federation::new(&owners);
    let mut coordinator = Coordinator::start_with(federation.membership("c"), &plan_text);
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = owners.iter().map(|_| Arc::default()).collect();
    let start = |owner: &str, ledger: &Arc<Ledger>| federation.start(owner, Some(ledger.clone()));
    // The last owner has nothing to hold out.
    for (owner, examples) in owners.iter().zip([40, 30, 1]) {
        federation.settle(owner, &coordinator.address, "*", examples);
    }
    let mut clients: Vec<_> = owners.iter().zip(&ledgers).map(|(o, l)| start(o, l)).collect();

    let (plan, published) = (coordinator.plan.clone(), federation.path("published"));
    let layout = plan.layout().expect("metrics");
    let mut parameters = coordinator.task.initial_parameters();
    let mut state = plan.initial_state(parameters.len());
    for round in 1..=3 {
        let cohort = ids(&federation, &owners);
        let terms = coordinator.terms_after(round, (&parameters, &state), cohort);
        let mut running = coordinator.open_round(&terms);
        let finished = coordinator.run(&terms, &mut running, |_| false).await;
        let finished = finished.expect("not interrupted");
        let Outcome::Done(report) = &finished.outcome else { panic!("{:?}", finished.outcome) };
        assert_eq!(report.counted.len(), 3);
        let (aggregate, publication) = finished.opened.expect("opened");
        assert_eq!(aggregate.sums, Ledger::sum(&ledgers, round).0);
        let beside = sums(ledgers.iter().map(|ledger| ledger.beside(round)));
        assert_eq!((&aggregate.control, &aggregate.counters), (&beside.0, &beside.1));
        let scores = layout.read(&aggregate.counters).expect("honest counters");
        let held_out = [0, 1].map(|owner: usize| ledgers[owner].beside(round).1[0]);
        assert_eq!(scores.examples, held_out[0] + held_out[1]);
        assert!(held_out.iter().all(|count| (3..=15).contains(count)), "{held_out:?}");
        assert!(ledgers[2].beside(round).1.iter().all(|counter| *counter == 0));
        coordinator.write(&published, &publication);
        let place = (&parameters[..], &state);
        let step = plan.strategy.step(1.0, place, &terms.config, &aggregate).expect("finite");
        (parameters, state) = (step.parameters, step.state);

        // Each has heard of the end, and its variate followed; c is the mean of theirs.
        let counted = |event: &Event| matches!(event, Event::Counted { .. });
        for (owner, client) in owners.iter().zip(&clients) {
            let seen = || {
                client.events().iter().any(|event| {
                    counted(event) && event.to_string().contains(&format!("round {round}"))
                })
            };
            until(&format!("{owner} hears of round {round}"), seen).await;
        }
        let own: Vec<_> = owners.iter().map(|owner| own_variate(&federation, owner)).collect();
        for (place, c) in state.variate().expect("c").iter().enumerate() {
            let mean = own.iter().map(|own| own[place]).sum::<f64>() / 3.0;
            assert!((f64::from(*c) - mean).abs() < 1e-5, "{c} {mean}");
        }
        assert!(own.iter().all(|own| own.iter().any(|x| *x != 0.0)));
        if round == 1 {
            // A restart forgets nothing.
            for client in clients {
                client.kill().await;
            }
            clients = owners.iter().zip(&ledgers).map(|(o, l)| start(o, l)).collect();
        }
    }
    let roster = federation.path("roster-of-a-reviewer.json");
    write_roster(&roster, &federation.roster).expect("written");
    let report = covey_committee::verify::verify_folder(&published, &roster, |_| {});
    assert_eq!(report.expect("checked").verified, 3);
    // What the strategy keeps is computed again too, and metrics are in the card.
    let (plan_file, out) = (federation.path("plan.toml"), federation.path("exported"));
    fs::write(&plan_file, &plan_text).expect("written");
    let options = export::Options {
        from: published.clone(),
        plan: plan_file,
        round: None,
        form: Form::HfFolder,
        out: out.clone(),
        roster: None,
    };
    let exported = export::export(&options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(exported.model, coordinator.task.parameters_digest(&parameters).to_string());
    let card = fs::read_to_string(out.join("README.md")).expect("read");
    assert!(card.contains("| round | owners in the sum | absent | accuracy |"), "{card}");
    export_of_scaffold(&federation, &coordinator.task, &options);
    for one in clients.into_iter().chain(holders) {
        one.stop().await;
    }
}

/// A run with other terms than the plan's, or another control variate than the one that follows, is
/// not exported; one that goes on from another run is, with control variates from zero.
fn export_of_scaffold(federation: &Federation, task: &Task, good: &export::Options) {
    let second = good.from.join("round-0002");
    let bytes = fs::read(second.join("publication.covey")).expect("read");
    let publication = Publication::decode(&bytes).expect("a publication");
    let changed = |change: &dyn Fn(&mut RoundConfig)| {
        let mut publication = publication.clone();
        change(&mut publication.result.config);
        publication.encode()
    };
    let zeros = variate_digest(&task.manifest_digest(), &vec![0.0; task.parameters()]);
    let begin_at_zero =
        |config: &mut RoundConfig| config.control.as_mut().expect("one").variate = zeros;
    let refused = |bytes: Vec<u8>| {
        fs::write(second.join("publication.covey"), bytes).expect("written");
        let failure = export::export(good).expect_err("refused");
        assert_eq!((failure.exit, failure.code), (Exit::Unverified, "NOT_VERIFIED"), "{failure}");
        failure.message
    };
    let why = refused(changed(&begin_at_zero));
    assert!(why.contains("round 2 began with another control variate"), "{why}");
    let why = refused(changed(&|config| config.contributions_min -= 1));
    assert!(why.contains("the fewest contributions differs"), "{why}");
    fs::write(second.join("publication.covey"), &bytes).expect("written");

    // As if another run had begun with the model after round 1.
    let state = federation.path("resumed");
    let round = state.join("published/round-0002");
    fs::create_dir_all(&round).expect("made");
    fs::create_dir(state.join("objects")).expect("made");
    fs::write(round.join("publication.covey"), changed(&begin_at_zero)).expect("written");
    let middle = export::Options {
        round: Some(1),
        form: Form::Safetensors,
        out: federation.path("middle"),
        ..good.clone()
    };
    export::export(&middle).expect("exported");
    let parameters = covey_model::weights::read_model(&middle.out.join("model.safetensors"), task)
        .expect("read");
    let numbers: Vec<u8> = parameters.iter().flat_map(|one| one.to_le_bytes()).collect();
    let object = state.join("objects").join(publication.result.config.model.to_string());
    fs::write(object, numbers).expect("written");
    let out = federation.path("resumed-model");
    let resumed = export::Options { from: state, out, ..good.clone() };
    let exported = export::export(&resumed).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(exported.round, Some(2));
}

/// Owners fetch the model that a plan adapts, train the adapters, and send nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn only_adapters_of_a_fetched_base_travel() {
    let owners = ["ada", "bob", "cyd"];
    let plain = Task::from_plan(&Plan::parse(PLAN).expect("a plan")).expect("a model");
    let base = plain.initial_parameters();
    let digest = plain.parameters_digest(&base);
    let model = format!(
        "[model]\nstart = {{ digest = \"{digest}\" }}\n\
         lora = {{ rank = 1, alpha = 1, targets = [\"linear\"] }}\n"
    );
    let plan = PLAN.replace("[model]\n", &model);
    let federation = Federation::new(&owners);
    let mut coordinator = Coordinator::start_with(federation.membership("c"), &plan);
    coordinator.shelve(digest, &base);
    let holders = hold(&federation, &coordinator);
    let ledgers: Vec<Arc<Ledger>> = owners.iter().map(|_| Arc::default()).collect();
    let mut clients = Vec::new();
    for (owner, ledger) in owners.iter().zip(&ledgers) {
        federation.settle(owner, &coordinator.address, "Learn which half*", 20);
        clients.push(federation.start(owner, Some(ledger.clone())));
    }
    let parameters = coordinator.task.initial_parameters();
    // Of 2 x 8 and of 8 x 2, in place of the base's 42.
    assert_eq!((parameters.len(), base.len()), ((2 + 8) + (8 + 2), 42));
    let terms = coordinator.terms(1, &parameters, ids(&federation, &owners));
    let mut running = coordinator.open_round(&terms);
    let finished = coordinator.run(&terms, &mut running, |_| false).await;
    let finished = finished.expect("not interrupted");
    let Outcome::Done(report) = &finished.outcome else { panic!("{:?}", finished.outcome) };
    assert_eq!(report.counted.len(), 3);
    let (aggregate, _) = finished.opened.expect("opened");
    let (sums, weight) = Ledger::sum(&ledgers, 1);
    assert_eq!((&aggregate.sums, aggregate.weight), (&sums, weight));
    assert_eq!(aggregate.sums.len(), parameters.len());
    assert!(aggregate.sums.iter().any(|sum| *sum != 0));
    for client in clients {
        client.stop().await;
    }
    for holder in holders {
        holder.stop().await;
    }
}
