//! What goes wrong between two programs, first split by who is at fault.

use std::io;
use std::net::SocketAddr;

use crate::net::certificate::Stranger;
use crate::net::version::{Mismatch, Protocol, Versions};
use crate::roster::succession::{BadSuccessor, CertifiedRoster};
use crate::wire::Malformed;

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This program, its configuration or its machine.
    Here,
    /// The other side.
    Peer,
    /// Nobody in particular: waiting and trying again may help.
    Network,
}

/// Why one side closed a link; travels as the QUIC application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Nothing left to say.
    #[error("it has finished")]
    Finished,
    /// The program is stopping.
    #[error("it is shutting down")]
    ShuttingDown,
    /// The same member has connected again; the newer link counts.
    #[error(
        "the same member has connected a second time, and the newer link counts; is the program \
         running twice?"
    )]
    Replaced,
    /// Not in the roster.
    #[error("this member is not in its roster; ask the operator to enrol it")]
    NotInRoster,
    /// In the roster in another role.
    #[error("this member's role is another one there")]
    WrongRole,
    /// In the roster with another key.
    #[error(
        "its roster has another key under this member's name; enrol again, or compare both \
         roster.json files"
    )]
    OtherKey,
    /// The two rosters differ.
    #[error(
        "it has another roster; compare the digests in both roster.json files and take the \
         operator's"
    )]
    OtherRoster,
    /// The other side broke the framing or the order of messages.
    #[error("it could not make sense of what was sent; do both sides run the same version?")]
    Protocol,
    /// The other side made no progress.
    #[error("it waited too long for an answer")]
    Stalled,
    /// Too much at once.
    #[error("it is over a limit; try again later")]
    Busy,
    /// The operator has suspended or ended this membership.
    #[error("this membership is suspended or has ended; ask the operator")]
    ShutOut,
    /// Another roster is in force; dialling again takes it over.
    #[error("another list of members is in force")]
    NewRoster,
    /// No version of the protocol in common.
    #[error("it speaks other versions of the protocol")]
    Unsupported,
    /// Something larger than it may be.
    #[error("something was larger than it may be; do both sides run the same version?")]
    TooLarge,
    /// A code that this version does not know.
    #[error("an unknown reason (code {0})")]
    Unknown(u32),
}

impl CloseReason {
    const KNOWN: [Self; 14] = [
        Self::Finished,
        Self::ShuttingDown,
        Self::Replaced,
        Self::NotInRoster,
        Self::WrongRole,
        Self::OtherKey,
        Self::OtherRoster,
        Self::Protocol,
        Self::Stalled,
        Self::Busy,
        Self::ShutOut,
        Self::NewRoster,
        Self::Unsupported,
        Self::TooLarge,
    ];

    /// The reason's number on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        let known = Self::KNOWN.iter().position(|reason| *reason == self);
        match self {
            Self::Unknown(code) => code,
            _ => known.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn from_code(code: u32) -> Self {
        let known = usize::try_from(code).ok().and_then(|index| Self::KNOWN.get(index));
        known.copied().unwrap_or(Self::Unknown(code))
    }

    /// How a listener tells a stranger.
    pub(super) const fn of_stranger(stranger: &Stranger) -> Self {
        match stranger {
            Stranger::NotInRoster { .. } => Self::NotInRoster,
            Stranger::WrongRole { .. } => Self::WrongRole,
            Stranger::OtherKey { .. } => Self::OtherKey,
            Stranger::ShutOut { .. } => Self::ShutOut,
            _ => Self::Protocol,
        }
    }

    /// Whether trying again without a change by a person is pointless.
    const fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::NotInRoster
                | Self::WrongRole
                | Self::OtherKey
                | Self::OtherRoster
                | Self::ShutOut
                | Self::Unsupported
        )
    }
}

