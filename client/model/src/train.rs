//! Training on one owner's data: same parameters, data and seed, bit-identical update (on the
//! same kind of machine), also with other trainers at work in the same process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use covey_aggregation::party::PartyId;
use covey_aggregation::plan::{Goal, Training};
use covey_aggregation::shape::Shape;
use rand_chacha::ChaCha8Rng;

use crate::data::{Dataset, Inputs, Targets};
use crate::device::{Compute, DeviceError, DeviceRules};
use crate::heap;
use crate::random::{key, stream};
use crate::record::RecordRefusal;
use crate::task::Task;

/// Trains and evaluates one task on one device. One per thread of work; they do not disturb
/// each other.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(crate) task: Task,
    compute: Compute,
    /// Whether the processor may take over from a card that fails.
    may_use_cpu: bool,
    /// The processor, once it has.
    spare: Arc<OnceLock<Compute>>,
}

/// The seed of everything that one fit draws: the order of examples, and dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitSeed(pub [u8; 32]);

impl FitSeed {
    /// The seed of one client's fit in one round of a plan.
    #[must_use]
    pub fn derive(plan_seed: u64, round: u32, client: &PartyId) -> Self {
        let parts = [&plan_seed.to_le_bytes()[..], &round.to_le_bytes(), &client.0];
        Self(key("fit", &parts).0)
    }

    /// What rounds this fit's update to integers. It hangs on public values alone, as all of a
    /// fit does, so that a run can be done again to the same models: rounding at random keeps the
    /// mean right, it hides nothing.
    #[must_use]
    pub fn rounding(&self) -> ChaCha8Rng {
        stream("rounding", &[&self.0])
    }
}

/// Asks a fit to stop after its present step. Clones ask the same fit.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not yet asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a fit has come; told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done, from 1.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Pass over the data, from 1.
    pub epoch: u32,
    /// Mean loss of the step's examples.
    pub loss: f32,
}

/// What a fit is given beside parameters and data.
pub struct FitContext<'a> {
    /// Everything that is drawn follows from it.
    pub seed: FitSeed,
    /// Looked at between steps.
    pub cancel: &'a Cancel,
    /// Called after every step.
    pub progress: &'a mut dyn FnMut(Progress),
    /// The round's number, from 1: where the run's learning-rate schedule stands.
    pub round: u32,
    /// Added to every step's gradient, in the order of the flat vector (SCAFFOLD's `c - c_i`).
    pub gradient_offset: Option<&'a [f32]>,
    /// The owner's examples that are not trained on. An early stop that watches them does
    /// nothing where there are none.
    pub holdout: Option<&'a Dataset>,
}

impl<'a> FitContext<'a> {
    /// The context of round 1 of a fit without an offset.
    pub fn new(seed: FitSeed, cancel: &'a Cancel, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self { seed, cancel, progress, round: 1, gradient_offset: None, holdout: None }
    }

    /// The same context for another attempt.
    pub(crate) fn again(&mut self) -> FitContext<'_> {
        FitContext { progress: &mut *self.progress, ..*self }
    }

    /// The same in round `round`, from 1.
    #[must_use]
    pub const fn in_round(mut self, round: u32) -> Self {
        self.round = round;
        self
    }

    /// The same with examples that an early stop may watch.
    #[must_use]
    pub const fn watching(mut self, holdout: Option<&'a Dataset>) -> Self {
        self.holdout = holdout;
        self
    }
}

/// What training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// New parameters minus old ones.
    pub update: Vec<f32>,
    /// Examples of the data set.
    pub examples: u32,
    /// Mean loss over the last pass, as it was seen while training. No noise is on it, also not
    /// after [`Trainer::fit_records`]: where examples are to be private, it is for the owner's eyes
    /// alone.
    pub loss: f32,
    /// Training steps done.
    pub steps: u64,
    /// The learning rates of all steps, added up: with plain SGD the update is minus the mean
    /// gradient times this.
    pub lr_sum: f64,
    /// Whether the plan's early stop ended it.
    pub is_stopped_early: bool,
}

