//! The `[evaluation]` section: what owners measure on the examples that `data.holdout` keeps out
//! of training.

use crate::config::Quantiser;
use crate::evaluation::{Layout, Metric};
use crate::limits::COUNTERS_MAX;

use super::data::Data;
use super::error::{Code, Collector};
use super::goal::Goal;
use super::section::{At, Section};

/// The `[evaluation]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What is measured, each once, in a fixed order.
    pub metrics: Vec<Metric>,
    /// The largest error that counts, in the unit in which the model predicts; 1 by default.
    pub error_max: f64,
}

/// Examples that an owner must be able to count, at least; below it a metric says little.
const EXAMPLES_LEAST: u64 = 100;

pub(super) fn read(
    root: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Option<At<Evaluation>>> {
    let Some(field) = root.optional("evaluation") else { return Some(None) };
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let metrics = read_metrics(&mut section, errors);
    let error_max = match section.optional("error_max") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(1.0),
    };
    section.finish(errors);
    let value = Evaluation { metrics: metrics?, error_max: error_max? };
    Some(Some(At { value, span }))
}

fn read_metrics(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Vec<Metric>> {
    let help = "write `metrics = [\"accuracy\", \"loss\"]`";
    let field = section.required(errors, "metrics", help)?;
    let span = field.span.clone();
    let mut metrics = Vec::new();
    for field in field.list(errors)? {
        let (path, span) = (field.path.clone(), field.span.clone());
        let metric = field.choice(errors, &Metric::NAMED)?;
        if metrics.contains(&metric) {
            let message = format!("{path} = {metric} is listed twice");
            errors.push(&span, Code::Duplicate, message, "remove one of them");
        }
        metrics.push(metric);
    }
    if metrics.is_empty() {
        errors.push(&span, Code::OutOfRange, "evaluation.metrics names no metric", help);
        return None;
    }
    metrics.sort_unstable();
    metrics.dedup();
    Some(metrics)
}

impl Evaluation {
    /// What each counter counts, of a model that answers `goal`.
    #[must_use]
    pub fn layout(&self, goal: Goal) -> Layout {
        Layout::new(&self.metrics, goal.outputs() as usize, self.error_max)
    }
}

/// Refuses what cannot be measured on these data, or does not fit the counters.
pub(super) fn check(
    evaluation: &At<Evaluation>,
    data: &Data,
    quantiser: &Quantiser,
    errors: &mut Collector<'_>,
) {
    let At { value, span } = evaluation;
    if data.rows().holdout <= 0.0 {
        let message = "there is nothing to measure on: no example is kept out of training";
        let help = "write `holdout = 0.2` in [data]: a fifth of every owner's examples";
        errors.push(span, Code::Metrics, message, help);
    }
    let goal = data.goal();
    let (answers, fitting): (_, &[Metric]) = match goal {
        Goal::Class(_) => {
            ("a class", &[Metric::Accuracy, Metric::Loss, Metric::MacroF1, Metric::Auroc])
        }
        Goal::Number => ("a number", &[Metric::Mae, Metric::Rmse]),
        Goal::NextToken(_) => {
            ("the next token", &[Metric::Accuracy, Metric::Loss, Metric::Perplexity])
        }
    };
    if let Some(metric) = value.metrics.iter().find(|metric| !fitting.contains(metric)) {
        let message = format!("{metric} cannot be measured where a model answers {answers}");
        let names: Vec<_> = fitting.iter().map(|metric| metric.name()).collect();
        errors.push(span, Code::Metrics, message, format!("use {}", names.join(", ")));
        return;
    }
    let layout = value.layout(goal);
    if layout.len() > usize::from(COUNTERS_MAX) {
        let message =
            format!("{} counters for {} classes are too many", layout.len(), goal.outputs());
        let help = format!("at most {COUNTERS_MAX} may travel: leave out auroc, then macro_f1");
        errors.push(span, Code::Metrics, message, help);
    }
    let examples = layout.examples_max(quantiser);
    if examples < EXAMPLES_LEAST {
        let message = format!(
            "counters of {} bits a digit hold {examples} examples of one owner",
            quantiser.bits
        );
        let help = "raise secure_aggregation.bits, or leave out loss, mae and rmse";
        errors.push(span, Code::Metrics, message, help);
    }
}
