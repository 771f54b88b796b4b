//! Members that misuse what they may do, and an honest round beside them.

use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromClient, Phase, Refusal, SignedHeader, ToClient};
use covey_aggregation::net::error::{CloseReason, LinkError};
use covey_aggregation::net::{BulkError, BulkRequest, Dialer, IdentityKey, Link};
use covey_aggregation::party::Role;
use covey_aggregation::program::{Exit, Signal};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
use covey_coordinator::config::Positive;
use covey_coordinator::event::Event;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::federation::owner::{self, units, weight};
use crate::federation::{self, Federation, Operator, PlanOptions, contribute};

/// The owner that misbehaves.
const ROGUE: usize = 3;

async fn dial(federation: &Federation, folder: &std::path::Path) -> (Dialer, Link) {
    let membership = federation.membership(folder);
    let mut dialer = Dialer::new(membership, federation.address.to_string()).expect("a dialer");
    let link = dialer.connect(|_, _| {}).await.expect("a link");
    (dialer, link)
}

/// Waits for the offer of a round.
async fn offer(link: &mut Link) -> Box<RoundConfig> {
    loop {
        let message = tokio::time::timeout(federation::PATIENCE, link.receiver.receive()).await;
        match message.expect("in time").expect("linked").expect("linked") {
            ToClient::Open { config, .. } => return config,
            _ => continue,
        }
    }
}

/// The next thing that is not an offer.
async fn answer(link: &mut Link) -> ToClient {
    loop {
        let message = tokio::time::timeout(federation::PATIENCE, link.receiver.receive()).await;
        match message.expect("in time").expect("linked").expect("linked") {
            ToClient::Open { .. } => continue,
            other => return other,
        }
    }
}

fn sealed(config: &RoundConfig, identity: &Identity, salt: u8) -> (SignedHeader, Vec<u8>) {
    let units = units(ROGUE, config.round, config.dimension);
    let quantised = Quantised::from_units(&units, weight(ROGUE), &config.quantiser);
    let (quantised, entropy) = (quantised.expect("in range"), Zeroizing::new([salt; 32]));
    let mut chunks = Vec::new();
    let sealed = seal(config, identity, &quantised, &entropy, &mut chunks).expect("sealed");
    let mut bytes = sealed.correction;
    bytes.extend(sealed.boxes.into_iter().flatten());
    bytes.extend(chunks.into_iter().flatten());
    (sealed.header, bytes)
}

