//! Layers without parameters.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, leaky_relu, relu, sigmoid, silu, softmax, tanh};
use burn::tensor::module::{
    adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d,
};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use covey_aggregation::shape::Step;

use super::half::in_f32;
use super::pass::Pass;
use super::signal::{INFERRED, Signal, each};

#[derive(Module, Debug)]
pub(super) struct Fixed {
    #[module(skip)]
    pub(super) step: Step,
}

impl Fixed {
    pub(super) fn forward(&self, signal: Signal, pass: &mut Pass<'_>) -> Signal {
        match &self.step {
            Step::Relu => each!(signal, x => relu(x)),
            Step::LeakyRelu { slope } => each!(signal, x => leaky_relu(x, *slope)),
            Step::Gelu => each!(signal, x => gelu(x)),
            Step::Silu => each!(signal, x => silu(x)),
            Step::Tanh => each!(signal, x => tanh(x)),
            Step::Sigmoid => each!(signal, x => sigmoid(x)),
            Step::Softmax => match signal {
                Signal::Sequence(x) => Signal::Sequence(in_f32(x, |x| softmax(x, 2))),
                other => Signal::Features(in_f32(other.flatten(), |x| softmax(x, 1))),
            },
            Step::Dropout { p } => each!(signal, x => pass.dropout(x, *p)),
            Step::Flatten => Signal::Features(signal.flatten()),
            Step::Sequence { features } => {
                let x = signal.flatten();
                let [batch, elements] = x.dims();
                Signal::Sequence(x.reshape([batch, elements / features, *features]))
            }
            Step::LastStep => {
                let x = signal.sequence();
                let [batch, steps, features] = x.dims();
                Signal::Features(x.narrow(1, steps - 1, 1).reshape([batch, features]))
            }
            Step::MeanSteps => {
                let x = signal.sequence();
                let [batch, _, features] = x.dims();
                Signal::Features(x.mean_dim(1).reshape([batch, features]))
            }
            step => pool(step, signal),
        }
    }
}

fn pool(step: &Step, signal: Signal) -> Signal {
    match step {
        Step::MaxPool1d { kernel, stride } => over_steps(signal, |x| {
            max_pool1d(x, MaxPoolOptions::new([*kernel]).with_stride([*stride]))
        }),
        Step::MaxPool2d { kernel, stride } => {
            let options = MaxPoolOptions::new([*kernel; 2]).with_stride([*stride; 2]);
            Signal::Image(max_pool2d(signal.image(), options))
        }
        Step::AvgPool1d { kernel, stride } => over_steps(signal, |x| {
            avg_pool1d(x, AvgPoolOptions::new([*kernel]).with_stride([*stride]))
        }),
        Step::AvgPool2d { kernel, stride } => {
            let options = AvgPoolOptions::new([*kernel; 2]).with_stride([*stride; 2]);
            Signal::Image(avg_pool2d(signal.image(), options))
        }
        Step::AdaptiveAvgPool1d { out } => over_steps(signal, |x| adaptive_avg_pool1d(x, *out)),
        Step::AdaptiveAvgPool2d { out } => {
            Signal::Image(adaptive_avg_pool2d(signal.image(), [*out; 2]))
        }
        Step::GlobalAvgPool => {
            let x = signal.image();
            let [batch, channels, ..] = x.dims();
            Signal::Features(x.flatten::<3>(2, 3).mean_dim(2).reshape([batch, channels]))
        }
        _ => unreachable!("{INFERRED}"),
    }
}

/// burn's functions over steps take `[batch, features, steps]`.
pub(super) fn over_steps(signal: Signal, function: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Signal {
    Signal::Sequence(function(signal.sequence().swap_dims(1, 2)).swap_dims(1, 2))
}
