//! How often each contribution is in a round's sum, and of how many a sum is at most.

use super::RoundConfig;
use crate::credit::{CountedOnce, CreditConfig, Training, multiplicities};
use crate::limits::MULTIPLICITY_MAX;
use crate::party::PartyId;

impl RoundConfig {
    /// How often the contributions of these owners count in the round's sum, in their order: once
    /// each, unless evidence of earlier rounds weighs them ([`multiplicities`]).
    #[must_use]
    pub fn multiplicities(&self, owners: impl Iterator<Item = PartyId>) -> Vec<u32> {
        let owners: Vec<_> = owners.collect();
        let times = self.weighed(&owners).and_then(Result::ok);
        times.unwrap_or_else(|| vec![1; owners.len()])
    }

    /// The same, with the reason where all count once though evidence weighs updates; none where it
    /// does not.
    #[must_use]
    pub fn weighed(&self, owners: &[PartyId]) -> Option<Result<Vec<u32>, CountedOnce>> {
        let CreditConfig { training: Training::Evidence, state, .. } = self.credit.as_ref()? else {
            return None;
        };
        Some(multiplicities(&state.standings, self.contributions_min, owners))
    }

    /// Most times that one contribution counts.
    #[must_use]
    pub const fn multiplicity_max(&self) -> u32 {
        match self.credit {
            Some(CreditConfig { training: Training::Evidence, .. }) => MULTIPLICITY_MAX,
            _ => 1,
        }
    }

    /// Most contributions that a sum is of, each counted as often as it is in it: what every width
    /// and bound of a sum follows from.
    #[must_use]
    pub const fn summands_max(&self) -> u32 {
        // The product of two that were not checked may be any number.
        self.contributions_max.saturating_mul(self.multiplicity_max())
    }
}
