//! config.json: what a number that goes into a model means, and what one that comes out does.

use covey_aggregation::plan::{
    Column, ColumnKind, Data, Missing, Numeric, Plan, Scale, Target, Tokens, Unknown,
    UnknownCharacter,
};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::shape::Shape;
use serde::Serialize;
use serde_json::{Value, json};

use super::Model;

/// What one input number of a table is.
#[derive(Debug, Serialize)]
struct Feature {
    column: String,
    #[serde(flatten)]
    rule: Rule,
}

/// How a column's value becomes the number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// `(value - minus) / over`.
    Scaled { minus: f64, over: f64 },
    /// 1 where the value is this one, else 0.
    Is(String),
    /// 1 where the value is none of those listed, else 0.
    IsOther(bool),
    /// 1 where the value is one of these, else 0.
    IsOneOf(Vec<String>),
    /// 1 where the value is missing, else 0.
    IsMissing(bool),
}

/// The whole file.
pub(super) fn config(model: &Model) -> Result<Value, Failure> {
    let text = std::str::from_utf8(&model.plan_bytes).unwrap_or_default();
    let table: toml::Table =
        toml::from_str(text).map_err(|error| Failure::new(Exit::BadInput, "BAD_PLAN", error))?;
    let section = |name: &str| serde_json::to_value(table.get(name)).unwrap_or_default();
    let plan = &model.plan;
    Ok(json!({
        "schema_version": 1,
        "name": plan.name.to_string(),
        "purpose": plan.purpose,
        "plan_digest": Plan::digest(&model.plan_bytes).to_string(),
        "model_digest": model.digest.to_string(),
        "parameters": model.parameters.len(),
        "input": input(&plan.data),
        "output": output(&plan.data),
        // As the plan has them.
        "model": section("model"),
        "data": section("data"),
    }))
}

fn input(data: &Data) -> Value {
    match data {
        Data::Image(image) => json!({
            "kind": "image",
            "sizes": [image.channels, image.height, image.width],
            "element": "float32",
            "meaning": format!("a pixel's value divided by {}; channel by channel, row by row",
                image.pixel_max),
        }),
        Data::Tabular(tabular) => {
            let features: Vec<Feature> = tabular.columns.iter().flat_map(features).collect();
            json!({
                "kind": "tabular",
                "sizes": [features.len()],
                "element": "float32",
                "meaning": "one number for each of `features`; what stands in for a missing value \
                            is in `data.columns`",
                "features": features,
            })
        }
        Data::Text(text) => {
            let Shape::Tokens { steps, vocabulary } = Shape::of(data) else {
                unreachable!("a text is tokens")
            };
            let tokens = match &text.tokens {
                Tokens::Bytes => json!({ "tokens": "bytes" }),
                Tokens::Characters { vocabulary, unknown } => {
                    let other = *unknown == UnknownCharacter::Token;
                    let characters: String = vocabulary.iter().collect();
                    json!({ "tokens": "characters", "characters": characters,
                        "last_token_is_any_other": other })
                }
            };
            json!({
                "kind": "text",
                "sizes": [steps],
                "element": "int64",
                "meaning": format!("numbers of tokens, each below {vocabulary}"),
                "vocabulary": tokens,
            })
        }
    }
}

fn output(data: &Data) -> Value {
    match data {
        Data::Tabular(tabular) if let Target::Number(numeric) = &tabular.target => {
            let (minus, over) = scale(numeric);
            json!({ "meaning": "y; the value is y * over + minus", "column": tabular.column,
                "minus": minus, "over": over })
        }
        Data::Text(_) => json!({
            "meaning": "for every step, one number for each token that could come next, before \
                        softmax",
        }),
        _ => json!({
            "meaning": "one number for each class, before softmax",
            "classes": data.classes(),
        }),
    }
}

fn features(column: &Column) -> Vec<Feature> {
    let mut rules = match &column.kind {
        ColumnKind::Float(numeric) | ColumnKind::Integer(numeric) => {
            let (minus, over) = scale(numeric);
            vec![Rule::Scaled { minus, over }]
        }
        ColumnKind::Category { values, unknown } => {
            let mut rules: Vec<_> = values.iter().cloned().map(Rule::Is).collect();
            if *unknown == Unknown::Other {
                rules.push(Rule::IsOther(true));
            }
            rules
        }
        ColumnKind::Boolean { yes, .. } => vec![Rule::IsOneOf(yes.clone())],
    };
    if let Missing::Fill { indicator: true, .. } = column.missing {
        rules.push(Rule::IsMissing(true));
    }
    rules.into_iter().map(|rule| Feature { column: column.name.clone(), rule }).collect()
}

fn scale(numeric: &Numeric) -> (f64, f64) {
    let minus = match numeric.scale {
        Scale::None => 0.0,
        Scale::MinMax { min, .. } => min,
        Scale::Standard { mean, .. } => mean,
    };
    (minus, numeric.scale.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_features_are_as_many_as_the_model_takes_and_are_named() {
        let plan = include_str!("../../../examples/plans/heart-mlp.toml");
        let plan = Plan::parse(plan).unwrap_or_else(|errors| panic!("{errors}"));
        let input = input(&plan.data);
        let features = input["features"].as_array().expect("a list");
        assert_eq!(features.len() as u64, plan.data.features());
        assert_eq!(features[0]["column"], "age");
        assert_eq!(features[0]["scaled"], json!({ "minus": 20.0, "over": 70.0 }));
        assert_eq!(features[2], json!({ "column": "cp", "is": "1" }));
        assert!(features.contains(&json!({ "column": "chol", "is_missing": true })));
        assert_eq!(output(&plan.data)["classes"], json!(["healthy", "ill"]));
    }
}
