//! Networks and flat vectors: which numbers of a vector belong to which tensor of a network.

use std::ops::Range;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::Tensor;
use covey_aggregation::shape::{Role, Tensor as Described};

use crate::model::{Average, Network};

/// A network built from flat vectors.
pub(crate) struct Built<N> {
    pub(crate) network: N,
    /// The running averages of each batchnorm; none where they are estimated afresh.
    pub(crate) averages: Vec<Option<Average>>,
}

/// Where the tensors of a network lie in the vector that travels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Of each tensor of the module, in its order; none where it does not travel.
    pub(crate) module: Vec<Option<Range<usize>>>,
    /// Of the running averages: mean and variance of each batchnorm that has them.
    pub(crate) buffers: Vec<Range<usize>>,
    /// Length of the vector.
    pub(crate) total: usize,
}

impl Places {
    pub(crate) fn of(tensors: &[Described]) -> Self {
        let mut places = Self::default();
        for tensor in tensors {
            let range = places.total..places.total + tensor.elements() as usize;
            if tensor.role != Role::Fixed {
                places.total = range.end;
            }
            match tensor.role {
                Role::Trained => places.module.push(Some(range)),
                Role::Fixed => places.module.push(None),
                Role::Buffer => places.buffers.push(range),
            }
        }
        places
    }

    /// The vector that travels.
    pub(crate) fn flatten<N: Network>(&self, built: &Built<N>) -> Vec<f32> {
        let mut sink = Sink { places: &self.module, tensor: 0, flat: vec![0.0; self.total] };
        built.network.visit(&mut sink);
        let averages = built.averages.iter().flatten();
        let tensors = averages.flat_map(|average| [&average.mean, &average.variance]);
        for (range, tensor) in self.buffers.iter().zip(tensors) {
            let data = tensor.clone().into_data();
            sink.flat[range.clone()].iter_mut().zip(data.iter::<f32>()).for_each(|(x, y)| *x = y);
        }
        sink.flat
    }
}

/// Puts tensors where they belong.
struct Sink<'a> {
    places: &'a [Option<Range<usize>>],
    tensor: usize,
    flat: Vec<f32>,
}

impl ModuleVisitor for Sink<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let place = self.places.get(self.tensor).and_then(Option::as_ref);
        self.tensor += 1;
        if let Some(range) = place {
            let data = parameter.val().into_data();
            let numbers = data.iter::<f32>();
            self.flat[range.clone()].iter_mut().zip(numbers).for_each(|(x, y)| *x = y);
        }
    }
}
