//! Tables.

use std::collections::BTreeSet;

use crate::limits::COLUMNS_MAX;
use crate::plan::error::{Code, Collector};
use crate::plan::section::{Field, Section};

use super::column::{Column, read_column, spellings};
use super::target::{self, Target};
use super::{Rows, label};

/// What counts as a missing value where the plan does not say.
pub const MISSING_VALUES: [&str; 5] = ["", "?", "NA", "NaN", "nan"];

/// Rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Tabular {
    /// The columns read, in the order of the model's inputs.
    pub columns: Vec<Column>,
    /// Name of the column that holds what is predicted.
    pub column: String,
    /// What is predicted.
    pub target: Target,
    /// How many rows an owner needs, and which it keeps.
    pub rows: Rows,
}

impl Tabular {
    /// Numbers of one row.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.columns.iter().map(Column::features).sum()
    }
}

pub(super) fn read(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    rows: Option<Rows>,
) -> Option<Tabular> {
    let missing_values = match section.optional("missing_values") {
        Some(field) => spellings(field, errors),
        None => Some(MISSING_VALUES.map(str::to_owned).to_vec()),
    };
    let help = "list the columns to read, such as \
                `columns = [{ name = \"age\", type = \"float\", min = 0, max = 120 }]`";
    let columns = section.required(errors, "columns", help);
    let spelled = missing_values.as_deref().unwrap_or(&[]);
    let columns = columns.and_then(|field| read_columns(field, errors, spelled));
    let help = "write `target = { column = \"...\", classes = [\"no\", \"yes\"] }`, or \
                `target = { column = \"...\", type = \"float\" }` to predict a number";
    let mut section = section.section(errors, "target", help)?;
    let column = section.required(errors, "column", "name the column that holds the label");
    let at = column.as_ref().map(|field| field.span.clone());
    let column = column.and_then(|field| label(field, errors));
    let target = target::read(&mut section, errors);
    section.finish(errors);
    missing_values?;
    let tabular = Tabular { columns: columns?, column: column?, target: target?, rows: rows? };
    if tabular.columns.iter().any(|column| column.name == tabular.column) {
        let message = format!("column {:?} is both an input and the target", tabular.column);
        let help = "remove it from data.columns, or the model reads the answer";
        errors.push(&at?, Code::Duplicate, message, help);
        return None;
    }
    Some(tabular)
}

fn read_columns(
    field: Field<'_>,
    errors: &mut Collector<'_>,
    missing_values: &[String],
) -> Option<Vec<Column>> {
    let span = field.span.clone();
    let fields = field.list(errors)?;
    if fields.is_empty() || fields.len() > COLUMNS_MAX {
        let message = format!("data.columns lists {} columns", fields.len());
        let help = format!("list from 1 to {COLUMNS_MAX} columns");
        errors.push(&span, Code::OutOfRange, message, help);
        return None;
    }
    let mut names = BTreeSet::new();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let at = field.span.clone();
        // Every column is read even after a bad one, so that all errors are told at once.
        let section = field.section(errors);
        columns.push(section.and_then(|section| read_column(section, errors, missing_values)));
        if let Some(Some(column)) = columns.last()
            && !names.insert(column.name.clone())
        {
            let message = format!("column {:?} is listed twice", column.name);
            errors.push(&at, Code::Duplicate, message, "list every column once");
        }
    }
    columns.into_iter().collect()
}
