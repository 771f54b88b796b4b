//! A step of training in bf16 (Micikevicius et al., 2018, without loss scaling: bf16 has the range
//! of f32). The parameters stay f32, as do their gradients and the optimiser's step: a step's
//! forward and backward pass go through a copy in bf16 that is made from them, and back through
//! that cast. Normalising layers and softmax compute in f32.

use burn::module::{ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use super::{Input, Network, Pass};

/// Names of the scale and offset of normalising layers, which compute in f32.
const NORM_PARAMETERS: [&str; 2] = ["gamma", "beta"];

/// What a model computes in while training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// Products, sums and what is kept for the gradient in 16 bits; parameters, gradients and the
    /// optimiser in 32.
    Bf16,
}

/// A training pass in `precision`; the outputs are f32.
pub(crate) fn forward<N: Network>(
    network: &N,
    input: Input,
    pass: &mut Pass<'_>,
    precision: Precision,
) -> Tensor<2> {
    match precision {
        Precision::F32 => network.forward(input, pass),
        Precision::Bf16 => {
            let input = match input {
                Input::Rows(rows) => Input::Rows(rows.cast(FloatDType::BF16)),
                tokens @ Input::Tokens(_) => tokens,
            };
            let halved = network.clone().map(&mut Halve { path: Vec::new() });
            halved.forward(input, pass).cast(FloatDType::F32)
        }
    }
}

/// Computes in f32 and gives back what it was given.
pub(super) fn in_f32<const D: usize>(
    x: Tensor<D>,
    function: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let dtype = x.dtype();
    function(x.cast(FloatDType::F32)).cast(dtype)
}

/// Casts parameters, tracked: their gradients go back through the cast.
struct Halve {
    path: Vec<String>,
}

impl ModuleMapper for Halve {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.last().is_some_and(|name| NORM_PARAMETERS.contains(&name.as_str())) {
            return parameter;
        }
        let (id, tensor, mapper) = parameter.consume();
        Param::from_mapped_value(id, tensor.cast(FloatDType::BF16), mapper)
    }
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::Plan;

    use super::*;
    use crate::data::Dataset;
    use crate::device::{Compute, DeviceChoice};
    use crate::model::tests::{PLANS, TEXT, plan_text};
    use crate::task::Task;
    use crate::train::{Cancel, FitContext, FitSeed, Trainer};

    fn dataset(data: &str) -> Dataset {
        let number = |i: usize| ((i * 37 + i * i * 11) % 101) as f32 / 50.0 - 1.0;
        if data == TEXT {
            let tokens: Vec<i32> = (0..240).map(|i| i * i % 7 % 5).collect();
            let starts = (0..24).map(|one| 9 * one).collect();
            return Dataset::text(tokens.into(), starts, 7, 5).expect("a text");
        }
        let labels = (0..24).map(|one| one % 3).collect();
        Dataset::new((0..24 * 96).map(number).collect(), labels, 96, 3).expect("a data set")
    }

    /// The update and the losses of a fit.
    fn fit(text: &str, data: &Dataset, precision: Precision) -> (Vec<f32>, Vec<f32>) {
        let plan = Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        let task = Task::from_plan(&plan).expect("a model");
        let rules = DeviceChoice::Cuda(0).into();
        let trainer = Trainer::on(Compute::pretended_in(precision), &task, &rules).expect("room");
        let mut losses = Vec::new();
        let mut progress = |progress: crate::train::Progress| losses.push(progress.loss);
        let cancel = Cancel::new();
        let context = FitContext::new(FitSeed([3; 32]), &cancel, &mut progress);
        let report = trainer.fit(&task.initial_parameters(), data, context);
        (report.unwrap_or_else(|error| panic!("{error}")).update, losses)
    }

    #[test]
    fn every_layer_trains_in_bf16_to_nearly_the_same_update() {
        for (data, layers) in PLANS {
            // Steps so small that the update is the sum of gradients, and what they lead to is not
            // compared.
            let text = plan_text(data, layers).replace("lr = 0.1", "lr = 0.001");
            let dataset = dataset(data);
            let (full, losses) = fit(&text, &dataset, Precision::F32);
            let (half, half_losses) = fit(&text, &dataset, Precision::Bf16);
            assert_ne!(full, half, "{layers}: bf16 was not used");
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let cosine = dot(&full, &half) / (dot(&full, &full) * dot(&half, &half)).sqrt();
            assert!(cosine > 0.95, "{layers}: cosine {cosine}");
            for (a, b) in losses.iter().zip(&half_losses) {
                assert!((a - b).abs() < 0.02 * a.max(0.5), "{layers}: losses {a} and {b}");
            }
        }
    }

    /// bf16 has eight bits: a step a thousandth the size of a parameter would be lost in it.
    #[test]
    fn steps_that_bf16_cannot_hold_are_not_lost() {
        let (data, layers) = PLANS[3];
        let text = plan_text(data, layers).replace("lr = 0.1", "lr = 0.00001");
        let dataset = dataset(data);
        let (full, _) = fit(&text, &dataset, Precision::F32);
        let (half, _) = fit(&text, &dataset, Precision::Bf16);
        let size = |update: &[f32]| update.iter().map(|x| x * x).sum::<f32>().sqrt();
        let ratio = size(&half) / size(&full);
        assert!((0.95..1.05).contains(&ratio), "{} and {}", size(&half), size(&full));
    }
}
