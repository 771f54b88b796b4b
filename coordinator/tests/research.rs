//! Runs that researchers submit, over real QUIC with real key holders: what is recorded, in which
//! order runs are carried out, and what is told of them.

mod federation;

use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::{self, FromClient, ToClient};
use covey_aggregation::net::{BulkError, BulkRequest};
use covey_aggregation::party::Role;
use covey_aggregation::publication::Publication;
use covey_aggregation::research::{
    FromResearcher, Now, Order, Part, PlanBytes, Refusal, RunState, RunStatus, ToResearcher,
};
use covey_coordinator::config::Positive;
use covey_coordinator::coordinator::JOURNAL_FILE;
use covey_coordinator::event::Event;
use covey_coordinator::storage::journal::Journal;
use covey_coordinator::storage::registry::run_folder;
use federation::researcher::{
    Researcher, assert_verified, awaited, open, plan, stop, waits_for_the_first,
};
use federation::{Members, Operator, PATIENCE, name};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_plan_is_carried_out_and_the_same_plan_is_the_same_run() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (first, is_new) = alice.submit("digits", &plan(2, 1)).await.expect("taken");
    assert!(is_new && first.by == name("alice") && first.rounds == 2, "{first:?}");

    // The same again, also by somebody else, is the same run; another plan needs another name.
    let mut bob = Researcher::dial(&federation, "bob").await;
    for researcher in [&mut alice, &mut bob] {
        let (again, is_new) = researcher.submit("digits", &plan(2, 1)).await.expect("known");
        assert_eq!((again.run, again.by, is_new), (first.run, name("alice"), false));
    }
    let taken = Refusal::NameTaken { run: first.run, by: name("alice") };
    assert_eq!(bob.submit("digits", &plan(2, 2)).await, Err(taken));
    let (second, is_new) = bob.submit("digits-2", &plan(1, 2)).await.expect("taken");
    assert!(is_new && second.state == RunState::Queued, "{second:?}");

    // One after another, in the order of submission.
    alice.watch("digits", waits_for_the_first).await;
    let (waiting, _) = bob.show("digits-2").await;
    assert_eq!((waiting.state, waiting.ahead), (RunState::Queued, 1));
    assert_eq!(
        alice.list(false).await,
        [("digits".to_owned(), RunState::Running), ("digits-2".to_owned(), RunState::Queued)]
    );
    members.gates[0].send_replace(true);
    let (done, rounds) = alice.watch("digits", |run| run.state == RunState::Done).await;
    assert_eq!((done.rounds_over, done.rounds_done), (2, 2));
    let numbers: Vec<_> = rounds.iter().map(|line| (line.round, line.counted)).collect();
    assert_eq!(numbers, [(1, 4), (2, 4)]);
    assert!(done.reason.expect("why").as_str().contains("all 2 rounds were tried"));
    bob.until("digits-2", RunState::Done).await;
    assert!(alice.list(false).await.is_empty());
    assert_eq!(alice.list(true).await.len(), 2);

    // By its digest, or a beginning of it; the rounds are those that were watched.
    let digest = first.run.to_string();
    for wanted in ["digits", &digest[..12], &digest] {
        let (shown, lines) = bob.show(wanted).await;
        assert_eq!((shown.run, &lines), (first.run, &rounds), "{wanted}");
    }
    for wanted in ["digit", "fff", "0000000000000000"] {
        let show = FromResearcher::Show { run: name(wanted) };
        assert_eq!(bob.ask(&show).await, ToResearcher::Refused(Refusal::NoSuchRun), "{wanted}");
    }
    assert_verified(&federation, &config, &first);
    assert_verified(&federation, &config, &second);
    stop(operator).await;
    let status = covey_coordinator::status::status(&config).await.expect("runs");
    assert_eq!(status.data["submitted"][0]["state"], "done", "{}", status.data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plan_is_recorded_with_its_reasons_and_takes_no_name() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    let two_errors =
        plan(1, 1).replace("minimum = 3", "minimum = 2").replace("batch_size", "bach_size");
    let (refused, is_new) = alice.submit("digits", &two_errors).await.expect("recorded");
    assert_eq!((refused.state, refused.rounds, is_new), (RunState::Refused, 0, true));
    let codes: Vec<_> = refused.faults.iter().map(|fault| fault.code.as_str()).collect();
    assert!(codes.contains(&"P020") && codes.contains(&"P002"), "{codes:?}");
    let fault = refused.faults.iter().find(|fault| fault.code.as_str() == "P020").expect("told");
    assert!(fault.line > 10 && fault.column > 1 && !fault.help.as_str().is_empty(), "{fault:?}");
    let (again, is_new) = alice.submit("digits", &two_errors).await.expect("known");
    assert_eq!((again.run, is_new), (refused.run, false));

    // What only a federation can say: it has four owners.
    let many = plan(1, 1).replace("minimum = 3", "minimum = 9");
    let (few, _) = alice.submit("many", &many).await.expect("recorded");
    assert_eq!(few.faults.len(), 1);
    assert_eq!(few.faults[0].code.as_str(), "TOO_FEW_OWNERS");
    assert!(few.faults[0].message.as_str().contains("4 data owners"), "{few:?}");

    stop(operator).await;
    let operator = Operator::start(config);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let refusals =
        [("digits".to_owned(), RunState::Refused), ("many".to_owned(), RunState::Refused)];
    assert!(alice.list(false).await.is_empty());
    assert_eq!(alice.list(true).await, refusals);
    let (shown, rounds) = alice.show("digits").await;
    assert_eq!((shown.faults, rounds.len()), (refused.faults, 0));
    let ordered = alice.order("digits", Order::Resume).await;
    assert_eq!(ordered, Err(Refusal::Over { state: RunState::Refused }));
    let plan_of = FromResearcher::Plan { run: name("digits") };
    assert_eq!(alice.ask(&plan_of).await, ToResearcher::Refused(Refusal::NotPublished));
    let (mended, is_new) = alice.submit("digits", &plan(1, 1)).await.expect("taken");
    assert!(is_new && mended.state != RunState::Refused, "{mended:?}");
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_names_who_and_what_a_round_waits_for() {
    let federation = open();
    let operator = Operator::start(federation.open_config(4));
    let mut alice = Researcher::dial(&federation, "alice").await;
    alice.submit("digits", &plan(1, 1)).await.expect("taken");
    let gathers = |status: &RunStatus| match &status.now {
        Some(Now::Gathering { needed, missing, left_ms, .. }) => {
            let needed = needed.as_str();
            *left_ms > 0
                && needed == "3 holders (0 connected) and 4 data owners (0 connected)"
                && missing.names.contains(&name("owner-3"))
                && !missing.names.contains(&name("alice"))
        }
        _ => false,
    };
    alice.watch("digits", gathers).await;
    let members = Members::start(&federation, 4);
    for late in [1, 3] {
        members.gates[late].send_replace(false);
    }
    let waits_for = |names: &'static [&'static str]| {
        move |status: &RunStatus| awaited(status).is_some_and(|waiting| waiting == names)
    };
    let (status, _) = alice.watch("digits", waits_for(&["owner-1", "owner-3"])).await;
    let Some(Now::Round { round, answered, left_ms, .. }) = status.now else { panic!("a round") };
    assert_eq!((round, answered), (1, 2));
    assert!(left_ms > 0 && left_ms <= 60_000, "{left_ms}");
    members.gates[1].send_replace(true);
    alice.watch("digits", waits_for(&["owner-3"])).await;
    members.gates[3].send_replace(true);
    let done = alice.until("digits", RunState::Done).await;
    assert_eq!(done.now, None);
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_researchers_submit_and_each_orders_its_own_runs_only() {
    let federation = open();
    let mut operator = Operator::start(federation.open_config(4));
    for (member, role) in [("owner-0", Role::DataOwner), ("holder-0", Role::Holder)] {
        let mut intruder = Researcher::dial(&federation, member).await;
        let no = Err(Refusal::NotResearcher { role });
        assert_eq!(intruder.submit("digits", &plan(1, 1)).await, no, "{member}");
        assert_eq!(
            intruder.order("digits", Order::Stop).await,
            Err(Refusal::NotResearcher { role })
        );
        let told = operator.wait_for(|event| match event {
            Event::Refused { name, why } if name.as_str() == member => Some(why.clone()),
            _ => None,
        });
        let why = told.await;
        assert!(why.contains("certificate of a researcher"), "{why}");
    }
    let mut alice = Researcher::dial(&federation, "alice").await;
    assert!(alice.list(true).await.is_empty(), "nothing was recorded");
    alice.submit("digits", &plan(1, 1)).await.expect("taken");
    let mut bob = Researcher::dial(&federation, "bob").await;
    for order in [Order::Pause, Order::Resume, Order::Stop] {
        assert_eq!(bob.order("digits", order).await, Err(Refusal::NotYours { by: name("alice") }));
    }
    // A researcher has no part in rounds: no bulk streams, and nothing that clients say.
    let bulk = alice.link.links.bulk();
    let digest = covey_aggregation::hash::Digest::ZERO;
    let fetched = bulk.fetch(&BulkRequest::Plan(digest), 1 << 20).await;
    assert!(
        matches!(fetched, Err(BulkError::Refused(message::Refusal::NotAllowed { .. }))),
        "{fetched:?}"
    );
    let pending = FromClient::Pending { round_ctx: digest };
    for _ in 0..2 {
        bob.link.sender.send(&pending).await.expect("sent");
        assert_eq!(bob.next().await, ToResearcher::Refused(Refusal::Malformed));
    }
    bob.link.sender.send(&pending).await.expect("sent");
    let closed = timeout(PATIENCE, bob.link.links.closed()).await;
    assert!(closed.is_ok(), "the third is the last");
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_with_a_plan_of_its_own_takes_no_other() {
    let federation = open();
    let mut operator = Operator::start(federation.config(4));
    let mut alice = Researcher::dial(&federation, "alice").await;
    assert_eq!(alice.submit("digits", &plan(1, 1)).await, Err(Refusal::Closed));
    assert!(alice.list(true).await.is_empty());
    // It carries its own out as ever: a researcher on the roster changes no cohort.
    let _members = Members::start(&federation, 4);
    let summary = operator.finished().await.expect("done");
    assert_eq!((summary.rounds_done, summary.ending.as_str()), (1, "done"));
    assert_eq!(federation.publication(1).result.cohort.len(), 4);
    assert!(federation.is_verified());
}

/// A run keeps the roster that it began with. With another one it is held, says why, and others may
/// go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_held_when_members_were_enrolled_since_it_began() {
    let federation = open();
    let config = federation.open_config(4);
    let mut operator = Operator::start(config.clone());
    let mut alice = Researcher::dial(&federation, "alice").await;
    alice.submit("digits", &plan(1, 1)).await.expect("taken");
    // It has begun, and waits for members that do not come.
    operator.wait_for(|event| matches!(event, Event::Waiting { .. }).then_some(())).await;
    stop(operator).await;
    federation.enrol_another();
    let mut operator = Operator::start(config);
    let (state, reason) = operator
        .wait_for(|event| match event {
            Event::RunState { state, reason, .. } if state == "held" => {
                Some((state.clone(), reason.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!(state, "held");
    let reason = reason.expect("a reason");
    assert_eq!(reason, "it began with another roster: members were enrolled since");
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_round_published_is_sent_in_pieces_and_nothing_else_is() {
    let federation = open();
    let config = federation.open_config(4);
    let operator = Operator::start(config.clone());
    let _members = Members::start(&federation, 4);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (run, _) = alice.submit("digits", &plan(1, 1)).await.expect("taken");
    alice.until("digits", RunState::Done).await;
    let fetch =
        |round, part, offset| FromResearcher::Fetch { run: name("digits"), round, part, offset };
    let ToResearcher::Piece { total, bytes } = alice.ask(&fetch(1, Part::Publication, 0)).await
    else {
        panic!("a piece");
    };
    let mut whole = bytes.as_bytes().to_vec();
    while (whole.len() as u64) < total {
        let next = alice.ask(&fetch(1, Part::Publication, whole.len() as u64)).await;
        let ToResearcher::Piece { bytes, .. } = next else { panic!("{next:?}") };
        whole.extend_from_slice(bytes.as_bytes());
    }
    let folder = run_folder(&config.state_dir, &run.run).join("published/round-0001");
    assert_eq!(whole, std::fs::read(folder.join("publication.covey")).expect("read"));
    let publication = Publication::decode(&whole).expect("a publication");
    let header = publication.result.headers[0].header.digest();
    let stored = folder.join(format!("contributions/{header}/correction"));
    let stored = std::fs::read(stored).expect("read");
    let middle = alice.ask(&fetch(1, Part::Correction(header), 10)).await;
    let ToResearcher::Piece { total, bytes } = middle else { panic!("{middle:?}") };
    assert_eq!((total, bytes.as_bytes()), (stored.len() as u64, &stored[10..]));
    let beyond = alice.ask(&fetch(1, Part::Correction(header), u64::MAX)).await;
    assert!(matches!(beyond, ToResearcher::Piece { bytes, .. } if bytes.as_bytes().is_empty()));
    for nothing in [fetch(2, Part::Publication, 0), fetch(1, Part::Chunks(run.run), 0)] {
        let refused = ToResearcher::Refused(Refusal::NotPublished);
        assert_eq!(alice.ask(&nothing).await, refused);
    }
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_was_away_learns_how_a_round_of_an_earlier_run_ended() {
    let federation = open();
    let mut config = federation.open_config(3);
    config.start.settle_s = Positive::of(1);
    let operator = Operator::start(config.clone());
    let _members = Members::start(&federation, 3);
    let mut alice = Researcher::dial(&federation, "alice").await;
    let (first, _) = alice.submit("first", &plan(1, 1)).await.expect("taken");
    alice.submit("second", &plan(1, 2)).await.expect("taken");
    alice.until("second", RunState::Done).await;
    let journal = run_folder(&config.state_dir, &first.run).join(JOURNAL_FILE);
    let mut journal = Journal::open_to_read(&journal).await.expect("a journal");
    let round_ctx = journal.rounds().await.expect("read")[0].context;
    let mut late = Researcher::dial(&federation, "owner-3").await;
    late.link.sender.send(&FromClient::Pending { round_ctx }).await.expect("sent");
    let told = timeout(PATIENCE, late.link.receiver.receive::<ToClient>()).await;
    let told = told.expect("in time").expect("linked").expect("linked");
    assert!(matches!(&told, ToClient::Ended { round_ctx: of, .. } if *of == round_ctx), "{told:?}");
    stop(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_the_largest_size_fits_a_message() {
    let most = covey_aggregation::limits::PLAN_BYTES_MAX as usize;
    let plan = PlanBytes::new(vec![b'#'; most]).expect("as long as a plan may be");
    let request = FromResearcher::Submit { name: name("long"), plan };
    let bytes = covey_aggregation::wire::encode(&request).len();
    assert!(bytes < FRAME_BYTES_MAX as usize);
    let federation = open();
    let operator = Operator::start(federation.open_config(4));
    let mut alice = Researcher::dial(&federation, "alice").await;
    let answer = timeout(PATIENCE, alice.ask(&request)).await.expect("in time");
    let ToResearcher::Submitted { run, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(run.state, RunState::Refused);
    stop(operator).await;
}
