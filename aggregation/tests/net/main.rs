//! Links over real sockets: what members can do, and that strangers get a clear answer in time.

mod federation;
mod membership;
mod raw;
mod strangers;
mod tcp;
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::message::{FromHolder, Header, Refusal, SignedHeader, ToHolder};
use covey_aggregation::net::{
    Arrival, Bulk, BulkArrival, BulkError, BulkRequest, CloseReason, Dialer, GuestList, Link,
    LinkError, Listener, Membership, Offered, Outline, Route, Transport, TransportChoice,
};
use covey_aggregation::party::Role;
use federation::Federation;

const LOOPBACK: &str = "127.0.0.1:0";

/// What carries a link makes no difference to anything above.
const BOTH: [TransportChoice; 2] = [TransportChoice::Quic, TransportChoice::Tcp];

fn listen(membership: &Arc<Membership>) -> Listener {
    let guests = GuestList::pinned(membership);
    let address: SocketAddr = LOOPBACK.parse().expect("an address");
    Listener::bind(address, Arc::clone(membership), guests).expect("bound")
}

fn dialer(membership: Arc<Membership>, listener: &Listener, by: TransportChoice) -> Dialer {
    Dialer::new(membership, Route::new(listener.address().to_string(), by)).expect("a dialer")
}

async fn arrival(listener: &mut Listener) -> Arrival {
    let wait = tokio::time::timeout(Duration::from_secs(30), listener.accept());
    wait.await.expect("in time").expect("listening")
}

async fn arrived(listener: &mut Listener) -> Link {
    match arrival(listener).await {
        Arrival::Link(link) => *link,
        Arrival::Applicant(_) => panic!("somebody enrols"),
        Arrival::Refused { error, .. } => panic!("refused: {error}"),
    }
}

async fn refused(listener: &mut Listener) -> LinkError {
    match arrival(listener).await {
        Arrival::Link(link) => panic!("{} was admitted", link.peer.name),
        Arrival::Applicant(_) => panic!("somebody enrols"),
        Arrival::Refused { error, .. } => error,
    }
}

async fn both(dialer: &mut Dialer, listener: &mut Listener) -> (Link, Link) {
    let (dialled, link) = tokio::join!(dialer.connect_once(), arrived(listener));
    (dialled.expect("dialled"), link)
}

