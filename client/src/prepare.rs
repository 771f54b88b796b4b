//! From the offer of a round to a sealed update on disk: fetch the plan and the model, check both
//! against the terms and the owner's policy, train, quantise, seal, store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::message::{Decline, Refusal, SignedHeader};
use covey_aggregation::net::{Bulk, BulkError, BulkRequest};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::signing::Identity;
use covey_aggregation::strategy::variate_digest;
use covey_model::data::{DataSource, Dataset, Parts};
use covey_model::device::DeviceRules;
use covey_model::task::Task;
use covey_model::train::{Cancel, Progress, Trainer};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::check::{read_limits, with_setting};
use crate::effort::Efforts;
use crate::event::{Event, Round};
use crate::gate::{Charged, Gate};
use crate::noise::NoiseKey;
use crate::observer::Observer;
use crate::provers::Provers;
use crate::sealing;
use crate::stored::Stored;
use crate::update::{Made, Owner, Start, Work};
use crate::variates::Variates;

/// The wait after a fetch that failed with its link, or was put off.
const FETCH_AGAIN: Duration = Duration::from_secs(1);

/// Why a client takes no part in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// What the coordinator is told.
    pub reason: Decline,
    /// What only the owner is told.
    pub why: String,
}

impl Declined {
    pub(crate) fn new(reason: Decline, why: impl ToString) -> Self {
        Self { reason, why: why.to_string() }
    }

    fn terms(why: impl ToString) -> Self {
        Self::new(Decline::Terms, why)
    }

    pub(crate) fn training(why: impl ToString) -> Self {
        Self::new(Decline::Training, why)
    }
}

/// Stops one preparation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt {
    fit: Cancel,
    fetch: Arc<Notify>,
}

impl Halt {
    pub(crate) fn stop(&self) {
        self.fit.cancel();
        self.fetch.notify_one();
    }
}

/// Everything that preparing needs and that stays the same from round to round.
pub(crate) struct Workshop {
    pub(crate) identity: Arc<Identity>,
    pub(crate) data: DataSource,
    pub(crate) device: DeviceRules,
    /// The device that the owner was told of last.
    pub(crate) told_device: Mutex<String>,
    pub(crate) gate: Gate,
    /// Threads that seal.
    pub(crate) threads: usize,
    pub(crate) stored: Stored,
    pub(crate) variates: Variates,
    /// Where noise is drawn from.
    pub(crate) noise: NoiseKey,
    pub(crate) provers: Provers,
    /// What rounds take this machine.
    pub(crate) efforts: Efforts,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// The link's bulk transfers, while there is a link.
    pub(crate) bulk: watch::Receiver<Option<Bulk>>,
    pub(crate) events: mpsc::Sender<Event>,
    /// The plan worked on last, with its data.
    pub(crate) bench: Mutex<Option<Arc<Bench>>>,
}

/// A plan made ready on this machine.
pub(crate) struct Bench {
    digest: Digest,
    plan: Plan,
    /// Its bytes.
    text: Vec<u8>,
    task: Task,
    data: Dataset,
    /// Examples kept out of training; none where the plan keeps none, or none fell to them.
    held_out: Option<Dataset>,
    trainer: Trainer,
    /// The digest of the parameters that the plan begins with.
    initial: Digest,
    /// That of a control variate of zeros, where the plan has one.
    zeros: Option<Digest>,
}

impl Bench {
    fn owner(&self, identity: &Identity) -> Owner<'_> {
        let Self { plan, trainer, data, held_out, .. } = self;
        Owner { plan, trainer, id: identity.id(), training: data, held_out: held_out.as_ref() }
    }
}

