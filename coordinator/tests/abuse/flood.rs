//! Who asks too much, and who never finishes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromClient, Refusal};
use covey_aggregation::net::{BulkError, BulkRequest, CloseReason, LinkError, Protocol};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::linked::refusal;
use crate::raw::{Offer, dial, dial_tcp, opening};
use crate::{BEFORE_RETRY, BOTH, ROGUE, Stage, in_time};

/// Three times what may be asked at once; all of them at the rate would take four seconds.
const REQUESTS: usize = 300;

/// As many as two cores take quickly.
const SLOW: usize = 200;

pub(crate) async fn requests(stage: &Stage) {
    for by in BOTH {
        // Whatever was asked before, by whichever link, counts until then.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        let (_dialer, mut link) = stage.rogue(by).await;
        // A hundred at once are allowed, then fifty a second.
        let pending = FromClient::Pending { round_ctx: Digest([9; 32]) };
        for _ in 0..REQUESTS {
            link.sender.send(&pending).await.expect("sent");
        }
        let (mut answered, mut busy) = (0, 0);
        for _ in 0..REQUESTS {
            match refusal(&mut link).await {
                Refusal::Busy { retry_after_ms } => {
                    assert!((1..=20).contains(&retry_after_ms), "{retry_after_ms} ms");
                    busy += 1;
                }
                Refusal::UnknownRound => answered += 1,
                other => panic!("{other}"),
            }
        }
        assert!(answered > 0 && busy > 0, "{answered} answered, {busy} put off");
        // Bulk streams count, too.
        let bulk = link.links.bulk();
        let request = BulkRequest::Plan(Digest([9; 32]));
        let busy = async {
            loop {
                match bulk.fetch(&request, 1 << 20).await {
                    Err(BulkError::Refused(Refusal::UnknownRound)) => {}
                    Err(BulkError::Refused(Refusal::Busy { retry_after_ms })) => {
                        return retry_after_ms;
                    }
                    other => panic!("{by}: {other:?}"),
                }
                // Over TCP a fetch takes longer than fifty a second allow: messages help.
                for _ in 0..10 {
                    link.sender.send(&pending).await.expect("sent");
                }
            }
        };
        assert!(in_time(busy).await > 0);
    }
    // A new link is no new allowance; time is.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (_dialer, mut link) = stage.rogue(BOTH[0]).await;
    link.sender.send(&FromClient::Pending { round_ctx: Digest([9; 32]) }).await.expect("sent");
    assert_eq!(refusal(&mut link).await, Refusal::UnknownRound);
}

/// A connection over TCP from an address of its own.
async fn hostile(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
    socket.connect(to).await.expect("connected")
}

