//! Layers whose sizes are all known.

use super::Shape;
use crate::plan::Buffers;

/// What is computed by a layer. Sizes fit a `usize`: activations and parameters are limited.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `y = x W + b`, with W of `[input, out]`.
    Linear {
        /// Features taken.
        input: usize,
        /// Features produced.
        out: usize,
    },
    /// Convolution over the steps of a sequence; its weight is `[out, input, kernel]`.
    Conv1d(Kernel),
    /// Convolution over an image; its weight is `[out, input, kernel, kernel]`.
    Conv2d(Kernel),
    /// Largest values of windows of steps.
    MaxPool1d {
        /// Steps of a window.
        kernel: usize,
        /// Steps from one to the next.
        stride: usize,
    },
    /// Largest values of square windows.
    MaxPool2d {
        /// Side of a window.
        kernel: usize,
        /// Pixels from one to the next.
        stride: usize,
    },
    /// Means of windows of steps.
    AvgPool1d {
        /// Steps of a window.
        kernel: usize,
        /// Steps from one to the next.
        stride: usize,
    },
    /// Means of square windows.
    AvgPool2d {
        /// Side of a window.
        kernel: usize,
        /// Pixels from one to the next.
        stride: usize,
    },
    /// Means of as many windows as there are to be steps.
    AdaptiveAvgPool1d {
        /// Steps produced.
        out: usize,
    },
    /// Means of as many windows as there are to be rows and columns.
    AdaptiveAvgPool2d {
        /// Rows and columns produced.
        out: usize,
    },
    /// Means of channels.
    GlobalAvgPool,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, slope x)`.
    LeakyRelu {
        /// The slope below 0.
        slope: f64,
    },
    /// Gaussian error linear unit.
    Gelu,
    /// `x sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Shares of features that add up to one.
    Softmax,
    /// One row of features.
    Flatten,
    /// A row of features as steps of so many.
    Sequence {
        /// Features of a step.
        features: usize,
    },
    /// The last step.
    LastStep,
    /// The mean over steps.
    MeanSteps,
    /// Sets a share of the values to zero while training.
    Dropout {
        /// The share.
        p: f64,
    },
    /// Normalises channels over the batch.
    BatchNorm {
        /// Channels.
        channels: usize,
        /// What becomes of the running averages.
        buffers: Buffers,
    },
    /// Normalises groups of channels.
    GroupNorm {
        /// Groups.
        groups: usize,
        /// Channels.
        channels: usize,
    },
    /// Normalises features.
    LayerNorm {
        /// Features.
        features: usize,
    },
    /// A row of features for every token.
    Embedding {
        /// Different tokens.
        vocabulary: usize,
        /// Features of a row.
        out: usize,
    },
    /// Adds a row of features for every place.
    Position {
        /// Places.
        steps: usize,
        /// Features of a row.
        features: usize,
    },
    /// Long short-term memory (Hochreiter & Schmidhuber, 1997). Gates in the order input, forget,
    /// cell, output; weights `[input, 4 hidden]` and `[hidden, 4 hidden]`, one offset.
    Lstm {
        /// Features taken.
        input: usize,
        /// Features of the state.
        hidden: usize,
        /// Whether only the last step is given on.
        is_last: bool,
    },
    /// Gated recurrent unit (Cho et al., 2014), with the reset gate applied after the hidden
    /// weights. Gates in the order reset, update, new; weights `[input, 3 hidden]` and
    /// `[hidden, 3 hidden]`, an offset for each.
    Gru {
        /// Features taken.
        input: usize,
        /// Features of the state.
        hidden: usize,
        /// Whether only the last step is given on.
        is_last: bool,
    },
    /// Transformer blocks (Vaswani et al., 2017), normalised before each part.
    Encoder {
        /// Blocks.
        layers: usize,
        /// Features of a step.
        features: usize,
        /// Heads of attention.
        heads: usize,
        /// Features inside the feed-forward part.
        ff: usize,
        /// Whether a step sees only itself and earlier ones.
        causal: bool,
        /// Share of values set to zero after each part while training.
        dropout: f64,
    },
    /// `y = x + steps(x)`.
    Residual {
        /// What is computed, one after the other.
        steps: Vec<Self>,
        /// What each of them produces.
        shapes: Vec<Shape>,
    },
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Channels taken.
    pub input: usize,
    /// Channels produced.
    pub out: usize,
    /// Side of the window.
    pub kernel: usize,
    /// From one place to the next.
    pub stride: usize,
    /// Zeros added on every side.
    pub pad: usize,
}
