//! TLS over TCP, for where UDP does not get through: the same frames over the same streams.
//!
//! A link is one TLS connection, which carries its control stream. Every further stream is another TLS
//! connection of the same member: TCP's own flow control and TLS's own limits, and nothing of ours that
//! multiplexes. Only the dialer opens any. The dialer's first record says what a connection is for; one
//! of a further stream names its link and proves that it is of the same two ends, by a value that only
//! they can compute: the exporter (RFC 8446, section 7.5) of the new connection over that of the link.

pub(super) mod carrier;
mod counted;
pub(super) mod door;
mod record;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::limits::{HANDSHAKE_MS, IDLE_MS, STREAMS_MAX};
use crate::net::bounds::Bounds;
use crate::net::dialer::SERVER_NAME;
use crate::net::enrolment::EXPORTER_LABEL;
use crate::net::error::{CloseReason, LinkError, of_tls};
use crate::net::streams::{RecvStream, SendStream};
use crate::net::tcp::carrier::{Carrier, Halves, Life};
use crate::net::tcp::counted::{Counted, Traffic};
use crate::net::tcp::door::Registry;
use crate::net::tcp::record::Kind;
use crate::net::tls::{self, Refused};
use crate::party::PartyId;

pub(super) use carrier::{TcpReceiver, TcpSender};

/// Label of the exporter by which a link is named.
const NAME_LABEL: &[u8] = b"covey link name";

/// Label of the exporter that a link's further connections prove that they know.
const SECRET_LABEL: &[u8] = b"covey link";

/// Label of the exporter that proves it; its context is the link's own secret.
const PROOF_LABEL: &[u8] = b"covey bulk";

/// A connection with TLS, whose bytes are counted.
type Tls = TlsStream<Counted<TcpStream>>;

/// TLS for the next connection of a dialer: its certificate may have been renewed since the last one.
pub(super) type Credentials =
    Arc<dyn Fn(&Refused) -> Result<rustls::ClientConfig, rustls::Error> + Send + Sync>;

/// By what a link is named among those of one listener.
type LinkName = [u8; 16];

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Opening {
    /// A link, or an enrolment.
    Link,
    /// A further stream of a link.
    Bulk {
        /// Which.
        link: LinkName,
        /// That it is one.
        proof: [u8; 32],
    },
}

/// A link. Cheap to clone; it ends when the last clone and the last stream are gone.
#[derive(Clone)]
pub(super) struct TcpConnection(Arc<Outer>);

struct Outer {
    life: Arc<Life>,
    /// Until somebody takes it.
    control: Mutex<Option<Halves>>,
    address: SocketAddr,
    secrets: Secrets,
    traffic: Arc<Traffic>,
    /// Streams beside the control stream.
    places: Arc<Semaphore>,
    side: Side,
}

/// What both ends of a connection, and nobody else, can compute.
struct Secrets {
    enrolment: [u8; 32],
    name: LinkName,
    link: [u8; 32],
}

enum Side {
    Dialer {
        credentials: Credentials,
    },
    Listener {
        peer: Option<PartyId>,
        bounds: Arc<Bounds>,
        arrivals: tokio::sync::Mutex<mpsc::Receiver<Halves>>,
        further: mpsc::Sender<Halves>,
        registry: Arc<Registry>,
    },
}

impl Drop for Outer {
    fn drop(&mut self) {
        if let Side::Listener { registry, .. } = &self.side {
            registry.forget(&self.secrets.name);
        }
        self.life.close(CloseReason::Finished, b"");
    }
}

impl TcpConnection {
    /// Dials a listener: handshake, and what the connection is for. Waits for ever. Also what the other
    /// side agreed to speak.
    pub(super) async fn dial(
        address: SocketAddr,
        credentials: Credentials,
    ) -> Result<(Self, Option<Vec<u8>>), LinkError> {
        let traffic = Arc::default();
        let mut stream = shake_hands(address, &credentials, &traffic).await?;
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let secrets = Secrets::of(&stream)?;
        open(&mut stream, Opening::Link).await.map_err(|error| lost(&error))?;
        let idle = Duration::from_millis(IDLE_MS);
        let halves = Carrier { idle, link: None, held: Vec::new() }.start(stream);
        let places = Arc::new(Semaphore::new(STREAMS_MAX as usize - 1));
        let side = Side::Dialer { credentials };
        Ok((Self::new(halves, address, secrets, (traffic, places), side), protocol))
    }

    fn new(
        control: Halves,
        address: SocketAddr,
        secrets: Secrets,
        (traffic, places): (Arc<Traffic>, Arc<Semaphore>),
        side: Side,
    ) -> Self {
        let (life, control) = (Arc::clone(&control.life), Mutex::new(Some(control)));
        Self(Arc::new(Outer { life, control, address, secrets, traffic, places, side }))
    }

    /// The control stream at first, then further ones. A listener opens none.
    pub(super) async fn open_bi(&self) -> Result<(SendStream, RecvStream), LinkError> {
        if let Some(control) = self.take_control() {
            return Ok(self.hand_out(control));
        }
        let Side::Dialer { credentials } = &self.0.side else {
            return Err(LinkError::Lost("a listener opens no streams".to_owned()));
        };
        let opened = tokio::select! {
            opened = self.open_further(credentials) => opened?,
            how = self.0.life.ended() => return Err(how.error()),
        };
        Ok(self.hand_out(opened))
    }

