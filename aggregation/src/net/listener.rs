//! The coordinator's end: admits members, bounds strangers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Endpoint, IdleTimeout, Incoming, TransportConfig, VarInt};
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::limits::{KEEP_ALIVE_MS, LINK_WINDOW_BYTES, STREAM_WINDOW_BYTES, STREAMS_MAX};
use crate::net::bounds::Bounds;
use crate::net::certificate::{Claim, Stranger};
use crate::net::connection::Connection;
use crate::net::enrolment::{Applicant, Bearer};
use crate::net::error::{CloseReason, LinkError};
use crate::net::guest_list::GuestList;
use crate::net::key::IdentityKey;
use crate::net::link::Link;
use crate::net::membership::Membership;
use crate::net::newcomer;
use crate::net::places::{AddressPlaces, Places};
use crate::net::reset;
use crate::net::tcp::door::{Dialled, Door, Registry};
use crate::net::tls::{self, Offered, Refused};
use crate::net::version::{Mismatch, Protocol, Versions};
use crate::party::{PartyId, Role};

/// Who may dial a listener.
const DIALERS: [Role; 3] = [Role::Holder, Role::DataOwner, Role::Researcher];

/// Longest wait until those who are linked have heard that the listener closes.
const CLOSING: Duration = Duration::from_secs(1);

/// Wait after the system gave no connection: it has no descriptors left, and may have some soon.
const NO_CONNECTION: Duration = Duration::from_millis(100);

/// Tries to find a port that is free for both UDP and TCP.
const PORTS_TRIED_MAX: u8 = 16;

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

/// Where a listener takes TLS over TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpDoor {
    /// At the address and the number of the UDP port.
    #[default]
    Same,
    /// At another address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Where a listener listens, and what it lets others take of it.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Over UDP. Port 0 takes a free one.
    pub quic: SocketAddr,
    /// Over TCP.
    pub tcp: TcpDoor,
    /// Its limits.
    pub bounds: Bounds,
    /// The versions of the protocol that it speaks.
    pub versions: Versions,
}

impl From<SocketAddr> for Doors {
    fn from(quic: SocketAddr) -> Self {
        let (tcp, bounds, versions) = (TcpDoor::Same, Bounds::default(), Versions::default());
        Self { quic, tcp, bounds, versions }
    }
}

/// What members dial.
pub struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
    tcp: Option<(SocketAddr, JoinHandle<()>)>,
    registry: Arc<Registry>,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Listener {
    /// Listens to whom `guests` let in. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LinkError::PortInUse`], [`LinkError::Socket`] or [`LinkError::Credentials`].
    pub fn bind(
        doors: impl Into<Doors>,
        membership: Arc<Membership>,
        guests: GuestList,
    ) -> Result<Self, LinkError> {
        let Doors { quic, tcp, bounds, versions } = doors.into();
        let config = server_config(&membership, &versions, &bounds)?;
        let (endpoint, socket) = both((quic, tcp), &config, membership.key())?;
        let address = endpoint.local_addr();
        let address = address.map_err(|source| LinkError::Socket { address: quic, source })?;
        let (sender, arrivals) = mpsc::channel(bounds.handshakes.max(1));
        let registry = Arc::<Registry>::default();
        let hall = Arc::new(Hall {
            membership,
            guests,
            config,
            versions,
            sender,
            places: Semaphore::new(bounds.handshakes).into(),
            tcp_places: Semaphore::new(bounds.handshakes).into(),
            connections: Semaphore::new(bounds.tcp_connections).into(),
            addresses: Places::new(bounds.handshakes_per_address),
            members: Places::new(bounds.links_per_member),
            registry: Arc::clone(&registry),
            bounds: Arc::new(bounds),
        });
        let tcp = match socket {
            Some(socket) => Some((
                socket
                    .local_addr()
                    .map_err(|source| LinkError::Socket { address: quic, source })?,
                tokio::spawn(Arc::clone(&hall).admit_all_tcp(socket)),
            )),
            None => None,
        };
        tokio::spawn(hall.admit_all(endpoint.clone()));
        Ok(Self { endpoint, address, tcp, registry, arrivals })
    }

    /// Where it listens over UDP.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens over TCP, if it does.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(address, _)| *address)
    }

    /// Waits for the next arrival; cancel-safe. `None` after [`close`](Self::close).
    pub async fn accept(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// Ends every link, tells the other sides, and waits a second at most for that to arrive.
    pub async fn close(self) {
        let reason = CloseReason::ShuttingDown;
        if let Some((_, admitting)) = &self.tcp {
            admitting.abort();
        }
        self.endpoint.close(reason.code().into(), b"");
        let told =
            async { tokio::join!(self.endpoint.wait_idle(), self.registry.close_all(reason)) };
        let _ = timeout(CLOSING, told).await;
        if let Some((_, admitting)) = self.tcp {
            // Gives the port back.
            let _ = admitting.await;
        }
    }
}