#[tokio::test]
async fn messages_go_both_ways_and_name_their_sender() {
    for by in BOTH {
        let federation = Federation::new("test", 0x10);
        let mut listener = listen(&federation.member("c"));
        let mut dialer = dialer(federation.member("kh-2"), &listener, by);
        let (mut holder, mut coordinator) = both(&mut dialer, &mut listener).await;
        assert_eq!((coordinator.peer.name.as_str(), coordinator.peer.role), ("kh-2", Role::Holder));
        assert_eq!(holder.peer.role, Role::Coordinator);
        let expected = if by == TransportChoice::Tcp { Transport::Tcp } else { Transport::Quic };
        assert_eq!((holder.way.transport, coordinator.way.transport), (expected, expected));
        assert_eq!((holder.version, coordinator.version), (1, 1));

        let round_ctx = hash(Domain::Body, &[b"round"]);
        let lacking = FromHolder::Lacking { round_ctx };
        holder.sender.send(&lacking).await.expect("sent");
        assert_eq!(coordinator.receiver.receive().await.expect("received"), Some(lacking));

        // Nearly as large as a message may be.
        let set = vec![round_ctx; 32_000];
        let set = ToHolder::Set { round_ctx, set };
        let (sent, received) =
            tokio::join!(coordinator.sender.send(&set), holder.receiver.receive::<ToHolder>());
        sent.expect("sent");
        assert_eq!(received.expect("received"), Some(set));

        coordinator.links.close(CloseReason::Replaced);
        let error = holder.receiver.receive::<ToHolder>().await.expect_err("closed");
        assert!(matches!(error, LinkError::Closed(CloseReason::Replaced)), "{error}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_even_sent() {
    for by in BOTH {
        let federation = Federation::new("test", 0x20);
        let mut listener = listen(&federation.member("c"));
        let mut dialer = dialer(federation.member("kh-1"), &listener, by);
        let (mut holder, _coordinator) = both(&mut dialer, &mut listener).await;
        let round_ctx = Digest::ZERO;
        let set = ToHolder::Set { round_ctx, set: vec![round_ctx; 40_000] };
        let error = holder.sender.send(&set).await.expect_err("too large");
        assert!(matches!(error, LinkError::Malformed(_)), "{error}");
    }
}

/// Serves plan and model requests and takes one contribution of `parts`, until the link ends.
async fn serve_bulk(link: Link, plan: Vec<u8>, parts: Vec<usize>) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    while let Ok(stream) = link.links.accept_bulk().await {
        match stream.request().await.expect("a request") {
            BulkArrival::Plan(digest, fetch) if digest == hash(Domain::Plan, &[&plan]) => {
                fetch.send(&plan).await.expect("sent");
            }
            BulkArrival::Stored(digest, mut fetch) if digest == Digest::ZERO => {
                fetch.begin(plan.len() as u64).await.expect("begun");
                for piece in plan.chunks(30_000) {
                    fetch.piece(piece).await.expect("sent");
                }
                fetch.finish().await.expect("sent");
            }
            BulkArrival::Plan(_, fetch)
            | BulkArrival::Model(_, fetch)
            | BulkArrival::Stored(_, fetch) => {
                fetch.refuse(Refusal::UnknownRound).await.expect("refused");
            }
            BulkArrival::Contribution(header, upload) if header.verify().is_err() => {
                upload.refuse(Refusal::BadSignature).await.expect("refused");
            }
            BulkArrival::Contribution(_, mut upload) => {
                upload.accept(0).await.expect("accepted");
                for length in &parts {
                    let mut part = vec![0; *length];
                    upload.read_exact(&mut part).await.expect("read");
                    got.push(part);
                }
                upload.expect_end().await.expect("the end");
                upload.stored().await.expect("answered");
            }
        }
    }
    got
}

fn header(membership: &Membership) -> SignedHeader {
    let header = Header {
        round_ctx: Digest::ZERO,
        client: membership.member().id,
        components: Vec::new(),
        box_keys: Vec::new(),
        boxes: Vec::new(),
        correction: Digest::ZERO,
        chunks_root: Digest::ZERO,
    };
    SignedHeader::sign(header, membership.identity())
}

/// Sends a contribution, or what the other side does not have of it.
async fn contribute(
    bulk: &Bulk,
    header: &SignedHeader,
    bytes: &[u8],
    progress: impl FnMut(u64),
) -> Result<(), BulkError> {
    let Offered::Wanted(sending) = bulk.offer(header, bytes.len() as u64).await? else {
        return Ok(());
    };
    let mut rest = &bytes[usize::try_from(sending.from()).expect("in memory")..];
    sending.send(&Outline::of(rest), &mut rest, progress).await
}

/// Whoever refuses without reading stops the stream, at any point of the request.
#[tokio::test]
async fn a_refusal_is_heard_whenever_the_stream_is_stopped() {
    for by in BOTH {
        let federation = Federation::new("test", 0x30);
        let mut listener = listen(&federation.member("c"));
        let ada = federation.member("ada");
        let mut dialer = dialer(Arc::clone(&ada), &listener, by);
        let (owner, coordinator) = both(&mut dialer, &mut listener).await;
        let server = tokio::spawn(async move {
            while let Ok(stream) = coordinator.links.accept_bulk().await {
                // Fails when the dialer is gone already.
                let _ = stream.refuse(Refusal::NotAdmitted).await;
            }
        });
        let bulk = owner.links.bulk();
        let mut long = header(&ada);
        long.header.components = vec![Digest::ZERO; 400];
        for _ in 0..200 {
            let sent = contribute(&bulk, &long, &[0; 10], |_| {}).await;
            let fetched = bulk.fetch(&BulkRequest::Plan(Digest::ZERO), 10).await;
            for refused in [sent.err(), fetched.err()] {
                let is_refused = matches!(refused, Some(BulkError::Refused(Refusal::NotAdmitted)));
                assert!(is_refused, "{refused:?}");
            }
        }
        dialer.close().await;
        server.await.expect("served");
    }
}

#[tokio::test]
async fn plans_and_contributions_travel_whole() {
    for by in BOTH {
        let federation = Federation::new("test", 0x30);
        let mut listener = listen(&federation.member("c"));
        let ada = federation.member("ada");
        let mut dialer = dialer(Arc::clone(&ada), &listener, by);
        let (owner, coordinator) = both(&mut dialer, &mut listener).await;
        let plan = vec![7; 100_000];
        let parts = vec![51_200, 1232, 1232, 3_000_000, 17];
        let server = tokio::spawn(serve_bulk(coordinator, plan.clone(), parts.clone()));
        let bulk = owner.links.bulk();

        let digest = hash(Domain::Plan, &[&plan]);
        let fetched = bulk.fetch(&BulkRequest::Plan(digest), 1 << 20).await.expect("fetched");
        assert_eq!(fetched, plan);
        let error = bulk.fetch(&BulkRequest::Plan(digest), 99_999).await.expect_err("too large");
        assert!(matches!(error, BulkError::TooLarge { bytes: 100_000, .. }), "{error}");
        let error = bulk.fetch(&BulkRequest::Model(digest), 1 << 20).await.expect_err("unknown");
        assert!(matches!(error, BulkError::Refused(Refusal::UnknownRound)), "{error}");

        let mut incoming = bulk.stored(&Digest::ZERO, 100_000).await.expect("announced");
        let mut read = vec![0; 100_000];
        for piece in read.chunks_mut(45_000) {
            incoming.read_exact(piece).await.expect("read");
        }
        incoming.expect_end().await.expect("the end");
        assert_eq!(read, plan);
        for bytes in [99_999, 100_001] {
            assert!(bulk.stored(&Digest::ZERO, bytes).await.is_err(), "another length");
        }
        let refused = bulk.stored(&digest, 100_000).await.err().expect("unknown");
        assert!(matches!(refused, BulkError::Refused(Refusal::UnknownRound)), "{refused}");

        let content: Vec<u8> = (0..parts.iter().sum()).map(|i: usize| (i % 251) as u8).collect();
        let mut progress = Vec::new();
        let (bytes, signed) = (content.len() as u64, header(&ada));
        let sent = contribute(&bulk, &signed, &content, |sent| progress.push(sent)).await;
        sent.expect("stored");
        assert_eq!(progress.last(), Some(&bytes));

        let mut forged = header(&ada);
        forged.header.correction = digest;
        let error = contribute(&bulk, &forged, &content, |_| {}).await;
        assert!(matches!(error, Err(BulkError::Refused(Refusal::BadSignature))));

        dialer.close().await;
        assert_eq!(server.await.expect("served").concat(), content);
    }
}

#[tokio::test]
async fn a_contribution_refused_half_way_stops_at_once_with_the_reason() {
    for by in BOTH {
        let federation = Federation::new("test", 0x40);
        let mut listener = listen(&federation.member("c"));
        let ada = federation.member("ada");
        let mut dialer = dialer(Arc::clone(&ada), &listener, by);
        let (owner, coordinator) = both(&mut dialer, &mut listener).await;
        let server = tokio::spawn(async move {
            let stream = coordinator.links.accept_bulk().await.expect("a stream");
            let BulkArrival::Contribution(_, mut upload) =
                stream.request().await.expect("a request")
            else {
                panic!("not a contribution");
            };
            upload.accept(0).await.expect("accepted");
            upload.read_exact(&mut [0; 1000]).await.expect("read");
            upload.refuse(Refusal::Malformed("correction".to_owned())).await.expect("refused");
        });
        let content = vec![0; 50_000_000];
        let mut sent_bytes = 0;
        let bulk = owner.links.bulk();
        let signed = header(&ada);
        let sent = contribute(&bulk, &signed, &content, |sent| sent_bytes = sent).await;
        let error = sent.expect_err("refused");
        assert!(matches!(error, BulkError::Refused(Refusal::Malformed(_))), "{error}");
        assert!(sent_bytes < 50_000_000, "all bytes went out");
        server.await.expect("served");
    }
}

#[tokio::test]
async fn a_dialer_finds_a_coordinator_that_restarts() {
    for by in BOTH {
        let federation = Federation::new("test", 0x50);
        let coordinator = federation.member("c");
        let mut listener = listen(&coordinator);
        let address = listener.address();
        let mut dialer = dialer(federation.member("ada"), &listener, by);
        let (mut owner, link) = both(&mut dialer, &mut listener).await;

        listener.close().await;
        let error = owner.receiver.receive::<ToHolder>().await.expect_err("closed");
        assert!(matches!(error, LinkError::Closed(CloseReason::ShuttingDown)), "{error}");

        drop(link);
        let mut listener = bind_again(address, &coordinator).await;
        let (again, link) = tokio::join!(dialer.connect(|_, _| {}), arrived(&mut listener));
        assert_eq!(again.expect("linked").peer.name.as_str(), "c");
        assert_eq!(link.peer.name.as_str(), "ada");
    }
}

/// The socket is given back to the system some moments after the listener is closed.
async fn bind_again(address: SocketAddr, coordinator: &Arc<Membership>) -> Listener {
    loop {
        match Listener::bind(address, Arc::clone(coordinator), GuestList::pinned(coordinator)) {
            Ok(listener) => return listener,
            Err(LinkError::PortInUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Members hold links of the life before; they are told at their next packet, and do not wait until the
/// silence has lasted long enough.
#[test]
fn a_listener_that_was_killed_tells_who_held_a_link_when_it_is_started_again() {
    let federation = Federation::new("test", 0x10);
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let (dialling, life) = (runtime(), runtime());
    let coordinator = federation.member("c");
    let listener = life.block_on(async { listen(&coordinator) });
    let address = listener.address();
    let mut dialer = dialer(federation.member("kh-2"), &listener, TransportChoice::Quic);
    life.spawn(async move {
        let mut listener = listener;
        let _link = arrived(&mut listener).await;
        std::future::pending::<()>().await
    });
    let mut link = dialling.block_on(dialer.connect_once()).expect("dialled");
    life.shutdown_timeout(Duration::from_secs(30));
    let second_life = runtime();
    let _listener = second_life.block_on(async {
        loop {
            let guests = GuestList::pinned(&coordinator);
            match Listener::bind(address, Arc::clone(&coordinator), guests) {
                Err(LinkError::PortInUse { .. }) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                bound => break bound.expect("bound"),
            }
        }
    });
    let told = dialling.block_on(async {
        let round_ctx = hash(Domain::Body, &[b"round"]);
        let said = link.sender.send(&FromHolder::Lacking { round_ctx }).await;
        said.expect("it does not know yet");
        link.receiver.receive::<ToHolder>().await
    });
    let Err(LinkError::Lost(why)) = told else { panic!("{told:?}") };
    assert_eq!(why, "the other side restarted");
}
