//! TLS over TCP, where UDP does not get through: when it is tried, when it is not, and what binds the
//! connections of one link together.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromHolder, ToHolder};
use covey_aggregation::net::{
    Arrival, Bounds, BulkError, BulkRequest, CloseReason, Dialer, Doors, GuestList, LinkError,
    Listener, Membership, Route, Stranger, TcpDoor, Transport, TransportChoice, Versions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::federation::Federation;
use super::raw::{dial_tcp, opening, record, told};
use super::{arrival, arrived, refused};

const ALPN: &[&[u8]] = &[b"covey/1"];

const PATIENCE: Duration = Duration::from_secs(60);

/// A port whose UDP packets nobody answers.
fn silent_port() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("set");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// How many packets came.
fn packets(socket: &UdpSocket) -> usize {
    let mut bytes = [0; 2048];
    let mut count = 0;
    while socket.recv_from(&mut bytes).is_ok() {
        count += 1;
    }
    count
}

fn doors(tcp: TcpDoor, bounds: Bounds) -> Doors {
    let quic = "127.0.0.1:0".parse().expect("an address");
    Doors { quic, tcp, bounds, versions: Versions::default() }
}

fn listen(membership: &Arc<Membership>, doors: Doors) -> Listener {
    Listener::bind(doors, Arc::clone(membership), GuestList::pinned(membership)).expect("bound")
}

/// A listener whose port for TCP is one where nobody answers over UDP.
fn blocked(membership: &Arc<Membership>) -> (UdpSocket, SocketAddr, Listener) {
    let (socket, address) = silent_port();
    let listener = listen(membership, doors(TcpDoor::At(address), Bounds::default()));
    (socket, address, listener)
}

#[tokio::test]
async fn where_nothing_answers_over_udp_a_link_comes_over_tcp_says_why_and_is_remembered() {
    let federation = Federation::new("test", 0x10);
    let (udp, address, mut listener) = blocked(&federation.member("c"));
    let mut dialer = Dialer::new(federation.member("ada"), address.to_string()).expect("a dialer");
    let (link, other) = tokio::join!(dialer.connect_once(), arrived(&mut listener));
    let link = link.expect("a link");
    assert_eq!(link.way.transport, Transport::Tcp);
    let said = format!("UDP to {address} got no answer in 3 s");
    assert_eq!(link.way.why.as_deref(), Some(said.as_str()));
    assert_eq!(link.way.to_string(), format!("TLS over TCP ({said})"));
    assert_eq!(other.way.transport, Transport::Tcp);
    assert!(packets(&udp) > 0, "UDP was tried first");
    drop((link, other));
    // What worked is tried first: no packet over UDP.
    let (link, _other) = tokio::join!(dialer.connect_once(), arrived(&mut listener));
    let link = link.expect("a link");
    assert_eq!(link.way.why.as_deref(), Some(said.as_str()));
    assert_eq!(packets(&udp), 0);
}

#[tokio::test]
async fn where_udp_gets_through_nobody_dials_over_tcp() {
    let federation = Federation::new("test", 0x10);
    let coordinator = federation.member("c");
    let mut listener = listen(&coordinator, doors(TcpDoor::Off, Bounds::default()));
    assert_eq!(listener.tcp_address(), None);
    let tcp = TcpListener::bind(listener.address()).await.expect("the port is free");
    let address = listener.address().to_string();
    let mut dialer = Dialer::new(federation.member("ada"), address).expect("a dialer");
    let (link, _other) = tokio::join!(dialer.connect_once(), arrived(&mut listener));
    assert_eq!(link.expect("a link").way.transport, Transport::Quic);
    let dialled = timeout(Duration::from_millis(300), tcp.accept()).await;
    assert!(dialled.is_err(), "somebody dialled");
}

/// Who answers has answered: a certificate that is not accepted is no reason to look for another way,
/// on either side.
#[tokio::test]
async fn a_refusal_over_quic_is_no_reason_to_dial_over_tcp() {
    let (ours, theirs) = (Federation::new("ours", 0x10), Federation::new("theirs", 0x80));
    let (ada, eve) = (ours.member("ada"), theirs.member("ada"));
    let mut unknown = ours.roster.clone();
    unknown.members.retain(|member| member.name.as_str() != "ada");
    for listening in [theirs.member("c"), ours.member_with("c", &unknown)] {
        let is_ours = listening.federation() == ada.federation();
        let mut listener = listen(&listening, doors(TcpDoor::Off, Bounds::default()));
        let tcp = TcpListener::bind(listener.address()).await.expect("the port is free");
        let route: Route = listener.address().to_string().into();
        let mut dialer = Dialer::new(Arc::clone(&ada), &route).expect("a dialer");
        let (error, _) = tokio::join!(dialer.connect_once(), refused(&mut listener));
        match error.err().expect("refused") {
            LinkError::Stranger(Stranger::OtherFederation { .. }) => assert!(!is_ours),
            LinkError::Closed(CloseReason::NotInRoster) => assert!(is_ours),
            other => panic!("{other}"),
        }
        // The other side's refusal of a certificate comes as an alert.
        let mut dialer = Dialer::new(Arc::clone(&eve), &route).expect("a dialer");
        let (error, _) = tokio::join!(dialer.connect_once(), arrival(&mut listener));
        assert_eq!(error.is_err(), is_ours);
        let dialled = timeout(Duration::from_millis(300), tcp.accept()).await;
        assert!(dialled.is_err(), "somebody dialled");
    }
}

/// The kind of a record that closes.
const CLOSE: u8 = 5;

fn exporter(stream: &super::raw::Tls, label: &[u8], context: Option<&[u8]>) -> [u8; 32] {
    let connection = stream.get_ref().1;
    connection.export_keying_material([0; 32], label, context).expect("an exporter")
}

/// A link's name and the secret that its further connections prove to know.
fn names(stream: &super::raw::Tls) -> ([u8; 16], [u8; 32]) {
    let name = exporter(stream, b"covey link name", None);
    (name[..16].try_into().expect("16 bytes"), exporter(stream, b"covey link", None))
}

#[tokio::test]
async fn a_stream_belongs_to_the_link_whose_secret_and_member_it_proves_and_to_no_other() {
    let federation = Federation::new("test", 0x10);
    let coordinator = federation.member("c");
    let _ = (federation.member("ada"), federation.member("kh-1"));
    let (ada, holder) = (Some((&federation, "ada")), Some((&federation, "kh-1")));
    let mut listener = listen(&coordinator, doors(TcpDoor::Same, Bounds::default()));
    let address = listener.tcp_address().expect("it listens");
    // A link that greets, by hand: the frame is one record.
    let mut link = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    let (name, secret) = names(&link);
    link.write_all(&opening(None)).await.expect("opened");
    let roster = federation.roster.digest();
    let greeting = [&[1][..], &roster.0, &[0]].concat();
    let frame = [&(greeting.len() as u32).to_le_bytes()[..], &greeting].concat();
    link.write_all(&record(1, &frame)).await.expect("greeted");
    let theirs = arrived(&mut listener).await;
    assert_eq!(theirs.peer.name.as_str(), "ada");

    let further = async |who, proof: Option<&[u8]>| {
        let mut stream = dial_tcp(address, who, ALPN).await.expect("a handshake");
        let proof = exporter(&stream, b"covey bulk", proof);
        stream.write_all(&opening(Some((name, proof)))).await.expect("opened");
        stream
    };
    // Another member who has learnt name and secret; the member without the secret; a proof of
    // another connection; a link that is not there.
    let mut stolen = further(holder, Some(&secret)).await;
    let mut guessed = further(ada, None).await;
    let mut replayed = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    let other = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    let proof = exporter(&other, b"covey bulk", Some(&secret));
    replayed.write_all(&opening(Some((name, proof)))).await.expect("opened");
    for stream in [&mut stolen, &mut guessed, &mut replayed] {
        let told = timeout(PATIENCE, told(stream)).await.expect("in time");
        assert_eq!(told, format!("closed {} ", CloseReason::Protocol.code()));
        let heard = refused(&mut listener).await;
        assert!(matches!(heard, LinkError::Malformed(_)), "{heard}");
    }
    let mut lost = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    lost.write_all(&opening(Some(([9; 16], [9; 32])))).await.expect("opened");
    let heard = timeout(PATIENCE, told(&mut lost)).await.expect("in time");
    assert_eq!(heard, format!("closed {} ", CloseReason::Finished.code()));

    // The real one, beside all that.
    let _real = further(ada, Some(&secret)).await;
    let stream = timeout(PATIENCE, theirs.links.accept_bulk()).await.expect("in time");
    stream.expect("a stream");
    // And with the link it ends.
    theirs.links.close(CloseReason::ShutOut);
    let heard = timeout(PATIENCE, told(&mut link)).await.expect("in time");
    assert_eq!(heard, format!("closed {} ", CloseReason::ShutOut.code()));
}

#[tokio::test]
async fn a_record_that_cannot_be_is_the_end_of_its_connection_before_its_bytes_come() {
    let federation = Federation::new("test", 0x10);
    let coordinator = federation.member("c");
    federation.member("ada");
    let mut listener = listen(&coordinator, doors(TcpDoor::Same, Bounds::default()));
    let address = listener.tcp_address().expect("it listens");
    let huge = (u32::MAX - 0xff) | 1;
    for first in [record(1, b"data"), record(CLOSE, &[0; 4]), huge.to_le_bytes().to_vec()] {
        let ada = Some((&federation, "ada"));
        let mut stream = dial_tcp(address, ada, ALPN).await.expect("a handshake");
        stream.write_all(&first).await.expect("sent");
        let heard = refused(&mut listener).await;
        assert!(matches!(heard, LinkError::Malformed(_)), "{heard}");
        let told = timeout(PATIENCE, told(&mut stream)).await.expect("in time");
        assert!(told.starts_with("closed"), "{told}");
    }
}

/// Short times, so that a test can wait for them.
fn impatient() -> Bounds {
    Bounds {
        handshake: Duration::from_secs(1),
        header: Duration::from_secs(1),
        ..Bounds::default()
    }
}

#[tokio::test]
async fn who_dials_over_tcp_and_says_nothing_is_cut_off_at_every_step() {
    let federation = Federation::new("test", 0x10);
    let coordinator = federation.member("c");
    federation.member("ada");
    let mut listener = listen(&coordinator, doors(TcpDoor::Same, impatient()));
    let address = listener.tcp_address().expect("it listens");
    // No hello; half a hello, byte by byte; no opening; no greeting.
    let mut mute = TcpStream::connect(address).await.expect("connected");
    let heard = refused(&mut listener).await;
    assert!(matches!(heard, LinkError::Stalled), "{heard}");
    assert_eq!(timeout(PATIENCE, mute.read(&mut [0; 9])).await.expect("in time").ok(), Some(0));
    let mut slow = TcpStream::connect(address).await.expect("connected");
    let dripping = tokio::spawn(async move {
        // A hello whose length is five hundred, and a byte at a time of it.
        let hello = [&[22, 3, 1, 2, 0, 1][..], &[0; 500]].concat();
        for byte in hello {
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let heard = refused(&mut listener).await;
    assert!(matches!(heard, LinkError::Stalled), "{heard}");
    dripping.await.expect("it was cut off");
    let ada = Some((&federation, "ada"));
    let mut half = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    let heard = refused(&mut listener).await;
    assert!(matches!(heard, LinkError::Stalled), "{heard}");
    let stalled = format!("closed {} ", CloseReason::Stalled.code());
    assert_eq!(timeout(PATIENCE, told(&mut half)).await.expect("in time"), stalled);
    let mut shy = dial_tcp(address, ada, ALPN).await.expect("a handshake");
    shy.write_all(&opening(None)).await.expect("opened");
    let heard = refused(&mut listener).await;
    assert!(matches!(heard, LinkError::Stalled), "{heard}");
    assert_eq!(timeout(PATIENCE, told(&mut shy)).await.expect("in time"), stalled);
}

/// Of a hello that never ends many may come from one address; those of others are let in.
#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let federation = Federation::new("test", 0x10);
    let bounds = Bounds { handshakes: 8, handshakes_per_address: 4, ..Bounds::default() };
    let mut listener = listen(&federation.member("c"), doors(TcpDoor::Same, bounds));
    let address = listener.tcp_address().expect("it listens");
    let mut hostile = Vec::new();
    for _ in 0..20 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
        hostile.push(socket.connect(address).await.expect("connected"));
    }
    // Those who found no place were dropped at once.
    for stream in &mut hostile[4..] {
        let read = timeout(PATIENCE, stream.read(&mut [0])).await.expect("in time");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let route = Route::new(address.to_string(), TransportChoice::Tcp);
    let mut dialer = Dialer::new(federation.member("ada"), route).expect("a dialer");
    let (link, _other) = tokio::join!(dialer.connect_once(), arrived(&mut listener));
    link.expect("a place for others");
}

/// The links of one member are counted, whatever carries them.
#[tokio::test]
async fn a_member_has_so_many_links_and_a_place_is_given_back() {
    let federation = Federation::new("test", 0x10);
    let bounds = Bounds { links_per_member: 2, ..Bounds::default() };
    let mut listener = listen(&federation.member("c"), doors(TcpDoor::Same, bounds));
    let dial = |by| {
        let route = Route::new(listener.address().to_string(), by);
        Dialer::new(federation.member("ada"), route).expect("a dialer")
    };
    let mut dialers =
        [TransportChoice::Quic, TransportChoice::Tcp, TransportChoice::Quic].map(dial);
    let [first, second, third] = &mut dialers;
    let (one, first_link) = tokio::join!(first.connect_once(), arrived(&mut listener));
    let (two, _second_link) = tokio::join!(second.connect_once(), arrived(&mut listener));
    let _links = (one.expect("a link"), two.expect("a link"));
    let (none, heard) = tokio::join!(third.connect_once(), refused(&mut listener));
    let none = none.err().expect("no place");
    assert!(matches!(none, LinkError::Closed(CloseReason::Busy)), "{none}");
    assert!(matches!(heard, LinkError::Crowded { links: 2 }), "{heard}");
    assert!(!none.is_permanent());
    drop(first_link);
    let (three, _link) = tokio::join!(third.connect_once(), arrived(&mut listener));
    three.expect("the place is free again");
}

/// Whoever sends a body too slowly is cut off, and not whoever waits for its own turn.
#[tokio::test]
async fn a_body_that_trickles_is_cut_off() {
    use covey_aggregation::net::{BulkArrival, Offered, Outline};
    let federation = Federation::new("test", 0x10);
    let bounds = Bounds {
        body_window: Duration::from_millis(500),
        body_bytes_per_s: 1 << 20,
        ..Bounds::default()
    };
    for by in super::BOTH {
        let mut listener = listen(&federation.member("c"), doors(TcpDoor::Same, bounds));
        let ada = federation.member("ada");
        let mut dialer = super::dialer(Arc::clone(&ada), &listener, by);
        let (owner, link) = super::both(&mut dialer, &mut listener).await;
        let serving = tokio::spawn(async move {
            let stream = link.links.accept_bulk().await.expect("a stream");
            let arrival = stream.request().await.expect("a request");
            let BulkArrival::Contribution(_, mut upload) = arrival else { panic!("another") };
            upload.accept(0).await.expect("accepted");
            // A slow disk on this side is not the other's fault.
            upload.read_exact(&mut [0; 1000]).await.expect("the first bytes");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut piece = [0; 1000];
            loop {
                if let Err(error) = upload.read_exact(&mut piece).await {
                    return error;
                }
            }
        });
        let content = vec![7; 1 << 20];
        let mut source = Trickle { content: &content, at: 0, free: 256 * 1024, wake: None };
        let (header, outline) = (super::header(&ada), Outline::of(&content));
        let bulk = owner.links.bulk();
        let offered = bulk.offer(&header, content.len() as u64).await.expect("offered");
        let Offered::Wanted(sending) = offered else { panic!("nobody has it") };
        let sending = sending.send(&outline, &mut source, |_| {});
        let error = tokio::select! {
            error = serving => error.expect("no panic"),
            sent = sending => panic!("{sent:?}"),
        };
        assert!(matches!(error, LinkError::Stalled), "{by}: {error}");
    }
}

/// Gives one byte in a while after the first ones.
struct Trickle<'a> {
    content: &'a [u8],
    at: usize,
    free: usize,
    wake: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl tokio::io::AsyncRead for Trickle<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        use std::future::Future as _;
        use std::task::Poll;
        let mut more = self.free.saturating_sub(self.at);
        if more == 0 {
            let wake = self
                .wake
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(10))));
            if wake.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.wake = None;
            more = 1;
        }
        let bytes = more.min(buffer.remaining()).min(self.content.len() - self.at);
        buffer.put_slice(&self.content[self.at..][..bytes]);
        self.at += bytes;
        Poll::Ready(Ok(()))
    }
}

