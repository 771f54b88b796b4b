//! What a round begins with: parameters and what the strategy keeps, in memory and on the disk.

use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::strategy::{State, variate_digest};
use covey_model::task::Task;

use crate::learning::{Learning, from_bytes, to_bytes};
use crate::storage::StorageError;
use crate::storage::blobs::Blobs;

/// What a round begins with.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) model: Digest,
    pub(super) parameters: Arc<Vec<f32>>,
    pub(super) state: Arc<State>,
    /// The name of the state, where there is one.
    pub(super) kept: Option<Digest>,
    /// The name of the control variate that owners take, where there is one.
    pub(super) variate: Option<Digest>,
}

impl Place {
    /// Hashes all of it: slow for a large model.
    pub(super) fn new(task: &Task, parameters: Vec<f32>, state: State) -> Self {
        let variate = state.variate();
        Self {
            model: task.parameters_digest(&parameters),
            parameters: Arc::new(parameters),
            kept: (state != State::default()).then(|| state.digest()),
            variate: variate.map(|variate| variate_digest(&task.manifest_digest(), &variate)),
            state: Arc::new(state),
        }
    }

    /// Makes both durable, and what owners fetch of them.
    pub(super) fn store(&self, blobs: &Blobs) -> Result<(), StorageError> {
        blobs.put(&self.model, &to_bytes(&self.parameters))?;
        if let Some(kept) = &self.kept {
            blobs.put(kept, &self.state.encode())?;
        }
        if let Some((digest, variate)) = self.variate.zip(self.state.variate()) {
            blobs.put(&digest, &to_bytes(&variate))?;
        }
        Ok(())
    }

    /// Reads both, which must be those that a journal names.
    pub(super) fn load(
        blobs: &Blobs,
        learning: &Learning,
        model: &Digest,
        kept: Option<&Digest>,
    ) -> Result<Self, StorageError> {
        let damaged = |digest: &Digest, what: &str| StorageError::Damaged {
            path: blobs.object_path(digest),
            what: what.to_owned(),
        };
        let task = &learning.task;
        let bytes = blobs.object(model)?;
        let bytes = bytes.ok_or_else(|| damaged(model, "the run's model is missing"))?;
        let parameters = from_bytes(&bytes, task.parameters());
        let parameters = parameters.filter(|numbers| task.parameters_digest(numbers) == *model);
        let parameters =
            parameters.ok_or_else(|| damaged(model, "not the model that the journal names"))?;
        let state = match kept {
            None => State::default(),
            Some(kept) => {
                let bytes = blobs.object(kept)?;
                let bytes =
                    bytes.ok_or_else(|| damaged(kept, "the strategy's state is missing"))?;
                let state = State::decode(&bytes).ok().filter(|state| state.digest() == *kept);
                state.ok_or_else(|| damaged(kept, "not the state that the journal names"))?
            }
        };
        Ok(Self::new(task, parameters, state))
    }
}
