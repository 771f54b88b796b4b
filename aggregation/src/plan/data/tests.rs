use super::super::{Plan, PlanError};
use super::*;

/// A plan with this data section, which begins in line 6.
fn plan(section: &str) -> String {
    format!(
        r#"schema = "plan/1"
name = "data"
purpose = "Read data"
seed = 1
[data]
{section}
[model]
family = "any"
[training]
rounds = 1
batch_size = 1
optimizer = {{ name = "sgd", lr = 1 }}
weighting = "uniform"
[cohort]
minimum = 3
maximum = 3
[secure_aggregation]
profile = "A"
bits = 8
range = 1
clip_norm = 1
audit = "off"
"#
    )
}

const TABULAR: &str = r#"kind = "tabular"
holdout = 0.2
min_rows = 10
missing_values = ["", "?", -9]
columns = [
  { name = "age", type = "float", min = 20, max = 90, mean = 54, missing = "mean" },
  { name = "chol", type = "float", mean = 246, std = 50, min = 1, max = 900, missing = { value = 240, indicator = true } },
  { name = "ca", type = "integer", min = 0, max = 3, missing = "indicator" },
  { name = "sex", type = "boolean", yes = ["m"], no = ["f"], missing = { value = true } },
  { name = "cp", type = "category", values = [1, 2, "x"], unknown = "other", missing_values = [] },
]
target = { column = "num", classes = [{ name = "healthy", values = [0] }, { name = "ill", values = [1, 2] }] }"#;

const TEXT: &str = r#"kind = "text"
tokens = "characters"
vocabulary = "\n ab"
unknown = "skip"
context = 64
stride = 32"#;

fn data(section: &str) -> Data {
    Plan::parse(&plan(section)).unwrap_or_else(|errors| panic!("{errors}")).data
}

fn errors(from: &str, to: &str) -> Vec<PlanError> {
    let section = if TABULAR.contains(from) { TABULAR } else { TEXT };
    assert_eq!(section.matches(from).count(), 1, "{from:?} must occur once");
    let text = plan(&section.replace(from, to));
    Plan::parse(&text).expect_err(to).errors().to_vec()
}

#[test]
fn a_table_is_read_with_its_rules() {
    let Data::Tabular(tabular) = data(TABULAR) else { panic!("a table") };
    assert_eq!(tabular.features(), 1 + 2 + 2 + 1 + 4);
    assert_eq!(tabular.rows, Rows { holdout: 0.2, minimum: 10 });
    let [age, chol, ca, sex, cp] = &tabular.columns[..] else { panic!("five columns") };
    let fill = |with, indicator| Missing::Fill { with, indicator };
    assert_eq!(age.missing, fill(Fill::Number(54.0), false));
    assert_eq!(age.missing_values, ["", "?", "-9"]);
    assert_eq!(chol.missing, fill(Fill::Number(240.0), true));
    let ColumnKind::Float(numeric) = &chol.kind else { panic!("a number") };
    assert_eq!(numeric.scale, Scale::Standard { mean: 246.0, std: 50.0 });
    assert_eq!(numeric.bounds, Some((1.0, 900.0)));
    assert_eq!(ca.missing, fill(Fill::Zero, true));
    assert_eq!(sex.missing, fill(Fill::Boolean(true), false));
    assert_eq!(cp.missing, Missing::Refuse);
    assert!(cp.missing_values.is_empty());
    assert_eq!(tabular.target.classes()[1].words(), ["1", "2"]);
    assert_eq!(data(TABULAR).classes(), ["healthy", "ill"]);
}

#[test]
fn a_text_counts_its_tokens() {
    let Data::Text(text) = data(TEXT) else { panic!("a text") };
    assert_eq!((text.vocabulary(), text.context, text.stride), (4, 64, 32));
    let Data::Text(text) = data(&TEXT.replace("skip", "token").replace("\nstride = 32", "")) else {
        panic!("a text")
    };
    assert_eq!((text.vocabulary(), text.stride), (5, 64));
    let bytes = data("kind = \"text\"\ntokens = \"bytes\"\ncontext = 8");
    assert!(matches!(bytes, Data::Text(text) if text.vocabulary() == 256));
}

#[test]
fn scaling_is_undone() {
    for scale in [
        Scale::None,
        Scale::MinMax { min: -3.0, max: 5.0 },
        Scale::Standard { mean: 10.0, std: 4.0 },
    ] {
        for value in [-3.0, 0.25, 10.0] {
            assert!((scale.invert(scale.apply(value)) - value).abs() < 1e-12, "{scale:?}");
        }
        assert!((scale.invert(1.0) - scale.invert(0.0) - scale.unit()).abs() < 1e-12);
    }
}

#[test]
fn words_that_are_numbers_are_compared_as_numbers() {
    for (word, same) in [("1.0", "1"), ("01", "1"), ("-0", "0"), ("1e1", "10"), ("a ", "a ")] {
        assert_eq!(canonical(word), same);
    }
    assert_ne!(canonical("nan"), canonical("NaN"));
}

