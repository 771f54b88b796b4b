//! Frames: a little-endian `u32` length and so many bytes of one [`crate::wire`] value. The
//! length is checked before anything is allocated.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::limits::STALL_MS;
use crate::net::egress::{Door, Parcel};
use crate::net::error::LinkError;
use crate::net::link::Among;
use crate::net::streams::{RecvStream, SendStream};
use crate::wire::{self, Malformed};

const LENGTH_BYTES: usize = 4;

/// Bytes asked of a stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Longest wait for progress.
pub(super) const STALL: Duration = Duration::from_millis(STALL_MS);

/// Puts bytes together into frames.
pub struct Deframer {
    bytes: VecDeque<u8>,
    bytes_max: u32,
}

impl Deframer {
    /// Frames of at most `bytes_max` bytes.
    #[must_use]
    pub const fn new(bytes_max: u32) -> Self {
        Self { bytes: VecDeque::new(), bytes_max }
    }

    /// Takes in bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Whether part of a frame has come.
    #[must_use]
    pub fn is_inside_a_frame(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] as soon as a length is over the limit.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        let mut length = [0; LENGTH_BYTES];
        if self.bytes.len() < LENGTH_BYTES {
            return Ok(None);
        }
        for (byte, from) in length.iter_mut().zip(&self.bytes) {
            *byte = *from;
        }
        let length = u32::from_le_bytes(length);
        if length > self.bytes_max {
            let (bytes, bytes_max) = (length as usize, self.bytes_max as usize);
            return Err(Malformed::TooLarge { bytes, bytes_max });
        }
        let whole = LENGTH_BYTES + length as usize;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        Ok(Some(self.bytes.drain(..whole).skip(LENGTH_BYTES).collect()))
    }

    /// What has come after the last frame taken.
    pub fn into_rest(self) -> Vec<u8> {
        self.bytes.into()
    }
}

/// Writes frames to a stream.
pub(super) struct FrameWriter {
    pub(super) stream: SendStream,
    bytes_max: u32,
    /// What frames pass, and what the next one is.
    door: Option<(Door, Stage)>,
}

/// What the next frame of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first one of a control stream; messages come after it.
    Greeting,
    /// A message.
    Message,
    /// The first one of a bulk stream.
    Request,
    /// The one of an enrolment.
    Application,
}

impl FrameWriter {
    pub(super) const fn new(stream: SendStream, bytes_max: u32) -> Self {
        Self { stream, bytes_max, door: None }
    }

    /// Has every frame pass `door`, if there is one.
    pub(super) fn through(self, door: Option<&Door>, stage: Stage) -> Self {
        Self { door: door.map(|door| (door.clone(), stage)), ..self }
    }

    /// Sends one value. Not cancel-safe: a send that was dropped half-way ruins the stream.
    pub(super) async fn send<T: Serialize>(&mut self, value: &T) -> Result<(), LinkError> {
        let body = wire::encode(value);
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= self.bytes_max);
        let Some(length) = length else {
            let (bytes, bytes_max) = (body.len(), self.bytes_max as usize);
            return Err(Malformed::TooLarge { bytes, bytes_max }.into());
        };
        let frame = [&length.to_le_bytes()[..], &body].concat();
        if let Some((door, stage)) = &mut self.door {
            door.pass(match stage {
                Stage::Greeting => Parcel::Greeting(&frame),
                Stage::Message => Parcel::Message(&frame),
                Stage::Request => Parcel::Request(&frame),
                Stage::Application => Parcel::Application(&frame),
            })?;
            if *stage == Stage::Greeting {
                *stage = Stage::Message;
            }
        }
        write_all(&mut self.stream, &frame).await
    }

    /// Ends the stream and waits until everything has arrived.
    pub(super) async fn finish(mut self) -> Result<(), LinkError> {
        self.stream.finish();
        timeout(STALL, self.stream.arrived()).await.unwrap_or(Err(LinkError::Stalled))
    }
}

/// Reads frames from a stream.
pub(super) struct FrameReader {
    pub(super) stream: RecvStream,
    deframer: Deframer,
    /// Since when a frame is under way, and how many bytes of it have come.
    under_way: Option<(Instant, u64)>,
}

impl FrameReader {
    pub(super) const fn new(stream: RecvStream, bytes_max: u32) -> Self {
        Self { stream, deframer: Deframer::new(bytes_max), under_way: None }
    }

