//! The `[strategy]` section: how aggregates become the next model. Without it, FedAvg.

use crate::strategy::{Adaptive, Strategy};

use super::error::{Code, Collector};
use super::layer::{self, Buffers, LayerKind};
use super::model::{Body, Model};
use super::section::{At, Section};
use super::training::{Optimizer, Training};

pub(super) fn read(root: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<At<Strategy>> {
    let Some(field) = root.optional("strategy") else {
        return Some(At { value: Strategy::FedAvg, span: 0..0 });
    };
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let names = ["fedavg", "fedavgm", "fedadam", "fedyogi", "fedprox", "scaffold"];
    let choices = names.map(|name| (name, name));
    let help = "write `name = \"fedavg\"`, or fedavgm, fedadam, fedyogi, fedprox or scaffold";
    let name = section.required(errors, "name", help)?.choice(errors, &choices)?;
    let value = match name {
        "fedavgm" => {
            let momentum = fraction(&mut section, errors, "momentum", 0.9);
            momentum.map(|momentum| Strategy::FedAvgM { momentum })
        }
        "fedadam" => adaptive(&mut section, errors).map(Strategy::FedAdam),
        "fedyogi" => adaptive(&mut section, errors).map(Strategy::FedYogi),
        "fedprox" => section.positive(errors, "mu").map(|mu| Strategy::FedProx { mu: mu.value }),
        "scaffold" => {
            let range = section.positive(errors, "range");
            let clip_norm = section.positive(errors, "clip_norm");
            range.zip(clip_norm).map(|(range, clip_norm)| Strategy::Scaffold {
                range: range.value as f32,
                clip_norm: clip_norm.value as f32,
            })
        }
        _ => Some(Strategy::FedAvg),
    };
    section.finish(errors);
    value.map(|value| At { value, span })
}

fn adaptive(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Adaptive> {
    let default = Adaptive::DEFAULT;
    let beta_1 = fraction(section, errors, "beta_1", default.beta_1);
    let beta_2 = fraction(section, errors, "beta_2", default.beta_2);
    let tau = match section.optional("tau") {
        Some(field) => field.positive(errors).map(|at| at.value),
        None => Some(default.tau),
    };
    Some(Adaptive { beta_1: beta_1?, beta_2: beta_2?, tau: tau? })
}

fn fraction(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    name: &'static str,
    default: f64,
) -> Option<f64> {
    section.optional(name).map_or(Some(default), |field| field.fraction(errors))
}

/// SCAFFOLD's control variate is a mean gradient only where a step is its learning rate times the
/// gradient.
pub(super) fn check_optimizer(
    strategy: &At<Strategy>,
    training: &Training,
    errors: &mut Collector<'_>,
) {
    let is_plain = matches!(training.optimizer, Optimizer::Sgd { momentum, .. } if momentum <= 0.0);
    let is_scaffold = matches!(strategy.value, Strategy::Scaffold { .. });
    if is_scaffold && training.gradient_clip.is_some() {
        let message = "scaffold beside training.gradient_clip: a clipped step does not tell the \
                       mean gradient";
        let help = "remove gradient_clip; secure_aggregation.clip_norm limits the update anyway";
        errors.push(&strategy.span, Code::Strategy, message, help);
    }
    if is_scaffold && !is_plain {
        let message = "scaffold needs plain SGD: with momentum or Adam an update does not tell the \
                       mean gradient";
        let help = "write `optimizer = { name = \"sgd\", lr = 0.05 }` in [training]";
        errors.push(&strategy.span, Code::Strategy, message, help);
    }
}

/// A control variate corrects gradients; averages of a batchnorm have none.
pub(super) fn check_averages(strategy: &At<Strategy>, model: &Model, errors: &mut Collector<'_>) {
    let travels =
        |kind: &LayerKind| matches!(kind, LayerKind::BatchNorm { buffers: Buffers::Average });
    let Body::Layers(layers) = &model.body else { return };
    if matches!(strategy.value, Strategy::Scaffold { .. }) && layer::any(layers, travels) {
        let message = "scaffold beside a batchnorm whose averages travel: they have no gradient";
        let help = "use groupnorm or layernorm, or `buffers = \"local\"`";
        errors.push(&strategy.span, Code::Strategy, message, help);
    }
}
