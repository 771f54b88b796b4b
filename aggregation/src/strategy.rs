//! From an opened aggregate to the next model: what the federation's side of a training method
//! does. Pure arithmetic in binary64 in one fixed order, rounded to `f32` once for each number, so
//! that anybody who has the published sums gets the same bits.
//!
//! Notation: x the parameters, Delta the (weighted) mean of the owners' updates as
//! [`Aggregate::mean`] gives it (in `f32`), eta the plan's
//! `server_lr`.
//!
//! | strategy | step | kept from round to round |
//! |---|---|---|
//! | FedAvg (McMahan et al., 2017), FedProx (Li et al., 2020) | x + eta Delta | nothing |
//! | FedAvgM (Hsu et al., 2019) | v = beta v + Delta; x + eta v | v, from 0 |
//! | FedAdam, FedYogi (Reddi et al., 2021, algorithm 2) | m = b1 m + (1 - b1) Delta; v as below; x + eta m / (sqrt(v) + tau) | m from 0, v from tau^2 |
//! | SCAFFOLD (Karimireddy et al., 2020, option II) | x + eta Delta; c + S/N mean(Delta c) | c, from 0 |
//!
//! FedAdam: `v = b2 v + (1 - b2) Delta^2`; FedYogi: `v - (1 - b2) Delta^2 sign(v - Delta^2)`. As in
//! the paper there is no correction of the bias of m and v.

mod clip;
mod state;
mod variate;

use crate::config::{Control, RoundConfig};
use crate::hash::Digest;
use crate::sum::open::Aggregate;

pub use self::clip::{ClipSteps, Clipping, RoundClip, share_within};
pub use self::state::{BadState, Kept, State};
pub use self::variate::{control_change, gradient_offset, sent_change, variate_digest};

/// How aggregates become the next model, and what owners send for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// The mean of the updates is added.
    FedAvg,
    /// Momentum over rounds.
    FedAvgM {
        /// Share of the last step that is kept, below 1.
        momentum: f64,
    },
    /// A step size for each parameter, from the mean's squares.
    FedAdam(Adaptive),
    /// As FedAdam, with squares that shrink by their sign only.
    FedYogi(Adaptive),
    /// FedAvg of owners that are held near the round's first model while they train.
    FedProx {
        /// Strength of the pull: mu / 2 times the squared distance is added to the loss.
        mu: f64,
    },
    /// Control variates: owners correct their gradients by what the federation knows of the
    /// others'.
    Scaffold {
        /// Bound of a coordinate's absolute value in the change of a control variate.
        range: f32,
        /// Bound of the L2 norm of that change.
        clip_norm: f32,
    },
}

/// Constants of FedAdam and FedYogi.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Share of m that is kept, below 1.
    pub beta_1: f64,
    /// Share of v that is kept, below 1.
    pub beta_2: f64,
    /// Keeps the step finite where updates are tiny; above 0.
    pub tau: f64,
}

impl Adaptive {
    /// The paper's: 0.9, 0.99 and 0.001.
    pub const DEFAULT: Self = Self { beta_1: 0.9, beta_2: 0.99, tau: 1e-3 };
}

/// What a round's aggregate came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Stepped {
    /// The next parameters.
    pub parameters: Vec<f32>,
    /// What to keep for the round after.
    pub state: State,
    /// L2 norm of the change of the parameters.
    pub norm: f64,
}

/// An aggregate that no next model follows from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStep {
    /// Another model's.
    #[error("a mean of {mean} numbers for {parameters} parameters")]
    Length {
        /// Length of the mean.
        mean: usize,
        /// Length of the parameter vector.
        parameters: usize,
    },
    /// The state is another strategy's, or another model's.
    #[error("the strategy's state: {0}")]
    State(#[from] BadState),
    /// The terms ask for a control where the strategy has none, or the other way round.
    #[error("the round's terms and the strategy differ about the control")]
    Control,
    /// The next parameters, or the state, are no longer finite numbers.
    #[error("parameter {index} is no longer a finite number")]
    Diverged {
        /// The first such parameter.
        index: usize,
    },
}

