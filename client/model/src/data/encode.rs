//! From the values of a row to the numbers that a model takes, as a plan's columns say.

use std::collections::{HashMap, HashSet};

use covey_aggregation::plan::{
    Class, Column, ColumnKind, Fill, Missing, Numeric, Outside, Tabular, Target, Unknown, canonical,
};

use super::cell::Cell;
use super::error::{DataErrorKind, Fault, quoted, shown};

/// What is predicted of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// The place of a class.
    Class(u32),
    /// A number, scaled.
    Number(f32),
}

/// The rules of one column, prepared for many values.
pub(super) struct ColumnEncoder<'a> {
    column: &'a Column,
    missing: Spellings,
    /// Places of categories by their word; of truth values, 1 for yes and 0 for no.
    places: HashMap<String, usize>,
}

/// The rules of what is predicted.
pub(super) struct TargetEncoder<'a> {
    target: TargetRules<'a>,
    /// Places of classes by what stands for them.
    places: HashMap<String, u32>,
}

#[derive(Clone, Copy)]
enum TargetRules<'a> {
    Classes(&'a [Class]),
    Number(&'a Numeric),
}

/// Words that count as missing, and those of them that are numbers.
struct Spellings {
    words: HashSet<String>,
    numbers: Vec<f64>,
}

impl<'a> ColumnEncoder<'a> {
    pub(super) fn all(tabular: &'a Tabular) -> Vec<Self> {
        tabular.columns.iter().map(Self::new).collect()
    }

    fn new(column: &'a Column) -> Self {
        let places = match &column.kind {
            ColumnKind::Float(_) | ColumnKind::Integer(_) => HashMap::new(),
            ColumnKind::Category { values, .. } => {
                values.iter().enumerate().map(|(place, value)| (canonical(value), place)).collect()
            }
            ColumnKind::Boolean { yes, no } => {
                let yes = yes.iter().map(|word| (canonical(word), 1));
                yes.chain(no.iter().map(|word| (canonical(word), 0))).collect()
            }
        };
        Self { column, missing: Spellings::new(&column.missing_values), places }
    }

    /// Appends the numbers that `cell` becomes.
    pub(super) fn encode(&self, cell: Cell<'_>, numbers: &mut Vec<f32>) -> Result<(), Fault> {
        if self.missing.has(cell) {
            return self.fill(cell, numbers);
        }
        match &self.column.kind {
            ColumnKind::Float(numeric) => numbers.push(number(cell, numeric)?),
            ColumnKind::Integer(numeric) => {
                let whole = finite(cell)?;
                if whole.fract() != 0.0 {
                    let problem = format!("{whole} is not a whole number");
                    let help = "correct the value, or ask for type = \"float\" in the plan";
                    return Err(Fault::new(DataErrorKind::Value, problem, help));
                }
                numbers.push(scaled(whole, numeric)?);
            }
            ColumnKind::Category { values, unknown } => {
                let place = match (self.places.get(&canonical(&cell.to_word())), unknown) {
                    (Some(place), _) => *place,
                    (None, Unknown::Other) => values.len(),
                    (None, Unknown::Missing) => return self.fill(cell, numbers),
                    (None, Unknown::Refuse) => return Err(unknown_category(cell, values)),
                };
                self.one_hot(Some(place), numbers);
            }
            ColumnKind::Boolean { yes, no } => {
                let place = match cell {
                    Cell::Boolean(boolean) => Some(usize::from(boolean)),
                    _ => self.places.get(&canonical(&cell.to_word())).copied(),
                };
                let Some(place) = place else {
                    let problem = format!("{} is neither yes nor no", cell.shown());
                    let help = format!("the plan's words are {} / {}", shown(yes), shown(no));
                    return Err(Fault::new(DataErrorKind::Value, problem, help));
                };
                numbers.push(place as f32);
            }
        }
        self.indicate(false, numbers);
        Ok(())
    }

    fn fill(&self, cell: Cell<'_>, numbers: &mut Vec<f32>) -> Result<(), Fault> {
        let Missing::Fill { with, .. } = self.column.missing else {
            let what = match cell {
                Cell::Null | Cell::Text("") => "an empty value".to_owned(),
                cell => format!("{} counts as missing", cell.shown()),
            };
            let help =
                "fill it in, remove the row, or let the plan say `missing = ` for the column";
            return Err(Fault::new(DataErrorKind::Value, what, help));
        };
        match (with, &self.column.kind) {
            (Fill::Number(value), ColumnKind::Float(numeric) | ColumnKind::Integer(numeric)) => {
                numbers.push(numeric.scale.apply(value) as f32);
            }
            (Fill::Category(place), _) => self.one_hot(Some(place), numbers),
            (Fill::Boolean(boolean), _) => numbers.push(f32::from(u8::from(boolean))),
            (Fill::Zero | Fill::Number(_), _) => self.one_hot(None, numbers),
        }
        self.indicate(true, numbers);
        Ok(())
    }

    /// Zeros, and a one at `place`.
    fn one_hot(&self, place: Option<usize>, numbers: &mut Vec<f32>) {
        let start = numbers.len();
        numbers.resize(start + self.column.kind.features() as usize, 0.0);
        if let Some(place) = place {
            numbers[start + place] = 1.0;
        }
    }

    fn indicate(&self, is_missing: bool, numbers: &mut Vec<f32>) {
        if matches!(self.column.missing, Missing::Fill { indicator: true, .. }) {
            numbers.push(f32::from(u8::from(is_missing)));
        }
    }
}

impl<'a> TargetEncoder<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        match target {
            Target::Classes(classes) => Self::of_classes(classes),
            Target::Number(numeric) => {
                Self { target: TargetRules::Number(numeric), places: HashMap::new() }
            }
        }
    }

    pub(super) fn of_classes(classes: &'a [Class]) -> Self {
        let mut places = HashMap::new();
        for (place, class) in (0..).zip(classes) {
            places.extend(class.words().iter().map(|word| (canonical(word), place)));
        }
        Self { target: TargetRules::Classes(classes), places }
    }

    /// What `cell` stands for in a table.
    pub(super) fn encode(&self, cell: Cell<'_>) -> Result<Answer, Fault> {
        match self.target {
            TargetRules::Number(numeric) => {
                let fault = |fault: Fault| Fault { kind: DataErrorKind::Label, ..fault };
                if cell == Cell::Null || cell == Cell::Text("") {
                    let help = "fill it in or remove the row";
                    return Err(Fault::new(DataErrorKind::Label, "an empty target", help));
                }
                Ok(Answer::Number(number(cell, numeric).map_err(fault)?))
            }
            TargetRules::Classes(classes) => {
                let place = self.places.get(&canonical(&cell.to_word()));
                place.copied().map(Answer::Class).ok_or_else(|| {
                    let words: Vec<_> = classes.iter().flat_map(Class::words).collect();
                    let problem =
                        format!("label {} is none of the plan's classes", quoted(&cell.to_word()));
                    let help = if words.len() == classes.len() {
                        format!("the {} classes are {}", classes.len(), shown(&words))
                    } else {
                        format!("the {} classes are written {}", classes.len(), shown(&words))
                    };
                    Fault::new(DataErrorKind::Label, problem, help)
                })
            }
        }
    }

    /// What a number stands for in a file that holds numbers alone: the place of a class, unless
    /// the plan says how classes are written.
    pub(super) fn encode_number(&self, value: f64) -> Result<Answer, Fault> {
        let TargetRules::Classes(classes) = self.target else {
            return self.encode(Cell::Number(value));
        };
        if classes.iter().any(|class| class.values.is_some()) {
            return self.encode(Cell::Number(value));
        }
        if value >= 0.0 && value.fract() == 0.0 && value < classes.len() as f64 {
            return Ok(Answer::Class(value as u32));
        }
        let problem = format!("label {value} is out of range");
        let help =
            format!("the plan has {} classes, labels 0 to {}", classes.len(), classes.len() - 1);
        Err(Fault::new(DataErrorKind::Label, problem, help))
    }
}