/// A link that does not come to be, or that ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address is none, or its name does not resolve.
    #[error("cannot find the address {address:?}: {reason}")]
    Address {
        /// As configured.
        address: String,
        /// Why.
        reason: String,
    },
    /// Another program listens there.
    #[error(
        "port {} is in use on this machine; stop the other program or choose another port",
        address.port()
    )]
    PortInUse {
        /// Where this program should listen.
        address: SocketAddr,
    },
    /// The socket cannot be opened for another reason.
    #[error("cannot open a socket at {address}: {source}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Nothing answers over TCP.
    #[error("no connection to {address} over TCP: {source}")]
    NoTcp {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or key of this member makes no TLS configuration.
    #[error("this member's certificate and key cannot be used: {0}")]
    Credentials(String),
    /// Nothing answers.
    #[error(
        "nothing answers at {address} ({tried}): is the coordinator running, and does a firewall let \
         that through?"
    )]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What was tried, and what came of it.
        tried: String,
    },
    /// The other side showed a certificate that is not accepted here.
    #[error("{0}")]
    Stranger(#[from] Stranger),
    /// The other side does not accept this member's certificate.
    #[error("the other side does not accept this member: {0}")]
    NotAccepted(String),
    /// The other side speaks another protocol.
    #[error(
        "the other side speaks another protocol, or so old a version of this one that it cannot say \
         which; install the same version on both sides"
    )]
    OtherProtocol,
    /// The two sides have no version of the protocol in common.
    #[error("{0}")]
    Unsupported(Mismatch),
    /// The member has as many links as it may have.
    #[error("this member has {links} links already, which is as many as it may have")]
    Crowded {
        /// So many.
        links: usize,
    },
    /// The coordinator has a newer roster; whoever dials takes it over.
    #[error("the coordinator has a newer list of members, number {}", .0.roster.number)]
    Newer(Box<CertifiedRoster>),
    /// The coordinator's newer roster was taken over: load the membership again, and dial again.
    #[error("the list of members was renewed; its number is {number} now")]
    Renewed {
        /// The number of the new one.
        number: u32,
    },
    /// The coordinator offers a newer roster that cannot be taken over.
    #[error("the coordinator offers a list of members that does not count: {0}")]
    BadRoster(#[from] BadSuccessor),
    /// The newer roster cannot be stored.
    #[error("the new list of members cannot be stored: {0}")]
    RosterFile(String),
    /// The link was lost.
    #[error("the link was lost: {0}")]
    Lost(String),
    /// The other side closed the link.
    #[error("the other side closed the link: {0}")]
    Closed(CloseReason),
    /// It must not leave this machine.
    #[error("withheld, nothing was sent: {0}")]
    Withheld(String),
    /// This side closed the link.
    #[error("the link was closed here")]
    ClosedHere,
    /// Bytes that are not the message expected.
    #[error("the other side sent what makes no sense: {0}")]
    Malformed(#[from] Malformed),
    /// The other side stopped in the middle of a message.
    #[error("the other side stopped in the middle of a message")]
    Truncated,
    /// No progress within [`crate::limits::STALL_MS`].
    #[error("the other side makes no progress")]
    Stalled,
}

impl LinkError {
    /// Who has to do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Address { .. }
            | Self::Unsupported(_)
            | Self::PortInUse { .. }
            | Self::Socket { .. }
            | Self::Credentials(_)
            | Self::NotAccepted(_)
            | Self::Renewed { .. }
            | Self::RosterFile(_)
            | Self::Withheld(_)
            | Self::ClosedHere => Fault::Here,
            Self::Stranger(_)
            | Self::OtherProtocol
            | Self::BadRoster(_)
            | Self::Crowded { .. }
            | Self::Malformed(_)
            | Self::Truncated => Fault::Peer,
            Self::Unreachable { .. }
            | Self::NoTcp { .. }
            | Self::Newer(_)
            | Self::Lost(_)
            | Self::Closed(_)
            | Self::Stalled => Fault::Network,
        }
    }

    /// Whether trying again without a change by a person is pointless.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Stranger(_)
            | Self::NotAccepted(_)
            | Self::OtherProtocol
            | Self::Unsupported(_)
            | Self::Credentials(_)
            | Self::BadRoster(_)
            | Self::RosterFile(_)
            | Self::Renewed { .. }
            | Self::Withheld(_)
            | Self::PortInUse { .. } => true,
            Self::Closed(reason) => reason.is_permanent(),
            _ => false,
        }
    }

    /// The other side has closed the connection with a code, and said `detail`.
    pub(super) fn closed_by_code(code: u32, detail: &[u8]) -> Self {
        match CloseReason::from_code(code) {
            // Which versions were offered, the dialer knows.
            CloseReason::Unsupported => {
                Self::Unsupported(Mismatch::heard(&Versions::default(), Protocol::Link, detail))
            }
            reason => Self::Closed(reason),
        }
    }

    /// The same, for a dialer that has offered these versions of this protocol.
    pub(super) fn offered(self, versions: &Versions, protocol: Protocol) -> Self {
        match self {
            Self::Unsupported(Mismatch { supported, dialled_here: true, .. }) => {
                let said = supported.join(" ");
                Self::Unsupported(Mismatch::heard(versions, protocol, said.as_bytes()))
            }
            other => other,
        }
    }

    /// How to tell the other side when this error ends the link.
    #[must_use]
    pub const fn close_reason(&self) -> CloseReason {
        match self {
            Self::Malformed(Malformed::TooLarge { .. }) => CloseReason::TooLarge,
            Self::Malformed(_) | Self::Truncated => CloseReason::Protocol,
            Self::Stalled => CloseReason::Stalled,
            Self::Stranger(stranger) => CloseReason::of_stranger(stranger),
            Self::Newer(_) | Self::Renewed { .. } => CloseReason::NewRoster,
            Self::Unsupported(_) => CloseReason::Unsupported,
            Self::Crowded { .. } => CloseReason::Busy,
            _ => CloseReason::Finished,
        }
    }
}