/// Sockets for UDP and TCP; where any port will do, one that is free for both.
fn both(
    (quic, tcp): (SocketAddr, TcpDoor),
    config: &quinn::ServerConfig,
    key: &IdentityKey,
) -> Result<(Endpoint, Option<TcpListener>), LinkError> {
    let mut tries = PORTS_TRIED_MAX;
    loop {
        let failed = |address: SocketAddr, source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => LinkError::PortInUse { address },
            _ => LinkError::Socket { address, source },
        };
        let endpoint = reset::endpoint(quic, config.clone(), key);
        let endpoint = endpoint.map_err(|source| failed(quic, source))?;
        let same = endpoint.local_addr().map_err(|source| failed(quic, source))?;
        let at = match tcp {
            TcpDoor::Same => same,
            TcpDoor::At(address) => address,
            TcpDoor::Off => return Ok((endpoint, None)),
        };
        match listen_tcp(at) {
            Ok(socket) => return Ok((endpoint, Some(socket))),
            Err(source) => {
                tries -= 1;
                let is_free_choice = tcp == TcpDoor::Same && quic.port() == 0;
                if !is_free_choice || tries == 0 || source.kind() != io::ErrorKind::AddrInUse {
                    return Err(failed(at, source));
                }
            }
        }
    }
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    // Connections of an earlier life of this program may still be in their last minute.
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Where newcomers wait until they are known.
struct Hall {
    membership: Arc<Membership>,
    guests: GuestList,
    config: quinn::ServerConfig,
    versions: Versions,
    sender: mpsc::Sender<Arrival>,
    /// Handshakes under way over QUIC.
    places: Arc<Semaphore>,
    /// Handshakes under way over TCP.
    tcp_places: Arc<Semaphore>,
    /// Connections over TCP.
    connections: Arc<Semaphore>,
    /// Handshakes under way over TCP by address.
    addresses: Arc<AddressPlaces>,
    /// Links by member.
    members: Arc<Places<PartyId>>,
    registry: Arc<Registry>,
    bounds: Arc<Bounds>,
}

/// Somebody whose handshake is done.
struct Come {
    connection: Connection,
    certificate: Option<CertificateDer<'static>>,
    protocol: Option<Vec<u8>>,
    offered: Offered,
}