impl Workshop {
    /// Prepares one round.
    pub(crate) async fn prepare(
        self: Arc<Self>,
        terms: Box<RoundConfig>,
        halt: Halt,
    ) -> Result<SignedHeader, Declined> {
        let fetched = async {
            let bench = self.bench(&terms).await?;
            check_terms(&terms, &bench.plan, &bench.task)?;
            let round = Round { number: Some(terms.round), context: terms.context() };
            self.tell(Event::Joined {
                round,
                rounds: bench.plan.training.rounds,
                plan: bench.plan.name.to_string(),
                purpose: bench.plan.purpose.clone(),
                sends: bench.plan.sends(terms.dimension),
            });
            let parameters = self.parameters(&terms, &bench).await?;
            if bench.initial != terms.model {
                let bytes = 4 * parameters.len() as u64;
                self.efforts.note(&round.context, |effort| effort.bytes_down += bytes);
            }
            let variate = match &terms.control {
                Some(control) => Some(self.variate(&terms, &bench, &control.variate).await?),
                None => None,
            };
            if bench.zeros != terms.control.as_ref().map(|control| control.variate) {
                let bytes = 4 * variate.as_ref().map_or(0, Vec::len) as u64;
                self.efforts.note(&round.context, |effort| effort.bytes_down += bytes);
            }
            Ok((bench, round, Start { parameters, variate }))
        };
        let (bench, round, start) = tokio::select! {
            fetched = fetched => fetched?,
            () = halt.fetch.notified() => return Err(Declined::training("cancelled")),
        };
        let this = Arc::clone(&self);
        let worked = spawn_blocking(move || {
            // What hangs on how many examples there are is known now.
            this.gate.allow(&bench.plan, &terms, Some(bench.data.len() as u64))?;
            let begun = Instant::now();
            let work = this.work(&bench, &terms, round, &start, &halt.fit)?;
            let training_seconds = begun.elapsed().as_secs_f32();
            let begun = Instant::now();
            // Once more before anything can leave: the rules may be the owner's last word.
            let examples = bench.data.len() as u64;
            this.gate.allow(&bench.plan, &terms, Some(examples))?;
            this.gate.count(&terms)?;
            let whose = (&this.identity.id(), examples);
            if let Some(charged) = this.gate.charge(&bench.plan, &terms, whose)? {
                let Charged { epsilon, delta, budget } = charged;
                this.tell(Event::Charged { round, epsilon, delta, budget });
            }
            let header = this.seal(&bench, &terms, &start, &work)?;
            let sealing_seconds = begun.elapsed().as_secs_f32();
            let seconds = training_seconds + sealing_seconds;
            let examples = work.report.seen(bench.plan.training.batch_size);
            this.efforts.note(&round.context, |effort| {
                (effort.run, effort.round, effort.examples) = (terms.run, terms.round, examples);
                // Rounds up: 0 says that nothing was measured.
                effort.device_ms = (1000.0 * seconds).ceil() as u64;
            });
            this.tell(Event::Sealed { round, training_seconds, sealing_seconds });
            Ok(header)
        });
        worked.await.unwrap_or_else(|bug| Err(Declined::training(format!("a bug: {bug}"))))
    }

    /// The plan of the terms, its model and this owner's data: from the last round, or anew.
    async fn bench(self: &Arc<Self>, terms: &RoundConfig) -> Result<Arc<Bench>, Declined> {
        let digest = terms.plan;
        let known = self.lock().as_ref().filter(|bench| bench.digest == digest).map(Arc::clone);
        if let Some(bench) = known {
            self.gate.admit(&bench.plan, &bench.text, terms)?;
            return Ok(bench);
        }
        let bytes = self.fetch(&BulkRequest::Plan(digest), PLAN_BYTES_MAX.into()).await?;
        if Plan::digest(&bytes) != digest {
            return Err(Declined::terms("the coordinator sent another plan than the terms name"));
        }
        let plan = Plan::from_bytes(&bytes).map_err(Declined::terms)?;
        // Before the data are even opened.
        self.gate.admit(&plan, &bytes, terms)?;
        let task = self.start(Task::from_plan(&plan).map_err(Declined::terms)?).await?;
        let this = Arc::clone(self);
        let loaded = spawn_blocking(move || {
            let limits = read_limits(this.gate.policy().limits.dataset_bytes_max);
            // What is held out is for measuring: it is never trained on.
            let Parts { training: data, holdout: held_out } =
                Parts::load(&this.data, &plan.data, plan.seed, limits)
                    .map_err(|error| Declined::new(Decline::Data, with_setting(&error)))?;
            let trainer = Trainer::new(&task, this.device).map_err(Declined::training)?;
            this.tell_device(&trainer);
            let initial = task.initial_parameters();
            let zeros = plan.strategy.initial(initial.len()).variate();
            let zeros = zeros.map(|zeros| variate_digest(&task.manifest_digest(), &zeros));
            let initial = task.parameters_digest(&initial);
            let text = bytes;
            let bench = Bench { digest, plan, text, task, data, held_out, trainer, initial, zeros };
            Ok(Arc::new(bench))
        });
        let bench =
            loaded.await.unwrap_or_else(|bug| Err(Declined::training(format!("a bug: {bug}"))))?;
        *self.lock() = Some(Arc::clone(&bench));
        Ok(bench)
    }

