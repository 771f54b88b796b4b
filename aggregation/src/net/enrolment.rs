//! How somebody becomes a member, stays one and leaves: a connection of its own kind, told apart by
//! its protocol ([`Protocol::Enrolment`]), with one stream of frames.
//!
//! A newcomer shows a certificate that it made itself; a member shows its own. The listener shows its
//! certificate and the authority's, which a newcomer compares with its invite and a member with the one
//! that it has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::boxed::Boxed;
use crate::hash::Digest;
use crate::limits::{FRAME_BYTES_MAX, HANDSHAKE_MS, NAME_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::net::certificate::authority_digest;
use crate::net::connection::Connection;
use crate::net::egress::{Door, Egress};
use crate::net::error::{CloseReason, LinkError};
use crate::net::frame::{FrameReader, FrameWriter, Stage};
use crate::net::invite::{Invite, InviteId, InviteSecret};
use crate::net::key::IdentityKey;
use crate::net::membership::Membership;
use crate::net::places::MemberPlace;
use crate::net::route::{Goodbye, Route};
use crate::net::tcp::Credentials;
use crate::net::tls::{self, Refused};
use crate::net::transport::Way;
use crate::net::version::{Protocol, Versions};
use crate::party::{Name, PartyId, Role};
use crate::roster::Member;
use crate::roster::succession::CertifiedRoster;

/// Label of the exporter that requests are bound to (RFC 8446, section 7.5).
pub(super) const EXPORTER_LABEL: &[u8] = b"covey enrolment";

/// Longest frame of somebody who enrols: a request and what goes with it.
const APPLICATION_BYTES_MAX: u32 = 2 * REQUEST_BYTES_MAX as u32 + NAME_BYTES_MAX as u32;

/// What somebody asks for.
#[derive(Serialize, Deserialize)]
pub enum Application {
    /// To become a member. Asked again with the same key, it goes on where it was.
    Join {
        /// By which invite.
        invite: InviteId,
        /// Its secret.
        secret: InviteSecret,
        /// The request, as in `request.json`.
        request: String,
        /// Of the request to this connection.
        binding: Digest,
    },
    /// A member's certificate again, for as long as a new one.
    Renew,
    /// To be a member no more.
    Leave,
}

/// What a newcomer waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// The operator has to approve.
    Operator,
    /// The committee is not complete.
    Committee {
        /// Holders that have joined.
        holders: u8,
        /// Of so many.
        of: u8,
    },
    /// Holders have to sign the roster with the newcomer in it.
    Signatures {
        /// So many did.
        signed: u8,
        /// So many have to.
        needed: u8,
    },
    /// The round at hand has to end.
    Round,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operator => f.write_str("the operator has to approve"),
            Self::Committee { holders, of } => {
                write!(
                    f,
                    "the committee is not complete: {holders} of {of} key holders have joined"
                )
            }
            Self::Signatures { signed, needed } => write!(
                f,
                "the key holders have to sign the list of members: {signed} of the {needed} needed \
                 did"
            ),
            Self::Round => f.write_str("the round at hand has to end"),
        }
    }
}

/// The coordinator's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Not yet; more answers follow.
    Wait(Waiting),
    /// A member's certificate, PEM, and the authority's. For a newcomer more answers follow.
    Certificate {
        /// For `member.pem`.
        member: String,
        /// For `authority.pem`.
        authority: String,
    },
    /// The roster in force, with the newcomer in it.
    Member(Box<CertifiedRoster>),
    /// It is a member no more.
    Left,
    /// No.
    Refused(NotEnrolled),
}

