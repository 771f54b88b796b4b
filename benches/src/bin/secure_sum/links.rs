//! How fast an upload travels over loopback, by what carries it, beside plain TCP of the same run. In
//! wall time: it is two tasks of one program, each with a thread.

use std::sync::Arc;
use std::time::Instant;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Header, SignedHeader};
use covey_aggregation::net::{
    Arrival, BulkArrival, Dialer, GuestList, Link, Listener, Offered, Outline, Route,
    TransportChoice,
};
use covey_benches::{Conditions, Figure, Report};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::enrolled::Federation;

/// Bytes of an upload: a contribution of some twenty million parameters.
const BYTES: usize = 64 << 20;

const REPEATS: usize = 5;

/// What carries the upload.
#[derive(Clone, Serialize)]
struct Carried {
    transport: &'static str,
    bytes: usize,
}

impl Conditions for Carried {
    fn text(&self) -> &str {
        self.transport
    }
}

pub(crate) fn measure(report: &Report) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads");
    let content = Arc::new((0..BYTES).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    let plain = rate(|| runtime.block_on(plain(&content)));
    for (transport, by) in [("QUIC", TransportChoice::Quic), ("TLS over TCP", TransportChoice::Tcp)]
    {
        let federation = Federation::new("bench", 0x10);
        let mut measured = runtime.block_on(async {
            let mut rates = Vec::new();
            for _ in 0..REPEATS {
                rates.push(upload(&federation, &content, by).await);
            }
            rates
        });
        let terms = Carried { transport, bytes: BYTES };
        let figure = Figure::new("link.upload", &terms, median(&mut measured), "MB/s");
        report.figure(&figure.beside("plain TCP", plain));
    }
}

/// The middle one of an odd number.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(mut once: impl FnMut() -> f64) -> f64 {
    let mut rates: Vec<f64> = (0..REPEATS).map(|_| once()).collect();
    median(&mut rates)
}

fn megabytes_per_s(since: Instant) -> f64 {
    BYTES as f64 / 1e6 / since.elapsed().as_secs_f64()
}

/// The same bytes over a connection without TLS, and an answer at the end.
async fn plain(content: &Arc<Vec<u8>>) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let receiving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("dialled");
        let mut piece = vec![0; 50_000];
        for _ in 0..BYTES / piece.len() {
            stream.read_exact(&mut piece).await.expect("read");
        }
        stream.read_exact(&mut piece[..BYTES % 50_000]).await.expect("read");
        stream.write_all(&[1]).await.expect("answered");
    });
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let begun = Instant::now();
    stream.write_all(content).await.expect("sent");
    stream.read_exact(&mut [0]).await.expect("answered");
    receiving.await.expect("received");
    megabytes_per_s(begun)
}

/// One upload by a link of its own, as a client does it.
async fn upload(federation: &Federation, content: &Arc<Vec<u8>>, by: TransportChoice) -> f64 {
    let (coordinator, ada) = (federation.member("c"), federation.member("ada"));
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let guests = GuestList::pinned(&coordinator);
    let mut listener = Listener::bind(address, coordinator, guests).expect("bound");
    let route = Route::new(listener.address().to_string(), by);
    let mut dialer = Dialer::new(Arc::clone(&ada), route).expect("a dialer");
    let (link, arrival) = tokio::join!(dialer.connect_once(), listener.accept());
    let Some(Arrival::Link(theirs)) = arrival else { panic!("no link") };
    let receiving = tokio::spawn(receive(*theirs));
    let header = SignedHeader::sign(
        Header {
            round_ctx: Digest::ZERO,
            client: ada.member().id,
            components: Vec::new(),
            box_keys: Vec::new(),
            boxes: Vec::new(),
            correction: Digest::ZERO,
            chunks_root: Digest::ZERO,
        },
        ada.identity(),
    );
    let (bulk, outline) = (link.expect("linked").links.bulk(), Outline::of(content));
    let begun = Instant::now();
    let Ok(Offered::Wanted(sending)) = bulk.offer(&header, outline.bytes()).await else {
        panic!("not wanted");
    };
    let sent = sending.send(&outline, &mut content.as_slice(), |_| {}).await;
    let rate = megabytes_per_s(begun);
    sent.expect("stored");
    receiving.await.expect("received");
    dialer.close().await;
    listener.close().await;
    rate
}

async fn receive(link: Link) {
    let stream = link.links.accept_bulk().await.expect("a stream");
    let BulkArrival::Contribution(_, mut upload) = stream.request().await.expect("a request")
    else {
        panic!("not an upload");
    };
    upload.accept(0).await.expect("accepted");
    let mut piece = vec![0; 50_000];
    for _ in 0..BYTES / piece.len() {
        upload.read_exact(&mut piece).await.expect("read");
    }
    upload.read_exact(&mut piece[..BYTES % 50_000]).await.expect("read");
    upload.expect_end().await.expect("the end");
    upload.stored().await.expect("answered");
}
