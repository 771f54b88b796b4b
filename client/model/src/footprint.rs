//! How much memory training takes, estimated from the plan alone, so that a model that is too
//! large for a card is not begun on it.
//!
//! It counts numbers of four bytes: the copies of the parameters that training holds, and what
//! every layer keeps of a batch until its gradient is computed. What a device's program, its
//! kernels and the reuse of freed memory take is not in it. `tests/footprint.rs` compares it with
//! the memory that training really takes on the processor.

use covey_aggregation::plan::Optimizer;
use covey_aggregation::shape::{Blueprint, Shape, Step};

use crate::limits::{EVALUATION_BATCH, EVALUATION_TOKENS};

/// Bytes of a number.
const NUMBER_BYTES: u64 = 4;

/// Copies of the parameters that every fit holds: the parameters, their gradients, and one more
/// when they are taken in or given out.
const COPIES: u64 = 3;

/// Tensors of the largest size that are there only for a moment: a gradient that comes and one
/// that goes.
const PASSING: u64 = 2;

/// Memory that training or measuring takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Parameters, gradients and the optimiser's state.
    pub parameter_bytes: u64,
    /// What layers keep of a batch; unknown of a family, whose code alone knows.
    pub activation_bytes: Option<u64>,
}

impl Footprint {
    /// All of it, as far as it is known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parameter_bytes.saturating_add(self.activation_bytes.unwrap_or(0))
    }
}

/// What the memory of parameters hangs on.
pub(crate) struct Parameters {
    /// Numbers that are trained.
    pub(crate) trained: u64,
    /// Numbers of the largest tensor of them: the optimiser works tensor by tensor.
    pub(crate) largest: u64,
    /// Numbers that are not: the base of adapters.
    pub(crate) fixed: u64,
    pub(crate) optimizer: Optimizer,
    /// Vectors beside: FedProx's anchor, SCAFFOLD's offset.
    pub(crate) terms: u64,
}

impl Parameters {
    pub(crate) fn bytes(&self) -> u64 {
        let (state, passing) = match self.optimizer {
            Optimizer::Sgd { momentum, .. } => (u64::from(momentum > 0.0), 1),
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => (2, 2),
        };
        let whole = self.trained.saturating_mul(COPIES + state + self.terms);
        let passing = self.largest.saturating_mul(passing);
        sum([whole, passing, self.fixed]).saturating_mul(NUMBER_BYTES)
    }
}

/// What the layers keep of a batch, training or measuring, whichever is more.
pub(crate) fn activation_bytes(blueprint: &Blueprint, batch_size: u64) -> u64 {
    let Blueprint { input, steps, shapes, .. } = blueprint;
    let sizes = sizes(steps, shapes, *input);
    let kept = sum(sizes.iter().map(|size| size.kept));
    let largest = sizes.iter().map(|size| size.largest).max().unwrap_or(0);
    let passing = largest.saturating_mul(PASSING);
    let outputs = shapes.last().map_or(0, |shape| shape.elements());
    // The loss holds the outputs, their logarithms and their gradient.
    let training = sum([input.elements(), kept, passing, outputs.saturating_mul(3)]);
    let measured = match input {
        Shape::Tokens { steps, .. } => {
            (EVALUATION_TOKENS as u64 / (*steps).max(1)).clamp(1, EVALUATION_BATCH as u64)
        }
        _ => EVALUATION_BATCH as u64,
    };
    let measuring = sum([input.elements(), largest, passing, outputs]).saturating_mul(measured);
    training.saturating_mul(batch_size).max(measuring).saturating_mul(NUMBER_BYTES)
}

fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// Numbers of one example that a step takes.
#[derive(Clone, Copy)]
struct Size {
    /// Until the gradient is computed: its output, and what else the gradient needs.
    kept: u64,
    /// Of its largest tensor.
    largest: u64,
}

fn sizes(steps: &[Step], shapes: &[Shape], input: Shape) -> Vec<Size> {
    let inputs = std::iter::once(input).chain(shapes.iter().copied());
    steps.iter().zip(inputs).zip(shapes).map(|((step, from), to)| size(step, from, *to)).collect()
}

