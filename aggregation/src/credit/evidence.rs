//! What a round says about its owners: three released scores each, and how many examples count.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::terms::CreditTerms;
use crate::hash::{Digest, Domain, hash};
use crate::limits::{CONTRIBUTIONS_MAX, SCORE_MAX};
use crate::party::PartyId;
use crate::wire::{self, bounded};

/// One owner's evidence in a round. Scores are integers of at most [`SCORE_MAX`] in absolute
/// value; their unit is the round's own and cancels in every credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Whose.
    #[serde(with = "super::form::hex")]
    pub owner: PartyId,
    /// Examples that the owner declared; at least 1.
    #[serde(with = "super::form::fixed")]
    pub count: u32,
    /// The update along the direction that the validation fold would have moved the model.
    #[serde(with = "super::form::fixed")]
    pub s: i64,
    /// The same along what of that direction recent steps have not done already.
    #[serde(with = "super::form::fixed")]
    pub novelty: i64,
    /// The update's share in what the step did to the validation loss; below 0 it was harm.
    #[serde(with = "super::form::fixed")]
    pub harm: i64,
}

/// One round's evidence: contributions ascending by owner, each owner once, every value in range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct RoundEvidence {
    round: u32,
    #[serde(with = "super::form::hex")]
    context: Digest,
    contributions: Vec<Evidence>,
    public: Option<Vec<Fixed>>,
}

/// A score in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fixed(#[serde(with = "super::form::fixed")] i64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    round: u32,
    #[serde(with = "super::form::hex")]
    context: Digest,
    #[serde(deserialize_with = "bounded::<_, _, { CONTRIBUTIONS_MAX as usize }>")]
    contributions: Vec<Evidence>,
    public: Option<Vec<Fixed>>,
}

/// A released score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// [`Evidence::s`].
    S,
    /// [`Evidence::novelty`].
    Novelty,
    /// [`Evidence::harm`].
    Harm,
    /// [`RoundEvidence::public`].
    Public,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S => "s",
            Self::Novelty => "novelty",
            Self::Harm => "harm",
            Self::Public => "public",
        })
    }
}

/// Evidence that no credits can be settled from: whoever published it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvidence {
    /// Rounds are numbered from 1.
    #[error("evidence of a round 0; rounds are numbered from 1")]
    RoundZero,
    /// Other than the terms say.
    #[error("round {round} has {got} contributions, the terms say {min} to {CONTRIBUTIONS_MAX}")]
    Contributions {
        /// The round.
        round: u32,
        /// So many.
        got: usize,
        /// k_min.
        min: u32,
    },
    /// An owner twice.
    #[error("round {round} has evidence of {owner} twice")]
    OwnerTwice {
        /// The round.
        round: u32,
        /// Who.
        owner: PartyId,
    },
    /// Not ascending by owner.
    #[error("round {round}: {owner} is not in its place, owners are ascending")]
    Order {
        /// The round.
        round: u32,
        /// The first that is not in its place.
        owner: PartyId,
    },
    /// A contribution of no example.
    #[error("round {round}: {owner} contributed with no example")]
    NoExample {
        /// The round.
        round: u32,
        /// Who.
        owner: PartyId,
    },
    /// A score out of range.
    #[error("round {round}: the score {score} of {owner} is {got}, at most {SCORE_MAX} is exact")]
    Score {
        /// The round.
        round: u32,
        /// Who.
        owner: PartyId,
        /// Which.
        score: Score,
        /// What it is.
        got: i64,
    },
    /// Not one public score for each contribution.
    #[error("round {round} has {got} public scores for {expected} contributions")]
    PublicScores {
        /// The round.
        round: u32,
        /// So many.
        got: usize,
        /// Contributions.
        expected: usize,
    },
    /// Too few rounds for a spread, or more than the terms say.
    #[error("evidence of {got} rounds, the terms say {min} to {max}")]
    Rounds {
        /// So many.
        got: usize,
        /// Fewest.
        min: u32,
        /// E.
        max: u32,
    },
    /// A round twice.
    #[error("evidence of round {round} twice")]
    RoundTwice {
        /// The round.
        round: u32,
    },
    /// Two rounds with one context.
    #[error("rounds {first} and {second} have the same context: one is a copy of the other")]
    ContextTwice {
        /// One round.
        first: u32,
        /// The other.
        second: u32,
    },
    /// An owner's debt twice.
    #[error("a debt of {owner} is carried twice")]
    DebtTwice {
        /// Who.
        owner: PartyId,
    },
    /// A debt out of range.
    #[error("a debt of {got} micro-credits of {owner} is carried: {min} to {max} can be", min = 1)]
    Debt {
        /// Who.
        owner: PartyId,
        /// What it is.
        got: u64,
        /// Most.
        max: u64,
    },
    /// Too many debts.
    #[error("{got} debts are carried, at most {max} can be")]
    Debts {
        /// So many.
        got: usize,
        /// Most.
        max: usize,
    },
}

