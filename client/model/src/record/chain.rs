//! The gradients of a block of examples by one pass, where the model is a chain of linear layers.
//!
//! The gradient of an example is there, for every layer, the outer product of what the layer took
//! and the gradient of what it gave. Both are read off a pass that computes no gradient of any
//! parameter, and norms follow from them without the product (Goodfellow 2015, arXiv 1510.01799;
//! Li et al. 2022, arXiv 2110.05679). The products of the examples are not left to a matrix product
//! of the library, which would round their sum in f32: they are rounded and added one by one.

use burn::tensor::{Gradients as Tracked, Tensor};
use rand_chacha::ChaCha8Rng;

use super::gradients::{Gradients, pass};
use super::sum::{Linear, Sum};
use crate::batch::Batch;
use crate::loss::loss;
use crate::model::{Network, Tap};
use crate::train::FitError;

impl Gradients<'_> {
    /// Adds the clipped gradients of at most a block of examples, of a network whose parameters
    /// are not tracked; the sum of their losses.
    pub(super) fn add_block<N: Network>(
        &self,
        network: &N,
        numbers: &[usize],
        dropout: Option<&mut ChaCha8Rng>,
        sum: &mut Sum,
    ) -> Result<f64, FitError> {
        let Some(first) = numbers.first() else { return Ok(0.0) };
        // Always of the same size, so that the library computes every row in the same way. The rows
        // beyond are left out.
        let mut filled = numbers.to_vec();
        filled.resize(self.block, *first);
        let Batch { input, wanted } = Batch::new(self.data, &filled, self.device);
        let mut pass = pass(dropout).tapping();
        let outputs = network.forward(input, &mut pass);
        let count = numbers.len();
        let shown =
            loss(outputs.clone().inner().narrow(0, 0, count), wanted.first(count), self.loss);
        // The library gives the mean; its size is a power of two, so that this is exact.
        let total = loss(outputs, wanted, self.loss).mul_scalar(self.block as f32);
        let mut gradients = total.backward();
        let layers: Vec<Linear> = pass
            .into_taps()
            .into_iter()
            .map(|tap| linear(tap, &mut gradients))
            .collect::<Result<_, _>>()?;
        (0..count).for_each(|row| sum.add_row(&layers, row));
        Ok(f64::from(shown.into_scalar::<f32>()) * count as f64)
    }
}

/// What a tap saw.
fn linear(tap: Tap, gradients: &mut Tracked) -> Result<Linear, FitError> {
    let Tap { input, zeros } = tap;
    let [_, inputs] = input.dims();
    let [_, outputs] = zeros.dims();
    let delta = zeros.grad_remove(gradients).ok_or_else(|| {
        let reason = "the output of a linear layer has no gradient".to_owned();
        FitError::Fault { reason }
    })?;
    Ok(Linear { input: numbers(input)?, delta: numbers(delta)?, inputs, outputs })
}

fn numbers(tensor: Tensor<2>) -> Result<Vec<f32>, FitError> {
    let numbers = tensor.into_data().try_into_vec::<f32>();
    numbers.map_err(|error| FitError::Fault { reason: error.to_string() })
}
