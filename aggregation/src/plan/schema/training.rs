//! The `[training]` section.

use crate::limits::{BATCH_EXAMPLES_MAX, LOCAL_EPOCHS_MAX, ROUNDS_MAX, WEIGHT_MAX};

use super::{Case, Cases, Field, Form, Section};

pub(super) static TRAINING: Section = Section::new(
    "training",
    "How owners train, and how their updates become one.",
    &[
        Field::new("rounds", Form::Whole(1, ROUNDS_MAX as u64), "Rounds of the run.").leaves(),
        Field::new(
            "local_epochs",
            Form::Whole(1, LOCAL_EPOCHS_MAX as u64),
            "Passes over an owner's data in one round.",
        )
        .or("1"),
        Field::new(
            "batch_size",
            Form::Whole(1, BATCH_EXAMPLES_MAX as u64),
            "Examples of one training step.",
        ),
        Field::new("optimizer", Form::Section(&OPTIMIZER), "How a step changes the model."),
        Field::new(
            "weighting",
            Form::Either(&[UNIFORM, Form::Section(&CAPPED)]),
            "How owners count in the average.",
        )
        .leaves(),
        Field::new(
            "server_lr",
            Form::Positive,
            "What the average is multiplied by before it is added to the model.",
        )
        .or("1.0"),
    ],
);

const UNIFORM: Form = Form::Words(&[("uniform", "All alike; no number of examples is sent.")]);

static CAPPED: Section = Section::new(
    "capped_examples",
    "By their examples, up to a cap. The number of examples travels inside the encryption.",
    &[Field::new(
        "capped_examples",
        Form::Whole(1, WEIGHT_MAX as u64),
        "Examples beyond this many do not count.",
    )
    .leaves()],
);

const LR: Field = Field::new("lr", Form::Positive, "Step size.");

static OPTIMIZER: Section =
    Section::new("optimizer", "How a step changes the model.", &[LR]).by(&Cases {
        by: Field::new("name", Form::Case, "Which method. Its state never leaves a round."),
        cases: &[
            Case::new(
                "sgd",
                "Stochastic gradient descent.",
                &[Field::new("momentum", Form::Fraction, "Share of the last step that is kept.")
                    .or("0.0")],
            ),
            Case::bare("adam", "Adam with betas 0.9 and 0.999."),
        ],
    });
