//! The coordinator's end: admits members, bounds strangers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, IdleTimeout, Incoming, TransportConfig, VarInt};
use rustls_pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::limits::{
    HANDSHAKE_MS, HANDSHAKES_BEFORE_RETRY, HANDSHAKES_MAX, IDLE_MS, KEEP_ALIVE_MS,
    LINK_WINDOW_BYTES, STREAM_WINDOW_BYTES, STREAMS_MAX,
};
use crate::net::certificate::{Claim, Stranger};
use crate::net::enrolment::{Applicant, Bearer, ENROL_ALPN};
use crate::net::error::{CloseReason, LinkError};
use crate::net::guest_list::GuestList;
use crate::net::link::Link;
use crate::net::membership::Membership;
use crate::net::newcomer;
use crate::net::reset;
use crate::net::tls::{self, Refused};
use crate::party::Role;

/// Who may dial a listener.
const DIALERS: [Role; 3] = [Role::Holder, Role::DataOwner, Role::Researcher];

/// Somebody dialled.
pub enum Arrival {
    /// A member.
    Link(Box<Link>),
    /// Somebody who wants to become a member, or to stay or not to stay one.
    Applicant(Box<Applicant>),
    /// Somebody who was turned away, and why.
    Refused {
        /// From where.
        address: SocketAddr,
        /// Why.
        error: LinkError,
    },
}

/// A QUIC endpoint that members dial.
pub struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Listener {
    /// Listens at `address` (port 0 takes a free one) to whom `guests` let in. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`LinkError::PortInUse`], [`LinkError::Socket`] or [`LinkError::Credentials`].
    pub fn bind(
        address: SocketAddr,
        membership: Arc<Membership>,
        guests: GuestList,
    ) -> Result<Self, LinkError> {
        let config = server_config(&membership, &Refused::default())?;
        let endpoint = reset::endpoint(address, config.clone(), membership.key());
        let endpoint = endpoint.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => LinkError::PortInUse { address },
            _ => LinkError::Socket { address, source },
        })?;
        let bound = endpoint.local_addr();
        let bound = bound.map_err(|source| LinkError::Socket { address, source })?;
        let (sender, arrivals) = mpsc::channel(HANDSHAKES_MAX);
        let hall = Hall {
            membership,
            guests,
            config,
            sender,
            places: Semaphore::new(HANDSHAKES_MAX).into(),
        };
        tokio::spawn(hall.admit_all(endpoint.clone()));
        Ok(Self { endpoint, address: bound, arrivals })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next arrival; cancel-safe. `None` after [`close`](Self::close).
    pub async fn accept(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// Ends every link, tells the other sides, and waits a second at most for that to arrive.
    pub async fn close(self) {
        self.endpoint.close(CloseReason::ShuttingDown.code(), b"");
        let _ = timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }
}

/// Where newcomers wait until they are known.
struct Hall {
    membership: Arc<Membership>,
    guests: GuestList,
    config: quinn::ServerConfig,
    sender: mpsc::Sender<Arrival>,
    places: Arc<Semaphore>,
}

impl Hall {
    async fn admit_all(self, endpoint: Endpoint) {
        let hall = Arc::new(self);
        while let Some(incoming) = endpoint.accept().await {
            let Ok(place) = Arc::clone(&hall.places).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let busy = HANDSHAKES_MAX - hall.places.available_permits() > HANDSHAKES_BEFORE_RETRY;
            if busy && incoming.may_retry() {
                // Cannot fail: `may_retry` has just been asked.
                let _ = incoming.retry();
                continue;
            }
            let hall = Arc::clone(&hall);
            tokio::spawn(async move {
                let address = incoming.remote_address();
                let arrival = match hall.admit(incoming).await {
                    Ok(arrival) => arrival,
                    Err(error) => Arrival::Refused { address, error },
                };
                // Nobody listens any more only when the program is stopping.
                let _ = hall.sender.send(arrival).await;
                drop(place);
            });
        }
    }

    async fn admit(&self, incoming: Incoming) -> Result<Arrival, LinkError> {
        let refused = Refused::default();
        let mut config = self.config.clone();
        config.crypto = Arc::new(tls_config(&self.membership, &refused)?);
        let connecting = incoming.accept_with(Arc::new(config))?;
        let handshake = timeout(Duration::from_millis(HANDSHAKE_MS), connecting).await;
        let connection = match handshake {
            Ok(Ok(connection)) => connection,
            Ok(Err(lost)) => {
                return Err(tls::take(&refused).map_or_else(|| lost.into(), LinkError::from));
            }
            Err(_) => return Err(LinkError::Stalled),
        };
        let guests = self.guests.now();
        let turn_away = |stranger: &Stranger| {
            connection.close(CloseReason::of_stranger(stranger).code(), b"");
        };
        let certificate = certificate_of(&connection).inspect_err(turn_away)?;
        let member = |certificate: &CertificateDer<'_>| {
            guests.recognise(&Claim::read(certificate)?, &DIALERS)
        };
        if protocol_of(&connection).as_deref() == Some(ENROL_ALPN) {
            let bearer = match newcomer::read(&certificate) {
                Some(key) => Bearer::Newcomer(key),
                None => Bearer::Member(Box::new(member(&certificate).inspect_err(turn_away)?)),
            };
            let applicant = Applicant::hear(connection, bearer).await?;
            return Ok(Arrival::Applicant(Box::new(applicant)));
        }
        let peer = member(&certificate).inspect_err(turn_away)?;
        let link = Link::welcome(connection, peer, &guests).await?;
        Ok(Arrival::Link(Box::new(link)))
    }
}

fn certificate_of(connection: &quinn::Connection) -> Result<CertificateDer<'static>, Stranger> {
    let none = || Stranger::Malformed("there is none".to_owned());
    let identity = connection.peer_identity().ok_or_else(none)?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| none())?;
    chain.into_iter().next().ok_or_else(none)
}

fn protocol_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    data.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol
}

fn tls_config(
    membership: &Arc<Membership>,
    refused: &Refused,
) -> Result<quinn::crypto::rustls::QuicServerConfig, LinkError> {
    tls::server_config(membership, refused)
        .map_err(|error| LinkError::Credentials(error.to_string()))
}

fn server_config(
    membership: &Arc<Membership>,
    refused: &Refused,
) -> Result<quinn::ServerConfig, LinkError> {
    let crypto = tls_config(membership, refused)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.max_incoming(HANDSHAKES_MAX);
    config.transport_config(Arc::new(transport(STREAMS_MAX)));
    Ok(config)
}

/// The transport's limits; `streams` is how many the other side may open.
pub(super) fn transport(streams: u32) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .send_window(u64::from(LINK_WINDOW_BYTES))
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(
            IDLE_MS.try_into().ok().map(|ms: u32| IdleTimeout::from(VarInt::from_u32(ms))),
        );
    transport
}