    /// The task with the model that its plan adapts, where it adapts one.
    async fn start(&self, task: Task) -> Result<Task, Declined> {
        let Some(start) = task.start().filter(|_| task.needs_start()) else { return Ok(task) };
        let numbers = self.numbers(task.start_manifest().parameters(), start.digest).await?;
        task.started(numbers)
            .map_err(|error| Declined::terms(format!("the coordinator's base model: {error}")))
    }

    /// The parameters that the round begins with.
    async fn parameters(&self, terms: &RoundConfig, bench: &Bench) -> Result<Vec<f32>, Declined> {
        if bench.initial == terms.model {
            return Ok(bench.task.initial_parameters());
        }
        let parameters = self.numbers(terms.dimension, terms.model).await?;
        if bench.task.parameters_digest(&parameters) != terms.model {
            return Err(Declined::terms("the coordinator sent another model than the terms name"));
        }
        Ok(parameters)
    }

    /// The federation's control variate.
    async fn variate(
        &self,
        terms: &RoundConfig,
        bench: &Bench,
        digest: &Digest,
    ) -> Result<Vec<f32>, Declined> {
        if bench.zeros == Some(*digest) {
            return Ok(vec![0.0; terms.dimension as usize]);
        }
        let variate = self.numbers(terms.dimension, *digest).await?;
        let is_named = variate_digest(&terms.manifest, &variate) == *digest;
        if !is_named || variate.len() as u64 != terms.dimension {
            let what = "the coordinator sent another control variate than the terms name";
            return Err(Declined::terms(what));
        }
        Ok(variate)
    }

