//! What a strategy keeps from round to round.

use serde::{Deserialize, Serialize};

use super::Strategy;
use crate::hash::{Digest, Domain, hash};
use crate::limits::STATE_BYTES_MAX;
use crate::wire::{self, Malformed};

/// What a strategy keeps from round to round. Public: it follows from the published sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Nothing.
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
    /// It holds what is no finite number.
    #[error("number {0} is not finite")]
    NotFinite(usize),
}

impl State {
    /// The bytes to keep: a version byte, then the numbers as they are.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// From bytes that were kept.
    ///
    /// # Errors
    /// [`BadState::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        Ok(wire::decode(bytes, STATE_BYTES_MAX)?)
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
            (strategy, self),
            (Strategy::FedAvg | Strategy::FedProx { .. }, Self::None)
                | (Strategy::FedAvgM { .. }, Self::Momentum { .. })
                | (Strategy::FedAdam(_) | Strategy::FedYogi(_), Self::Adaptive { .. })
                | (Strategy::Scaffold { .. }, Self::Control { .. })
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
        match self {
            Self::Control { variate } => Some(variate.iter().map(|&c| c as f32).collect()),
            _ => None,
        }
    }

    pub(super) fn first_not_finite(&self) -> Option<usize> {
        let vectors = self.vectors().into_iter().flatten();
        vectors.filter_map(|vector| vector.iter().position(|x| !x.is_finite())).min()
    }

    fn vectors(&self) -> [Option<&Vec<f64>>; 2] {
        match self {
            Self::None => [None, None],
            Self::Momentum { velocity: one } | Self::Control { variate: one } => [Some(one), None],
            Self::Adaptive { first, second } => [Some(first), Some(second)],
        }
    }
}
