//! What credits are settled by: fixed before the epoch, the same for everybody.

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, Domain, hash};
use crate::limits::{
    BUDGET_MICRO_MAX, CONTRIBUTIONS_FLOOR, CONTRIBUTIONS_MAX, CREDIT_CONTRIBUTIONS_MIN,
    EPOCH_ROUNDS_MAX, EPOCH_ROUNDS_MIN, RATIO_MAX,
};
use crate::wire;

/// An owner's examples count up to so many times the round's median, where terms do not say
/// otherwise: the study's.
pub(super) const COUNT_CAP_MEDIANS: u32 = 4;

/// A number that is not whole, without a float: `numerator / denominator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// At most [`RATIO_MAX`].
    pub numerator: u32,
    /// From 1 to [`RATIO_MAX`].
    pub denominator: u32,
}

impl Ratio {
    /// Thousandths.
    #[must_use]
    pub const fn thousandths(numerator: u32) -> Self {
        Self { numerator, denominator: 1000 }
    }

    /// This many times `value`, rounded up: a spread is never told too small.
    ///
    /// `value` is below 2^64, so that the product is below 2^84.
    pub(super) const fn times_up(self, value: u64) -> u64 {
        let product = value as u128 * self.numerator as u128;
        let times = product.div_ceil(self.denominator as u128);
        // More than any sum of credits: what it is subtracted from is below zero either way.
        if times > u64::MAX as u128 { u64::MAX } else { times as u64 }
    }

    const fn is_sound(self) -> bool {
        self.numerator <= RATIO_MAX && self.denominator >= 1 && self.denominator <= RATIO_MAX
    }
}

/// The terms as they are written down, unchecked; [`CreditTerms::check`] makes them terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsDraft {
    /// B: what a round gives, in micro-credits.
    pub budget_micro: u64,
    /// E: rounds of an epoch at most. Rounds without evidence (abandoned, or voided) give nothing.
    pub rounds: u32,
    /// An owner's examples count up to this many times the round's median.
    pub count_cap_medians: u32,
    /// lambda: standard errors that are taken off a credit before it is paid.
    pub lambda: Ratio,
    /// Standard errors on either side of a credit in its interval.
    pub interval: Ratio,
    /// Standard errors of the one-sided bounds of flags.
    pub flag: Ratio,
    /// Correlation of two owners' scores from which on they are flagged as duplicates.
    pub duplicate: Ratio,
    /// k_min: fewest contributions of a round with evidence.
    pub contributions_min: u32,
}

impl TermsDraft {
    /// The study's terms for a budget in micro-credits and a number of rounds (16 or more are
    /// recommended): counts up to 4 medians, lambda 1, intervals and flags by 1.645 standard errors
    /// (90 % on both sides, 95 % on one), at least 5 contributions. That two owners are duplicates
    /// from a correlation of 0.98 on is a choice, not a measurement.
    #[must_use]
    pub const fn usual(budget_micro: u64, rounds: u32) -> Self {
        Self {
            budget_micro,
            rounds,
            count_cap_medians: COUNT_CAP_MEDIANS,
            lambda: Ratio::thousandths(1000),
            interval: Ratio::thousandths(1645),
            flag: Ratio::thousandths(1645),
            duplicate: Ratio::thousandths(980),
            contributions_min: CREDIT_CONTRIBUTIONS_MIN,
        }
    }
}

/// Terms that credits can be settled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TermsDraft", into = "TermsDraft")]
pub struct CreditTerms(TermsDraft);

/// Terms that no credits can be settled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    /// Nothing to give, or more than is counted exactly.
    #[error("a budget of {got} micro-credits a round: use 1 to {BUDGET_MICRO_MAX}")]
    Budget {
        /// What was given.
        got: u64,
    },
    /// An epoch too short for a spread, or too long to wait for.
    #[error("an epoch of {got} rounds: use {EPOCH_ROUNDS_MIN} to {EPOCH_ROUNDS_MAX}")]
    Rounds {
        /// What was given.
        got: u32,
    },
    /// No examples would count, or all.
    #[error("examples count up to {got} medians: use 1 to 1000")]
    CountCap {
        /// What was given.
        got: u32,
    },
    /// Not a ratio, or one outside its range.
    #[error(
        "{name} is {} / {}: numerator at most {RATIO_MAX}, denominator 1 to {RATIO_MAX}{}",
        .ratio.numerator, .ratio.denominator,
        if *.name == "duplicate" { ", above 0 and at most 1" } else { "" }
    )]
    Ratio {
        /// Which field.
        name: &'static str,
        /// What was given.
        ratio: Ratio,
    },
    /// Fewer contributions than a sum may have, or more.
    #[error(
        "at least {got} contributions a round: use {CONTRIBUTIONS_FLOOR} to {CONTRIBUTIONS_MAX}"
    )]
    Contributions {
        /// What was given.
        got: u32,
    },
}

impl CreditTerms {
    /// Checks terms.
    ///
    /// # Errors
    /// [`BadTerms`], by the first field that is outside its range.
    pub fn check(draft: TermsDraft) -> Result<Self, BadTerms> {
        if draft.budget_micro == 0 || draft.budget_micro > BUDGET_MICRO_MAX {
            return Err(BadTerms::Budget { got: draft.budget_micro });
        }
        if !(EPOCH_ROUNDS_MIN..=EPOCH_ROUNDS_MAX).contains(&draft.rounds) {
            return Err(BadTerms::Rounds { got: draft.rounds });
        }
        if !(1..=1000).contains(&draft.count_cap_medians) {
            return Err(BadTerms::CountCap { got: draft.count_cap_medians });
        }
        let duplicate = draft.duplicate;
        let is_correlation =
            duplicate.numerator >= 1 && duplicate.numerator <= duplicate.denominator;
        let ratios = [
            ("lambda", draft.lambda, true),
            ("interval", draft.interval, true),
            ("flag", draft.flag, true),
            ("duplicate", duplicate, is_correlation),
        ];
        for (name, ratio, is_in_range) in ratios {
            if !ratio.is_sound() || !is_in_range {
                return Err(BadTerms::Ratio { name, ratio });
            }
        }
        if !(CONTRIBUTIONS_FLOOR..=CONTRIBUTIONS_MAX).contains(&draft.contributions_min) {
            return Err(BadTerms::Contributions { got: draft.contributions_min });
        }
        Ok(Self(draft))
    }

    /// The checked values.
    #[must_use]
    pub const fn get(&self) -> &TermsDraft {
        &self.0
    }

    /// Digest of the terms.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::CreditTerms, &[&wire::encode(&self.0)])
    }
}

impl TryFrom<TermsDraft> for CreditTerms {
    type Error = BadTerms;

    fn try_from(draft: TermsDraft) -> Result<Self, BadTerms> {
        Self::check(draft)
    }
}

impl From<CreditTerms> for TermsDraft {
    fn from(terms: CreditTerms) -> Self {
        terms.0
    }
}
