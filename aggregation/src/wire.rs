//! The one encoding: a version byte, then postcard (<https://postcard.jamesmunns.com/wire-format>).
//! A value has exactly one accepted form: what does not encode back to the same bytes is refused.

use serde::{Serialize, de::DeserializeOwned};

/// First byte of every encoded message and record.
pub const VERSION: u8 = 1;

/// Bytes that are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than this kind of message may be.
    #[error("{bytes} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// Bytes received or announced.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Another version of the format.
    #[error("format version {got}, this program speaks {VERSION}")]
    Version {
        /// The version received.
        got: u8,
    },
    /// Not this type, truncated, followed by more bytes, or not in the canonical form.
    #[error("not a well-formed {what}")]
    Shape {
        /// The type expected.
        what: &'static str,
    },
}

/// Encodes a value.
///
/// # Panics
/// Never for the types of this crate: postcard into a growing vector fails only for types
/// without a known length, and there is none here.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("every wire type has a known length")
}

/// Decodes a value of at most `bytes_max` bytes.
///
/// # Errors
/// [`Malformed`], by what is wrong with the bytes.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, Malformed> {
    if bytes.len() > bytes_max {
        return Err(Malformed::TooLarge { bytes: bytes.len(), bytes_max });
    }
    let shape = Malformed::Shape { what: std::any::type_name::<T>() };
    let (version, body) = bytes.split_first().ok_or_else(|| shape.clone())?;
    if *version != VERSION {
        return Err(Malformed::Version { got: *version });
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|_| shape.clone())?;
    if rest.is_empty() && encode(&value) == bytes { Ok(value) } else { Err(shape) }
}
