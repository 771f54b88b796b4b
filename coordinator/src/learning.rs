//! What the rounds are for: the plan's model, and how good it is. All of it runs on the public plan and on what was opened; no owner's data are here.

use std::path::Path;
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataSource, Dataset};
use covey_model::device::DeviceChoice;
use covey_model::evaluate::Metrics;
use covey_model::task::Task;
use covey_model::train::Trainer;
use covey_model::validation::ValidationPool;
use covey_model::weights;

pub use covey_model::weights::{from_bytes, to_bytes};

/// A plan made ready.
pub struct Learning {
    /// The plan.
    pub plan: Plan,
    /// Digest of its bytes.
    pub plan_digest: Digest,
    /// Its bytes.
    pub plan_bytes: Vec<u8>,
    /// Its model.
    pub task: Task,
    test: Option<Arc<Test>>,
    validation: Option<Arc<Validation>>,
}

/// A validation pool and what trains on its folds.
struct Validation {
    trainer: Trainer,
    pool: ValidationPool,
}

impl Validation {
    fn load(source: &DataSource, plan: &Plan, task: &Task) -> Result<Self, Failure> {
        let pool = ValidationPool::load(source, &plan.data)
            .map_err(|error| Failure::new(Exit::BadInput, "BAD_VALIDATION_DATA", error))?;
        let trainer = Trainer::new(task, DeviceChoice::Cpu)
            .map_err(|error| Failure::new(Exit::Failed, "DEVICE", error))?;
        Ok(Self { trainer, pool })
    }
}

/// The operator's own data, if there are any.
#[derive(Clone, Copy, Default)]
pub struct OwnData<'a> {
    /// To measure the model on.
    pub test: Option<&'a DataSource>,
    /// To credit owners by.
    pub validation: Option<&'a DataSource>,
}

/// Test data and what measures with them.
struct Test {
    trainer: Trainer,
    data: Dataset,
}

impl Test {
    fn load(source: &DataSource, plan: &Plan, task: &Task) -> Result<Self, Failure> {
        let data = Dataset::load(source, &plan.data)
            .map_err(|error| Failure::new(Exit::BadInput, "BAD_TEST_DATA", error))?;
        // Evaluation is small work, and a coordinator seldom has a graphics card.
        let trainer = Trainer::new(task, DeviceChoice::Cpu)
            .map_err(|error| Failure::new(Exit::Failed, "DEVICE", error))?;
        Ok(Self { trainer, data })
    }
}

impl Learning {
    /// Reads a plan, infers its model, and loads the test data.
    ///
    /// # Errors
    /// [`Failure`] naming the file and, where there is one, the line or the layer.
    pub fn load(path: &Path, data: OwnData<'_>) -> Result<Self, Failure> {
        let input = |code, what: String| Failure::new(Exit::BadInput, code, what);
        let shown = path.display();
        let plan_bytes = std::fs::read(path)
            .map_err(|error| input("BAD_PLAN", format!("cannot read {shown}: {error}")))?;
        let mut learning = Self::of(plan_bytes, &format!("the plan {shown}"))?;
        learning.task = weights::started(learning.task, path)
            .map_err(|error| input("BAD_START", error.to_string()))?;
        if let Some(source) = data.test {
            learning.test = Some(Arc::new(Test::load(source, &learning.plan, &learning.task)?));
        }
        if learning.plan.credit.is_some() {
            let Some(source) = data.validation else {
                let what = format!(
                    "the plan {shown} asks for credit, and there is no pool to measure it by"
                );
                return Err(input("NO_VALIDATION_DATA", what).with_help(
                    "set validation_data in coordinator.toml and in every holder.toml, or remove \
                     [credit] from the plan",
                ));
            };
            let validation = Validation::load(source, &learning.plan, &learning.task)?;
            learning.validation = Some(Arc::new(validation));
        }
        Ok(learning)
    }

    /// Of a plan that was submitted. Test data and validation pool are the operator's, of one form:
    /// where they do not fit the plan, it is done without, and why is said.
    ///
    /// # Errors
    /// [`Failure`]: the plan is bad, which was checked when it was submitted.
    pub fn submitted(
        plan_bytes: Vec<u8>,
        data: OwnData<'_>,
    ) -> Result<(Self, Vec<String>), Failure> {
        let mut learning = Self::of(plan_bytes, "the plan that was submitted")?;
        let mut notes = Vec::new();
        if let Some(source) = data.test {
            match Test::load(source, &learning.plan, &learning.task) {
                Ok(test) => learning.test = Some(Arc::new(test)),
                Err(failure) => {
                    notes.push(format!("not measured on the test data: {}", failure.message));
                }
            }
        }
        if learning.plan.credit.is_some() {
            let none = || Failure::new(Exit::BadInput, "NO_VALIDATION_DATA", "there is none here");
            let loaded = data.validation.ok_or_else(none);
            match loaded.and_then(|at| Validation::load(at, &learning.plan, &learning.task)) {
                Ok(validation) => learning.validation = Some(Arc::new(validation)),
                Err(failure) => {
                    let why = failure.message;
                    notes.push(format!("nobody is credited: the validation pool: {why}"));
                }
            }
        }
        Ok((learning, notes))
    }

