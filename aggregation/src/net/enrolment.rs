//! How somebody becomes a member, stays one and leaves: a connection of its own kind, told apart by
//! its protocol ([`ENROL_ALPN`]), with one stream of frames.
//!
//! A newcomer shows a certificate that it made itself; a member shows its own. The listener shows its
//! certificate and the authority's, which a newcomer compares with its invite and a member with the one
//! that it has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::hash::Digest;
use crate::limits::{FRAME_BYTES_MAX, HANDSHAKE_MS, NAME_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::net::certificate::authority_digest;
use crate::net::dialer::{open, resolve};
use crate::net::egress::{Door, Egress};
use crate::net::error::{CloseReason, LinkError};
use crate::net::frame::{FrameReader, FrameWriter, Stage};
use crate::net::invite::{Invite, InviteId, InviteSecret};
use crate::net::key::IdentityKey;
use crate::net::listener::transport;
use crate::net::membership::Membership;
use crate::net::tls::{self, Refused};
use crate::party::{Name, PartyId, Role};
use crate::roster::Member;
use crate::roster::succession::CertifiedRoster;

/// The protocol of enrolment and its version.
pub const ENROL_ALPN: &[u8] = b"covey-enrol/1";

/// Label of the exporter that requests are bound to (RFC 8446, section 7.5).
const EXPORTER_LABEL: &[u8] = b"covey enrolment";

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
}

/// Who enrols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// Somebody who holds this key.
    Newcomer(PartyId),
    /// A member.
    Member(Box<Member>),
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
    writer: FrameWriter,
    connection: Connection,
}

impl Applicant {
    /// Takes in what is asked for: the last step of listening.
    pub(super) async fn hear(connection: Connection, bearer: Bearer) -> Result<Self, LinkError> {
        let exporter = exporter(&connection)?;
        let hear = async {
            let (send, receive) = connection.accept_bi().await?;
            let mut reader = FrameReader::new(receive, APPLICATION_BYTES_MAX);
            let application = reader.receive::<Application>().await?.ok_or(LinkError::Truncated)?;
            let writer = FrameWriter::new(send, FRAME_BYTES_MAX);
            let (address, connection) = (connection.remote_address(), connection.clone());
            Ok(Self { address, bearer, application, exporter, writer, connection })
        };
        let heard = timeout(Duration::from_millis(HANDSHAKE_MS), hear).await;
        heard.unwrap_or(Err(LinkError::Stalled)).inspect_err(|error| {
            connection.close(error.close_reason().code(), b"");
        })
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
        connection.close(CloseReason::Finished.code(), b"");
    }

    /// Waits until the other side is gone.
    pub async fn gone(connection: &Connection) -> LinkError {
        connection.closed().await.into()
    }

    /// The connection, to wait for its end beside answering.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Somebody who enrols, at their own end.
pub struct Desk {
    exporter: [u8; 32],
    authority: Option<CertificateDer<'static>>,
    writer: FrameWriter,
    reader: FrameReader,
    connection: Connection,
    endpoint: Endpoint,
}

impl Desk {
    /// Dials the coordinator of an invite with a key that is no member's yet.
    ///
    /// # Errors
    /// [`LinkError`]; [`LinkError::Stranger`] where another federation's coordinator answers.
    pub async fn dial_invited(invite: &Invite, key: &IdentityKey) -> Result<Self, LinkError> {
        let seen = tls::SeenAuthority::default();
        let crypto = |refused: &Refused| tls::newcomer_config(invite, key, refused, &seen);
        let dialled = Self::dial(&invite.address, crypto).await?;
        let authority = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Ok(Self { authority, ..dialled })
    }

    /// Dials the coordinator as a member; `egress` is shown what leaves, if there is one.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn dial_member(
        address: &str,
        membership: &Arc<Membership>,
        egress: Option<Arc<dyn Egress>>,
    ) -> Result<Self, LinkError> {
        let dialled = Self::dial(address, |refused| tls::enrolled_config(membership, refused));
        let mut dialled = dialled.await?;
        let coordinator = membership.roster().with_role(Role::Coordinator).next();
        if let (Some(egress), Some(coordinator)) = (egress, coordinator) {
            let address = dialled.connection.remote_address();
            let door = Door::new(egress, coordinator.name.clone(), address);
            dialled.writer = dialled.writer.through(Some(&door), Stage::Application);
        }
        Ok(dialled)
    }

    async fn dial(
        address: &str,
        crypto: impl Fn(&Refused) -> Result<quinn::crypto::rustls::QuicClientConfig, rustls::Error>,
    ) -> Result<Self, LinkError> {
        let address = resolve(address).await?;
        let refused = Refused::default();
        let credentials = |error: String| LinkError::Credentials(error);
        let crypto = crypto(&refused).map_err(|error| credentials(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport(0)));
        let endpoint = open(address)?;
        let connecting = endpoint.connect_with(config, address, super::dialer::SERVER_NAME);
        let connecting = connecting.map_err(|error| credentials(error.to_string()))?;
        let connection = match timeout(Duration::from_millis(HANDSHAKE_MS), connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => {
                return Err(LinkError::Unreachable { address });
            }
            Ok(Err(lost)) => {
                return Err(tls::take(&refused).map_or_else(|| lost.into(), LinkError::from));
            }
        };
        let exporter = exporter(&connection)?;
        let (send, receive) = connection.open_bi().await?;
        let writer = FrameWriter::new(send, FRAME_BYTES_MAX);
        let reader = FrameReader::new(receive, FRAME_BYTES_MAX);
        Ok(Self { exporter, authority: None, writer, reader, connection, endpoint })
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
        self.connection.close(CloseReason::Finished.code(), b"");
        let _ = timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }
}

fn exporter(connection: &Connection) -> Result<[u8; 32], LinkError> {
    let mut bytes = [0; 32];
    let exported = connection.export_keying_material(&mut bytes, EXPORTER_LABEL, b"");
    exported.map_err(|_| LinkError::Credentials("no exporter".to_owned()))?;
    Ok(bytes)
}
