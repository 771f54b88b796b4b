//! How a dialer reaches its coordinator: over UDP, and over TCP where nothing answers there. Only
//! silence leads from one to the other: whoever answers and is refused, or refuses, has answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quinn::Endpoint;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use crate::limits::{HANDSHAKE_MS, IDLE_MS, QUIC_PATIENCE_MS, TCP_REMEMBERED_MS};
use crate::net::connection::Connection;
use crate::net::dialer::SERVER_NAME;
use crate::net::error::{CloseReason, LinkError};
use crate::net::listener::transport;
use crate::net::tcp::{Credentials, Farewell, TcpConnection};
use crate::net::tls::{self, Refused};
use crate::net::transport::{TransportChoice, Way};
use crate::net::version::{Protocol, Versions};

/// Longest wait for a goodbye to arrive.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where a coordinator is, and what it is reached by. All clones remember together what worked.
#[derive(Clone, Debug)]
pub struct Route {
    address: String,
    choice: TransportChoice,
    remembered: Arc<Mutex<Option<Remembered>>>,
}

/// That TCP was the way, and why.
#[derive(Debug)]
struct Remembered {
    since: Instant,
    why: String,
}

impl From<String> for Route {
    fn from(address: String) -> Self {
        Self::new(address, TransportChoice::Auto)
    }
}

impl From<&Self> for Route {
    fn from(route: &Self) -> Self {
        route.clone()
    }
}

/// A connection, and what the other side agreed to speak.
pub(super) struct Reached {
    pub(super) connection: Connection,
    pub(super) way: Way,
    pub(super) protocol: Option<Vec<u8>>,
    pub(super) goodbye: Goodbye,
}

/// What is left to do at a connection's end.
pub(super) enum Goodbye {
    Quic(Endpoint),
    Tcp(Farewell),
}

impl Goodbye {
    /// Ends the connection, tells the other side, and waits a second at most for that to arrive.
    pub(super) async fn say(self, reason: CloseReason) {
        let said = async {
            match self {
                Self::Quic(endpoint) => {
                    endpoint.close(reason.code().into(), b"");
                    endpoint.wait_idle().await;
                }
                Self::Tcp(farewell) => farewell.close(reason).await,
            }
        };
        let _ = timeout(GOODBYE, said).await;
    }
}

impl Reached {
    /// The version that was agreed on.
    ///
    /// # Errors
    /// [`LinkError::Unsupported`] with what the other side said; [`LinkError::OtherProtocol`] where it
    /// says nothing.
    pub(super) async fn agreed(
        &self,
        versions: &Versions,
        protocol: Protocol,
    ) -> Result<u16, LinkError> {
        match versions.agreed(self.protocol.as_deref()) {
            Some((agreed, version)) if agreed == protocol => Ok(version),
            _ => {
                let patience = Duration::from_millis(HANDSHAKE_MS);
                let said = timeout(patience, self.connection.closed()).await;
                let error = said.unwrap_or(LinkError::OtherProtocol);
                Err(error.offered(versions, protocol))
            }
        }
    }
}

/// Why an attempt came to nothing.
enum Failed {
    /// Nothing answers, which another transport may change.
    Silent(String),
    /// Somebody answered.
    Answered(LinkError),
}

impl Route {
    /// To `address` (`host:port`, resolved anew each time) by `choice`.
    #[must_use]
    pub fn new(address: String, choice: TransportChoice) -> Self {
        Self { address, choice, remembered: Arc::default() }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the settings say.
    #[must_use]
    pub const fn choice(&self) -> TransportChoice {
        self.choice
    }

    /// Dials once.
    pub(super) async fn reach(&self, credentials: &Credentials) -> Result<Reached, LinkError> {
        let address = resolve(&self.address).await?;
        let nothing = |tried: String| LinkError::Unreachable { address, tried };
        let alone = |failed: Failed| match failed {
            Failed::Silent(tried) => nothing(tried),
            Failed::Answered(error) => error,
        };
        match self.choice {
            TransportChoice::Quic => over_quic(address, credentials).await.map_err(alone),
            TransportChoice::Tcp => {
                let why = "transport = \"tcp\" is set".to_owned();
                over_tcp(address, credentials, why).await.map_err(alone)
            }
            TransportChoice::Auto => {
                let reached = match self.recall() {
                    None => quic_first(address, credentials).await,
                    Some(why) => tcp_first(address, credentials, why).await,
                };
                let reached = reached.map_err(|failed| match failed {
                    Failed::Silent(tried) => {
                        // Whatever worked once does not any more.
                        self.remember(&Way::QUIC);
                        nothing(tried)
                    }
                    Failed::Answered(error) => error,
                })?;
                self.remember(&reached.way);
                Ok(reached)
            }
        }
    }

    /// Why TCP is to be tried first, if it is.
    fn recall(&self) -> Option<String> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let while_good = Duration::from_millis(TCP_REMEMBERED_MS);
        let remembered = remembered.as_ref().filter(|one| one.since.elapsed() < while_good);
        remembered.map(|one| one.why.clone())
    }

    /// A way that worked; how long TCP is tried first counts from when QUIC was last tried.
    fn remember(&self, way: &Way) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        match &way.why {
            None => *remembered = None,
            Some(why) if remembered.as_ref().is_some_and(|one| one.why == *why) => {
                if let Some(one) = remembered.as_mut()
                    && one.since.elapsed() >= Duration::from_millis(TCP_REMEMBERED_MS)
                {
                    one.since = Instant::now();
                }
            }
            Some(why) => *remembered = Some(Remembered { since: Instant::now(), why: why.clone() }),
        }
    }
}

