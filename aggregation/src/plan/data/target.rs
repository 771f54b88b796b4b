//! What is predicted.

use crate::limits::CLASSES_MAX;
use crate::plan::error::{Code, Collector};
use crate::plan::section::{Field, Section};

use super::column::{Numeric, read_optional_numeric};
use super::{Seen, label, words};

/// What is predicted of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of these classes; their order is that of the model's outputs.
    Classes(Vec<Class>),
    /// A number, scaled like a column's.
    Number(Numeric),
}

/// A class, and how an owner's file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What stands in the file for it, where the plan lists that. Otherwise the name stands for
    /// it, and in files of numbers its place in the list of classes, from 0.
    pub values: Option<Vec<String>>,
}

impl Class {
    /// A class that is written as its name.
    #[must_use]
    pub const fn named(name: String) -> Self {
        Self { name, values: None }
    }

    /// What stands for it in a file of words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        self.values.as_deref().unwrap_or_else(|| std::slice::from_ref(&self.name))
    }
}

impl Target {
    /// The classes; none where a number is predicted.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        match self {
            Self::Classes(classes) => classes,
            Self::Number(_) => &[],
        }
    }
}

/// `{ column = "...", classes = [...] }`, or `{ column = "...", type = "float", ... }`.
pub(super) fn read(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Target> {
    let is_number = match section.optional("type") {
        Some(field) => field.choice(errors, &[("class", false), ("float", true)])?,
        None => false,
    };
    if is_number {
        read_optional_numeric(section, errors).map(Target::Number)
    } else {
        read_classes(section, errors).map(Target::Classes)
    }
}

/// `classes = ["no", "yes"]`, or a number n for the names "0" to "n-1", or
/// `classes = [{ name = "no", values = ["0"] }, { name = "yes", values = ["1", "2"] }]`.
pub(super) fn read_classes(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Vec<Class>> {
    let help = "write `classes = [\"no\", \"yes\"]`, or `classes = 10` for \"0\" to \"9\"";
    let field = section.required(errors, "classes", help)?;
    if field.is_whole() {
        let count = field.whole(errors, 2..=CLASSES_MAX as u64)?.value;
        return Some((0..count).map(|class| Class::named(class.to_string())).collect());
    }
    let (path, span) = (field.path.clone(), field.span.clone());
    let fields = field.list(errors)?;
    if !(2..=CLASSES_MAX).contains(&fields.len()) {
        let message = format!("{path} lists {} classes", fields.len());
        let help = format!("list from 2 to {CLASSES_MAX} classes");
        errors.push(&span, Code::OutOfRange, message, help);
        return None;
    }
    let (mut names, mut values) = (Seen::default(), Seen::default());
    let classes: Vec<_> = fields
        .into_iter()
        .map(|field| {
            let span = field.span.clone();
            let class = read_class(field, errors)?;
            let is_new = names.add(&class.name, || path.clone(), &span, errors)
                && class
                    .words()
                    .iter()
                    .all(|value| values.add(value, || format!("{path}.values"), &span, errors));
            is_new.then_some(class)
        })
        .collect();
    classes.into_iter().collect()
}

fn read_class(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Class> {
    if !field.is_section() {
        return label(field, errors).map(Class::named);
    }
    let mut section = field.section(errors)?;
    let name = section.required(errors, "name", "write the class's name");
    let name = name.and_then(|field| label(field, errors));
    let help = "list what stands for the class in the file, such as `values = [\"1\", \"2\"]`";
    let values = section.required(errors, "values", help);
    let values = values.and_then(|field| words(field, errors, 1));
    section.finish(errors);
    Some(Class { name: name?, values: Some(values?) })
}
