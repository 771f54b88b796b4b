//! The end of holders and data owners: they only dial out, for ever, and never all at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::time::{sleep, timeout};

use super::boxed::Boxed;
use crate::limits::{BACKOFF_MAX_MS, BACKOFF_MIN_MS};
use crate::net::connection::Connection;
use crate::net::egress::{Door, Egress};
use crate::net::error::{CloseReason, LinkError};
use crate::net::link::{Greeting, Link};
use crate::net::membership::Membership;
use crate::net::route::{Goodbye, Route};
use crate::net::tcp::Credentials;
use crate::net::tls::{self, Refused};
use crate::net::transport::Way;
use crate::net::version::{Protocol, Versions};
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
    route: Route,
    protocol: Protocol,
    versions: Versions,
    egress: Option<Arc<dyn Egress>>,
    goodbye: Option<Goodbye>,
    failures: u32,
    linked_at: Option<Instant>,
}

impl Dialer {
    /// Dials by `route` as `membership`; an address alone is by QUIC, or by TCP where nothing answers.
    ///
    /// # Errors
    /// [`LinkError::Credentials`] when the roster has no coordinator.
    pub fn new(membership: Arc<Membership>, route: impl Into<Route>) -> Result<Self, LinkError> {
        let mut coordinators = membership.roster().with_role(Role::Coordinator);
        let none = || LinkError::Credentials("the roster has no coordinator".to_owned());
        let coordinator = coordinators.next().cloned().ok_or_else(none)?;
        drop(coordinators);
        let (egress, goodbye, failures, linked_at) = (None, None, 0, None);
        let (route, versions) = (route.into(), Versions::default());
        let protocol = Protocol::Link;
        Ok(Self {
            membership,
            coordinator,
            route,
            protocol,
            versions,
            egress,
            goodbye,
            failures,
            linked_at,
        })
    }

    /// Dials for requests beside a link ([`Protocol::Desk`]).
    #[must_use]
    pub fn to_desk(self) -> Self {
        Self { protocol: Protocol::Desk, ..self }
    }

    /// Speaks these versions of the protocol instead of all that this program knows.
    #[must_use]
    pub fn with_versions(self, versions: Versions) -> Self {
        Self { versions, ..self }
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
    pub fn connect_once(&mut self) -> Boxed<'_, Result<Link, LinkError>> {
        Box::pin(self.dial())
    }

    async fn dial(&mut self) -> Result<Link, LinkError> {
        let (connection, way, version) = self.handshake().await?;
        let spoken = (self.protocol, version);
        let door = self.egress.clone().map(|egress| {
            Door::new(egress, self.coordinator.name.clone(), connection.remote_address())
        });
        let roster = self.membership.roster();
        let greeting = Greeting { roster: roster.digest(), number: roster.number };
        let with = (connection, way, spoken);
        match Link::greet(with, self.coordinator.clone(), greeting, door).await {
            Err(LinkError::Newer(newer)) => Err(self.membership.take_over(&newer)),
            link => link,
        }
    }

    /// Dials once and says nothing: whether the coordinator answers, is who the roster says, and
    /// does not turn this member away within `patience`. Where it is, and the way to it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn probe(&mut self, patience: Duration) -> Boxed<'_, Result<(SocketAddr, Way), LinkError>> {
        Box::pin(self.knock(patience))
    }

    async fn knock(&mut self, patience: Duration) -> Result<(SocketAddr, Way), LinkError> {
        let (connection, way, _) = self.handshake().await?;
        // A listener checks the dialer's certificate after its own part of the handshake.
        match timeout(patience, connection.closed()).await {
            Ok(lost) => Err(lost),
            Err(_) => Ok((connection.remote_address(), way)),
        }
    }

    async fn handshake(&mut self) -> Result<(Connection, Way, u16), LinkError> {
        let (membership, versions) = (Arc::clone(&self.membership), self.versions.clone());
        let protocol = self.protocol;
        let credentials: Credentials = Arc::new(move |refused: &Refused| {
            tls::client_config(&membership, (protocol, &versions), refused)
        });
        let reached = self.route.reach(&credentials).await?;
        let version = reached.agreed(&self.versions, protocol).await?;
        self.goodbye = Some(reached.goodbye);
        Ok((reached.connection, reached.way, version))
    }

    /// Ends the link, tells the coordinator, and waits a second at most for that to arrive.
    pub async fn close(&mut self) {
        if let Some(goodbye) = self.goodbye.take() {
            goodbye.say(CloseReason::ShuttingDown).await;
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
