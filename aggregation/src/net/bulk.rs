//! Bulk transfer: one stream each for a plan, a model or a contribution.
//!
//! ```text
//! dialer                                listener
//! BulkRequest::Plan | Model  ---------> BulkAnswer::Follows { bytes } and the bytes, or Refused
//! BulkRequest::Stored        ---------> BulkAnswer::Follows, correction and chunks, or Refused
//! BulkRequest::Contribution  ---------> BulkAnswer::Accepted { from }, Stored, or Refused
//! correction, boxes by seat, chunks --> BulkAnswer::Stored, or Refused (also half-way)
//! ```
//! A contribution's lengths follow from the round's terms; both sides know them. Whoever sends one
//! again after a lost link is told how many of its bytes are there already, `from`, and sends those
//! after them.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::boxed::Boxed;
use crate::hash::Digest;
use crate::limits::{BULK_ANSWER_BYTES_MAX, BULK_ANSWER_MS, BULK_REQUEST_BYTES_MAX, HEADER_MS};
use crate::message::{Refusal, SignedHeader};
use crate::net::connection::Connection;
use crate::net::egress::{Door, Outline, PIECE_BYTES, Parcel};
use crate::net::error::LinkError;
use crate::net::frame::{FrameReader, FrameWriter, STALL, Stage, write_all};
use crate::net::streams::{RecvStream, SendStream, WriteError};

/// A dialer's first frame on a bulk stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkRequest {
    /// The bytes of a plan.
    Plan(Digest),
    /// The parameters of a model, as `f32` little-endian.
    Model(Digest),
    /// May I send this contribution?
    Contribution(Box<SignedHeader>),
    /// The correction and the chunks of a stored contribution of the round at hand, by its header's
    /// digest. For holders only.
    Stored(Digest),
}

/// A listener's frames on a bulk stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkAnswer {
    /// So many raw bytes follow.
    Follows {
        /// How many.
        bytes: u64,
    },
    /// Send the contribution's bytes.
    Accepted {
        /// From this one on: those before are there already.
        from: u64,
    },
    /// The contribution is stored (a receipt follows on the control stream once its record is).
    Stored,
    /// No.
    Refused(Refusal),
}

/// A bulk transfer that failed.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The other side said no.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// More bytes than were asked for.
    #[error("{bytes} bytes were announced, at most {bytes_max} are acceptable")]
    TooLarge {
        /// Announced.
        bytes: u64,
        /// Acceptable.
        bytes_max: u64,
    },
    /// The other side answered what does not belong there.
    #[error("the other side answered out of turn")]
    OutOfTurn,
    /// The bytes to send cannot be read here.
    #[error("cannot read what is to be sent: {0}")]
    Source(io::Error),
}

/// The dialer's side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bulk {
    connection: Connection,
    door: Option<Door>,
}

impl Bulk {
    pub(super) const fn new(connection: Connection, door: Option<Door>) -> Self {
        Self { connection, door }
    }

