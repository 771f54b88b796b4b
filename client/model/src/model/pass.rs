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
    /// What linear layers took and gave, where that is asked for.
    taps: Option<Vec<Tap>>,
}

/// A linear layer on rows of features, in one pass.
pub(crate) struct Tap {
    /// What it took, `[batch, input]`, on the plain device.
    pub(crate) input: Tensor<2>,
    /// Zeros, `[batch, out]`, that were added to what it gave: their gradient is that of its output.
    pub(crate) zeros: Tensor<2>,
}

impl<'a> Pass<'a> {
    /// A step of training, which draws from `rng`.
    pub(crate) const fn training(rng: &'a mut ChaCha8Rng) -> Self {
        Self { rng: Some(rng), averages: &[], seen: Vec::new(), taps: None }
    }

    /// A measurement.
    pub(crate) const fn measuring(averages: &'a [Option<Average>]) -> Self {
        Self { rng: None, averages, seen: Vec::new(), taps: None }
    }

    /// The same with a tap at every linear layer on rows of features.
    pub(crate) fn tapping(mut self) -> Self {
        self.taps = Some(Vec::new());
        self
    }

    /// What a linear layer gives for `x`, tapped where that was asked for.
    pub(super) fn tapped(
        &mut self,
        x: Tensor<2>,
        layer: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let Some(taps) = &mut self.taps else { return layer(x) };
        let y = layer(x.clone());
        let zeros = Tensor::zeros(y.dims(), &y.device()).require_grad();
        taps.push(Tap { input: x.inner(), zeros: zeros.clone() });
        y + zeros
    }

    /// The taps, in the order of the layers.
    pub(crate) fn into_taps(self) -> Vec<Tap> {
        self.taps.unwrap_or_default()
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