    async fn open_further(&self, credentials: &Credentials) -> Result<Halves, LinkError> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let place = place.map_err(|_| LinkError::ClosedHere)?;
        let dial = async {
            let mut stream = shake_hands(self.0.address, credentials, &self.0.traffic).await?;
            let (link, proof) = (self.0.secrets.name, self.0.secrets.proof(&stream)?);
            let opening = Opening::Bulk { link, proof };
            open(&mut stream, opening).await.map_err(|error| lost(&error))?;
            Ok::<_, LinkError>(stream)
        };
        let dialled = timeout(Duration::from_millis(HANDSHAKE_MS), dial).await;
        let stream = dialled.map_err(|_| LinkError::Stalled)??;
        let (idle, link) = (Duration::from_millis(IDLE_MS), Some(Arc::clone(&self.0.life)));
        Ok(Carrier { idle, link, held: vec![place] }.start(stream))
    }

    /// The control stream at first, then what the dialer opens; cancel-safe.
    pub(super) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), LinkError> {
        if let Some(control) = self.take_control() {
            return Ok(self.hand_out(control));
        }
        let Side::Listener { arrivals, .. } = &self.0.side else {
            return Err(self.0.life.ended().await.error());
        };
        let next = async { arrivals.lock().await.recv().await };
        tokio::select! {
            Some(halves) = next => Ok(self.hand_out(halves)),
            how = self.0.life.ended() => Err(how.error()),
        }
    }

    fn take_control(&self) -> Option<Halves> {
        self.0.control.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn hand_out(&self, halves: Halves) -> (SendStream, RecvStream) {
        let bounds = match &self.0.side {
            Side::Listener { bounds, .. } => Some(Arc::clone(bounds)),
            Side::Dialer { .. } => None,
        };
        let (sender, receiver) = halves.hand_out(&self.0);
        (SendStream::Tcp(sender), RecvStream::tcp(receiver).within(bounds))
    }

    /// Ends it at once, with all its streams, and tells the other side.
    pub(super) fn close(&self, reason: CloseReason, detail: &[u8]) {
        self.0.life.close(reason, detail);
    }

    /// Waits until it has ended.
    pub(super) async fn closed(&self) -> LinkError {
        self.0.life.ended().await.error()
    }

    /// What to wait for after the last clone is gone.
    pub(super) fn farewell(&self) -> Farewell {
        Farewell { link: Arc::downgrade(&self.0), life: Arc::clone(&self.0.life) }
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        self.0.address
    }

    pub(super) fn traffic_bytes(&self) -> (u64, u64) {
        self.0.traffic.bytes()
    }

    /// Of this connection's control stream; of the labels that are known to be asked for.
    pub(super) fn exporter(&self, label: &[u8]) -> Result<[u8; 32], LinkError> {
        if label == EXPORTER_LABEL {
            return Ok(self.0.secrets.enrolment);
        }
        Err(LinkError::Credentials("no exporter".to_owned()))
    }
}

/// The end of a link that may be gone already.
pub(super) struct Farewell {
    link: std::sync::Weak<Outer>,
    life: Arc<Life>,
}

impl Farewell {
    /// Closes the link, if it is there, and waits until that is said, or cannot be.
    pub(super) async fn close(&self, reason: CloseReason) {
        if let Some(link) = self.link.upgrade() {
            link.life.close(reason, b"");
        }
        self.life.written().await;
    }
}

impl Secrets {
    fn of(stream: &Tls) -> Result<Self, LinkError> {
        let name = export(stream, NAME_LABEL, None)?;
        let mut short = LinkName::default();
        short.copy_from_slice(&name[..16]);
        let enrolment = export(stream, EXPORTER_LABEL, None)?;
        Ok(Self { enrolment, name: short, link: export(stream, SECRET_LABEL, None)? })
    }

    /// That `further` is of the same two ends as the link.
    fn proof(&self, further: &Tls) -> Result<[u8; 32], LinkError> {
        export(further, PROOF_LABEL, Some(&self.link))
    }
}

fn export(stream: &Tls, label: &[u8], context: Option<&[u8]>) -> Result<[u8; 32], LinkError> {
    let exported = match stream {
        TlsStream::Client(stream) => {
            stream.get_ref().1.export_keying_material([0; 32], label, context)
        }
        TlsStream::Server(stream) => {
            stream.get_ref().1.export_keying_material([0; 32], label, context)
        }
    };
    exported.map_err(|_| LinkError::Credentials("no exporter".to_owned()))
}

/// Connects and shakes hands. Waits for ever.
async fn shake_hands(
    address: SocketAddr,
    credentials: &Credentials,
    traffic: &Arc<Traffic>,
) -> Result<Tls, LinkError> {
    let refused = Refused::default();
    let tls = credentials(&refused).map_err(|error| LinkError::Credentials(error.to_string()))?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|source| LinkError::NoTcp { address, source })?;
    // What is written is written whole; waiting for more only delays it.
    stream.set_nodelay(true).map_err(|error| lost(&error))?;
    let name = ServerName::try_from(SERVER_NAME);
    let name = name.map_err(|error| LinkError::Credentials(error.to_string()))?;
    let counted = Counted::new(stream, Arc::clone(traffic));
    let shaken = TlsConnector::from(Arc::new(tls)).connect(name, counted).await;
    let stream = shaken
        .map_err(|error| tls::take(&refused).map_or_else(|| lost(&error), LinkError::from))?;
    Ok(stream.into())
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    opening: Opening,
) -> std::io::Result<()> {
    let opening = record::encode(Kind::Opening, &crate::wire::encode(&opening));
    stream.write_all(&opening).await?;
    stream.flush().await
}

/// An error of a TLS connection, as far as it says what is wrong.
pub(super) fn lost(error: &std::io::Error) -> LinkError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => of_tls((*alert).into(), &error.to_string()),
        Some(rustls::Error::NoApplicationProtocol) => LinkError::OtherProtocol,
        Some(rustls::Error::NoCertificatesPresented) => {
            LinkError::NotAccepted("it showed no certificate".to_owned())
        }
        _ => LinkError::Lost(error.to_string()),
    }
}
