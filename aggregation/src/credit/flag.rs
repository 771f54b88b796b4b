//! Flags: what a person should look at. They never change a payment.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use super::terms::Ratio;
use crate::party::PartyId;

/// Shares in flags' statistics are counted in parts of a billion of the round's sum of absolute
/// scores.
pub const SHARE_UNITS: u64 = 1_000_000_000;

/// Fewest rounds of an owner to judge it by; from fewer the spread between rounds says nothing.
pub const FLAG_ROUNDS_MIN: u32 = 4;

/// Fewest rounds that two owners have in common to be compared: with eight, two that have nothing to
/// do with each other correlate by 0.98 once in a hundred thousand times (normal scores).
pub const DUPLICATE_ROUNDS_MIN: u32 = 8;

/// The sum of an owner's shares over the rounds it took part in, in billionths ([`SHARE_UNITS`]) of
/// a round's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistic {
    /// Rounds.
    pub rounds: u32,
    /// The sum over rounds.
    pub sum: i64,
    /// Its standard error, from the spread between rounds.
    pub error: u64,
    /// One-sided lower bound.
    pub low: i64,
    /// One-sided upper bound.
    pub high: i64,
}

/// What flags are judged by; none where an owner took part in fewer than [`FLAG_ROUNDS_MIN`]
/// rounds, or no such score was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// Of novelty.
    pub novelty: Option<Statistic>,
    /// Of harm.
    pub harm: Option<Statistic>,
    /// Of the score without the directions of opened folds.
    pub public: Option<Statistic>,
}

/// What a flag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagKind {
    /// Nothing that recent steps had not done: the lower bound of novelty is not above 0.
    Novelty,
    /// The validation loss rose: the upper bound of harm is below 0.
    Harm,
    /// Nothing that opened folds do not give: the lower bound of the public score is not above 0.
    Public,
    /// Scores that go up and down with another owner's.
    Duplicate,
}

impl FlagKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Novelty, Self::Harm, Self::Public, Self::Duplicate];

    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Novelty => "novelty",
            Self::Harm => "harm",
            Self::Public => "public",
            Self::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for FlagKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// See [`FlagKind::Novelty`].
    Novelty,
    /// See [`FlagKind::Harm`].
    Harm,
    /// See [`FlagKind::Public`].
    Public,
    /// See [`FlagKind::Duplicate`].
    Duplicate {
        /// Whose scores they go with.
        #[serde(with = "super::form::hex")]
        with: PartyId,
    },
}

impl Flag {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> FlagKind {
        match self {
            Self::Novelty => FlagKind::Novelty,
            Self::Harm => FlagKind::Harm,
            Self::Public => FlagKind::Public,
            Self::Duplicate { .. } => FlagKind::Duplicate,
        }
    }
}

impl Statistic {
    /// Of shares over the rounds in `spread`, with one-sided bounds of `z` standard errors.
    pub(super) fn of(spread: &Spread, z: Ratio) -> Option<Self> {
        let rounds = spread.rounds();
        if rounds < FLAG_ROUNDS_MIN {
            return None;
        }
        let (sum, error) = (spread.sum(), spread.error(rounds));
        let margin = z.times_up(error);
        let (low, high) =
            (sum.saturating_sub_unsigned(margin), sum.saturating_add_unsigned(margin));
        Some(Self { rounds, sum, error, low, high })
    }
}

impl Statistics {
    /// The flags that these raise, in the order of [`FlagKind::ALL`].
    pub(super) fn flags(&self) -> Vec<Flag> {
        let has_none = |one: &Option<Statistic>| one.is_some_and(|statistic| statistic.low <= 0);
        let does_harm = self.harm.is_some_and(|statistic| statistic.high < 0);
        let novelty = has_none(&self.novelty).then_some(Flag::Novelty);
        let harm = does_harm.then_some(Flag::Harm);
        let public = has_none(&self.public).then_some(Flag::Public);
        novelty.into_iter().chain(harm).chain(public).collect()
    }
}