impl FitReport {
    /// Examples that were trained on, each as often as it was, in batches of `batch_size`.
    #[must_use]
    pub fn seen(&self, batch_size: u32) -> u64 {
        let (examples, batch) = (u64::from(self.examples), u64::from(batch_size).max(1));
        let pass_steps = examples.div_ceil(batch).max(1);
        let (passes, rest) = (self.steps / pass_steps, self.steps % pass_steps);
        passes.saturating_mul(examples).saturating_add(rest.saturating_mul(batch).min(examples))
    }
}

/// Training or evaluation could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The parameter vector is another model's.
    #[error("{got} parameters were given, the plan's model has {expected}")]
    Parameters {
        /// Length of the model's vector.
        expected: usize,
        /// Length given.
        got: usize,
    },
    /// The offset for gradients cannot be used.
    #[error("the gradient's offset cannot be used: {what}")]
    BadTerm {
        /// Which, and why.
        what: String,
    },
    /// The data set is another plan's.
    #[error(
        "the data has {got_features} numbers per example and {got_classes} classes, the plan's \
         model takes {features} and {classes}; load it with this plan's [data] section"
    )]
    Data {
        /// Numbers per example of the model.
        features: usize,
        /// Classes of the model.
        classes: usize,
        /// Numbers per example of the data.
        got_features: usize,
        /// Classes of the data.
        got_classes: usize,
    },
    /// The data set is of another kind than the plan's.
    #[error(
        "the data are {got}, the plan's model takes {expected}; load them with this plan's \
         [data] section"
    )]
    Form {
        /// What the model takes.
        expected: String,
        /// What the data are.
        got: String,
    },
    /// The adapters' base is missing.
    #[error("the model that the plan adapts is not here: fetch it by model.start's digest first")]
    NoBase,
    /// There is nothing to train on.
    #[error("the data set has no examples")]
    NoExamples,
    /// The parameters given hold a NaN or an infinity.
    #[error("parameter {index} is not a finite number; nothing was trained on it")]
    BadParameter {
        /// Its place in the vector.
        index: usize,
    },
    /// The loss or a parameter became NaN or infinite.
    #[error(
        "training diverged in step {step}: {what} is no longer a finite number; the plan needs \
         a smaller lr, or the data an input scaling"
    )]
    Diverged {
        /// Training step, from 1.
        step: u64,
        /// What it was seen on.
        what: &'static str,
    },
    /// The parameters and the data are finite, the model's outputs are not.
    #[error(
        "the model's outputs are not finite numbers: its parameters have grown beyond use, and \
         the run should go back to an earlier model or a smaller lr"
    )]
    BadOutputs,
    /// [`Cancel`] was asked.
    #[error("training was cancelled after step {step}")]
    Cancelled {
        /// Steps done.
        step: u64,
    },
    /// The owner allows no more of the card's memory.
    #[error(
        "{reserved} bytes of the card's memory are reserved, and device_memory_bytes_max is \
         {max}: raise it, let the processor take over (device_fallback = \"cpu\"), or use the \
         device cpu"
    )]
    DeviceMemory {
        /// Bytes reserved.
        reserved: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// What the plan asks for cannot be trained with privacy for every example.
    #[error(transparent)]
    Record(#[from] RecordRefusal),
    /// A fault in the numeric library or its driver.
    #[error("training stopped on an internal fault: {reason}")]
    Fault {
        /// What it said.
        reason: String,
    },
}

impl Trainer {
    /// A trainer of `task` on the device that the rules ask for, a [`DeviceChoice`] alone being
    /// rules as well.
    ///
    /// # Errors
    /// [`DeviceError`] when that device cannot be used, or the task is estimated to need more of
    /// its memory than the rules allow, and they do not let the processor take over.
    ///
    /// [`DeviceChoice`]: crate::device::DeviceChoice
    pub fn new(task: &Task, rules: impl Into<DeviceRules>) -> Result<Self, DeviceError> {
        let rules = rules.into();
        Self::on(Compute::resolve(rules)?, task, &rules)
    }

    pub(crate) fn on(
        compute: Compute,
        task: &Task,
        rules: &DeviceRules,
    ) -> Result<Self, DeviceError> {
        heap::keep();
        Ok(Self {
            compute: compute.with_room(task.footprint().bytes(), rules)?,
            task: task.clone(),
            may_use_cpu: rules.may_use_cpu(),
            spare: Arc::default(),
        })
    }

    /// The task.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Where it computes: the device that it began with, or, from the first fault of a card on,
    /// the processor, where the rules let that take over.
    #[must_use]
    pub fn compute(&self) -> &Compute {
        self.spare.get().unwrap_or(&self.compute)
    }

    /// Trains on `data` as the plan says, beginning with `parameters`. The optimiser's state
    /// begins and ends here.
    ///
    /// # Errors
    /// [`FitError`]; never a panic, also not for a fault inside the numeric library.
    pub fn fit(
        &self,
        parameters: &[f32],
        data: &Dataset,
        mut context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        self.check(parameters, data)?;
        check_terms(&context, parameters.len())?;
        if let Some(holdout) = context.holdout {
            self.check_form(holdout)?;
        }
        self.attempt(|| self.task.fit(self, parameters, data, context.again()))
    }

    /// Runs `work` on the device, and where that is a card that fails and the processor may take
    /// over, again on the processor.
    pub(crate) fn attempt<T>(
        &self,
        mut work: impl FnMut() -> Result<T, FitError>,
    ) -> Result<T, FitError> {
        let is_card = self.compute().is_card();
        match guarded(&mut work) {
            Err(error) if is_card && self.takes_over(&error) => guarded(work),
            ended => ended,
        }
    }

    /// The same trainer of a task that is trained in another way.
    pub(crate) fn trained_as(&self, training: Training) -> Self {
        Self { task: self.task.trained_as(training), ..self.clone() }
    }

    /// Whether the processor takes over after this error of a card.
    pub(crate) fn takes_over(&self, error: &FitError) -> bool {
        let is_of_card = matches!(error, FitError::Fault { .. } | FitError::DeviceMemory { .. });
        if is_of_card && self.may_use_cpu {
            // Another thread may have seen the card fail first.
            let _ = self.spare.set(Compute::instead(error));
        }
        is_of_card && self.may_use_cpu
    }

    /// Whether parameters and data are this task's.
    pub(crate) fn check(&self, parameters: &[f32], data: &Dataset) -> Result<(), FitError> {
        let task = &self.task;
        if parameters.len() != task.parameters() {
            return Err(FitError::Parameters {
                expected: task.parameters(),
                got: parameters.len(),
            });
        }
        if task.needs_start() {
            return Err(FitError::NoBase);
        }
        self.check_form(data)?;
        if data.is_empty() {
            return Err(FitError::NoExamples);
        }
        match parameters.iter().position(|parameter| !parameter.is_finite()) {
            Some(index) => Err(FitError::BadParameter { index }),
            None => Ok(()),
        }
    }

    /// Whether the data are of the plan's form.
    fn check_form(&self, data: &Dataset) -> Result<(), FitError> {
        let task = &self.task;
        let is_form = match (task.input(), task.goal(), data.inputs(), data.targets()) {
            (
                Shape::Tokens { vocabulary, .. },
                _,
                Inputs::Windows { vocabulary: got, .. },
                Targets::NextToken,
            ) => *got as u64 == vocabulary,
            (Shape::Tokens { .. }, ..) | (_, _, Inputs::Windows { .. }, _) => false,
            (_, goal, Inputs::Rows { .. }, targets) => {
                (goal == Goal::Number) == matches!(targets, Targets::Numbers(_))
            }
        };
        if !is_form {
            let expected = match (task.input(), task.goal()) {
                (Shape::Tokens { vocabulary, .. }, _) => format!("text of {vocabulary} tokens"),
                (_, Goal::Number) => "rows with a number each".to_owned(),
                _ => "rows with a class each".to_owned(),
            };
            return Err(FitError::Form { expected, got: form(data) });
        }
        if data.features() != task.features() || data.classes() != task.classes() {
            return Err(FitError::Data {
                features: task.features(),
                classes: task.classes(),
                got_features: data.features(),
                got_classes: data.classes(),
            });
        }
        Ok(())
    }
}

/// What a data set is, in words.
fn form(data: &Dataset) -> String {
    match (data.inputs(), data.targets()) {
        (Inputs::Windows { vocabulary, .. }, Targets::NextToken) => {
            format!("text of {vocabulary} tokens")
        }
        (Inputs::Windows { .. }, _) => "text with an answer for each window".to_owned(),
        (_, Targets::Numbers(_)) => "rows with a number each".to_owned(),
        _ => "rows with a class each".to_owned(),
    }
}

/// Whether the context's terms fit the model.
pub(crate) fn check_terms(context: &FitContext<'_>, parameters: usize) -> Result<(), FitError> {
    let bad = |what: String| Err(FitError::BadTerm { what });
    let Some(offset) = context.gradient_offset else { return Ok(()) };
    if offset.len() != parameters {
        return bad(format!("an offset of {} numbers for {parameters}", offset.len()));
    }
    match offset.iter().position(|number| !number.is_finite()) {
        Some(index) => bad(format!("number {index} of the offset is not finite")),
        None => Ok(()),
    }
}

/// Runs `work`; a panic inside it becomes an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, FitError>) -> Result<T, FitError> {
    // Everything that `work` changes is its own and is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Err(FitError::Fault { reason: text.unwrap_or("no reason given").to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceChoice, Fallback};
    use crate::evaluate::Answer;
    use crate::model::tests::{IMAGE, TEXT, plan};

    #[test]
    fn data_of_another_form_than_the_plans_are_told_from_its_own() {
        let number = "kind = \"tabular\"\n\
                      columns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }]\n\
                      target = { column = \"y\", type = \"float\" }";
        let plans = [
            (IMAGE, "{ kind = \"flatten\" }, { kind = \"linear\", out = 3 }"),
            (number, "{ kind = \"linear\", out = 1 }"),
            (TEXT, "{ kind = \"embedding\", out = 2 }, { kind = \"linear\", out = 5 }"),
        ];
        let windows = || Inputs::Windows {
            tokens: vec![0; 8].into(),
            starts: vec![0],
            length: 7,
            vocabulary: 5,
        };
        let labels = Targets::Classes { labels: vec![0], classes: 3 };
        let data = [
            Dataset::new(vec![0.0; 96], vec![0], 96, 3),
            Dataset::regression(vec![0.0], vec![0.0], 1),
            Dataset::from_parts(windows(), Targets::NextToken),
            Dataset::from_parts(windows(), labels),
            Dataset::from_parts(windows(), Targets::Numbers(vec![0.0])),
            Dataset::text(vec![0; 8].into(), vec![0], 7, 4),
        ];
        let data = data.map(|data| data.expect("a data set"));
        for (place, (section, layers)) in plans.into_iter().enumerate() {
            let task = Task::from_plan(&plan(section, layers)).expect("a model");
            let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor");
            let parameters = task.initial_parameters();
            for (number, data) in data.iter().enumerate() {
                let outcome = trainer.evaluate(&parameters, data);
                if number == place {
                    assert!(outcome.is_ok(), "{section}: {outcome:?}");
                } else {
                    let is_form = matches!(&outcome, Err(FitError::Form { expected, got })
                        if expected != got);
                    assert!(is_form, "{section}, data {number}: {outcome:?}");
                }
            }
        }
    }

    fn trainer(compute: Compute, rules: DeviceRules) -> (Trainer, Dataset) {
        let plan = plan(IMAGE, "{ kind = \"flatten\" }, { kind = \"linear\", out = 3 }");
        let task = Task::from_plan(&plan).expect("a model");
        let data = Dataset::new(vec![0.5; 8 * 96], vec![1; 8], 96, 3).expect("a data set");
        (Trainer::on(compute, &task, &rules).expect("there is room"), data)
    }

    fn fit(
        trainer: &Trainer,
        data: &Dataset,
        losses: &mut Vec<f32>,
    ) -> Result<FitReport, FitError> {
        let cancel = Cancel::new();
        let mut progress = |progress: Progress| losses.push(progress.loss);
        let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
        trainer.fit(&vec![0.1; trainer.task().parameters()], data, context)
    }

    #[test]
    fn the_processor_takes_over_from_a_card_where_the_owner_lets_it_and_is_kept() {
        let greedy = || Compute::pretended(Some(1 << 30), |_| Some(2 << 30));
        let card = DeviceRules::from(DeviceChoice::Cuda(0));
        let (strict, data) = trainer(greedy(), card);
        let error = FitError::DeviceMemory { reserved: 2 << 30, max: 1 << 30 };
        assert_eq!(fit(&strict, &data, &mut Vec::new()), Err(error.clone()));
        assert!(strict.compute().is_card());
        assert!(error.to_string().contains("device_memory_bytes_max"), "{error}");

        let (plain, _) = trainer(Compute::pretended(None, |_| Some(2 << 30)), card);
        let expected = fit(&plain, &data, &mut Vec::new()).expect("there is no limit");
        assert!(plain.compute().is_card() && plain.compute().note().is_none());
        let lenient = DeviceRules { fallback: Fallback::Cpu, ..card };
        for rules in [lenient, DeviceRules::from(DeviceChoice::Auto)] {
            let (trainer, data) = trainer(greedy(), rules);
            let mut losses = Vec::new();
            let report = fit(&trainer, &data, &mut losses).expect("the processor trains");
            assert_eq!(report, expected);
            // The limit is seen after the first step; two steps follow on the processor.
            assert_eq!(losses.len(), 2, "{losses:?}");
            assert!(!trainer.compute().is_card());
            let note = trainer.compute().note().expect("why");
            assert!(note.contains("2147483648 bytes of the card's memory"), "{note}");
            assert_eq!(fit(&trainer, &data, &mut Vec::new()), Ok(expected.clone()));
        }
    }

    #[test]
    fn only_a_fault_of_the_card_lets_the_processor_take_over() {
        let (trainer, data) =
            trainer(Compute::pretended(None, |_| None), DeviceChoice::Auto.into());
        let cancel = Cancel::new();
        cancel.cancel();
        let mut progress = |_| ();
        let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
        let parameters = vec![0.1; trainer.task().parameters()];
        let ended = trainer.fit(&parameters, &data, context);
        assert_eq!(ended, Err(FitError::Cancelled { step: 0 }));
        assert!(trainer.compute().is_card());
        // A fault while measuring, after an answer was given: the error stands, and what comes
        // next is the processor's.
        let lost = |_: Answer<'_>| -> Result<bool, FitError> { panic!("the driver went away") };
        let ended = trainer.answers(&parameters, &data, lost);
        assert!(matches!(ended, Err(FitError::Fault { .. })), "{ended:?}");
        assert!(!trainer.compute().is_card());
        let mut given = 0;
        let taken = trainer.answers(&parameters, &data, |_| {
            given += 1;
            Ok(true)
        });
        taken.expect("the processor measures");
        assert!(given > 0);
    }
}
