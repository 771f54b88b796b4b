//! Clipped gradients of examples, whichever way they are computed.

use std::ops::Range;

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use covey_aggregation::plan::Loss;
use covey_aggregation::shape::{Blueprint, Shape, Step};
use rand_chacha::ChaCha8Rng;

use super::sum::Sum;
use crate::data::Dataset;
use crate::model::{Network, Pass};
use crate::task::Task;
use crate::train::FitError;

/// Least and largest number of examples of a block. Small ones waste less of a sample that does
/// not fill them; large ones call the numeric library less often.
const BLOCK_BOUNDS: (usize, usize) = (8, 128);

/// How the gradient of every example is computed. Both are the same up to the rounding of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A pass for each example: right for every model.
    OneByOne,
    /// A pass for a block of examples, without a gradient of any parameter: for plain chains of
    /// linear layers over rows of features, with layers without parameters around them.
    Blocks,
}

impl Way {
    /// The faster way of those that a task allows.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        match task.blueprint() {
            Some(blueprint) if is_chain(blueprint) => Self::Blocks,
            _ => Self::OneByOne,
        }
    }
}

/// Whether every parameter is one of a linear layer over rows of features, used once.
fn is_chain(blueprint: &Blueprint) -> bool {
    let is_free = |step: &Step| {
        matches!(
            step,
            Step::Relu
                | Step::LeakyRelu { .. }
                | Step::Gelu
                | Step::Silu
                | Step::Tanh
                | Step::Sigmoid
                | Step::Softmax
                | Step::Flatten
                | Step::Dropout { .. }
        )
    };
    let is_linear = |(step, shape): (&Step, &Shape)| {
        is_free(step) || matches!((step, shape), (Step::Linear { .. }, Shape::Features(_)))
    };
    // Adapters have fixed tensors beside the trained ones, and two factors for a layer.
    let is_dense = |blueprint: &Blueprint| blueprint.adapter_scale.is_none();
    is_dense(blueprint) && blueprint.steps.iter().zip(&blueprint.shapes).all(is_linear)
}

/// Computes gradients of examples, each by itself, and clips them.
pub(super) struct Gradients<'a> {
    pub(super) data: &'a Dataset,
    pub(super) loss: Loss,
    /// The tracked one.
    pub(super) device: &'a Device,
    /// Where the tensors of the model lie in the flat vector.
    pub(super) places: &'a [Option<Range<usize>>],
    /// Numbers of the flat vector.
    pub(super) numbers: usize,
    pub(super) way: Way,
    /// Examples of a block: a power of two that follows from the plan alone.
    pub(super) block: usize,
}

impl Gradients<'_> {
    /// Adds the clipped gradients of the examples with these numbers; the sum of their losses.
    /// Without a generator there is no dropout.
    pub(super) fn add<N: Network>(
        &self,
        network: &N,
        numbers: &[usize],
        mut dropout: Option<&mut ChaCha8Rng>,
        sum: &mut Sum,
    ) -> Result<f64, FitError> {
        let mut loss = 0.0;
        match self.way {
            Way::OneByOne => {
                for number in numbers {
                    loss += self.add_one(network, *number, dropout.as_deref_mut(), sum);
                }
            }
            Way::Blocks => {
                let network = network.clone().no_grad();
                for numbers in numbers.chunks(self.block) {
                    loss += self.add_block(&network, numbers, dropout.as_deref_mut(), sum)?;
                }
            }
        }
        Ok(loss)
    }
}

/// Examples of a block of a plan with this batch size.
pub(super) fn block(batch_size: u32) -> usize {
    let (least, largest) = BLOCK_BOUNDS;
    (batch_size as usize).clamp(least, largest).next_power_of_two()
}

/// A pass of training, or without a generator one without dropout.
pub(super) fn pass(dropout: Option<&mut ChaCha8Rng>) -> Pass<'_> {
    dropout.map_or_else(|| Pass::measuring(&[]), Pass::training)
}

/// Takes gradients out of a flat vector.
pub(super) struct Scatter<'a> {
    pub(super) flat: &'a [f32],
    pub(super) places: &'a [Option<Range<usize>>],
    pub(super) tensor: usize,
    /// The plain one.
    pub(super) device: &'a Device,
    pub(super) gradients: &'a mut GradientsParams,
}

impl ModuleVisitor for Scatter<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let place = self.places.get(self.tensor).and_then(Option::as_ref);
        self.tensor += 1;
        if let Some(range) = place {
            let numbers = self.flat[range.clone()].to_vec();
            let data = TensorData::new(numbers, parameter.val().dims());
            self.gradients.register(parameter.id, Tensor::<D>::from_data(data, self.device));
        }
    }
}
