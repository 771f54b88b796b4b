//! How a few public examples, a fold, would train a model: the directions that owners' updates
//! are compared with.

use covey_aggregation::plan::Training;

use crate::data::Dataset;
use crate::train::{Cancel, FitContext, FitError, FitSeed, Trainer};

/// Nodes and weights of Gauss and Legendre's rule with five points on [0, 1]: exact where the
/// gradient is a polynomial of degree nine along the way.
const NODES: [(f64, f64); 5] = [
    (0.046_910_077_030_668_004, 0.118_463_442_528_094_54),
    (0.230_765_344_947_158_45, 0.239_314_335_249_683_23),
    (0.5, 0.284_444_444_444_444_44),
    (0.769_234_655_052_841_5, 0.239_314_335_249_683_23),
    (0.953_089_922_969_332, 0.118_463_442_528_094_54),
];

impl Trainer {
    /// How `fold` would train `parameters`, in the order of the flat vector: new parameters minus
    /// old ones after `steps` steps, each on all of its examples at once. All else is as in an
    /// owner's fit in round `round` (from 1): loss, optimiser, schedule, clipping, FedProx's term
    /// and dropout, which draws from `seed`. Nothing stops it early, and no steps change nothing.
    ///
    /// # Errors
    /// [`FitError`], as for [`Self::fit`].
    pub fn descend(
        &self,
        parameters: &[f32],
        fold: &Dataset,
        steps: u32,
        seed: FitSeed,
        round: u32,
    ) -> Result<Vec<f32>, FitError> {
        let training = Training {
            local_epochs: steps,
            local_steps: None,
            batch_size: fold.len() as u32,
            early_stop: None,
            ..self.task.training().clone()
        };
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let context = FitContext::new(seed, &cancel, &mut progress).in_round(round);
        self.trained_as(training).fit(parameters, fold, context).map(|report| report.update)
    }

    /// The gradient of the mean loss on `data`, in the order of the flat vector. The loss is that
    /// of [`Self::evaluate`], without dropout and in f32; batchnorms without averages of their own
    /// take those of the examples at hand, at most [`EVALUATION_BATCH`] at once.
    ///
    /// # Errors
    /// [`FitError`], as for [`Self::fit`]; [`FitError::BadOutputs`] where the loss or its gradient
    /// is no finite number.
    ///
    /// [`EVALUATION_BATCH`]: crate::limits::EVALUATION_BATCH
    pub fn gradient(&self, parameters: &[f32], data: &Dataset) -> Result<Vec<f32>, FitError> {
        self.check(parameters, data)?;
        self.attempt(|| self.task.slope(self, parameters, data))
    }

    /// Down the mean loss on `fold`: minus its gradient, averaged over the straight way from
    /// `before` to `after`, in the order of the flat vector. Its inner product with
    /// `after - before` is how much the loss falls.
    ///
    /// # Errors
    /// [`FitError`], as for [`Self::gradient`].
    pub fn path(
        &self,
        before: &[f32],
        after: &[f32],
        fold: &Dataset,
    ) -> Result<Vec<f32>, FitError> {
        self.check(before, fold)?;
        self.check(after, fold)?;
        let mut mean = vec![0.0; before.len()];
        for (node, weight) in NODES {
            let pairs = before.iter().zip(after).map(|(x, y)| (f64::from(*x), f64::from(*y)));
            let between: Vec<f32> = pairs.map(|(x, y)| (x + node * (y - x)) as f32).collect();
            let gradient = self.gradient(&between, fold)?;
            mean.iter_mut().zip(gradient).for_each(|(sum, slope)| *sum -= weight as f32 * slope);
        }
        Ok(mean)
    }
}

#[cfg(test)]
mod tests;
