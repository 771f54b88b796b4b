//! A round's directions, computed on a thread of its own once the sum is open: the fold that the
//! beacon draws, the model that the round comes to, and what the fold would make of either.

use std::sync::Arc;

use covey_aggregation::audit::crediting::{Directed, REST_MAX, project_sum};
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::question::Question;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PUBLICATION_BYTES_MAX;
use covey_aggregation::strategy::Stepped;
use covey_aggregation::wire;
use covey_model::credit::{Models, directions, fold};

use crate::learning::{Learning, from_bytes, to_bytes};
use crate::storage::StorageError;
use crate::storage::blobs::Blobs;
use crate::summing::{REST, stored_aggregate};

/// Name of a round's directions on disk.
pub const DIRECTIONS: &str = "directions";

/// What a round began with, as far as directions need it.
pub struct Beginning {
    /// Plan, model and pool.
    pub learning: Arc<Learning>,
    /// Its parameters.
    pub parameters: Arc<Vec<f32>>,
    /// What the strategy kept.
    pub state: Arc<covey_aggregation::strategy::State>,
}

/// What is to be computed.
pub struct Directing {
    /// The round's terms.
    pub config: Arc<RoundConfig>,
    /// What it began with.
    pub beginning: Arc<Beginning>,
    /// Digest of the opened sum.
    pub aggregate: Digest,
    /// H(U).
    pub set: Digest,
    /// The beacon of the rows.
    pub rows: Digest,
    /// The beacon of the fold.
    pub fold: Digest,
    /// Examples of the pool that earlier folds opened.
    pub retired: Vec<u32>,
    /// Where models and the opened sum are.
    pub blobs: Arc<Blobs>,
}

impl Directing {
    /// Computes all of it and stores directions and model durably.
    ///
    /// # Errors
    /// Why there are none, in words: the round is done without credit then.
    pub fn run(&self) -> Result<(Directed, Vec<i64>), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let (config, learning) = (&self.config, &self.beginning.learning);
        let (trainer, pool) = learning.validation().ok_or("there is no validation pool here")?;
        let examples = fold(pool, config, (&self.fold, &self.retired));
        let examples = examples.map_err(|error| text(&error))?;
        let aggregate = stored_aggregate(&self.blobs, config.round, &self.aggregate);
        let aggregate = aggregate.map_err(|error| text(&error))?;
        let rest = stored_rest(&self.blobs, config.round).map_err(|error| text(&error))?;
        let Beginning { parameters, state, .. } = &*self.beginning;
        let step = learning.plan.step((parameters, state), config, &aggregate);
        let Stepped { parameters: after, .. } = step.map_err(|error| text(&error))??;
        let digest = learning.task.parameters_digest(&after);
        // Holders fetch it.
        self.blobs.put(&digest, &to_bytes(&after)).map_err(|error| text(&error))?;
        let steps = self.history()?;
        let models = Models { before: Arc::clone(parameters), after: Arc::new(after), steps };
        let directions = directions(trainer, pool, config, &examples, &models);
        let directions = directions.map_err(|error| text(&error))?;
        let stored = wire::encode(&directions);
        self.blobs.put_result(config.round, DIRECTIONS, &stored).map_err(|error| text(&error))?;
        let question = Question::new(config, self.set, self.rows).map_err(|bad| text(&bad))?;
        let functions = directions.functions(&question, &aggregate.sums);
        let directed = Directed {
            examples,
            aggregate: self.aggregate,
            after: digest,
            directions: directions.digest(),
            functions: functions.map_err(|bad| text(&bad))?.to_bytes(),
            rest,
        };
        let projections = project_sum(&question, &aggregate.sums, &directed.rest);
        Ok((directed, projections))
    }

    /// The last steps of the run.
    fn history(&self) -> Result<Vec<[Arc<Vec<f32>>; 2]>, String> {
        let Some(credit) = &self.config.credit else { return Ok(Vec::new()) };
        let parameters = self.beginning.learning.task.parameters();
        let model = |digest: &Digest| {
            let bytes = self.blobs.object(digest).map_err(|error| error.to_string())?;
            let numbers = bytes.and_then(|bytes| from_bytes(&bytes, parameters));
            numbers.map(Arc::new).ok_or_else(|| format!("the model {} is missing", digest.short()))
        };
        let steps = credit.state.steps.iter();
        steps.map(|step| Ok([model(&step.before)?, model(&step.after)?])).collect()
    }
}

/// The stored sums of what is behind the vectors, of a round.
pub(crate) fn stored_rest(blobs: &Blobs, round: u32) -> Result<Vec<i32>, StorageError> {
    let bytes = blobs.result(round, REST)?;
    // Five bytes each at most.
    wire::decode(&bytes, 16 + 5 * REST_MAX).map_err(|_| StorageError::Damaged {
        path: blobs.result_path(round, REST),
        what: "not the rest of a sum".to_owned(),
    })
}

/// Reads the stored directions of a round, which must be those named by `digest`.
///
/// # Errors
/// [`StorageError`], also when they are not.
pub fn stored_directions(
    blobs: &Blobs,
    round: u32,
    digest: &Digest,
) -> Result<Directions, StorageError> {
    let bytes = blobs.result(round, DIRECTIONS)?;
    wire::decode(&bytes, PUBLICATION_BYTES_MAX)
        .ok()
        .filter(|directions: &Directions| directions.digest() == *digest)
        .ok_or_else(|| StorageError::Damaged {
            path: blobs.result_path(round, DIRECTIONS),
            what: "not the directions that the journal names".to_owned(),
        })
}
