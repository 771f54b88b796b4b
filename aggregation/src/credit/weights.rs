//! Credits for training: how much each owner's next update counts, from the rounds before it. They
//! take nothing but published numbers, so they are known before the round's sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::{BadEvidence, RoundEvidence, ascending, rounds_digest};
use super::share::{apportion, capped, claims, count_cap, shares, tie};
use super::terms::CreditTerms;
use crate::hash::Digest;
use crate::limits::CONTRIBUTIONS_MAX;
use crate::party::PartyId;

/// Rounds of evidence that an owner is weighed by; with fewer it counts as the others do on average.
pub const WEIGHT_ROUNDS_MIN: u32 = 3;

/// The whole that weights add up to.
pub const WEIGHT_MILLIONTHS: u32 = 1_000_000;

/// What the only owner with a class counts at least: 5 %. All such owners together: [`FLOORS_MAX`].
pub const FLOOR_MILLIONTHS: u32 = 50_000;

/// What the floors of all owners with a class of their own come to at most: half of the whole, so
/// that evidence decides the other half.
pub const FLOORS_MAX: u32 = WEIGHT_MILLIONTHS / 2;

/// An owner of the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Who.
    #[serde(with = "super::form::hex")]
    pub owner: PartyId,
    /// Examples that it declares; at least 1.
    pub count: u32,
    /// Whether it declares a class that nobody else does.
    pub is_sole: bool,
}

/// What an owner's next update counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Whose.
    #[serde(with = "super::form::hex")]
    pub owner: PartyId,
    /// Part of [`WEIGHT_MILLIONTHS`]; all owners' add up to it.
    pub millionths: u32,
}

/// Owners that no weights can be given to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCandidates {
    /// Nobody, or more than a round may sum.
    #[error("weights for {got} owners: use 1 to {CONTRIBUTIONS_MAX}")]
    Number {
        /// So many.
        got: usize,
    },
    /// An owner twice.
    #[error("weights for {owner} twice")]
    Twice {
        /// Who.
        owner: PartyId,
    },
    /// No example.
    #[error("{owner} declares no example")]
    NoExample {
        /// Who.
        owner: PartyId,
    },
    /// The evidence is bad.
    #[error(transparent)]
    Evidence(#[from] BadEvidence),
}

/// Weights of the owners of a round, ascending by owner, from the evidence of all rounds of the run
/// before it: `max(0, mean of z) count`, z the part of a round's claims ([`super::settle`]), its
/// mean over the rounds that the owner took part in, and the count capped as in a round of these
/// owners. An owner of fewer than [`WEIGHT_ROUNDS_MIN`] rounds has the mean of the others' means.
/// Plain capped counts where nobody has enough rounds, and where nobody's mean is above 0.
///
/// The only owner of a class counts at least [`FLOOR_MILLIONTHS`]. All orders of the input give the
/// same.
///
/// # Errors
/// [`BadCandidates`], by the first fault.
pub fn weights(
    terms: &CreditTerms,
    past: &[RoundEvidence],
    candidates: &[Candidate],
) -> Result<Vec<Weight>, BadCandidates> {
    let candidates = in_order(candidates)?;
    let past = ascending(terms, past)?;
    let cap = count_cap(terms, candidates.iter().map(|one| one.count));
    let counts: Vec<_> = candidates.iter().map(|one| capped(one.count, cap)).collect();
    let merits = merits(&means(terms, &past), &candidates, &counts).unwrap_or(counts);
    let place = rounds_digest(terms, &past);
    let millionths = floored(&merits, &candidates, &place);
    let weights = candidates.iter().zip(millionths);
    Ok(weights.map(|(one, millionths)| Weight { owner: one.owner, millionths }).collect())
}

fn in_order(candidates: &[Candidate]) -> Result<Vec<Candidate>, BadCandidates> {
    let got = candidates.len();
    if got == 0 || got > CONTRIBUTIONS_MAX as usize {
        return Err(BadCandidates::Number { got });
    }
    let mut ordered = candidates.to_vec();
    ordered.sort_by_key(|one| one.owner);
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].owner == pair[1].owner) {
        return Err(BadCandidates::Twice { owner: pair[0].owner });
    }
    match ordered.iter().find(|one| one.count == 0) {
        Some(one) => Err(BadCandidates::NoExample { owner: one.owner }),
        None => Ok(ordered),
    }
}

/// For every owner with enough rounds the sum of its z, in billionths, and how many there are.
fn means(terms: &CreditTerms, past: &[&RoundEvidence]) -> BTreeMap<PartyId, (i128, u32)> {
    let mut sums: BTreeMap<PartyId, (i128, u32)> = BTreeMap::new();
    for round in past {
        let shares = shares(&claims(terms, round));
        for (evidence, share) in round.contributions().iter().zip(shares) {
            let (sum, rounds) = sums.entry(evidence.owner).or_default();
            *sum += i128::from(share);
            *rounds += 1;
        }
    }
    sums.retain(|_, (_, rounds)| *rounds >= WEIGHT_ROUNDS_MIN);
    sums
}

/// `max(0, mean) count` of each candidate; `None` where that tells nobody from another.
///
/// A mean is at most 2^30 and a count below 2^32; kept with 32 bits after the point, the product is
/// below 2^94.
fn merits(
    means: &BTreeMap<PartyId, (i128, u32)>,
    candidates: &[Candidate],
    counts: &[u128],
) -> Option<Vec<u128>> {
    let mean = |owner: &PartyId| {
        let (sum, rounds) = means.get(owner)?;
        Some((sum.max(&0).unsigned_abs() << 32) / u128::from(*rounds))
    };
    let known: Vec<_> = candidates.iter().map(|one| mean(&one.owner)).collect();
    let judged = known.iter().flatten().count() as u128;
    let average = known.iter().flatten().sum::<u128>().checked_div(judged)?;
    let merit = |(mean, count): (&Option<u128>, &u128)| mean.unwrap_or(average) * count;
    let merits: Vec<_> = known.iter().zip(counts).map(merit).collect();
    merits.iter().any(|merit| *merit > 0).then_some(merits)
}

/// Divides the whole by `merits`; those with a class of their own have at least the floor.
///
/// Somebody without a floor always has merit: the largest of the merits left has at least its even
/// part of half the whole, and so is no candidate for a floor.
fn floored(merits: &[u128], candidates: &[Candidate], place: &Digest) -> Vec<u32> {
    let sole = candidates.iter().filter(|one| one.is_sole).count() as u32;
    let floor = FLOOR_MILLIONTHS.min(FLOORS_MAX / sole.max(1));
    let mut on_floor = vec![false; merits.len()];
    let mut left = merits.to_vec();
    loop {
        let floors = on_floor.iter().filter(|is_on| **is_on).count() as u32;
        let rest = WEIGHT_MILLIONTHS - floors * floor;
        let whole: u128 = left.iter().sum();
        let is_below = |index: usize| left[index] * u128::from(rest) < whole * u128::from(floor);
        let raised: Vec<_> = (0..left.len())
            .filter(|&index| candidates[index].is_sole && !on_floor[index] && is_below(index))
            .collect();
        if raised.is_empty() {
            let tie = |index: usize| tie(place, &candidates[index].owner);
            let parts = apportion(u64::from(rest), &left, tie);
            // Parts of a million.
            let part = |(is_on, part): (bool, u64)| if is_on { floor } else { part as u32 };
            return on_floor.into_iter().zip(parts).map(part).collect();
        }
        for index in raised {
            on_floor[index] = true;
            left[index] = 0;
        }
    }
}
