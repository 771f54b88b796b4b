//! The layer list of a model. Shapes are inferred where the model is built; here every layer is
//! well-formed on its own.

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
    /// `y = x W + b` over features.
    Linear {
        /// Features produced.
        out: u64,
    },
    /// Two-dimensional convolution with a bias over an image.
    Conv2d {
        /// Channels produced.
        out: u64,
        /// Side of the square kernel in pixels.
        kernel: u64,
        /// Pixels from one place to the next.
        stride: u64,
        /// Zero pixels added on every side.
        pad: u64,
    },
    /// Largest value of every square window of an image.
    MaxPool2d {
        /// Side of the window in pixels.
        kernel: u64,
        /// Pixels from one window to the next.
        stride: u64,
    },
    /// `max(x, 0)`.
    Relu,
    /// Gaussian error linear unit.
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// An image as one row of features: channel by channel, row by row.
    Flatten,
    /// Sets a share of the values to zero while training.
    Dropout {
        /// The share, below 1.
        p: f64,
    },
    /// Normalises groups of channels of each example; learned scale and offset per channel.
    GroupNorm {
        /// Number of groups.
        groups: u64,
    },
    /// Normalises the features of each example; learned scale and offset per feature.
    LayerNorm,
    /// `y = x + layers(x)`.
    Residual {
        /// The layers; their output has the shape of their input.
        layers: Vec<Layer>,
    },
}

impl LayerKind {
    /// The word for it in a plan.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Conv2d { .. } => "conv2d",
            Self::MaxPool2d { .. } => "maxpool2d",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::Flatten => "flatten",
            Self::Dropout { .. } => "dropout",
            Self::GroupNorm { .. } => "groupnorm",
            Self::LayerNorm => "layernorm",
            Self::Residual { .. } => "residual",
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const WORDS: [&str; 11] = [
    "linear",
    "conv2d",
    "maxpool2d",
    "relu",
    "gelu",
    "tanh",
    "flatten",
    "dropout",
    "groupnorm",
    "layernorm",
    "residual",
];

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
    let help = format!("write `kind = ` and one of {}", WORDS.join(", "));
    let kind = section.required(errors, "kind", &help)?;
    let word = known_word(kind, errors)?;
    let kind = read_kind(word, &mut section, errors, depth, count);
    section.finish(errors);
    Some(Layer { kind: kind?, line, column })
}

fn known_word(field: Field<'_>, errors: &mut Collector<'_>) -> Option<&'static str> {
    let batchnorm = |text: &str| text.starts_with("batch") && text.contains("norm");
    let (path, span) = (field.path.clone(), field.span.clone());
    let choices: Vec<_> = WORDS.iter().map(|word| (*word, *word)).collect();
    if field.as_text().is_some_and(batchnorm) {
        let help = "its running averages tell about an owner's data and do not average well; \
                    use groupnorm or layernorm";
        errors.push(&span, Code::UnknownChoice, format!("{path}: there is no batchnorm"), help);
        return None;
    }
    field.choice(errors, &choices)
}

fn read_kind(
    word: &str,
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    depth: usize,
    count: &mut usize,
) -> Option<LayerKind> {
    let sizes = 1..=LAYER_SIZE_MAX;
    Some(match word {
        "linear" => LayerKind::Linear { out: section.whole(errors, "out", sizes)?.value },
        "conv2d" => {
            let out = section.whole(errors, "out", sizes.clone());
            let kernel = section.whole(errors, "kernel", sizes.clone());
            let stride = section.whole_or(errors, "stride", sizes, 1);
            let pad = section.whole_or(errors, "pad", 0..=LAYER_SIZE_MAX, 0);
            let (out, kernel) = (out?.value, kernel?.value);
            LayerKind::Conv2d { out, kernel, stride: stride?, pad: pad? }
        }
        "maxpool2d" => {
            let kernel = section.whole(errors, "kernel", sizes.clone());
            let default = kernel.as_ref().map_or(1, |at| at.value);
            let stride = section.whole_or(errors, "stride", sizes, default);
            LayerKind::MaxPool2d { kernel: kernel?.value, stride: stride? }
        }
        "relu" => LayerKind::Relu,
        "gelu" => LayerKind::Gelu,
        "tanh" => LayerKind::Tanh,
        "flatten" => LayerKind::Flatten,
        "dropout" => {
            let help = "write `p = 0.1` for a tenth of the values";
            LayerKind::Dropout { p: section.required(errors, "p", help)?.fraction(errors)? }
        }
        "groupnorm" => {
            LayerKind::GroupNorm { groups: section.whole(errors, "groups", sizes)?.value }
        }
        "layernorm" => LayerKind::LayerNorm,
        _ => {
            let help = "write `layers = [...]`, the layers that x is added to";
            let field = section.required(errors, "layers", help)?;
            LayerKind::Residual { layers: read_list(field, errors, depth + 1, count)? }
        }
    })
}
