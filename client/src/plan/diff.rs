//! What differs between two plans, field by field, and which differences change what leaves an
//! owner's machine.

use std::fmt;
use std::path::Path;

use covey_aggregation::plan::schema::{Field, Form, Need, PLAN, Section, Variant};
use covey_aggregation::plan::{Plan, parse_duration_ms};
use covey_aggregation::program::{Exit, Failure};
use covey_model::task::Task;
use serde::Serialize;
use toml::{Table, Value};

use super::fields::{Held, brief, elements_of, held, inline, section_of, variant_of};
use crate::check;

/// Two plans side by side.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The first file.
    pub before: String,
    /// The second file.
    pub after: String,
    /// Whether the files are the same, byte for byte.
    pub is_same_file: bool,
    /// Every field that differs.
    pub changes: Vec<Change>,
    /// What differs in what the plans come to.
    pub facts: Vec<Fact>,
}

/// A field that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name, such as `training.optimizer.lr` or `data.columns[age].max`.
    pub field: String,
    /// Its value in the first plan; none where it is not there.
    pub before: Option<String>,
    /// Its value in the second plan; none where it is not there.
    pub after: Option<String>,
    /// Whether it changes what leaves an owner's machine: form, size, protection or how often.
    pub leaves: bool,
    /// What the field means.
    pub about: &'static str,
}

/// A number that follows from a plan.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What is counted.
    pub name: &'static str,
    /// In the first plan.
    pub before: u64,
    /// In the second plan.
    pub after: u64,
}

/// Compares two plans.
///
/// # Errors
/// [`Failure`] when one of them is no valid plan.
pub fn compare(before: &Path, after: &Path) -> Result<Comparison, Failure> {
    let (first, second) = (check::read_plan(before)?, check::read_plan(after)?);
    let named = |path: &Path| path.display().to_string();
    compare_read((named(before), first), (named(after), second))
}

/// A plan that was read: its name for people, and what is in its file.
pub(crate) type Named = (String, (Plan, Task, Vec<u8>));

/// As [`compare`], of plans that were read.
pub(crate) fn compare_read(
    (before, (first_plan, first_task, first_file)): Named,
    (after, (second_plan, second_task, second_file)): Named,
) -> Result<Comparison, Failure> {
    let first = check::summary(&first_plan, &first_task, &first_file);
    let second = check::summary(&second_plan, &second_task, &second_file);
    let has_same_tensors = tensors(&first_task) == tensors(&second_task);
    let facts = [
        ("parameters of the model", first.parameters, second.parameters),
        ("bytes of ciphertext a round", first.bytes_payload, second.bytes_payload),
        ("bytes of keys and header a round", first.bytes_fixed, second.bytes_fixed),
        ("rounds", first.rounds.into(), second.rounds.into()),
        (
            "fewest updates in a sum",
            first.contributions_min.into(),
            second.contributions_min.into(),
        ),
        ("most updates in a sum", first.contributions_max.into(), second.contributions_max.into()),
        (
            "numbers published about each owner a round",
            first.released_numbers.into(),
            second.released_numbers.into(),
        ),
    ];
    let facts = facts.into_iter().filter(|(_, before, after)| before != after);
    let facts = facts.map(|(name, before, after)| Fact { name, before, after }).collect();
    let mut changes = Vec::new();
    section(&PLAN, &table(&first_file)?, &table(&second_file)?, "", &mut changes);
    for change in &mut changes {
        // Data and model have a part in what leaves only through the tensors that travel.
        let is_form = ["data.", "model."].iter().any(|section| change.field.starts_with(section));
        change.leaves &= !(is_form && has_same_tensors);
    }
    Ok(Comparison { before, after, is_same_file: first.digest == second.digest, changes, facts })
}

/// The sizes of the tensors that travel, in order.
fn tensors(task: &Task) -> Vec<&[u64]> {
    let travels = task.manifest().entries().iter().filter(|entry| entry.trainable);
    travels.map(|entry| entry.shape.as_slice()).collect()
}

/// A valid plan's file as a TOML table.
pub(super) fn table(file: &[u8]) -> Result<Table, Failure> {
    toml::from_slice(file).map_err(|error| Failure::new(Exit::BadInput, "BAD_PLAN", error))
}