pub(crate) async fn slow_connections(stage: &mut Stage) {
    let rogue = format!("owner-{ROGUE}");
    let alpn = Protocol::Link.newest();
    let mut mute = Vec::new();
    for _ in 0..SLOW {
        mute.push(hostile(stage.address()).await);
    }
    // Handshakes that are done, and then nothing: over TCP without an opening, with one, and over
    // QUIC without a stream.
    let (mut half_open, mut silent, mut quic) = (Vec::new(), Vec::new(), Vec::new());
    let member = Some((&stage.federation, rogue.as_str()));
    for _ in 0..4 {
        let half = dial_tcp(stage.address(), member, &[&alpn]).await.expect("a handshake");
        half_open.push(half);
        let mut opened = dial_tcp(stage.address(), member, &[&alpn]).await.expect("a handshake");
        tokio::io::AsyncWriteExt::write_all(&mut opened, &opening(None)).await.expect("opened");
        silent.push(opened);
    }
    for _ in 0..8 {
        let dialled = dial(stage.address(), member, &[&alpn], Offer::Any).await;
        quic.push(dialled.expect("a handshake"));
    }
    // Ten honest links beside them, of a member of its own.
    for turn in 0..10 {
        let (mut dialer, link) =
            stage.dial(crate::EVE, BOTH[turn % 2]).await.expect("a place for the honest");
        drop(link);
        dialer.close().await;
    }
    // Every one of them is cut off.
    for mut stream in mute {
        let read = in_time(stream.read(&mut [0])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let stalled = format!("closed {} ", CloseReason::Stalled.code());
    let busy = format!("closed {} ", CloseReason::Busy.code());
    for mut stream in half_open {
        assert_eq!(in_time(crate::raw::told(&mut stream)).await, stalled);
    }
    let mut crowded = 0;
    for mut stream in silent {
        let told = in_time(crate::raw::told(&mut stream)).await;
        assert!(told == stalled || told == busy, "{told}");
        crowded += usize::from(told == busy);
    }
    for connection in quic {
        let lost = LinkError::from(in_time(connection.closed()).await);
        match lost {
            LinkError::Closed(CloseReason::Stalled) => {}
            LinkError::Closed(CloseReason::Busy) => crowded += 1,
            other => panic!("{other}"),
        }
    }
    // Twelve links of one member are more than eight.
    assert!(crowded > 0, "nobody was one too many");
    stage.turned_away("8 links already").await;
}

pub(crate) async fn slow_streams(stage: &Stage) {
    let rogue = format!("owner-{ROGUE}");
    let member = Some((&stage.federation, rogue.as_str()));
    let alpn = Protocol::Link.newest();
    let connection = dial(stage.address(), member, &[&alpn], Offer::Any).await;
    let connection = connection.expect("a handshake");
    let (mut control, mut welcome) = connection.open_bi().await.expect("a stream");
    let roster = stage.federation.roster();
    let greeting = [&[1][..], &roster.digest().0, &[0]].concat();
    let frame = [&(greeting.len() as u32).to_le_bytes()[..], &greeting].concat();
    control.write_all(&frame).await.expect("greeted");
    in_time(welcome.read_exact(&mut [0; 6])).await.expect("welcome");
    // Seven more streams may be open; each has half a header. An eighth waits.
    let mut streams = Vec::new();
    for _ in 0..7 {
        let (mut send, receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&[40, 0, 0, 0, 1, 2]).await.expect("sent");
        streams.push((send, receive));
    }
    let eighth = tokio::time::timeout(Duration::from_millis(100), connection.open_bi()).await;
    assert!(eighth.is_err(), "more streams than there may be");
    for (send, mut receive) in streams {
        // Given up: nothing is answered, and the stream has ended.
        let read = in_time(receive.read(&mut [0; 64])).await;
        assert!(matches!(read, Ok(None) | Err(quinn::ReadError::Reset(_))), "{read:?}");
        drop(send);
    }
    in_time(connection.open_bi()).await.expect("there is room again");
}

/// First packets of connections that never go on, as if each came from another address.
pub(crate) async fn initials(stage: &Stage) {
    let captured = first_packets(8 * BEFORE_RETRY as usize).await;
    let (mut sent, mut received, mut retries) = (0, 0, 0);
    let sockets: Vec<_> = captured
        .iter()
        .map(|packet| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 3), 0)).expect("a socket");
            socket.set_nonblocking(true).expect("set");
            sent += socket.send_to(packet, stage.address()).expect("sent");
            socket
        })
        .collect();
    // Honest ones get in beside it.
    for by in BOTH {
        let (mut dialer, link) = stage.dial(crate::EVE, by).await.expect("a link");
        drop(link);
        dialer.close().await;
    }
    for socket in &sockets {
        let mut bytes = [0; 2048];
        let mut from_here = 0;
        while let Ok((read, _)) = socket.recv_from(&mut bytes) {
            // RFC 9000, section 17.2: a long header, and in it the type of a Retry.
            retries += usize::from(bytes[0] & 0xf0 == 0xf0);
            from_here += read;
        }
        assert!(from_here <= 3 * 1200, "{from_here} bytes for one packet of 1200");
        received += from_here;
    }
    assert!(received <= 3 * sent, "{received} bytes for {sent}");
    assert!(retries > 0, "none of {} had to prove its address", sockets.len());
}

/// What a client of QUIC sends first, of so many connections.
async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let trap = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    trap.set_nonblocking(true).expect("set");
    let trap = tokio::net::UdpSocket::from_std(trap).expect("a socket");
    let at = trap.local_addr().expect("bound");
    let (mut packets, mut names) = (Vec::new(), BTreeSet::new());
    for _ in 0..count {
        let dialling = tokio::spawn(async move {
            dial(at, None, &[&Protocol::Link.newest()], Offer::Any).await.map(drop)
        });
        // A hello may take two packets: of those of one connection (RFC 9000, section 17.2: the
        // length of its name is the sixth byte) the first counts.
        loop {
            let mut bytes = vec![0; 2048];
            let (read, _) = in_time(trap.recv_from(&mut bytes)).await.expect("a packet");
            bytes.truncate(read);
            let name = bytes[5..6 + usize::from(bytes[5])].to_vec();
            if names.insert(name) {
                packets.push(bytes);
                break;
            }
        }
        dialling.abort();
    }
    packets
}
