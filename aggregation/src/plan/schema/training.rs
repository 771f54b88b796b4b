//! The `[training]` section.

use crate::limits::{
    BATCH_EXAMPLES_MAX, LOCAL_EPOCHS_MAX, LOCAL_STEPS_MAX, ROUNDS_MAX, WEIGHT_MAX,
};

use super::{Case, Cases, Field, Form, Rule, Section};

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
            "local_steps",
            Form::Whole(1, LOCAL_STEPS_MAX as u64),
            "Training steps in one round, where steps are counted instead of passes.",
        )
        .optional(),
        Field::new(
            "batch_size",
            Form::Whole(1, BATCH_EXAMPLES_MAX as u64),
            "Examples of one training step.",
        ),
        Field::new("optimizer", Form::Section(&OPTIMIZER), "How a step changes the model."),
        Field::new("schedule", Form::Section(&SCHEDULE), "How the step size changes over the run.")
            .optional(),
        Field::new("gradient_clip", Form::Positive, "Largest L2 norm of a step's gradient.")
            .optional(),
        Field::new(
            "loss",
            Form::Either(&[LOSSES, Form::Section(&LOSS)]),
            "What is made small; the usual loss for what is predicted if not given.",
        )
        .optional(),
        Field::new(
            "early_stop",
            Form::Section(&EARLY_STOP),
            "When an owner ends a round's training early.",
        )
        .optional(),
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
)
.ruled(&[Rule::NotBoth("local_epochs", "local_steps")]);

const LOSSES: Form = Form::Words(&[
    ("cross_entropy", "Of the class."),
    ("mse", "Square of the error."),
    ("huber", "Square of small errors, size of large ones."),
    ("next_token", "Cross-entropy of the next token, at every step."),
]);

static LOSS: Section = Section::new("loss", "What is made small.", &[]).by(&Cases {
    by: Field::new("name", Form::Case, "Which loss."),
    cases: &[
        Case::bare("cross_entropy", "Of the class."),
        Case::bare("mse", "Square of the error."),
        Case::new(
            "huber",
            "Square of small errors, size of large ones.",
            &[Field::new("delta", Form::Positive, "Where the square ends.").or("1.0")],
        ),
        Case::bare("next_token", "Cross-entropy of the next token, at every step."),
    ],
});

const WARMUP: Field = Field::new(
    "warmup",
    Form::Within(0, ROUNDS_MAX),
    "Rounds over which the step size grows to its full value.",
)
.or("0.0");

const END: Field =
    Field::new("end", Form::Fraction, "Share of the full step size at the end of the run.")
        .or("0.0");

static SCHEDULE: Section =
    Section::new("schedule", "How the step size changes over the run.", &[WARMUP]).by(&Cases {
        by: Field::new("kind", Form::Case, "How it falls after the warm-up."),
        cases: &[
            Case::bare("constant", "Not at all."),
            Case::new("linear", "In a straight line.", &[END]),
            Case::new("cosine", "Along half a cosine.", &[END]),
            Case::new(
                "step",
                "By a factor every so many rounds.",
                &[
                    Field::new("every", Form::Positive, "Rounds between two falls."),
                    Field::new("factor", Form::Fraction, "What it is multiplied by."),
                ],
            ),
        ],
    });

static EARLY_STOP: Section = Section::new(
    "early_stop",
    "Ends a round's training at an owner when a loss no longer falls.",
    &[
        Field::new(
            "patience",
            Form::Whole(1, LOCAL_EPOCHS_MAX as u64),
            "Passes over the data without a lower loss before training ends.",
        ),
        Field::new(
            "watch",
            Form::Words(&[
                ("training", "The mean over a pass, as it is seen while training."),
                ("holdout", "That of the owner's examples kept out of training."),
            ]),
            "Which loss.",
        ),
    ],
);

const UNIFORM: Form = Form::Words(&[("uniform", "All alike; no number of examples is sent.")]);

static CAPPED: Section = Section::new(
    "capped_examples",
    "By their examples, up to a cap. The number of examples travels inside the encryption; where \
     owners are credited, it is published as well.",
    &[Field::new(
        "capped_examples",
        Form::Whole(1, WEIGHT_MAX as u64),
        "Examples beyond this many do not count.",
    )
    .leaves()],
);

const WEIGHT_DECAY: Field =
    Field::new("weight_decay", Form::Fraction, "How strongly parameters are pulled to zero.");

const LR: Field = Field::new("lr", Form::Positive, "Step size.");

static OPTIMIZER: Section =
    Section::new("optimizer", "How a step changes the model.", &[LR]).by(&Cases {
        by: Field::new("name", Form::Case, "Which method. Its state never leaves a round."),
        cases: &[
            Case::new(
                "sgd",
                "Stochastic gradient descent.",
                &[
                    Field::new("momentum", Form::Fraction, "Share of the last step that is kept.")
                        .or("0.0"),
                    Field::new("nesterov", Form::Flag, "Whether a step looks ahead.").or("false"),
                    WEIGHT_DECAY.or("0.0"),
                ],
            ),
            Case::bare("adam", "Adam with betas 0.9 and 0.999."),
            Case::new("adamw", "Adam with decoupled weight decay.", &[WEIGHT_DECAY.or("0.01")]),
        ],
    });
