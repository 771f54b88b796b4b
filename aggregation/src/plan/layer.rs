//! The layer list of a model. Here every layer is well-formed on its own; whether they fit each
//! other is found by `shape`.

use std::fmt;

use crate::limits::{LAYER_DEPTH_MAX, LAYER_SIZE_MAX, LAYERS_MAX};

use super::error::{Code, Collector};
use super::section::{Field, Section};

/// One layer, with its place in the plan so that a shape error can point there.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it does.
    pub kind: LayerKind,
    /// Line in the plan, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
}

/// What a layer does.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// `y = x W + b` over features; of a sequence, at every step.
    Linear {
        /// Features produced.
        out: u64,
    },
    /// Convolution with a bias over the steps of a sequence.
    Conv1d(Window, u64),
    /// Two-dimensional convolution with a bias over an image.
    Conv2d(Window, u64),
    /// Largest value of every window of a sequence.
    MaxPool1d(Window),
    /// Largest value of every square window of an image.
    MaxPool2d(Window),
    /// Mean of every window of a sequence.
    AvgPool1d(Window),
    /// Mean of every square window of an image.
    AvgPool2d(Window),
    /// Means of windows that divide a sequence into this many steps.
    AdaptiveAvgPool1d {
        /// Steps produced.
        out: u64,
    },
    /// Means of windows that divide an image into this many rows and columns.
    AdaptiveAvgPool2d {
        /// Rows and columns produced.
        out: u64,
    },
    /// Mean of every channel of an image.
    GlobalAvgPool,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, slope x)`.
    LeakyRelu {
        /// The slope below 0, below 1.
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
    /// Features as shares that add up to one; not at the end of a model.
    Softmax,
    /// Everything as one row of features: an image channel by channel, row by row; a sequence
    /// step by step.
    Flatten,
    /// A row of features, or an image's rows, as steps of so many features each.
    Sequence {
        /// Features of a step.
        features: u64,
    },
    /// The last step of a sequence.
    LastStep,
    /// The mean over the steps of a sequence.
    MeanSteps,
    /// Sets a share of the values to zero while training.
    Dropout {
        /// The share, below 1.
        p: f64,
    },
    /// Normalises every channel over a batch; learned scale and offset per channel, and running
    /// averages for evaluation.
    BatchNorm {
        /// What becomes of the running averages.
        buffers: Buffers,
    },
    /// Normalises groups of channels of each example; learned scale and offset per channel.
    GroupNorm {
        /// Number of groups.
        groups: u64,
    },
    /// Normalises the features of each example, or of each step; learned scale and offset per
    /// feature.
    LayerNorm,
    /// A learned row of features for every token.
    Embedding {
        /// Features produced.
        out: u64,
    },
    /// Adds a learned row of features for every place in a sequence.
    Position,
    /// Long short-term memory over a sequence.
    Lstm(Recurrent),
    /// Gated recurrent unit over a sequence.
    Gru(Recurrent),
    /// Transformer blocks: attention and a feed-forward part, each normalised before and added to
    /// its input.
    Encoder {
        /// Blocks.
        layers: u64,
        /// Heads of attention; they divide the features.
        heads: u64,
        /// Features inside the feed-forward part.
        ff: u64,
        /// Whether a step sees only itself and earlier ones.
        causal: bool,
        /// Share of values set to zero after each part while training.
        dropout: f64,
    },
    /// `y = x + layers(x)`.
    Residual {
        /// The layers; their output has the shape of their input.
        layers: Vec<Layer>,
    },
}

/// A window that moves over a sequence or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its side, in steps or pixels.
    pub kernel: u64,
    /// From one place to the next.
    pub stride: u64,
    /// Zeros added on every side.
    pub pad: u64,
}

/// A recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Features of its state.
    pub hidden: u64,
    /// Whether only the state after the last step is given on.
    pub is_last: bool,
}

/// What becomes of a batchnorm's running averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// They travel in the update like parameters, and are averaged.
    Average,
    /// None are kept and none leave: wherever the model is measured, they are estimated afresh
    /// from the examples that it is measured on (SiloBN: Andreux et al., 2020; AdaBN: Li et al.,
    /// 2016). Training does not use them.
    Local,
}

impl LayerKind {
    /// The words for all kinds.
    pub const WORDS: [&str; 31] = [
        "linear",
        "conv1d",
        "conv2d",
        "maxpool1d",
        "maxpool2d",
        "avgpool1d",
        "avgpool2d",
        "adaptive_avgpool1d",
        "adaptive_avgpool2d",
        "global_avgpool",
        "relu",
        "leaky_relu",
        "gelu",
        "silu",
        "tanh",
        "sigmoid",
        "softmax",
        "flatten",
        "sequence",
        "last_step",
        "mean_steps",
        "dropout",
        "batchnorm",
        "groupnorm",
        "layernorm",
        "embedding",
        "position",
        "lstm",
        "gru",
        "encoder",
        "residual",
    ];

    /// The word for it in a plan.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Conv1d(..) => "conv1d",
            Self::Conv2d(..) => "conv2d",
            Self::MaxPool1d(_) => "maxpool1d",
            Self::MaxPool2d(_) => "maxpool2d",
            Self::AvgPool1d(_) => "avgpool1d",
            Self::AvgPool2d(_) => "avgpool2d",
            Self::AdaptiveAvgPool1d { .. } => "adaptive_avgpool1d",
            Self::AdaptiveAvgPool2d { .. } => "adaptive_avgpool2d",
            Self::GlobalAvgPool => "global_avgpool",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
            Self::Flatten => "flatten",
            Self::Sequence { .. } => "sequence",
            Self::LastStep => "last_step",
            Self::MeanSteps => "mean_steps",
            Self::Dropout { .. } => "dropout",
            Self::BatchNorm { .. } => "batchnorm",
            Self::GroupNorm { .. } => "groupnorm",
            Self::LayerNorm => "layernorm",
            Self::Embedding { .. } => "embedding",
            Self::Position => "position",
            Self::Lstm(_) => "lstm",
            Self::Gru(_) => "gru",
            Self::Encoder { .. } => "encoder",
            Self::Residual { .. } => "residual",
        }
    }

    /// Why a step's output can depend on later steps, if it can. A model that predicts the next
    /// token must not see it.
    #[must_use]
    pub const fn sees_later_steps(&self) -> Option<&'static str> {
        Some(match self {
            Self::Conv1d(Window { kernel: 2.., .. }, _) => "its window reaches to later steps",
            Self::MaxPool1d(_) | Self::AvgPool1d(_) | Self::AdaptiveAvgPool1d { .. } => {
                "its windows reach to later steps"
            }
            Self::BatchNorm { .. } | Self::GroupNorm { .. } => "it normalises over all steps",
            Self::Encoder { causal: false, .. } => "it attends to later steps",
            Self::Flatten | Self::LastStep | Self::MeanSteps => "it merges all steps",
            Self::Lstm(Recurrent { is_last: true, .. })
            | Self::Gru(Recurrent { is_last: true, .. }) => "it gives on the last step only",
            _ => return None,
        })
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Reads a list of layers; `count` is the number of layers read so far in the whole model.
pub(super) fn read_list(
    field: Field<'_>,
    errors: &mut Collector<'_>,
    depth: usize,
    count: &mut usize,
) -> Option<Vec<Layer>> {
    let (path, span) = (field.path.clone(), field.span.clone());
    let fields = field.list(errors)?;
    *count += fields.len();
    if fields.is_empty() || *count > LAYERS_MAX || depth > LAYER_DEPTH_MAX {
        let message = format!("{path} lists {} layers at depth {depth}", fields.len());
        let help = format!(
            "use from 1 to {LAYERS_MAX} layers in all, residual layers at most \
             {LAYER_DEPTH_MAX} deep"
        );
        errors.push(&span, Code::Layers, message, help);
        return None;
    }
    // Every layer is read even after a bad one, so that all errors are told at once.
    let layers: Vec<_> =
        fields.into_iter().map(|field| read_layer(field, errors, depth, count)).collect();
    layers.into_iter().collect()
}

fn read_layer(
    field: Field<'_>,
    errors: &mut Collector<'_>,
    depth: usize,
    count: &mut usize,
) -> Option<Layer> {
    let (line, column) = errors.position(field.span.start);
    let mut section = field.section(errors)?;
    let help = format!("write `kind = ` and one of {}", LayerKind::WORDS.join(", "));
    let kind = section.required(errors, "kind", &help)?;
    let word = known_word(kind, errors)?;
    let kind = read_kind(word, &mut section, errors, depth, count);
    section.finish(errors);
    Some(Layer { kind: kind?, line, column })
}

fn known_word(field: Field<'_>, errors: &mut Collector<'_>) -> Option<&'static str> {
    let choices: Vec<_> = LayerKind::WORDS.iter().map(|word| (*word, *word)).collect();
    field.choice(errors, &choices)
}

const SIZES: std::ops::RangeInclusive<u64> = 1..=LAYER_SIZE_MAX;

fn read_kind(
    word: &str,
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    depth: usize,
    count: &mut usize,
) -> Option<LayerKind> {
    Some(match word {
        "linear" => LayerKind::Linear { out: section.whole(errors, "out", SIZES)?.value },
        "conv1d" | "conv2d" => {
            let out = section.whole(errors, "out", SIZES);
            let window = read_window(section, errors, false);
            let kind = if word == "conv1d" { LayerKind::Conv1d } else { LayerKind::Conv2d };
            kind(window?, out?.value)
        }
        "maxpool1d" => LayerKind::MaxPool1d(read_window(section, errors, true)?),
        "maxpool2d" => LayerKind::MaxPool2d(read_window(section, errors, true)?),
        "avgpool1d" => LayerKind::AvgPool1d(read_window(section, errors, true)?),
        "avgpool2d" => LayerKind::AvgPool2d(read_window(section, errors, true)?),
        "adaptive_avgpool1d" => {
            LayerKind::AdaptiveAvgPool1d { out: section.whole(errors, "out", SIZES)?.value }
        }
        "adaptive_avgpool2d" => {
            LayerKind::AdaptiveAvgPool2d { out: section.whole(errors, "out", SIZES)?.value }
        }
        "global_avgpool" => LayerKind::GlobalAvgPool,
        "relu" => LayerKind::Relu,
        "leaky_relu" => {
            let slope = section.optional("slope");
            LayerKind::LeakyRelu { slope: slope.map_or(Some(0.01), |f| f.fraction(errors))? }
        }
        "gelu" => LayerKind::Gelu,
        "silu" => LayerKind::Silu,
        "tanh" => LayerKind::Tanh,
        "sigmoid" => LayerKind::Sigmoid,
        "softmax" => LayerKind::Softmax,
        "flatten" => LayerKind::Flatten,
        "sequence" => {
            LayerKind::Sequence { features: section.whole(errors, "features", SIZES)?.value }
        }
        "last_step" => LayerKind::LastStep,
        "mean_steps" => LayerKind::MeanSteps,
        "dropout" => {
            let help = "write `p = 0.1` for a tenth of the values";
            LayerKind::Dropout { p: section.required(errors, "p", help)?.fraction(errors)? }
        }
        "batchnorm" => LayerKind::BatchNorm { buffers: read_buffers(section, errors)? },
        "groupnorm" => {
            LayerKind::GroupNorm { groups: section.whole(errors, "groups", SIZES)?.value }
        }
        "layernorm" => LayerKind::LayerNorm,
        "embedding" => LayerKind::Embedding { out: section.whole(errors, "out", SIZES)?.value },
        "position" => LayerKind::Position,
        "lstm" => LayerKind::Lstm(read_recurrent(section, errors)?),
        "gru" => LayerKind::Gru(read_recurrent(section, errors)?),
        "encoder" => read_encoder(section, errors)?,
        _ => {
            let help = "write `layers = [...]`, the layers that x is added to";
            let field = section.required(errors, "layers", help)?;
            LayerKind::Residual { layers: read_list(field, errors, depth + 1, count)? }
        }
    })
}

/// A pool moves by its own size where nothing else is said, and is not padded.
fn read_window(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    is_pool: bool,
) -> Option<Window> {
    let kernel = section.whole(errors, "kernel", SIZES);
    let stride = if is_pool { kernel.as_ref().map_or(1, |at| at.value) } else { 1 };
    let stride = section.whole_or(errors, "stride", SIZES, stride);
    let pad =
        if is_pool { Some(0) } else { section.whole_or(errors, "pad", 0..=LAYER_SIZE_MAX, 0) };
    Some(Window { kernel: kernel?.value, stride: stride?, pad: pad? })
}

fn read_buffers(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Buffers> {
    let help = "its running averages tell about owners' data, so say what becomes of them: \
                `buffers = \"average\"` (they travel in the update) or \"local\" (they are \
                estimated where the model is measured); groupnorm and layernorm have none";
    let field = section.required(errors, "buffers", help)?;
    field.choice(errors, &[("average", Buffers::Average), ("local", Buffers::Local)])
}

