//! A plan made ready for training: its model, the manifest of its parameters, and how to train.

mod maker;

use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::plan::{Body, Code, Data, Family, Goal, Plan, Start, Target, Training};
use covey_aggregation::shape::{Blueprint, Initial, Role, Shape, Tensor};
use covey_aggregation::strategy::Strategy;

use crate::family::{self, AnyFamily, Form};
use crate::footprint::{Footprint, Parameters, activation_bytes};
use crate::manifest::{Manifest, parameters_digest};
use crate::metrics::Meter;
use crate::network::Places;
use crate::random::{stream, unit_f32};

use maker::Maker;

/// What there is to learn. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Task {
    inner: Arc<Inner>,
    training: Arc<Training>,
    /// The parameters that the plan starts from, where they are here.
    start: Option<Arc<Vec<f32>>>,
}

#[derive(Debug)]
struct Inner {
    body: Maker,
    tensors: Vec<Tensor>,
    places: Places,
    manifest: Manifest,
    manifest_digest: Digest,
    /// That of the model without adapters.
    base_manifest: Manifest,
    start: Option<Start>,
    has_adapters: bool,
    /// mu of FedProx.
    proximal: Option<f64>,
    /// Vectors that the strategy keeps beside the parameters while training.
    terms: u64,
    input: Shape,
    goal: Goal,
    unit: f64,
    seed: u64,
}

/// The plan is well-formed, but this program cannot make its model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "error[{}] line {line}, column {column}: model.family {name:?}: {problem}\n  help: {help}",
    Code::Family
)]
pub struct TaskError {
    /// The family that the plan asks for.
    pub name: String,
    /// Line in the plan, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
    /// Why it cannot be made.
    pub problem: String,
    /// What to do.
    pub help: String,
}

/// The parameters given are not those that the plan starts from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The plan starts from fresh parameters.
    #[error("the plan starts from fresh parameters: it has no model.start")]
    NotAsked,
    /// Another model's.
    #[error("{got} parameters were given, the model that the plan starts from has {expected}")]
    Length {
        /// Length of the vector.
        expected: u64,
        /// Length given.
        got: usize,
    },
    /// Other numbers.
    #[error(
        "the parameters have the digest {got}, the plan starts from {expected}; give the file \
         that the plan means, or write the file's digest into model.start"
    )]
    Digest {
        /// The plan's.
        expected: Digest,
        /// That of what was given.
        got: Digest,
    },
}

impl Task {
    /// The model of a plan.
    ///
    /// # Errors
    /// [`TaskError`] when the plan asks for a family that this program does not have, or gives
    /// it arguments that it cannot use.
    pub fn from_plan(plan: &Plan) -> Result<Self, TaskError> {
        let (input, goal) = (Shape::of(&plan.data), plan.data.goal());
        let (body, tensors) = match (&plan.model.body, plan.blueprint()) {
            (Body::Layers(_), Some(blueprint)) => {
                (Maker::Layers(blueprint.clone()), blueprint.tensors.clone())
            }
            (Body::Family(asked), _) => {
                let form = Form { args: asked.args.clone(), input, goal };
                let family = find(asked)?;
                let tensors = family.tensors(&form).map_err(|problem| {
                    let help = "change model.args as it says".to_owned();
                    fault(asked, problem, help)
                })?;
                (Maker::Family(family, form), tensors)
            }
            (Body::Layers(_), None) => unreachable!("a plan of layers has their shapes"),
        };
        let manifest = Manifest::of(&tensors);
        let base: Vec<Tensor> = tensors
            .iter()
            .filter(|tensor| plan.model.lora.is_none() || tensor.role == Role::Fixed)
            .map(|tensor| match tensor.role {
                Role::Fixed => Tensor { role: Role::Trained, ..tensor.clone() },
                _ => tensor.clone(),
            })
            .collect();
        let inner = Inner {
            places: Places::of(&tensors),
            manifest_digest: manifest.digest(),
            manifest,
            base_manifest: Manifest::of(&base),
            start: plan.model.start.clone(),
            has_adapters: plan.model.lora.is_some(),
            body,
            tensors,
            proximal: match plan.strategy {
                Strategy::FedProx { mu } => Some(mu),
                _ => None,
            },
            terms: match plan.strategy {
                Strategy::FedProx { .. } | Strategy::Scaffold { .. } => 1,
                _ => 0,
            },
            input,
            goal,
            unit: unit(&plan.data),
            seed: plan.seed,
        };
        let training = Arc::new(plan.training.clone());
        Ok(Self { inner: Arc::new(inner), training, start: None })
    }

    /// The parameters that the plan starts from, if it does: a client fetches them by this
    /// digest.
    #[must_use]
    pub fn start(&self) -> Option<&Start> {
        self.inner.start.as_ref()
    }

    /// The vector that the plan starts from, where it is here.
    #[must_use]
    pub fn start_parameters(&self) -> Option<&[f32]> {
        self.start.as_ref().map(|start| start.as_slice())
    }

    /// The tensors of the vector that the plan starts from: the model's own, without adapters.
    #[must_use]
    pub fn start_manifest(&self) -> &Manifest {
        &self.inner.base_manifest
    }

    /// Whether nothing can be done before the vector that the plan starts from is here. Without
    /// adapters, only who makes the first round's model needs it.
    #[must_use]
    pub fn needs_start(&self) -> bool {
        self.inner.has_adapters && self.start.is_none()
    }

