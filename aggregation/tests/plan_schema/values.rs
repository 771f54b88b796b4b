//! Values of every kind, about which the reader is asked.

use std::collections::BTreeSet;

use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::plan::schema::Form;
use covey_aggregation::plan::{Code, PlanError};

use super::node::{Node, list, sample};
use super::{NONSENSE, is_of_form, listed};

/// A date: no field takes one.
pub(crate) const DATE: &str = "1979-05-27";

pub(crate) type Put<'a> = &'a dyn Fn(Node) -> Vec<PlanError>;

#[track_caller]
pub(crate) fn refuses(put: Put<'_>, node: Node, path: &str, part: &str) {
    let errors = put(node.clone());
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_told = |error: &PlanError| {
        let told = error.message.contains(path) || error.message.contains(name);
        told && (error.message.contains(part) || error.help.contains(part))
    };
    let text: String = node.to_string().chars().take(80).collect();
    assert!(errors.iter().any(is_told), "{path} = {text} {part:?}: {errors:#?}");
}

#[track_caller]
pub(crate) fn takes(put: Put<'_>, node: Node, path: &str) {
    let errors = put(node.clone());
    let found = errors.iter().find(|error| {
        is_of_form(error)
            && (error.message.contains(&format!("{path} "))
                || error.message.contains(&format!("{path}:")))
    });
    assert!(found.is_none(), "{path} = {node}: {found:?}");
}

pub(crate) fn takes_words(put: Put<'_>, path: &str, words: &BTreeSet<String>) {
    let errors = put(Node::text(NONSENSE));
    let error = errors.iter().find(|error| error.message.contains(NONSENSE));
    let error = error.unwrap_or_else(|| panic!("{path}: {errors:?}"));
    // There is no audit yet; the reader says what its absence means instead.
    if error.code != Code::Audit {
        assert_eq!(error.code, Code::UnknownChoice, "{error}");
        assert_eq!(&listed(&error.help, "use "), words, "{path}");
    }
}

/// What a reader says it expected.
pub(crate) fn expected(form: &Form) -> Vec<&'static str> {
    match form {
        Form::Whole(..) => vec!["a whole number"],
        Form::Number | Form::Positive | Form::Fraction | Form::Within(..) => vec!["a number"],
        Form::Flag => vec!["true or false"],
        Form::List(..) => vec!["a list in square brackets"],
        Form::Section(_) | Form::Args => vec!["a table of fields"],
        Form::Either(forms) => forms.iter().flat_map(expected).collect(),
        _ => vec!["text in quotes"],
    }
}

/// Asks the reader about a value of every kind.
pub(crate) fn probe(form: &'static Form, path: &str, put: Put<'_>) {
    let errors = put(Node::raw(DATE));
    let told: Vec<_> = expected(form)
        .into_iter()
        .map(|expected| format!("{path} is a date, expected {expected}"))
        .collect();
    assert!(errors.iter().any(|error| told.contains(&error.message)), "{told:?} {errors:?}");
    probe_values(form, path, put);
}

/// Asks the reader about values of the right type.
pub(crate) fn probe_values(form: &'static Form, path: &str, put: Put<'_>) {
    match form {
        Form::Whole(least, most) => {
            for value in [*least, *most] {
                takes(put, Node::raw(value.to_string()), path);
            }
            let below = i128::from(*least) - 1;
            for value in [below, i128::from(*most) + 1] {
                refuses(put, Node::raw(value.to_string()), path, &value.to_string());
            }
        }
        Form::Number => {
            takes(put, Node::raw("-1.5e3"), path);
            refuses(put, Node::raw("inf"), path, "no finite number");
        }
        Form::Positive => {
            takes(put, Node::raw("1e-3"), path);
            refuses(put, Node::raw("0.0"), path, "must be above 0");
        }
        Form::Fraction => {
            takes(put, Node::raw("0"), path);
            for bad in ["1.0", "-0.1"] {
                refuses(put, Node::raw(bad), path, "below 1");
            }
        }
        Form::Within(least, most) => {
            for value in [least, most] {
                takes(put, Node::raw(format!("{value}.0")), path);
            }
            let below = i64::from(*least) - 1;
            for value in [below, i64::from(*most) + 1] {
                refuses(put, Node::raw(value.to_string()), path, &value.to_string());
            }
        }
        Form::Args => {
            takes(put, Node::Table(vec![("a", Node::text("b")), ("c", Node::raw("true"))]), path);
            refuses(
                put,
                Node::Table(vec![("a", Node::raw(DATE))]),
                &format!("{path}.a"),
                "a number",
            );
        }
        Form::Text(least, most) => {
            takes(put, Node::text(&"a".repeat(*least)), path);
            for length in [least - 1, most + 1] {
                refuses(put, Node::text(&"a".repeat(length)), path, "");
            }
        }
        Form::Label(least, most) => {
            takes(put, Node::text(&"a".repeat(*most)), path);
            refuses(put, Node::raw("\"\\u0007\""), path, "");
            for length in [least - 1, most + 1] {
                refuses(put, Node::text(&"a".repeat(length)), path, "");
            }
        }
        Form::Name => refuses(put, Node::text("No Name"), path, "no name"),
        Form::Exactly(_) => refuses(put, Node::text(NONSENSE), path, NONSENSE),
        Form::Words(words) => {
            let all = words.iter().map(|(word, _)| (*word).to_owned()).collect();
            takes_words(put, path, &all);
            for (word, _) in *words {
                takes(put, Node::text(word), path);
            }
        }
        Form::Duration(most) => {
            takes(put, Node::text(&format!("{most}ms")), path);
            for bad in ["0s".to_owned(), format!("{}ms", most + 1), "1 s".to_owned()] {
                refuses(put, Node::text(&bad), path, "no usable duration");
            }
        }
        Form::Plain => {
            for value in ["1", "true", "1.5"] {
                takes(put, Node::raw(value), path);
            }
        }
        Form::List(of, least, most) => probe_list(of, *least, *most, path, put),
        Form::Either(forms) => forms.iter().for_each(|form| probe_values(form, path, put)),
        Form::Flag | Form::Section(_) | Form::Case => {}
    }
}

pub(crate) fn probe_list(of: &'static Form, least: usize, most: usize, path: &str, put: Put<'_>) {
    let element = format!("{path}[0]");
    let put_element = |node: Node| put(list(of, node, least));
    probe(of, &element, &put_element);
    if least > 0 {
        let Node::List(mut nodes) = list(of, sample(of), least) else { panic!("a list") };
        nodes.pop();
        refuses(put, Node::List(nodes), path, "");
    }
    let many = Node::List(vec![sample(of); most + 1]);
    if many.to_string().len() < PLAN_BYTES_MAX as usize / 2 {
        refuses(put, many, path, "");
    }
}
