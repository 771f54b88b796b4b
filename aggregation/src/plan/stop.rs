//! The `[stop]` section: when a run ends before its last round.

use crate::evaluation::Metric;
use crate::limits::ROUNDS_MAX;
use crate::stop::{Plateau, StopRules, Target};

use super::error::{Code, Collector};
use super::evaluation::Evaluation;
use super::section::{At, Section};

/// The rules, with the places of their metrics for later checks.
pub(super) struct Read {
    pub(super) rules: StopRules,
    metrics: Vec<At<Metric>>,
}

pub(super) fn read(root: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Read> {
    let mut read = Read { rules: StopRules::default(), metrics: Vec::new() };
    let Some(field) = root.optional("stop") else { return Some(read) };
    let mut section = field.section(errors)?;
    let Read { rules, metrics } = &mut read;
    let mut is_whole = true;
    if let Some(field) = section.optional("target") {
        let target = field.section(errors);
        rules.target = target.and_then(|section| read_target(section, errors, metrics));
        is_whole &= rules.target.is_some();
    }
    if let Some(field) = section.optional("plateau") {
        let plateau = field.section(errors);
        rules.plateau = plateau.and_then(|section| read_plateau(section, errors, metrics));
        is_whole &= rules.plateau.is_some();
    }
    if let Some(field) = section.optional("step_norm_max") {
        rules.step_norm_max = field.positive(errors).map(|at| at.value);
        is_whole &= rules.step_norm_max.is_some();
    }
    section.finish(errors);
    is_whole.then_some(read)
}

fn read_target(
    mut section: Section<'_>,
    errors: &mut Collector<'_>,
    metrics: &mut Vec<At<Metric>>,
) -> Option<Target> {
    let metric = read_metric(&mut section, errors, metrics);
    let help = "write `value = 0.95`: what is good enough";
    let value = section.required(errors, "value", help).and_then(|field| field.number(errors));
    section.finish(errors);
    Some(Target { metric: metric?, value: value?.value })
}

fn read_plateau(
    mut section: Section<'_>,
    errors: &mut Collector<'_>,
    metrics: &mut Vec<At<Metric>>,
) -> Option<Plateau> {
    let metric = read_metric(&mut section, errors, metrics);
    let patience = section.whole(errors, "patience", 1..=ROUNDS_MAX.into());
    let min_delta = match section.optional("min_delta") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(0.0),
    };
    section.finish(errors);
    Some(Plateau { metric: metric?, patience: patience?.value as u32, min_delta: min_delta? })
}

fn read_metric(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    metrics: &mut Vec<At<Metric>>,
) -> Option<Metric> {
    let help = "write `metric = \"accuracy\"`, one of evaluation.metrics";
    let field = section.required(errors, "metric", help)?;
    let span = field.span.clone();
    let value = field.choice(errors, &Metric::NAMED)?;
    metrics.push(At { value, span });
    Some(value)
}

/// A rule needs a metric that owners measure.
pub(super) fn check(stop: &Read, evaluation: Option<&Evaluation>, errors: &mut Collector<'_>) {
    let measured = evaluation.map(|evaluation| evaluation.metrics.as_slice()).unwrap_or_default();
    for At { value, span } in &stop.metrics {
        if !measured.contains(value) {
            let message = format!("a stop rule looks at {value}, which no owner measures");
            let help = format!("add \"{value}\" to evaluation.metrics");
            errors.push(span, Code::Metrics, message, help);
        }
    }
}
