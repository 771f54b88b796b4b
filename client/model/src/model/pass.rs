//! What a pass through a model is for.

use burn::tensor::{FloatDType, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::random::unit_f32;

use super::norm::{Average, Seen};

/// What a pass through a model is for: training or measuring.
pub struct Pass<'a> {
    rng: Option<&'a mut ChaCha8Rng>,
    /// For each batchnorm, what it normalises with; none where it takes the batch's own.
    averages: &'a [Option<Average>],
    /// What batchnorms saw that took the batch's own, in their order.
    pub(super) seen: Vec<Seen>,
}

impl<'a> Pass<'a> {
    /// A step of training, which draws from `rng`.
    pub(crate) const fn training(rng: &'a mut ChaCha8Rng) -> Self {
        Self { rng: Some(rng), averages: &[], seen: Vec::new() }
    }

    /// A measurement.
    pub(crate) const fn measuring(averages: &'a [Option<Average>]) -> Self {
        Self { rng: None, averages, seen: Vec::new() }
    }

    /// Whether the pass is a step of training.
    #[must_use]
    pub const fn is_training(&self) -> bool {
        self.rng.is_some()
    }

    /// In training, sets a share `p` of the numbers to zero and scales the rest to keep the mean;
    /// else nothing. The mask is drawn on the host from the fit's own generator.
    pub fn dropout<const D: usize>(&mut self, x: Tensor<D>, p: f64) -> Tensor<D> {
        let Some(rng) = self.rng.as_deref_mut().filter(|_| p > 0.0) else { return x };
        let p = p as f32;
        let dimensions = x.dims();
        let kept = 1.0 / (1.0 - p);
        let mask = (0..dimensions.iter().product())
            .map(|_| if unit_f32(rng) < p { 0.0 } else { kept })
            .collect();
        let mask: Tensor<D> =
            Tensor::from_data(TensorData::new::<f32, _>(mask, dimensions), &x.device());
        let mask = mask.cast(FloatDType::from(x.dtype()));
        x * mask
    }

    pub(super) fn average(&self, norm: usize) -> Option<&'a Average> {
        self.averages.get(norm).and_then(Option::as_ref)
    }

    /// What batchnorms saw.
    pub(crate) fn into_seen(self) -> Vec<Seen> {
        self.seen
    }
}
