//! A round's public directions: what the fold of a validation pool would make of the round's model.
//! The coordinator computes them, every key holder for itself, and anybody who has the pool.

mod recompute;

use std::sync::Arc;

use covey_aggregation::audit::credit::BadFunctions;
use covey_aggregation::audit::direction::NoDirection;
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::terms::BadTerms;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::credit::pool::{NoFold, draw_fold};
use covey_aggregation::hash::Digest;

use crate::train::{FitError, FitSeed, Trainer};
use crate::validation::ValidationPool;

pub use recompute::{Recomputed, recompute};

/// The models that a round's directions come of.
pub struct Models {
    /// What the round began with.
    pub before: Arc<Vec<f32>>,
    /// What it came to.
    pub after: Arc<Vec<f32>>,
    /// The last steps of the run, oldest first: what each began with and came to.
    pub steps: Vec<[Arc<Vec<f32>>; 2]>,
}

/// Directions that cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum NoDirections {
    /// The terms have no credit.
    #[error("the round's terms have no credit")]
    NoCredit,
    /// The pool is another one than the terms name.
    #[error("the validation pool here is not the one that the round's terms name")]
    OtherPool,
    /// No fold can be drawn.
    #[error(transparent)]
    Fold(#[from] NoFold),
    /// Training on the fold, or its gradient, failed.
    #[error("the fold's direction: {0}")]
    Fit(#[from] FitError),
    /// A step of the past, or a direction, is not finite.
    #[error("a direction: {0}")]
    Direction(#[from] NoDirection),
    /// The round came to another model than is said.
    #[error(
        "the model that the round came to is another one: {published} is said, it is {computed}"
    )]
    OtherModel {
        /// As said.
        published: Digest,
        /// As it is.
        computed: Digest,
    },
    /// The round cannot be audited.
    #[error("the round's audit: {0}")]
    Audit(#[from] BadTerms),
    /// The directions make no functions.
    #[error("the functions: {0}")]
    Functions(#[from] BadFunctions),
}

/// The fold that `beacon` draws for a round, ascending; `retired` are the examples that earlier folds
/// opened.
///
/// # Errors
/// [`NoDirections::NoCredit`], [`NoDirections::OtherPool`], [`NoDirections::Fold`].
pub fn fold(
    pool: &ValidationPool,
    config: &RoundConfig,
    (beacon, retired): (&Digest, &[u32]),
) -> Result<Vec<u32>, NoDirections> {
    let credit = config.credit.as_ref().ok_or(NoDirections::NoCredit)?;
    if pool.root() != credit.state.pool {
        return Err(NoDirections::OtherPool);
    }
    Ok(draw_fold(beacon, pool.classes(), retired, credit.fold)?)
}

/// The directions of a round on the examples `fold` of `pool`.
///
/// # Errors
/// [`NoDirections`].
pub fn directions(
    trainer: &Trainer,
    pool: &ValidationPool,
    config: &RoundConfig,
    fold: &[u32],
    models: &Models,
) -> Result<Directions, NoDirections> {
    let credit = config.credit.as_ref().ok_or(NoDirections::NoCredit)?;
    let data = pool.fold(fold).ok_or(NoDirections::OtherPool)?;
    let Models { before, after, steps } = models;
    // The same for everybody who computes them.
    let seed = FitSeed(config.context().0);
    let trained = trainer.descend(before, &data, credit.steps.into(), seed, config.round)?;
    let path = trainer.path(before, after, &data)?;
    let step = |[from, to]: &[Arc<Vec<f32>>; 2]| -> Vec<f32> {
        to.iter().zip(from.iter()).map(|(to, from)| to - from).collect()
    };
    let steps: Vec<_> = steps.iter().map(step).collect();
    Ok(Directions::new(&trained, &path, &steps)?)
}
