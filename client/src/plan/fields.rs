//! The fields of a plan one by one, as its author wrote them or as the defaults stand, each beside
//! its description.

use covey_aggregation::plan::schema::{Field, Form, Need, Section, Variant};
use toml::{Table, Value};

/// A field's value in one plan.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    /// As written.
    Written(&'a Value),
    /// Not written; this stands, as TOML.
    Default(&'static str),
    /// Not written, and nothing stands for it.
    Absent,
}

impl Held<'_> {
    /// In words.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Written(value) => Some(inline(value)),
            Self::Default(default) => Some(format!("{default} (default)")),
            Self::Absent => None,
        }
    }
}

/// A field of a section by its description.
pub(super) fn held<'a>(table: &'a Table, field: &Field) -> Held<'a> {
    match (table.get(field.name), field.need) {
        (Some(value), _) => Held::Written(value),
        (None, Need::Default(default)) => Held::Default(default),
        (None, _) => Held::Absent,
    }
}

/// The combination of cases that a table is.
pub(super) fn variant_of(section: &'static Section, table: &Table) -> Option<Variant> {
    let is = |(field, word, _): &(&'static Field, &str, &str)| match held(table, field) {
        Held::Written(value) => value.as_str() == Some(word),
        Held::Default(default) => default.trim_matches('"') == *word,
        Held::Absent => false,
    };
    section.variants().into_iter().find(|variant| variant.words.iter().all(is))
}

/// The section that a value is, by what its field may hold.
pub(super) fn section_of(form: &'static Form, value: &Value) -> Option<&'static Section> {
    match form {
        Form::Section(section) if value.is_table() => Some(section),
        Form::Either(forms) => forms.iter().find_map(|form| section_of(form, value)),
        _ => None,
    }
}

/// What the elements of a list may be, where a field may hold one.
pub(super) fn elements_of(form: &'static Form) -> Option<&'static Form> {
    match form {
        Form::List(of, ..) => Some(of),
        Form::Either(forms) => forms.iter().find_map(elements_of),
        _ => None,
    }
}

/// A value as it would be written in a plan, on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Table(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(name, value)| format!("{name} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // On one line, and without anything that would write to a terminal.
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A layer, optimizer or the like in few words: its word first, then what else is written.
pub(super) fn brief(value: &Value) -> String {
    let Value::Table(table) = value else { return inline(value) };
    let word =
        ["kind", "name", "type"].into_iter().find_map(|key| Some((key, table.get(key)?.as_str()?)));
    let rest = table.iter().filter(|(name, _)| word.is_none_or(|(key, _)| name != &key));
    let rest: Vec<_> = rest
        .map(|(name, value)| match value {
            Value::Array(values) if values.iter().all(Value::is_table) => {
                let values: Vec<_> = values.iter().map(brief).collect();
                format!("{name} [{}]", values.join(", "))
            }
            value => format!("{name} {}", inline(value)),
        })
        .collect();
    match (word, rest.is_empty()) {
        (Some((_, word)), true) => word.to_owned(),
        (Some((_, word)), false) => format!("{word} ({})", rest.join(", ")),
        (None, _) => rest.join(", "),
    }
}
