//! The `[strategy]`, `[evaluation]` and `[stop]` sections.

use crate::limits::ROUNDS_MAX;

use super::{Case, Cases, Field, Form, Section};

pub(super) static STRATEGY: Section = Section::new(
    "strategy",
    "How aggregates become the next model; without it, FedAvg.",
    &[],
)
.by(&Cases {
    by: Field::new("name", Form::Case, "Which method.").leaves(),
    cases: &[
        Case::bare("fedavg", "The mean of the updates is added."),
        Case::new(
            "fedavgm",
            "Momentum over rounds.",
            &[Field::new("momentum", Form::Fraction, "Share of the last step kept.").or("0.9")],
        ),
        Case::new("fedadam", "A step size for each parameter.", ADAPTIVE),
        Case::new("fedyogi", "As fedadam, with squares that shrink slowly.", ADAPTIVE),
        Case::new(
            "fedprox",
            "Owners are held near the round's first model.",
            &[Field::new("mu", Form::Positive, "Strength of the pull.")],
        ),
        Case::new(
            "scaffold",
            "Owners correct their gradients by the others'; twice as much is sent.",
            &[
                Field::new("range", Form::Positive, "Bound of a coordinate of the change.")
                    .leaves(),
                Field::new("clip_norm", Form::Positive, "Bound of the change's L2 norm.").leaves(),
            ],
        ),
    ],
});

const ADAPTIVE: &[Field] = &[
    Field::new("beta_1", Form::Fraction, "Share of the mean step that is kept.").or("0.9"),
    Field::new("beta_2", Form::Fraction, "Share of the mean square that is kept.").or("0.99"),
    Field::new("tau", Form::Positive, "Keeps steps finite where updates are tiny.").or("0.001"),
];

const METRIC: Form = Form::Words(&[
    ("accuracy", "Share of the examples that are answered rightly."),
    ("loss", "Mean cross-entropy."),
    ("macro_f1", "Mean over the classes of F1."),
    ("auroc", "Area under the ROC curve, mean over the classes."),
    ("mae", "Mean absolute error."),
    ("rmse", "Root of the mean square error."),
    ("perplexity", "Of the next token."),
]);
static ONE_METRIC: Form = METRIC;

pub(super) static EVALUATION: Section = Section::new(
    "evaluation",
    "What owners measure on the examples that data.holdout keeps out of training: exact counts, \
     inside the encryption, of which only sums are opened.",
    &[
        Field::new("metrics", Form::List(&ONE_METRIC, 1, 7), "What is measured.").leaves(),
        Field::new(
            "error_max",
            Form::Positive,
            "The largest error that counts, as the model sees the target: 1 is max - min, or std, \
             where the plan gives them. Federated mae and rmse are in this unit too.",
        )
        .or("1.0"),
    ],
);

pub(super) static STOP: Section = Section::new(
    "stop",
    "When the run ends before its last round.",
    &[
        Field::new("target", Form::Section(&TARGET), "Good enough.").optional(),
        Field::new("plateau", Form::Section(&PLATEAU), "No longer getting better.").optional(),
        Field::new(
            "step_norm_max",
            Form::Positive,
            "A step of the model longer than this (L2 norm) is divergence.",
        )
        .optional(),
    ],
);

static TARGET: Section = Section::new(
    "stop_target",
    "Ends a run when a metric is as good as this.",
    &[
        Field::new("metric", METRIC, "Which, of evaluation.metrics."),
        Field::new("value", Form::Number, "At least this, or at most, where less is better."),
    ],
);

static PLATEAU: Section = Section::new(
    "stop_plateau",
    "Ends a run when a metric has not become better for a while.",
    &[
        Field::new("metric", METRIC, "Which, of evaluation.metrics."),
        Field::new(
            "patience",
            Form::Whole(1, ROUNDS_MAX as u64),
            "Rounds that may pass without a better one.",
        ),
        Field::new("min_delta", Form::Positive, "By how much it must be better to count.")
            .optional(),
    ],
);
