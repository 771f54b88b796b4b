//! Models that owners compile into their programs: a plan names them, and no code travels.
//!
//! A family is registered once, at the beginning of the program, under the name by which plans
//! ask for it (`family = "..."`). Whoever takes part needs it: the coordinator as well, because
//! it names the model's tensors in every round. A program with a family of one's own is a short
//! one:
//!
//! ```text
//! fn main() -> std::process::ExitCode {
//!     covey_model::family::register(MyFamily);
//!     covey_client::main(std::env::args_os())
//! }
//! ```
//!
//! `examples/src/bin/own_model.rs` is a whole one, with a model.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use covey_aggregation::plan::{Arg, Goal};
use covey_aggregation::shape::{Initial, Role, Shape, Tensor as Described};

use crate::data::Dataset;
use crate::evaluate::{Take, answers};
use crate::fit::run_fit;
use crate::model::Precision;
use crate::network::Built;
use crate::record::{Asked, Way, run_records, sum_records};
use crate::slope::slope;
use crate::train::{FitContext, FitError, FitReport, Trainer};

pub use crate::model::{Input, Network, Pass};

/// What a family is asked to build.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The plan's `args`.
    pub args: BTreeMap<String, Arg>,
    /// One example. Images are given as rows of numbers, channel by channel.
    pub input: Shape,
    /// What is to be answered; a model has [`Goal::outputs`] numbers in each row of its outputs.
    pub goal: Goal,
}

impl Form {
    /// Whether the examples are windows of text.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.input, Shape::Tokens { .. })
    }

    /// A whole number among the arguments.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn whole(&self, name: &str) -> Result<usize, String> {
        match self.args.get(name) {
            Some(Arg::Number(number)) if *number >= 1.0 && number.fract() == 0.0 => {
                Ok(*number as usize)
            }
            Some(_) => Err(format!("args.{name} must be a whole number from 1")),
            None => Err(format!("args.{name} is missing: a whole number from 1")),
        }
    }
}

/// A model of an owner's own. Its floating-point tensors are its parameters, all of them trained;
/// running averages such as those of burn's batchnorm cannot be used.
pub trait Family: Send + Sync + 'static {
    /// The burn module.
    type Network: Network;

    /// The name by which plans ask for it.
    fn name(&self) -> &str;

    /// Builds the module. What its tensors hold does not matter: they are overwritten.
    ///
    /// # Errors
    /// Why the form cannot be built, in words for the researcher.
    fn build(&self, form: &Form, device: &Device) -> Result<Self::Network, String>;

    /// How a tensor begins in a fresh run. By default, offsets (`bias`, `beta`) at zero, scales
    /// (`gamma`) at one, other tensors uniform in `+-sqrt(1 / n)` with n the product of all
    /// sizes but the last (of convolutions, but the first).
    fn initial(&self, name: &str, dimensions: &[u64]) -> Initial {
        match name.rsplit('.').next() {
            Some("bias" | "beta") => Initial::Zeros,
            Some("gamma") => Initial::Ones,
            _ => {
                let fan_in = match dimensions {
                    [_, rest @ ..] if dimensions.len() > 2 => rest.iter().product(),
                    [rest @ .., _] => rest.iter().product(),
                    [] => 1,
                };
                Initial::Uniform { fan_in: u64::max(fan_in, 1) }
            }
        }
    }
}

static FAMILIES: RwLock<BTreeMap<String, Arc<dyn AnyFamily>>> = RwLock::new(BTreeMap::new());

/// Registers a family for all plans that are read from now on, in place of another of its name.
pub fn register(family: impl Family) {
    let name = family.name().to_owned();
    FAMILIES.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(family));
}

pub(crate) fn find(name: &str) -> Option<Arc<dyn AnyFamily>> {
    FAMILIES.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
}

pub(crate) fn names() -> Vec<String> {
    FAMILIES.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}