impl Hall {
    async fn admit_all(self: Arc<Self>, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let under_way = self.bounds.handshakes - self.places.available_permits();
            if under_way > self.bounds.handshakes_before_retry && incoming.may_retry() {
                // Cannot fail: `may_retry` has just been asked.
                let _ = incoming.retry();
                continue;
            }
            let hall = Arc::clone(&self);
            tokio::spawn(async move {
                let address = incoming.remote_address();
                let admitted = hall.admit(incoming).await;
                hall.tell(address, admitted.map(Some)).await;
                drop(place);
            });
        }
    }

    async fn admit_all_tcp(self: Arc<Self>, socket: TcpListener) {
        loop {
            let Ok((stream, address)) = socket.accept().await else {
                // The connection is gone already, or there are no descriptors.
                sleep(NO_CONNECTION).await;
                continue;
            };
            // Who finds no place is dropped at once: nothing was spent on them, and they dial again.
            let Some(address_place) = self.addresses.take(address.ip()) else { continue };
            let Ok(place) = Arc::clone(&self.tcp_places).try_acquire_owned() else { continue };
            let Ok(held) = Arc::clone(&self.connections).try_acquire_owned() else { continue };
            let hall = Arc::clone(&self);
            tokio::spawn(async move {
                let admitted = hall.admit_tcp(stream, held).await;
                hall.tell(address, admitted).await;
                drop((place, address_place));
            });
        }
    }

    async fn tell(&self, address: SocketAddr, admitted: Result<Option<Arrival>, LinkError>) {
        let arrival = match admitted {
            Ok(Some(arrival)) => arrival,
            // A further stream of a link.
            Ok(None) => return,
            Err(error) => Arrival::Refused { address, error },
        };
        // Nobody listens any more only when the program is stopping.
        let _ = self.sender.send(arrival).await;
    }

    async fn admit(&self, incoming: Incoming) -> Result<Arrival, LinkError> {
        let (refused, offered) = (Refused::default(), Offered::default());
        let mut config = self.config.clone();
        config.crypto = Arc::new(quic(self.tls(&refused, &offered)?)?);
        let connecting = incoming.accept_with(Arc::new(config))?;
        let connection = match timeout(self.bounds.handshake, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(lost)) => return Err(self.of_handshake(lost.into(), &refused, &offered)),
            Err(_) => return Err(LinkError::Stalled),
        };
        self.welcome(Come {
            certificate: certificate_of(&connection),
            protocol: protocol_of(&connection),
            connection: Connection::Quic(connection, Some(Arc::clone(&self.bounds))),
            offered,
        })
        .await
    }

    async fn admit_tcp(
        &self,
        stream: TcpStream,
        held: OwnedSemaphorePermit,
    ) -> Result<Option<Arrival>, LinkError> {
        let (refused, offered) = (Refused::default(), Offered::default());
        let tls = self.tls(&refused, &offered)?;
        let door = Door { bounds: &self.bounds, registry: &self.registry };
        let dialled = door.admit(stream, tls, held).await;
        let dialled = dialled.map_err(|error| self.of_handshake(error, &refused, &offered))?;
        let Some(Dialled { connection, certificate, protocol }) = dialled else { return Ok(None) };
        let connection = Connection::Tcp(connection);
        let come = Come { connection, certificate, protocol, offered };
        self.welcome(come).await.map(Some)
    }

    /// What a handshake that failed says, with what was noted on the way.
    fn of_handshake(&self, error: LinkError, refused: &Refused, offered: &Offered) -> LinkError {
        if let Some(stranger) = tls::take(refused) {
            return stranger.into();
        }
        match error {
            LinkError::OtherProtocol => LinkError::Unsupported(self.mismatch(offered)),
            other => other,
        }
    }

    fn mismatch(&self, offered: &Offered) -> Mismatch {
        let offered = offered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Mismatch::seen(&self.versions, &offered)
    }

    fn tls(&self, refused: &Refused, offered: &Offered) -> Result<rustls::ServerConfig, LinkError> {
        tls::server_config(&self.membership, &self.versions, (refused, offered))
            .map_err(|error| LinkError::Credentials(error.to_string()))
    }

    /// Finds out who came, and takes in what they say first.
    async fn welcome(&self, come: Come) -> Result<Arrival, LinkError> {
        let Come { connection, certificate, protocol, offered } = come;
        let Some((protocol, version)) = self.versions.agreed(protocol.as_deref()) else {
            connection.close_saying(CloseReason::Unsupported, &self.versions.said());
            return Err(LinkError::Unsupported(self.mismatch(&offered)));
        };
        let turn_away = |error: &LinkError| connection.close(error.close_reason());
        let none = || Stranger::Malformed("there is none".to_owned());
        let certificate =
            certificate.ok_or_else(|| LinkError::from(none())).inspect_err(turn_away)?;
        let guests = self.guests.now();
        let member = || {
            let claim = Claim::read(&certificate)?;
            Ok::<_, LinkError>(guests.recognise(&claim, &DIALERS)?)
        };
        let with = (connection.clone(), (protocol, version));
        if protocol == Protocol::Enrolment {
            let bearer = match newcomer::read(&certificate) {
                Some(key) => Bearer::Newcomer(key),
                None => Bearer::Member(Box::new(member().inspect_err(turn_away)?)),
            };
            let place = self.place(bearer.key()).inspect_err(turn_away)?;
            let with = (connection.clone(), version);
            let applicant = Applicant::hear(with, (bearer, place), self.bounds.handshake).await?;
            return Ok(Arrival::Applicant(Box::new(applicant)));
        }
        let peer = member().inspect_err(turn_away)?;
        let place = self.place(peer.id).inspect_err(turn_away)?;
        let link = Link::welcome(with, (peer, place), &guests, self.bounds.handshake).await?;
        Ok(Arrival::Link(Box::new(link)))
    }

    fn place(&self, key: PartyId) -> Result<crate::net::places::MemberPlace, LinkError> {
        self.members.take(key).ok_or(LinkError::Crowded { links: self.bounds.links_per_member })
    }
}

fn certificate_of(connection: &quinn::Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

fn protocol_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

fn quic(tls: rustls::ServerConfig) -> Result<QuicServerConfig, LinkError> {
    QuicServerConfig::try_from(tls).map_err(|error| LinkError::Credentials(error.to_string()))
}

fn server_config(
    membership: &Arc<Membership>,
    versions: &Versions,
    bounds: &Bounds,
) -> Result<quinn::ServerConfig, LinkError> {
    let noted = (&Refused::default(), &Offered::default());
    let tls = tls::server_config(membership, versions, noted)
        .map_err(|error| LinkError::Credentials(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic(tls)?));
    config.max_incoming(bounds.handshakes);
    let streams = bounds.streams.min(STREAMS_MAX);
    config.transport_config(Arc::new(transport(streams, bounds.idle)));
    Ok(config)
}

/// The transport's limits; `streams` is how many the other side may open, and a link from which nothing
/// comes for `idle` is lost.
pub(super) fn transport(streams: u32, idle: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle_ms = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .send_window(u64::from(LINK_WINDOW_BYTES))
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))));
    transport
}
