//! What a round's credit is measured by, what rounds leave for the next one, and what holders attest
//! of both.

use serde::{Deserialize, Serialize};

use super::evidence::RoundEvidence;
use super::pool::retired_digest;
use super::standing::Standings;
use crate::config::RoundConfig;
use crate::hash::{Digest, Domain, hash};
use crate::limits::{
    CREDIT_CONTRIBUTIONS_MIN, CREDIT_FOLD_MAX, CREDIT_FOLD_MIN, CREDIT_STEPS_MAX, HISTORY_STEPS,
};
use crate::message::{BadCertificate, Certificate};
use crate::signing::Statement;
use crate::wire::{self, bounded};

/// Whether what owners were credited for weighs their next updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Training {
    /// All updates count once.
    #[default]
    Off,
    /// By the evidence of the run's earlier rounds ([`super::multiplicities`]).
    Evidence,
}

/// The credit of a round, in its terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditConfig {
    /// Examples of a fold.
    pub fold: u16,
    /// Steps on the whole fold that make the direction.
    pub steps: u16,
    /// Whether evidence weighs updates.
    pub training: Training,
    /// What the rounds before left.
    pub state: CreditState,
}

/// How a round moved the model, by digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStep {
    /// What it began with.
    pub before: Digest,
    /// What it came to.
    pub after: Digest,
}

/// What rounds with credit leave behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditState {
    /// Root of the validation pool ([`super::pool::pool_root`]).
    pub pool: Digest,
    /// Folds that were opened.
    pub opened: u32,
    /// Their examples ([`retired_digest`]).
    pub retired: Digest,
    /// The last steps of the run at hand, oldest first: novelty leaves them out.
    #[serde(deserialize_with = "bounded::<_, _, HISTORY_STEPS>")]
    pub steps: Vec<ModelStep>,
    /// What the evidence of the run at hand comes to, where it weighs updates; else nobody's.
    pub standings: Standings,
}

/// Terms of credit that nobody should sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredit {
    /// Fold out of bounds.
    #[error("a fold of {0} examples: need {CREDIT_FOLD_MIN}..={CREDIT_FOLD_MAX}")]
    Fold(u16),
    /// Steps out of bounds.
    #[error("{0} steps on a fold: need 1..={CREDIT_STEPS_MAX}")]
    Steps(u16),
    /// More steps of the past than count.
    #[error("{0} steps of the past: at most {HISTORY_STEPS}")]
    History(usize),
    /// Nothing is opened, but something is retired or remembered.
    #[error("no fold was opened, but examples are retired or steps remembered")]
    First,
    /// Evidence weighs nothing, but is remembered for it.
    #[error("evidence of earlier rounds is remembered though it weighs nothing")]
    Standings,
    /// With fewer owners that count, one could outweigh the others.
    #[error(
        "a sum of {0} updates at least that evidence weighs: need {CREDIT_CONTRIBUTIONS_MIN} or more"
    )]
    Minimum(u32),
    /// Credit without an audit: nothing is shared that it could be computed from.
    #[error("it needs the audit")]
    NotAudited,
    /// A second vector travels beside the update.
    #[error("it is not computed for a strategy with a control")]
    Control,
}

impl CreditState {
    /// Before any fold of `pool` was opened.
    #[must_use]
    pub fn first(pool: Digest) -> Self {
        let retired = retired_digest(&pool, &[]);
        Self { pool, opened: 0, retired, steps: Vec::new(), standings: Standings::default() }
    }

    /// The same for the first round of another run, whose model came another way, and in which
    /// nobody has shown anything yet.
    #[must_use]
    pub fn for_another_run(&self) -> Self {
        Self { steps: Vec::new(), standings: Standings::default(), ..self.clone() }
    }

    /// After a round whose fold left `retired` (ascending), and that went `step`.
    #[must_use]
    pub fn next(&self, retired: &[u32], step: ModelStep) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        let surplus = steps.len().saturating_sub(HISTORY_STEPS);
        Self {
            pool: self.pool,
            opened: self.opened.saturating_add(1),
            retired: retired_digest(&self.pool, retired),
            steps: steps.split_off(surplus),
            standings: self.standings.clone(),
        }
    }
}

