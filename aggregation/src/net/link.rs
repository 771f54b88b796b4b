//! One authenticated connection: a control stream for messages, and bulk streams beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::hash::Digest;
use crate::limits::{FRAME_BYTES_MAX, HANDSHAKE_MS};
use crate::net::bulk::{Bulk, BulkStream};
use crate::net::connection::Connection;
use crate::net::egress::Door;
use crate::net::error::{CloseReason, LinkError};
use crate::net::frame::{FrameReader, FrameWriter, Stage};
use crate::net::guest_list::Guests;
use crate::net::places::MemberPlace;
use crate::net::streams::{RecvStream, SendStream};
use crate::net::transport::{Transport, Way};
use crate::net::version::Protocol;
use crate::roster::Member;
use crate::roster::succession::CertifiedRoster;

/// A dialer's first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The roster it has pinned.
    pub roster: Digest,
    /// That roster's number.
    pub number: u32,
}

/// A listener's first frame.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// It has the same roster: from here on messages may be sent.
    Same,
    /// It has a newer one: take it over, and dial again.
    Newer(Box<CertifiedRoster>),
}

/// A connection to a member whose certificate, role and key have been checked, and who has the
/// same roster.
pub struct Link {
    /// Who is at the other end.
    pub peer: Member,
    /// Digest of the roster that both have.
    pub roster: Digest,
    /// What it is for: rounds, or requests beside them.
    pub protocol: Protocol,
    /// The version of the protocol that both speak.
    pub version: u16,
    /// What carries it.
    pub way: Way,
    /// Messages to it.
    pub sender: ControlSender,
    /// Messages from it.
    pub receiver: ControlReceiver,
    /// Bulk transfer, closing, and what is known about the connection.
    pub links: Links,
}

impl Link {
    /// Greets a listener: the last step of dialling.
    pub(super) async fn greet(
        (connection, way, spoken): (Connection, Way, (Protocol, u16)),
        peer: Member,
        greeting: Greeting,
        door: Option<Door>,
    ) -> Result<Self, LinkError> {
        let greet = async {
            let streams = connection.open_bi().await?;
            let links = Links { connection: connection.clone(), door, _place: None };
            let mut link = Self::new(links, (peer, greeting.roster), (spoken, way), streams);
            link.sender.send(&greeting).await?;
            match link.receiver.receive::<Welcome>().await? {
                Some(Welcome::Same) => Ok(link),
                Some(Welcome::Newer(newer)) => Err(LinkError::Newer(newer)),
                None => Err(LinkError::Truncated),
            }
        };
        bounded(&connection, Duration::from_millis(HANDSHAKE_MS), greet).await
    }

    /// Answers a dialer's greeting: the last step of listening.
    pub(super) async fn welcome(
        (connection, spoken): (Connection, (Protocol, u16)),
        (peer, place): (Member, MemberPlace),
        guests: &Guests,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let way = Way { transport: connection.transport(), why: None };
        let welcome = async {
            let streams = connection.accept_bi().await?;
            let _place = Some(Arc::new(place));
            let links = Links { connection: connection.clone(), door: None, _place };
            let mut link = Self::new(links, (peer, guests.digest), (spoken, way), streams);
            let greeting = link.receiver.receive::<Greeting>().await?;
            let greeting = greeting.ok_or(LinkError::Truncated)?;
            if greeting.roster == guests.digest {
                link.sender.send(&Welcome::Same).await?;
                return Ok(link);
            }
            let reason = if greeting.number < guests.certified.roster.number {
                let newer = Box::new(CertifiedRoster::clone(&guests.certified));
                link.sender.send(&Welcome::Newer(newer)).await?;
                // Whoever takes it over hangs up.
                let _ = link.links.closed().await;
                CloseReason::NewRoster
            } else {
                CloseReason::OtherRoster
            };
            link.links.close(reason);
            Err(LinkError::Closed(reason))
        };
        bounded(&connection, patience, welcome).await
    }

