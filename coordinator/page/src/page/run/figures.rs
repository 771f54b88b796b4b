//! A run's charts.

use std::collections::BTreeMap;

use covey_ledger::book::{RoundRecord, RunRecord};

use super::metric_name;
use crate::chart::{Figure, Line, Lines, Point, Stacks};
use crate::text;

/// One chart for each metric, with a line for each run and source.
pub(crate) fn metric_figures(runs: &[(String, &RunRecord)]) -> Vec<Figure> {
    let mut lines: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for (label, run) in runs {
        for (name, by) in run.metrics() {
            let points = run.curve(&name, by).into_iter();
            let points = points.map(|one| Point::at(one.round.into(), one.millionths as f64 / 1e6));
            let source = metric_name("", by);
            let line = Line { name: format!("{label}{source}"), points: points.collect() };
            lines.entry(name).or_default().push(line);
        }
    }
    let figure = |(name, lines): (String, Vec<Line>)| {
        let points = lines.iter().flat_map(|line| line.points.last());
        let last = points.map(|point| text::decimal(point.y, 4)).collect::<Vec<_>>().join(", ");
        let figure = Lines {
            title: format!("{name} per round"),
            summary: format!(
                "At the end: {last}. One run has one curve: no other seeds, hence no band."
            ),
            across: "Round",
            up: "Value",
            lines,
            limit: None,
            digits: 4,
        };
        figure.draw()
    };
    lines.into_iter().map(figure).collect()
}

/// All charts of a run.
pub(super) fn figures(run: &RunRecord) -> Vec<Figure> {
    let mut figures = metric_figures(&[(String::new(), run)]);
    let rounds = || run.rounds.values();
    if run.rounds.is_empty() {
        return figures;
    }
    let count = |name: &str, of: fn(&RoundRecord) -> u32| Line {
        name: name.to_owned(),
        points: rounds().map(|one| Point::at(one.closed.round.into(), of(one).into())).collect(),
    };
    let minimum = run.terms.map(|terms| f64::from(terms.get().contributions_min));
    let cohort = Lines {
        title: "Owners per round".to_owned(),
        summary: "How many were invited, sent something, and are in the sum.".to_owned(),
        across: "Round",
        up: "Owners",
        lines: vec![
            count("invited", |one| one.closed.invited),
            count("joined", |one| one.closed.joined),
            count("counted", |one| one.closed.counted),
        ],
        limit: minimum.map(|minimum| ("fewest for credit".to_owned(), minimum)),
        digits: 0,
    };
    figures.push(cohort.draw());
    figures.extend(phases_figure(run));
    figures.extend(traffic_figure(run));
    figures.extend(epsilon_figure(run));
    figures
}

fn phases_figure(run: &RunRecord) -> Option<Figure> {
    let mut names: Vec<String> = Vec::new();
    for span in run.rounds.values().flat_map(|round| &round.closed.phases_ms) {
        if !names.contains(&span.phase) {
            names.push(span.phase.clone());
        }
    }
    let bar = |round: &RoundRecord| {
        let spans = &round.closed.phases_ms;
        let ms = |name: &String| {
            spans.iter().filter(|one| one.phase == *name).map(|one| one.ms).sum::<u64>()
        };
        (
            round.closed.round.to_string(),
            names.iter().map(|name| ms(name) as f64 / 1000.0).collect(),
        )
    };
    let bars: Vec<_> = run.rounds.values().map(bar).collect();
    (!names.is_empty()).then(|| {
        let stacks = Stacks {
            title: "Seconds per round and phase".to_owned(),
            summary: "Where the time of each round went.".to_owned(),
            across: "Round",
            up: "Seconds",
            series: names.clone(),
            bars,
            digits: 1,
        };
        stacks.draw()
    })
}

fn traffic_figure(run: &RunRecord) -> Option<Figure> {
    let traffic = |round: &RoundRecord| Some((round.closed.round, round.closed.traffic?));
    let all: Vec<_> = run.rounds.values().filter_map(traffic).collect();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    (!all.is_empty()).then(|| {
        let stacks = Stacks {
            title: "Bytes per round".to_owned(),
            summary: "Between owners and coordinator, all owners together.".to_owned(),
            across: "Round",
            up: "Megabytes",
            series: vec!["from owners".to_owned(), "to owners".to_owned()],
            bars: all
                .iter()
                .map(|(round, one)| {
                    (round.to_string(), vec![megabytes(one.up), megabytes(one.down)])
                })
                .collect(),
            digits: 3,
        };
        stacks.draw()
    })
}

