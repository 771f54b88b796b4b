//! The gradient of one example by a pass of its own.

use std::ops::Range;

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use super::gradients::{Gradients, pass};
use super::sum::Sum;
use crate::batch::Batch;
use crate::loss::loss;
use crate::model::Network;

impl Gradients<'_> {
    /// Adds the clipped gradient of one example; its loss.
    pub(super) fn add_one<N: Network>(
        &self,
        network: &N,
        number: usize,
        dropout: Option<&mut ChaCha8Rng>,
        sum: &mut Sum,
    ) -> f64 {
        let batch = Batch::new(self.data, &[number], self.device);
        let outputs = network.forward(batch.input, &mut pass(dropout));
        let loss = loss(outputs, batch.wanted, self.loss);
        let mut gradients = GradientsParams::from_grads(loss.backward(), network);
        let mut flat = vec![0.0; self.numbers];
        network.visit(&mut Gather {
            gradients: &mut gradients,
            places: self.places,
            tensor: 0,
            flat: &mut flat,
        });
        sum.add(&flat);
        f64::from(loss.into_scalar::<f32>())
    }
}

/// Puts gradients into a flat vector.
struct Gather<'a> {
    gradients: &'a mut GradientsParams,
    places: &'a [Option<Range<usize>>],
    tensor: usize,
    flat: &'a mut [f32],
}

impl ModuleVisitor for Gather<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let place = self.places.get(self.tensor).and_then(Option::as_ref);
        self.tensor += 1;
        if let Some(range) = place
            && let Some(gradient) = self.gradients.remove::<D>(parameter.id)
        {
            let data = gradient.into_data();
            let place = &mut self.flat[range.clone()];
            place.iter_mut().zip(data.iter::<f32>()).for_each(|(x, y)| *x = y);
        }
    }
}
