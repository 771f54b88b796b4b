//! Published rounds with credit, computed again as holders computed them: the models from the opened
//! sums, each fold from the beacon and the pool's file, the directions by training on it.
//!
//! # Decisions
//! - Fold, model and state must be equal. Directions and functions are of floats, which differ between
//!   machines: each may be off by what holders allow ([`OwnDirections::compare`]).
//! - Votes and signatures are not looked at here.
//!
//! [`OwnDirections::compare`]: covey_aggregation::holder::OwnDirections::compare

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use covey_aggregation::audit::beacon::Use;
use covey_aggregation::audit::comparison::{Differs, NotOwn, Places};
use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::record::AuditRecord;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::credit::pool::{retire, retired_digest};
use covey_aggregation::credit::{CreditConfig, CreditState, ModelStep};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::DirectionQuestion;
use covey_aggregation::limits::HISTORY_STEPS;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::Publication;
use covey_model::credit::{Models, NoDirections, Recomputed, recompute};
use covey_model::data::DataSource;
use covey_model::device::DeviceChoice;
use covey_model::task::Task;
use covey_model::train::Trainer;
use covey_model::validation::ValidationPool;
use covey_model::weights;
use serde_json::json;

use crate::check::{data_failure, read_plan};
use crate::replay::{Walk, places};

/// A model's parameters, shared.
type Parameters = Arc<Vec<f32>>;

/// A run whose rounds are computed again, one after the other.
pub struct Retraining {
    plan: Plan,
    plan_digest: Digest,
    task: Task,
    pool: ValidationPool,
    /// Where the coordinator stored models, if that is at hand.
    objects: Option<PathBuf>,
    /// From the first round on.
    run: Option<Run>,
    /// Examples that were retired before the first round: their folds are not published here.
    before_run: usize,
}

/// The run, up to the next round.
struct Run {
    walk: Walk,
    trainer: Trainer,
    /// The last round.
    last: u32,
    credited: Option<Credited>,
}

/// What the credited rounds so far leave to the next.
struct Credited {
    state: CreditState,
    retired: Vec<u32>,
    steps: Vec<[Parameters; 2]>,
}

impl Retraining {
    /// Of the run of `plan` that is published in `folder`, with the pool's file.
    ///
    /// # Errors
    /// [`Failure`]: plan or pool cannot be read.
    pub fn begin(plan: &Path, pool: &DataSource, folder: &Path) -> Result<Self, Failure> {
        let (path, (plan, task, bytes)) = (plan, read_plan(plan)?);
        let task = match task.start() {
            Some(start) if start.file.is_some() => weights::started(task, path)
                .map_err(|error| Failure::new(Exit::BadInput, "BAD_START", error))?,
            _ => task,
        };
        let pool = ValidationPool::load(pool, &plan.data).map_err(|error| data_failure(&error))?;
        let (plan_digest, (_, objects)) = (Plan::digest(&bytes), places(folder));
        Ok(Self { plan, plan_digest, task, pool, objects, run: None, before_run: 0 })
    }

    /// Computes the next round again and compares; whether it has a credit. `folder` is where it is
    /// published, for people.
    ///
    /// # Errors
    /// [`Failure`] with [`Exit::Unverified`] and the code `CREDIT_DIFFERS`, that names the round, what
    /// differs, and both values, also in its details; others when something cannot be computed.
    pub fn round(&mut self, folder: &Path, publication: &Publication) -> Result<bool, Failure> {
        let result = &publication.result;
        let config = &result.config;
        if self.run.is_none() {
            self.run = Some(Run::begin(self, publication)?);
        }
        let Some(run) = &mut self.run else { return Ok(false) };
        run.walk.check(folder, publication, run.last)?;
        run.last = config.round;
        let before = Arc::new(run.walk.parameters.clone());
        run.walk.step(publication)?;
        let after = Arc::new(run.walk.parameters.clone());
        let Some(credit) = &config.credit else { return Ok(false) };
        let no = |trouble: Trouble| trouble.told(folder, config.round);
        let record = result.audit.as_ref().and_then(|audit| Some((audit, audit.credit.as_ref()?)));
        if run.credited.is_none() {
            let retired = record.map(|(_, record)| &record.retired[..]);
            run.credited = Credited::first(credit, &self.pool, retired).map_err(no)?;
            self.before_run = run.credited.as_ref().map_or(0, |first| first.retired.len());
        }
        let Some(credited) = &mut run.credited else { return Ok(false) };
        let checked = credited.check(credit, record.map(|(_, record)| &**record));
        checked.map_err(|differs| no(differs.into()))?;
        let Some((audit, record)) = record else { return Ok(false) };
        let steps = credited.steps.clone();
        let models = Models { before: Arc::clone(&before), after: Arc::clone(&after), steps };
        let computed = compute(&run.trainer, &self.pool, (publication, audit, record), &models);
        let examples = computed.map_err(no)?;
        let step = ModelStep { before: config.model, after: record.directed.after };
        credited.next(&examples, (step, [before, after]));
        let attested = &record.attested.attestation.state;
        same_state("attested ", attested, &credited.state).map_err(|differs| no(differs.into()))?;
        Ok(true)
    }