impl RoundEvidence {
    /// Evidence of round `round` (from 1), whose `round_ctx` is `context`; the order of
    /// `contributions` does not matter.
    ///
    /// # Errors
    /// [`BadEvidence`], by the first fault: an owner twice, a value out of range, too many.
    pub fn new(
        round: u32,
        context: Digest,
        mut contributions: Vec<Evidence>,
    ) -> Result<Self, BadEvidence> {
        contributions.sort_by_key(|evidence| evidence.owner);
        Self::check(Unchecked { round, context, contributions, public: None })
    }

    /// Adds the scores without the directions of opened folds, one for each contribution, in the
    /// order of [`RoundEvidence::contributions`].
    ///
    /// # Errors
    /// [`BadEvidence::PublicScores`], [`BadEvidence::Score`].
    pub fn with_public(self, public: Vec<i64>) -> Result<Self, BadEvidence> {
        let Self { round, context, contributions, .. } = self;
        let public = public.into_iter().map(Fixed).collect();
        Self::check(Unchecked { round, context, contributions, public: Some(public) })
    }

    fn check(unchecked: Unchecked) -> Result<Self, BadEvidence> {
        let Unchecked { round, context, contributions, public } = unchecked;
        if round == 0 {
            return Err(BadEvidence::RoundZero);
        }
        if contributions.len() > CONTRIBUTIONS_MAX as usize {
            return Err(BadEvidence::Contributions { round, got: contributions.len(), min: 0 });
        }
        for pair in contributions.windows(2) {
            let (last, owner) = (pair[0].owner, pair[1].owner);
            if last == owner {
                return Err(BadEvidence::OwnerTwice { round, owner });
            }
            if last > owner {
                return Err(BadEvidence::Order { round, owner });
            }
        }
        let (got, expected) = (public.as_ref().map(Vec::len), contributions.len());
        if let Some(got) = got.filter(|got| *got != expected) {
            return Err(BadEvidence::PublicScores { round, got, expected });
        }
        for (index, evidence) in contributions.iter().enumerate() {
            let owner = evidence.owner;
            if evidence.count == 0 {
                return Err(BadEvidence::NoExample { round, owner });
            }
            let public = public.as_ref().map_or(0, |public| public[index].0);
            let scores = [
                (Score::S, evidence.s),
                (Score::Novelty, evidence.novelty),
                (Score::Harm, evidence.harm),
                (Score::Public, public),
            ];
            let bad = scores.into_iter().find(|(_, got)| !(-SCORE_MAX..=SCORE_MAX).contains(got));
            if let Some((score, got)) = bad {
                return Err(BadEvidence::Score { round, owner, score, got });
            }
        }
        Ok(Self { round, context, contributions, public })
    }

    /// The round's number, from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// Its `round_ctx`.
    #[must_use]
    pub const fn context(&self) -> &Digest {
        &self.context
    }

    /// Ascending by owner, each once.
    #[must_use]
    pub fn contributions(&self) -> &[Evidence] {
        &self.contributions
    }

    /// For each contribution the score without the directions of opened folds, where there is one.
    #[must_use]
    pub fn public(&self) -> Option<Vec<i64>> {
        Some(self.public.as_ref()?.iter().map(|score| score.0).collect())
    }

    /// An owner's evidence, with its place among the contributions.
    #[must_use]
    pub fn of(&self, owner: &PartyId) -> Option<(usize, &Evidence)> {
        let index = self.contributions.binary_search_by_key(owner, |one| one.owner).ok()?;
        Some((index, &self.contributions[index]))
    }

    /// What holders attest of a round: everything above, under these terms.
    #[must_use]
    pub fn digest(&self, terms: &Digest) -> Digest {
        hash(Domain::CreditEvidence, &[&terms.0, &wire::encode(self)])
    }
}

/// Digest of the evidence of several rounds, which are ascending.
pub(super) fn rounds_digest(terms: &CreditTerms, rounds: &[&RoundEvidence]) -> Digest {
    let terms = terms.digest();
    let digests: Vec<u8> = rounds.iter().flat_map(|round| round.digest(&terms).0).collect();
    hash(Domain::CreditEvidence, &[&terms.0, b"rounds", &digests])
}

/// The rounds ascending, each once, each with as many contributions as the terms ask for.
pub(super) fn ascending<'a>(
    terms: &CreditTerms,
    rounds: &'a [RoundEvidence],
) -> Result<Vec<&'a RoundEvidence>, BadEvidence> {
    let mut ordered: Vec<_> = rounds.iter().collect();
    ordered.sort_by_key(|round| round.round);
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].round == pair[1].round) {
        return Err(BadEvidence::RoundTwice { round: pair[0].round });
    }
    let mut contexts: Vec<_> = ordered.iter().map(|one| (one.context, one.round)).collect();
    contexts.sort_unstable();
    if let Some(pair) = contexts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(BadEvidence::ContextTwice { first: pair[0].1, second: pair[1].1 });
    }
    let min = terms.get().contributions_min;
    let few = ordered.iter().find(|round| round.contributions.len() < min as usize);
    if let Some(RoundEvidence { round, contributions, .. }) = few {
        let (round, got) = (*round, contributions.len());
        return Err(BadEvidence::Contributions { round, got, min });
    }
    Ok(ordered)
}

impl TryFrom<Unchecked> for RoundEvidence {
    type Error = BadEvidence;

    fn try_from(unchecked: Unchecked) -> Result<Self, BadEvidence> {
        Self::check(unchecked)
    }
}
