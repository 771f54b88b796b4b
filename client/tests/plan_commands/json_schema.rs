//! The JSON Schema against plans, by a validator of its own that knows only what the schema uses
//! and refuses to pass over anything else.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::PLAN;
use super::bad::BAD;
use crate::common::Folder;

/// A schema together with its root, where its definitions are.
#[derive(Clone, Copy)]
struct Schema<'a> {
    root: &'a Value,
    at: &'a Value,
}

impl<'a> Schema<'a> {
    fn of(root: &'a Value) -> Self {
        Self { root, at: root }
    }

    fn below(self, at: &'a Value) -> Self {
        Self { at, ..self }
    }

    /// The places where a value breaks the schema.
    fn broken(self, value: &Value, path: &str) -> Vec<String> {
        let Value::Object(keywords) = self.at else { panic!("no schema: {}", self.at) };
        keywords
            .iter()
            .filter_map(|(keyword, rule)| self.keyword(keyword, rule, keywords, value, path))
            .flatten()
            .collect()
    }

    fn accepts(self, value: &Value, path: &str) -> bool {
        self.broken(value, path).is_empty()
    }

    fn keyword(
        self,
        keyword: &str,
        rule: &'a Value,
        keywords: &'a Map<String, Value>,
        value: &Value,
        path: &str,
    ) -> Option<Vec<String>> {
        let count = |rule: &Value| rule.as_u64().expect("a count") as usize;
        let number = |rule: &Value| rule.as_f64().expect("a number");
        let is_fine = match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" => true,
            "$ref" => {
                let name = rule.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
                let definition = &self.root["$defs"][name.expect("a definition")];
                return Some(self.below(definition).broken(value, path));
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_a(value, one)),
                one => is_a(value, one),
            },
            "const" => value == rule,
            "minimum" => value.as_f64().is_none_or(|value| value >= number(rule)),
            "maximum" => value.as_f64().is_none_or(|value| value <= number(rule)),
            "exclusiveMinimum" => value.as_f64().is_none_or(|value| value > number(rule)),
            "exclusiveMaximum" => value.as_f64().is_none_or(|value| value < number(rule)),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= count(rule)),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= count(rule)),
            "pattern" => value.as_str().is_none_or(|text| matches(text, rule)),
            "minItems" => value.as_array().is_none_or(|list| list.len() >= count(rule)),
            "maxItems" => value.as_array().is_none_or(|list| list.len() <= count(rule)),
            "items" => {
                let list = value.as_array()?;
                let broken = list.iter().enumerate().flat_map(|(index, one)| {
                    self.below(rule).broken(one, &format!("{path}[{index}]"))
                });
                return Some(broken.collect());
            }
            "properties" => {
                let object = value.as_object()?;
                let broken = object.iter().filter_map(|(name, one)| {
                    Some(self.below(rule.get(name)?).broken(one, &format!("{path}.{name}")))
                });
                return Some(broken.flatten().collect());
            }
            "additionalProperties" => {
                let known = keywords.get("properties").and_then(Value::as_object);
                let object = value.as_object()?;
                let mut more = object
                    .iter()
                    .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                match rule {
                    Value::Bool(false) => more.next().is_none(),
                    rule => more.all(|(_, one)| self.below(rule).accepts(one, path)),
                }
            }
            "required" => value.as_object().is_none_or(|object| has_all(object, rule)),
            "dependentRequired" => value.as_object().is_none_or(|object| {
                let rules = rule.as_object().expect("rules");
                rules.iter().all(|(name, more)| !object.contains_key(name) || has_all(object, more))
            }),
            "oneOf" => self.each(rule).filter(|one| one.accepts(value, path)).count() == 1,
            "anyOf" => self.each(rule).any(|one| one.accepts(value, path)),
            "allOf" => self.each(rule).all(|one| one.accepts(value, path)),
            "not" => !self.below(rule).accepts(value, path),
            other => panic!("a keyword that this validator does not know: {other}"),
        };
        (!is_fine).then(|| vec![format!("{path}: {keyword}")])
    }

    fn each(self, rules: &'a Value) -> impl Iterator<Item = Self> {
        rules.as_array().expect("a list").iter().map(move |rule| self.below(rule))
    }
}

fn has_all(object: &Map<String, Value>, names: &Value) -> bool {
    let mut names = names.as_array().expect("a list").iter();
    names.all(|name| object.contains_key(name.as_str().expect("a name")))
}

fn is_a(value: &Value, of: &Value) -> bool {
    match of.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("a type that this validator does not know: {other}"),
    }
}

fn matches(text: &str, pattern: &Value) -> bool {
    match pattern.as_str().expect("a pattern") {
        "^[a-z0-9][a-z0-9.-]*$" => {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-' || c == '.')
        }
        r"^[^\u0000-\u001f\u007f-\u009f]*$" => !text.chars().any(char::is_control),
        "^[0-9]+(ms|s|m|h)$" => {
            let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
            number.len() < text.len() && ["ms", "s", "m", "h"].contains(&number)
        }
        other => panic!("a pattern that this validator does not know: {other}"),
    }
}

fn schema() -> Value {
    let folder = Folder::new();
    let output = folder.run(&["plan", "schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(folder.json(&["plan", "schema"], 0)["data"], schema);
    schema
}

/// A plan as JSON; none where it is no TOML.
fn json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(serde_json::to_value(table).expect("JSON"))
}

/// Every plan that the repository has, and every template.
pub(crate) fn plans() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut plans = vec![("this test's".to_owned(), PLAN.to_owned())];
    for folder in ["../examples/plans", "src/plan/templates"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path).expect("read");
                let text = text.replace("name = \"NAME\"", "name = \"name\"");
                plans.push((path.display().to_string(), text));
            }
        }
    }
    plans
}

#[test]
fn every_template_and_example_is_valid() {
    let schema = schema();
    let plans = plans();
    assert!(plans.len() >= 5, "{} plans", plans.len());
    for (name, text) in plans {
        let broken = Schema::of(&schema).broken(&json(&text).expect("TOML"), "");
        assert!(broken.is_empty(), "{name}: {broken:?}");
    }
}

#[test]
fn bad_plans_are_not() {
    let schema = schema();
    let mut refused = 0;
    for bad in BAD {
        let text = bad.plan();
        let Some(plan) = json(&text) else {
            assert!(!bad.is_told_by_schema, "{text}");
            continue;
        };
        let broken = Schema::of(&schema).broken(&plan, "");
        assert_eq!(!broken.is_empty(), bad.is_told_by_schema, "{text}\n{broken:?}");
        refused += u32::from(bad.is_told_by_schema);
    }
    assert!(refused >= 25, "{refused} bad plans");
}

#[test]
fn every_definition_is_used_and_every_reference_leads_somewhere() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let text = schema.to_string();
    for (name, definition) in definitions {
        assert!(definition.is_object(), "{name}");
        assert!(text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
    }
    for reference in text.split("\"#/$defs/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(definitions.contains_key(name), "{name}");
    }
}
