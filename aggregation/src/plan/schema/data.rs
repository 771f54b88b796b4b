//! The `[data]` section.

use crate::limits::{
    CLASSES_MAX, COLUMNS_MAX, CONTEXT_TOKENS_MAX, IMAGE_CHANNELS_MAX, IMAGE_SIDE_MAX,
    LABEL_BYTES_MAX, VOCABULARY_MAX,
};

use super::{Case, Cases, Field, Form, Rule, Section};

const LABEL: Form = Form::Label(1, LABEL_BYTES_MAX);
const WORDS: Form = Form::List(&Form::Plain, 1, CLASSES_MAX);
const SPELLINGS: Form = Form::List(&Form::Plain, 0, CLASSES_MAX);
const SIDE: Form = Form::Whole(1, IMAGE_SIDE_MAX as u64);

pub(super) static DATA: Section = Section::new(
    "data",
    "What an owner's data must look like. Each client checks its own; no value is sent.",
    &[
        Field::new("holdout", Form::Fraction, "Share of the examples kept out of training.")
            .or("0.0"),
        Field::new(
            "min_rows",
            Form::Whole(1, u32::MAX as u64),
            "Fewest examples that an owner must have to train on.",
        )
        .or("1"),
    ],
)
.by(&Cases {
    by: Field::new("kind", Form::Case, "What one example is.").leaves(),
    cases: &[
        Case::new("image", "Pictures of one size, each with a label.", IMAGE),
        Case::new("tabular", "Rows of a table, each with a label or number to predict.", TABULAR),
        Case {
            cases: Some(&CHARACTERS),
            ..Case::new("text", "Running text, of which the next token is predicted.", TEXT)
        },
    ],
});

const IMAGE: &[Field] = &[
    Field::new("height", SIDE, "Rows of pixels.").leaves(),
    Field::new("width", SIDE, "Pixels of a row.").leaves(),
    Field::new(
        "channels",
        Form::Whole(1, IMAGE_CHANNELS_MAX as u64),
        "Numbers of a pixel: 1 for grey, 3 for colour.",
    )
    .or("1")
    .leaves(),
    Field::new("pixel_max", Form::Positive, "The value of a full pixel; it becomes 1.").or("255"),
    Field::new("resize", Form::Flag, "Scale pictures of another size instead of refusing them.")
        .or("false"),
    Field::new("convert", Form::Flag, "Make colours grey, or the reverse, instead of refusing.")
        .or("false"),
    Field::new("label", LABEL, "The label column where a file has named columns.").or("\"label\""),
    CLASSES,
];

const CLASSES: Field = Field::new(
    "classes",
    Form::Either(CLASS_FORMS),
    "The classes in the order of the model's outputs; a number n stands for \"0\" to \"n-1\".",
)
.example("2")
.leaves();

const CLASS_FORMS: &[Form] =
    &[Form::Whole(2, CLASSES_MAX as u64), Form::List(&NAME_OR_CLASS, 2, CLASSES_MAX)];
static NAME_OR_CLASS: Form = Form::Either(&[LABEL, Form::Section(&CLASS)]);

static CLASS: Section = Section::new(
    "class",
    "A class, and what stands for it in a file.",
    &[
        Field::new("name", LABEL, "Its name."),
        Field::new("values", WORDS, "What stands for it in a file."),
    ],
);

const TABULAR: &[Field] = &[
    Field::new("missing_values", SPELLINGS, "What counts as a missing value.")
        .or("[\"\", \"?\", \"NA\", \"NaN\", \"nan\"]"),
    Field::new(
        "columns",
        Form::List(&ONE_COLUMN, 1, COLUMNS_MAX),
        "The columns that are read; all others stay unread.",
    )
    .leaves(),
    Field::new("target", Form::Section(&TARGET), "What is predicted.").leaves(),
];

static ONE_COLUMN: Form = Form::Section(&COLUMN);

static COLUMN: Section = Section::new(
    "column",
    "One column, and how its values become numbers.",
    &[
        Field::new("name", LABEL, "Its name in the file.").example("\"age\""),
        Field::new(
            "missing_values",
            SPELLINGS,
            "What counts as missing in this column, instead of the table's.",
        )
        .optional(),
    ],
)
.by(&Cases {
    by: Field::new("type", Form::Case, "What the values are.").leaves(),
    cases: &[
        Case::new("float", "One number, scaled.", NUMERIC).ruled(NUMERIC_RULES),
        Case::new("integer", "One whole number, scaled.", NUMERIC).ruled(NUMERIC_RULES),
        Case::new("category", "1 at the value's place, 0 elsewhere.", CATEGORY),
        Case::new("boolean", "1 for yes, 0 for no.", BOOLEAN),
    ],
});

/// Fields of a scale. The scale is fixed in the plan, so that no owner's range has to be shared.
const MIN: Field =
    Field::new("min", Form::Number, "The smallest value accepted.").optional().example("0");
const MAX: Field =
    Field::new("max", Form::Number, "The largest value accepted.").optional().example("100");
const MEAN: Field =
    Field::new("mean", Form::Number, "Becomes 0, where std is given.").optional().example("50");
const STD: Field =
    Field::new("std", Form::Positive, "Becomes 1; without it min becomes 0 and max 1.").optional();
