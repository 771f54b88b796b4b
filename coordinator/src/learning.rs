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
use covey_model::weights;

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
}

/// Test data and what measures with them.
struct Test {
    trainer: Trainer,
    data: Dataset,
}

impl Learning {
    /// Reads a plan, infers its model, and loads the test data.
    ///
    /// # Errors
    /// [`Failure`] naming the file and, where there is one, the line or the layer.
    pub fn load(path: &Path, test_data: Option<&DataSource>) -> Result<Self, Failure> {
        let input = |code, what: String| Failure::new(Exit::BadInput, code, what);
        let shown = path.display();
        let plan_bytes = std::fs::read(path)
            .map_err(|error| input("BAD_PLAN", format!("cannot read {shown}: {error}")))?;
        let plan = Plan::from_bytes(&plan_bytes)
            .map_err(|errors| input("BAD_PLAN", format!("the plan {shown}:\n{errors}")))?;
        let task = Task::from_plan(&plan)
            .map_err(|error| input("BAD_PLAN", format!("the plan {shown}: {error}")))?;
        let task =
            weights::started(task, path).map_err(|error| input("BAD_START", error.to_string()))?;
        let test = test_data.map(|source| {
            let data = Dataset::load(source, &plan.data)
                .map_err(|error| input("BAD_TEST_DATA", error.to_string()))?;
            // Evaluation is small work, and a coordinator seldom has a graphics card.
            let trainer = Trainer::new(&task, DeviceChoice::Cpu)
                .map_err(|error| Failure::new(Exit::Failed, "DEVICE", error))?;
            Ok::<_, Failure>(Arc::new(Test { trainer, data }))
        });
        let test = test.transpose()?;
        Ok(Self { plan_digest: Plan::digest(&plan_bytes), plan, plan_bytes, task, test })
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

/// Parameters as they are stored and sent: `f32`, little-endian.
#[must_use]
pub fn to_bytes(parameters: &[f32]) -> Vec<u8> {
    parameters.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Reads what [`to_bytes`] wrote; none when there are other than `expected` numbers.
#[must_use]
pub fn from_bytes(bytes: &[u8], expected: usize) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let fits = rest.is_empty() && numbers.len() == expected;
    fits.then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_their_bytes() {
        let parameters = [0.5, -1.25, f32::MIN_POSITIVE];
        let bytes = to_bytes(&parameters);
        assert_eq!(from_bytes(&bytes, 3).as_deref(), Some(parameters.as_slice()));
        assert_eq!(from_bytes(&bytes, 2), None);
        assert_eq!(from_bytes(&bytes[..11], 3), None);
    }
}