    /// Fetches a plan or a model of at most `bytes_max` bytes. The caller checks the digest:
    /// which kind of digest it is only the caller knows.
    ///
    /// # Errors
    /// [`BulkError`].
    pub fn fetch<'a>(
        &'a self,
        request: &'a BulkRequest,
        bytes_max: u64,
    ) -> Boxed<'a, Result<Vec<u8>, BulkError>> {
        Box::pin(self.read_all(request, bytes_max))
    }

    async fn read_all(&self, request: &BulkRequest, bytes_max: u64) -> Result<Vec<u8>, BulkError> {
        let Incoming { mut raw, bytes } = self.begin(request, bytes_max).await?;
        // Grows as bytes come: an announcement alone takes no memory.
        let mut content = Vec::new();
        while (content.len() as u64) < bytes {
            let missing = bytes - content.len() as u64;
            let piece = usize::try_from(missing).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let start = content.len();
            content.resize(start + piece, 0);
            raw.read_exact(&mut content[start..]).await?;
        }
        raw.expect_end().await?;
        Ok(content)
    }

    /// Begins to read a stored contribution whose correction and chunks have `bytes` bytes. The
    /// caller checks them.
    ///
    /// # Errors
    /// [`BulkError`]; also when it has fewer bytes.
    pub async fn stored(&self, header: &Digest, bytes: u64) -> Result<Incoming, BulkError> {
        let incoming = self.begin(&BulkRequest::Stored(*header), bytes).await?;
        if incoming.bytes == bytes { Ok(incoming) } else { Err(BulkError::OutOfTurn) }
    }

    async fn begin(&self, request: &BulkRequest, bytes_max: u64) -> Result<Incoming, BulkError> {
        let (mut writer, mut reader) = self.open().await?;
        ask(&mut writer, request).await?;
        match answer(&mut reader).await? {
            BulkAnswer::Follows { bytes } if bytes > bytes_max => {
                Err(BulkError::TooLarge { bytes, bytes_max })
            }
            BulkAnswer::Follows { bytes } => Ok(Incoming { raw: Raw::new(reader), bytes }),
            BulkAnswer::Refused(refusal) => Err(BulkError::Refused(refusal)),
            BulkAnswer::Accepted { .. } | BulkAnswer::Stored => Err(BulkError::OutOfTurn),
        }
    }

    /// Asks whether a contribution of `bytes` bytes may be sent, and from where on.
    ///
    /// # Errors
    /// [`BulkError`].
    pub fn offer<'a>(
        &'a self,
        header: &'a SignedHeader,
        bytes: u64,
    ) -> Boxed<'a, Result<Offered, BulkError>> {
        Box::pin(self.ask_to_send(header, bytes))
    }

    async fn ask_to_send(&self, header: &SignedHeader, bytes: u64) -> Result<Offered, BulkError> {
        let (mut writer, mut reader) = self.open().await?;
        ask(&mut writer, &BulkRequest::Contribution(Box::new(header.clone()))).await?;
        match answer(&mut reader).await? {
            BulkAnswer::Accepted { from } if from <= bytes => {
                let (header, door) = (header.clone(), self.door.clone());
                Ok(Offered::Wanted(Box::new(Sending { writer, reader, door, header, from })))
            }
            // The other side has it already, from before a lost link.
            BulkAnswer::Stored => Ok(Offered::Stored),
            BulkAnswer::Refused(refusal) => Err(BulkError::Refused(refusal)),
            BulkAnswer::Accepted { .. } | BulkAnswer::Follows { .. } => Err(BulkError::OutOfTurn),
        }
    }

    async fn open(&self) -> Result<(FrameWriter, FrameReader), LinkError> {
        let opened = timeout(STALL, self.connection.open_bi()).await;
        let (send, receive) = opened.map_err(|_| LinkError::Stalled)??;
        let writer = FrameWriter::new(send, BULK_REQUEST_BYTES_MAX);
        let writer = writer.through(self.door.as_ref(), Stage::Request);
        Ok((writer, FrameReader::new(receive, BULK_ANSWER_BYTES_MAX)))
    }
}

/// What came of [`Bulk::offer`].
pub enum Offered {
    /// The other side has stored it already.
    Stored,
    /// It is to be sent.
    Wanted(Box<Sending>),
}

/// A contribution that may be sent.
pub struct Sending {
    writer: FrameWriter,
    reader: FrameReader,
    door: Option<Door>,
    header: SignedHeader,
    from: u64,
}

