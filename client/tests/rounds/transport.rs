//! A client whose UDP does not get through.

use std::net::{SocketAddr, UdpSocket};

use covey_aggregation::net::{Bounds, Doors, TcpDoor, Transport, Versions};
use covey_aggregation::program::doctor::Verdict;
use covey_client::Event;
use covey_client::doctor::examine;
use covey_client::status::Status;

use super::coordinator::Coordinator;
use super::federation::{Federation, PLAN, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_udp_is_blocked_is_linked_over_tcp_and_says_so_everywhere() {
    let federation = Federation::new(&["ada"]);
    let blocked = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = blocked.local_addr().expect("bound");
    let quic: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let (bounds, versions) = (Bounds::default(), Versions::default());
    let doors = Doors { quic, tcp: TcpDoor::At(address), bounds, versions };
    let (_coordinator, tcp) = Coordinator::start_at(federation.membership("c"), PLAN, doors);
    assert_eq!(tcp, address);
    federation.settle("ada", &address.to_string(), "Learn which half*", 40);
    let why = format!("UDP to {address} got no answer in 3 s");

    let ada = federation.start("ada", None);
    let linked = |event: &Event| match event {
        Event::Linked { way, .. } => Some(way.clone()),
        _ => None,
    };
    until("a link", || ada.events().iter().find_map(linked).is_some()).await;
    let events = ada.events();
    let way = events.iter().find_map(linked).expect("a link");
    assert_eq!((way.transport, way.why.as_deref()), (Transport::Tcp, Some(why.as_str())));
    let event = events.iter().find(|event| linked(event).is_some()).expect("a link");
    let json = serde_json::to_value(event).expect("JSON");
    assert_eq!((json["transport"].as_str(), json["why"].as_str()), (Some("tcp"), Some(&*why)));
    assert!(event.to_string().ends_with(&format!("by TLS over TCP ({why})")), "{event}");

    let status = Status::read(&federation.config("ada")).expect("read");
    assert_eq!(status.link.as_ref().map(|link| &link.way), Some(&way));
    let last = status.to_string();
    assert!(last.ends_with(&format!("linked to {address} by TLS over TCP ({why})")), "{last}");

    let config = federation.path("ada").join("client.toml");
    let examined = tokio::task::spawn_blocking(move || examine(&config, None));
    let diagnosis = examined.await.expect("no panic").expect("examined");
    let check = diagnosis.checks.iter().find(|check| check.name == "coordinator");
    let check = check.expect("dialled");
    assert_eq!(check.verdict, Verdict::Warning, "{diagnosis}");
    assert!(check.found.contains(&why), "{diagnosis}");

    ada.stop().await;
    let status = Status::read(&federation.config("ada")).expect("read");
    assert_eq!(status.link, None);
}
