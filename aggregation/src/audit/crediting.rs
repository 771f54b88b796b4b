//! A round's credit: from what is opened to evidence, and what is published of it for anybody to
//! compute again.

use serde::{Deserialize, Serialize};

use crate::audit::beacon::Use;
use crate::audit::carry::{CARRIES_MAX, Carry, carries};
use crate::audit::credit::{BadFunctions, Functions, Numbers, gather, scores};
use crate::audit::drawing::{BadDrawing, Drawing};
use crate::audit::functions::Directions;
use crate::audit::part::{Agreed, NotAgreed};
use crate::audit::projection::project;
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::audit::weighing::Weights;
use crate::config::RoundConfig;
use crate::credit::pool::{retire, retired_digest};
use crate::credit::{
    Attestation, Attested, BadAttested, BadEvidence, CreditConfig, Evidence, ModelStep,
    RoundEvidence, Training, evidence_digest,
};
use crate::hash::Digest;
use crate::limits::{
    COMPONENTS_MAX, COUNTER_DIGITS, COUNTERS_MAX, POOL_EXAMPLES_MAX, SENTINELS, WEIGHT_DIGITS,
};
use crate::party::PartyId;
use crate::signing::Statement;
use crate::wire::bounded;

/// Most coordinates behind the parameters ([`RoundConfig::rest`]).
pub const REST_MAX: usize =
    SENTINELS + WEIGHT_DIGITS + COUNTERS_MAX as usize * COUNTER_DIGITS + PADDING_MAX;

/// Most coordinates of padding: the last chunk ends on eight coefficients, of eight lanes at most.
const PADDING_MAX: usize = 8 * 8;

/// What a round's worker computes, and what every holder computes for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directed {
    /// The fold, ascending.
    #[serde(deserialize_with = "bounded::<_, _, POOL_EXAMPLES_MAX>")]
    pub examples: Vec<u32>,
    /// The opened sum that everything below comes of.
    pub aggregate: Digest,
    /// The model that the round came to.
    pub after: Digest,
    /// Digest of the public directions.
    pub directions: Digest,
    /// The three functions ([`super::credit::Functions::to_bytes`]).
    #[serde(with = "serde_bytes")]
    pub functions: Vec<u8>,
    /// Sums of everything behind the parameters ([`RoundConfig::rest`]), as they were opened, less
    /// what is the same for everybody.
    #[serde(deserialize_with = "bounded::<_, _, REST_MAX>")]
    pub rest: Vec<i32>,
}

/// Everything public about a round's credit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreditRecord {
    /// The beacon of the fold.
    pub fold: Drawing,
    /// Examples that earlier folds opened, ascending.
    #[serde(deserialize_with = "bounded::<_, _, POOL_EXAMPLES_MAX>")]
    pub retired: Vec<u32>,
    /// What was computed of fold and model.
    pub directed: Directed,
    /// The public directions.
    pub directions: Directions,
    /// What was opened of each component, in canonical order.
    #[serde(deserialize_with = "bounded::<_, _, COMPONENTS_MAX>")]
    pub parts: Vec<Agreed>,
    /// What noise carried into the opened sum: all contributions together are above it by so much.
    #[serde(deserialize_with = "bounded::<_, _, CARRIES_MAX>")]
    pub carries: Vec<Carry>,
    /// What owners declare that they count, and what is in the sum.
    pub weights: Weights,
    /// What it comes to.
    pub evidence: RoundEvidence,
    /// What holders attest.
    pub attested: Attested,
}

