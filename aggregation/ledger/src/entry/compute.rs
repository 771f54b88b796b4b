//! What a round took.

use serde::{Deserialize, Serialize};

use crate::statement::Signed;

/// What an owner says that a round took. Never part of credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeReported {
    /// What it signed: [`crate::statement::Compute`].
    pub signed: Signed,
}

impl ComputeReported {
    pub(super) fn subject(&self) -> String {
        self.signed.subject()
    }
}
