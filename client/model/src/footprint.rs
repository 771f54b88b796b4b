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

/// Copies of the parameters that every fit holds: the parameters, their gradients, and the new
/// ones while the old ones are still there.
const COPIES: u64 = 3;

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
    /// Numbers that are not: the base of adapters.
    pub(crate) fixed: u64,
    pub(crate) optimizer: Optimizer,
    /// Vectors beside: FedProx's anchor, SCAFFOLD's offset.
    pub(crate) terms: u64,
}

impl Parameters {
    pub(crate) fn bytes(&self) -> u64 {
        let state = match self.optimizer {
            Optimizer::Sgd { momentum, .. } => u64::from(momentum > 0.0),
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => 2,
        };
        let copies = COPIES + state + self.terms;
        self.trained.saturating_mul(copies).saturating_add(self.fixed).saturating_mul(NUMBER_BYTES)
    }
}

/// What the layers keep of a batch, training or measuring, whichever is more.
pub(crate) fn activation_bytes(blueprint: &Blueprint, batch_size: u64) -> u64 {
    let Blueprint { input, goal, steps, shapes, .. } = blueprint;
    let sizes = sizes(steps, shapes, *input);
    let kept: u64 = sum(sizes.iter().copied());
    let largest = sizes.into_iter().max().unwrap_or(0);
    let outputs = shapes.last().map_or(0, |shape| shape.elements());
    debug_assert!(outputs >= goal.outputs());
    // The loss holds the outputs, their logarithms and their gradient.
    let example = sum([input.elements(), kept, 3 * outputs]);
    // While a layer's gradient is computed, what it is computed from is still there.
    let training = sum([example, largest]).saturating_mul(batch_size);
    let measured = match input {
        Shape::Tokens { steps, .. } => {
            (EVALUATION_TOKENS as u64 / (*steps).max(1)).clamp(1, EVALUATION_BATCH as u64)
        }
        _ => EVALUATION_BATCH as u64,
    };
    let measuring = sum([input.elements(), largest, outputs]).saturating_mul(measured);
    training.max(measuring).saturating_mul(NUMBER_BYTES)
}

fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// Numbers that each step keeps of one example.
fn sizes(steps: &[Step], shapes: &[Shape], input: Shape) -> Vec<u64> {
    let inputs = std::iter::once(input).chain(shapes.iter().copied());
    steps.iter().zip(inputs).zip(shapes).map(|((step, from), to)| size(step, from, *to)).collect()
}

/// Numbers that a step keeps of one example: its output, and every tensor of the same pass that
/// its gradient is computed from.
fn size(step: &Step, input: Shape, output: Shape) -> u64 {
    let out = output.elements();
    match step {
        // Windows are laid out side by side.
        Step::Conv1d(kernel) => {
            let window = (kernel.kernel * kernel.input) as u64;
            let places = out / (kernel.out as u64).max(1);
            sum([out.saturating_mul(2), places.saturating_mul(window)])
        }
        Step::Conv2d(kernel) => {
            let window = (kernel.kernel * kernel.kernel * kernel.input) as u64;
            let places = out / (kernel.out as u64).max(1);
            sum([out.saturating_mul(2), places.saturating_mul(window)])
        }
        // The places of the largest are whole numbers of eight bytes.
        Step::MaxPool1d { .. } | Step::MaxPool2d { .. } => out.saturating_mul(3),
        // Deviation, its square, what it is divided by, scale and offset.
        Step::BatchNorm { .. } | Step::GroupNorm { .. } | Step::LayerNorm { .. } => {
            out.saturating_mul(5)
        }
        Step::Linear { .. } | Step::Dropout { .. } | Step::Gelu | Step::Silu | Step::Softmax => {
            out.saturating_mul(2)
        }
        // Views of what is there.
        Step::Flatten | Step::Sequence { .. } => 0,
        Step::Lstm { input: features, hidden, .. } => {
            recurrent(input, *features as u64, 4 * *hidden as u64, *hidden as u64)
        }
        Step::Gru { input: features, hidden, .. } => {
            recurrent(input, *features as u64, 3 * *hidden as u64, *hidden as u64)
        }
        Step::Encoder { layers, features, heads, ff, dropout, .. } => {
            let Shape::Sequence { steps, .. } = output else { return out };
            let is_dropped = u64::from(*dropout > 0.0);
            let (features, heads, ff) = (*features as u64, *heads as u64, *ff as u64);
            // Two norms, four dense layers, parts turned around, two sums, masks.
            let row = features.saturating_mul(2 * 5 + 4 * 2 + 4 + 2 + 4 * is_dropped);
            let inner = ff.saturating_mul(4);
            // Scores, scaled, masked, their exponentials and shares.
            let scores = heads.saturating_mul(steps).saturating_mul(5);
            let block = steps.saturating_mul(sum([row, inner, scores]));
            block.saturating_mul(*layers as u64)
        }
        Step::Residual { steps, shapes } => sum([sum(sizes(steps, shapes, input)), out]),
        _ => out,
    }
}

/// A recurrent layer: for every step, its part of the input, all gates before and after their
/// functions, and the state.
fn recurrent(input: Shape, features: u64, gates: u64, hidden: u64) -> u64 {
    let Shape::Sequence { steps, .. } = input else { return 0 };
    let step = sum([features, gates.saturating_mul(5), hidden.saturating_mul(5)]);
    steps.saturating_mul(step)
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
        let bytes =
            |optimizer, terms| Parameters { trained: 1000, fixed: 500, optimizer, terms }.bytes();
        assert_eq!(bytes(sgd, 0), 3 * 4000 + 2000);
        assert_eq!(bytes(momentum, 0), 4 * 4000 + 2000);
        assert_eq!(bytes(adam, 1), 6 * 4000 + 2000);
        let huge = Parameters { trained: u64::MAX, fixed: 1, optimizer: adam, terms: 0 };
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
        // 4000 numbers three times, and the largest layer again.
        assert!(of(1000) > 1000 * 4 * 5 * 4000, "{}", of(1000));
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
