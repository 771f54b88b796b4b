//! TOML values, and those that the description asks for.

use std::collections::BTreeSet;
use std::fmt;

use covey_aggregation::plan::schema::{Field, Form, Need, Rule, Variant};

/// A TOML value.
#[derive(Clone)]
pub(crate) enum Node {
    Raw(String),
    List(Vec<Self>),
    Table(Vec<(&'static str, Self)>),
}

impl Node {
    pub(crate) fn raw(text: impl Into<String>) -> Self {
        Self::Raw(text.into())
    }

    /// A text in quotes.
    pub(crate) fn text(text: &str) -> Self {
        Self::Raw(format!("{text:?}"))
    }

    /// This table with one field more, or with another value for it.
    pub(crate) fn with(&self, name: &'static str, value: Self) -> Self {
        let Self::Table(mut fields) = self.without(name) else { panic!("a table") };
        fields.push((name, value));
        Self::Table(fields)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Table(fields) = self else { return None };
        fields.iter().find(|(other, _)| *other == name).map(|(_, node)| node)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Table(fields) if fields.iter().any(|(other, _)| *other == name))
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let Self::Table(fields) = self else { panic!("a table") };
        Self::Table(fields.iter().filter(|(other, _)| *other != name).cloned().collect())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(text) => f.write_str(text),
            Self::List(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(Self::to_string).collect();
                write!(f, "[{}]", nodes.join(", "))
            }
            Self::Table(fields) => {
                let pairs = fields.iter().map(|(name, node)| format!("{name} = {node}"));
                write!(f, "{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A value that a field may hold.
pub(crate) fn sample(form: &'static Form) -> Node {
    match form {
        Form::Whole(least, most) => Node::raw(least.max(&2).min(most).to_string()),
        Form::Number => Node::raw("1"),
        Form::Positive => Node::raw("1.5"),
        Form::Fraction => Node::raw("0.5"),
        Form::Within(least, _) => Node::raw(least.to_string()),
        Form::Args => Node::Table(vec![("width", Node::raw("8"))]),
        Form::Flag => Node::raw("true"),
        Form::Text(..) | Form::Label(..) | Form::Name | Form::Plain => Node::text("text"),
        Form::Exactly(text) => Node::text(text),
        Form::Case => panic!("a variant has the word"),
        Form::Words(words) => Node::text(words[0].0),
        Form::Duration(_) => Node::text("60s"),
        Form::List(of, least, _) => list(of, sample(of), *least),
        Form::Section(section) => minimal(&section.variants()[0]),
        Form::Either(forms) => sample(&forms[0]),
    }
}

/// A list that begins with `first` and has at least `least` values.
pub(crate) fn list(of: &'static Form, first: Node, least: usize) -> Node {
    let more = (1..least).map(|index| match of {
        Form::Section(_) => sample(of),
        _ => Node::text(&format!("more{index}")),
    });
    Node::List([first].into_iter().chain(more).collect())
}

pub(crate) fn sample_of(field: &'static Field) -> Node {
    if field.example.is_empty() { sample(&field.form) } else { Node::raw(field.example) }
}

/// A section with what it must have.
pub(crate) fn minimal(variant: &Variant) -> Node {
    let words = variant.words.iter().map(|(field, word, _)| (field.name, Node::text(word)));
    let any_of: BTreeSet<_> = variant
        .rules
        .iter()
        .filter_map(|rule| match rule {
            Rule::AnyOf(groups) => Some(groups[0]),
            _ => None,
        })
        .flatten()
        .collect();
    let fields = variant
        .fields
        .iter()
        .filter(|field| field.need == Need::Required || any_of.contains(&field.name))
        .map(|field| (field.name, sample_of(field)));
    Node::Table(words.chain(fields).collect())
}

/// A section with what a field of it needs beside it.
pub(crate) fn with_partners(body: &Node, variant: &Variant, name: &str) -> Node {
    let mut body = body.clone();
    let mut names = vec![name];
    while let Some(name) = names.pop() {
        for rule in &variant.rules {
            let Rule::With(first, second) = *rule else { continue };
            if first != name || body.has(second) {
                continue;
            }
            let field = variant.fields.iter().find(|field| field.name == second);
            body = body.with(second, sample_of(field.expect("a field of the rule")));
            names.push(second);
        }
    }
    body
}