/// Why somebody does not become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotEnrolled {
    /// No such invite, or another secret.
    #[error("the coordinator knows no such invite; ask the operator for another")]
    NoInvite,
    /// Too late.
    #[error("the invite has expired; ask the operator for another")]
    Expired,
    /// Somebody else was first.
    #[error(
        "the invite was used already, with another key; if that was not you, tell the operator"
    )]
    Used,
    /// The operator took it back.
    #[error("the operator has taken the invite back")]
    Revoked,
    /// Something stands between the two.
    #[error("the request does not belong to this connection: somebody may stand in between")]
    NotBound,
    /// The request is for another key than the one of the connection.
    #[error("the request is for another key than the one that the connection was made with")]
    OtherKey,
    /// The request asks for something else than the invite says.
    #[error("the invite is for {name} in another role or under another name than was asked for")]
    OtherMember {
        /// Who is invited.
        name: Name,
    },
    /// The request proves nothing.
    #[error("the request is not valid: {0}")]
    BadRequest(String),
    /// A member has the name or the key already.
    #[error("a member has this name or this key already; the operator can revoke it first")]
    Taken,
    /// The operator said no.
    #[error("the operator has not approved, or has ended this membership")]
    Declined,
    /// Only members may ask that.
    #[error("only a member may ask for this")]
    NotMember,
    /// The coordinator has no authority to sign with.
    #[error("the coordinator cannot sign certificates: authority.key is not in its folder")]
    NoAuthority,
    /// Not now.
    #[error("the coordinator cannot do that now; try again later")]
    Busy,
    /// A key holder asks to leave.
    #[error(
        "a key holder keeps its seat for as long as its federation lives: the sums need its part of \
         the keys. Speak with the operator; another committee is another federation"
    )]
    Seated,
}

/// Who enrols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// Somebody who holds this key.
    Newcomer(PartyId),
    /// A member.
    Member(Box<Member>),
}

impl Bearer {
    /// The key that the handshake proved.
    #[must_use]
    pub fn key(&self) -> PartyId {
        match self {
            Self::Newcomer(key) => *key,
            Self::Member(member) => member.id,
        }
    }
}

/// Somebody who enrols, at the coordinator's end.
pub struct Applicant {
    /// From where.
    pub address: SocketAddr,
    /// Who.
    pub bearer: Bearer,
    /// What they ask for.
    pub application: Application,
    /// What a request is bound to.
    pub exporter: [u8; 32],
    /// The version of the protocol that both speak.
    pub version: u16,
    writer: FrameWriter,
    connection: Connection,
    _place: MemberPlace,
}

impl Applicant {
    /// Takes in what is asked for: the last step of listening.
    pub(super) async fn hear(
        (connection, version): (Connection, u16),
        (bearer, _place): (Bearer, MemberPlace),
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let exporter = connection.exporter(EXPORTER_LABEL)?;
        let hear = async {
            let (send, receive) = connection.accept_bi().await?;
            let mut reader = FrameReader::new(receive, APPLICATION_BYTES_MAX);
            let application = reader.receive::<Application>().await?.ok_or(LinkError::Truncated)?;
            let writer = FrameWriter::new(send, FRAME_BYTES_MAX);
            let (address, connection) = (connection.remote_address(), connection.clone());
            Ok(Self { address, bearer, application, exporter, version, writer, connection, _place })
        };
        let heard = timeout(patience, hear).await;
        heard
            .unwrap_or(Err(LinkError::Stalled))
            .inspect_err(|error| connection.close(error.close_reason()))
    }

    /// Answers; more answers may follow.
    ///
    /// # Errors
    /// [`LinkError`]; whoever it was is gone.
    pub async fn answer(&mut self, answer: &Answer) -> Result<(), LinkError> {
        self.writer.send(answer).await
    }

    /// Says that nothing more comes, and waits a little until everything has arrived.
    pub async fn finish(self) {
        let Self { writer, connection, .. } = self;
        // Whoever it was may be gone: what was decided is recorded.
        let _ = timeout(Duration::from_millis(HANDSHAKE_MS), writer.finish()).await;
        connection.close(CloseReason::Finished);
    }

    /// Waits until the other side is gone; cancel-safe.
    pub async fn gone(&self) -> LinkError {
        self.connection.closed().await
    }
}

/// Somebody who enrols, at their own end.
pub struct Desk {
    exporter: [u8; 32],
    authority: Option<CertificateDer<'static>>,
    way: Way,
    writer: FrameWriter,
    reader: FrameReader,
    connection: Connection,
    goodbye: Goodbye,
}