impl Sending {
    /// The first byte of correction, boxes by seat and chunks that the other side does not have.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// Sends the bytes of `source`, which must be those of the outline: all from
    /// [`from`](Self::from) on. `progress` is told how many of them have gone. Returns when the other
    /// side has stored the contribution.
    ///
    /// # Errors
    /// [`BulkError`].
    pub async fn send<R>(
        self,
        outline: &Outline,
        source: &mut R,
        mut progress: impl FnMut(u64),
    ) -> Result<(), BulkError>
    where
        R: AsyncRead + Unpin,
    {
        let Self { mut writer, mut reader, door, header, .. } = self;
        if let Some(door) = door.filter(|_| outline.bytes() > 0) {
            door.pass(Parcel::Contribution(&header, outline))?;
        }
        let mut piece = vec![0; PIECE_BYTES];
        let (mut sent, bytes) = (0, outline.bytes());
        for index in 0.. {
            if sent == bytes {
                break;
            }
            let length = usize::try_from(bytes - sent).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            source.read_exact(&mut piece[..length]).await.map_err(BulkError::Source)?;
            outline.check(index, &piece[..length]).map_err(BulkError::Source)?;
            if !write_unless_stopped(&mut writer.stream, &piece[..length]).await? {
                break;
            }
            sent += length as u64;
            progress(sent);
        }
        // A stopped stream cannot be finished; its answer is on the way all the same.
        writer.stream.finish();
        match answer(&mut reader).await? {
            BulkAnswer::Stored => Ok(()),
            BulkAnswer::Refused(refusal) => Err(BulkError::Refused(refusal)),
            BulkAnswer::Follows { .. } | BulkAnswer::Accepted { .. } => Err(BulkError::OutOfTurn),
        }
    }
}

/// Sends a request. Who refuses whatever is asked for may stop the stream before all of it has
/// come; then its answer is on the way.
async fn ask(writer: &mut FrameWriter, request: &BulkRequest) -> Result<(), LinkError> {
    match writer.send(request).await {
        Ok(()) | Err(LinkError::Truncated) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Bytes that come, piece by piece.
pub struct Incoming {
    raw: Raw,
    bytes: u64,
}

impl Incoming {
    /// Reads the next `bytes.len()` bytes.
    ///
    /// # Errors
    /// [`LinkError::Truncated`] when fewer come, [`LinkError::Stalled`] when none come.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), LinkError> {
        self.raw.read_exact(bytes).await
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn expect_end(&mut self) -> Result<(), LinkError> {
        self.raw.expect_end().await
    }
}

async fn answer(reader: &mut FrameReader) -> Result<BulkAnswer, LinkError> {
    let answer = timeout(Duration::from_millis(BULK_ANSWER_MS), reader.receive()).await;
    answer.map_err(|_| LinkError::Stalled)??.ok_or(LinkError::Truncated)
}

/// Writes; `false` when the other side wants no more.
async fn write_unless_stopped(
    stream: &mut SendStream,
    mut bytes: &[u8],
) -> Result<bool, LinkError> {
    while !bytes.is_empty() {
        match timeout(STALL, stream.write(bytes)).await.map_err(|_| LinkError::Stalled)? {
            Ok(written) => bytes = &bytes[written..],
            Err(WriteError::Stopped) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// A bulk stream that a dialer has opened, before its request has come.
pub struct BulkStream {
    writer: FrameWriter,
    reader: FrameReader,
}

/// What a dialer wants on a bulk stream.
pub enum BulkArrival {
    /// A plan.
    Plan(Digest, Fetch),
    /// A model.
    Model(Digest, Fetch),
    /// A stored contribution, by its header's digest.
    Stored(Digest, Fetch),
    /// To send a contribution. The header is as it came: not checked.
    Contribution(Box<SignedHeader>, Upload),
}

impl BulkStream {
    pub(super) const fn new(send: SendStream, receive: RecvStream) -> Self {
        let writer = FrameWriter::new(send, BULK_ANSWER_BYTES_MAX);
        Self { writer, reader: FrameReader::new(receive, BULK_REQUEST_BYTES_MAX) }
    }

    /// Says no, whatever is asked for.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn refuse(self, refusal: Refusal) -> Result<(), LinkError> {
        let Self { mut writer, reader } = self;
        writer.send(&BulkAnswer::Refused(refusal)).await?;
        let mut stream = reader.stream;
        stream.stop();
        writer.finish().await
    }

    /// Waits for the request, which must come at once.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn request(mut self) -> Result<BulkArrival, LinkError> {
        let bounds = self.reader.stream.bounds();
        let wait = bounds.map_or(Duration::from_millis(HEADER_MS), |bounds| bounds.header);
        let request = timeout(wait, self.reader.receive()).await.map_err(|_| LinkError::Stalled)?;
        let Self { writer, reader } = self;
        Ok(match request?.ok_or(LinkError::Truncated)? {
            BulkRequest::Plan(digest) => BulkArrival::Plan(digest, Fetch { writer }),
            BulkRequest::Model(digest) => BulkArrival::Model(digest, Fetch { writer }),
            BulkRequest::Stored(digest) => BulkArrival::Stored(digest, Fetch { writer }),
            BulkRequest::Contribution(header) => {
                BulkArrival::Contribution(header, Upload { writer, raw: Raw::new(reader) })
            }
        })
    }
}

/// The listener's side of what is asked for.
pub struct Fetch {
    writer: FrameWriter,
}

impl Fetch {
    /// Sends `content` and waits until it has arrived.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send(mut self, content: &[u8]) -> Result<(), LinkError> {
        self.begin(content.len() as u64).await?;
        self.piece(content).await?;
        self.finish().await
    }

    /// Says that `bytes` bytes follow, which [`Self::piece`] sends and [`Self::finish`] ends.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn begin(&mut self, bytes: u64) -> Result<(), LinkError> {
        self.writer.send(&BulkAnswer::Follows { bytes }).await
    }

    /// Sends some of the bytes.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn piece(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        write_all(&mut self.writer.stream, bytes).await
    }

    /// Waits until all bytes have arrived.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn finish(self) -> Result<(), LinkError> {
        self.writer.finish().await
    }

    /// Says no.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn refuse(mut self, refusal: Refusal) -> Result<(), LinkError> {
        self.writer.send(&BulkAnswer::Refused(refusal)).await?;
        self.writer.finish().await
    }
}

