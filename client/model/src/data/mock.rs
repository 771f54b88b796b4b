//! Synthetic examples of a plan's form, drawn from the plan and a seed alone: no owner's value
//! can be in them. Either everything is drawn by itself, so that there is nothing to learn; or every
//! value is pulled towards one that hangs on the class, which can be learnt, though never wholly.

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

/// How far a value that can be learnt from is pulled towards its class's: with so little, the classes
/// of pictures overlap, and more examples or less noise tell them apart better.
const PULL: f64 = 0.28;

/// Writes `rows` synthetic examples of the form of `data`: a table in CSV with a header, of
/// images too, or a text of so many windows.
///
/// # Errors
/// The file cannot be written, or no value of a column would be accepted.
pub fn write(path: &Path, data: &Data, rows: u64, seed: u64) -> io::Result<()> {
    let rng = stream("mock-data", &[&seed.to_le_bytes()]);
    write_drawn(path, data, rows, &mut Draw { rng, hidden: None })
}

/// The same with something to learn: what hangs on a class follows from `seed`, and what is drawn
/// from `part` as well, so parts of one seed can be learnt from and measured on.
///
/// # Errors
/// As [`write()`].
pub fn write_learnable(
    path: &Path,
    data: &Data,
    rows: u64,
    (seed, part): (u64, u64),
) -> io::Result<()> {
    let rng = stream("mock-data", &[&seed.to_le_bytes(), &part.to_le_bytes()]);
    write_drawn(path, data, rows, &mut Draw { rng, hidden: Some(seed) })
}

fn write_drawn(path: &Path, data: &Data, rows: u64, draw: &mut Draw) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    match data {
        Data::Tabular(tabular) => write_table(&mut file, tabular, rows, draw)?,
        Data::Image(image) => write_images(&mut file, image, rows, draw)?,
        Data::Text(text) => write_text(&mut file, text, rows, draw)?,
    }
    file.into_inner()?.sync_all()
}

/// What values are drawn from.
struct Draw {
    rng: ChaCha8Rng,
    /// The seed of what hangs on a class, if anything does.
    hidden: Option<u64>,
}

impl Draw {
    /// Where values of this class are pulled to in this column: a share of the column's range.
    fn target(&self, class: usize, column: usize) -> Option<f64> {
        let parts = [class as u64, column as u64].map(u64::to_le_bytes);
        let seed = self.hidden?.to_le_bytes();
        Some(unit_f64(&mut stream("mock-target", &[&seed, &parts[0], &parts[1]])))
    }

    /// A share of a range, from 0 to 1.
    fn share(&mut self, target: Option<f64>) -> f64 {
        let share = unit_f64(&mut self.rng);
        target.map_or(share, |target| PULL.mul_add(target - share, share))
    }

    /// A place in a list of so many.
    fn place(&mut self, count: u64, target: Option<f64>) -> u64 {
        match target {
            Some(target) if unit_f64(&mut self.rng) <= PULL => {
                ((target * count as f64) as u64).min(count.saturating_sub(1))
            }
            _ => below(&mut self.rng, count),
        }
    }

    /// One of a list, which is never empty: plans with empty lists are refused.
    fn one_of<'a, T>(&mut self, list: &'a [T], target: Option<f64>) -> &'a T {
        &list[self.place(list.len() as u64, target) as usize]
    }
}

/// Classes of a number that is to be predicted: shares of its range.
const LEVELS: u64 = 8;

fn write_table(
    file: &mut impl Write,
    tabular: &Tabular,
    rows: u64,
    draw: &mut Draw,
) -> io::Result<()> {
    for column in &tabular.columns {
        write!(file, "{},", quoted(&column.name))?;
    }
    writeln!(file, "{}", quoted(&tabular.column))?;
    for _ in 0..rows {
        let (class, target) = match &tabular.target {
            Target::Classes(classes) => {
                let class = draw.place(classes.len() as u64, None) as usize;
                (class, class_word(&classes[class], draw))
            }
            Target::Number(numeric) => {
                let share = draw.share(None);
                let class = ((share * LEVELS as f64) as u64).min(LEVELS - 1);
                (class as usize, number(numeric, share).to_string())
            }
        };
        for (place, column) in tabular.columns.iter().enumerate() {
            let target = draw.target(class, place);
            write!(file, "{},", quoted(&cell(column, draw, target)?))?;
        }
        writeln!(file, "{}", quoted(&target))?;
    }
    Ok(())
}

fn cell(column: &Column, draw: &mut Draw, target: Option<f64>) -> io::Result<String> {
    let may_miss = !matches!(column.missing, Missing::Refuse);
    if may_miss
        && draw.share(None) <= MISSING_SHARE
        && let Some(spelling) = column.missing_values.first()
    {
        return Ok(spelling.clone());
    }
    for _ in 0..ATTEMPTS_MAX {
        let word = match &column.kind {
            ColumnKind::Float(numeric) => number(numeric, draw.share(target)).to_string(),
            ColumnKind::Integer(numeric) => match whole(numeric, draw, target) {
                Some(whole) => whole.to_string(),
                None => break,
            },
            ColumnKind::Category { values, .. } => draw.one_of(values, target).clone(),
            ColumnKind::Boolean { yes, no } => draw.one_of(&[&yes[0], &no[0]], target).to_string(),
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

/// At this share of the way between the bounds; without bounds around the mean.
fn number(numeric: &Numeric, share: f64) -> f64 {
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

fn whole(numeric: &Numeric, draw: &mut Draw, target: Option<f64>) -> Option<i64> {
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
    low.checked_add_unsigned(draw.place(count, target))
}

fn class_word(class: &Class, draw: &mut Draw) -> String {
    draw.one_of(class.words(), None).clone()
}

fn write_images(
    file: &mut impl Write,
    image: &Image,
    rows: u64,
    draw: &mut Draw,
) -> io::Result<()> {
    for pixel in 0..image.features() {
        write!(file, "p{pixel},")?;
    }
    writeln!(file, "{}", quoted(&image.label))?;
    let values = (f64::from(image.pixel_max).floor() as u64).saturating_add(1);
    let targets_of = |class: usize| {
        let pixels = 0..image.features() as usize;
        pixels.map(|pixel| draw.target(class, pixel)).collect::<Option<Vec<_>>>()
    };
    // None where nothing hangs on the class.
    let targets: Vec<Vec<f64>> = (0..image.classes.len()).filter_map(targets_of).collect();
    for _ in 0..rows {
        let class = draw.place(image.classes.len() as u64, None) as usize;
        for pixel in 0..image.features() as usize {
            let target = targets.get(class).map(|targets| targets[pixel]);
            let share = draw.share(target);
            write!(file, "{},", ((share * values as f64) as u64).min(values - 1))?;
        }
        writeln!(file, "{}", quoted(&class_word(&image.classes[class], draw)))?;
    }
    Ok(())
}

fn write_text(file: &mut impl Write, text: &Text, rows: u64, draw: &mut Draw) -> io::Result<()> {
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
    // A letter hangs on the one before.
    let targets: Vec<_> = (0..letters.len()).map(|letter| draw.target(letter, 0)).collect();
    let mut last = 0;
    for _ in 0..tokens {
        last = draw.place(letters.len() as u64, targets[last]) as usize;
        write!(file, "{}", letters[last])?;
    }
    Ok(())
}