    fn of(plan_bytes: Vec<u8>, what: &str) -> Result<Self, Failure> {
        let bad = |message| Failure::new(Exit::BadInput, "BAD_PLAN", message);
        let plan = Plan::from_bytes(&plan_bytes);
        let plan = plan.map_err(|errors| bad(format!("{what}:\n{errors}")))?;
        let task = Task::from_plan(&plan).map_err(|error| bad(format!("{what}: {error}")))?;
        let plan_digest = Plan::digest(&plan_bytes);
        Ok(Self { plan_digest, plan, plan_bytes, task, test: None, validation: None })
    }

    /// The validation pool, and what trains on its folds, where the plan gives credit.
    #[must_use]
    pub fn validation(&self) -> Option<(&Trainer, &ValidationPool)> {
        self.validation.as_deref().map(|validation| (&validation.trainer, &validation.pool))
    }

    /// What measures parameters on the test data, if there are any. Slow: for a thread of its
    /// own.
    #[must_use]
    pub fn evaluation(&self) -> Option<impl FnOnce(&[f32]) -> Option<Metrics> + Send + use<>> {
        let test = Arc::clone(self.test.as_ref()?);
        Some(move |parameters: &[f32]| match test.trainer.evaluate(parameters, &test.data) {
            Ok(metrics) => Some(metrics),
            Err(error) => {
                tracing::warn!(%error, "the model cannot be evaluated");
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use covey_model::data::Header;

    use super::*;

    #[test]
    fn a_run_starts_from_the_file_beside_its_plan_and_from_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.toml");
        let plan = |start: &str| {
            let text = format!(
                "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
                 [data]\nkind = \"image\"\nheight = 2\nwidth = 2\nclasses = 2\n\
                 [model]\n{start}\n\
                 layers = [{{ kind = \"flatten\" }}, {{ kind = \"linear\", out = 2 }}]\n\
                 [training]\nrounds = 1\nbatch_size = 4\nweighting = \"uniform\"\n\
                 optimizer = {{ name = \"sgd\", lr = 0.1 }}\n\
                 [cohort]\nminimum = 3\nmaximum = 10\n\
                 [secure_aggregation]\nprofile = \"A\"\nbits = 12\nrange = 0.5\n\
                 clip_norm = 20.0\naudit = \"off\"\n"
            );
            std::fs::write(&path, text).expect("written");
            Learning::load(&path, OwnData::default())
        };
        let fresh = plan("").expect("a plan").task;
        let parameters: Vec<f32> = (0..10u8).map(f32::from).collect();
        let digest = fresh.parameters_digest(&parameters);
        let start = format!("start = {{ digest = \"{digest}\", file = \"model.safetensors\" }}");
        assert_eq!(plan(&start).err().map(|no| no.code), Some("BAD_START"), "no such file");
        let file = folder.path().join("model.safetensors");
        weights::write(&file, fresh.manifest(), &parameters).expect("written");
        let task = plan(&start).expect("the file is there").task;
        assert_eq!(task.initial_parameters(), parameters);
        weights::write(&file, fresh.manifest(), &[1.0; 10]).expect("written");
        assert_eq!(plan(&start).err().map(|no| no.code), Some("BAD_START"), "another model");
        let unnamed = format!("start = {{ digest = \"{digest}\" }}");
        assert_eq!(plan(&unnamed).err().map(|no| no.code), Some("BAD_START"), "no file");
    }

    /// The test data are of one form; a plan that is submitted may be of another.
    #[test]
    fn test_data_that_do_not_fit_a_submitted_plan_are_left_out_with_a_note() {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
                    [data]\nkind = \"tabular\"\n\
                    target = { column = \"side\", classes = [\"left\", \"right\"] }\n\
                    columns = [{ name = \"x\", type = \"float\", min = -1, max = 1 }]\n\
                    [model]\nlayers = [{ kind = \"linear\", out = 2 }]\n\
                    [training]\nrounds = 1\nbatch_size = 4\nweighting = \"uniform\"\n\
                    optimizer = { name = \"sgd\", lr = 0.1 }\n\
                    [cohort]\nminimum = 3\nmaximum = 10\n\
                    [secure_aggregation]\nprofile = \"A\"\nbits = 12\nrange = 0.5\n\
                    clip_norm = 20.0\naudit = \"off\"\n";
        let path = folder.path().join("test.csv");
        let source = DataSource::Csv { path: path.clone(), header: Header::Present };
        let submitted = |rows: &str| {
            std::fs::write(&path, rows).expect("written");
            let data = OwnData { test: Some(&source), validation: None };
            Learning::submitted(plan.as_bytes().to_vec(), data).expect("a plan")
        };
        let (learning, note) = submitted("x,side\n0.5,left\n-0.5,right\n");
        assert!(learning.test.is_some() && note.is_empty(), "{note:?}");
        assert!(learning.evaluation().is_some());
        let (learning, note) = submitted("pixel,digit\n3,7\n");
        assert!(learning.test.is_none() && learning.evaluation().is_none());
        let [note] = &note[..] else { panic!("{note:?}") };
        assert!(note.starts_with("not measured on the test data: "), "{note}");
    }
}