#[test]
fn a_known_field_is_not_told_as_unknown_where_another_is_missing() {
    let errors = errors("min = 20, max = 90, mean = 54", "min = 20, outside = \"clamp\"");
    let found: Vec<_> = errors.iter().map(|error| (error.code, error.line)).collect();
    assert!(found.contains(&(Code::MissingField, 11)), "{errors:#?}");
    assert!(found.iter().all(|(code, _)| *code != Code::UnknownField), "{errors:#?}");
}

#[test]
fn every_bad_data_section_is_refused_with_its_code_and_line() {
    let cases: &[(&str, &str, Code, u32, &str)] = &[
        ("kind = \"tabular\"", "kind = \"video\"", Code::UnknownChoice, 6, "\"video\""),
        ("holdout = 0.2", "holdout = 1.0", Code::OutOfRange, 7, "below 1"),
        ("holdout = 0.2", "hold_out = 0.2", Code::UnknownField, 7, "hold_out"),
        ("min_rows = 10", "min_rows = 0", Code::OutOfRange, 8, "min_rows = 0"),
        ("\"?\", -9", "\"?\", \"?\"", Code::Duplicate, 9, "\"?\" twice"),
        ("\"?\", -9", "[]", Code::WrongType, 9, "expected text"),
        (", mean = 54", "", Code::MissingValues, 11, "the column gives no mean"),
        ("mean = 54", "mean = 154", Code::Scaling, 11, "mean = 154 is not in 20..=90"),
        ("min = 20, max = 90", "min = 90, max = 90", Code::OutOfRange, 11, "not below"),
        ("min = 20, max = 90, ", "", Code::MissingField, 11, "data.columns[0].min"),
        ("mean = 246, ", "", Code::Scaling, 12, "std without mean"),
        ("std = 50", "std = 0", Code::OutOfRange, 12, "must be above 0"),
        ("value = 240", "value = 0", Code::MissingValues, 12, "0 is not in 1..=900"),
        ("value = 240, ", "", Code::MissingField, 12, "missing.value is missing"),
        (
            "max = 3, missing = \"indicator\"",
            "max = 3, missing = { value = 1.5 }",
            Code::MissingValues,
            13,
            "whole numbers",
        ),
        ("\"indicator\"", "\"median\"", Code::UnknownChoice, 13, "\"median\""),
        ("no = [\"f\"]", "no = [\"m\"]", Code::Duplicate, 14, "for yes and for no"),
        ("value = true", "value = \"m\"", Code::WrongType, 14, "expected true or false"),
        ("no = [\"f\"]", "no = [\"?\"]", Code::MissingValues, 14, "also counts as missing"),
        ("[1, 2, \"x\"]", "[1, 2, \"1.0\"]", Code::Duplicate, 15, "\"1.0\" twice"),
        ("\"other\"", "\"ignore\"", Code::UnknownChoice, 15, "\"ignore\""),
        (
            "unknown = \"other\"",
            "missing = { value = 3 }",
            Code::MissingValues,
            15,
            "none of the column's values",
        ),
        ("unknown = \"other\"", "missing = \"mean\"", Code::MissingValues, 15, "no mean"),
        ("values = [1, 2] }] }", "values = [0, 2] }] }", Code::Duplicate, 17, "\"0\" twice"),
        (", values = [1, 2] }] }", " }] }", Code::MissingField, 17, "values is missing"),
        ("\"ill\", values", "\"healthy\", values", Code::Duplicate, 17, "\"healthy\" twice"),
        (
            "column = \"num\", ",
            "column = \"num\", type = \"rank\", ",
            Code::UnknownChoice,
            17,
            "rank",
        ),
        (
            "column = \"num\", ",
            "column = \"num\", type = \"float\", outside = \"clamp\", ",
            Code::Scaling,
            17,
            "without min and max",
        ),
        (
            "column = \"num\"",
            "column = \"age\"",
            Code::Duplicate,
            17,
            "both an input and the target",
        ),
        ("\"characters\"", "\"words\"", Code::UnknownChoice, 7, "\"words\""),
        ("tokens = \"characters\"", "tokens = \"bytes\"", Code::UnknownField, 8, "vocabulary"),
        ("\\n ab", "abca", Code::Vocabulary, 8, "'a' twice"),
        ("\\n ab", "a", Code::Vocabulary, 8, "1 characters"),
        ("unknown = \"skip\"\n", "", Code::MissingField, 5, "data.unknown is missing"),
        ("context = 64", "context = 1", Code::OutOfRange, 10, "context = 1"),
        ("context = 64", "context = 1000000", Code::OutOfRange, 10, "context = 1000000"),
        ("stride = 32", "stride = 0", Code::OutOfRange, 11, "stride = 0"),
    ];
    for (from, to, code, line, part) in cases {
        let errors = errors(from, to);
        let found = errors.iter().find(|error| error.code == *code && error.line == *line);
        let error = found.unwrap_or_else(|| panic!("{to}: no {code} line {line}: {errors:#?}"));
        assert!(error.message.contains(part), "{to}: {error}");
        assert!(!error.help.is_empty(), "{to}: {error}");
    }
}
