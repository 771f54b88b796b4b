//! What training takes, computed from the plan: never part of credit, shown beside it.
//!
//! Three kinds of numbers stand side by side and are never mixed: what an owner *asserts* of a round
//! ([`crate::statement::Compute`]), what is *computed* of the plan (this module), and what is
//! *checked* (nothing: nobody sees an owner's device).

use covey_aggregation::plan::Plan;
use covey_aggregation::shape::{Shape, Step};

/// Training on an example takes so many times its forward pass: once forward, twice backward (for the
/// gradients of the activations, and of the weights).
pub const PASSES: u64 = 3;

/// Estimate of the floating-point operations of training on one example once: every multiplication
/// and every addition of matrices, convolutions, recurrences and attention counts; of every other layer
/// one operation for each number it produces. Adapters count as if their base were trained, too. `None` of a
/// family, whose layers a plan does not say.
#[must_use]
pub fn flops_per_example(plan: &Plan) -> Option<u64> {
    let blueprint = plan.blueprint()?;
    let forward = forward(blueprint.input, &blueprint.steps, &blueprint.shapes);
    Some(forward.saturating_mul(PASSES))
}

fn forward(input: Shape, steps: &[Step], shapes: &[Shape]) -> u64 {
    let inputs = std::iter::once(&input).chain(shapes);
    let each = steps.iter().zip(inputs.zip(shapes));
    each.fold(0, |sum: u64, (step, (from, to))| sum.saturating_add(of_step(step, *from, *to)))
}

/// Operations of one step that makes `to` of `from`.
fn of_step(step: &Step, from: Shape, to: Shape) -> u64 {
    let product = |factors: &[u64]| {
        factors.iter().fold(2, |product: u64, factor| product.saturating_mul(*factor))
    };
    let places = places(from);
    match step {
        Step::Linear { input, out } => product(&[places, *input as u64, *out as u64]),
        Step::Conv1d(kernel) => {
            product(&[to.elements(), kernel.input as u64, kernel.kernel as u64])
        }
        Step::Conv2d(kernel) => {
            let window = (kernel.kernel as u64).saturating_mul(kernel.kernel as u64);
            product(&[to.elements(), kernel.input as u64, window])
        }
        Step::Lstm { input, hidden, .. } => {
            product(&[places, 4 * *hidden as u64, *input as u64 + *hidden as u64])
        }
        Step::Gru { input, hidden, .. } => {
            product(&[places, 3 * *hidden as u64, *input as u64 + *hidden as u64])
        }
        Step::Encoder { layers, features, ff, .. } => {
            let (features, ff) = (*features as u64, *ff as u64);
            let inside = (4 * features).saturating_add(2 * ff);
            let dense = product(&[places, features, inside]);
            let attention = product(&[2 * places, places, features]);
            dense.saturating_add(attention).saturating_mul(*layers as u64)
        }
        Step::Residual { steps, shapes } => {
            forward(from, steps, shapes).saturating_add(to.elements())
        }
        _ => to.elements(),
    }
}

/// How often a layer is applied: once, or once for each step of a sequence.
const fn places(shape: Shape) -> u64 {
    match shape {
        Shape::Sequence { steps, .. } | Shape::Tokens { steps, .. } => steps,
        Shape::Features(_) | Shape::Image { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(layers: &str) -> Plan {
        let text = format!(
            r#"
schema = "plan/1"
name = "digits"
purpose = "Learn to read handwritten digits"
seed = 42
[data]
kind = "image"
height = 8
width = 8
pixel_max = 16
classes = 10
[model]
layers = [{layers}]
[training]
rounds = 10
batch_size = 32
optimizer = {{ name = "sgd", lr = 0.05, momentum = 0.9 }}
weighting = "uniform"
[cohort]
minimum = 3
maximum = 100
deadlines = {{ collect = "60s" }}
[secure_aggregation]
profile = "B"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#
        );
        Plan::parse(&text).expect("a plan")
    }

    #[test]
    fn operations_are_counted_from_the_layers() {
        let linear = plan("{ kind = \"flatten\" }, { kind = \"linear\", out = 10 }");
        assert_eq!(flops_per_example(&linear), Some(3 * (64 + 2 * 64 * 10)));
        let convolution = plan(
            "{ kind = \"conv2d\", out = 4, kernel = 3, pad = 1 }, { kind = \"flatten\" }, \
             { kind = \"linear\", out = 10 }",
        );
        let forward = 2 * (4 * 8 * 8) * 9 + 256 + 2 * 256 * 10;
        assert_eq!(flops_per_example(&convolution), Some(3 * forward));
    }
}
