//! The slope of a model's mean loss as it is measured: its gradient, in the order of the flat
//! vector.

use std::ops::Range;

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::batch::Batch;
use crate::data::Dataset;
use crate::device::OverMemory;
use crate::evaluate::examples_at_once;
use crate::loss::loss;
use crate::model::{Average, Network, Pass};
use crate::network::Built;
use crate::train::{FitError, Trainer};

/// The gradient, on all of `data`, of what `build` gives on an autodiff device, in f32. Running
/// averages are numbers of the vector as well, on which the loss hangs: they have slopes too.
/// Batchnorms without any take those of the batch at hand, which are tracked. The caller has
/// checked parameters and data.
pub(crate) fn slope<N: Network>(
    trainer: &Trainer,
    build: &dyn Fn(&Device) -> Result<Built<N>, FitError>,
    data: &Dataset,
) -> Result<Vec<f32>, FitError> {
    let compute = trainer.compute().clone();
    let device = compute.device.clone().autodiff();
    let Built { network, averages } = build(&device)?;
    let averages: Vec<_> = averages.into_iter().map(|average| average.map(tracked)).collect();
    let places = trainer.task.places();
    let mut flat = vec![0.0; places.total];
    let numbers: Vec<usize> = (0..data.len()).collect();
    for numbers in numbers.chunks(examples_at_once(data)) {
        let batch = Batch::new(data, numbers, &device);
        let outputs = network.forward(batch.input, &mut Pass::measuring(&averages));
        let loss = loss(outputs, batch.wanted, trainer.task.training().loss);
        let mut gradients = loss.backward();
        if !loss.into_scalar::<f32>().is_finite() {
            return Err(FitError::BadOutputs);
        }
        let share = numbers.len() as f32 / data.len() as f32;
        let own = averages.iter().flatten().flat_map(|one| [&one.mean, &one.variance]);
        for (range, tensor) in places.buffers.iter().zip(own) {
            if let Some(gradient) = tensor.grad_remove(&mut gradients) {
                add(&mut flat[range.clone()], gradient, share);
            }
        }
        let mut gradients = GradientsParams::from_grads(gradients, &network);
        let (gradients, places) = (&mut gradients, &places.module[..]);
        network.visit(&mut Sum { gradients, places, tensor: 0, share, flat: &mut flat });
        if let Some(OverMemory { reserved, max }) = compute.over_memory() {
            return Err(FitError::DeviceMemory { reserved, max });
        }
    }
    // Steep enough that a loss which is a number has a slope which is none.
    if flat.iter().all(|slope| slope.is_finite()) { Ok(flat) } else { Err(FitError::BadOutputs) }
}

fn tracked(average: Average) -> Average {
    let leaf = |x: Tensor<1>| x.autodiff().require_grad();
    Average { mean: leaf(average.mean), variance: leaf(average.variance) }
}

/// Adds a share of `gradient` to its place in the flat vector.
fn add<const D: usize>(place: &mut [f32], gradient: Tensor<D>, share: f32) {
    let data = gradient.into_data();
    place.iter_mut().zip(data.iter::<f32>()).for_each(|(sum, slope)| *sum += share * slope);
}

/// Adds the gradients of tensors where they belong.
struct Sum<'a> {
    gradients: &'a mut GradientsParams,
    places: &'a [Option<Range<usize>>],
    tensor: usize,
    share: f32,
    flat: &'a mut [f32],
}

impl ModuleVisitor for Sum<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let place = self.places.get(self.tensor).and_then(Option::as_ref);
        self.tensor += 1;
        if let Some(range) = place
            && let Some(gradient) = self.gradients.remove::<D>(parameter.id)
        {
            add(&mut self.flat[range.clone()], gradient, self.share);
        }
    }
}
