//! What leaves a program by its links is shown to somebody first, who may forbid it: so a data
//! owner's client has a record of everything before it leaves.
//!
//! Every byte that this side writes to a stream goes through a `Door`, where there is one: frames
//! whole, a contribution's bytes by their [`Outline`], of which no other byte is sent. What is no
//! stream carries nothing of a program's own: packets of QUIC and TLS (with the member's
//! certificate), over TCP the heads of records and which link a stream belongs to, and the code that a
//! link is closed with.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::message::SignedHeader;
use crate::net::error::LinkError;
use crate::party::Name;

/// Bytes of a contribution moved at once.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// Is shown everything before it leaves.
pub trait Egress: Send + Sync {
    /// Returns when it may leave. Called in the midst of sending: it must not wait for long.
    ///
    /// # Errors
    /// Why it must not leave. Then it does not.
    fn leave(&self, leaving: &Leaving<'_>) -> io::Result<()>;
}

/// Something about to leave.
pub struct Leaving<'a> {
    /// The member it goes to.
    pub peer: &'a Name,
    /// Where that member is.
    pub address: SocketAddr,
    /// What it is.
    pub parcel: Parcel<'a>,
}

/// What is about to leave, by the place that it has on a link. Frames are with their length.
#[derive(Clone, Copy)]
pub enum Parcel<'a> {
    /// The frame that a dialer begins with.
    Greeting(&'a [u8]),
    /// Any later frame of the control stream.
    Message(&'a [u8]),
    /// A bulk stream's first frame.
    Request(&'a [u8]),
    /// The frame of somebody who joins, renews or leaves.
    Application(&'a [u8]),
    /// The bytes of a contribution, after the request to send it was granted.
    Contribution(&'a SignedHeader, &'a Outline),
}

/// What a contribution's bytes are, from a first reading: nothing else is sent in their place.
/// SHA-256, for which everybody has a tool of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    bytes: u64,
    sha256: [u8; 32],
    /// SHA-256 of each piece of [`PIECE_BYTES`]; the last one may be shorter.
    pieces: Vec<[u8; 32]>,
}

impl Outline {
    /// Reads `bytes` bytes of `source`.
    ///
    /// # Errors
    /// As `source`; also when it has fewer.
    pub async fn read<R: AsyncRead + Unpin>(source: &mut R, bytes: u64) -> io::Result<Self> {
        let (mut whole, mut pieces) = (Sha256::new(), Vec::new());
        let mut piece = vec![0; PIECE_BYTES];
        let mut read = 0;
        while read < bytes {
            let length = usize::try_from(bytes - read).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            source.read_exact(&mut piece[..length]).await?;
            whole.update(&piece[..length]);
            pieces.push(Sha256::digest(&piece[..length]).into());
            read += length as u64;
        }
        Ok(Self { bytes, sha256: whole.finalize().into(), pieces })
    }

    /// Of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let pieces = bytes.chunks(PIECE_BYTES).map(|piece| Sha256::digest(piece).into());
        let sha256 = Sha256::digest(bytes).into();
        Self { bytes: bytes.len() as u64, sha256, pieces: pieces.collect() }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of all of them.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Refuses a piece that is not the one that was read.
    pub(super) fn check(&self, index: usize, piece: &[u8]) -> io::Result<()> {
        let digest: [u8; 32] = Sha256::digest(piece).into();
        if self.pieces.get(index) == Some(&digest) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the bytes have changed since they were read",
        ))
    }
}

/// What everything passes that is written to the streams of one link.
#[derive(Clone)]
pub(super) struct Door {
    egress: Arc<dyn Egress>,
    peer: Name,
    address: SocketAddr,
}

impl Door {
    pub(super) const fn new(egress: Arc<dyn Egress>, peer: Name, address: SocketAddr) -> Self {
        Self { egress, peer, address }
    }

    pub(super) fn pass(&self, parcel: Parcel<'_>) -> Result<(), LinkError> {
        let leaving = Leaving { peer: &self.peer, address: self.address, parcel };
        self.egress.leave(&leaving).map_err(|error| LinkError::Withheld(error.to_string()))
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outline_admits_the_bytes_that_were_read_and_no_others() {
        let bytes: Vec<u8> = (0..PIECE_BYTES + 10).map(|at| (at % 251) as u8).collect();
        let outline = Outline::read(&mut &bytes[..], bytes.len() as u64).await.expect("read");
        assert_eq!(outline, Outline::of(&bytes));
        assert_eq!(outline.bytes(), bytes.len() as u64);
        let (first, last) = bytes.split_at(PIECE_BYTES);
        outline.check(0, first).expect("the first piece");
        outline.check(1, last).expect("the last piece");
        for (index, piece) in [(0, last), (1, first), (1, &last[..9]), (2, last)] {
            outline.check(index, piece).expect_err("another piece");
        }
        let short = Outline::read(&mut &bytes[..9], 10).await.expect_err("nine bytes");
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