impl CreditConfig {
    /// Checks bounds, for a round of `config`.
    ///
    /// # Errors
    /// [`BadCredit`], by the first fault.
    pub fn validate(&self, config: &RoundConfig) -> Result<(), BadCredit> {
        if !config.is_audited() {
            return Err(BadCredit::NotAudited);
        }
        if config.vector_coordinates() > config.dimension {
            return Err(BadCredit::Control);
        }
        if !(CREDIT_FOLD_MIN..=CREDIT_FOLD_MAX).contains(&self.fold) {
            return Err(BadCredit::Fold(self.fold));
        }
        if !(1..=CREDIT_STEPS_MAX).contains(&self.steps) {
            return Err(BadCredit::Steps(self.steps));
        }
        let state = &self.state;
        match self.training {
            Training::Off if state.standings != Standings::default() => {
                return Err(BadCredit::Standings);
            }
            Training::Evidence if config.contributions_min < CREDIT_CONTRIBUTIONS_MIN => {
                return Err(BadCredit::Minimum(config.contributions_min));
            }
            _ => {}
        }
        if state.steps.len() > HISTORY_STEPS {
            return Err(BadCredit::History(state.steps.len()));
        }
        let is_first = state.opened == 0;
        if is_first && *state != CreditState::first(state.pool) {
            return Err(BadCredit::First);
        }
        Ok(())
    }
}

/// What holders attest of a round's credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The run.
    pub run: Digest,
    /// The round's number.
    pub round: u32,
    /// Digest of the evidence ([`evidence_digest`]).
    pub evidence: Digest,
    /// What the next round begins with.
    pub state: CreditState,
}

/// Digest of a round's evidence, as holders attest it.
#[must_use]
pub fn evidence_digest(evidence: &RoundEvidence) -> Digest {
    hash(Domain::CreditEvidence, &[b"attested", &wire::encode(evidence)])
}

impl Attestation {
    /// What holders sign.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Attestation, &[&wire::encode(self)])
    }
}

/// An attestation with Q votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// What is attested.
    pub attestation: Attestation,
    /// The proof; its round is that of the attestation.
    pub certificate: Certificate,
}

/// An attestation that nobody should build on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAttested {
    /// The certificate.
    #[error("the certificate of the evidence: {0}")]
    Certificate(#[from] BadCertificate),
    /// It is for something else.
    #[error("the certificate is for other evidence")]
    Other,
}

impl Attested {
    /// Checks that Q holders of the committee of `config` signed this.
    ///
    /// # Errors
    /// [`BadAttested`].
    pub fn verify(&self, config: &RoundConfig) -> Result<(), BadAttested> {
        let round_ctx = self.certificate.round_ctx;
        self.certificate.verify_as(Statement::Evidence, config, &round_ctx)?;
        let is_this = self.certificate.set == self.attestation.digest();
        is_this.then_some(()).ok_or(BadAttested::Other)
    }

    /// What a round `round` of the run `run` goes on from.
    #[must_use]
    pub fn state_for(&self, run: &Digest) -> CreditState {
        let Attestation { run: own, state, .. } = &self.attestation;
        if own == run { state.clone() } else { state.for_another_run() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u8) -> ModelStep {
        ModelStep { before: Digest([number; 32]), after: Digest([number + 1; 32]) }
    }

    #[test]
    fn a_state_counts_folds_and_remembers_three_steps_of_its_own_run() {
        let mut state = CreditState::first(Digest([9; 32]));
        for number in 1..=5 {
            state = state.next(&[1, 2, u32::from(number)], step(number));
        }
        assert_eq!(state.opened, 5);
        assert_eq!(state.retired, retired_digest(&Digest([9; 32]), &[1, 2, 5]));
        assert_eq!(state.steps, [step(3), step(4), step(5)]);
        let other = state.for_another_run();
        assert_eq!((other.opened, other.retired), (state.opened, state.retired));
        assert!(other.steps.is_empty());
    }

    #[test]
    fn an_attestation_hangs_on_every_part() {
        let state = CreditState::first(Digest([9; 32]));
        let one = Attestation { run: Digest([1; 32]), round: 1, evidence: Digest([2; 32]), state };
        let mut others = vec![one.clone(); 4];
        others[0].run = Digest([3; 32]);
        others[1].round = 2;
        others[2].evidence = Digest([3; 32]);
        others[3].state.opened = 1;
        assert!(others.iter().all(|other| other.digest() != one.digest()));
    }
}