/// The listener's side of a contribution. Call [`accept`](Self::accept), read the parts in order,
/// [`expect_end`](Self::expect_end), store, [`stored`](Self::stored); or
/// [`refuse`](Self::refuse) at any point.
pub struct Upload {
    writer: FrameWriter,
    raw: Raw,
}

impl Upload {
    /// Lets the bytes come, from this one on.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn accept(&mut self, from: u64) -> Result<(), LinkError> {
        self.writer.send(&BulkAnswer::Accepted { from }).await
    }

    /// Reads the next `bytes.len()` bytes.
    ///
    /// # Errors
    /// [`LinkError::Truncated`] when fewer come, [`LinkError::Stalled`] when none come.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), LinkError> {
        self.raw.read_exact(bytes).await
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn expect_end(&mut self) -> Result<(), LinkError> {
        self.raw.expect_end().await
    }

    /// Says that the contribution is stored durably (also without reading it, when it was stored
    /// before).
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn stored(self) -> Result<(), LinkError> {
        self.end(BulkAnswer::Stored).await
    }

    /// Says no, and that no more bytes are wanted.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn refuse(self, refusal: Refusal) -> Result<(), LinkError> {
        self.end(BulkAnswer::Refused(refusal)).await
    }

    async fn end(mut self, answer: BulkAnswer) -> Result<(), LinkError> {
        self.writer.send(&answer).await?;
        self.raw.stream.stop();
        self.writer.finish().await
    }
}

/// Raw bytes after the frames of a stream.
struct Raw {
    stream: RecvStream,
    rest: Vec<u8>,
}

impl Raw {
    fn new(reader: FrameReader) -> Self {
        let (stream, rest) = reader.into_rest();
        Self { stream, rest }
    }

    async fn read_exact(&mut self, mut bytes: &mut [u8]) -> Result<(), LinkError> {
        let early = bytes.len().min(self.rest.len());
        bytes[..early].copy_from_slice(&self.rest[..early]);
        self.rest.drain(..early);
        bytes = &mut bytes[early..];
        while !bytes.is_empty() {
            match self.stream.read(bytes, STALL).await? {
                Some(read) => bytes = &mut bytes[read..],
                None => return Err(LinkError::Truncated),
            }
        }
        Ok(())
    }

    async fn expect_end(&mut self) -> Result<(), LinkError> {
        let mut byte = [0];
        match self.read_exact(&mut byte).await {
            Err(LinkError::Truncated) => Ok(()),
            Ok(()) => Err(crate::wire::Malformed::Shape { what: "bulk transfer" }.into()),
            Err(other) => Err(other),
        }
    }
}
