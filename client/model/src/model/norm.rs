//! Batch normalisation (Ioffe & Szegedy, 2015). Its running averages are kept outside of the
//! module: burn's own shares them between clones.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{batch_norm, batch_norm_train};

use super::half::in_f32;
use super::pass::Pass;
use super::signal::Signal;

/// Offset of the variance in normalising layers.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// Share of a batch in the running averages, as usual.
const MOMENTUM: f64 = 0.1;

#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    pub(super) gamma: Param<Tensor<1>>,
    pub(super) beta: Param<Tensor<1>>,
    /// Its place among the model's batchnorms.
    #[module(skip)]
    pub(super) norm: usize,
}

/// What a batchnorm normalises with when a model is measured, on the plain device.
#[derive(Clone, Debug)]
pub(crate) struct Average {
    pub(crate) mean: Tensor<1>,
    pub(crate) variance: Tensor<1>,
}

/// What a batchnorm saw of a batch, on the plain device.
pub(crate) struct Seen {
    /// Which batchnorm.
    pub(crate) norm: usize,
    pub(crate) mean: Tensor<1>,
    /// The mean square deviation.
    pub(crate) variance: Tensor<1>,
    /// Numbers of each channel.
    pub(crate) count: usize,
}

impl Average {
    /// Moves by a batch. The variance is that of a sample; a single number has none and is left
    /// out.
    pub(crate) fn observe(&mut self, seen: &Seen) {
        if seen.count < 2 {
            return;
        }
        let unbiased = seen.count as f64 / (seen.count - 1) as f64;
        let mix = |old: Tensor<1>, new: Tensor<1>, factor: f64| {
            old.mul_scalar(1.0 - MOMENTUM) + new.mul_scalar(MOMENTUM * factor)
        };
        self.mean = mix(self.mean.clone(), seen.mean.clone(), 1.0);
        self.variance = mix(self.variance.clone(), seen.variance.clone(), unbiased);
    }

    /// The mean of what was seen of several batches, each by its count.
    pub(crate) fn of(seen: &[&Seen]) -> Option<Self> {
        let total: f64 = seen.iter().map(|one| one.count as f64).sum();
        let weighted = |pick: fn(&Seen) -> &Tensor<1>| {
            let parts = seen.iter().map(|one| {
                let share = one.count as f64 / total;
                pick(one).clone().mul_scalar(share)
            });
            parts.reduce(|sum, part| sum + part)
        };
        let mean = weighted(|one| &one.mean)?;
        // The variance within batches, and that of their means.
        let between = seen.iter().map(|one| {
            let off = one.mean.clone() - mean.clone();
            (off.clone() * off).mul_scalar(one.count as f64 / total)
        });
        let between = between.reduce(|sum, part| sum + part)?;
        Some(Self { variance: weighted(|one| &one.variance)? + between, mean })
    }
}

impl BatchNorm {
    pub(super) fn forward(&self, signal: Signal, pass: &mut Pass<'_>) -> Signal {
        match signal {
            // Channels come second.
            Signal::Sequence(x) => {
                let x = x.swap_dims(1, 2);
                Signal::Sequence(in_f32(x, |x| self.normalise(x, pass)).swap_dims(1, 2))
            }
            Signal::Image(x) => Signal::Image(in_f32(x, |x| self.normalise(x, pass))),
            other => Signal::Features(in_f32(other.flatten(), |x| self.normalise(x, pass))),
        }
    }

    fn normalise<const D: usize>(&self, x: Tensor<D>, pass: &mut Pass<'_>) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if let Some(Average { mean, variance }) = pass.average(self.norm) {
            return batch_norm(x, gamma, beta, mean.clone(), variance.clone(), NORM_EPSILON);
        }
        let dimensions = x.dims();
        let count = dimensions.iter().product::<usize>() / dimensions[1].max(1);
        let is_tracked = gamma.is_autodiff();
        let batch = batch_norm_train(x, gamma, beta, NORM_EPSILON);
        let plain = |x: Tensor<1>| if is_tracked { x.inner() } else { x };
        let (mean, variance) = (plain(batch.mean), plain(batch.variance));
        pass.seen.push(Seen { norm: self.norm, mean, variance, count });
        batch.output
    }
}
