//! The JSON Schema of plans (draft 2020-12), for editors and other programs. It says less than
//! `plan check`: what it refuses is no plan, but not all that it accepts is one.

use std::collections::BTreeMap;
use std::fmt;

use covey_aggregation::limits::NAME_BYTES_MAX;
use covey_aggregation::plan::SCHEMA;
use covey_aggregation::plan::schema::{Field, Form, Need, PLAN, Rule, Section, Variant};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A JSON Schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct JsonSchema(pub Value);

/// The JSON Schema of plans.
#[must_use]
pub fn json_schema() -> JsonSchema {
    let mut definitions = BTreeMap::new();
    define(&PLAN, &mut definitions);
    JsonSchema(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("A Covey plan, {SCHEMA}"),
        "$ref": reference(&PLAN),
        "$defs": definitions,
    }))
}

fn reference(section: &Section) -> String {
    format!("#/$defs/{}", section.name)
}

fn define(section: &'static Section, definitions: &mut BTreeMap<&'static str, Value>) {
    if definitions.contains_key(section.name) {
        return;
    }
    // A layer may hold layers: what is begun must not be begun again.
    definitions.insert(section.name, Value::Null);
    let mut objects: Vec<Value> = Vec::new();
    for variant in section.variants() {
        objects.push(object(&variant, definitions));
    }
    let mut definition = match objects.len() {
        1 => objects.remove(0),
        _ => json!({ "type": "object", "oneOf": objects }),
    };
    definition["description"] = section.about.into();
    definitions.insert(section.name, definition);
}

fn object(variant: &Variant, definitions: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (field, word, about) in &variant.words {
        let description = format!("{} {about}", field.about);
        let value = json!({ "const": word, "description": description });
        properties.insert(field.name.to_owned(), value);
        // Where the word has a default, only that case may leave it out.
        if field.need == Need::Required || !is_default(field, word) {
            required.push(field.name);
        }
    }
    for field in &variant.fields {
        properties.insert(field.name.to_owned(), property(field, definitions));
        if field.need == Need::Required {
            required.push(field.name);
        }
    }
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let words: Vec<_> = variant.words.iter().map(|(_, word, _)| *word).collect();
    if !words.is_empty() {
        object["title"] = words.join(", ").into();
    }
    let (mut needed, mut all) = (Map::new(), Vec::new());
    for rule in &variant.rules {
        match rule {
            Rule::With(first, second) => {
                needed
                    .entry(*first)
                    .or_insert_with(|| json!([]))
                    .as_array_mut()
                    .into_iter()
                    .for_each(|list| list.push((*second).into()));
            }
            Rule::AnyOf(groups) => {
                let groups = groups.iter().map(|group| json!({ "required": group }));
                all.push(json!({ "anyOf": groups.collect::<Vec<_>>() }));
            }
            Rule::NotBoth(first, second) => {
                all.push(json!({ "not": { "required": [first, second] } }));
            }
        }
    }
    if !needed.is_empty() {
        object["dependentRequired"] = needed.into();
    }
    if !all.is_empty() {
        object["allOf"] = all.into();
    }
    object
}

fn is_default(field: &Field, word: &str) -> bool {
    matches!(field.need, Need::Default(default) if default.trim_matches('"') == word)
}

fn property(field: &'static Field, definitions: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut property = form(&field.form, definitions);
    property["description"] = field.about.into();
    if let Need::Default(default) = field.need {
        property["default"] = toml_value(default);
    }
    property
}

/// A TOML value as JSON.
fn toml_value(text: &str) -> Value {
    let table: Option<toml::Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = table.as_ref().and_then(|table| table.get("value"));
    serde_json::to_value(value).unwrap_or_default()
}

/// What no label may hold.
const NO_CONTROL: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

fn form(form_: &'static Form, definitions: &mut BTreeMap<&'static str, Value>) -> Value {
    match form_ {
        Form::Whole(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Form::Number => json!({ "type": "number" }),
        Form::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Form::Fraction => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        Form::Within(least, most) => {
            json!({ "type": "number", "minimum": least, "maximum": most })
        }
        Form::Flag => json!({ "type": "boolean" }),
        Form::Text(least, most) => {
            json!({ "type": "string", "minLength": least, "maxLength": most })
        }
        Form::Label(least, most) => json!({
            "type": "string", "minLength": least, "maxLength": most, "pattern": NO_CONTROL,
        }),
        Form::Name => json!({
            "type": "string", "maxLength": NAME_BYTES_MAX, "pattern": "^[a-z0-9][a-z0-9.-]*$",
        }),
        Form::Exactly(text) => json!({ "const": text }),
        // A variant has the word itself.
        Form::Case => json!({ "type": "string" }),
        Form::Words(words) => {
            let words =
                words.iter().map(|(word, about)| json!({ "const": word, "description": about }));
            json!({ "oneOf": words.collect::<Vec<_>>() })
        }
        Form::Plain => json!({ "type": ["string", "number", "boolean"] }),
        Form::Duration(_) => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" }),
        Form::List(of, least, most) => json!({
            "type": "array", "minItems": least, "maxItems": most, "items": form(of, definitions),
        }),
        Form::Args => json!({
            "type": "object", "additionalProperties": { "type": ["number", "boolean", "string"] },
        }),
        Form::Section(section) => {
            define(section, definitions);
            json!({ "$ref": reference(section) })
        }
        Form::Either(forms) => {
            let forms: Vec<_> = forms.iter().map(|one| form(one, definitions)).collect();
            json!({ "anyOf": forms })
        }
    }
}

impl fmt::Display for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
