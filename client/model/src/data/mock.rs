//! Synthetic examples of a plan's form, drawn from the plan and a seed alone: no owner's value
//! can be in them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use covey_aggregation::plan::{
    Class, Column, ColumnKind, Data, Image, Missing, Numeric, Scale, Tabular, Target, Text, Tokens,
};
use rand_chacha::ChaCha8Rng;

use crate::random::{below, stream, unit_f64};

use super::csv::quoted;

/// Share of values that are missing in a column that may miss some.
const MISSING_SHARE: f64 = 0.1;

/// Draws of a value until it is none that counts as missing.
const ATTEMPTS_MAX: u32 = 64;

/// Deviations from the mean that are drawn at most.
const DEVIATIONS_MAX: f64 = 3.0;

/// Writes `rows` synthetic examples of the form of `data`: a table in CSV with a header, of
/// images too, or a text of so many windows.
///
/// # Errors
/// The file cannot be written, or no value of a column would be accepted.
pub fn write(path: &Path, data: &Data, rows: u64, seed: u64) -> io::Result<()> {
    let mut rng = stream("mock-data", &[&seed.to_le_bytes()]);
    let mut file = BufWriter::new(File::create(path)?);
    match data {
        Data::Tabular(tabular) => write_table(&mut file, tabular, rows, &mut rng)?,
        Data::Image(image) => write_images(&mut file, image, rows, &mut rng)?,
        Data::Text(text) => write_text(&mut file, text, rows, &mut rng)?,
    }
    file.into_inner()?.sync_all()
}

fn write_table(
    file: &mut impl Write,
    tabular: &Tabular,
    rows: u64,
    rng: &mut ChaCha8Rng,
) -> io::Result<()> {
    for column in &tabular.columns {
        write!(file, "{},", quoted(&column.name))?;
    }
    writeln!(file, "{}", quoted(&tabular.column))?;
    for _ in 0..rows {
        for column in &tabular.columns {
            write!(file, "{},", quoted(&cell(column, rng)?))?;
        }
        let target = match &tabular.target {
            Target::Classes(classes) => class_word(classes, rng),
            Target::Number(numeric) => number(numeric, rng).to_string(),
        };
        writeln!(file, "{}", quoted(&target))?;
    }
    Ok(())
}

fn cell(column: &Column, rng: &mut ChaCha8Rng) -> io::Result<String> {
    let may_miss = !matches!(column.missing, Missing::Refuse);
    if may_miss
        && unit_f64(rng) <= MISSING_SHARE
        && let Some(spelling) = column.missing_values.first()
    {
        return Ok(spelling.clone());
    }
    for _ in 0..ATTEMPTS_MAX {
        let word = match &column.kind {
            ColumnKind::Float(numeric) => number(numeric, rng).to_string(),
            ColumnKind::Integer(numeric) => match whole(numeric, rng) {
                Some(whole) => whole.to_string(),
                None => break,
            },
            ColumnKind::Category { values, .. } => one_of(values, rng).clone(),
            ColumnKind::Boolean { yes, no } => one_of(&[&yes[0], &no[0]], rng).to_string(),
        };
        let value = word.parse::<f64>();
        let counts_as_missing = |spelling: &String| {
            *spelling == word || (value.is_ok() && spelling.parse::<f64>() == value)
        };
        if !column.missing_values.iter().any(counts_as_missing) {
            return Ok(word);
        }
    }
    let message = format!("column {:?} accepts no value", column.name);
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Uniform within bounds; without bounds around the mean.
fn number(numeric: &Numeric, rng: &mut ChaCha8Rng) -> f64 {
    let share = unit_f64(rng);
    match (numeric.bounds, numeric.scale) {
        (Some((min, max)), _) | (None, Scale::MinMax { min, max }) => {
            // Four digits read better, and rounding must not leave the bounds.
            let value = share.mul_add(max - min, min);
            let step = 10f64.powf(((max - min).log10() - 3.0).floor());
            let rounded = (value / step).round() * step;
            let rounded = format!("{rounded:.12}").parse().unwrap_or(rounded);
            if (min..=max).contains(&rounded) { rounded } else { value.clamp(min, max) }
        }
        (None, Scale::Standard { mean, std }) => {
            (2.0 * share - 1.0).mul_add(DEVIATIONS_MAX * std, mean)
        }
        (None, Scale::None) => (2.0 * share - 1.0) * DEVIATIONS_MAX,
    }
}

fn whole(numeric: &Numeric, rng: &mut ChaCha8Rng) -> Option<i64> {
    let (min, max) = numeric.bounds.unwrap_or_else(|| match numeric.scale {
        Scale::MinMax { min, max } => (min, max),
        Scale::Standard { mean, std } => {
            (DEVIATIONS_MAX.mul_add(-std, mean), DEVIATIONS_MAX.mul_add(std, mean).max(mean + 1.0))
        }
        Scale::None => (-DEVIATIONS_MAX, DEVIATIONS_MAX),
    });
    let (low, high) = (min.ceil() as i64, max.floor() as i64);
    let count = u64::try_from(high.checked_sub(low)?.checked_add(1)?).ok()?;
    if count == 0 {
        return None;
    }
    low.checked_add_unsigned(below(rng, count))
}

fn class_word(classes: &[Class], rng: &mut ChaCha8Rng) -> String {
    one_of(one_of(classes, rng).words(), rng).clone()
}

/// One of a list, which is never empty: plans with empty lists are refused.
fn one_of<'a, T>(list: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &list[below(rng, list.len() as u64) as usize]
}

fn write_images(
    file: &mut impl Write,
    image: &Image,
    rows: u64,
    rng: &mut ChaCha8Rng,
) -> io::Result<()> {
    for pixel in 0..image.features() {
        write!(file, "p{pixel},")?;
    }
    writeln!(file, "{}", quoted(&image.label))?;
    let values = (f64::from(image.pixel_max).floor() as u64).saturating_add(1);
    for _ in 0..rows {
        for _ in 0..image.features() {
            write!(file, "{},", below(rng, values))?;
        }
        writeln!(file, "{}", quoted(&class_word(&image.classes, rng)))?;
    }
    Ok(())
}

fn write_text(
    file: &mut impl Write,
    text: &Text,
    rows: u64,
    rng: &mut ChaCha8Rng,
) -> io::Result<()> {
    let letters: Vec<char> = match &text.tokens {
        Tokens::Bytes => ('a'..='z').chain([' ', '\n']).collect(),
        Tokens::Characters { vocabulary, .. } => vocabulary.clone(),
    };
    // With a holdout, windows at the end of a stretch are lost: twice the text has enough.
    let spare = if text.rows.holdout > 0.0 { 2 } else { 1 };
    let tokens = rows
        .saturating_mul(text.stride.into())
        .saturating_add(u64::from(text.context) + 1)
        .saturating_mul(spare);
    for _ in 0..tokens {
        write!(file, "{}", one_of(&letters, rng))?;
    }
    Ok(())
}