    /// The next value; `None` when the other side has finished in order. Cancel-safe. Waits
    /// without limit between frames and [`STALL_MS`] inside one.
    pub(super) async fn receive<T>(&mut self) -> Result<Option<T>, LinkError>
    where
        T: Serialize + DeserializeOwned,
    {
        let Some(frame) = self.frame().await? else { return Ok(None) };
        Ok(Some(self.decode(&frame)?))
    }

    /// As [`Self::receive`], of the first of three kinds that it is one of.
    pub(super) async fn receive_among<T, U, V>(
        &mut self,
    ) -> Result<Option<Among<T, U, V>>, LinkError>
    where
        T: Serialize + DeserializeOwned,
        U: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        let Some(frame) = self.frame().await? else { return Ok(None) };
        let malformed = match self.decode(&frame) {
            Ok(first) => return Ok(Some(Among::First(first))),
            Err(malformed) => malformed,
        };
        if let Ok(second) = self.decode(&frame) {
            return Ok(Some(Among::Second(second)));
        }
        match self.decode(&frame) {
            Ok(third) => Ok(Some(Among::Third(third))),
            Err(_) => Err(malformed.into()),
        }
    }

    fn decode<T: Serialize + DeserializeOwned>(&self, frame: &[u8]) -> Result<T, Malformed> {
        wire::decode(frame, self.deframer.bytes_max as usize)
    }

    /// The next frame; cancel-safe.
    async fn frame(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        loop {
            if let Some(frame) = self.deframer.next_frame()? {
                self.under_way = None;
                return Ok(Some(frame));
            }
            let left = self.deframer.is_inside_a_frame().then(|| self.left());
            let read = self.stream.read_chunk(READ_BYTES);
            let chunk = match left {
                Some(left) => timeout(left, read).await.map_err(|_| LinkError::Stalled)?,
                None => read.await,
            };
            match chunk? {
                Some(chunk) => {
                    let (_, bytes) = self.under_way.get_or_insert_with(|| (Instant::now(), 0));
                    *bytes += chunk.len() as u64;
                    self.deframer.push(&chunk);
                }
                None if self.deframer.is_inside_a_frame() => return Err(LinkError::Truncated),
                None => return Ok(None),
            }
        }
    }

    /// How much longer to wait for more of a frame that has begun: without end where some of it comes
    /// again and again, unless the other side is held to be quick enough.
    fn left(&self) -> Duration {
        match (self.stream.bounds(), self.under_way) {
            (Some(bounds), Some((begun, bytes))) => {
                bounds.patience(bytes).saturating_sub(begun.elapsed()).min(STALL)
            }
            _ => STALL,
        }
    }

    /// The stream after the frames, and the bytes of it that have already come.
    pub(super) fn into_rest(self) -> (RecvStream, Vec<u8>) {
        (self.stream, self.deframer.into_rest())
    }
}

/// Writes with progress at least every [`STALL_MS`].
pub(super) async fn write_all(stream: &mut SendStream, mut bytes: &[u8]) -> Result<(), LinkError> {
    while !bytes.is_empty() {
        let written = timeout(STALL, stream.write(bytes)).await;
        let written = written.map_err(|_| LinkError::Stalled)??;
        bytes = &bytes[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bodies: &[&[u8]]) -> Vec<u8> {
        let length = |body: &[u8]| u32::try_from(body.len()).expect("short").to_le_bytes();
        bodies.iter().flat_map(|body| [&length(body)[..], body].concat()).collect()
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let bodies: [&[u8]; 3] = [b"one", b"", b"three"];
        let bytes = framed(&bodies);
        for step in 1..bytes.len() {
            let mut deframer = Deframer::new(5);
            let mut got = Vec::new();
            for part in bytes.chunks(step) {
                deframer.push(part);
                while let Some(frame) = deframer.next_frame().expect("within the limit") {
                    got.push(frame);
                }
            }
            assert_eq!(got, bodies, "in steps of {step}");
            assert!(!deframer.is_inside_a_frame());
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
        let mut deframer = Deframer::new(5);
        deframer.push(&6u32.to_le_bytes());
        let refused = Malformed::TooLarge { bytes: 6, bytes_max: 5 };
        assert_eq!(deframer.next_frame(), Err(refused));
    }
}
