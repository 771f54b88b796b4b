//! What local training adds to its gradients: SCAFFOLD's offset, FedProx's pull towards the
//! parameters that the round began with.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::model::Model;

/// What is added to the gradient of every step.
#[derive(Clone, Copy, Default)]
pub(crate) struct Correction<'a> {
    /// Added as it is, in the order of the flat vector (SCAFFOLD: `c - c_i`).
    pub(crate) offset: Option<&'a [f32]>,
    /// mu, and the parameters w0: `mu (w - w0)` is added (FedProx).
    pub(crate) pull: Option<(f64, &'a [f32])>,
}

impl Correction<'_> {
    pub(crate) fn apply(&self, model: &Model, mut gradients: GradientsParams) -> GradientsParams {
        if self.offset.is_some() || self.pull.is_some() {
            let mut corrector = Corrector { rule: self, gradients: &mut gradients, position: 0 };
            model.visit(&mut corrector);
        }
        gradients
    }
}

struct Corrector<'a> {
    rule: &'a Correction<'a>,
    gradients: &'a mut GradientsParams,
    position: usize,
}

impl ModuleVisitor for Corrector<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let value = parameter.val().inner();
        let dimensions = value.dims();
        let start = self.position;
        self.position += dimensions.iter().product::<usize>();
        let Some(mut gradient) = self.gradients.remove::<D>(parameter.id) else { return };
        let device = gradient.device();
        let tensor = |numbers: &[f32]| {
            let numbers = numbers[start..self.position].to_vec();
            Tensor::<D>::from_data(TensorData::new(numbers, dimensions), &device)
        };
        if let Some(offset) = self.rule.offset {
            gradient = gradient + tensor(offset);
        }
        if let Some((mu, origin)) = self.rule.pull {
            gradient = gradient + (value - tensor(origin)) * mu;
        }
        self.gradients.register(parameter.id, gradient);
    }
}
