//! Examples as tensors. Made from host memory for each step: slices of one large tracked tensor
//! would be kept by the autodiff graph.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::{Dataset, Inputs, Targets};
use crate::model::Input;

/// Some examples, and what is to be answered about them.
pub(crate) struct Batch {
    pub(crate) input: Input,
    pub(crate) wanted: Wanted,
}

/// What is to be answered, output row by output row.
#[derive(Clone)]
pub(crate) enum Wanted {
    Classes(Tensor<1, Int>),
    Numbers(Tensor<1>),
}

impl Batch {
    /// The examples with these numbers.
    pub(crate) fn new(data: &Dataset, numbers: &[usize], device: &Device) -> Self {
        let input = match data.inputs() {
            Inputs::Rows { features, .. } => {
                let mut rows = Vec::with_capacity(numbers.len() * features);
                numbers.iter().for_each(|&one| rows.extend_from_slice(data.example(one)));
                let rows = TensorData::new(rows, [numbers.len(), *features]);
                Input::Rows(Tensor::from_data(rows, device))
            }
            Inputs::Windows { length, .. } => {
                let tokens = tokens(data, numbers, 0..*length);
                let tokens = TensorData::new(tokens, [numbers.len(), *length]);
                Input::Tokens(Tensor::from_data(tokens, device))
            }
        };
        let classes = |labels: Vec<i32>| {
            let count = labels.len();
            Wanted::Classes(Tensor::from_data(TensorData::new(labels, [count]), device))
        };
        let wanted = match data.targets() {
            Targets::Classes { labels, .. } => {
                classes(numbers.iter().map(|&one| labels[one] as i32).collect())
            }
            Targets::Numbers(values) => {
                let values: Vec<f32> = numbers.iter().map(|&one| values[one]).collect();
                let values = TensorData::new(values, [numbers.len()]);
                Wanted::Numbers(Tensor::from_data(values, device))
            }
            Targets::NextToken => classes(tokens(data, numbers, 1..data.answers() + 1)),
        };
        Self { input, wanted }
    }
}

impl Wanted {
    /// The first `count` of them, on the plain device.
    pub(crate) fn first(&self, count: usize) -> Self {
        match self {
            Self::Classes(labels) => Self::Classes(labels.clone().inner().narrow(0, 0, count)),
            Self::Numbers(values) => Self::Numbers(values.clone().inner().narrow(0, 0, count)),
        }
    }
}

/// These tokens of each window, one window after the other.
fn tokens(data: &Dataset, numbers: &[usize], part: Range<usize>) -> Vec<i32> {
    let mut tokens = Vec::with_capacity(numbers.len() * part.len());
    numbers.iter().for_each(|&one| tokens.extend_from_slice(&data.window(one)[part.clone()]));
    tokens
}