    /// Examples that were retired before the first round: by folds of another run, which holders
    /// attested and nobody can draw again here.
    #[must_use]
    pub const fn retired_before(&self) -> usize {
        self.before_run
    }
}

impl Run {
    fn begin(of: &Retraining, first: &Publication) -> Result<Self, Failure> {
        let (plan, objects) = ((&of.plan, of.plan_digest), of.objects.as_deref());
        let walk = Walk::begin(plan, of.task.clone(), objects, None, first)?;
        let trainer = Trainer::new(&walk.task, DeviceChoice::Cpu)
            .map_err(|error| Failure::new(Exit::Failed, "DEVICE", error))?;
        Ok(Self { walk, trainer, last: 0, credited: None })
    }
}

impl Credited {
    /// Before the first round with credit; its record, if it has one, says that `retired` were opened
    /// before. None as long as nobody says what folds of another run opened.
    fn first(
        credit: &CreditConfig,
        pool: &ValidationPool,
        retired: Option<&[u32]>,
    ) -> Result<Option<Self>, Trouble> {
        let CreditState { pool: published, opened, steps, .. } = &credit.state;
        Differs::unless_equal("pool", *published, pool.root())?;
        if !steps.is_empty() {
            let what = "it goes on from rounds that are not published here";
            return Err(Trouble::Impossible(what.to_owned()));
        }
        let retired = match (opened, retired) {
            (0, _) => Vec::new(),
            (_, Some(retired)) => retired.to_vec(),
            (_, None) => return Ok(None),
        };
        let digest = retired_digest(&pool.root(), &retired);
        let first = CreditState::first(pool.root());
        let state = CreditState { opened: *opened, retired: digest, ..first };
        Ok(Some(Self { state, retired, steps: Vec::new() }))
    }

    /// The terms, and what a record says of examples that were opened before.
    fn check(&self, credit: &CreditConfig, record: Option<&CreditRecord>) -> Result<(), Differs> {
        same_state("", &credit.state, &self.state)?;
        match record {
            Some(record) if record.retired != self.retired => {
                let (published, computed) = (Places(&record.retired), Places(&self.retired));
                Err(Differs::new("retired examples", published, computed))
            }
            _ => Ok(()),
        }
    }

    /// After a round with this fold, which went `step`.
    fn next(&mut self, fold: &[u32], (step, models): (ModelStep, [Parameters; 2])) {
        self.retired = retire(&self.retired, fold);
        self.state = self.state.next(&self.retired, step);
        self.steps.push(models);
        let surplus = self.steps.len().saturating_sub(HISTORY_STEPS);
        self.steps.drain(..surplus);
    }
}

/// Computes a round's fold, directions and functions, and compares; the fold.
fn compute(
    trainer: &Trainer,
    pool: &ValidationPool,
    (publication, audit, record): (&Publication, &AuditRecord, &CreditRecord),
    models: &Models,
) -> Result<Vec<u32>, Trouble> {
    let result = &publication.result;
    let (config, set) = (&result.config, result.certificate.set);
    let question = question_of(config, set, audit, record)?;
    let sum = (record.directed.aggregate, result.aggregate.digest());
    Differs::unless_equal("sum", sum.0, sum.1)?;
    let Recomputed { own, directions } =
        recompute(trainer, pool, &question, models, &result.aggregate)?;
    let asked = Question::new(config, set, question.rows);
    let asked = asked.map_err(|bad| Trouble::Wrong(bad.to_string()))?;
    own.compare(&asked, &record.directed)?;
    record.directions.compare(&directions)?;
    Ok(own.examples)
}

