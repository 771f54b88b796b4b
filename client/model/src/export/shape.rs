//! What a layer gives on. A blueprint tells it of the outer layers only.

use covey_aggregation::shape::{Kernel, Shape, Step};

pub(super) fn after(step: &Step, input: Shape) -> Shape {
    match step {
        Step::Linear { out, .. } => match input {
            Shape::Sequence { steps, .. } => Shape::Sequence { steps, features: *out as u64 },
            _ => Shape::Features(*out as u64),
        },
        Step::Conv1d(Kernel { out, kernel, stride, pad, .. }) => {
            over_steps(input, Some(*out), [*kernel, *stride, *pad])
        }
        Step::Conv2d(Kernel { out, kernel, stride, pad, .. }) => {
            over_pixels(input, Some(*out), [*kernel, *stride, *pad])
        }
        Step::MaxPool1d { kernel, stride } | Step::AvgPool1d { kernel, stride } => {
            over_steps(input, None, [*kernel, *stride, 0])
        }
        Step::MaxPool2d { kernel, stride } | Step::AvgPool2d { kernel, stride } => {
            over_pixels(input, None, [*kernel, *stride, 0])
        }
        Step::AdaptiveAvgPool1d { out } => match input {
            Shape::Sequence { features, .. } => Shape::Sequence { steps: *out as u64, features },
            other => other,
        },
        Step::AdaptiveAvgPool2d { out } => match input {
            Shape::Image { channels, .. } => {
                Shape::Image { channels, height: *out as u64, width: *out as u64 }
            }
            other => other,
        },
        Step::GlobalAvgPool => match input {
            Shape::Image { channels, .. } => Shape::Features(channels),
            other => other,
        },
        Step::Flatten => Shape::Features(input.elements()),
        Step::Sequence { features } => {
            let features = *features as u64;
            Shape::Sequence { steps: input.elements() / features, features }
        }
        Step::LastStep | Step::MeanSteps => match input {
            Shape::Sequence { features, .. } => Shape::Features(features),
            other => other,
        },
        Step::Embedding { out, .. } => match input {
            Shape::Tokens { steps, .. } => Shape::Sequence { steps, features: *out as u64 },
            other => other,
        },
        Step::Lstm { hidden, is_last, .. } | Step::Gru { hidden, is_last, .. } => {
            match (input, is_last) {
                (Shape::Sequence { steps, .. }, false) => {
                    Shape::Sequence { steps, features: *hidden as u64 }
                }
                _ => Shape::Features(*hidden as u64),
            }
        }
        _ => input,
    }
}

fn places(side: u64, [kernel, stride, pad]: [usize; 3]) -> u64 {
    (side + 2 * pad as u64 - kernel as u64) / stride as u64 + 1
}

fn over_steps(input: Shape, out: Option<usize>, window: [usize; 3]) -> Shape {
    let Shape::Sequence { steps, features } = input else { return input };
    let features = out.map_or(features, |out| out as u64);
    Shape::Sequence { steps: places(steps, window), features }
}

fn over_pixels(input: Shape, out: Option<usize>, window: [usize; 3]) -> Shape {
    let Shape::Image { channels, height, width } = input else { return input };
    let channels = out.map_or(channels, |out| out as u64);
    Shape::Image { channels, height: places(height, window), width: places(width, window) }
}