/// What was said before the end arrives before the end, and a listener that closes says so.
#[tokio::test]
async fn a_listener_that_closes_tells_everybody_who_is_linked() {
    let federation = Federation::new("test", 0x10);
    let mut listener = listen(&federation.member("c"), doors(TcpDoor::Same, Bounds::default()));
    let mut dialer = super::dialer(federation.member("kh-1"), &listener, TransportChoice::Tcp);
    let (mut holder, mut link) = super::both(&mut dialer, &mut listener).await;
    let set = ToHolder::Set { round_ctx: Digest::ZERO, set: vec![Digest::ZERO; 30_000] };
    link.sender.send(&set).await.expect("sent");
    let lacking = FromHolder::Lacking { round_ctx: Digest::ZERO };
    holder.sender.send(&lacking).await.expect("sent");
    assert_eq!(link.receiver.receive().await.expect("received"), Some(lacking));
    listener.close().await;
    assert_eq!(holder.receiver.receive().await.expect("received"), Some(set));
    let error = holder.receiver.receive::<ToHolder>().await.expect_err("closed");
    assert!(matches!(error, LinkError::Closed(CloseReason::ShuttingDown)), "{error}");
    let request = BulkRequest::Plan(Digest::ZERO);
    let fetched = holder.links.bulk().fetch(&request, 10).await;
    let lost = matches!(&fetched, Err(BulkError::Link(LinkError::Closed(_))));
    assert!(lost, "{fetched:?}");
    let _ = Arrival::Link(Box::new(link));
}