/// A credit that does not follow from what was published.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadCreditRecord {
    /// The terms say nothing of credit.
    #[error("the round's terms have no credit")]
    NoTerms,
    /// The fold's beacon.
    #[error("the beacon of the fold: {0}")]
    Fold(#[from] BadDrawing),
    /// The examples that were opened before.
    #[error("the retired examples are not those of the terms")]
    Retired,
    /// The directions, or their digest.
    #[error("the directions are not those whose digest is published, or of another length")]
    Directions,
    /// The functions.
    #[error("the functions: {0}")]
    Functions(#[from] BadFunctions),
    /// They are not those of the directions.
    #[error("the functions are not those of the directions and the sum")]
    OtherFunctions,
    /// Openings that no f + 1 holders signed.
    #[error("the numbers: {0}")]
    Part(#[from] NotAgreed),
    /// Openings of another form.
    #[error("the openings are not those of the accepted set")]
    Numbers,
    /// Rule (a).
    #[error("the numbers do not add up to those of the sum")]
    AddUp,
    /// Rule (b).
    #[error("the projections of all contributions are not those of the published sum")]
    OtherSum,
    /// The numbers make no evidence.
    #[error("the evidence: {0}")]
    Evidence(#[from] BadEvidence),
    /// The evidence is not what the numbers give.
    #[error("the evidence is not what the numbers give")]
    OtherEvidence,
    /// The totals of the owners' weights.
    #[error("the weights are not those that owners declare, or not those in the sum")]
    OtherWeights,
    /// The attestation.
    #[error(transparent)]
    Attested(#[from] BadAttested),
    /// It attests something else.
    #[error("the holders attest something else than was published")]
    OtherAttestation,
}

/// Projections of the opened sum: of the parameters' sums, and of the `rest` behind them. Nothing
/// where either is of another length than the round's.
#[must_use]
pub fn project_sum(question: &Question<'_>, sums: &[i32], rest: &[i32]) -> Vec<i64> {
    let places = question.config.rest();
    let fit = sums.len() as u64 == places.start && rest.len() as u64 == places.end - places.start;
    if !fit {
        return Vec::new();
    }
    let units = [sums, rest].concat();
    project(question.config, question.rows(), &units)
}

/// The evidence that numbers make; `accepted` has the clients in their order with the examples that
/// they declare.
///
/// # Errors
/// [`BadEvidence`].
pub fn evidence(
    question: &Question<'_>,
    functions: &Functions,
    accepted: &[(PartyId, u32)],
    numbers: &Numbers,
) -> Result<RoundEvidence, BadEvidence> {
    let one = |(&(owner, examples), numbers): (&(PartyId, u32), _)| {
        let [s, novelty, harm] = scores(question, functions, numbers, examples);
        Evidence { owner, count: examples.max(1), s, novelty, harm }
    };
    let contributions = accepted.iter().zip(&numbers.clients).map(one).collect();
    RoundEvidence::new(question.config.round, question.round_ctx, contributions)
}

/// What holders attest of it: `retired` is what was opened before, `directed` has the fold.
#[must_use]
pub fn attestation(
    config: &RoundConfig,
    credit: &CreditConfig,
    (retired, directed): (&[u32], &Directed),
    evidence: &RoundEvidence,
) -> Attestation {
    let step = ModelStep { before: config.model, after: directed.after };
    let mut state = credit.state.next(&retire(retired, &directed.examples), step);
    if credit.training == Training::Evidence {
        state.standings = state.standings.after(evidence);
    }
    Attestation { run: config.run, round: config.round, evidence: evidence_digest(evidence), state }
}

impl CreditRecord {
    /// Computes everything again from the fold's beacon on: for the accepted set `set`, whose clients
    /// with declared examples and proofs are `accepted`, and the opened sums of the parameters, in
    /// which each counts as often as the terms say ([`RoundConfig::multiplicities`]). Not
    /// checked is that the directions are what training on the fold gives, for which model and fold
    /// are needed.
    ///
    /// # Errors
    /// [`BadCreditRecord`], by the first fault.
    pub fn verify(
        &self,
        question: &Question<'_>,
        set: &Digest,
        accepted: &[(PartyId, u32, &Proof)],
        sums: &[i32],
    ) -> Result<(), BadCreditRecord> {
        let (config, round_ctx) = (question.config, &question.round_ctx);
        let credit = config.credit.as_ref().ok_or(BadCreditRecord::NoTerms)?;
        self.fold.beacon(config, round_ctx, (Use::Fold, &question.set))?;
        let directed = &self.directed;
        if retired_digest(&credit.state.pool, &self.retired) != credit.state.retired {
            return Err(BadCreditRecord::Retired);
        }
        if !self.directions.fits(config) || self.directions.digest() != directed.directions {
            return Err(BadCreditRecord::Directions);
        }
        let functions = self.directions.functions(question, sums)?;
        if functions.to_bytes() != directed.functions {
            return Err(BadCreditRecord::OtherFunctions);
        }
        let of = functions.digest(set);
        for part in &self.parts {
            part.verify_as(Statement::CreditPart, (config, round_ctx), &of)?;
        }
        let times = config.multiplicities(accepted.iter().map(|(client, ..)| *client));
        let proofs = accepted.iter().map(|(_, _, proof)| *proof).zip(times.iter().copied());
        let proofs: Vec<_> = proofs.collect();
        let numbers = gather(question, &functions, &proofs, &self.parts);
        let numbers = numbers.ok_or(BadCreditRecord::Numbers)?;
        if !numbers.add_up(&functions, &times) {
            return Err(BadCreditRecord::AddUp);
        }
        let opened = project_sum(question, sums, &directed.rest);
        if carries(question, &numbers.sum, &opened).as_ref() != Some(&self.carries) {
            return Err(BadCreditRecord::OtherSum);
        }
        let owners: Vec<_> = accepted.iter().map(|(client, count, _)| (*client, *count)).collect();
        if evidence(question, &functions, &owners, &numbers)? != self.evidence {
            return Err(BadCreditRecord::OtherEvidence);
        }
        if Weights::of(config, &owners, &directed.rest, &self.carries) != self.weights {
            return Err(BadCreditRecord::OtherWeights);
        }
        self.attested.verify(config)?;
        let expected = attestation(config, credit, (&self.retired, directed), &self.evidence);
        let is_of_this_round = self.attested.certificate.round_ctx == *round_ctx;
        let is_it = is_of_this_round && self.attested.attestation == expected;
        is_it.then_some(()).ok_or(BadCreditRecord::OtherAttestation)
    }
}
