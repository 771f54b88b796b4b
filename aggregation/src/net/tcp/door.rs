//! A listener's door over TCP: the handshake, what a connection is for, and to which link it belongs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::limits::STREAMS_MAX;
use crate::net::bounds::Bounds;
use crate::net::certificate::Claim;
use crate::net::error::{CloseReason, LinkError};
use crate::net::newcomer;
use crate::net::tcp::carrier::Carrier;
use crate::net::tcp::counted::{Counted, Traffic};
use crate::net::tcp::record::{self, BadRecord, Kind};
use crate::net::tcp::{
    Farewell, LinkName, Opening, Outer, Secrets, Side, TcpConnection, Tls, lost,
};
use crate::party::PartyId;
use crate::wire::{self, Malformed};

/// How long somebody who was refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// A fatal alert before there are keys, in a record of its own (RFC 8446, sections 5.1 and 6).
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// The links of a listener, by name.
#[derive(Default)]
pub(in crate::net) struct Registry(Mutex<HashMap<LinkName, Weak<Outer>>>);

impl Registry {
    pub(super) fn forget(&self, name: &LinkName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn remember(&self, link: &Arc<Outer>) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(link.secrets.name, Arc::downgrade(link));
    }

    fn find(&self, name: &LinkName) -> Option<Arc<Outer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name)?.upgrade()
    }

    /// Closes every link, and waits until that is said, or cannot be.
    pub(in crate::net) async fn close_all(&self, reason: CloseReason) {
        let links: Vec<_> = {
            let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            links.values().filter_map(Weak::upgrade).collect()
        };
        let farewells: Vec<Farewell> =
            links.into_iter().map(|link| TcpConnection(link).farewell()).collect();
        // All are told before any is waited for.
        for farewell in &farewells {
            if let Some(link) = farewell.link.upgrade() {
                link.life.close(reason, b"");
            }
        }
        for farewell in farewells {
            farewell.close(reason).await;
        }
    }
}

/// Somebody who dialled over TCP.
pub(in crate::net) struct Dialled {
    pub(in crate::net) connection: TcpConnection,
    pub(in crate::net) certificate: Option<CertificateDer<'static>>,
    pub(in crate::net) protocol: Option<Vec<u8>>,
}

/// What a listener has for everybody who dials over TCP.
pub(in crate::net) struct Door<'a> {
    pub(in crate::net) bounds: &'a Arc<Bounds>,
    pub(in crate::net) registry: &'a Arc<Registry>,
}

