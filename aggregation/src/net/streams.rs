//! The two halves of a stream, whatever carries it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::net::bounds::{Bounds, Pace};
use crate::net::error::LinkError;
use crate::net::tcp::{TcpReceiver, TcpSender};

/// Why bytes cannot be written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The other side wants no more; its answer is on the way.
    Stopped,
    /// There is no stream any more.
    Lost(LinkError),
}

impl From<WriteError> for LinkError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped => Self::Truncated,
            WriteError::Lost(error) => error,
        }
    }
}

/// The half that is written to. Dropping it finishes it.
pub(super) enum SendStream {
    Quic(quinn::SendStream),
    Tcp(TcpSender),
}

impl SendStream {
    /// Writes some of the bytes. Dropping the future leaves open how many.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        match self {
            Self::Quic(stream) => stream.write(bytes).await.map_err(|error| match error {
                quinn::WriteError::ConnectionLost(lost) => WriteError::Lost(lost.into()),
                quinn::WriteError::Stopped(_) => WriteError::Stopped,
                other => WriteError::Lost(LinkError::Lost(other.to_string())),
            }),
            Self::Tcp(stream) => stream.write(bytes).await,
        }
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&mut self) {
        match self {
            // Fails only when the other side has stopped it, which `arrived` tells.
            Self::Quic(stream) => drop(stream.finish()),
            Self::Tcp(stream) => stream.finish(),
        }
    }

    /// Waits until everything has arrived, or is not wanted. Call [`Self::finish`] before.
    pub(super) async fn arrived(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Quic(stream) => match stream.stopped().await {
                Ok(_) => Ok(()),
                Err(quinn::StoppedError::ConnectionLost(lost)) => Err(lost.into()),
                Err(other) => Err(LinkError::Lost(other.to_string())),
            },
            Self::Tcp(stream) => stream.arrived().await,
        }
    }
}

/// The half that is read from.
pub(super) struct RecvStream {
    half: Half,
    /// Of a listener: how slow the other side may be.
    bounds: Option<Arc<Bounds>>,
    pace: Pace,
}

enum Half {
    Quic(quinn::RecvStream),
    Tcp(TcpReceiver),
}

/// What a stopped stream says; the answer beside it says why.
const STOPPED: quinn::VarInt = quinn::VarInt::from_u32(0);

impl RecvStream {
    pub(super) fn quic(stream: quinn::RecvStream) -> Self {
        Self { half: Half::Quic(stream), bounds: None, pace: Pace::default() }
    }

    pub(super) fn tcp(stream: TcpReceiver) -> Self {
        Self { half: Half::Tcp(stream), bounds: None, pace: Pace::default() }
    }

    /// The same, for somebody who has to be quick enough.
    pub(super) fn within(self, bounds: Option<Arc<Bounds>>) -> Self {
        Self { bounds, ..self }
    }

    /// What the other side is held to, if it is.
    pub(super) fn bounds(&self) -> Option<&Bounds> {
        self.bounds.as_deref()
    }

    /// Reads some of a long content; `None` at its end. Cancel-safe. Waits `stall` at most, and not
    /// longer than somebody who sends fast enough would take.
    pub(super) async fn read(
        &mut self,
        bytes: &mut [u8],
        stall: Duration,
    ) -> Result<Option<usize>, LinkError> {
        let patience = self.bounds().map_or(stall, |bounds| stall.min(self.pace.left(bounds)));
        let begun = Instant::now();
        let read = async {
            match &mut self.half {
                Half::Quic(stream) => stream.read(bytes).await.map_err(of_read),
                Half::Tcp(stream) => stream.read(bytes).await,
            }
        };
        let read = timeout(patience, read).await.map_err(|_| LinkError::Stalled)??;
        self.pace.count(begun.elapsed(), read.unwrap_or(0));
        Ok(read)
    }

    /// Reads what has come, `bytes_max` bytes at most; `None` at the end. Cancel-safe. Waits for ever.
    pub(super) async fn read_chunk(
        &mut self,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, LinkError> {
        match &mut self.half {
            Half::Quic(stream) => {
                let chunk = stream.read_chunk(bytes_max, true).await.map_err(of_read)?;
                Ok(chunk.map(|chunk| chunk.bytes.into()))
            }
            Half::Tcp(stream) => stream.read_chunk(bytes_max).await,
        }
    }

    /// Says that no more is wanted.
    pub(super) fn stop(&mut self) {
        match &mut self.half {
            // Fails only when the stream has ended already.
            Half::Quic(stream) => drop(stream.stop(STOPPED)),
            Half::Tcp(stream) => stream.stop(),
        }
    }
}

fn of_read(error: quinn::ReadError) -> LinkError {
    match error {
        quinn::ReadError::ConnectionLost(lost) => lost.into(),
        quinn::ReadError::Reset(_) => LinkError::Truncated,
        other => LinkError::Lost(other.to_string()),
    }
}
