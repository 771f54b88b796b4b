//! The `[privacy]` section.

use crate::limits::CONTRIBUTIONS_MAX;

use super::{Case, Cases, Field, Form, Rule, Section};

pub(super) static PRIVACY: Section = Section::new(
    "privacy",
    "Noise that bounds what everything opened tells about one owner: (epsilon, delta)-differential \
     privacy. What a round costs is shown by plan check, and every owner keeps an account of it.",
    &[
        Field::new(
            "noise_multiplier",
            Form::Positive,
            "Standard deviation of the noise of a sum over what one unit moves it by, at most.",
        )
        .leaves(),
        Field::new("delta", Form::Fraction, "The probability with which the guarantee may fail.")
            .example("1e-6")
            .leaves(),
        Field::new(
            "epsilon_max",
            Form::Positive,
            "What the whole plan may cost an owner: a plan that costs more is refused.",
        )
        .optional()
        .leaves(),
    ],
)
.by(&UNITS);

static UNITS: Cases = Cases {
    by: Field::new("unit", Form::Case, "Whose presence is hidden.").leaves(),
    cases: &[
        Case::new(
        "owner",
        "An owner with all its data: each adds a share of discrete Gaussian noise to its update \
         before encrypting it.",
        &[
            Field::new(
                "colluding_max",
                Form::Whole(0, CONTRIBUTIONS_MAX as u64),
                "Owners of a sum that may be in league with whoever looks: the noise of \
                 cohort.minimum less so many is enough.",
            )
            .or("1")
            .leaves(),
            Field::new(
                "clip_quantile",
                Form::Fraction,
                "The share of owners whose updates are to be within the clip: it follows their \
                 lengths from round to round, by a vote inside the noisy sum, and the range with it. \
                 secure_aggregation.clip_norm is the first round's.",
            )
            .optional()
            .leaves(),
            Field::new(
                "clip_rate",
                Form::Positive,
                "How fast the clip follows: e to this is what it is multiplied by for each whole share \
                 of owners that is missing.",
            )
            .or("0.2")
            .leaves(),
        ],
        )
        .ruled(&[Rule::With("clip_rate", "clip_quantile")]),
        Case::new(
            "record",
            "One example among its owner's: the client trains with DP-SGD, which clips the gradient of \
             every example and adds noise to their sum. It covers everything made of the update, the \
             numbers published for credit too.",
            &[Field::new(
                "clip_norm",
                Form::Positive,
                "What each example's gradient is clipped to (L2 norm).",
            )
            .leaves()],
        ),
    ],
};