    /// At most so many numbers.
    async fn numbers(&self, most: u64, digest: Digest) -> Result<Vec<f32>, Declined> {
        let bytes = self.fetch(&BulkRequest::Model(digest), 4 * most).await?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Declined::terms("the coordinator sent something else than numbers"));
        }
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Fetches, over as many links as it takes: the round's end, not this, ends the waiting.
    async fn fetch(&self, request: &BulkRequest, bytes_max: u64) -> Result<Vec<u8>, Declined> {
        let mut links = self.bulk.clone();
        loop {
            let link = links.wait_for(Option::is_some).await.map(|link| link.clone());
            let Ok(Some(bulk)) = link else {
                return Err(Declined::new(Decline::Leaving, "the program is stopping"));
            };
            match bulk.fetch(request, bytes_max).await {
                Ok(bytes) => return Ok(bytes),
                Err(BulkError::Refused(Refusal::Busy { retry_after_ms })) => {
                    sleep(Duration::from_millis(retry_after_ms).max(FETCH_AGAIN)).await;
                }
                Err(BulkError::Link(_)) => sleep(FETCH_AGAIN).await,
                Err(error) => return Err(Declined::terms(format!("{request:?}: {error}"))),
            }
        }
    }

    /// Measures, trains.
    fn work(
        &self,
        bench: &Bench,
        terms: &RoundConfig,
        round: Round,
        start: &Start,
        cancel: &Cancel,
    ) -> Result<Work, Declined> {
        let own = match &start.variate {
            Some(variate) => {
                let own = self.variates.own(&terms.run, variate.len());
                Some(own.map_err(Declined::training)?)
            }
            None => None,
        };
        let mut progress = |progress: Progress| {
            let Progress { step, steps, loss, .. } = progress;
            self.tell(Event::Training { round, step, steps, loss });
        };
        let owner = bench.owner(&self.identity);
        let seed = self.secret_seed(&bench.plan, terms, "training")?;
        let own = (own.as_deref(), seed.as_deref());
        let work = owner.work(terms, start, own, cancel, &mut progress);
        self.tell_device(&bench.trainer);
        let work = work?;
        if let Some(observer) = &self.observer {
            observer.trained(terms, &work.report);
        }
        Ok(work)
    }

    fn seal(
        &self,
        bench: &Bench,
        terms: &RoundConfig,
        start: &Start,
        work: &Work,
    ) -> Result<SignedHeader, Declined> {
        let owner = bench.owner(&self.identity);
        let noise = self.secret_seed(&bench.plan, terms, "sealing")?;
        let Made { quantised, change } = owner.quantise(terms, start, work, noise.as_deref())?;
        if let Some(change) = change {
            self.variates
                .propose(&terms.context(), &terms.run, change)
                .map_err(Declined::training)?;
        }
        if let Some(observer) = &self.observer {
            observer.quantised(terms, &quantised);
        }
        let mut writing = self.stored.create(terms).map_err(Declined::training)?;
        let entropy = secret::<32>().map_err(Declined::training)?;
        let (sealed, witness) =
            sealing::seal(terms, &self.identity, &quantised, &entropy, self.threads, &mut writing)
                .map_err(Declined::training)?;
        let header = writing.commit(sealed).map_err(Declined::training)?;
        if let Some(witness) = witness {
            self.provers.keep(terms, (witness, quantised.weight()));
        }
        Ok(header)
    }

    /// What a round's noise of one kind is drawn from, where its plan asks for any.
    fn secret_seed(
        &self,
        plan: &Plan,
        terms: &RoundConfig,
        purpose: &str,
    ) -> Result<Option<Zeroizing<[u8; 32]>>, Declined> {
        let seed = plan.privacy.map(|_| self.noise.seed(&terms.context(), purpose));
        seed.transpose().map_err(Declined::training)
    }

    /// Whether the owner allows the sealed update of a round to be sent now, by the terms that it
    /// was sealed for.
    pub(crate) fn may_send(&self, round_ctx: &Digest) -> Result<(), Declined> {
        let terms = self.stored.terms(round_ctx).map_err(Declined::training)?;
        let known = self.lock().as_ref().filter(|one| one.digest == terms.plan).map(Arc::clone);
        match known {
            Some(bench) => self.gate.allow(&bench.plan, &terms, Some(bench.data.len() as u64)),
            None => self.gate.allow(&self.gate.plan(&terms)?, &terms, None),
        }
    }

    /// Tells an event, unless nobody has taken the last hundreds of them.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// Tells when the processor has taken over from a card.
    fn tell_device(&self, trainer: &Trainer) {
        let compute = trainer.compute();
        let mut told = self.told_device.lock().unwrap_or_else(PoisonError::into_inner);
        let device = compute.to_string();
        if *told != device {
            told.clone_from(&device);
            let why = compute.note().unwrap_or_default().to_owned();
            self.tell(Event::Device { device, why });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Bench>>> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the terms are those that the plan asks for. Rounds beyond the plan's are a matter of
/// the owner's policy. (That they hold together, and that the
/// holders countersigned them, the machine has checked.)
pub(crate) fn check_terms(terms: &RoundConfig, plan: &Plan, task: &Task) -> Result<(), Declined> {
    let secure = &plan.secure_aggregation;
    let (owners, variate) =
        terms.control.map_or((0, Digest::ZERO), |control| (control.owners, control.variate));
    let control = plan.control(owners, variate);
    let credit = terms.credit.as_ref().map(|credit| (credit.fold, credit.steps, credit.training));
    let rules = [
        (terms.manifest == task.manifest_digest(), "the manifest of the model"),
        (terms.dimension == task.parameters() as u64, "the number of parameters"),
        (plan.clip_of(&terms.quantiser).is_ok(), "the quantiser"),
        // Where the round is audited it follows from the model as well, and the machine checked it.
        (terms.is_audited() || terms.packing == plan.packing(), "the packing"),
        (terms.profile == secure.profile, "the profile"),
        (terms.audit == secure.audit, "the audit"),
        (terms.contributions_min >= plan.cohort.minimum, "the fewest contributions"),
        (terms.contributions_max <= plan.cohort.maximum, "the most contributions"),
        (terms.counters == plan.counters(), "the number of counters"),
        // A round without it releases less than the plan says, and all updates count once.
        (
            credit.is_none() || credit == plan.credit.map(|of| (of.fold, of.steps, of.training)),
            "the credit",
        ),
        (terms.control == control, "the control"),
        (plan.noise(terms.dimension) == Ok(terms.noise), "the noise"),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, what)) => {
            Err(Declined::terms(format!("the terms are not the plan's: {what} differs")))
        }
    }
}
