//! What a round does to privacy.

use serde::{Deserialize, Serialize};

use crate::distributed::Distributed;
use crate::exact;

/// Least and largest ratio of noise to sensitivity that is accounted for. Below the least, one
/// round has an epsilon of hundreds; above the largest, it is nothing.
pub const NOISE_MULTIPLIER_BOUNDS: (f64, f64) = (0.05, 1e6);

/// Least sampling rate. The largest is 1.
pub const SAMPLING_RATE_MIN: f64 = 1e-9;

/// A Gaussian mechanism on a Poisson sample: every person is in with probability `sampling_rate`,
/// independently of the others and unknown to whoever looks; what is summed has an L2 sensitivity
/// of 1 to one person more or less; noise of standard deviation `noise_multiplier` is added.
///
/// The noise is a continuous Gaussian here. What one party adds as a discrete one without sampling
/// (a rate of 1) costs no more in Renyi-DP (Canonne, Kamath, Steinke 2020, theorem 4); for sums of
/// shares see [`Distributed`]. No such theorem is used for a *sampled* discrete Gaussian.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Sampled {
    noise_multiplier: f64,
    sampling_rate: f64,
}

/// An event that no accountant takes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadEvent {
    /// Outside [`NOISE_MULTIPLIER_BOUNDS`].
    #[error("a noise multiplier is a number from 0.05 to 1e6, this is {0}")]
    NoiseMultiplier(f64),
    /// Outside [`SAMPLING_RATE_MIN`] to 1.
    #[error("a sampling rate is a number from 1e-9 to 1, this is {0}")]
    SamplingRate(f64),
}

impl Sampled {
    /// # Errors
    /// [`BadEvent`], of the number that is out of bounds or none.
    pub fn new(noise_multiplier: f64, sampling_rate: f64) -> Result<Self, BadEvent> {
        let (least, largest) = NOISE_MULTIPLIER_BOUNDS;
        if !(least..=largest).contains(&noise_multiplier) {
            return Err(BadEvent::NoiseMultiplier(noise_multiplier));
        }
        if !(SAMPLING_RATE_MIN..=1.0).contains(&sampling_rate) {
            return Err(BadEvent::SamplingRate(sampling_rate));
        }
        Ok(Self { noise_multiplier, sampling_rate })
    }

    /// Standard deviation of the noise in units of the L2 sensitivity.
    #[must_use]
    pub fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// Probability of everybody to be in.
    #[must_use]
    pub fn sampling_rate(&self) -> f64 {
        self.sampling_rate
    }
}

/// As stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(with = "exact")]
    noise_multiplier: f64,
    #[serde(with = "exact")]
    sampling_rate: f64,
}

impl TryFrom<Written> for Sampled {
    type Error = BadEvent;

    fn try_from(written: Written) -> Result<Self, BadEvent> {
        Self::new(written.noise_multiplier, written.sampling_rate)
    }
}

impl From<Sampled> for Written {
    fn from(Sampled { noise_multiplier, sampling_rate }: Sampled) -> Self {
        Self { noise_multiplier, sampling_rate }
    }
}

/// One release about the same people. Add-or-remove-one adjacency throughout: neighbours differ by
/// one person who is there or is not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A Gaussian on a Poisson sample.
    Sampled(Sampled),
    /// A sum of discrete Gaussian shares, without sampling.
    Distributed(Distributed),
}
