//! What kind of message some bytes are: read off the bytes that are about to leave, not taken from
//! who sends them. Bytes that are nothing a data owner's client says are not named, and do not leave.

use std::io;

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{BULK_REQUEST_BYTES_MAX, FRAME_BYTES_MAX};
use covey_aggregation::message::FromClient;
use covey_aggregation::net::enrolment::Application;
use covey_aggregation::net::link::Greeting;
use covey_aggregation::net::{BulkRequest, Parcel};
use covey_aggregation::wire::{self, Malformed};

use super::entry::sha256;
use covey_aggregation::net::text::to_hex;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// What is about to leave.
pub(super) struct Named {
    pub(super) kind: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// The round it is about.
    pub(super) context: Option<Digest>,
}

impl Named {
    pub(super) fn of(parcel: Parcel<'_>) -> io::Result<Self> {
        let frame = |bytes: &[u8], kind, context| Self {
            kind,
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
            context,
        };
        Ok(match parcel {
            Parcel::Greeting(bytes) => {
                let _: Greeting = body(bytes, FRAME_BYTES_MAX)?;
                frame(bytes, "Greeting", None)
            }
            Parcel::Message(bytes) => {
                let message: FromClient = body(bytes, FRAME_BYTES_MAX)?;
                let kind = match &message {
                    FromClient::Declined { .. } => "FromClient::Declined",
                    FromClient::Pending { .. } => "FromClient::Pending",
                    FromClient::Proven { .. } => "FromClient::Proven",
                    FromClient::Unrecorded { .. } => "FromClient::Unrecorded",
                    FromClient::Report { .. } => "FromClient::Report",
                };
                frame(bytes, kind, Some(*message.round_ctx()))
            }
            Parcel::Request(bytes) => match body(bytes, BULK_REQUEST_BYTES_MAX)? {
                BulkRequest::Plan(_) => frame(bytes, "BulkRequest::Plan", None),
                BulkRequest::Model(_) => frame(bytes, "BulkRequest::Model", None),
                BulkRequest::Contribution(signed) => {
                    frame(bytes, "BulkRequest::Contribution", Some(signed.header.round_ctx))
                }
                BulkRequest::Stored(_) => return Err(no_message("a holder's request")),
            },
            Parcel::Application(bytes) => {
                let kind = match body(bytes, FRAME_BYTES_MAX)? {
                    Application::Join { .. } => "Application::Join",
                    Application::Renew => "Application::Renew",
                    Application::Leave => "Application::Leave",
                };
                frame(bytes, kind, None)
            }
            Parcel::Contribution(signed, outline) => Self {
                kind: "Contribution",
                bytes: outline.bytes(),
                sha256: to_hex(outline.sha256()),
                context: Some(signed.header.round_ctx),
            },
        })
    }
}

fn body<T>(frame: &[u8], bytes_max: u32) -> io::Result<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let body = frame.get(LENGTH_BYTES..).unwrap_or_default();
    wire::decode(body, bytes_max as usize).map_err(|error: Malformed| no_message(error))
}

fn no_message(what: impl std::fmt::Display) -> io::Error {
    let what = format!("this is no message of a data owner's client: {what}");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame<T: serde::Serialize>(value: &T) -> Vec<u8> {
        let body = wire::encode(value);
        let length = u32::try_from(body.len()).expect("short").to_le_bytes();
        [&length[..], &body].concat()
    }

    #[test]
    fn bytes_are_named_by_what_they_are_and_strange_ones_do_not_leave() {
        let round_ctx = Digest([5; 32]);
        let pending = frame(&FromClient::Pending { round_ctx });
        let named = Named::of(Parcel::Message(&pending)).expect("a message");
        assert_eq!((named.kind, named.context), ("FromClient::Pending", Some(round_ctx)));
        assert_eq!((named.bytes, named.sha256), (pending.len() as u64, sha256(&pending)));
        let plan = frame(&BulkRequest::Plan(round_ctx));
        assert_eq!(Named::of(Parcel::Request(&plan)).expect("a request").kind, "BulkRequest::Plan");
        let stored = frame(&BulkRequest::Stored(round_ctx));
        let rows = frame(&vec![0.5_f32; 16]);
        let long = [pending.as_slice(), b"age,61"].concat();
        for strange in [
            Parcel::Request(&stored),
            Parcel::Message(&rows),
            Parcel::Message(&long),
            Parcel::Message(&plan[..3]),
            Parcel::Greeting(&rows),
        ] {
            let error = Named::of(strange).err().expect("no message");
            assert!(error.to_string().contains("no message of a data owner"), "{error}");
        }
    }
}
