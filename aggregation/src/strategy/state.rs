//! What a strategy keeps from round to round.

use serde::{Deserialize, Serialize};

use super::{ClipSteps, Strategy};
use crate::hash::{Digest, Domain, hash};
use crate::limits::STATE_BYTES_MAX;
use crate::wire::{self, Malformed};

/// What is kept from round to round beside the model. Public: it follows from the published sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Of the strategy.
    pub kept: Kept,
    /// Where the clip is, if it follows the owners' lengths.
    pub clip: Option<ClipSteps>,
}

/// What a strategy keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Kept {
    /// Nothing.
    #[default]
    None,
    /// v of FedAvgM.
    Momentum {
        /// One number a parameter.
        velocity: Vec<f64>,
    },
    /// m and v of FedAdam and FedYogi.
    Adaptive {
        /// m.
        first: Vec<f64>,
        /// v.
        second: Vec<f64>,
    },
    /// c of SCAFFOLD.
    Control {
        /// One number a parameter.
        variate: Vec<f64>,
    },
}

/// A state that the strategy cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadState {
    /// Not the bytes of one.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Of another strategy.
    #[error("it is not one of {0}")]
    Strategy(&'static str),
    /// Of another model.
    #[error("it is not of {0} parameters")]
    Length(usize),
    /// It has a clip that follows where the plan has none, or none where it has; or one out of bounds.
    #[error("its clip is not one of the plan's")]
    Clip,
    /// It holds what is no finite number.
    #[error("number {0} is not finite")]
    NotFinite(usize),
}

impl State {
    /// Of a run whose clip is the plan's in every round.
    #[must_use]
    pub const fn of(kept: Kept) -> Self {
        Self { kept, clip: None }
    }

    /// The bytes to keep: a version byte, then the numbers as they are; then the steps of the clip, if
    /// it follows.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self.clip {
            None => wire::encode(&self.kept),
            Some(clip) => wire::encode(&(&self.kept, clip.get())),
        }
    }

    /// From bytes that were kept.
    ///
    /// # Errors
    /// [`BadState::Malformed`], [`BadState::Clip`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        // No bytes are both: in one of them something is left over.
        if let Ok(kept) = wire::decode(bytes, STATE_BYTES_MAX) {
            return Ok(Self::of(kept));
        }
        let (kept, steps) = wire::decode(bytes, STATE_BYTES_MAX)?;
        Ok(Self { kept, clip: Some(ClipSteps::new(steps).ok_or(BadState::Clip)?) })
    }

    /// Digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::StrategyState, &[&self.encode()])
    }

    /// Checks that it is one of `strategy` for a model of `parameters` parameters.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn fits(&self, strategy: &Strategy, parameters: usize) -> Result<(), BadState> {
        let is_of_it = matches!(
            (strategy, &self.kept),
            (Strategy::FedAvg | Strategy::FedProx { .. }, Kept::None)
                | (Strategy::FedAvgM { .. }, Kept::Momentum { .. })
                | (Strategy::FedAdam(_) | Strategy::FedYogi(_), Kept::Adaptive { .. })
                | (Strategy::Scaffold { .. }, Kept::Control { .. })
        );
        if !is_of_it {
            return Err(BadState::Strategy(strategy.name()));
        }
        if self.vectors().iter().flatten().any(|vector| vector.len() != parameters) {
            return Err(BadState::Length(parameters));
        }
        self.first_not_finite().map_or(Ok(()), |at| Err(BadState::NotFinite(at)))
    }

    /// c as owners take it, rounded to `f32`; none of other strategies.
    #[must_use]
    pub fn variate(&self) -> Option<Vec<f32>> {
        match &self.kept {
            Kept::Control { variate } => Some(variate.iter().map(|&c| c as f32).collect()),
            _ => None,
        }
    }

    pub(super) fn first_not_finite(&self) -> Option<usize> {
        let vectors = self.vectors().into_iter().flatten();
        vectors.filter_map(|vector| vector.iter().position(|x| !x.is_finite())).min()
    }

    fn vectors(&self) -> [Option<&Vec<f64>>; 2] {
        match &self.kept {
            Kept::None => [None, None],
            Kept::Momentum { velocity: one } | Kept::Control { variate: one } => [Some(one), None],
            Kept::Adaptive { first, second } => [Some(first), Some(second)],
        }
    }
}
