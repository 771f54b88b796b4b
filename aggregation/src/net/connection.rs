//! A connection whose handshake is done, whatever carries it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::bounds::Bounds;
use crate::net::error::{CloseReason, LinkError};
use crate::net::streams::{RecvStream, SendStream};
use crate::net::tcp::TcpConnection;
use crate::net::transport::Transport;

/// A connection. Cheap to clone; it ends when the last clone and the last stream are gone.
#[derive(Clone)]
pub(super) enum Connection {
    /// Of a listener with its bounds.
    Quic(quinn::Connection, Option<Arc<Bounds>>),
    Tcp(TcpConnection),
}

impl Connection {
    /// Opens a stream; the first one is the control stream.
    pub(super) async fn open_bi(&self) -> Result<(SendStream, RecvStream), LinkError> {
        match self {
            Self::Quic(connection, bounds) => {
                let (send, receive) = connection.open_bi().await?;
                Ok((SendStream::Quic(send), RecvStream::quic(receive).within(bounds.clone())))
            }
            Self::Tcp(connection) => connection.open_bi().await,
        }
    }

    /// Waits for the next stream that the other side opens; cancel-safe.
    pub(super) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), LinkError> {
        match self {
            Self::Quic(connection, bounds) => {
                let (send, receive) = connection.accept_bi().await?;
                Ok((SendStream::Quic(send), RecvStream::quic(receive).within(bounds.clone())))
            }
            Self::Tcp(connection) => connection.accept_bi().await,
        }
    }

    /// Ends it, and tells why.
    pub(super) fn close(&self, reason: CloseReason) {
        self.close_saying(reason, b"");
    }

    /// Ends it, and tells why, with something more to say.
    pub(super) fn close_saying(&self, reason: CloseReason, detail: &[u8]) {
        match self {
            Self::Quic(connection, _) => connection.close(reason.code().into(), detail),
            Self::Tcp(connection) => connection.close(reason, detail),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn closed(&self) -> LinkError {
        match self {
            Self::Quic(connection, _) => connection.closed().await.into(),
            Self::Tcp(connection) => connection.closed().await,
        }
    }

    /// What carries it.
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Quic(..) => Transport::Quic,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        match self {
            Self::Quic(connection, _) => connection.remote_address(),
            Self::Tcp(connection) => connection.remote_address(),
        }
    }

    /// Bytes sent and received, with everything that the transport adds below this program.
    pub(super) fn traffic_bytes(&self) -> (u64, u64) {
        match self {
            Self::Quic(connection, _) => {
                let stats = connection.stats();
                (stats.udp_tx.bytes, stats.udp_rx.bytes)
            }
            Self::Tcp(connection) => connection.traffic_bytes(),
        }
    }

    /// A secret of both ends of this very connection (RFC 8446, section 7.5).
    pub(super) fn exporter(&self, label: &[u8]) -> Result<[u8; 32], LinkError> {
        match self {
            Self::Quic(connection, _) => {
                let mut bytes = [0; 32];
                let exported = connection.export_keying_material(&mut bytes, label, b"");
                exported.map_err(|_| LinkError::Credentials("no exporter".to_owned()))?;
                Ok(bytes)
            }
            Self::Tcp(connection) => connection.exporter(label),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.remote_address())
            .finish_non_exhaustive()
    }
}
