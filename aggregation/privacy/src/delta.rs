//! The delta of (epsilon, delta)-differential privacy.

use serde::{Deserialize, Serialize};

/// Smallest delta. Far below any that is planned with; keeps the losses that an accountant must
/// look at within `f64`.
pub const DELTA_MIN: f64 = 1e-30;

/// A probability with which a guarantee may fail: [`DELTA_MIN`] to below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delta(f64);

/// Not a delta.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("delta is a number from 1e-30 to below 1, this is {0}")]
pub struct BadDelta(pub f64);

impl Delta {
    /// # Errors
    /// [`BadDelta`].
    pub fn new(delta: f64) -> Result<Self, BadDelta> {
        // Also false for what is no number.
        if (DELTA_MIN..1.0).contains(&delta) { Ok(Self(delta)) } else { Err(BadDelta(delta)) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<String> for Delta {
    type Error = BadDelta;

    fn try_from(text: String) -> Result<Self, BadDelta> {
        Self::new(text.parse().unwrap_or(f64::NAN))
    }
}

impl From<Delta> for String {
    fn from(delta: Delta) -> Self {
        format!("{:?}", delta.0)
    }
}
