//! Members that say what they may not.

use std::sync::Arc;
use std::time::Instant;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromClient, FromHolder, Refusal, ToClient};
use covey_aggregation::net::enrolment::NotEnrolled;
use covey_aggregation::net::{BulkError, BulkRequest, CloseReason, Link, LinkError};
use covey_aggregation::party::Role;
use covey_aggregation::program::renewal::leave;
use covey_aggregation::research::{self, FromResearcher, ToResearcher};
use covey_coordinator::cli::{FederationDir, MemberCommand, MemberName};
use covey_coordinator::event::Event;
use covey_coordinator::office;

use crate::federation::name;
use crate::{BOTH, EVE, ROGUE, Stage, in_time};

/// The next refusal on the control stream.
pub(crate) async fn refusal(link: &mut Link) -> Refusal {
    loop {
        let message = in_time(link.receiver.receive()).await.expect("linked").expect("linked");
        if let ToClient::Refused { refusal, .. } = message {
            return refusal;
        }
    }
}

pub(crate) async fn nonsense(stage: &Stage) {
    for by in BOTH {
        let (_dialer, mut link) = stage.rogue(by).await;
        for _ in 0..2 {
            link.sender.send(&"nonsense").await.expect("sent");
            let refused = refusal(&mut link).await;
            assert_eq!(refused.code(), "MALFORMED", "{refused}");
        }
        link.sender.send(&"nonsense").await.expect("sent");
        let closed = in_time(link.links.closed()).await;
        assert!(matches!(closed, LinkError::Closed(CloseReason::Protocol)), "{by}: {closed}");
    }
}

pub(crate) async fn wrong_role(stage: &Stage) {
    for by in BOTH {
        // What a holder says, and what a holder may fetch.
        let (_dialer, mut link) = stage.rogue(by).await;
        let refused =
            FromHolder::Refused { round_ctx: Digest([9; 32]), refusal: Refusal::Conflict };
        link.sender.send(&refused).await.expect("sent");
        let (role, needs) = (Role::DataOwner, Role::Holder);
        assert_eq!(refusal(&mut link).await, Refusal::NotAllowed { role, needs });
        let stored = link.links.bulk().stored(&Digest([9; 32]), 1).await.err();
        let expected = Refusal::NotAllowed { role, needs };
        assert!(matches!(&stored, Some(BulkError::Refused(refused)) if *refused == expected));
        // What a researcher asks.
        link.sender.send(&FromResearcher::List { all: true }).await.expect("sent");
        let answer = loop {
            // Whatever else comes is of the round.
            let told = link.receiver.receive_among::<ToClient, ToResearcher, ToResearcher>();
            match in_time(told).await.expect("linked").expect("linked") {
                covey_aggregation::net::link::Among::Second(answer) => break answer,
                _ => continue,
            }
        };
        let expected = research::Refusal::NotResearcher { role: Role::DataOwner };
        assert!(matches!(answer, ToResearcher::Refused(refused) if refused == expected));
    }
}

pub(crate) async fn unknown_rounds(stage: &Stage) {
    for by in BOTH {
        let (_dialer, mut link) = stage.rogue(by).await;
        let pending = FromClient::Pending { round_ctx: Digest([9; 32]) };
        link.sender.send(&pending).await.expect("sent");
        assert_eq!(refusal(&mut link).await, Refusal::UnknownRound);
        let fetched = link.links.bulk().fetch(&BulkRequest::Model(Digest([9; 32])), 1 << 20).await;
        let unknown = matches!(fetched, Err(BulkError::Refused(Refusal::UnknownRound)));
        assert!(unknown, "{by}: {fetched:?}");
    }
}

/// The committee stays as it is: a holder keeps its seat, and is not shut out by asking to leave.
pub(crate) async fn leaving_holder(stage: &Stage) {
    for by in BOTH {
        let membership = stage.federation.membership(&stage.federation.holder(0));
        let route = covey_aggregation::net::Route::new(stage.address().to_string(), by);
        let refused = leave(&membership, &route).await.expect_err("it has a seat").to_string();
        assert!(refused.contains(&NotEnrolled::Seated.to_string()), "{refused}");
        drop(Arc::clone(&membership));
    }
}

pub(crate) async fn revoked(stage: &mut Stage) {
    let rogue = format!("owner-{ROGUE}");
    let [quic, tcp] = BOTH;
    let live = [stage.dial(&rogue, quic).await, stage.dial(EVE, tcp).await];
    let live = live.map(|dialled| dialled.expect("a link"));
    for who in [rogue.as_str(), EVE] {
        let dir = FederationDir { path: stage.federation.dir() };
        let command = MemberCommand::Revoke(MemberName { dir, name: name(who) });
        office::member(&command, None).await.expect("revoked");
    }
    let revoked = Instant::now();
    for (_dialer, link) in &live {
        let closed = in_time(link.links.closed()).await;
        let seconds = revoked.elapsed().as_secs_f32();
        eprintln!("cut off over {} after {seconds:.2} s", link.way);
        assert!(matches!(closed, LinkError::Closed(CloseReason::ShutOut)), "{closed}");
    }
    for by in BOTH {
        for who in [rogue.as_str(), EVE] {
            let refused = stage.dial(who, by).await.err().expect("refused");
            let shut_out = matches!(refused, LinkError::Closed(CloseReason::ShutOut));
            assert!(shut_out, "{who} over {by}: {refused}");
        }
    }
    // The roster without them follows between two rounds, and everybody dials again.
    stage.gate.send_replace(true);
    let in_force = |event: &Event| matches!(event, Event::RosterInForce { .. }).then_some(());
    stage.operator.wait_for(in_force).await;
    stage.gate.send_replace(false);
}
