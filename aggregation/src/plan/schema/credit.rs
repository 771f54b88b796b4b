//! The `[credit]` section.

use crate::credit::MICRO;
use crate::limits::{BUDGET_MICRO_MAX, CREDIT_FOLD_MAX, CREDIT_FOLD_MIN, CREDIT_STEPS_MAX};

use super::{Field, Form, Section};

pub(super) static CREDIT: Section = Section::new(
    "credit",
    "What owners are credited. It needs audit = \"closed\" and five owners in a sum. Of each owner \
     and round, pass or fail and three numbers are published: its update beside the direction that \
     a fold of a public validation pool would have trained; where owners count by their examples, \
     their number as well.",
    &[
        Field::new(
            "budget",
            Form::Whole(1, BUDGET_MICRO_MAX / MICRO),
            "What each round gives, in whole credits.",
        )
        .example("1000"),
        Field::new(
            "fold",
            Form::Whole(CREDIT_FOLD_MIN as u64, CREDIT_FOLD_MAX as u64),
            "Examples of the validation pool that each round's direction is trained on.",
        )
        .or("30"),
        Field::new(
            "steps",
            Form::Whole(1, CREDIT_STEPS_MAX as u64),
            "Training steps of that direction, each on the whole fold.",
        )
        .or("20"),
        Field::new(
            "training",
            Form::Words(&[
                ("off", "All updates count once."),
                (
                    "evidence",
                    "From its third round on, an owner's update counts two to four times, by its \
                     mean part of the claims so far beside the others'; not at all where that is \
                     below a quarter of their median. All count once where fewer than \
                     cohort.minimum would be left.",
                ),
            ]),
            "Whether what owners were found to bring weighs their next updates.",
        )
        .or("\"off\"")
        .leaves(),
    ],
);
