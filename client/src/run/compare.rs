//! Two runs side by side: what differs between their plans, and their metrics round by round.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use covey_aggregation::party::Name;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::{FromResearcher, ToResearcher};
use serde::Serialize;

use super::talk::{Talk, out_of_turn};
use super::view::RunView;
use super::{Shown, show};
use crate::check::parse_plan;
use crate::plan::{Comparison, compare_read};

/// Two runs.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    before: RunView,
    after: RunView,
    plan: Comparison,
    metrics: Vec<Curve>,
}

/// A metric of both runs.
#[derive(Debug, PartialEq, Serialize)]
struct Curve {
    /// Its name; `test_` before those of the coordinator's test data.
    metric: String,
    /// Round by round.
    rounds: Vec<Pair>,
}

/// A metric's values in a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Pair {
    round: u32,
    before: Option<f64>,
    after: Option<f64>,
}

/// Compares two runs.
///
/// # Errors
/// [`Failure`]: there is no link, or no such run; a plan that was refused is none.
pub(super) async fn compare(
    talk: &mut Talk,
    before: &Name,
    after: &Name,
) -> Result<Compared, Failure> {
    let first = show(talk, before).await?;
    let second = show(talk, after).await?;
    let mut plans = Vec::new();
    for shown in [&first, &second] {
        plans.push((shown.run.name.to_string(), plan_of(talk, &shown.run).await?));
    }
    let (Some(second_plan), Some(first_plan)) = (plans.pop(), plans.pop()) else {
        return Err(out_of_turn());
    };
    let plan = compare_read(first_plan, second_plan)?;
    let metrics = curves(&first, &second);
    Ok(Compared { before: first.run, after: second.run, plan, metrics })
}

async fn plan_of(
    talk: &mut Talk,
    run: &RunView,
) -> Result<(Plan, covey_model::task::Task, Vec<u8>), Failure> {
    let name = run.run.parse().map_err(|error| Failure::new(Exit::Failed, "BUG", error))?;
    let ToResearcher::Plan(plan) = talk.ask(&FromResearcher::Plan { run: name }).await? else {
        return Err(out_of_turn());
    };
    if Plan::digest(plan.as_bytes()).to_string() != run.plan {
        let what = format!("the coordinator sent another plan than run {} names", run.name);
        return Err(Failure::new(Exit::Unverified, "OTHER_PLAN", what));
    }
    parse_plan(plan.into_bytes(), Path::new(run.name.as_str()))
}

/// The metrics of both, by name.
fn curves(before: &Shown, after: &Shown) -> Vec<Curve> {
    let mut curves: BTreeMap<String, BTreeMap<u32, Pair>> = BTreeMap::new();
    for (shown, is_after) in [(before, false), (after, true)] {
        for round in &shown.rounds {
            let tested = [("test_accuracy", round.accuracy), ("test_loss", round.loss)];
            let tested = tested.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let scores = round.federated.iter().flat_map(|scores| &scores.metrics);
            let scores = scores.map(|(metric, value)| (metric.name(), *value));
            for (name, value) in tested.chain(scores) {
                let none = Pair { round: round.round, before: None, after: None };
                let curve = curves.entry(name.to_owned()).or_default();
                let pair = curve.entry(round.round).or_insert(none);
                *(if is_after { &mut pair.after } else { &mut pair.before }) = Some(value);
            }
        }
    }
    let curve = |(metric, rounds): (String, BTreeMap<_, _>)| Curve {
        metric,
        rounds: rounds.into_values().collect(),
    };
    curves.into_iter().map(curve).collect()
}

/// Values as bars of eight heights, all curves of a metric on one scale.
fn bars(values: &[Option<f64>], (low, high): (f64, f64)) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |value: &Option<f64>| match value {
        Some(value) if value.is_finite() && high > low => {
            let height = (value - low) / (high - low) * (BARS.len() - 1) as f64;
            BARS[(height.round() as usize).min(BARS.len() - 1)]
        }
        Some(_) => BARS[0],
        None => ' ',
    };
    values.iter().map(bar).collect()
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.before.line(), self.after.line(), self.plan)?;
        if self.metrics.is_empty() {
            return write!(f, "\nno metric was measured in either");
        }
        let width = self.before.name.as_str().len().max(self.after.name.as_str().len()).max(9);
        for Curve { metric, rounds } in &self.metrics {
            let before: Vec<_> = rounds.iter().map(|pair| pair.before).collect();
            let after: Vec<_> = rounds.iter().map(|pair| pair.after).collect();
            let all = || before.iter().chain(&after).flatten().copied();
            let scale =
                (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
            let (first, second) = (&self.before.name, &self.after.name);
            write!(f, "\n{metric}, {:.4} to {:.4}", scale.0, scale.1)?;
            write!(f, "\n  {:<width$}  {}", first.as_str(), bars(&before, scale))?;
            write!(f, "\n  {:<width$}  {}", second.as_str(), bars(&after, scale))?;
            let (first, second) = (first.as_str(), second.as_str());
            write!(f, "\n  {:>5}  {first:>width$}  {second:>width$}  difference", "round")?;
            for Pair { round, before, after } in rounds {
                let shown = |value: &Option<f64>| {
                    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
                };
                let gap = before.zip(*after).map(|(before, after)| after - before);
                let gap = gap.map_or_else(String::new, |gap| format!("{gap:+.4}"));
                let (before, after) = (shown(before), shown(after));
                write!(f, "\n  {round:>5}  {before:>width$}  {after:>width$}  {gap:>10}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_span_the_scale_and_a_missing_value_is_a_gap() {
        let values = [Some(0.0), None, Some(1.0), Some(0.5), Some(f64::NAN)];
        assert_eq!(bars(&values, (0.0, 1.0)), "▁ █▅▁");
        assert_eq!(bars(&[Some(2.0)], (2.0, 2.0)), "▁");
    }
}
