//! The end of holders and data owners: they only dial out, for ever, and never all at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{Connection, Endpoint};
use rand::RngExt as _;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use crate::limits::{BACKOFF_MAX_MS, BACKOFF_MIN_MS, HANDSHAKE_MS};
use crate::net::egress::{Door, Egress};
use crate::net::error::{CloseReason, LinkError};
use crate::net::link::{Greeting, Link};
use crate::net::listener::transport;
use crate::net::membership::Membership;
use crate::net::tls::{self, Refused};
use crate::party::Role;
use crate::roster::Member;

/// TLS needs some server name; certificates are checked by their member URI instead, and the
/// name is not sent.
pub(super) const SERVER_NAME: &str = "coordinator.invalid";

/// A link that lived so long was a good one: the next wait is short again.
const GOOD_LINK: Duration = Duration::from_secs(10);

/// Dials the coordinator, again and again.
pub struct Dialer {
    membership: Arc<Membership>,
    coordinator: Member,
    address: String,
    egress: Option<Arc<dyn Egress>>,
    endpoint: Option<Endpoint>,
    failures: u32,
    linked_at: Option<Instant>,
}

impl Dialer {
    /// Dials `address` (`host:port`, resolved anew each time) as `membership`.
    ///
    /// # Errors
    /// [`LinkError::Credentials`] when the roster has no coordinator.
    pub fn new(membership: Arc<Membership>, address: String) -> Result<Self, LinkError> {
        let mut coordinators = membership.roster().with_role(Role::Coordinator);
        let none = || LinkError::Credentials("the roster has no coordinator".to_owned());
        let coordinator = coordinators.next().cloned().ok_or_else(none)?;
        drop(coordinators);
        let (egress, endpoint, failures, linked_at) = (None, None, 0, None);
        Ok(Self { membership, coordinator, address, egress, endpoint, failures, linked_at })
    }

    /// Shows `egress` everything before it leaves by a link of this dialer.
    #[must_use]
    pub fn with_egress(self, egress: Arc<dyn Egress>) -> Self {
        Self { egress: Some(egress), ..self }
    }

    /// Dials until there is a link; drop the future to stop. `on_retry` hears of every failure
    /// and of the wait after it.
    ///
    /// # Errors
    /// [`LinkError::Renewed`] once a newer roster was taken over: the membership is to be loaded
    /// again. Else only before there ever was a link, and only a [`LinkError`] that a person has to do
    /// something about ([`LinkError::is_permanent`]). After that every fault may be a passing
    /// one (an operator at work, somebody in the path), and giving up would be the greater harm.
    pub async fn connect(
        &mut self,
        mut on_retry: impl FnMut(LinkError, Duration),
    ) -> Result<Link, LinkError> {
        match self.linked_at.map(|at| at.elapsed()) {
            Some(lived) if lived >= GOOD_LINK => self.failures = 0,
            Some(_) => {
                self.failures = self.failures.saturating_add(1);
                sleep(self.wait()).await;
            }
            None => {}
        }
        loop {
            match self.connect_once().await {
                Ok(link) => {
                    self.linked_at = Some(Instant::now());
                    return Ok(link);
                }
                Err(error @ LinkError::Renewed { .. }) => return Err(error),
                Err(error) if error.is_permanent() && self.linked_at.is_none() => {
                    return Err(error);
                }
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    let wait = self.wait();
                    on_retry(error, wait);
                    sleep(wait).await;
                }
            }
        }
    }

    /// Dials once.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn connect_once(&mut self) -> Result<Link, LinkError> {
        let connection = self.handshake().await?;
        let door = self.egress.clone().map(|egress| {
            Door::new(egress, self.coordinator.name.clone(), connection.remote_address())
        });
        let roster = self.membership.roster();
        let greeting = Greeting { roster: roster.digest(), number: roster.number };
        match Link::greet(connection, self.coordinator.clone(), greeting, door).await {
            Err(LinkError::Newer(newer)) => Err(self.membership.take_over(&newer)),
            link => link,
        }
    }

    /// Dials once and says nothing: whether the coordinator answers, is who the roster says, and
    /// does not turn this member away within `patience`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn probe(&mut self, patience: Duration) -> Result<SocketAddr, LinkError> {
        let connection = self.handshake().await?;
        // A listener checks the dialer's certificate after its own part of the handshake.
        match timeout(patience, connection.closed()).await {
            Ok(lost) => Err(lost.into()),
            Err(_) => Ok(connection.remote_address()),
        }
    }

    async fn handshake(&mut self) -> Result<Connection, LinkError> {
        let address = resolve(&self.address).await?;
        let refused = Refused::default();
        let crypto = tls::client_config(&self.membership, &refused)
            .map_err(|error| LinkError::Credentials(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        // The coordinator opens no streams.
        config.transport_config(Arc::new(transport(0)));
        // A fresh socket each time: the machine may have moved to another network.
        let endpoint = self.endpoint.insert(open(address)?);
        let connecting = endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| LinkError::Credentials(error.to_string()))?;
        let handshake = timeout(Duration::from_millis(HANDSHAKE_MS), connecting).await;
        match handshake {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => {
                Err(LinkError::Unreachable { address })
            }
            Ok(Err(lost)) => Err(tls::take(&refused).map_or_else(|| lost.into(), LinkError::from)),
        }
    }

    /// Ends the link, tells the coordinator, and waits a second at most for that to arrive.
    pub async fn close(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.close(CloseReason::ShuttingDown.code(), b"");
            let _ = timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
        }
    }

    /// Doubles with every failure, up to a limit, and is between half and all of that: members
    /// that lost the same coordinator do not come back in the same moment.
    fn wait(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let longest_ms = (BACKOFF_MIN_MS << doublings).min(BACKOFF_MAX_MS);
        Duration::from_millis(rand::rng().random_range(longest_ms / 2..=longest_ms))
    }
}

pub(super) async fn resolve(address: &str) -> Result<SocketAddr, LinkError> {
    let bad = |reason: String| LinkError::Address { address: address.to_owned(), reason };
    let mut found = lookup_host(address).await.map_err(|error| bad(error.to_string()))?;
    found.next().ok_or_else(|| bad("the name has no address".to_owned()))
}

pub(super) fn open(remote: SocketAddr) -> Result<Endpoint, LinkError> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let address = SocketAddr::new(any, 0);
    Endpoint::client(address).map_err(|source| LinkError::Socket { address, source })
}
