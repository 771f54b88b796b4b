//! The one description of plan files: every field, what it may hold, what it means, its default,
//! and whether it changes what leaves an owner's machine. The JSON Schema and the comparison of
//! plans are made from it. The reader is asked about every field of it in
//! `tests/plan_schema`, so neither can change without the other.
//!
//! A description says less than the reader checks: how fields depend on each other is said only as
//! far as [`Rule`] goes.

mod credit;
mod data;
mod model;
mod privacy;
mod protection;
mod strategy;
mod training;

use crate::limits::PURPOSE_BYTES_MAX;

use super::SCHEMA;

/// A table of fields.
pub struct Section {
    /// A name for the table, unique in the description.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The fields that it has in every case.
    pub fields: &'static [Field],
    /// A word on which more fields depend.
    pub cases: Option<&'static Cases>,
    /// How fields depend on each other.
    pub rules: &'static [Rule],
}

/// A field whose word decides which further fields there are.
pub struct Cases {
    /// The field that holds the word; its form is [`Form::Case`].
    pub by: Field,
    /// What each word brings.
    pub cases: &'static [Case],
}

/// What one word brings.
pub struct Case {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub about: &'static str,
    /// The fields that it brings.
    pub fields: &'static [Field],
    /// A word on which more fields depend.
    pub cases: Option<&'static Cases>,
    /// How fields depend on each other.
    pub rules: &'static [Rule],
}

/// One field.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it may hold.
    pub form: Form,
    /// Whether it must be there.
    pub need: Need,
    /// A value that can stand in any plan, as TOML; empty where the form itself has one.
    pub example: &'static str,
    /// Whether it changes what leaves an owner's machine: its form, its size or its protection,
    /// not only the numbers in it.
    pub leaves: bool,
}

/// Whether a field must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Yes.
    Required,
    /// No; without it, what it describes does not happen.
    Optional,
    /// No; without it, this value stands, as TOML.
    Default(&'static str),
}

/// What a field may hold.
pub enum Form {
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number.
    Number,
    /// A number above 0.
    Positive,
    /// A number from 0 and below 1.
    Fraction,
    /// A number from the first to the second.
    Within(u32, u32),
    /// True or false.
    Flag,
    /// Text of as many characters, at least and at most.
    Text(usize, usize),
    /// Text without control characters, of as many bytes at least and at most.
    Label(usize, usize),
    /// The name of a plan or member.
    Name,
    /// Exactly this text.
    Exactly(&'static str),
    /// The word of one of the section's cases.
    Case,
    /// One of these words, each with its meaning.
    Words(&'static [(&'static str, &'static str)]),
    /// Text, or a number or truth value without quotes that stands for its text.
    Plain,
    /// A duration such as `"90s"`, of so many milliseconds at most.
    Duration(u64),
    /// A list of as many values at least and at most.
    List(&'static Self, usize, usize),
    /// A table of any names, with numbers, truth values or texts.
    Args,
    /// A table.
    Section(&'static Section),
    /// Any of these.
    Either(&'static [Self]),
}

/// How fields of a section depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Where the first is, the second must be.
    With(&'static str, &'static str),
    /// At least one of these groups must be there in whole.
    AnyOf(&'static [&'static [&'static str]]),
    /// Not both.
    NotBoth(&'static str, &'static str),
}

impl Field {
    /// A field that must be there.
    const fn new(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, about, form, need: Need::Required, example: "", leaves: false }
    }

    /// A field without which nothing happens.
    const fn optional(self) -> Self {
        Self { need: Need::Optional, ..self }
    }

    /// A field without which this value stands.
    const fn or(self, default: &'static str) -> Self {
        Self { need: Need::Default(default), ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    const fn leaves(self) -> Self {
        Self { leaves: true, ..self }
    }
}

impl Case {
    /// A word that brings no field.
    const fn bare(word: &'static str, about: &'static str) -> Self {
        Self::new(word, about, &[])
    }

    const fn new(word: &'static str, about: &'static str, fields: &'static [Field]) -> Self {
        Self { word, about, fields, cases: None, rules: &[] }
    }

    const fn ruled(self, rules: &'static [Rule]) -> Self {
        Self { rules, ..self }
    }
}

/// A section in one combination of its cases.
#[derive(Clone)]
pub struct Variant {
    /// The fields that decide, each with its word here and that word's meaning.
    pub words: Vec<(&'static Field, &'static str, &'static str)>,
    /// All other fields.
    pub fields: Vec<&'static Field>,
    /// How they depend on each other.
    pub rules: Vec<Rule>,
}

impl Section {
    /// The section in every combination of its cases; one where it has none.
    #[must_use]
    pub fn variants(&'static self) -> Vec<Variant> {
        let plain = Variant {
            words: Vec::new(),
            fields: self.fields.iter().collect(),
            rules: self.rules.to_vec(),
        };
        let mut found = Vec::new();
        add_variants(plain, self.cases, &mut found);
        found
    }

    const fn new(name: &'static str, about: &'static str, fields: &'static [Field]) -> Self {
        Self { name, about, fields, cases: None, rules: &[] }
    }

    const fn by(self, cases: &'static Cases) -> Self {
        Self { cases: Some(cases), ..self }
    }

    const fn ruled(self, rules: &'static [Rule]) -> Self {
        Self { rules, ..self }
    }
}

fn add_variants(base: Variant, cases: Option<&'static Cases>, found: &mut Vec<Variant>) {
    let Some(cases) = cases else { return found.push(base) };
    for case in cases.cases {
        let mut variant = base.clone();
        variant.words.push((&cases.by, case.word, case.about));
        variant.fields.extend(case.fields);
        variant.rules.extend(case.rules);
        add_variants(variant, case.cases, found);
    }
}

/// A whole plan.
pub static PLAN: Section = Section::new(
    "plan",
    "What a researcher asks data owners to do together. No code travels.",
    &[
        Field::new("schema", Form::Exactly(SCHEMA), "The version of this format."),
        Field::new("name", Form::Name, "A short name.").example("\"digits\""),
        Field::new(
            "purpose",
            Form::Text(1, PURPOSE_BYTES_MAX),
            "Why; shown word for word to every owner.",
        )
        .example("\"Learn to read digits\""),
        Field::new(
            "seed",
            Form::Whole(0, u64::MAX >> 1),
            "Public seed of everything that training draws.",
        ),
        Field::new("data", Form::Section(&data::DATA), "What an owner's data must look like."),
        Field::new("model", Form::Section(&model::MODEL), "The model.").leaves(),
        Field::new("training", Form::Section(&training::TRAINING), "How owners train."),
        Field::new(
            "strategy",
            Form::Section(&strategy::STRATEGY),
            "How aggregates become a model.",
        )
        .optional()
        .leaves(),
        Field::new("evaluation", Form::Section(&strategy::EVALUATION), "What owners measure.")
            .optional()
            .leaves(),
        Field::new("stop", Form::Section(&strategy::STOP), "When the run ends early.").optional(),
        Field::new("cohort", Form::Section(&protection::COHORT), "How many owners, how long.")
            .leaves(),
        Field::new(
            "secure_aggregation",
            Form::Section(&protection::SECURE_AGGREGATION),
            "How updates are limited and encrypted.",
        )
        .leaves(),
        Field::new("credit", Form::Section(&credit::CREDIT), "What owners are credited.")
            .optional()
            .leaves(),
        Field::new("privacy", Form::Section(&privacy::PRIVACY), "Noise that hides an owner.")
            .optional()
            .leaves(),
    ],
);