/// What holders were asked in that round.
fn question_of(
    config: &RoundConfig,
    set: Digest,
    audit: &AuditRecord,
    record: &CreditRecord,
) -> Result<DirectionQuestion, Trouble> {
    let round_ctx = config.context();
    let rows = audit.rows.beacon(config, &round_ctx, (Use::Rows, &set));
    let (rows, _) = rows.map_err(|bad| Trouble::Wrong(format!("the beacon of the rows: {bad}")))?;
    let fold = record.fold.beacon(config, &round_ctx, (Use::Fold, &set));
    let (fold, _) = fold.map_err(|bad| Trouble::Wrong(format!("the beacon of the fold: {bad}")))?;
    let (retired, directed) = (record.retired.clone(), record.directed.clone());
    Ok(DirectionQuestion { config: config.clone(), set, rows, fold, retired, directed })
}

fn same_state(whose: &str, published: &CreditState, own: &CreditState) -> Result<(), Differs> {
    let field = |name: &str| format!("{whose}{name}");
    Differs::unless_equal(&field("pool"), published.pool, own.pool)?;
    Differs::unless_equal(&field("number of opened folds"), published.opened, own.opened)?;
    Differs::unless_equal(&field("retired examples"), published.retired, own.retired)?;
    if published.steps == own.steps {
        return Ok(());
    }
    Err(Differs::new(field("last steps"), Steps(&published.steps), Steps(&own.steps)))
}

/// Steps in words.
struct Steps<'a>(&'a [ModelStep]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |step: &ModelStep| format!("{} to {}", step.before.short(), step.after.short());
        let words: Vec<_> = self.0.iter().map(word).collect();
        write!(f, "[{}]", words.join(", "))
    }
}

/// Why a round is not found equal.
enum Trouble {
    /// It is another one.
    Differs(Differs),
    /// What is published cannot be.
    Wrong(String),
    /// It cannot be computed here.
    Impossible(String),
}

impl Trouble {
    fn told(self, folder: &Path, round: u32) -> Failure {
        let about =
            |what: &dyn fmt::Display| format!("{}: round {round}: {what}", folder.display());
        let help = "keep a copy and tell the others: the holders attested what plan, pool and sums do \
                    not give";
        let unverified = |what: &dyn fmt::Display| {
            Failure::new(Exit::Unverified, "CREDIT_DIFFERS", about(what)).with_help(help)
        };
        match self {
            Self::Differs(differs) => {
                let failure = unverified(&differs);
                let Differs { field, published, computed } = differs;
                let help = match &*field {
                    "pool" => "give the very file that coordinator and holders had, row by row",
                    _ => help,
                };
                failure.with_help(help).with_details(json!({
                    "round": round, "field": field, "published": published, "computed": computed,
                }))
            }
            Self::Wrong(what) => unverified(&what),
            Self::Impossible(what) => Failure::new(Exit::BadInput, "CANNOT_COMPUTE", about(&what))
                .with_help(
                    "give the folder with all rounds of the run; without --plan and --pool \
                     everything else is checked",
                ),
        }
    }
}

impl From<Differs> for Trouble {
    fn from(differs: Differs) -> Self {
        Self::Differs(differs)
    }
}

impl From<NotOwn> for Trouble {
    fn from(not: NotOwn) -> Self {
        match not {
            NotOwn::Differs(differs) => Self::Differs(differs),
            NotOwn::Functions(bad) => Self::Wrong(bad.to_string()),
        }
    }
}

impl From<NoDirections> for Trouble {
    fn from(no: NoDirections) -> Self {
        match no {
            NoDirections::OtherModel { published, computed } => {
                Self::Differs(Differs::new("model", published, computed))
            }
            // This machine's fault, and not that of what is published.
            NoDirections::Fit(error) => Self::Impossible(error.to_string()),
            no => Self::Wrong(no.to_string()),
        }
    }
}