    /// The same task with the vector that the plan starts from.
    ///
    /// # Errors
    /// [`StartError`] when it is not the one that the plan pins.
    pub fn started(&self, parameters: Vec<f32>) -> Result<Self, StartError> {
        let start = self.start().ok_or(StartError::NotAsked)?;
        let manifest = self.start_manifest();
        let expected = manifest.parameters();
        if parameters.len() as u64 != expected {
            return Err(StartError::Length { expected, got: parameters.len() });
        }
        let got = parameters_digest(&manifest.digest(), &parameters);
        if got != start.digest {
            return Err(StartError::Digest { expected: start.digest, got });
        }
        Ok(Self { start: Some(Arc::new(parameters)), ..self.clone() })
    }

    /// The tensors of the flat parameter vector.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// The manifest's digest, as in `RoundConfig::manifest`.
    #[must_use]
    pub fn manifest_digest(&self) -> Digest {
        self.inner.manifest_digest
    }

    /// The digest of a parameter vector of this task, as in `RoundConfig::model`.
    #[must_use]
    pub fn parameters_digest(&self, parameters: &[f32]) -> Digest {
        parameters_digest(&self.inner.manifest_digest, parameters)
    }

    /// Length of the parameter vector.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.inner.manifest.parameters() as usize
    }

    /// What the model answers.
    #[must_use]
    pub fn goal(&self) -> Goal {
        self.inner.goal
    }

    /// Classes that the model tells apart; 0 where it predicts something else.
    #[must_use]
    pub fn classes(&self) -> usize {
        match self.goal() {
            Goal::Class(classes) => classes as usize,
            Goal::Number | Goal::NextToken(_) => 0,
        }
    }

    /// The memory that training or measuring takes, estimated.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let Inner { tensors, terms, .. } = self.inner.as_ref();
        let fixed = tensors.iter().filter(|tensor| tensor.role == Role::Fixed);
        let parameters = Parameters {
            trained: self.parameters() as u64,
            largest: tensors.iter().map(Tensor::elements).max().unwrap_or(0),
            fixed: fixed.map(Tensor::elements).sum(),
            optimizer: self.training.optimizer,
            terms: *terms,
        };
        let batch_size = u64::from(self.training.batch_size);
        let blueprint = self.blueprint();
        Footprint {
            parameter_bytes: parameters.bytes(),
            activation_bytes: blueprint.map(|blueprint| activation_bytes(blueprint, batch_size)),
        }
    }

    /// The shape of one example.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.inner.input
    }

    /// Numbers of one example; of text, the tokens of a window.
    #[must_use]
    pub fn features(&self) -> usize {
        self.inner.input.elements() as usize
    }

    /// What an error of one is in the units of the file, where a number is predicted.
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.inner.unit
    }

    /// The parameters that a run begins with, the same on every machine: those that the plan
    /// starts from, where they are here, and else fresh ones. Of those, each tensor is drawn from
    /// the plan's seed, its name and its shape alone. Weights are uniform in
    /// `+-sqrt(1 / fan_in)`, offsets zero, scales one. Adapters always are fresh.
    #[must_use]
    pub fn initial_parameters(&self) -> Vec<f32> {
        if let (Some(start), false) = (&self.start, self.inner.has_adapters) {
            return start.to_vec();
        }
        let mut parameters = Vec::with_capacity(self.parameters());
        for tensor in self.inner.tensors.iter().filter(|tensor| tensor.role != Role::Fixed) {
            initialise(tensor, self.inner.seed, &mut parameters);
        }
        parameters
    }

    pub(crate) fn training(&self) -> &Training {
        &self.training
    }

    /// The same task, trained in another way.
    pub(crate) fn trained_as(&self, training: Training) -> Self {
        Self { training: Arc::new(training), ..self.clone() }
    }

    /// mu of FedProx, where the plan asks for it: `mu (w - w0)` is added to every step's
    /// gradient, where w0 are the parameters that the fit begins with.
    pub(crate) fn proximal(&self) -> Option<f64> {
        self.inner.proximal
    }

    pub(crate) fn places(&self) -> &Places {
        &self.inner.places
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.goal(), self.training.loss, self.inner.unit)
    }

    /// The model's layers; none of a family.
    pub(crate) fn blueprint(&self) -> Option<&Blueprint> {
        match &self.inner.body {
            Maker::Layers(blueprint) => Some(blueprint),
            Maker::Family(..) => None,
        }
    }

    /// The fixed numbers, where there are any.
    pub(crate) fn base(&self) -> &[f32] {
        let base = self.start.as_ref().filter(|_| self.inner.has_adapters);
        base.map_or(&[], |base| base.as_slice())
    }
}

fn find(asked: &Family) -> Result<Arc<dyn AnyFamily>, TaskError> {
    family::find(&asked.name).ok_or_else(|| {
        let problem = "this program has no such family".to_owned();
        let help = match &family::names()[..] {
            [] => "list layers, or use programs into which the family is compiled".to_owned(),
            names => format!("this program has {}", names.join(", ")),
        };
        fault(asked, problem, help)
    })
}

fn fault(asked: &Family, problem: String, help: String) -> TaskError {
    let Family { name, line, column, .. } = asked;
    TaskError { name: name.clone(), line: *line, column: *column, problem, help }
}

/// What an error of one is in the units of the file.
fn unit(data: &Data) -> f64 {
    match data {
        Data::Tabular(tabular) => match &tabular.target {
            Target::Number(numeric) => numeric.scale.unit(),
            Target::Classes(_) => 1.0,
        },
        Data::Image(_) | Data::Text(_) => 1.0,
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