fn size(step: &Step, input: Shape, output: Shape) -> Size {
    let out = output.elements();
    let times = |factor: u64| Size { kept: out.saturating_mul(factor), largest: out };
    match step {
        // The places of the largest are whole numbers of eight bytes.
        Step::MaxPool1d { .. } | Step::MaxPool2d { .. } => times(3),
        // Deviations, and what they are divided by.
        Step::BatchNorm { .. } | Step::GroupNorm { .. } | Step::LayerNorm { .. } => times(3),
        // The mask.
        Step::Dropout { .. } => times(2),
        // Views of what is there.
        Step::Flatten | Step::Sequence { .. } => times(0),
        Step::Lstm { input: features, hidden, .. } => recurrent(input, *features, *hidden, 4),
        Step::Gru { input: features, hidden, .. } => recurrent(input, *features, *hidden, 3),
        Step::Encoder { layers, heads, ff, dropout, .. } => {
            let Shape::Sequence { steps, .. } = output else { return times(1) };
            let inner = steps.saturating_mul(*ff as u64);
            let scores = steps.saturating_mul(steps).saturating_mul(*heads as u64);
            // Two norms, four dense layers, three of them turned around, two sums; and masks.
            let rows = if *dropout > 0.0 { 18 } else { 14 };
            // Of the inner layer, before and after its function; of the scores, as shares too.
            let block =
                [out.saturating_mul(rows), inner.saturating_mul(3), scores.saturating_mul(3)];
            let kept = sum(block).saturating_mul(*layers as u64);
            Size { kept, largest: out.max(inner).max(scores) }
        }
        Step::Residual { steps, shapes } => {
            let sizes = sizes(steps, shapes, input);
            let largest = sizes.iter().map(|size| size.largest).fold(out, u64::max);
            Size { kept: sum(sizes.iter().map(|size| size.kept).chain([out])), largest }
        }
        _ => times(1),
    }
}

/// A recurrent layer: for every step, its part of the input, `gates` gates before and after their
/// functions, and what becomes of the state.
fn recurrent(input: Shape, features: usize, hidden: usize, gates: u64) -> Size {
    let Shape::Sequence { steps, .. } = input else { return Size { kept: 0, largest: 0 } };
    let (features, hidden) = (features as u64, hidden as u64);
    let step = sum([features, hidden.saturating_mul(2 * gates + 7)]);
    let largest = steps.saturating_mul(features.max(hidden));
    Size { kept: steps.saturating_mul(step), largest }
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::Plan;

    use super::*;
    use crate::model::tests::{IMAGE, TEXT, plan_text};
    use crate::task::Task;

    fn footprint(text: &str) -> Footprint {
        let plan = Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        Task::from_plan(&plan).expect("a model").footprint()
    }

    #[test]
    fn memory_of_parameters_grows_with_what_the_optimiser_and_the_strategy_keep() {
        let sgd = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let momentum =
            Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        let adam = Optimizer::Adam { lr: 0.1 };
        let bytes = |optimizer, terms| {
            Parameters { trained: 1000, largest: 800, fixed: 500, optimizer, terms }.bytes()
        };
        assert_eq!(bytes(sgd, 0), 3 * 4000 + 3200 + 2000);
        assert_eq!(bytes(momentum, 0), 4 * 4000 + 3200 + 2000);
        assert_eq!(bytes(adam, 1), 6 * 4000 + 6400 + 2000);
        let huge =
            Parameters { trained: u64::MAX, largest: 1, fixed: 1, optimizer: adam, terms: 0 };
        assert_eq!(huge.bytes(), u64::MAX);
    }

    #[test]
    fn memory_of_a_batch_grows_with_its_size_and_with_the_model() {
        let wide = "{ kind = \"flatten\" }, { kind = \"linear\", out = 4000 }, \
                    { kind = \"relu\" }, { kind = \"linear\", out = 3 }";
        let text = plan_text(IMAGE, wide);
        let of = |batch: u64| {
            let plan = Plan::parse(&text).expect("a plan");
            let blueprint = plan.blueprint().expect("layers").clone();
            activation_bytes(&blueprint, batch)
        };
        // 4000 numbers twice, and two of them that pass.
        assert!(of(1000) > 1000 * 4 * 4 * 4000, "{}", of(1000));
        assert_eq!(of(2000), 2 * of(1000));
        // Small batches: measuring takes 256 examples at once.
        assert_eq!(of(1), of(2));
        let deep = |layers| {
            let encoder = format!(
                "{{ kind = \"embedding\", out = 8 }}, {{ kind = \"encoder\", layers = {layers}, \
                 heads = 2, ff = 16, causal = true }}, {{ kind = \"linear\", out = 5 }}"
            );
            footprint(&plan_text(TEXT, &encoder)).bytes()
        };
        assert!(deep(8) > deep(2), "{} {}", deep(8), deep(2));
    }
}
