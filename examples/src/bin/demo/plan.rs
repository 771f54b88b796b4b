//! The plan that the demo runs: the one that ships for the digits, with what was asked for on the
//! command line, and other data and layers where there are other data.

use toml::{Table, Value};

use crate::args::Args;
use crate::source::Rows;

/// The plan that ships, as a researcher would write it.
const DIGITS: &str = include_str!("../../../plans/digits-cnn.toml");

/// Time for owners to train and send; it passes in full only in the round in which one vanishes.
const COLLECT: &str = "10s";

/// The same where owners train on a card, whose kernels are compiled in the first round.
const COLLECT_ON_CARDS: &str = "5m";

/// Time for each of the other phases. A dead holder costs half of it in the vote.
const COMMITTEE: &str = "5s";

/// How far below the number of owners a round may end: the demo makes one owner vanish.
const MISSING_MAX: u32 = 1;

/// The plan's text.
pub(crate) fn text(args: &Args, train: &Rows, is_digits: bool) -> Result<String, String> {
    let mut plan: Table = DIGITS.parse().map_err(|error| format!("the demo's plan: {error}"))?;
    let whole = |value: u32| Value::Integer(i64::from(value));
    set(&mut plan, &[], "seed", Value::Integer(args.seed.cast_signed()));
    set(&mut plan, &["training"], "rounds", whole(args.rounds));
    let minimum = args.clients.saturating_sub(MISSING_MAX).max(3);
    set(&mut plan, &["cohort"], "minimum", whole(minimum));
    set(&mut plan, &["cohort"], "maximum", whole(args.clients.max(minimum)));
    let collect = if args.cuda_owners > 0 { COLLECT_ON_CARDS } else { COLLECT };
    for (phase, time) in [
        ("select", COMMITTEE),
        ("collect", collect),
        ("vote", COMMITTEE),
        ("audit", COMMITTEE),
        ("release", COMMITTEE),
    ] {
        set(&mut plan, &["cohort", "deadlines"], phase, Value::String(time.to_owned()));
    }
    if !is_digits {
        let (data, layers) = describe(train)?;
        set(&mut plan, &[], "name", Value::String("demo".to_owned()));
        set(&mut plan, &[], "purpose", Value::String("Learn to tell the classes apart".to_owned()));
        set(&mut plan, &[], "data", data);
        set(&mut plan, &["model"], "layers", layers);
        // One hour at the most for data of unknown size; nothing waits once everybody is in.
        set(&mut plan, &["cohort", "deadlines"], "collect", Value::String("1h".to_owned()));
    }
    toml::to_string(&plan).map_err(|error| error.to_string())
}

fn set(plan: &mut Table, sections: &[&str], key: &str, value: Value) {
    let mut table = plan;
    for section in sections {
        let entry = table.entry((*section).to_owned()).or_insert_with(|| Table::new().into());
        let Value::Table(next) = entry else { return };
        table = next;
    }
    table.insert(key.to_owned(), value);
}

/// The data section and the layers for other data.
fn describe(train: &Rows) -> Result<(Value, Value), String> {
    let classes = train.labels().into_iter().max().unwrap_or(0) + 1;
    if classes < 2 {
        return Err("the labels name a single class: there is nothing to learn".to_owned());
    }
    let (data, layers) = match train {
        Rows::Images { height, width, .. } => (
            format!(
                "kind = 'image'\nheight = {height}\nwidth = {width}\npixel_max = 255\n\
                 classes = {classes}"
            ),
            "layers = [{ kind = 'conv2d', out = 8, kernel = 3, pad = 1 }, { kind = 'relu' }, \
             { kind = 'maxpool2d', kernel = 2 }, { kind = 'conv2d', out = 16, kernel = 3, \
             pad = 1 }, { kind = 'relu' }, { kind = 'maxpool2d', kernel = 2 }, \
             { kind = 'flatten' }, { kind = 'linear', out = 32 }, { kind = 'relu' }, \
             { kind = 'linear', out = CLASSES }]",
        ),
        Rows::Table { header, lines, .. } => (
            format!(
                "kind = 'tabular'\ntarget = {{ column = 'label', classes = {classes} }}\n{}",
                columns(header, lines)?
            ),
            "layers = [{ kind = 'linear', out = 32 }, { kind = 'relu' }, \
             { kind = 'linear', out = CLASSES }]",
        ),
    };
    let parse = |text: &str| text.parse::<Table>().map_err(|error| error.to_string());
    let mut layers = parse(&layers.replace("CLASSES", &classes.to_string()))?;
    let layers = layers.remove("layers").ok_or("no layers")?;
    Ok((parse(&data)?.into(), layers))
}

/// Every column but `label`, scaled by the bounds seen in the training rows.
fn columns(header: &str, lines: &[String]) -> Result<String, String> {
    let text = format!("{header}\n{}\n", lines.join("\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); names.len()];
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        for ((field, name), (low, high)) in row.iter().zip(&names).zip(&mut bounds) {
            let value: f64 = field.trim().parse().map_err(|_| {
                format!("column {name:?} holds {field:?}: the demo reads numbers only")
            })?;
            *low = low.min(value);
            *high = high.max(value);
        }
    }
    let columns: Vec<String> = names
        .iter()
        .zip(bounds)
        .filter(|(name, (low, high))| name.trim() != "label" && low < high)
        .map(|(name, (low, high))| {
            let name = Value::String(name.trim().to_owned());
            format!("{{ name = {name}, type = 'float', min = {low:?}, max = {high:?}, outside = 'clamp' }}")
        })
        .collect();
    Ok(format!("columns = [{}]", columns.join(", ")))
}