fn section(
    section: &'static Section,
    before: &Table,
    after: &Table,
    path: &str,
    changes: &mut Vec<Change>,
) {
    let (Some(first), Some(second)) = (variant_of(section, before), variant_of(section, after))
    else {
        return;
    };
    let (first, second) = (fields_of(&first), fields_of(&second));
    let has = |fields: &[&'static Field], name: &str| fields.iter().any(|one| one.name == name);
    let added = second.iter().filter(|field| !has(&first, field.name));
    for field in first.iter().chain(added) {
        let path = match path {
            "" => field.name.to_owned(),
            path => format!("{path}.{}", field.name),
        };
        // A default stands only in the cases that have the field.
        let held = |table, fields| {
            if has(fields, field.name) { held(table, field) } else { Held::Absent }
        };
        compare_field(field, held(before, &first), held(after, &second), path, changes);
    }
}

fn fields_of(variant: &Variant) -> Vec<&'static Field> {
    let words = variant.words.iter().map(|(field, ..)| *field);
    words.chain(variant.fields.iter().copied()).collect()
}

fn compare_field(
    field: &'static Field,
    before: Held<'_>,
    after: Held<'_>,
    path: String,
    changes: &mut Vec<Change>,
) {
    let empty = Value::Table(Table::new());
    // A section of defaults is the same whether it is written or not.
    let (before, after) = match (before, after) {
        (Held::Written(_), Held::Absent) if is_all_defaults(&field.form) => {
            (before, Held::Written(&empty))
        }
        (Held::Absent, Held::Written(_)) if is_all_defaults(&field.form) => {
            (Held::Written(&empty), after)
        }
        both => both,
    };
    if let (Held::Written(first), Held::Written(second)) = (before, after) {
        if first == second {
            return;
        }
        return value(field, &field.form, first, second, path, changes);
    }
    if !is_same(&field.form, before, after) {
        push(field, before.text(), after.text(), path, changes);
    }
}

fn is_all_defaults(form: &Form) -> bool {
    let Form::Section(section) = form else { return false };
    section.cases.is_none() && section.fields.iter().all(|field| field.need != Need::Required)
}

/// Whether what is written is what stands without it.
fn is_same(form: &Form, before: Held<'_>, after: Held<'_>) -> bool {
    match (before, after) {
        (Held::Written(value), Held::Default(default))
        | (Held::Default(default), Held::Written(value)) => {
            let parsed: Option<Table> = toml::from_str(&format!("value = {default}")).ok();
            parsed
                .and_then(|mut table| table.remove("value"))
                .is_some_and(|other| alike(form, value, &other))
        }
        (Held::Written(_), Held::Absent) | (Held::Absent, Held::Written(_)) => false,
        _ => true,
    }
}

/// Equal values; `1` and `1.0` are, and durations of equal length.
fn alike(form: &Form, first: &Value, second: &Value) -> bool {
    let number = |value: &Value| match form {
        Form::Duration(_) => parse_duration_ms(value.as_str()?).map(|ms| ms as f64),
        _ => value.as_float().or_else(|| Some(value.as_integer()? as f64)),
    };
    match (number(first), number(second)) {
        (Some(first), Some(second)) => first.total_cmp(&second).is_eq(),
        _ => first == second,
    }
}

fn value(
    field: &'static Field,
    form: &'static Form,
    before: &Value,
    after: &Value,
    path: String,
    changes: &mut Vec<Change>,
) {
    match (before, after) {
        (Value::Table(first), Value::Table(second)) => {
            if let Some(inner) = section_of(form, before) {
                return section(inner, first, second, &path, changes);
            }
        }
        (Value::Array(first), Value::Array(second)) => {
            let of = elements_of(form);
            if let Some(of) = of.filter(|_| first.iter().chain(second).all(Value::is_table)) {
                return list(field, of, first, second, &path, changes);
            }
        }
        _ => {}
    }
    if !alike(form, before, after) {
        push(field, Some(short(before)), Some(short(after)), path, changes);
    }
}

/// A value on one line: tables in few words.
fn short(value: &Value) -> String {
    if value.is_table() { brief(value) } else { inline(value) }
}

fn push(
    field: &'static Field,
    before: Option<String>,
    after: Option<String>,
    path: String,
    changes: &mut Vec<Change>,
) {
    changes.push(Change { field: path, before, after, leaves: field.leaves, about: field.about });
}

