//! The `[cohort]` and `[secure_aggregation]` sections.

use crate::limits::{
    AUDIT_ROWS_MAX, AUDIT_ROWS_MIN, CONTRIBUTIONS_FLOOR, CONTRIBUTIONS_MAX, DEADLINE_MS_MAX,
    QUANTISED_BITS_MAX, QUANTISED_BITS_MIN,
};

use super::{Field, Form, Section};

pub(super) static COHORT: Section = Section::new(
    "cohort",
    "How many owners a round needs, and how long its phases may take.",
    &[
        Field::new(
            "minimum",
            Form::Whole(CONTRIBUTIONS_FLOOR as u64, CONTRIBUTIONS_MAX as u64),
            "Fewest contributions that are opened.",
        )
        .leaves(),
        Field::new(
            "maximum",
            Form::Whole(CONTRIBUTIONS_FLOOR as u64, CONTRIBUTIONS_MAX as u64),
            "Most contributions that are summed.",
        )
        .leaves(),
        Field::new(
            "deadlines",
            Form::Section(&DEADLINES),
            "The longest each phase of a round may take.",
        )
        .optional(),
        Field::new(
            "on_shortfall",
            Form::Words(&[
                (
                    "extend-once",
                    "Collecting goes on once more, as long as it may take, then as skip-round.",
                ),
                ("skip-round", "The round is abandoned, and the next begins."),
                ("stop", "The round is abandoned, and the run is over."),
            ]),
            "What is done about a round that fewer than the minimum contribute to in time.",
        )
        .or("\"skip-round\""),
    ],
);

const DURATION: Form = Form::Duration(DEADLINE_MS_MAX);

static DEADLINES: Section = Section::new(
    "deadlines",
    "The longest each phase of a round may take.",
    &[
        Field::new("select", DURATION, "Finding the cohort and agreeing on the terms.")
            .or("\"60s\""),
        Field::new("collect", DURATION, "Training and sending.").or("\"10m\""),
        Field::new("vote", DURATION, "Agreeing on the set of contributions.").or("\"60s\""),
        Field::new("audit", DURATION, "Proving that an update is small, where rounds are audited.")
            .or("\"60s\""),
        Field::new("release", DURATION, "Opening the sum.").or("\"60s\""),
    ],
);

pub(super) static SECURE_AGGREGATION: Section = Section::new(
    "secure_aggregation",
    "How updates are limited, packed and encrypted.",
    &[
        Field::new(
            "profile",
            Form::Words(&[
                ("A", "Smaller ring: for models below about 10,000 parameters."),
                ("B", "Larger ring: cheaper for every parameter, dearer for every update."),
            ]),
            "Ring and modulus of the encryption.",
        )
        .leaves(),
        Field::new(
            "bits",
            Form::Whole(QUANTISED_BITS_MIN as u64, QUANTISED_BITS_MAX as u64),
            "Bits of a coordinate.",
        )
        .example("12")
        .leaves(),
        Field::new("range", Form::Positive, "Bound of a coordinate's absolute value.").leaves(),
        Field::new("clip_norm", Form::Positive, "Bound of the L2 norm of an update.").leaves(),
        Field::new(
            "audit",
            Form::Words(&[
                ("off", "Updates are range-limited only: a false one is not detected."),
                (
                    "closed",
                    "Updates that are too large or false are left out and named; nobody sees one.",
                ),
            ]),
            "Whether contributions are audited. Only then may [credit] be asked for.",
        )
        .leaves(),
        Field::new(
            "audit_rows",
            Form::Whole(AUDIT_ROWS_MIN as u64, AUDIT_ROWS_MAX as u64),
            "Random linear forms that an audit looks at: more make it sounder and dearer.",
        )
        .or("128"),
    ],
);