    fn new(
        links: Links,
        (peer, roster): (Member, Digest),
        ((protocol, version), way): ((Protocol, u16), Way),
        (send, receive): (SendStream, RecvStream),
    ) -> Self {
        let writer = FrameWriter::new(send, FRAME_BYTES_MAX);
        let sender = ControlSender(writer.through(links.door.as_ref(), Stage::Greeting));
        let receiver = ControlReceiver(FrameReader::new(receive, FRAME_BYTES_MAX));
        Self { peer, roster, protocol, version, way, sender, receiver, links }
    }
}

/// Runs the last step of a handshake within its time, and tells the other side why it failed.
async fn bounded<F>(connection: &Connection, patience: Duration, step: F) -> Result<Link, LinkError>
where
    F: Future<Output = Result<Link, LinkError>>,
{
    let outcome = timeout(patience, step).await;
    outcome
        .unwrap_or(Err(LinkError::Stalled))
        .inspect_err(|error| connection.close(error.close_reason()))
}

/// The sending half of a control stream.
pub struct ControlSender(FrameWriter);

impl ControlSender {
    /// Sends one message. Not cancel-safe: do not put it in a `select!` that drops it.
    ///
    /// # Errors
    /// [`LinkError`]; the link is then of no more use.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), LinkError> {
        self.0.send(message).await
    }

    /// Says that nothing more comes, and waits until everything has arrived.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn finish(self) -> Result<(), LinkError> {
        self.0.finish().await
    }
}

/// A message of one of three kinds.
pub enum Among<T, U, V> {
    /// Of the first.
    First(T),
    /// Of the second, and not of the first.
    Second(U),
    /// Of the third alone.
    Third(V),
}

/// The receiving half of a control stream.
pub struct ControlReceiver(FrameReader);

impl ControlReceiver {
    /// Waits for the next message; `None` when the other side has finished in order. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`]; the link is then of no more use.
    pub async fn receive<T>(&mut self) -> Result<Option<T>, LinkError>
    where
        T: Serialize + DeserializeOwned,
    {
        self.0.receive().await
    }

    /// As [`Self::receive`], of any of three kinds, of the first that it is one of. So somebody who
    /// speaks out of its role can be told so. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`]; of a message of no kind, what is wrong with it as one of the first.
    pub async fn receive_among<T, U, V>(&mut self) -> Result<Option<Among<T, U, V>>, LinkError>
    where
        T: Serialize + DeserializeOwned,
        U: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        self.0.receive_among().await
    }
}

/// The connection under a link. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub(super) connection: Connection,
    door: Option<Door>,
    /// Of a listener: the link counts as the member's until all of this is gone.
    _place: Option<Arc<MemberPlace>>,
}

impl Links {
    /// The dialer's bulk transfers.
    #[must_use]
    pub fn bulk(&self) -> Bulk {
        Bulk::new(self.connection.clone(), self.door.clone())
    }

    /// Where the other side is.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// What carries it.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// Bytes sent and received: over QUIC with headers and retransmissions, over TCP with those of TLS.
    #[must_use]
    pub fn traffic_bytes(&self) -> (u64, u64) {
        self.connection.traffic_bytes()
    }

    /// Waits for the dialer's next bulk stream; cancel-safe. Give each a task of its own: a dialer
    /// may open [`crate::limits::STREAMS_MAX`] at once and be slow on each.
    ///
    /// # Errors
    /// [`LinkError`] when the link has ended.
    pub async fn accept_bulk(&self) -> Result<BulkStream, LinkError> {
        let (send, receive) = self.connection.accept_bi().await?;
        Ok(BulkStream::new(send, receive))
    }

    /// Ends the link and tells why.
    pub fn close(&self, reason: CloseReason) {
        self.connection.close(reason);
    }

    /// Waits until the link has ended.
    pub async fn closed(&self) -> LinkError {
        self.connection.closed().await
    }
}
