//! The one encoding: a version byte, then postcard (<https://postcard.jamesmunns.com/wire-format>).
//! A value has exactly one accepted form: what does not encode back to the same bytes is refused.
//!
//! What decoding holds is meant to stay in proportion to the bytes: no announced length is believed,
//! so a list grows as its elements come; byte strings are copied once, into as many bytes; and a list
//! whose elements take more memory than bytes has a limit ([`bounded`], [`byte_strings`]). The check
//! for the one form compares while it encodes, and holds nothing. How much it holds at its peak has
//! not been measured.

use std::fmt;
use std::marker::PhantomData;

use postcard::{de_flavors, ser_flavors};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

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
/// without a known length, and there is none here; and sums that do not fit are not opened
/// ([`crate::sum::open::Aggregate`]).
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("every wire type can be encoded")
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
    let mut deserializer = postcard::Deserializer::from_flavor(Input(body));
    let Ok(value) = T::deserialize(&mut deserializer) else { return Err(shape) };
    let is_whole = deserializer.finalize().is_ok_and(<[u8]>::is_empty);
    let is_canonical = postcard::serialize_with_flavor(&value, Comparison(body)).is_ok();
    if is_whole && is_canonical { Ok(value) } else { Err(shape) }
}

/// The bytes that are still to be decoded.
struct Input<'de>(&'de [u8]);

impl<'de> de_flavors::Flavor<'de> for Input<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// Never enough for an announced length, so that none is believed.
    fn size_hint(&self) -> Option<usize> {
        Some(0)
    }

    fn try_take_n(&mut self, length: usize) -> postcard::Result<&'de [u8]> {
        let parts = self.0.split_at_checked(length);
        let (taken, rest) = parts.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.0 = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'de [u8]> {
        Ok(self.0)
    }
}

/// The bytes that a value must still encode to.
struct Comparison<'a>(&'a [u8]);

impl ser_flavors::Flavor for Comparison<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(postcard::Error::SerializeBufferFull) }
    }
}

/// Decodes a list of at most `MAX` elements, of those that take more memory than bytes
/// (`#[serde(deserialize_with = ...)]`).
///
/// # Errors
/// The deserializer's; also when there are more.
pub fn bounded<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Elements<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                if elements.len() == MAX {
                    return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData))
}

/// Decodes a byte string of at most `MAX` bytes (`#[serde(deserialize_with = ...)]`).
///
/// # Errors
/// The deserializer's; also when it is longer.
pub fn bounded_bytes<'de, D, const MAX: usize>(deserializer: D) -> Result<Vec<u8>, D::Error>
where
    D: Deserializer<'de>,
{
    let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?.into_vec();
    if bytes.len() <= MAX {
        return Ok(bytes);
    }
    let most = format!("at most {MAX} bytes");
    Err(serde::de::Error::invalid_length(bytes.len(), &most.as_str()))
}

/// Bytes that are not checked but for their number, at most `MAX`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundedBytes<const MAX: usize>(
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "bounded_bytes::<_, MAX>"
    )]
    pub(crate) Vec<u8>,
);

impl<const MAX: usize> BoundedBytes<MAX> {
    /// Takes bytes; none if they are too many.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A list of byte strings, of at most [`BYTE_STRINGS_MAX`](crate::limits::BYTE_STRINGS_MAX)
/// (`#[serde(with = ...)]`).
pub mod byte_strings {
    use serde::{Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    use crate::limits::BYTE_STRINGS_MAX;

    /// Encodes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(strings: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(strings.iter().map(|string| Bytes::new(string)))
    }

    /// Decodes.
    ///
    /// # Errors
    /// The deserializer's; also when there are more than the limit.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let strings = super::bounded::<D, ByteBuf, BYTE_STRINGS_MAX>(deserializer)?;
        Ok(strings.into_iter().map(ByteBuf::into_vec).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Lists {
        #[serde(deserialize_with = "bounded::<_, _, 2>")]
        few: Vec<u16>,
        #[serde(with = "byte_strings")]
        strings: Vec<Vec<u8>>,
    }

    #[test]
    fn a_list_over_its_limit_is_refused() {
        let lists = |few: usize, strings: usize| {
            let lists = Lists { few: vec![300; few], strings: vec![vec![7; 3]; strings] };
            let bytes = encode(&lists);
            decode::<Lists>(&bytes, bytes.len()).map(|decoded| assert_eq!(decoded, lists))
        };
        assert_eq!(lists(0, 0), Ok(()));
        assert_eq!(lists(2, crate::limits::BYTE_STRINGS_MAX), Ok(()));
        assert!(lists(3, 0).is_err());
        assert!(lists(0, crate::limits::BYTE_STRINGS_MAX + 1).is_err());
    }

    #[test]
    fn a_value_has_one_form_only() {
        assert_eq!(decode::<u16>(&[VERSION, 0x7f], 9), Ok(0x7f));
        for bytes in [&[VERSION, 0xff, 0][..], &[VERSION, 0x7f, 0], &[VERSION, 0xff], &[VERSION]] {
            assert!(matches!(decode::<u16>(bytes, 9), Err(Malformed::Shape { .. })), "{bytes:?}");
        }
        assert_eq!(decode::<u16>(&[2, 0x7f], 9), Err(Malformed::Version { got: 2 }));
        let too_large = Malformed::TooLarge { bytes: 2, bytes_max: 1 };
        assert_eq!(decode::<u16>(&[VERSION, 0x7f], 1), Err(too_large));
    }
}