impl Spellings {
    fn new(words: &[String]) -> Self {
        let numbers = words.iter().filter_map(|word| word.parse().ok());
        let numbers = numbers.filter(|number: &f64| number.is_finite()).collect();
        Self { words: words.iter().cloned().collect(), numbers }
    }

    fn has(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Null => true,
            Cell::Number(number) if number.is_nan() => true,
            Cell::Number(number) => self.numbers.contains(&number),
            Cell::Boolean(_) => false,
            Cell::Text(text) => {
                self.words.contains(text)
                    || (!self.numbers.is_empty()
                        && text.parse().is_ok_and(|number| self.numbers.contains(&number)))
            }
        }
    }
}

/// A number, in bounds and scaled.
fn number(cell: Cell<'_>, numeric: &Numeric) -> Result<f32, Fault> {
    scaled(finite(cell)?, numeric)
}

pub(super) fn finite(cell: Cell<'_>) -> Result<f64, Fault> {
    let number = match cell {
        Cell::Number(number) => Some(number),
        Cell::Text(text) => text.parse().ok(),
        Cell::Boolean(boolean) => Some(f64::from(u8::from(boolean))),
        Cell::Null => None,
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| {
        if cell == Cell::Null || cell == Cell::Text("") {
            let help = "fill it in or remove the row";
            return Fault::new(DataErrorKind::Value, "an empty value", help);
        }
        let problem = match number {
            Some(_) => format!("{} is not a finite number", cell.shown()),
            None => format!("{} is not a number", cell.shown()),
        };
        let help = match cell {
            Cell::Text(text) if text.contains(',') => {
                "write a number such as 12.5, with a point and not a comma"
            }
            _ => "write a number such as 12.5",
        };
        Fault::new(DataErrorKind::Value, problem, help)
    })
}

fn scaled(value: f64, numeric: &Numeric) -> Result<f32, Fault> {
    let value = match numeric.bounds {
        Some((min, max)) if !(min..=max).contains(&value) => match numeric.outside {
            Outside::Clamp => value.clamp(min, max),
            Outside::Refuse => {
                let problem = format!("{value} is not in the plan's {min}..={max}");
                let help = "correct the value, or ask for outside = \"clamp\" in the plan";
                return Err(Fault::new(DataErrorKind::Value, problem, help));
            }
        },
        _ => value,
    };
    let scaled = numeric.scale.apply(value) as f32;
    if !scaled.is_finite() {
        let problem = format!("{value} is too large once it is scaled");
        let help = "correct the value, or the scale in the plan";
        return Err(Fault::new(DataErrorKind::Value, problem, help));
    }
    Ok(scaled)
}

fn unknown_category(cell: Cell<'_>, values: &[String]) -> Fault {
    let problem = format!("{} is none of the column's values", quoted(&cell.to_word()));
    let help = format!(
        "the plan's values are {}; other values need `unknown = \"other\"` in the plan",
        shown(values)
    );
    Fault::new(DataErrorKind::Value, problem, help)
}