impl Desk {
    /// Dials the coordinator of an invite with a key that is no member's yet.
    ///
    /// # Errors
    /// [`LinkError`]; [`LinkError::Stranger`] where another federation's coordinator answers.
    pub async fn dial_invited(
        invite: &Invite,
        route: &Route,
        key: &IdentityKey,
    ) -> Result<Self, LinkError> {
        Self::dial_invited_with(invite, route, key, &Versions::default()).await
    }

    /// The same, with these versions of the protocol instead of all that this program knows.
    ///
    /// # Errors
    /// As [`Self::dial_invited`].
    pub async fn dial_invited_with(
        invite: &Invite,
        route: &Route,
        key: &IdentityKey,
        versions: &Versions,
    ) -> Result<Self, LinkError> {
        let (seen, refused) = (tls::SeenAuthority::default(), Refused::default());
        // One certificate for all attempts: it is made here.
        let config = tls::newcomer_config(invite, key, versions, (&refused, &seen));
        let config = config.map_err(|error| LinkError::Credentials(error.to_string()))?;
        let credentials: Credentials = Arc::new(move |_| Ok(config.clone()));
        let dialled = Self::dial(route, &credentials, versions).await;
        // All attempts leave their reason in the same place.
        let dialled = dialled.map_err(|error| match tls::take(&refused) {
            Some(stranger) => stranger.into(),
            None => error,
        })?;
        let authority = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Ok(Self { authority, ..dialled })
    }

    /// Dials the coordinator as a member; `egress` is shown what leaves, if there is one.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn dial_member(
        route: &Route,
        membership: &Arc<Membership>,
        egress: Option<Arc<dyn Egress>>,
    ) -> Result<Self, LinkError> {
        let (versions, own) = (Versions::default(), Arc::clone(membership));
        let offered = versions.clone();
        let credentials: Credentials = Arc::new(move |refused: &Refused| {
            tls::client_config(&own, (Protocol::Enrolment, &offered), refused)
        });
        let mut dialled = Self::dial(route, &credentials, &versions).await?;
        let coordinator = membership.roster().with_role(Role::Coordinator).next();
        if let (Some(egress), Some(coordinator)) = (egress, coordinator) {
            let address = dialled.connection.remote_address();
            let door = Door::new(egress, coordinator.name.clone(), address);
            dialled.writer = dialled.writer.through(Some(&door), Stage::Application);
        }
        Ok(dialled)
    }

    fn dial<'a>(
        route: &'a Route,
        credentials: &'a Credentials,
        versions: &'a Versions,
    ) -> Boxed<'a, Result<Self, LinkError>> {
        Box::pin(Self::dial_once(route, credentials, versions))
    }

    async fn dial_once(
        route: &Route,
        credentials: &Credentials,
        versions: &Versions,
    ) -> Result<Self, LinkError> {
        let reached = route.reach(credentials).await?;
        reached.agreed(versions, Protocol::Enrolment).await?;
        let connection = reached.connection;
        let exporter = connection.exporter(EXPORTER_LABEL)?;
        let (send, receive) = connection.open_bi().await?;
        let writer = FrameWriter::new(send, FRAME_BYTES_MAX);
        let reader = FrameReader::new(receive, FRAME_BYTES_MAX);
        let (way, goodbye) = (reached.way, reached.goodbye);
        Ok(Self { exporter, authority: None, way, writer, reader, connection, goodbye })
    }

    /// What carries it.
    #[must_use]
    pub const fn way(&self) -> &Way {
        &self.way
    }

    /// What requests are bound to.
    #[must_use]
    pub const fn exporter(&self) -> &[u8; 32] {
        &self.exporter
    }

    /// Whether this is the certificate that the coordinator's hangs on.
    #[must_use]
    pub fn is_authority(&self, certificate: &CertificateDer<'_>) -> bool {
        let digest = authority_digest(certificate);
        self.authority.as_ref().is_some_and(|seen| authority_digest(seen) == digest)
    }

    /// Asks.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn ask(&mut self, application: &Application) -> Result<(), LinkError> {
        self.writer.send(application).await
    }

    /// Waits for the next answer; `None` after the last one. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn answer(&mut self) -> Result<Option<Answer>, LinkError> {
        self.reader.receive().await
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.connection.close(CloseReason::Finished);
        self.goodbye.say(CloseReason::Finished).await;
    }
}
