//! The commands about plans: templates, checks, plain words, comparisons and the JSON Schema.

#[path = "../common/mod.rs"]
mod common;

mod bad;
mod commands;
mod json_schema;

/// A plan that every part of this program is tried on; its lines are counted on in `bad`.
const PLAN: &str = r#"schema = "plan/1"
name = "patients"
purpose = "Try the commands about plans"
seed = 7
[data]
kind = "tabular"
holdout = 0.25
columns = [
  { name = "age", type = "float", min = 0, max = 120, missing = "indicator" },
  { name = "sex", type = "category", values = ["f", "m"] },
]
target = { column = "ill", classes = ["no", "yes"] }
[model]
layers = [
  { kind = "linear", out = 8 },
  { kind = "relu" },
  { kind = "linear", out = 2 },
]
[training]
rounds = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.5 }
weighting = { capped_examples = 500 }
[strategy]
name = "fedavg"
[evaluation]
metrics = ["accuracy", "loss"]
[stop]
target = { metric = "accuracy", value = 0.9 }
[cohort]
minimum = 3
maximum = 10
deadlines = { collect = "90s" }
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

/// The plan with one piece of text replaced.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert_eq!(PLAN.matches(from).count(), 1, "{from:?} must occur once");
    PLAN.replace(from, to)
}
