//! Which version of the protocol two sides speak, and what they hear where there is none in common.

use std::net::SocketAddr;
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::enrolment::Desk;
use covey_aggregation::net::invite::{InviteId, InviteSecret};
use covey_aggregation::net::version::Renew;
use covey_aggregation::net::{
    Bounds, CloseReason, Dialer, Doors, GuestList, IdentityKey, Invite, LinkError, Listener,
    Mismatch, Route, TcpDoor, TransportChoice, Versions,
};
use covey_aggregation::party::Role;
use zeroize::Zeroizing;

use super::federation::{Federation, name};
use super::raw::{Offer, dial};
use super::{BOTH, arrival, arrived, refused};

fn listen(federation: &Federation, versions: &[u16]) -> Listener {
    let coordinator = federation.member("c");
    let quic: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let (bounds, versions) = (Bounds::default(), Versions::of(versions));
    let doors = Doors { quic, tcp: TcpDoor::Same, bounds, versions };
    Listener::bind(doors, Arc::clone(&coordinator), GuestList::pinned(&coordinator)).expect("bound")
}

fn route(listener: &Listener, by: TransportChoice) -> Route {
    Route::new(listener.address().to_string(), by)
}

fn mismatch(error: LinkError) -> Mismatch {
    match error {
        LinkError::Unsupported(mismatch) => mismatch,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn members_speak_the_newest_version_that_both_know() {
    let federation = Federation::new("test", 0x10);
    for by in BOTH {
        for (listening, dialling, expected) in
            [(&[1][..], &[1, 2][..], 1), (&[1, 2, 3], &[1], 1), (&[1, 2, 3], &[2, 1], 2)]
        {
            let mut listener = listen(&federation, listening);
            let dialer = Dialer::new(federation.member("ada"), route(&listener, by));
            let mut dialer = dialer.expect("a dialer").with_versions(Versions::of(dialling));
            let (link, other) = tokio::join!(dialer.connect_once(), arrived(&mut listener));
            assert_eq!((link.expect("a link").version, other.version), (expected, expected));
        }
    }
}

#[tokio::test]
async fn without_a_common_version_both_sides_say_which_there_are_and_who_is_to_be_renewed() {
    let federation = Federation::new("test", 0x10);
    let names = |versions: &[u16], prefix: &str| -> Vec<String> {
        versions.iter().rev().map(|version| format!("{prefix}/{version}")).collect()
    };
    for by in BOTH {
        for (listening, dialling, renew, words) in [
            (&[1][..], &[2, 3][..], Renew::Listener, "operator has to install a newer version"),
            (&[2, 3], &[1], Renew::Dialer, "install a newer version of this program"),
        ] {
            let mut listener = listen(&federation, listening);
            let dialer = Dialer::new(federation.member("ada"), route(&listener, by));
            let mut dialer = dialer.expect("a dialer").with_versions(Versions::of(dialling));
            let (link, seen) = tokio::join!(dialer.connect_once(), refused(&mut listener));
            let error = link.err().expect("no link");
            assert!(error.is_permanent() && error.to_string().contains(words), "{error}");
            let (heard, seen) = (mismatch(error), mismatch(seen));
            assert_eq!((heard.renew(), seen.renew()), (renew, renew));
            for told in [&heard, &seen] {
                assert_eq!(told.offered, names(dialling, "covey"), "{told}");
                assert!(told.supported.starts_with(&names(listening, "covey")), "{told}");
            }

            let invite = invite(&federation, &listener);
            let key = IdentityKey::from_seed(Zeroizing::new([9; 32]));
            let (way, versions) = (route(&listener, by), Versions::of(dialling));
            let desk = Desk::dial_invited_with(&invite, &way, &key, &versions);
            let (desk, seen) = tokio::join!(desk, refused(&mut listener));
            let (heard, seen) = (mismatch(desk.err().expect("no desk")), mismatch(seen));
            assert_eq!((heard.renew(), seen.renew()), (renew, renew));
            for told in [&heard, &seen] {
                assert_eq!(told.offered, names(dialling, "covey-enrol"), "{told}");
            }
            let supported = names(listening, "covey-enrol");
            assert!(supported.iter().all(|name| heard.supported.contains(name)), "{heard}");
        }
    }
}

fn invite(federation: &Federation, listener: &Listener) -> Invite {
    Invite {
        address: listener.address().to_string(),
        federation: name("test"),
        authority: federation.authority.digest(),
        role: Role::DataOwner,
        name: name("late"),
        expires_s: u64::MAX,
        id: InviteId([1; 8]),
        secret: InviteSecret::new(&Zeroizing::new([2; 16])),
    }
}

#[tokio::test]
async fn a_newcomer_speaks_the_newest_version_that_both_know() {
    let federation = Federation::new("test", 0x10);
    for by in BOTH {
        let mut listener = listen(&federation, &[1, 2]);
        let invite = invite(&federation, &listener);
        let key = IdentityKey::from_seed(Zeroizing::new([9; 32]));
        let way = route(&listener, by);
        let desk = Desk::dial_invited(&invite, &way, &key).await;
        let mut desk = desk.expect("a desk");
        assert_eq!(desk.way().to_string().contains("TCP"), by == TransportChoice::Tcp);
        let application = covey_aggregation::net::enrolment::Application::Join {
            invite: invite.id,
            secret: invite.secret.clone(),
            request: String::new(),
            binding: Digest::ZERO,
        };
        desk.ask(&application).await.expect("asked");
        let super::Arrival::Applicant(applicant) = arrival(&mut listener).await else {
            panic!("no applicant");
        };
        assert_eq!(applicant.version, 1);
        assert_eq!(applicant.exporter, *desk.exporter(), "both ends of one connection");
    }
}

/// Who offers nothing of ours, or nothing at all, cannot be told more than TLS does; the coordinator's
/// log has what they offered.
#[tokio::test]
async fn what_is_no_version_of_ours_is_named_in_the_log() {
    let federation = Federation::new("test", 0x10);
    federation.member("ada");
    let mut listener = listen(&federation, &[1]);
    let address = listener.address();
    let ada = Some((&federation, "ada"));
    for (offered, named) in [(&[&b"h3"[..], b"covey/9"][..], vec!["h3", "covey/9"]), (&[], vec![])]
    {
        let dialled = dial(address, ada, offered, Offer::Any);
        let (dialled, seen) = tokio::join!(dialled, refused(&mut listener));
        let error = LinkError::from(dialled.expect_err("refused"));
        assert!(matches!(error, LinkError::OtherProtocol), "{error}");
        assert_eq!(mismatch(seen).offered, named);
    }
    // Who knows how to ask is told.
    let dialled = dial(address, ada, &[b"covey/9", b"covey-any"], Offer::Any);
    let (dialled, seen) = tokio::join!(dialled, refused(&mut listener));
    let error = LinkError::from(dialled.expect("a handshake").closed().await);
    assert_eq!(error.close_reason(), CloseReason::Unsupported);
    assert_eq!(mismatch(error).supported, ["covey/1", "covey-enrol/1", "covey-desk/1"]);
    assert_eq!(mismatch(seen).renew(), Renew::Listener);
}