impl Strategy {
    /// The name in plans.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FedAvg => "fedavg",
            Self::FedAvgM { .. } => "fedavgm",
            Self::FedAdam(_) => "fedadam",
            Self::FedYogi(_) => "fedyogi",
            Self::FedProx { .. } => "fedprox",
            Self::Scaffold { .. } => "scaffold",
        }
    }

    /// What is kept before the first round, of a model of `parameters` parameters.
    #[must_use]
    pub fn initial(&self, parameters: usize) -> State {
        State::of(match self {
            Self::FedAvg | Self::FedProx { .. } => Kept::None,
            Self::FedAvgM { .. } => Kept::Momentum { velocity: vec![0.0; parameters] },
            Self::FedAdam(adaptive) | Self::FedYogi(adaptive) => Kept::Adaptive {
                first: vec![0.0; parameters],
                second: vec![adaptive.tau * adaptive.tau; parameters],
            },
            Self::Scaffold { .. } => Kept::Control { variate: vec![0.0; parameters] },
        })
    }

    /// The second vector of a round's terms, where the strategy has one. `owners`: N, those that
    /// the federation's control variate is a mean over; `manifest`: the model's.
    #[must_use]
    pub fn control(&self, state: &State, owners: u32, manifest: &Digest) -> Option<Control> {
        let Self::Scaffold { range, clip_norm } = *self else { return None };
        let variate = variate_digest(manifest, &state.variate().unwrap_or_default());
        Some(Control { range, clip_norm, owners, variate })
    }

    /// The next model and state. `server_lr` is the plan's; `parameters` and `state` are what the
    /// round of `config` began with.
    ///
    /// # Errors
    /// [`BadStep`]; then model and state stay as they were.
    pub fn step(
        &self,
        server_lr: f64,
        (parameters, state): (&[f32], &State),
        config: &RoundConfig,
        aggregate: &Aggregate,
    ) -> Result<Stepped, BadStep> {
        let mean = aggregate.mean(&config.quantiser);
        if mean.len() != parameters.len() {
            let (mean, parameters) = (mean.len(), parameters.len());
            return Err(BadStep::Length { mean, parameters });
        }
        state.fits(self, parameters.len())?;
        let mean: Vec<f64> = mean.into_iter().map(f64::from).collect();
        let mut state = state.clone();
        let direction = match (self, &mut state.kept) {
            (Self::FedAvgM { momentum }, Kept::Momentum { velocity }) => {
                for (v, x) in velocity.iter_mut().zip(&mean) {
                    *v = momentum * *v + x;
                }
                velocity.clone()
            }
            (Self::FedAdam(adaptive), Kept::Adaptive { first, second }) => {
                let keep = adaptive.beta_2;
                adaptive.step(first, second, &mean, |v, square| keep * v + (1.0 - keep) * square)
            }
            (Self::FedYogi(adaptive), Kept::Adaptive { first, second }) => {
                let gain = 1.0 - adaptive.beta_2;
                adaptive
                    .step(first, second, &mean, |v, square| v - gain * square * sign(v - square))
            }
            (Self::Scaffold { .. }, Kept::Control { variate }) => {
                let control = config.control.as_ref().ok_or(BadStep::Control)?;
                let change = aggregate.control_mean(control, config.quantiser.bits);
                if change.len() != variate.len() {
                    return Err(BadStep::Control);
                }
                let share = f64::from(aggregate.count) / f64::from(control.owners);
                for (c, change) in variate.iter_mut().zip(change) {
                    *c += share * change;
                }
                mean
            }
            _ => mean,
        };
        if config.control.is_some() != matches!(self, Self::Scaffold { .. }) {
            return Err(BadStep::Control);
        }
        advance(server_lr, parameters, state, &direction)
    }

    /// What leaves an owner's machine in every round, in words: numbers and kinds. `parameters`:
    /// of the model; `counters`: of the evaluation; `has_vote`: whether owners vote on the clip.
    #[must_use]
    pub fn sends(&self, parameters: u64, counters: u16, has_vote: bool) -> String {
        let mut text = match self {
            Self::Scaffold { .. } => format!(
                "{}: the update ({parameters} numbers) and the change of the owner's control \
                 variate ({parameters} numbers: its mean gradient against that of last time), each \
                 clipped and rounded on its own",
                self.name()
            ),
            _ => format!("{}: the update ({parameters} numbers), clipped and rounded", self.name()),
        };
        text += "; and what the owner counts in the average (1 number)";
        if has_vote {
            text += "; and whether the update was no longer than the clip (1 number, with noise)";
        }
        if counters > 0 {
            text += &format!(
                "; and how the round's first model does on its held-out examples ({counters} exact \
                 counts)"
            );
        }
        text += ". All of it inside one encryption, opened only as a sum over owners.";
        text + match self {
            Self::FedProx { .. } => " While training, the model is held near the round's first.",
            Self::Scaffold { .. } => {
                " The owner keeps its control variate in its own folder, from round to round."
            }
            _ => "",
        }
    }
}

impl Adaptive {
    /// Updates both moments; the direction.
    fn step(
        &self,
        first: &mut [f64],
        second: &mut [f64],
        mean: &[f64],
        next: impl Fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let moments = first.iter_mut().zip(second);
        let one = |((m, v), x): ((&mut f64, &mut f64), &f64)| {
            *m = self.beta_1 * *m + (1.0 - self.beta_1) * x;
            *v = next(*v, x * x);
            *m / (v.sqrt() + self.tau)
        };
        moments.zip(mean).map(one).collect()
    }
}

/// -1, 0 or 1, with 0 for 0.
fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// x + eta direction, each number rounded once.
fn advance(
    server_lr: f64,
    parameters: &[f32],
    state: State,
    direction: &[f64],
) -> Result<Stepped, BadStep> {
    let next = |(x, d): (&f32, &f64)| (f64::from(*x) + server_lr * d) as f32;
    let stepped: Vec<f32> = parameters.iter().zip(direction).map(next).collect();
    if let Some(index) = stepped.iter().position(|x| !x.is_finite()) {
        return Err(BadStep::Diverged { index });
    }
    if let Some(index) = state.first_not_finite() {
        return Err(BadStep::Diverged { index });
    }
    let squares = stepped.iter().zip(parameters).map(|(new, old)| {
        let change = f64::from(*new) - f64::from(*old);
        change * change
    });
    let norm = squares.sum::<f64>().sqrt();
    Ok(Stepped { parameters: stepped, state, norm })
}

#[cfg(test)]
mod tests;
