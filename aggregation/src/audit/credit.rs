//! The numbers that credit is made from: three public linear functions of an accepted client's
//! projections, opened component by component as the proof is, after the release.

use crate::audit::element::{Element, expand};
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::hash::Domain;
use crate::party::PartyId;
use crate::sum::share::Seeds;
use zeroize::Zeroizing;

/// Numbers of one client and round: s, novelty and harm. The record refuses a fourth.
pub const NUMBERS: usize = 3;

/// Largest weight of a projection: 2^40. With M of 1024 at most and projections below 2^47, the
/// numbers stay below 2^97 and so below q / 2.
pub const WEIGHT_MAX: i64 = 1 << 40;

/// The public weights of the projections in each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions([Vec<i64>; NUMBERS]);

/// Weights that make no function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFunctions {
    /// Not one weight for each projection.
    #[error("{got} weights for {expected} projections")]
    Length {
        /// Weights given.
        got: usize,
        /// M.
        expected: usize,
    },
    /// A weight that could wrap.
    #[error("a weight beyond {WEIGHT_MAX}")]
    Weight,
}

impl Functions {
    /// Of rho, M weights each.
    ///
    /// # Errors
    /// [`BadFunctions`].
    pub fn new(question: &Question<'_>, rho: [Vec<i64>; NUMBERS]) -> Result<Self, BadFunctions> {
        let expected = question.terms.projections();
        if let Some(wrong) = rho.iter().find(|rho| rho.len() != expected) {
            return Err(BadFunctions::Length { got: wrong.len(), expected });
        }
        let is_bounded = |weight: &i64| weight.unsigned_abs() <= WEIGHT_MAX.unsigned_abs();
        let is_good = rho.iter().flatten().all(is_bounded);
        is_good.then_some(Self(rho)).ok_or(BadFunctions::Weight)
    }

    /// Of projections that are known: of the sum, whose numbers must be the sums of all clients'.
    #[must_use]
    pub fn of(&self, projections: &[i64]) -> [i128; NUMBERS] {
        let product = |rho: &Vec<i64>| {
            rho.iter().zip(projections).map(|(&rho, &y)| i128::from(rho) * i128::from(y)).sum()
        };
        self.0.each_ref().map(product)
    }

    fn of_elements(&self, entries: &[Element]) -> [Element; NUMBERS] {
        let weight = |&rho: &i64| Element::from(rho);
        self.0
            .each_ref()
            .map(|rho| rho.iter().map(weight).zip(entries).map(|(rho, &entry)| rho * entry).sum())
    }
}

/// What a holder answers for one accepted client: its components' parts of the three numbers, in
/// canonical order.
#[must_use]
pub fn open(
    question: &Question<'_>,
    functions: &Functions,
    (client, proof): (&PartyId, &Proof),
    seeds: &Seeds,
) -> Vec<[Element; NUMBERS]> {
    let part = |seed: &[u8; 32]| {
        let tau = question.derive(Domain::AuditKey, client, &proof.salt, seed);
        let tau = Zeroizing::new(tau.0);
        functions.of_elements(&expand(&tau, 0, question.terms.projections()))
    };
    seeds.iter().map(part).collect()
}

/// The numbers of one client: `parts` are all components' ([`super::opening::agree`]).
#[must_use]
pub fn numbers(
    functions: &Functions,
    proof: &Proof,
    parts: &[[Element; NUMBERS]],
) -> [i128; NUMBERS] {
    let mut total = functions.of_elements(&proof.entries);
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
    }
    total.map(Element::centred)
}