impl Door<'_> {
    /// Takes in a connection; none where it was a further stream of a link, which has it now.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(in crate::net) async fn admit(
        &self,
        stream: TcpStream,
        tls: rustls::ServerConfig,
        place: OwnedSemaphorePermit,
    ) -> Result<Option<Dialled>, LinkError> {
        let address = stream.peer_addr().map_err(|error| lost(&error))?;
        // What is written is written whole; waiting for more only delays it.
        stream.set_nodelay(true).map_err(|error| lost(&error))?;
        let traffic = Arc::<Traffic>::default();
        let counted = Counted::new(stream, Arc::clone(&traffic));
        let accepting = TlsAcceptor::from(Arc::new(tls)).accept(counted).into_fallible();
        let shaken = timeout(self.bounds.handshake, accepting).await;
        let mut stream: Tls = match shaken.map_err(|_| LinkError::Stalled)? {
            Ok(stream) => stream.into(),
            Err((error, mut stream)) => {
                let error = lost(&error);
                if matches!(error, LinkError::OtherProtocol) {
                    // TLS gives up before it has keys, and its one attempt to say so may come before
                    // the socket can be written to.
                    let _ = timeout(FAREWELL, stream.write_all(&NO_APPLICATION_PROTOCOL)).await;
                }
                // The alert is written; a connection dropped at once could lose it.
                say_farewell(stream).await;
                return Err(error);
            }
        };
        let opening = timeout(self.bounds.header, opening(&mut stream)).await;
        let opening = match opening.unwrap_or(Err(LinkError::Stalled)) {
            Ok(opening) => opening,
            Err(error) => {
                refuse(stream, error.close_reason()).await;
                return Err(error);
            }
        };
        match opening {
            Opening::Link => self.link(stream, (address, traffic, place)).map(Some),
            Opening::Bulk { link, proof } => {
                self.further(stream, (&link, &proof), place).await.map(|()| None)
            }
        }
    }

    fn link(
        &self,
        stream: Tls,
        (address, traffic, place): (SocketAddr, Arc<Traffic>, OwnedSemaphorePermit),
    ) -> Result<Dialled, LinkError> {
        let (certificate, protocol) = shown(&stream);
        let secrets = Secrets::of(&stream)?;
        let streams = self.bounds.streams.min(STREAMS_MAX) as usize;
        let (further, arrivals) = mpsc::channel(streams);
        let side = Side::Listener {
            peer: certificate.as_ref().and_then(key_of),
            bounds: Arc::clone(self.bounds),
            arrivals: tokio::sync::Mutex::new(arrivals),
            further,
            registry: Arc::clone(self.registry),
        };
        let carrier = Carrier { idle: self.bounds.idle, link: None, held: vec![place] };
        let places = Arc::new(Semaphore::new(streams.saturating_sub(1)));
        let halves = carrier.start(stream);
        let connection = TcpConnection::new(halves, address, secrets, (traffic, places), side);
        self.registry.remember(&connection.0);
        Ok(Dialled { connection, certificate, protocol })
    }

    /// Hands a further stream to its link. Where there is none any more, or where it has as many as it
    /// may have, the other side is told so; who proves nothing is refused.
    async fn further(
        &self,
        mut stream: Tls,
        (name, proof): (&LinkName, &[u8; 32]),
        place: OwnedSemaphorePermit,
    ) -> Result<(), LinkError> {
        let Some(link) = self.registry.find(name) else {
            refuse(stream, CloseReason::Finished).await;
            return Ok(());
        };
        let Side::Listener { peer, bounds, further, .. } = &link.side else { return Ok(()) };
        let key = shown(&stream).0.as_ref().and_then(key_of);
        let is_proven =
            crate::hash::Digest(link.secrets.proof(&stream)?).equals(&crate::hash::Digest(*proof));
        if key.is_none() || key != *peer || !is_proven {
            refuse(stream, CloseReason::Protocol).await;
            return Err(Malformed::Shape { what: "stream of a link" }.into());
        }
        let Ok(stream_place) = Arc::clone(&link.places).try_acquire_owned() else {
            refuse(stream, CloseReason::Busy).await;
            return Ok(());
        };
        if let tokio_rustls::TlsStream::Server(stream) = &mut stream {
            stream.get_mut().0.count_for(&link.traffic);
        }
        let held = vec![place, stream_place];
        let carrier = Carrier { idle: bounds.idle, link: Some(Arc::clone(&link.life)), held };
        // There is room for as many as there are places, unless the link has ended.
        let _ = further.try_send(carrier.start(stream));
        Ok(())
    }
}

/// What a dialer has shown in the handshake: its certificate and the protocol.
fn shown(stream: &Tls) -> (Option<CertificateDer<'static>>, Option<Vec<u8>>) {
    let state = stream.get_ref().1;
    let certificate = state.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.map(|certificate| certificate.clone().into_owned());
    (certificate, state.alpn_protocol().map(<[u8]>::to_vec))
}

fn key_of(certificate: &CertificateDer<'static>) -> Option<PartyId> {
    let member = Claim::read(certificate).ok().map(|claim| claim.key);
    member.or_else(|| newcomer::read(certificate))
}

async fn opening(stream: &mut Tls) -> Result<Opening, LinkError> {
    match record::read(stream).await {
        Ok((Kind::Opening, content)) => Ok(wire::decode(&content, record::OPENING_BYTES_MAX)?),
        Ok(_) => Err(Malformed::Shape { what: "opening" }.into()),
        Err(BadRecord::Malformed(malformed)) => Err(malformed.into()),
        Err(BadRecord::Io(error)) => Err(lost(&error)),
    }
}

/// Tells somebody no, and waits a little until it has arrived.
async fn refuse(mut stream: Tls, reason: CloseReason) {
    let said = record::encode(Kind::Close, &reason.code().to_le_bytes());
    let tell = async {
        stream.write_all(&said).await?;
        stream.flush().await
    };
    if matches!(timeout(FAREWELL, tell).await, Ok(Ok(()))) {
        say_farewell(stream).await;
    }
}

/// Ends a connection so that what was written arrives: bytes that come meanwhile are read, as a system
/// that drops a connection with unread bytes drops what it has not sent, too.
async fn say_farewell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let rest = async {
        let _ = stream.shutdown().await;
        let mut bytes = [0; 4096];
        while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
    };
    let _ = timeout(FAREWELL, rest).await;
}
