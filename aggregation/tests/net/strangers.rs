//! Everybody who is turned away: with a reason at both ends, and in time.

use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::net::{
    CloseReason, Dialer, Fault, GuestList, LinkError, Listener, Membership, Mismatch, Protocol,
    Route, Stranger, TransportChoice,
};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::wire::Malformed;
use tokio::time::timeout;

use super::federation::Federation;
use super::raw::{Offer, dial, dial_tcp, hears, raw_error};
use super::{BOTH, dialer, listen, refused};

fn alpn() -> Vec<u8> {
    Protocol::Link.newest()
}

/// Dials and returns what both ends say about it.
async fn meet(
    dialling: Arc<Membership>,
    listening: &Arc<Membership>,
    by: TransportChoice,
) -> (LinkError, Option<LinkError>) {
    let mut listener = listen(listening);
    let mut dialer = dialer(dialling, &listener, by);
    let dialled = tokio::spawn(async move { dialer.connect_once().await.err() });
    let heard = timeout(Duration::from_secs(15), refused(&mut listener)).await.ok();
    (dialled.await.expect("ran").expect("refused"), heard)
}

#[tokio::test]
async fn a_coordinator_of_another_federation_is_refused() {
    for by in BOTH {
        let (ours, theirs) = (Federation::new("ours", 0x10), Federation::new("theirs", 0x80));
        let (error, heard) = meet(ours.member("ada"), &theirs.member("c"), by).await;
        let LinkError::Stranger(Stranger::OtherFederation { .. }) = &error else {
            panic!("{error}");
        };
        assert!(error.to_string().contains("federation theirs"), "{error}");
        assert_eq!((error.fault(), error.is_permanent()), (Fault::Peer, true));
        assert!(heard.is_some());
    }
}

#[tokio::test]
async fn a_dialer_of_another_federation_is_refused_with_a_reason_at_both_ends() {
    let (ours, theirs) = (Federation::new("ours", 0x10), Federation::new("theirs", 0x80));
    theirs.member("ada");
    let mut listener = listen(&ours.member("c"));
    let address = listener.address();
    let heard = tokio::spawn(async move { refused(&mut listener).await });
    let connection = dial(address, Some((&theirs, "ada")), &[&alpn()], Offer::Any).await;
    let error: LinkError = match connection {
        Ok(connection) => connection.closed().await.into(),
        Err(error) => error.into(),
    };
    assert!(matches!(&error, LinkError::NotAccepted(_)), "{error}");
    assert!(error.to_string().contains("another federation"), "{error}");
    let heard = heard.await.expect("heard");
    let expected = matches!(&heard, LinkError::Stranger(Stranger::OtherFederation { .. }));
    assert!(expected, "{heard}");
}

#[tokio::test]
async fn a_certificate_by_another_authority_of_the_same_name_is_refused() {
    for by in BOTH {
        let (ours, theirs) = (Federation::new("test", 0x10), Federation::new("test", 0x80));
        let (error, _) = meet(ours.member("ada"), &theirs.member("c"), by).await;
        let expected = matches!(&error, LinkError::Stranger(Stranger::WrongAuthority { .. }));
        assert!(expected, "{error}");
        assert!(error.to_string().contains("authority.pem"), "{error}");
    }
}

#[tokio::test]
async fn only_a_coordinator_can_listen() {
    for by in BOTH {
        let federation = Federation::new("test", 0x10);
        let (error, _) = meet(federation.member("ada"), &federation.member("kh-1"), by).await;
        let expected = matches!(&error, LinkError::Stranger(Stranger::WrongRole { .. }));
        assert!(expected, "{error}");
    }
}

#[tokio::test]
async fn a_coordinator_cannot_dial() {
    for by in BOTH {
        let federation = Federation::new("test", 0x10);
        let coordinator = federation.member("c");
        let (error, heard) = meet(Arc::clone(&coordinator), &coordinator, by).await;
        assert!(matches!(&error, LinkError::NotAccepted(_)), "{error}");
        let heard = heard.expect("heard");
        assert!(matches!(&heard, LinkError::Stranger(Stranger::WrongRole { .. })), "{heard}");
    }
}