/// Sends a contribution and returns how it was refused.
async fn refusal(link: &Link, header: &SignedHeader, bytes: &[u8]) -> Refusal {
    match contribute(&link.links.bulk(), header, bytes).await {
        Err(BulkError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Everything that a member can send wrongly around one contribution.
async fn misuse(federation: &Federation, link: &mut Link, config: &RoundConfig) {
    let folder = federation.owner(ROGUE);
    let identity = IdentityKey::load(&folder).expect("a key").identity();
    let (header, bytes) = sealed(config, &identity, 1);

    // A header of another round, of another client, with a broken signature.
    let mut other = header.clone();
    other.header.round_ctx = Digest([9; 32]);
    assert_eq!(refusal(link, &other, &bytes).await, Refusal::UnknownRound);
    let owner_0 = IdentityKey::load(&federation.owner(0)).expect("a key").identity();
    let (stolen, _) = sealed(config, &owner_0, 2);
    assert!(matches!(refusal(link, &stolen, &bytes).await, Refusal::Malformed(_)));
    let mut forged = header.clone();
    forged.header.correction = Digest([9; 32]);
    assert_eq!(refusal(link, &forged, &bytes).await, Refusal::BadSignature);
    let mut cut = header.header.clone();
    cut.boxes.pop();
    let cut = SignedHeader::sign(cut, &identity);
    assert!(matches!(refusal(link, &cut, &bytes).await, Refusal::Malformed(_)));

    // One changed byte in each part; too few bytes; too many.
    for position in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let refused = refusal(link, &header, &changed).await;
        assert!(matches!(refused, Refusal::Malformed(_)), "byte {position}: {refused:?}");
    }
    let long = [bytes.as_slice(), &[0]].concat();
    for wrong in [&bytes[..bytes.len() - 1], &long] {
        let refused = refusal(link, &header, wrong).await;
        assert!(matches!(refused, Refusal::Malformed(_)), "{} bytes: {refused:?}", wrong.len());
    }

    // The contribution itself, again, and another one in its place.
    let bulk = link.links.bulk();
    contribute(&bulk, &header, &bytes).await.expect("stored");
    let ToClient::Receipt(first) = answer(link).await else { panic!("no receipt") };
    contribute(&bulk, &header, &bytes).await.expect("known");
    let ToClient::Receipt(again) = answer(link).await else { panic!("no receipt") };
    assert_eq!(first, again);
    let (second, bytes) = sealed(config, &identity, 3);
    assert_eq!(refusal(link, &second, &bytes).await, Refusal::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_abuse_has_its_answer_and_the_round_is_done_beside_it() {
    let plan = PlanOptions { collect: "100s", vote: "4s", ..PlanOptions::default() };
    let federation = Federation::new(4, &plan);
    let mut operator = Operator::start(federation.config(4));
    let holders: Vec<_> = (0..4).map(|index| federation.start_holder(index)).collect();
    let (gate, open) = watch::channel(false);
    let address = federation.address.to_string();
    let owners: Vec<_> = (0..ROGUE)
        .map(|index| {
            let membership = federation.membership(&federation.owner(index));
            owner::start(index, membership, address.clone(), open.clone())
        })
        .collect();
    let (mut dialer, mut link) = dial(&federation, &federation.owner(ROGUE)).await;
    let config = offer(&mut link).await;

    // A word about a round that nobody knows.
    let unknown = FromClient::Pending { round_ctx: Digest([9; 32]) };
    link.sender.send(&unknown).await.expect("sent");
    let refused = ToClient::Refused { round_ctx: Digest([9; 32]), refusal: Refusal::UnknownRound };
    assert_eq!(answer(&mut link).await, refused);
    let fetched = link.links.bulk().fetch(&BulkRequest::Model(Digest([9; 32])), 1 << 20).await;
    assert!(matches!(fetched, Err(BulkError::Refused(_))), "{fetched:?}");

    misuse(&federation, &mut link, &config).await;

    // A holder may not contribute.
    holders[0].abort();
    let (_holder_dialer, holder) = dial(&federation, &federation.holder(0)).await;
    let identity = IdentityKey::load(&federation.owner(ROGUE)).expect("a key").identity();
    let (header, bytes) = sealed(&config, &identity, 1);
    let (role, needs) = (Role::Holder, Role::DataOwner);
    let refused = refusal(&holder, &header, &bytes).await;
    assert_eq!(refused, Refusal::NotAllowed { role, needs });
    drop(holder);

    // Nonsense: told twice, cut off the third time.
    for _ in 0..2 {
        link.sender.send(&"nonsense").await.expect("sent");
        let ToClient::Refused { refusal, .. } = answer(&mut link).await else { panic!("told") };
        assert!(matches!(refusal, Refusal::Malformed(_)));
    }
    link.sender.send(&"nonsense").await.expect("sent");
    let closed = tokio::time::timeout(federation::PATIENCE, link.links.closed()).await;
    let closed = closed.expect("in time");
    assert!(matches!(closed, LinkError::Closed(CloseReason::Protocol)), "{closed}");
    dialer.close().await;

    gate.send_replace(true);
    let done = operator
        .wait_for(|event| match event {
            Event::Round(summary) => Some(summary.clone()),
            _ => None,
        })
        .await;
    assert!(done.done, "{done}");
    assert_eq!(done.counted.len(), 4, "the rogue's good contribution counts: {done}");
    operator.finished().await.expect("done");
    assert!(federation.is_verified());
    drop(owners);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_connections_of_a_member_the_newer_counts() {
    let federation = Federation::new(3, &PlanOptions::default());
    let _operator = Operator::start(federation.config(3));
    let (_first_dialer, first) = dial(&federation, &federation.owner(0)).await;
    let (_second_dialer, second) = dial(&federation, &federation.owner(0)).await;
    let closed = tokio::time::timeout(federation::PATIENCE, first.links.closed()).await;
    let closed = closed.expect("in time");
    assert!(matches!(closed, LinkError::Closed(CloseReason::Replaced)), "{closed}");
    let still = tokio::time::timeout(Duration::from_millis(300), second.links.closed()).await;
    assert!(still.is_err(), "the newer one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_federation_is_turned_away() {
    let federation = Federation::new(3, &PlanOptions::default());
    let other = Federation::new(3, &PlanOptions::default());
    let mut operator = Operator::start(federation.config(3));
    let membership = other.membership(&other.owner(0));
    let mut dialer =
        Dialer::new(Arc::clone(&membership), federation.address.to_string()).expect("a dialer");
    let refused = dialer.connect(|_, _| {}).await.err().expect("no link");
    assert!(refused.is_permanent(), "{refused}");
    let why = operator
        .wait_for(|event| match event {
            Event::TurnedAway { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(!why.is_empty());
    let in_round = operator
        .events
        .try_recv()
        .is_ok_and(|event| matches!(event, Event::Phase { phase: Phase::Select, .. }));
    assert!(!in_round);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_is_cut_off_and_holds_nobody_up() {
    let plan = PlanOptions { collect: "100s", ..PlanOptions::default() };
    let federation = Federation::new(4, &plan);
    let mut config = federation.config(4);
    // Offers fill the connection's window (2 MiB) and then the queue, in seconds.
    config.rounds.resend_ms = Positive::of(5);
    config.limits.queue_max = Positive::of(8);
    let mut operator = Operator::start(config);
    let holders: Vec<_> = (0..4).map(|index| federation.start_holder(index)).collect();
    let (gate, open) = watch::channel(false);
    let owners: Vec<_> = (0..ROGUE)
        .map(|index| {
            let membership = federation.membership(&federation.owner(index));
            owner::start(index, membership, federation.address.to_string(), open.clone())
        })
        .collect();
    // It connects and never reads.
    let (_dialer, mute) = dial(&federation, &federation.owner(ROGUE)).await;
    operator
        .wait_for(|event| match event {
            Event::Left { name, why, .. } if name.as_str() == "owner-3" => {
                assert!(why.contains("does not take its messages"), "{why}");
                Some(())
            }
            _ => None,
        })
        .await;
    gate.send_replace(true);
    operator
        .wait_for(|event| match event {
            Event::Progress { phase: Phase::Collect, answered, .. } => {
                (answered.len() == 3).then_some(())
            }
            _ => None,
        })
        .await;
    operator.stopper.ask(Signal::Interrupt);
    let failure = operator.finished().await.expect_err("stopped");
    assert_eq!(failure.exit, Exit::Interrupted);
    drop((owners, holders, mute));
}
