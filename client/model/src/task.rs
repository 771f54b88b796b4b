//! A plan made ready for training: its model, the manifest of its parameters, and how to train.

use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::plan::{Plan, Training};
use covey_aggregation::strategy::Strategy;

use crate::manifest::{Manifest, parameters_digest};
use crate::random::{stream, unit_f32};
use crate::shape::{self, Blueprint, Initial, Shape, ShapeError, Tensor};

/// What there is to learn. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Task(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blueprint: Blueprint,
    manifest: Manifest,
    manifest_digest: Digest,
    training: Training,
    /// mu of FedProx.
    proximal: Option<f64>,
    seed: u64,
}

impl Task {
    /// Infers the model of a plan.
    ///
    /// # Errors
    /// [`ShapeError`] with the first layer that does not fit the ones before it.
    pub fn from_plan(plan: &Plan) -> Result<Self, ShapeError> {
        let classes = plan.data.classes().len();
        let blueprint = shape::infer(&plan.layers, Shape::of(&plan.data), classes)?;
        let manifest = Manifest::of(&blueprint);
        Ok(Self(Arc::new(Inner {
            manifest_digest: manifest.digest(),
            blueprint,
            manifest,
            training: plan.training.clone(),
            proximal: match plan.strategy {
                Strategy::FedProx { mu } => Some(mu),
                _ => None,
            },
            seed: plan.seed,
        })))
    }

    /// The tensors of the flat parameter vector.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The manifest's digest, as in `RoundConfig::manifest`.
    #[must_use]
    pub fn manifest_digest(&self) -> Digest {
        self.0.manifest_digest
    }

    /// The digest of a parameter vector of this task, as in `RoundConfig::model`.
    #[must_use]
    pub fn parameters_digest(&self, parameters: &[f32]) -> Digest {
        parameters_digest(&self.0.manifest_digest, parameters)
    }

    /// Length of the parameter vector.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.0.manifest.parameters() as usize
    }

    /// Classes that the model tells apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.0.blueprint.classes
    }

    /// The shape of one example.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.0.blueprint.input
    }

    /// Numbers of one example.
    #[must_use]
    pub fn features(&self) -> usize {
        self.0.blueprint.input.elements() as usize
    }

    /// The parameters that a run begins with, the same on every machine: each tensor is drawn
    /// from the plan's seed, its name and its shape alone. Weights are uniform in
    /// `+-sqrt(1 / fan_in)`, offsets zero, scales one.
    #[must_use]
    pub fn initial_parameters(&self) -> Vec<f32> {
        let mut parameters = Vec::with_capacity(self.parameters());
        for tensor in &self.0.blueprint.tensors {
            initialise(tensor, self.0.seed, &mut parameters);
        }
        parameters
    }

    pub(crate) fn blueprint(&self) -> &Blueprint {
        &self.0.blueprint
    }

    /// mu of FedProx, where the plan asks for it.
    pub(crate) fn proximal(&self) -> Option<f64> {
        self.0.proximal
    }

    pub(crate) fn training(&self) -> &Training {
        &self.0.training
    }
}

fn initialise(tensor: &Tensor, seed: u64, parameters: &mut Vec<f32>) {
    let elements = tensor.elements() as usize;
    match tensor.initial {
        Initial::Ones => parameters.extend(std::iter::repeat_n(1.0, elements)),
        Initial::Zeros => parameters.extend(std::iter::repeat_n(0.0, elements)),
        Initial::Uniform { fan_in } => {
            let shape: Vec<u8> =
                tensor.dimensions.iter().flat_map(|size| size.to_le_bytes()).collect();
            let parts = [&seed.to_le_bytes()[..], tensor.name.as_bytes(), &shape];
            let mut rng = stream("initial-parameters", &parts);
            let bound = (1.0 / fan_in as f64).sqrt() as f32;
            let draws = (0..elements).map(|_| (2.0 * unit_f32(&mut rng) - 1.0) * bound);
            parameters.extend(draws);
        }
    }
}
