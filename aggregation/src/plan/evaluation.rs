//! The `[evaluation]` section: what owners measure on examples kept out of training.

use crate::config::Quantiser;
use crate::evaluation::{Layout, Metric};
use crate::limits::COUNTERS_MAX;

use super::data::Data;
use super::error::{Code, Collector};
use super::section::{At, Section};

/// The `[evaluation]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Share of an owner's examples that is kept out of training, above 0 and below 1.
    pub holdout: f64,
    /// What is measured on them, each once, in a fixed order.
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
    let help = "write `holdout = 0.2`: a fifth of every owner's examples";
    let holdout = section.required(errors, "holdout", help).and_then(|field| {
        let span = field.span.clone();
        let holdout = field.fraction(errors)?;
        if holdout > 0.0 {
            return Some(holdout);
        }
        let message = "evaluation.holdout = 0 leaves nothing to measure on";
        errors.push(&span, Code::OutOfRange, message, "use a number such as 0.2");
        None
    });
    let metrics = read_metrics(&mut section, errors);
    let error_max = match section.optional("error_max") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(1.0),
    };
    section.finish(errors);
    let value = Evaluation { holdout: holdout?, metrics: metrics?, error_max: error_max? };
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
    /// What each counter counts, for these data.
    #[must_use]
    pub fn layout(&self, data: &Data) -> Layout {
        Layout::new(&self.metrics, data.classes().len(), self.error_max)
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
    let has_classes = !data.classes().is_empty();
    if let Some(metric) = value.metrics.iter().find(|one| one.is_of_classes() != has_classes) {
        let (wanted, others) =
            if has_classes { ("classes", "accuracy or loss") } else { ("numbers", "mae or rmse") };
        let message = format!("{metric} cannot be measured where a model predicts {wanted}");
        errors.push(span, Code::Metrics, message, format!("use {others}"));
        return;
    }
    let layout = value.layout(data);
    if layout.len() > usize::from(COUNTERS_MAX) {
        let message =
            format!("{} counters for {} classes are too many", layout.len(), data.classes().len());
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