const OUTSIDE: Field = Field::new(
    "outside",
    Form::Words(&[("refuse", "The file is refused."), ("clamp", "The value counts as the bound.")]),
    "What happens to a value beyond min and max.",
)
.or("\"refuse\"");

const NUMERIC: &[Field] = &[MIN, MAX, MEAN, STD, OUTSIDE, MISSING_NUMBER];

const NUMERIC_RULES: &[Rule] = &[
    Rule::AnyOf(&[&["min", "max"], &["mean", "std"]]),
    Rule::With("min", "max"),
    Rule::With("max", "min"),
    Rule::With("std", "mean"),
    Rule::With("outside", "min"),
];

const CATEGORY: &[Field] = &[
    Field::new("values", WORDS, "The values that occur.").example("[\"f\", \"m\"]").leaves(),
    Field::new(
        "unknown",
        Form::Words(&[
            ("refuse", "The file is refused."),
            ("other", "All such values have one place of their own."),
            ("missing", "It counts as missing."),
        ]),
        "What happens to another value.",
    )
    .or("\"refuse\"")
    .leaves(),
    MISSING_CATEGORY,
];

const BOOLEAN: &[Field] = &[
    Field::new("yes", WORDS, "What stands for yes in a file.")
        .or("[\"1\", \"true\", \"True\", \"TRUE\", \"yes\"]"),
    Field::new("no", WORDS, "What stands for no in a file.")
        .or("[\"0\", \"false\", \"False\", \"FALSE\", \"no\"]"),
    MISSING_FLAG,
];

const MISSING_WORDS: Form = Form::Words(&[
    ("refuse", "The file is refused."),
    ("indicator", "All numbers of the column are 0, and one more number is 1."),
    ("mean", "The column's mean stands in for it; for numbers only."),
]);

const MISSING: &str = "What happens where a value is missing.";

const MISSING_NUMBER: Field =
    Field::new("missing", Form::Either(NUMBER_OR_FILL), MISSING).or("\"refuse\"").leaves();

const MISSING_CATEGORY: Field =
    Field::new("missing", Form::Either(CATEGORY_OR_FILL), MISSING).or("\"refuse\"").leaves();

const MISSING_FLAG: Field =
    Field::new("missing", Form::Either(FLAG_OR_FILL), MISSING).or("\"refuse\"").leaves();

const INDICATOR: Field =
    Field::new("indicator", Form::Flag, "Whether one more number tells that it is missing.")
        .or("false")
        .leaves();

const NUMBER_OR_FILL: &[Form] = &[MISSING_WORDS, Form::Section(&FILL_NUMBER)];

static FILL_NUMBER: Section = Section::new(
    "fill_number",
    "What stands in for a missing number.",
    &[Field::new("value", Form::Number, "The number, before scaling."), INDICATOR],
);

const CATEGORY_OR_FILL: &[Form] = &[MISSING_WORDS, Form::Section(&FILL_CATEGORY)];

static FILL_CATEGORY: Section = Section::new(
    "fill_category",
    "What stands in for a missing category.",
    &[Field::new("value", Form::Plain, "One of the column's values.").example("\"f\""), INDICATOR],
);

const FLAG_OR_FILL: &[Form] = &[MISSING_WORDS, Form::Section(&FILL_FLAG)];

static FILL_FLAG: Section = Section::new(
    "fill_boolean",
    "What stands in for a missing truth value.",
    &[Field::new("value", Form::Flag, "The truth value."), INDICATOR],
);

static TARGET: Section = Section::new(
    "target",
    "What is predicted.",
    &[Field::new("column", LABEL, "The column that holds it.").example("\"ill\"")],
)
.by(&Cases {
    by: Field::new("type", Form::Case, "Whether a class or a number is predicted.")
        .or("\"class\"")
        .leaves(),
    cases: &[
        Case::new("class", "One of the classes.", &[CLASSES]),
        Case::new("float", "A number, scaled.", &[MIN, MAX, MEAN, STD, OUTSIDE]).ruled(&[
            Rule::With("min", "max"),
            Rule::With("max", "min"),
            Rule::With("std", "mean"),
            Rule::With("outside", "min"),
        ]),
    ],
});

const TEXT: &[Field] = &[
    Field::new("context", Form::Whole(2, CONTEXT_TOKENS_MAX as u64), "Tokens of one example.")
        .leaves(),
    Field::new(
        "stride",
        Form::Whole(1, CONTEXT_TOKENS_MAX as u64),
        "Tokens from one example to the next; as many as the context if not given.",
    )
    .optional(),
];

static CHARACTERS: Cases = Cases {
    by: Field::new("tokens", Form::Case, "What a token is.").leaves(),
    cases: &[
        Case::new(
            "characters",
            "A token is a character of the vocabulary.",
            &[
                Field::new(
                    "vocabulary",
                    Form::Text(2, VOCABULARY_MAX),
                    "Every character once. Fixed in the plan, so that none has to be shared.",
                )
                .example("\"ab\"")
                .leaves(),
                Field::new(
                    "unknown",
                    Form::Words(&[
                        ("refuse", "The file is refused."),
                        ("skip", "It is left out."),
                        ("token", "All such characters are one more token."),
                    ]),
                    "What happens to another character.",
                )
                .leaves(),
            ],
        ),
        Case::bare("bytes", "A token is a byte."),
    ],
};
