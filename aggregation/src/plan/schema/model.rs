//! The `[model]` section.

use crate::limits::{LAYER_SIZE_MAX, LAYERS_MAX};

use super::{Case, Cases, Field, Form, Section};

pub(super) static MODEL: Section = Section::new(
    "model",
    "The model. Every layer says what it produces; what it takes follows from the layers before.",
    &MODEL_FIELDS,
);

static MODEL_FIELDS: [Field; 1] = [layers()];

/// A residual layer's; a static, because layers may hold layers.
static RESIDUAL: [Field; 1] = [layers()];

const fn layers() -> Field {
    let form = Form::List(&ONE_LAYER, 1, LAYERS_MAX);
    Field::new("layers", form, "The layers, one after the other.").leaves()
}

static ONE_LAYER: Form = Form::Section(&LAYER);

const SIZE: Form = Form::Whole(1, LAYER_SIZE_MAX);
const KERNEL: Field = Field::new("kernel", SIZE, "Side of the window.").leaves();
const STRIDE: Field = Field::new("stride", SIZE, "From one place to the next.").or("1").leaves();
const STRIDE_OF_POOL: Field =
    Field::new("stride", SIZE, "From one window to the next; the kernel if not given.")
        .optional()
        .leaves();
const PAD: Field = Field::new("pad", Form::Whole(0, LAYER_SIZE_MAX), "Zeros added on every side.")
    .or("0")
    .leaves();
const CHANNELS: Field = Field::new("out", SIZE, "Channels produced.").leaves();

static LAYER: Section = Section::new("layer", "One layer.", &[]).by(&Cases {
    by: Field::new("kind", Form::Case, "What it does.").leaves(),
    cases: &[
        Case::new(
            "linear",
            "y = x W + b over features.",
            &[Field::new("out", SIZE, "Features produced.").leaves()],
        ),
        Case::new("conv2d", "Convolution over an image.", &[CHANNELS, KERNEL, STRIDE, PAD]),
        Case::new("maxpool2d", "Largest value of every window.", &[KERNEL, STRIDE_OF_POOL]),
        Case::bare("relu", "max(x, 0)."),
        Case::bare("gelu", "Gaussian error linear unit."),
        Case::bare("tanh", "Hyperbolic tangent."),
        Case::bare("flatten", "Everything as one row of features."),
        Case::new(
            "dropout",
            "Sets a share of the values to zero while training.",
            &[Field::new("p", Form::Fraction, "The share.")],
        ),
        Case::new(
            "groupnorm",
            "Normalises groups of channels of each example.",
            &[Field::new("groups", SIZE, "Number of groups.")],
        ),
        Case::bare("layernorm", "Normalises the features of each example."),
        Case::new("residual", "y = x + layers(x).", &RESIDUAL),
    ],
});
