//! What is done to a step's gradient before the optimiser sees it: the proximal term, the
//! offset, and the clipping of its global norm, in this order.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// Avoids a division by zero; far below any norm that is clipped.
const NORM_EPSILON: f64 = 1e-12;

/// Terms that stay the same from step to step, tensor by tensor in the model's order, on the
/// plain device.
pub(crate) struct Terms {
    proximal: Option<Proximal>,
    offsets: Option<Vec<Option<Tensor<1>>>>,
    norm_max: Option<f64>,
}

/// FedProx (Li et al., 2020): `mu / 2 |w - anchor|^2` is added to the loss.
struct Proximal {
    mu: f64,
    anchors: Vec<Option<Tensor<1>>>,
}

/// What a fit wants done to its gradients.
pub(crate) struct Wanted<'a> {
    /// FedProx's factor, and the vector that it pulls towards.
    pub(crate) proximal: Option<(f64, &'a [f32])>,
    /// Added to every gradient.
    pub(crate) offset: Option<&'a [f32]>,
    /// The largest L2 norm of the whole gradient.
    pub(crate) norm_max: Option<f64>,
}

impl Terms {
    /// `places` says for every tensor of the model where it lies in the flat vector, if it does.
    pub(crate) fn new(
        wanted: &Wanted<'_>,
        places: &[Option<Range<usize>>],
        device: &Device,
    ) -> Self {
        let tensors = |flat: &[f32]| -> Vec<_> {
            let tensor = |place: &Range<usize>| {
                let data = TensorData::new(flat[place.clone()].to_vec(), [place.len()]);
                Tensor::from_data(data, device)
            };
            places.iter().map(|place| place.as_ref().map(tensor)).collect()
        };
        let proximal = wanted.proximal.map(|(mu, flat)| Proximal { mu, anchors: tensors(flat) });
        let offsets = wanted.offset.map(tensors);
        Self { proximal, offsets, norm_max: wanted.norm_max }
    }

    /// Applies all terms.
    pub(crate) fn apply<M: Module>(&self, model: &M, gradients: &mut GradientsParams) {
        if self.proximal.is_some() || self.offsets.is_some() {
            model.visit(&mut Add { terms: self, gradients, tensor: 0 });
        }
        if let Some(norm_max) = self.norm_max {
            let norm = global_norm(model, gradients);
            // A norm that is no number is left alone: the step's loss or update tells of it.
            if norm > norm_max && norm.is_finite() {
                let factor = norm_max / (norm + NORM_EPSILON);
                model.visit(&mut Scale { factor, gradients });
            }
        }
    }
}

/// The L2 norm over all gradients.
pub(crate) fn global_norm<M: Module>(model: &M, gradients: &mut GradientsParams) -> f64 {
    let mut squares = Squares { gradients, sums: Vec::new() };
    model.visit(&mut squares);
    if squares.sums.is_empty() {
        return 0.0;
    }
    // One transfer for all tensors.
    let sums = Tensor::cat(squares.sums, 0).into_data();
    sums.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
}

struct Add<'a> {
    terms: &'a Terms,
    gradients: &'a mut GradientsParams,
    tensor: usize,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = self.tensor;
        self.tensor += 1;
        let Some(mut gradient) = self.gradients.remove::<D>(parameter.id) else { return };
        let dimensions = gradient.dims();
        let term = |terms: &[Option<Tensor<1>>]| {
            let term = terms.get(tensor).and_then(Option::as_ref);
            term.map(|term| term.clone().reshape(dimensions))
        };
        if let Some(Proximal { mu, anchors }) = &self.terms.proximal
            && let Some(anchor) = term(anchors)
        {
            gradient = gradient + (parameter.val().inner() - anchor).mul_scalar(*mu);
        }
        if let Some(offset) = self.terms.offsets.as_ref().and_then(|offsets| term(offsets)) {
            gradient = gradient + offset;
        }
        self.gradients.register(parameter.id, gradient);
    }
}

struct Squares<'a> {
    gradients: &'a mut GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            self.sums.push((gradient.clone() * gradient).sum());
        }
    }
}

struct Scale<'a> {
    factor: f64,
    gradients: &'a mut GradientsParams,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            self.gradients.register(parameter.id, gradient.mul_scalar(self.factor));
        }
    }
}
