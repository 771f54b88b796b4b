//! Layers, and the way through them.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{GroupNorm, LayerNorm};
use burn::tensor::Tensor;
use burn::tensor::module::{embedding, linear};

use super::attention::Encoder;
use super::fixed::{Fixed, over_steps};
use super::half::in_f32;
use super::norm::BatchNorm;
use super::pass::Pass;
use super::recurrent::{Gru, Lstm};
use super::signal::{INFERRED, Signal, each};

#[derive(Module, Debug)]
pub(super) enum Layer {
    Dense(Dense),
    Conv1d(Conv1d),
    Conv2d(Conv2d),
    BatchNorm(BatchNorm),
    GroupNorm(GroupNorm),
    LayerNorm(LayerNorm),
    Embedding(Embedding),
    Position(Position),
    Lstm(Lstm),
    Gru(Gru),
    Encoder(Encoder),
    Fixed(Fixed),
    Residual(Block),
}

/// Layers inside a layer.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub(super) layers: Vec<Layer>,
}

/// `y = x W + b`, and `scale x A B` where there is an adapter.
#[derive(Module, Debug)]
pub(super) struct Dense {
    pub(super) weight: Param<Tensor<2>>,
    pub(super) bias: Param<Tensor<1>>,
    pub(super) adapter: Option<Adapter>,
}

/// A low-rank adapter.
#[derive(Module, Debug)]
pub(super) struct Adapter {
    pub(super) a: Param<Tensor<2>>,
    pub(super) b: Param<Tensor<2>>,
    #[module(skip)]
    pub(super) scale: f64,
}

/// A row for every token.
#[derive(Module, Debug)]
pub(super) struct Embedding {
    pub(super) weight: Param<Tensor<2>>,
}

/// A row for every place.
#[derive(Module, Debug)]
pub(super) struct Position {
    pub(super) weight: Param<Tensor<2>>,
}

impl Dense {
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let y = linear(x.clone(), self.weight.val(), Some(self.bias.val()));
        let Some(Adapter { a, b, scale }) = &self.adapter else { return y };
        y + linear(linear(x, a.val(), None), b.val(), None).mul_scalar(*scale)
    }
}

pub(super) fn run(layers: &[Layer], signal: Signal, pass: &mut Pass<'_>) -> Signal {
    layers.iter().fold(signal, |signal, layer| layer.forward(signal, pass))
}

impl Layer {
    pub(super) fn forward(&self, signal: Signal, pass: &mut Pass<'_>) -> Signal {
        match self {
            Self::Dense(dense) => match signal {
                Signal::Sequence(x) => Signal::Sequence(dense.forward(x)),
                other => Signal::Features(pass.tapped(other.flatten(), |x| dense.forward(x))),
            },
            Self::Conv1d(conv) => over_steps(signal, |x| conv.forward(x)),
            Self::Conv2d(conv) => Signal::Image(conv.forward(signal.image())),
            Self::BatchNorm(norm) => norm.forward(signal, pass),
            Self::GroupNorm(norm) => match signal {
                Signal::Sequence(_) => over_steps(signal, |x| in_f32(x, |x| norm.forward(x))),
                Signal::Features(x) => Signal::Features(in_f32(x, |x| norm.forward(x))),
                Signal::Image(x) => Signal::Image(in_f32(x, |x| norm.forward(x))),
                Signal::Tokens(_) => unreachable!("{INFERRED}"),
            },
            Self::LayerNorm(norm) => each!(signal, x => in_f32(x, |x| norm.forward(x))),
            Self::Embedding(rows) => {
                Signal::Sequence(embedding(rows.weight.val(), signal.tokens()))
            }
            Self::Position(rows) => {
                Signal::Sequence(signal.sequence() + rows.weight.val().unsqueeze::<3>())
            }
            Self::Lstm(lstm) => lstm.forward(signal.sequence()),
            Self::Gru(gru) => gru.forward(signal.sequence()),
            Self::Encoder(encoder) => Signal::Sequence(encoder.forward(signal.sequence(), pass)),
            Self::Fixed(fixed) => fixed.forward(signal, pass),
            Self::Residual(block) => {
                let shortcut = signal.copy();
                shortcut.add(run(&block.layers, signal, pass))
            }
        }
    }
}
