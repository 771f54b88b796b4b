//! What travels inside TLS: records of one byte of kind and three of length (little-endian), and so
//! many bytes. They carry the bytes of one stream, and what QUIC says in frames of its own: that a
//! stream has ended, has arrived, is not wanted, that a link is closed and why, that it still lives.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::wire::Malformed;

/// Bytes of a record. Four TLS records; what is in flight is bounded by a few of these.
pub(super) const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of what a close says beside its code.
pub(super) const DETAIL_BYTES_MAX: usize = 256;

/// Bytes of an opening.
pub(super) const OPENING_BYTES_MAX: usize = 64;

const HEADER_BYTES: usize = 4;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The dialer's first: what the connection is for.
    Opening,
    /// Bytes of the stream.
    Data,
    /// No more bytes come.
    End,
    /// All bytes up to the end have arrived.
    Arrived,
    /// No more bytes are wanted.
    Stop,
    /// The connection ends: a code (`u32`, little-endian), and what else there is to say.
    Close,
    /// It still lives.
    Alive,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Opening, Self::Data, Self::End, Self::Arrived, Self::Stop, Self::Close, Self::Alive];

    const fn bytes_max(self) -> usize {
        match self {
            Self::Opening => OPENING_BYTES_MAX,
            Self::Data => RECORD_BYTES_MAX,
            Self::Close => 4 + DETAIL_BYTES_MAX,
            Self::End | Self::Arrived | Self::Stop | Self::Alive => 0,
        }
    }
}

/// A record as bytes.
///
/// # Panics
/// Where the content is too long for its kind: that is a bug of this side.
pub(super) fn encode(kind: Kind, content: &[u8]) -> Vec<u8> {
    assert!(content.len() <= kind.bytes_max(), "a record of {} bytes", content.len());
    let head = (content.len() as u32) << 8 | kind as u32;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len());
    bytes.extend_from_slice(&head.to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// A record that cannot be read.
#[derive(Debug)]
pub(super) enum BadRecord {
    Io(io::Error),
    Malformed(Malformed),
}

/// Reads a record. Not cancel-safe.
pub(super) async fn read<R>(from: &mut R) -> Result<(Kind, Vec<u8>), BadRecord>
where
    R: AsyncRead + Unpin,
{
    let mut head = [0; HEADER_BYTES];
    from.read_exact(&mut head).await.map_err(BadRecord::Io)?;
    let head = u32::from_le_bytes(head);
    let (kind, bytes) = ((head & 0xff) as usize, (head >> 8) as usize);
    let shape = BadRecord::Malformed(Malformed::Shape { what: "record" });
    let Some(kind) = Kind::ALL.get(kind).copied() else { return Err(shape) };
    let bytes_max = kind.bytes_max();
    if bytes > bytes_max {
        return Err(BadRecord::Malformed(Malformed::TooLarge { bytes, bytes_max }));
    }
    let mut content = vec![0; bytes];
    from.read_exact(&mut content).await.map_err(BadRecord::Io)?;
    if kind == Kind::Close && content.len() < 4 {
        return Err(shape);
    }
    Ok((kind, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn records_are_read_as_they_were_written_and_nothing_else_is() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            let content = vec![7; kind.bytes_max()];
            let bytes = encode(kind, &content);
            let got = read(&mut &bytes[..]).await.expect("a record");
            assert_eq!(got, (kind, content));
            let cut = read(&mut &bytes[..bytes.len() - 1]).await;
            assert!(matches!(cut, Err(BadRecord::Io(_))), "{cut:?}");
            let long = ((kind.bytes_max() as u32 + 1) << 8 | kind as u32).to_le_bytes();
            let refused = read(&mut &long[..]).await;
            let expected = matches!(refused, Err(BadRecord::Malformed(Malformed::TooLarge { .. })));
            assert!(expected, "{refused:?}");
        }
        for bytes in [[7, 0, 0, 0], [255, 255, 255, 255], [Kind::Close as u8, 0, 0, 0]] {
            let refused = read(&mut &bytes[..]).await;
            let expected = matches!(refused, Err(BadRecord::Malformed(Malformed::Shape { .. })));
            assert!(expected, "{refused:?}");
        }
    }
}
