//! The charter: what a federation's reviewers may change by their votes.

use covey_aggregation::credit::{BadTerms, CreditTerms, Ratio, TermsDraft};
use serde::{Deserialize, Serialize};

use crate::entry::INTEGER_MAX;
use crate::form::decimal;

/// Most token units of one credit: 10^24, six digits more than most tokens have.
pub const UNITS_PER_CREDIT_MAX: u128 = 1_000_000_000_000_000_000_000_000;

/// Longest window, in milliseconds: a year.
pub const WINDOW_MS_MAX: u64 = 366 * 24 * 3600 * 1000;

/// Most disputes, or proposals, of one member that may be open at once under any charter.
pub const OPEN_MAX: u32 = 1000;

/// Three days, in milliseconds.
const THREE_DAYS_MS: u64 = 3 * 24 * 3600 * 1000;

/// What is voted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// How credits are settled, beside budget and length. A run keeps what it began with.
    pub credit: CreditRules,
    /// Largest pool of a run (its budget times its rounds), in micro-credits, that is paid without a
    /// vote on it.
    pub budget_free_micro: u64,
    /// How long after its settlement a run's credits may be disputed, in milliseconds.
    pub dispute_window_ms: u64,
    /// How long reviewers have to vote on a dispute or a proposal, in milliseconds.
    pub vote_window_ms: u64,
    /// How many equal votes decide.
    pub quorum: u32,
    /// Disputes of one member that may be open at once.
    pub disputes_open_max: u32,
    /// Proposals of one member that may be open at once.
    pub proposals_open_max: u32,
    /// What one credit is paid, in the smallest units of the token.
    #[serde(with = "decimal")]
    pub units_per_credit: u128,
}

/// The terms of credit that are the same for every run ([`TermsDraft`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRules {
    /// See [`TermsDraft::count_cap_medians`].
    pub count_cap_medians: u32,
    /// See [`TermsDraft::lambda`].
    pub lambda: Ratio,
    /// See [`TermsDraft::interval`].
    pub interval: Ratio,
    /// See [`TermsDraft::flag`].
    pub flag: Ratio,
    /// See [`TermsDraft::duplicate`].
    pub duplicate: Ratio,
    /// See [`TermsDraft::contributions_min`].
    pub contributions_min: u32,
}

/// A charter that no federation can live by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCharter {
    /// The rules of credit.
    #[error("the charter's rules of credit: {0}")]
    Credit(#[from] BadTerms),
    /// A window out of bounds.
    #[error("a window of {0} ms: use 1 to {WINDOW_MS_MAX}")]
    Window(u64),
    /// No vote would be needed, or more than there are reviewers.
    #[error(
        "a quorum of {quorum} with {reviewers} reviewers: use more than half of them, at most all"
    )]
    Quorum {
        /// What it says.
        quorum: u32,
        /// So many there are.
        reviewers: usize,
    },
    /// A quota out of bounds.
    #[error("a quota of {0} open at once: use 1 to {OPEN_MAX}")]
    Quota(u32),
    /// More than is counted exactly.
    #[error("a free budget of {0} micro-credits: use at most {INTEGER_MAX}")]
    Budget(u64),
    /// More than amounts can hold.
    #[error("{0} token units a credit: use at most {UNITS_PER_CREDIT_MAX}")]
    Units(u128),
}

impl CreditRules {
    /// The study's ([`TermsDraft::usual`]).
    #[must_use]
    pub const fn usual() -> Self {
        let TermsDraft {
            count_cap_medians,
            lambda,
            interval,
            flag,
            duplicate,
            contributions_min,
            ..
        } = TermsDraft::usual(1, 16);
        Self { count_cap_medians, lambda, interval, flag, duplicate, contributions_min }
    }

    /// Terms by these rules, for a budget in micro-credits a round and so many rounds.
    ///
    /// # Errors
    /// [`BadTerms`].
    pub fn terms(&self, budget_micro: u64, rounds: u32) -> Result<CreditTerms, BadTerms> {
        let Self { count_cap_medians, lambda, interval, flag, duplicate, contributions_min } =
            *self;
        CreditTerms::check(TermsDraft {
            budget_micro,
            rounds,
            count_cap_medians,
            lambda,
            interval,
            flag,
            duplicate,
            contributions_min,
        })
    }
}

impl Charter {
    /// The usual charter for so many reviewers: the study's rules of credit, three days to dispute and
    /// three to vote, more than half of the reviewers to decide, eight disputes and proposals of a
    /// member at once; 10^18 token units a credit, the least of what most tokens call one. Every
    /// budget up to `budget_free_micro` is free of a vote.
    #[must_use]
    pub const fn usual(reviewers: usize, budget_free_micro: u64) -> Self {
        Self {
            credit: CreditRules::usual(),
            budget_free_micro,
            dispute_window_ms: THREE_DAYS_MS,
            vote_window_ms: THREE_DAYS_MS,
            quorum: (reviewers / 2 + 1) as u32,
            disputes_open_max: 8,
            proposals_open_max: 8,
            units_per_credit: 1_000_000_000_000_000_000,
        }
    }

    /// Checks the charter of a federation with so many reviewers.
    ///
    /// # Errors
    /// [`BadCharter`], by the first fault.
    pub fn check(&self, reviewers: usize) -> Result<(), BadCharter> {
        self.credit.terms(1, 2)?;
        for window in [self.dispute_window_ms, self.vote_window_ms] {
            if window == 0 || window > WINDOW_MS_MAX {
                return Err(BadCharter::Window(window));
            }
        }
        let quorum = self.quorum as usize;
        if quorum > reviewers || quorum <= reviewers / 2 {
            return Err(BadCharter::Quorum { quorum: self.quorum, reviewers });
        }
        for quota in [self.disputes_open_max, self.proposals_open_max] {
            if quota == 0 || quota > OPEN_MAX {
                return Err(BadCharter::Quota(quota));
            }
        }
        if self.budget_free_micro > INTEGER_MAX {
            return Err(BadCharter::Budget(self.budget_free_micro));
        }
        if self.units_per_credit > UNITS_PER_CREDIT_MAX {
            return Err(BadCharter::Units(self.units_per_credit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_charters_hold_and_bad_ones_are_named() {
        for reviewers in 1..10 {
            assert_eq!(Charter::usual(reviewers, 0).check(reviewers), Ok(()));
        }
        let with = |change: fn(&mut Charter)| {
            let mut charter = Charter::usual(4, 0);
            change(&mut charter);
            charter.check(4)
        };
        let quorum = |quorum| Err(BadCharter::Quorum { quorum, reviewers: 4 });
        assert_eq!(with(|one| one.quorum = 2), quorum(2), "two sides could both decide");
        assert_eq!(with(|one| one.quorum = 5), quorum(5));
        assert_eq!(with(|one| one.dispute_window_ms = 0), Err(BadCharter::Window(0)));
        assert_eq!(with(|one| one.disputes_open_max = 0), Err(BadCharter::Quota(0)));
        let units = UNITS_PER_CREDIT_MAX + 1;
        assert_eq!(
            with(|one| one.units_per_credit = UNITS_PER_CREDIT_MAX + 1),
            Err(BadCharter::Units(units))
        );
        let cap = BadCharter::Credit(BadTerms::CountCap { got: 0 });
        assert_eq!(with(|one| one.credit.count_cap_medians = 0), Err(cap));
    }
}