#[tokio::test]
async fn a_member_that_the_coordinator_does_not_know_learns_it() {
    for by in BOTH {
        let federation = Federation::new("test", 0x10);
        let mut roster = federation.roster.clone();
        roster.members.retain(|member| member.name.as_str() != "ada");
        let coordinator = federation.member_with("c", &roster);
        let (error, heard) = meet(federation.member("ada"), &coordinator, by).await;
        assert!(matches!(error, LinkError::Closed(CloseReason::NotInRoster)), "{error}");
        assert!(error.is_permanent());
        let heard = heard.expect("heard");
        assert!(matches!(&heard, LinkError::Stranger(Stranger::NotInRoster { .. })), "{heard}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_rosters_is_refused_although_the_authority_signed_it() {
    for by in BOTH {
        let federation = Federation::new("test", 0x10);
        let mut roster = federation.roster.clone();
        let ada = roster.members.iter_mut().find(|member| member.name.as_str() == "ada");
        ada.expect("enrolled").id = PartyId([7; 32]);
        let coordinator = federation.member_with("c", &roster);
        let (error, heard) = meet(federation.member("ada"), &coordinator, by).await;
        assert!(matches!(error, LinkError::Closed(CloseReason::OtherKey)), "{error}");
        let heard = heard.expect("heard");
        assert!(heard.to_string().contains("posing as ada"), "{heard}");
    }
}

#[tokio::test]
async fn two_rosters_are_noticed_at_once() {
    for by in BOTH {
        let mut federation = Federation::new("test", 0x10);
        let coordinator = federation.member("c");
        federation.enrol("bob", Role::DataOwner, 0x77);
        let (error, heard) = meet(federation.member("ada"), &coordinator, by).await;
        assert!(matches!(error, LinkError::Closed(CloseReason::OtherRoster)), "{error}");
        assert!(error.to_string().contains("roster.json"), "{error}");
        assert!(heard.is_some());
    }
}

#[tokio::test]
async fn another_protocol_is_refused_as_such() {
    let federation = Federation::new("test", 0x10);
    federation.member("ada");
    let mut listener = listen(&federation.member("c"));
    let address = listener.address();
    let heard = tokio::spawn(async move { refused(&mut listener).await });
    let connection = dial(address, Some((&federation, "ada")), &[b"covey/0"], Offer::Any).await;
    let error = LinkError::from(connection.expect_err("refused"));
    assert!(matches!(error, LinkError::OtherProtocol), "{error}");
    let LinkError::Unsupported(Mismatch { offered, supported, .. }) = heard.await.expect("heard")
    else {
        panic!("not told");
    };
    assert_eq!((offered, supported), (vec!["covey/0".to_owned()], vec!["covey/1".to_owned()]));
}

#[tokio::test]
async fn over_tcp_strangers_hear_the_same() {
    let (ours, theirs) = (Federation::new("test", 0x10), Federation::new("theirs", 0x80));
    let _ = (ours.member("ada"), theirs.member("ada"));
    let mut listener = listen(&ours.member("c"));
    let address = listener.address();
    let (ours_ada, theirs_ada) = (Some((&ours, "ada")), Some((&theirs, "ada")));
    let cases = [
        (theirs_ada, &[&b"covey/1"[..]][..], "unknown_ca"),
        (None, &[b"covey/1"], "certificate_required"),
        (ours_ada, &[b"covey/0"], "no_application_protocol"),
        (ours_ada, &[], "closed 12"),
    ];
    for (member, alpn, expected) in cases {
        let heard = tokio::spawn(async move {
            let error = refused(&mut listener).await;
            (listener, error)
        });
        let told = match dial_tcp(address, member, alpn).await {
            Ok(stream) => hears(stream).await,
            Err(error) => raw_error(&error),
        };
        assert!(told.contains(expected), "{told} instead of {expected}");
        let error;
        (listener, error) = heard.await.expect("heard");
        assert!(!matches!(error, LinkError::Lost(_)), "{expected}: {error}");
    }
}

#[tokio::test]
async fn somebody_without_a_certificate_is_refused() {
    let federation = Federation::new("test", 0x10);
    let mut listener = listen(&federation.member("c"));
    let address = listener.address();
    let heard = tokio::spawn(async move { refused(&mut listener).await });
    let error: LinkError = match dial(address, None, &[&alpn()], Offer::Any).await {
        Ok(connection) => connection.closed().await.into(),
        Err(error) => error.into(),
    };
    assert!(matches!(error, LinkError::NotAccepted(_)), "{error}");
    heard.await.expect("heard");
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_link_without_waiting_for_its_bytes() {
    let federation = Federation::new("test", 0x10);
    federation.member("ada");
    let mut listener = listen(&federation.member("c"));
    let address = listener.address();
    let heard = tokio::spawn(async move { refused(&mut listener).await });
    let (ada, alpn) = (Some((&federation, "ada")), alpn());
    let offered = [alpn.as_slice()];
    let connection = dial(address, ada, &offered, Offer::PostQuantumOnly);
    let connection = connection.await.expect("the hybrid key exchange is spoken");
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    send.write_all(&u32::MAX.to_le_bytes()).await.expect("sent");
    let error = LinkError::from(connection.closed().await);
    assert!(matches!(error, LinkError::Closed(CloseReason::TooLarge)), "{error}");
    let heard = heard.await.expect("heard");
    let expected = matches!(&heard, LinkError::Malformed(Malformed::TooLarge { .. }));
    assert!(expected, "{heard}");
}

#[tokio::test]
async fn a_member_that_says_nothing_does_not_hold_a_place_for_ever() {
    let federation = Federation::new("test", 0x10);
    federation.member("ada");
    let mut listener = listen(&federation.member("c"));
    let address = listener.address();
    let heard = tokio::spawn(async move { refused(&mut listener).await });
    let connection = dial(address, Some((&federation, "ada")), &[&alpn()], Offer::Any).await;
    let error = LinkError::from(connection.expect("a handshake").closed().await);
    assert!(matches!(error, LinkError::Closed(CloseReason::Stalled)), "{error}");
    assert!(matches!(heard.await.expect("heard"), LinkError::Stalled));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let federation = Federation::new("test", 0x10);
    let coordinator = federation.member("c");
    let listener = listen(&coordinator);
    let error = Listener::bind(
        listener.address(),
        Arc::clone(&coordinator),
        GuestList::pinned(&coordinator),
    )
    .err()
    .expect("refused");
    assert!(matches!(error, LinkError::PortInUse { .. }), "{error}");
    let port = listener.address().port().to_string();
    assert!(error.to_string().contains(&port), "{error}");
    assert_eq!(error.fault(), Fault::Here);
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_named() {
    let federation = Federation::new("test", 0x10);
    let listener = listen(&federation.member("c"));
    let address = listener.address();
    listener.close().await;
    let route = Route::new(address.to_string(), TransportChoice::Tcp);
    let mut dialer = Dialer::new(federation.member("ada"), route).expect("made");
    let error = dialer.connect_once().await.err().expect("nobody");
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error}");
    let mut dialer = Dialer::new(federation.member("ada"), address.to_string()).expect("made");
    let error = dialer.connect_once().await.err().expect("nobody");
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error}");
    for part in [address.to_string().as_str(), "UDP", "TCP"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let mut dialer = Dialer::new(federation.member("ada"), "nowhere".to_owned()).expect("made");
    let error = dialer.connect_once().await.err().expect("no address");
    assert!(matches!(error, LinkError::Address { .. }), "{error}");
}