fn read_recurrent(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Recurrent> {
    let hidden = section.whole(errors, "hidden", SIZES);
    let is_last = match section.optional("output") {
        Some(field) => field.choice(errors, &[("sequence", false), ("last", true)]),
        None => Some(false),
    };
    Some(Recurrent { hidden: hidden?.value, is_last: is_last? })
}

fn read_encoder(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<LayerKind> {
    let layers = section.whole_or(errors, "layers", 1..=LAYERS_MAX as u64, 1);
    let heads = section.whole(errors, "heads", SIZES);
    let ff = section.whole(errors, "ff", SIZES);
    let help = "write `causal = true` where a step must not see later ones, as in a language \
                model, else `causal = false`";
    let causal = section.required(errors, "causal", help);
    let causal = causal.and_then(|field| field.boolean(errors));
    let dropout = section.optional("dropout");
    let dropout = dropout.map_or(Some(0.0), |field| field.fraction(errors));
    Some(LayerKind::Encoder {
        layers: layers?,
        heads: heads?.value,
        ff: ff?.value,
        causal: causal?,
        dropout: dropout?,
    })
}

/// Refuses layers through which a step sees later ones.
pub(super) fn check_causal(layers: &[Layer], errors: &mut Collector<'_>) {
    for layer in layers {
        if let LayerKind::Residual { layers } = &layer.kind {
            check_causal(layers, errors);
        }
        if let Some(why) = layer.kind.sees_later_steps() {
            let word = layer.kind.word();
            let message = format!("{word} in a model that predicts the next token: {why}");
            let help = "a step must see itself and earlier ones only: use an encoder with \
                        causal = true, lstm, gru, layernorm, linear";
            errors.push_at((layer.line, layer.column), Code::Causal, message, help);
        }
    }
}

/// Whether a layer of the list, or inside one, has the property.
pub(super) fn any(layers: &[Layer], property: fn(&LayerKind) -> bool) -> bool {
    layers.iter().any(|layer| match &layer.kind {
        LayerKind::Residual { layers } => any(layers, property),
        kind => property(kind),
    })
}
