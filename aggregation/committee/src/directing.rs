//! A round's directions, computed by the holder for itself: plan, models and the opened sum are
//! fetched from the coordinator and checked against digests that are signed; the fold comes from the
//! holder's own copy of the validation pool.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{DirectionQuestion, OwnDirections};
use covey_aggregation::limits::{PLAN_BYTES_MAX, PUBLICATION_BYTES_MAX};
use covey_aggregation::message::Refusal;
use covey_aggregation::net::bulk::{Bulk, BulkError, BulkRequest};
use covey_aggregation::plan::Plan;
use covey_aggregation::strategy::{State, Stepped, Strategy};
use covey_aggregation::sum::open::Aggregate;
use covey_aggregation::wire;
use covey_model::credit::{Models, Recomputed, recompute};
use covey_model::data::DataSource;
use covey_model::device::DeviceChoice;
use covey_model::task::Task;
use covey_model::train::Trainer;
use covey_model::validation::ValidationPool;
use covey_model::weights::from_bytes;
use tokio::sync::mpsc;

/// Models that are remembered: those of the last steps, and those of the round at hand.
const MODELS_MAX: usize = 6;

/// Directions of a round.
pub(crate) struct Directed {
    /// The round.
    pub(crate) round_ctx: Digest,
    /// What was computed, or why not.
    pub(crate) own: Result<OwnDirections, String>,
}

/// A model's parameters, shared.
type Parameters = Arc<Vec<f32>>;

/// What a round began with: its model, and the last steps of the run; and what it came to, where that
/// is taken from the coordinator.
struct Given {
    before: Parameters,
    steps: Vec<[Parameters; 2]>,
    told: Option<Parameters>,
}

/// A plan made ready, with the pool as the plan reads it.
struct Ready {
    plan: Plan,
    trainer: Trainer,
    pool: ValidationPool,
}

/// What is remembered from round to round. Everything in it was checked against its digest.
#[derive(Default)]
struct Memory {
    plan: Option<(Digest, Arc<Ready>)>,
    models: Vec<(Digest, Parameters)>,
}

/// Directions that are being computed.
pub(crate) struct Directions {
    pool: Option<DataSource>,
    memory: Arc<Mutex<Memory>>,
    /// Rounds under way.
    rounds: BTreeSet<Digest>,
    done: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
}

/// What became of one round: nothing, where the link was lost. The question comes again.
type Ended = (Digest, Option<Result<OwnDirections, String>>);

/// Why there are none.
enum Trouble {
    /// The link, or a coordinator that is busy.
    Passing,
    /// Whatever is asked again will not help.
    Lasting(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Lasting(why)
    }
}

impl From<&str> for Trouble {
    fn from(why: &str) -> Self {
        Self::Lasting(why.to_owned())
    }
}

impl Directions {
    /// With the holder's copy of the validation pool, if it has one.
    pub(crate) fn new(pool: Option<DataSource>) -> Self {
        Self { pool, memory: Arc::default(), rounds: BTreeSet::new(), done: mpsc::channel(1) }
    }

    /// Computes those of a round, unless that is under way.
    pub(crate) fn begin(
        &mut self,
        bulk: &Bulk,
        round_ctx: Digest,
        question: Box<DirectionQuestion>,
    ) {
        if !self.rounds.insert(round_ctx) {
            return;
        }
        let (bulk, done) = (bulk.clone(), self.done.0.clone());
        let source = Source { bulk, pool: self.pool.clone(), memory: Arc::clone(&self.memory) };
        tokio::spawn(async move {
            let own = match source.direct(question).await {
                Ok(own) => Some(Ok(own)),
                Err(Trouble::Lasting(why)) => Some(Err(why)),
                Err(Trouble::Passing) => None,
            };
            // Nobody listens any more only when the program is stopping.
            let _ = done.send((round_ctx, own)).await;
        });
    }

    /// The next that are computed. Cancel-safe; for ever while none are being.
    pub(crate) async fn next(&mut self) -> Option<Directed> {
        loop {
            let (round_ctx, own) = self.done.1.recv().await?;
            self.rounds.remove(&round_ctx);
            if let Some(own) = own {
                return Some(Directed { round_ctx, own });
            }
        }
    }
}

/// Where a round's directions are computed from.
struct Source {
    bulk: Bulk,
    pool: Option<DataSource>,
    memory: Arc<Mutex<Memory>>,
}