fn epsilon_figure(run: &RunRecord) -> Option<Figure> {
    let rounds: Vec<(u32, f64)> = run
        .rounds
        .values()
        .filter_map(|round| {
            let epsilon = round.closed.published.as_ref()?.epsilon_millionths?;
            Some((round.closed.round, epsilon as f64 / 1e6))
        })
        .collect();
    let last = rounds.len().checked_sub(1)?;
    let mut spent = 0.0;
    let added = rounds.iter().map(|(round, epsilon)| {
        spent += epsilon;
        Point::at((*round).into(), spent)
    });
    let mut lines = vec![Line { name: "added up".to_owned(), points: added.collect() }];
    let mut summary = "Each round's, at a delta of 10^-6, added up: an upper bound, at the sum of \
                       these deltas."
        .to_owned();
    if let Some(privacy) = &run.privacy {
        let composed = (1..)
            .zip(&rounds)
            .map(|(count, (round, _))| Point::at((*round).into(), privacy.epsilon(count)));
        let points: Vec<_> = composed.collect();
        summary += &format!(
            " Composed, at the plan's delta of {:e}: {} after round {}.",
            privacy.delta.get(),
            text::decimal(points[last].y, 3),
            rounds[last].0
        );
        lines.push(Line { name: "composed".to_owned(), points });
    }
    let lines = Lines {
        title: "Epsilon spent".to_owned(),
        summary,
        across: "Round",
        up: "Epsilon",
        lines,
        limit: None,
        digits: 3,
    };
    Some(lines.draw())
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::Plan;
    use covey_ledger::book::RunPrivacy;
    use covey_ledger::example::{Example, Shape};

    use super::*;

    /// The example's run, as if its rounds had noise.
    fn noisy() -> RunRecord {
        let example = Example::new(Shape::default()).expect("an example");
        let mut run = example.book.runs()[0].clone();
        for round in run.rounds.values_mut() {
            if let Some(published) = &mut round.closed.published {
                published.epsilon_millionths = Some(2_500_000);
            }
        }
        run
    }

    #[test]
    fn epsilon_is_shown_added_up_and_composed_where_the_plan_is_at_hand() {
        let mut run = noisy();
        let count = run.rounds.values().filter(|round| round.closed.published.is_some()).count();
        let figure = epsilon_figure(&run).expect("a figure");
        assert!(figure.summary.contains("added up") && !figure.summary.contains("Composed"));
        let text = "schema = \"plan/1\"\nname = \"digits\"\npurpose = \"A test\"\nseed = 42\n\
                    data = { kind = \"image\", height = 8, width = 8, classes = 10 }\n\
                    model = { layers = [{ kind = \"flatten\" }, { kind = \"linear\", out = 10 }] }\n\
                    [training]\nrounds = 16\nbatch_size = 32\nweighting = \"uniform\"\n\
                    optimizer = { name = \"sgd\", lr = 0.05 }\n\
                    [cohort]\nminimum = 10\nmaximum = 20\n\
                    [secure_aggregation]\nprofile = \"B\"\nbits = 16\nrange = 16\n\
                    clip_norm = 1.0\naudit = \"off\"\n\
                    [privacy]\nunit = \"owner\"\nnoise_multiplier = 2.0\ndelta = 1e-6\n";
        let plan = Plan::parse(text).expect("a plan");
        let delta = plan.privacy.expect("noise").delta;
        let round = plan.round_cost(650, 1).expect("a cost");
        run.privacy = Some(RunPrivacy { delta, round });
        let figure = epsilon_figure(&run).expect("a figure");
        let composed = plan.epsilon(650, count as u32).expect("a cost");
        let told = format!("at the plan's delta of 1e-6: {composed:.3} after round");
        assert!(figure.summary.contains(&told), "{}", figure.summary);
        let example = Example::new(Shape::default()).expect("an example");
        assert!(epsilon_figure(&example.book.runs()[0]).is_none(), "no noise");
    }
}
