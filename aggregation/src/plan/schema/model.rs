//! The `[model]` section.

use crate::limits::{
    ADAPTER_RANK_MAX, ADAPTER_TARGETS_MAX, LABEL_BYTES_MAX, LAYER_SIZE_MAX, LAYERS_MAX,
};

use super::{Case, Cases, Field, Form, Rule, Section};

pub(super) static MODEL: Section = Section::new(
    "model",
    "The model. Every layer says what it produces; what it takes follows from the layers before.",
    &MODEL_FIELDS,
)
.ruled(&[
    Rule::AnyOf(&[&["layers"], &["family"]]),
    Rule::NotBoth("layers", "family"),
    Rule::With("args", "family"),
]);

static MODEL_FIELDS: [Field; 5] = [
    layers().optional(),
    Field::new("family", NAME, "A model that owners have compiled into their clients.")
        .optional()
        .leaves(),
    Field::new("args", Form::Args, "What the family's builder is given.").optional().leaves(),
    Field::new(
        "start",
        Form::Section(&START),
        "The parameters that the run begins with, or that adapters adapt; without it they are \
         drawn from the seed.",
    )
    .optional(),
    Field::new(
        "lora",
        Form::Section(&LORA),
        "Low-rank adapters: only they are trained, and only they travel.",
    )
    .optional()
    .leaves(),
];

const NAME: Form = Form::Label(1, LABEL_BYTES_MAX);
static ONE_NAME: Form = NAME;

const DIGEST_DIGITS: usize = 64;

static START: Section = Section::new(
    "start",
    "Parameters that exist already.",
    &[
        Field::new(
            "digest",
            Form::Label(DIGEST_DIGITS, DIGEST_DIGITS),
            "The digest by which a run names its model: 64 hexadecimal digits.",
        )
        .example("\"0101010101010101010101010101010101010101010101010101010101010101\""),
        Field::new(
            "file",
            NAME,
            "Where the coordinator finds them, beside the plan: a safetensors file, or a model \
             that a run stored.",
        )
        .optional(),
    ],
);

static LORA: Section = Section::new(
    "lora",
    "Low-rank adapters: a weight W acts as W + (alpha / rank) A B.",
    &[
        Field::new("rank", Form::Whole(1, ADAPTER_RANK_MAX), "Columns of A and rows of B.")
            .leaves(),
        Field::new("alpha", Form::Positive, "Scale."),
        Field::new(
            "targets",
            Form::List(&ONE_NAME, 1, ADAPTER_TARGETS_MAX),
            "Which weights: layers such as layers.2.linear, or ends of names such as query.",
        )
        .leaves(),
    ],
);

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
            "y = x W + b over features; of a sequence, at every step.",
            &[Field::new("out", SIZE, "Features produced.").leaves()],
        ),
        Case::new("conv1d", "Convolution over the steps of a sequence.", CONVOLUTION),
        Case::new("conv2d", "Convolution over an image.", CONVOLUTION),
        Case::new("maxpool1d", "Largest value of every window of a sequence.", POOL),
        Case::new("maxpool2d", "Largest value of every window of an image.", POOL),
        Case::new("avgpool1d", "Mean of every window of a sequence.", POOL),
        Case::new("avgpool2d", "Mean of every window of an image.", POOL),
        Case::new(
            "adaptive_avgpool1d",
            "Means of windows that divide a sequence.",
            &[Field::new("out", SIZE, "Steps produced.").leaves()],
        ),
        Case::new(
            "adaptive_avgpool2d",
            "Means of windows that divide an image.",
            &[Field::new("out", SIZE, "Rows and columns produced.").leaves()],
        ),
        Case::bare("global_avgpool", "Mean of every channel of an image."),
        Case::bare("relu", "max(x, 0)."),
        Case::new(
            "leaky_relu",
            "max(x, slope x).",
            &[Field::new("slope", Form::Fraction, "The slope below 0.").or("0.01")],
        ),
        Case::bare("gelu", "Gaussian error linear unit."),
        Case::bare("silu", "x sigmoid(x)."),
        Case::bare("tanh", "Hyperbolic tangent."),
        Case::bare("sigmoid", "1 / (1 + exp(-x))."),
        Case::bare("softmax", "Features as shares that add up to one; not at the model's end."),
        Case::bare("flatten", "Everything as one row of features."),
        Case::new(
            "sequence",
            "Features, or an image's rows, as steps of a sequence.",
            &[Field::new("features", SIZE, "Features of a step.").leaves()],
        ),
        Case::bare("last_step", "The last step of a sequence."),
        Case::bare("mean_steps", "The mean over the steps of a sequence."),
        Case::new(
            "dropout",
            "Sets a share of the values to zero while training.",
            &[Field::new("p", Form::Fraction, "The share.")],
        ),
        Case::new(
            "batchnorm",
            "Normalises every channel over a batch.",
            &[Field::new("buffers", BUFFERS, "What becomes of the running averages.").leaves()],
        ),
        Case::new(
            "groupnorm",
            "Normalises groups of channels of each example.",
            &[Field::new("groups", SIZE, "Number of groups.")],
        ),
        Case::bare("layernorm", "Normalises the features of each example, or of each step."),
        Case::new(
            "embedding",
            "A learned row of features for every token.",
            &[Field::new("out", SIZE, "Features produced.").leaves()],
        ),
        Case::bare("position", "Adds a learned row of features for every place in a sequence."),
        Case::new("lstm", "Long short-term memory over a sequence.", RECURRENT),
        Case::new("gru", "Gated recurrent unit over a sequence.", RECURRENT),
        Case::new("encoder", "Transformer blocks, normalised before each part.", ENCODER),
        Case::new("residual", "y = x + layers(x).", &RESIDUAL),
    ],
});

const CONVOLUTION: &[Field] = &[CHANNELS, KERNEL, STRIDE, PAD];
const POOL: &[Field] = &[KERNEL, STRIDE_OF_POOL];

const BUFFERS: Form = Form::Words(&[
    ("average", "They travel in the update like parameters, and are averaged."),
    ("local", "None travel: they are estimated wherever the model is measured."),
]);

const RECURRENT: &[Field] = &[
    Field::new("hidden", SIZE, "Features of the state.").leaves(),
    Field::new(
        "output",
        Form::Words(&[
            ("sequence", "The state after every step."),
            ("last", "The state after the last step."),
        ]),
        "What is given on.",
    )
    .or("\"sequence\"")
    .leaves(),
];

const ENCODER: &[Field] = &[
    Field::new("layers", Form::Whole(1, LAYERS_MAX as u64), "Blocks.").or("1").leaves(),
    Field::new("heads", SIZE, "Heads of attention; they divide the features."),
    Field::new("ff", SIZE, "Features inside the feed-forward part.").leaves(),
    Field::new("causal", Form::Flag, "Whether a step sees only itself and earlier ones."),
    Field::new("dropout", Form::Fraction, "Share of values set to zero while training.").or("0.0"),
];