/// Lists of tables: by their names where they have any, else by what they have in common.
fn list(
    field: &'static Field,
    of: &'static Form,
    before: &[Value],
    after: &[Value],
    path: &str,
    changes: &mut Vec<Change>,
) {
    let place = |index: usize, value: &Value| match value.get("name").and_then(Value::as_str) {
        Some(name) => format!("{path}[{name}]"),
        None => format!("{path}[{index}]"),
    };
    let is_named = before.iter().chain(after).all(|value| value.get("name").is_some());
    let pairs = if is_named { by_name(before, after) } else { in_order(before, after) };
    for pair in pairs {
        match pair {
            (Some(first), Some(second)) => {
                let path = place(first, &before[first]);
                // Another kind of layer has other fields: told as a whole.
                let kind = |value: &Value| value.get("kind").cloned();
                if kind(&before[first]) == kind(&after[second]) {
                    value(field, of, &before[first], &after[second], path, changes);
                } else {
                    let (first, second) = (brief(&before[first]), brief(&after[second]));
                    push(field, Some(first), Some(second), path, changes);
                }
            }
            (Some(first), None) => {
                let path = place(first, &before[first]);
                push(field, Some(brief(&before[first])), None, path, changes);
            }
            (None, Some(second)) => {
                let path = place(second, &after[second]);
                push(field, None, Some(brief(&after[second])), path, changes);
            }
            (None, None) => {}
        }
    }
    let names = |values: &[Value]| -> Vec<String> {
        values.iter().filter_map(|value| Some(value.get("name")?.as_str()?.to_owned())).collect()
    };
    let (first, second) = (names(before), names(after));
    let mut sorted = (first.clone(), second.clone());
    sorted.0.sort();
    sorted.1.sort();
    if is_named && first != second && sorted.0 == sorted.1 {
        let (first, second) = (first.join(", "), second.join(", "));
        push(field, Some(first), Some(second), format!("{path} (order)"), changes);
    }
}

type Pair = (Option<usize>, Option<usize>);

fn by_name(before: &[Value], after: &[Value]) -> Vec<Pair> {
    let name = |value: &Value| value.get("name").cloned();
    let find = |values: &[Value], wanted: &Value| {
        values.iter().position(|value| name(value) == name(wanted))
    };
    let kept = before.iter().enumerate().map(|(at, value)| (Some(at), find(after, value)));
    let added = after.iter().enumerate().filter(|(_, value)| find(before, value).is_none());
    kept.chain(added.map(|(at, _)| (None, Some(at)))).collect()
}

/// Pairs of a longest common subsequence; what lies between two of them is paired in order.
fn in_order(before: &[Value], after: &[Value]) -> Vec<Pair> {
    let (rows, columns) = (before.len(), after.len());
    let mut longest = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[row][column] = if before[row] == after[column] {
                longest[row + 1][column + 1] + 1
            } else {
                longest[row + 1][column].max(longest[row][column + 1])
            };
        }
    }
    let (mut pairs, mut row, mut column) = (Vec::new(), 0, 0);
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let flush = |removed: &mut Vec<usize>, added: &mut Vec<usize>, pairs: &mut Vec<Pair>| {
        for at in 0..removed.len().max(added.len()) {
            pairs.push((removed.get(at).copied(), added.get(at).copied()));
        }
        removed.clear();
        added.clear();
    };
    while row < rows || column < columns {
        if row < rows && column < columns && before[row] == after[column] {
            flush(&mut removed, &mut added, &mut pairs);
            pairs.push((Some(row), Some(column)));
            (row, column) = (row + 1, column + 1);
        } else if column == columns
            || (row < rows && longest[row + 1][column] >= longest[row][column + 1])
        {
            removed.push(row);
            row += 1;
        } else {
            added.push(column);
            column += 1;
        }
    }
    flush(&mut removed, &mut added, &mut pairs);
    pairs
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same_file {
            return write!(f, "{} and {} are the same plan", self.before, self.after);
        }
        if self.changes.is_empty() {
            let Self { before, after, .. } = self;
            return write!(
                f,
                "{before} and {after} ask for the same; the files differ in comments or order, so \
                 their digests do too"
            );
        }
        write!(f, "{} -> {}", self.before, self.after)?;
        let (leaves, stays): (Vec<_>, Vec<_>) =
            self.changes.iter().partition(|change| change.leaves);
        if !leaves.is_empty() || !self.facts.is_empty() {
            write!(f, "\nchanges what leaves an owner's machine, or how it is protected:")?;
        }
        lines(f, &leaves)?;
        for Fact { name, before, after } in &self.facts {
            write!(f, "\n  = {name}: {before} -> {after}")?;
        }
        if !stays.is_empty() {
            write!(f, "\ndoes not change what leaves:")?;
        }
        lines(f, &stays)
    }
}

fn lines(f: &mut fmt::Formatter<'_>, changes: &[&Change]) -> fmt::Result {
    for Change { field, before, after, .. } in changes {
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "\n  ~ {field}: {before} -> {after}")?,
            (Some(before), None) => write!(f, "\n  - {field}: {before}")?,
            (None, Some(after)) => write!(f, "\n  + {field}: {after}")?,
            (None, None) => {}
        }
    }
    Ok(())
}
