//! What a holder demands of a round's terms before it countersigns them.

use crate::config::{RoundConfig, cohort_digest};
use crate::message::Refusal;
use crate::party::PartyId;

use super::Holder;

impl Holder {
    /// Checks terms against the pinned roster.
    pub(super) fn check_terms(
        &self,
        config: &RoundConfig,
        cohort: &[PartyId],
    ) -> Result<(), Refusal> {
        config.validate().map_err(|bad| Refusal::Terms(bad.to_string()))?;
        let refuse = |why: &str| Err(Refusal::Terms(why.to_owned()));
        if config.federation != self.roster {
            return refuse("of another roster than the one this holder has pinned");
        }
        if config.committee != self.committee {
            return refuse("another committee than the roster's");
        }
        if !cohort.windows(2).all(|pair| pair[0] < pair[1]) {
            return refuse("the cohort is not in ascending order");
        }
        if cohort_digest(cohort) != config.cohort {
            return refuse("the cohort is not the one that the terms name");
        }
        if !cohort.iter().all(|client| self.owners.contains(client)) {
            return refuse("the cohort holds somebody who is no data owner of the roster");
        }
        if config.control.is_some_and(|control| control.owners as usize != self.owners.len()) {
            return refuse("the control is a mean over another number of owners than the roster's");
        }
        if cohort.len() < config.contributions_min as usize {
            return refuse("the cohort is smaller than the fewest contributions to open");
        }
        Ok(())
    }
}
