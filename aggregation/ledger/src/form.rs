//! How values are written in entries: digests, keys and signatures in lower-case hexadecimal,
//! integers that may be beyond 2^53 as decimal strings. One form only: whatever else would read the
//! same is refused. `#[serde(with = "crate::form::hex")]`.

/// Bytes in hexadecimal: digests, keys, signatures, strings of bytes, and lists and options of them.
pub(crate) mod hex {
    use covey_aggregation::hash::Digest;
    use covey_aggregation::party::PartyId;
    use covey_aggregation::signing::Signature;
    use data_encoding::HEXLOWER;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What is written so.
    pub(crate) trait Bytes: Sized {
        fn bytes(&self) -> Vec<u8>;
        fn of(bytes: &[u8]) -> Option<Self>;
    }

    impl Bytes for Digest {
        fn bytes(&self) -> Vec<u8> {
            self.0.to_vec()
        }
        fn of(bytes: &[u8]) -> Option<Self> {
            bytes.try_into().ok().map(Self)
        }
    }

    impl Bytes for PartyId {
        fn bytes(&self) -> Vec<u8> {
            self.0.to_vec()
        }
        fn of(bytes: &[u8]) -> Option<Self> {
            bytes.try_into().ok().map(Self)
        }
    }

    impl Bytes for Signature {
        fn bytes(&self) -> Vec<u8> {
            self.to_bytes().to_vec()
        }
        fn of(bytes: &[u8]) -> Option<Self> {
            bytes.try_into().ok().map(Self::from_bytes)
        }
    }

    impl Bytes for Vec<u8> {
        fn bytes(&self) -> Self {
            self.clone()
        }
        fn of(bytes: &[u8]) -> Option<Self> {
            Some(bytes.to_vec())
        }
    }

    /// What holds such values.
    pub(crate) trait InHex: Sized {
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
        fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
    }

    struct Hex<T>(T);

    impl<T: Bytes> Serialize for Hex<&T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&HEXLOWER.encode(&self.0.bytes()))
        }
    }

    impl<'de, T: Bytes> Deserialize<'de> for Hex<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            let bytes = HEXLOWER.decode(text.as_bytes()).ok();
            let value = bytes.and_then(|bytes| T::of(&bytes)).map(Self);
            value.ok_or_else(|| D::Error::custom("not so many bytes in lower-case hexadecimal"))
        }
    }

    impl<T: Bytes> InHex for T {
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Hex(self).serialize(serializer)
        }
        fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Hex::deserialize(deserializer)?.0)
        }
    }

    impl<T: Bytes> InHex for Option<T> {
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.as_ref().map(Hex).serialize(serializer)
        }
        fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Option::<Hex<T>>::deserialize(deserializer)?.map(|hex| hex.0))
        }
    }

    /// A list of values in hexadecimal.
    pub(crate) mod list {
        use super::{Bytes, Deserialize, Deserializer, Hex, Serializer};

        pub(crate) fn serialize<T: Bytes, S: Serializer>(
            values: &[T],
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(values.iter().map(Hex))
        }

        pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<T>, D::Error> {
            let values = Vec::<Hex<T>>::deserialize(deserializer)?;
            Ok(values.into_iter().map(|hex| hex.0).collect())
        }
    }

    pub(crate) fn serialize<T: InHex, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.write(serializer)
    }

    pub(crate) fn deserialize<'de, T: InHex, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

/// An integer in decimal digits, in a string.
pub(crate) mod decimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: Option<u128> = text.parse().ok();
        // One form only: no sign, no zeros in front.
        let value = value.filter(|value| value.to_string() == text);
        value.ok_or_else(|| D::Error::custom("no decimal integer below 2^128"))
    }
}
