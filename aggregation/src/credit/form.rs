//! How evidence and settlements are written: on the wire as everything else, in JSON with keys and
//! digests in hexadecimal. `#[serde(with = ...)]`.

/// 32 bytes (a party's key, a digest): as they are on the wire, 64 lower-case digits in JSON.
pub(crate) mod hex {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, Visitor};
    use serde::{Serialize, Serializer};

    use crate::hash::Digest;
    use crate::party::PartyId;

    /// What is written so.
    pub(crate) trait Bytes32: Copy {
        fn bytes(self) -> [u8; 32];
        fn of(bytes: [u8; 32]) -> Self;
    }

    impl Bytes32 for Digest {
        fn bytes(self) -> [u8; 32] {
            self.0
        }
        fn of(bytes: [u8; 32]) -> Self {
            Self(bytes)
        }
    }

    impl Bytes32 for PartyId {
        fn bytes(self) -> [u8; 32] {
            self.0
        }
        fn of(bytes: [u8; 32]) -> Self {
            Self(bytes)
        }
    }

    pub(crate) fn serialize<T: Bytes32, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = value.bytes();
        if serializer.is_human_readable() {
            serializer.collect_str(&Digest(bytes))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, T: Bytes32, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Digits).map(T::of)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(T::of)
        }
    }

    struct Digits;

    impl Visitor<'_> for Digits {
        type Value = [u8; 32];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("64 lower-case hexadecimal digits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<[u8; 32], E> {
            // One form only: capitals and signs read the same.
            let digest = Digest::from_hex(text).filter(|digest| digest.to_string() == text);
            digest
                .map(|digest| digest.0)
                .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("other text"), &self))
        }
    }
}

/// The keys of two parties, likewise.
pub(super) mod hex_pair {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::party::PartyId;

    #[derive(Serialize, Deserialize)]
    struct Hex(#[serde(with = "super::hex")] PartyId);

    pub(crate) fn serialize<S: Serializer>(
        pair: &[PartyId; 2],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pair.map(Hex).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[PartyId; 2], D::Error> {
        <[Hex; 2]>::deserialize(deserializer).map(|pair| pair.map(|hex| hex.0))
    }
}

/// An integer of its full width on the wire, so that a list of them holds no more memory than a few
/// times its bytes; a number in JSON.
pub(super) mod fixed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What is written so.
    pub(crate) trait Integer: Copy + Serialize + for<'de> Deserialize<'de> {
        type Bytes: Serialize + for<'de> Deserialize<'de>;
        fn bytes(self) -> Self::Bytes;
        fn of(bytes: Self::Bytes) -> Self;
    }

    impl Integer for u32 {
        type Bytes = [u8; 4];
        fn bytes(self) -> [u8; 4] {
            self.to_le_bytes()
        }
        fn of(bytes: [u8; 4]) -> Self {
            Self::from_le_bytes(bytes)
        }
    }

    impl Integer for i64 {
        type Bytes = [u8; 8];
        fn bytes(self) -> [u8; 8] {
            self.to_le_bytes()
        }
        fn of(bytes: [u8; 8]) -> Self {
            Self::from_le_bytes(bytes)
        }
    }

    pub(crate) fn serialize<T: Integer, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Serialize::serialize(value, serializer)
        } else {
            value.bytes().serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, T: Integer, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            T::deserialize(deserializer)
        } else {
            T::Bytes::deserialize(deserializer).map(T::of)
        }
    }
}