/// QUIC, and after a while without an answer TCP beside it.
async fn quic_first(address: SocketAddr, credentials: &Credentials) -> Result<Reached, Failed> {
    let patience = Duration::from_millis(QUIC_PATIENCE_MS);
    let quic = over_quic(address, credentials);
    tokio::pin!(quic);
    let no_answer = format!("UDP to {address} got no answer in {} s", patience.as_secs());
    let why = tokio::select! {
        reached = &mut quic => match reached {
            Err(Failed::Silent(why)) => {
                return match over_tcp(address, credentials, why.clone()).await {
                    Err(Failed::Silent(tcp)) => Err(Failed::Silent(format!("{why}; {tcp}"))),
                    reached => reached,
                };
            }
            answered => return answered,
        },
        () = sleep(patience) => no_answer,
    };
    let tcp = over_tcp(address, credentials, why);
    tokio::pin!(tcp);
    tokio::select! {
        reached = &mut quic => match reached {
            Err(Failed::Silent(quic)) => also(quic, tcp.await),
            answered => answered,
        },
        reached = &mut tcp => match reached {
            Ok(reached) => Ok(reached),
            // Whoever is at the other end of TCP, QUIC is the one that is asked first.
            Err(failed) => match (quic.await, failed) {
                (Err(Failed::Silent(quic)), failed) => also(quic, Err(failed)),
                (answered, _) => answered,
            },
        },
    }
}

/// TCP, as it worked before, and after a while without an answer QUIC beside it.
async fn tcp_first(
    address: SocketAddr,
    credentials: &Credentials,
    why: String,
) -> Result<Reached, Failed> {
    let patience = Duration::from_millis(QUIC_PATIENCE_MS);
    let tcp = over_tcp(address, credentials, why);
    tokio::pin!(tcp);
    tokio::select! {
        reached = &mut tcp => return match reached {
            Err(Failed::Silent(tcp)) => also(tcp, over_quic(address, credentials).await),
            answered => answered,
        },
        () = sleep(patience) => {}
    }
    let quic = over_quic(address, credentials);
    tokio::pin!(quic);
    tokio::select! {
        reached = &mut tcp => match reached {
            Err(Failed::Silent(tcp)) => also(tcp, quic.await),
            answered => answered,
        },
        reached = &mut quic => match reached {
            Err(Failed::Silent(quic)) => also(quic, tcp.await),
            answered => answered,
        },
    }
}

/// The outcome of the second attempt after a first one in silence.
fn also(first: String, second: Result<Reached, Failed>) -> Result<Reached, Failed> {
    match second {
        Err(Failed::Silent(second)) => Err(Failed::Silent(format!("{first}; {second}"))),
        second => second,
    }
}

async fn over_quic(address: SocketAddr, credentials: &Credentials) -> Result<Reached, Failed> {
    let answered = |error: String| Failed::Answered(LinkError::Credentials(error));
    let refused = Refused::default();
    let crypto = credentials(&refused).map_err(|error| answered(error.to_string()))?;
    let crypto = QuicClientConfig::try_from(crypto).map_err(|error| answered(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    // The coordinator opens no streams.
    config.transport_config(Arc::new(transport(0, Duration::from_millis(IDLE_MS))));
    // A fresh socket each time: the machine may have moved to another network.
    let endpoint = open(address);
    let endpoint =
        endpoint.map_err(|error| Failed::Silent(format!("UDP cannot be used here: {error}")))?;
    let connecting = endpoint.connect_with(config, address, SERVER_NAME);
    let connecting = connecting.map_err(|error| answered(error.to_string()))?;
    let patience = Duration::from_millis(HANDSHAKE_MS);
    let connection = match timeout(patience, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => {
            let seconds = patience.as_secs();
            return Err(Failed::Silent(format!("UDP to {address} got no answer in {seconds} s")));
        }
        Ok(Err(lost)) => {
            let error = tls::take(&refused).map_or_else(|| lost.into(), LinkError::from);
            return Err(Failed::Answered(error));
        }
    };
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
    Ok(Reached {
        protocol: data.and_then(|data| data.protocol),
        connection: Connection::Quic(connection, None),
        way: Way::QUIC,
        goodbye: Goodbye::Quic(endpoint),
    })
}

async fn over_tcp(
    address: SocketAddr,
    credentials: &Credentials,
    why: String,
) -> Result<Reached, Failed> {
    let patience = Duration::from_millis(HANDSHAKE_MS);
    let dialled = TcpConnection::dial(address, Arc::clone(credentials));
    match timeout(patience, dialled).await {
        Ok(Ok((connection, protocol))) => {
            let goodbye = Goodbye::Tcp(connection.farewell());
            let connection = Connection::Tcp(connection);
            Ok(Reached { connection, way: Way::tcp(why), protocol, goodbye })
        }
        Ok(Err(error @ LinkError::NoTcp { .. })) => Err(Failed::Silent(error.to_string())),
        Ok(Err(error)) => Err(Failed::Answered(error)),
        Err(_) => {
            let seconds = patience.as_secs();
            Err(Failed::Silent(format!("TCP to {address} got no answer in {seconds} s")))
        }
    }
}

async fn resolve(address: &str) -> Result<SocketAddr, LinkError> {
    let bad = |reason: String| LinkError::Address { address: address.to_owned(), reason };
    let mut found = lookup_host(address).await.map_err(|error| bad(error.to_string()))?;
    found.next().ok_or_else(|| bad("the name has no address".to_owned()))
}

fn open(remote: SocketAddr) -> std::io::Result<Endpoint> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Endpoint::client(SocketAddr::new(any, 0))
}