/// A family of any type of network.
pub(crate) trait AnyFamily: Send + Sync {
    fn tensors(&self, form: &Form) -> Result<Vec<Described>, String>;
    fn fit(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError>;
    fn fit_records(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        asked: &Asked<'_>,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError>;
    fn sum_records(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        clip_norm: f64,
    ) -> Result<Vec<f64>, FitError>;
    fn slope(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
    ) -> Result<Vec<f32>, FitError>;
    fn answers(
        &self,
        form: &Form,
        parameters: &[f32],
        data: &Dataset,
        device: &Device,
        take: Take<'_>,
    ) -> Result<(), FitError>;
}

impl<F: Family> AnyFamily for F {
    fn tensors(&self, form: &Form) -> Result<Vec<Described>, String> {
        let network = self.build(form, &Device::flex().autodiff())?;
        let mut names = Names::default();
        network.visit(&mut names);
        if let Some(name) = names.untracked {
            return Err(format!("{name} is not trained, but every tensor of a family must be"));
        }
        let described = names.tensors.into_iter().map(|(name, dimensions)| {
            let initial = self.initial(&name, &dimensions);
            Described { name, dimensions, initial, role: Role::Trained }
        });
        Ok(described.collect())
    }

    fn fit(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        let build = |device: &Device| loaded(self, form, parameters, device);
        // A module of an owner's own may make tensors of its own, which then are f32.
        run_fit(trainer, Precision::F32, &build, parameters, data, context)
    }

    fn fit_records(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        asked: &Asked<'_>,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        let build = |device: &Device| loaded(self, form, parameters, device);
        run_records(trainer, &build, parameters, asked, context)
    }

    fn sum_records(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        clip_norm: f64,
    ) -> Result<Vec<f64>, FitError> {
        let build = |device: &Device| loaded(self, form, parameters, device);
        sum_records(trainer, &build, data, clip_norm, Way::OneByOne)
    }

    fn slope(
        &self,
        form: &Form,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
    ) -> Result<Vec<f32>, FitError> {
        let build = |device: &Device| loaded(self, form, parameters, device);
        slope(trainer, &build, data)
    }

    fn answers(
        &self,
        form: &Form,
        parameters: &[f32],
        data: &Dataset,
        device: &Device,
        take: Take<'_>,
    ) -> Result<(), FitError> {
        let built = loaded(self, form, parameters, device)?;
        answers(&built.network, built.averages, data, device, take)
    }
}

fn loaded<F: Family>(
    family: &F,
    form: &Form,
    parameters: &[f32],
    device: &Device,
) -> Result<Built<F::Network>, FitError> {
    let network = family.build(form, device).map_err(|reason| FitError::Fault { reason })?;
    let mut loader = Loader { rest: parameters, missing: 0 };
    let network = network.map(&mut loader);
    let built = match (loader.rest.len(), loader.missing) {
        (0, 0) => return Ok(Built { network, averages: Vec::new() }),
        (more, 0) => parameters.len() - more,
        (_, missing) => parameters.len() + missing,
    };
    let (name, expected) = (family.name(), parameters.len());
    let reason = format!(
        "the family {name} built a model of {built} parameters for a plan whose model has \
         {expected}; its `build` must give the same model each time"
    );
    Err(FitError::Fault { reason })
}

/// Collects names and sizes.
#[derive(Default)]
struct Names {
    path: Vec<String>,
    tensors: Vec<(String, Vec<u64>)>,
    untracked: Option<String>,
}

impl ModuleVisitor for Names {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if !parameter.val().is_require_grad() {
            self.untracked.get_or_insert_with(|| name.clone());
        }
        let shape = parameter.lazy_shape();
        self.tensors.push((name, shape.iter().map(|&size| size as u64).collect()));
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

/// Loads a flat vector.
struct Loader<'a> {
    rest: &'a [f32],
    /// Numbers that it is too short by.
    missing: usize,
}

impl ModuleMapper for Loader<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dimensions: [usize; D] = parameter.lazy_shape().dims();
        let size = dimensions.iter().product();
        let Some((numbers, rest)) = self.rest.split_at_checked(size) else {
            self.missing += size - self.rest.len();
            self.rest = &[];
            return parameter;
        };
        self.rest = rest;
        let data = TensorData::new(numbers.to_vec(), dimensions);
        let tensor = Tensor::from_data(data, &parameter.lazy_device());
        let id = parameter.id;
        parameter.transform_for_load(tensor, id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn::nn::{Linear, LinearConfig};
    use covey_aggregation::plan::Plan;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::model::tests::{IMAGE, plan_text};
    use crate::task::Task;
    use crate::train::{Cancel, FitSeed};

    #[derive(Module, Debug)]
    struct Narrow {
        first: Linear,
        second: Linear,
    }

    impl Network for Narrow {
        fn forward(&self, input: Input, _pass: &mut Pass<'_>) -> Tensor<2> {
            let Input::Rows(x) = input else { panic!("rows of numbers only") };
            self.second.forward(self.first.forward(x))
        }
    }

    /// Its models are as wide as the next of these.
    struct Changing {
        name: &'static str,
        widths: [usize; 2],
        built: AtomicUsize,
    }

    impl Family for Changing {
        type Network = Narrow;

        fn name(&self) -> &str {
            self.name
        }

        fn build(&self, form: &Form, device: &Device) -> Result<Narrow, String> {
            let (inputs, outputs) = (form.input.elements() as usize, form.goal.outputs() as usize);
            let width = self.widths[self.built.fetch_add(1, Ordering::Relaxed).min(1)];
            Ok(Narrow {
                first: LinearConfig::new(inputs, width).init(device),
                second: LinearConfig::new(width, outputs).init(device),
            })
        }
    }

    #[test]
    fn a_family_that_builds_another_size_the_second_time_is_refused() {
        for (name, widths, built) in [
            ("same", [4, 4], None),
            ("smaller", [4, 2], Some("203 parameters for a plan whose model has 403")),
            ("larger", [2, 4], Some("403 parameters for a plan whose model has 203")),
        ] {
            register(Changing { name, widths, built: AtomicUsize::new(0) });
            let text = plan_text(IMAGE, "").replace("layers = []", &format!("family = \"{name}\""));
            let plan = Plan::parse(&text).expect("a plan");
            let task = Task::from_plan(&plan).expect("a model");
            let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor");
            let data = Dataset::new(vec![0.5; 8 * 96], vec![1; 8], 96, 3).expect("a data set");
            let (cancel, mut progress) = (Cancel::new(), |_| ());
            let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
            let parameters = vec![0.0; task.parameters()];
            let fitted = trainer.fit(&parameters, &data, context).map(|report| report.update.len());
            let measured = trainer.evaluate(&parameters, &data).map(|metrics| metrics.count);
            let slope = trainer.gradient(&parameters, &data).map(|gradient| gradient.len());
            match built {
                None => {
                    let all = Ok(parameters.len());
                    assert_eq!((fitted, measured, slope), (all.clone(), Ok(8), all));
                }
                Some(built) => {
                    let errors = [
                        fitted.expect_err(name),
                        measured.expect_err(name),
                        slope.expect_err(name),
                    ];
                    for error in errors {
                        assert!(error.to_string().contains(built), "{error}");
                    }
                }
            }
        }
    }
}