/// TLS alerts (RFC 8446, section 6) that say something about a certificate or the protocol.
const ALERTS: u64 = 0x100;

impl From<quinn::ConnectionError> for LinkError {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Lost;
        match error {
            Lost::ApplicationClosed(close) => {
                let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
                Self::closed_by_code(code, &close.reason)
            }
            Lost::ConnectionClosed(close) => of_code(close.error_code.into(), &close.to_string()),
            Lost::TransportError(error) => of_code(error.code.into(), &error.to_string()),
            Lost::LocallyClosed => Self::ClosedHere,
            Lost::TimedOut => Self::Lost("no packet came for a while".to_owned()),
            Lost::Reset => Self::Lost("the other side restarted".to_owned()),
            Lost::VersionMismatch => Self::OtherProtocol,
            Lost::CidsExhausted => Self::Lost(error.to_string()),
        }
    }
}

fn of_code(code: u64, text: &str) -> LinkError {
    if code == u64::from(quinn::TransportErrorCode::CONNECTION_REFUSED) {
        return LinkError::Closed(CloseReason::Busy);
    }
    match code.checked_sub(ALERTS).map(u8::try_from) {
        Some(Ok(alert)) => of_tls(alert, text),
        _ => LinkError::Lost(text.to_owned()),
    }
}

/// What the other side's alert says (RFC 8446, section 6).
pub(super) fn of_tls(alert: u8, text: &str) -> LinkError {
    let refused = |why: &str| LinkError::NotAccepted(why.to_owned());
    match alert {
        48 | 51 => refused(
            "its certificate (member.pem) is of another federation or signed by another authority",
        ),
        45 => refused("its certificate (member.pem) has expired, or is not valid yet"),
        49 => refused("its certificate (member.pem) is not the one in the roster"),
        42..=46 | 116 => refused("its certificate (member.pem) is not a valid one"),
        120 => LinkError::OtherProtocol,
        _ => LinkError::Lost(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_keeps_its_code() {
        for (index, reason) in CloseReason::KNOWN.into_iter().enumerate() {
            assert_eq!(reason.code() as usize, index);
            assert_eq!(CloseReason::from_code(reason.code()), reason);
        }
        assert_eq!(CloseReason::from_code(99), CloseReason::Unknown(99));
    }
}