impl Source {
    async fn direct(&self, question: Box<DirectionQuestion>) -> Result<OwnDirections, Trouble> {
        let ready = self.ready(&question.config.plan).await?;
        let before = self.model(&ready, &question.config.model).await?;
        let aggregate = self.aggregate(&question.directed.aggregate).await?;
        let credit = question.config.credit.as_ref().ok_or("the terms have no credit")?;
        let mut steps = Vec::new();
        for step in &credit.state.steps {
            let from = self.model(&ready, &step.before).await?;
            let to = self.model(&ready, &step.after).await?;
            steps.push([from, to]);
        }
        let told = match ready.plan.strategy {
            // What the model comes to hangs on the sum alone: no need to be told.
            Strategy::FedAvg | Strategy::FedProx { .. } => None,
            _ => Some(self.model(&ready, &question.directed.after).await?),
        };
        let given = Given { before, steps, told };
        let work = move || compute(&ready, &question, given, &aggregate);
        let (own, after) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| "computing the directions failed".to_owned())??;
        self.remember(after);
        Ok(own)
    }

    /// The plan, made ready; kept as long as rounds are of the same plan.
    async fn ready(&self, digest: &Digest) -> Result<Arc<Ready>, Trouble> {
        if let Some((known, ready)) = &self.memory().plan
            && known == digest
        {
            return Ok(Arc::clone(ready));
        }
        let bytes = self.fetch(&BulkRequest::Plan(*digest), PLAN_BYTES_MAX.into()).await?;
        if Plan::digest(&bytes) != *digest {
            return Err("the coordinator sent another plan".into());
        }
        let pool = self.pool.clone().ok_or("holder.toml names no validation_data")?;
        let plan = Plan::from_bytes(&bytes).map_err(|errors| errors.to_string())?;
        let task = Task::from_plan(&plan).map_err(|error| error.to_string())?;
        let task = self.started(task).await?;
        let work = move || {
            let trainer = Trainer::new(&task, DeviceChoice::Cpu);
            let trainer = trainer.map_err(|error| error.to_string())?;
            let pool = ValidationPool::load(&pool, &plan.data);
            let pool = pool.map_err(|error| format!("the validation pool: {error}"))?;
            Ok::<_, String>(Arc::new(Ready { plan, trainer, pool }))
        };
        let ready = tokio::task::spawn_blocking(work).await;
        let ready = ready.map_err(|_| "reading the plan failed".to_owned())??;
        self.memory().plan = Some((*digest, Arc::clone(&ready)));
        Ok(ready)
    }

    /// The task with the model that its plan adapts, where it adapts one.
    async fn started(&self, task: Task) -> Result<Task, Trouble> {
        let Some(start) = task.start().filter(|_| task.needs_start()) else { return Ok(task) };
        let parameters = task.start_manifest().parameters();
        let request = BulkRequest::Model(start.digest);
        let bytes = self.fetch(&request, 4 * parameters).await?;
        let numbers = usize::try_from(parameters).ok().and_then(|all| from_bytes(&bytes, all));
        let numbers = numbers.ok_or("the coordinator sent another base model")?;
        Ok(task.started(numbers).map_err(|error| error.to_string())?)
    }

    async fn model(&self, ready: &Ready, digest: &Digest) -> Result<Parameters, Trouble> {
        let known = self.memory().models.iter().find(|(known, _)| known == digest).cloned();
        if let Some((_, model)) = known {
            return Ok(model);
        }
        let task = ready.trainer.task();
        let bytes_max = 4 * task.parameters() as u64;
        let bytes = self.fetch(&BulkRequest::Model(*digest), bytes_max).await?;
        let model = from_bytes(&bytes, task.parameters());
        let model = model.filter(|model| task.parameters_digest(model) == *digest);
        let model = Arc::new(model.ok_or("the coordinator sent another model")?);
        self.remember((*digest, Arc::clone(&model)));
        Ok(model)
    }

    async fn aggregate(&self, digest: &Digest) -> Result<Aggregate, Trouble> {
        let bytes = self.fetch(&BulkRequest::Model(*digest), PUBLICATION_BYTES_MAX as u64).await?;
        let aggregate: Result<Aggregate, _> = wire::decode(&bytes, PUBLICATION_BYTES_MAX);
        let aggregate = aggregate.ok().filter(|aggregate| aggregate.digest() == *digest);
        aggregate.ok_or_else(|| "the coordinator sent another sum".into())
    }

    async fn fetch(&self, request: &BulkRequest, bytes_max: u64) -> Result<Vec<u8>, Trouble> {
        self.bulk.fetch(request, bytes_max).await.map_err(|error| match error {
            BulkError::Link(_) | BulkError::Refused(Refusal::Busy { .. }) => Trouble::Passing,
            error => Trouble::Lasting(error.to_string()),
        })
    }

    fn remember(&self, model: (Digest, Parameters)) {
        let mut memory = self.memory();
        if memory.models.iter().all(|(known, _)| *known != model.0) {
            let surplus = (memory.models.len() + 1).saturating_sub(MODELS_MAX);
            memory.models.drain(..surplus);
            memory.models.push(model);
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the holder computes, and the model that the round came to.
fn compute(
    ready: &Ready,
    question: &DirectionQuestion,
    Given { before, steps, told }: Given,
    aggregate: &Aggregate,
) -> Result<(OwnDirections, (Digest, Parameters)), String> {
    let after = match told {
        Some(after) => after,
        None => {
            let clip =
                ready.plan.clip_of(&question.config.quantiser).map_err(|no| no.to_string())?;
            let state = State { clip, ..State::default() };
            let place = (&before[..], &state);
            let step = ready.plan.step(place, &question.config, aggregate);
            let Stepped { parameters, .. } = step.map_err(|error| error.to_string())??;
            Arc::new(parameters)
        }
    };
    let models = Models { before, after: Arc::clone(&after), steps };
    let computed = recompute(&ready.trainer, &ready.pool, question, &models, aggregate);
    let Recomputed { own, .. } = computed.map_err(|no| no.to_string())?;
    // It is the one that the question names, or nothing was computed.
    Ok((own, (question.directed.after, after)))
}
