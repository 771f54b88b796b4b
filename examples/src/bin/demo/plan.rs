//! The plan that the demo runs: the one that ships for the digits, with what was asked for on the
//! command line, and other data and layers where there are other data.

use covey_aggregation::limits::CREDIT_CONTRIBUTIONS_MIN;
use toml::{Table, Value};

use crate::args::{Args, Training};
use crate::column::{Column, columns};
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
const MISSING_MAX: usize = 1;

/// Fewest owners in a sum without credits.
const UNCREDITED_MIN: usize = 3;

/// Fewest of `owners` that a round may end with. Where evidence weighs updates as few as may be, as
/// owners that do not count are none of them.
pub(crate) fn minimum(owners: usize, is_credited: bool, training: Training) -> usize {
    let fewest = if is_credited { CREDIT_CONTRIBUTIONS_MIN as usize } else { UNCREDITED_MIN };
    match training {
        Training::Evidence if is_credited => fewest,
        _ => owners.saturating_sub(MISSING_MAX).max(fewest),
    }
}

/// The plan's text. `fold` is the number of rows that a round is credited by; without one there are
/// no credits.
pub(crate) fn text(
    args: &Args,
    train: &Rows,
    is_digits: bool,
    fold: Option<usize>,
) -> Result<String, String> {
    let mut plan: Table = DIGITS.parse().map_err(|error| format!("the demo's plan: {error}"))?;
    let whole = |value: usize| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    set(&mut plan, &[], "seed", Value::Integer(args.seed.cast_signed()));
    set(&mut plan, &["training"], "rounds", whole(args.rounds as usize));
    let minimum = minimum(args.owners(), fold.is_some(), args.training);
    set(&mut plan, &["cohort"], "minimum", whole(minimum));
    set(&mut plan, &["cohort"], "maximum", whole(args.owners().max(minimum)));
    match fold {
        Some(rows) => {
            set(&mut plan, &["credit"], "fold", whole(rows));
            if args.training == Training::Evidence {
                set(&mut plan, &["credit"], "training", Value::String("evidence".to_owned()));
            }
        }
        None => drop(plan.remove("credit")),
    }
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
                scaled(header, lines)?
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
fn scaled(header: &str, lines: &[String]) -> Result<String, String> {
    let scaled = |column: &Column| {
        let Column { name, low, high } = column;
        let name = Value::String(name.clone());
        format!(
            "{{ name = {name}, type = 'float', min = {low:?}, max = {high:?}, outside = 'clamp' }}"
        )
    };
    let columns = columns(header, lines)?;
    let useful = columns.iter().filter(|column| !column.is_label() && column.low < column.high);
    let scaled: Vec<String> = useful.map(scaled).collect();
    Ok(format!("columns = [{}]", scaled.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::source::Source;

    fn plan(arguments: &[&str], fold: Option<usize>) -> Table {
        let args = Args::parse_from(std::iter::once(&"demo").chain(arguments));
        let digits = Source::digits().expect("the digits");
        text(&args, &digits.train, true, fold).expect("a plan").parse().expect("a table")
    }

    #[test]
    fn credits_are_in_the_plan_with_their_fold_or_not_at_all() {
        let credited = plan(&[], Some(42));
        assert_eq!(credited["credit"]["fold"].as_integer(), Some(42));
        assert_eq!(credited["credit"]["budget"].as_integer(), Some(1000));
        assert!(!plan(&[], None).contains_key("credit"));
    }

    #[test]
    fn evidence_weighs_updates_where_it_is_asked_for() {
        assert!(
            !plan(&[], Some(30))["credit"].as_table().expect("a table").contains_key("training")
        );
        let weighed = plan(&["--training", "evidence"], Some(30));
        assert_eq!(weighed["credit"]["training"].as_str(), Some("evidence"));
        // The two of eight that bring nothing may count for nothing.
        assert_eq!(weighed["cohort"]["minimum"].as_integer(), Some(5));
    }

    #[test]
    fn a_credited_sum_has_five_owners_and_otherwise_one_may_be_missing() {
        for (clients, scenario, fold, minimum, maximum) in [
            ("6", "mixed", Some(30), 7, 8),
            ("6", "honest", Some(30), 5, 6),
            ("3", "mixed", Some(30), 5, 5),
            ("3", "mixed", None, 4, 5),
            ("3", "honest", None, 3, 3),
        ] {
            let plan = plan(&["--clients", clients, "--scenario", scenario], fold);
            let number = |key| plan["cohort"][key].as_integer();
            assert_eq!((number("minimum"), number("maximum")), (Some(minimum), Some(maximum)));
        }
    }
}
