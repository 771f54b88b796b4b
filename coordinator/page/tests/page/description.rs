//! The description of the page's answers.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;

use crate::support::{Served, addresses, at_hand, example};
use crate::{get, twin};

#[tokio::test]
async fn the_description_names_every_field_that_views_have() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    served.live.send_replace(at_hand(&example));
    let document: Value =
        serde_json::from_str(&get(&served, "/openapi.json").await.text).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    for path in addresses(&example.book) {
        let answer = get(&served, &twin(&path, "json")).await;
        if answer.status == StatusCode::SEE_OTHER {
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let value: Value = serde_json::from_str(&answer.text).expect("JSON");
        let stem = path.split('?').next().expect("a path");
        let parts: Vec<_> = stem.split('/').skip(1).collect();
        let described =
            document["paths"].as_object().expect("paths").iter().find(|(template, _)| {
                let template: Vec<_> = template.split('/').skip(1).collect();
                let exact = if stem == "/" { vec!["index"] } else { parts.clone() };
                template == exact
            });
        let described = described.or_else(|| {
            document["paths"].as_object().expect("paths").iter().find(|(template, _)| {
                let template: Vec<_> = template.split('/').skip(1).collect();
                template.len() == parts.len()
                    && template
                        .iter()
                        .zip(&parts)
                        .all(|(one, part)| one == part || one.starts_with('{'))
            })
        });
        let (_, path_item) = described.unwrap_or_else(|| panic!("{path} is not described"));
        let schema = &path_item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &value, &path);
        checked += 1;
    }
    assert!(checked > 30);
}

/// Every field of a value is in its schema, and every required one in the value.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let mut schema = schema;
    while let Some(name) = schema["$ref"].as_str() {
        schema = document.pointer(&name[1..]).unwrap_or_else(|| panic!("{at}: no {name}"));
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[choice].as_array() {
            let of_value = all.iter().find(|one| one["type"] != "null");
            if !value.is_null() {
                return check(document, of_value.expect("a choice"), value, at);
            }
            return;
        }
    }
    match value {
        Value::Object(fields) if schema["properties"].is_object() => {
            let known = schema["properties"].as_object().expect("properties");
            for (name, inner) in fields {
                let inner_schema =
                    known.get(name).unwrap_or_else(|| panic!("{at}: {name} is not described"));
                check(document, inner_schema, inner, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().expect("a name")),
                    "{at}: {name} is missing"
                );
            }
        }
        Value::Array(all) => all.iter().for_each(|one| check(document, &schema["items"], one, at)),
        _ => {}
    }
}
