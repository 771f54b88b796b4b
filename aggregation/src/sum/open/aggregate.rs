//! The opened sum, as it is published.

use serde::{Deserialize, Serialize};

use crate::config::{Control, Quantiser, Weighting};
use crate::hash::{Digest, Domain, Hasher};

#[cfg(doc)]
use super::open;

/// The opened sum. On the wire the sums are one byte string, four bytes each (little-endian, two's
/// complement): [`open`] lets none pass that is more than `n_max (2^(w-1) - 1)`, below 2^29; n_max
/// here is the most that a sum is of (`RoundConfig::summands_max`), 10,000 at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Contributions, each as often as it counts
    /// ([`RoundConfig::multiplicities`](crate::config::RoundConfig::multiplicities)); so do all of
    /// the sums below.
    pub count: u32,
    /// Sum of their weights.
    pub weight: u64,
    /// Sums of signed units, one per parameter.
    #[serde(with = "sums")]
    pub sums: Vec<i32>,
    /// The same of the control; or one, of the votes on the clip; empty where there is neither.
    #[serde(with = "sums")]
    pub control: Vec<i32>,
    /// Sums of the counters; on the wire one byte string, eight bytes each (little-endian).
    #[serde(with = "counters")]
    pub counters: Vec<u64>,
}

impl Aggregate {
    /// The weighted mean of the updates: `sum step / n`, or with weights
    /// `sum step cap / (sum of weights)`.
    #[must_use]
    pub fn mean(&self, quantiser: &Quantiser) -> Vec<f32> {
        let unit = match quantiser.weighting {
            Weighting::Uniform => quantiser.step() / f64::from(self.count),
            Weighting::CappedExamples(cap) => {
                quantiser.step() * f64::from(cap) / self.weight as f64
            }
        };
        self.sums.iter().map(|&sum| (f64::from(sum) * unit) as f32).collect()
    }

    /// The mean of the controls, every owner alike: `sum step / n`, `bits` as in the update's
    /// quantiser. Not rounded to `f32`.
    #[must_use]
    pub fn control_mean(&self, control: &Control, bits: u8) -> Vec<f64> {
        let unit = control.quantiser(bits).step() / f64::from(self.count);
        self.control.iter().map(|&sum| f64::from(sum) * unit).collect()
    }

    /// Digest of count, weight, counters, and sums of update and control, or votes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::Aggregate);
        hasher.part(&self.count.to_le_bytes());
        hasher.part(&self.weight.to_le_bytes());
        let counters: Vec<u8> = self.counters.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        hasher.part(&counters);
        // What follows has no length of its own.
        hasher.part(&(self.control.len() as u64).to_le_bytes());
        let mut bytes = Vec::new();
        for sums in self.sums.chunks(8192).chain(self.control.chunks(8192)) {
            bytes.clear();
            bytes.extend(sums.iter().flat_map(|&sum| i64::from(sum).to_le_bytes()));
            hasher.raw(&bytes);
        }
        hasher.finish()
    }
}

/// Sums as they travel.
mod sums {
    use std::fmt;

    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Bytes of a sum.
    const SUM_BYTES: usize = 4;

    pub(super) fn serialize<S: Serializer>(sums: &[i32], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<i32>, D::Error> {
        struct Sums;

        impl Visitor<'_> for Sums {
            type Value = Vec<i32>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SUM_BYTES} bytes for each sum")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<i32>, E> {
                let (sums, []) = bytes.as_chunks::<SUM_BYTES>() else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                Ok(sums.iter().map(|&sum| i32::from_le_bytes(sum)).collect())
            }
        }

        deserializer.deserialize_bytes(Sums)
    }
}

/// Sums of counters as they travel.
mod counters {
    use std::fmt;

    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(
        counters: &[u64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = counters.iter().flat_map(|counter| counter.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u64>, D::Error> {
        struct Counters;

        impl Visitor<'_> for Counters {
            type Value = Vec<u64>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("8 bytes for each counter")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u64>, E> {
                let (counters, []) = bytes.as_chunks::<8>() else {
                    return Err(E::invalid_length(bytes.len(), &self));
                };
                Ok(counters.iter().map(|&counter| u64::from_le_bytes(counter)).collect())
            }
        }

        deserializer.deserialize_bytes(Counters)
    }
}
