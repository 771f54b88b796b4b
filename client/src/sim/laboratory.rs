//! All clients of a simulation: what they have, and what one of them does when it is its turn.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use covey_aggregation::config::{Noise, RoundConfig, Weighting};
use covey_aggregation::hash::{Domain, hash};
use covey_aggregation::message::Decline;
use covey_aggregation::net::IdentityKey;
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::{Data, Plan};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::signing::Identity;
use covey_aggregation::strategy::Strategy;
use covey_aggregation::sum::quantise::Quantised;
use covey_model::data::{DataSource, Dataset, Parts, mock};
use covey_model::task::Task;
use covey_model::train::{Cancel, Trainer};
use covey_model::weights;
use zeroize::Zeroizing;

use super::attack::{AttackKind, FreeRide, Memory, Role, cast};
use super::holdings::Holdings;
use super::options::Options;
use super::variates::Variates;
use crate::check::{data_failure, noise, read_limits, read_plan};
use crate::prepare::Declined;
use crate::update::{Made, Owner, Start};

/// Synthetic examples of each client, where no data are given.
const MOCK_EXAMPLES: u64 = 50;

/// All clients, and the plan that they work on.
pub(super) struct Laboratory {
    pub(super) plan: Plan,
    pub(super) plan_bytes: Vec<u8>,
    pub(super) task: Task,
    /// Each contribution's, where the plan asks for any.
    pub(super) noise: Option<Noise>,
    pub(super) trainer: Trainer,
    pub(super) seed: u64,
    pub(super) identities: Vec<Arc<Identity>>,
    /// Every client's number, by its key.
    pub(super) places: BTreeMap<PartyId, usize>,
    pub(super) roles: Vec<Role>,
    pub(super) variates: Option<Variates>,
    pub(super) test: Option<Dataset>,
    holdings: Holdings,
}

/// What a round begins with, and what attackers remember of the one before.
pub(super) struct Opening {
    pub(super) start: Start,
    /// How the model moved last, where an attacker asks for it.
    pub(super) step: Option<Vec<f32>>,
}

/// What a client has to seal.
pub(super) struct Prepared {
    pub(super) quantised: Quantised,
    /// Mean loss of the last local epoch.
    pub(super) loss: f32,
}

/// The key of a simulated client: that of the same client in every simulation with this seed. A
/// real owner with this key and the client's examples sends the same numbers.
#[must_use]
pub fn owner_key(seed: u64, client: usize) -> IdentityKey {
    let client = (client as u64).to_le_bytes();
    let digest = hash(Domain::Training, &[b"simulated-owner", &seed.to_le_bytes(), &client]);
    IdentityKey::from_seed(Zeroizing::new(digest.0))
}

impl Laboratory {
    pub(super) fn open(options: &Options) -> Result<Self, Failure> {
        let (plan, task, plan_bytes) = read_plan(&options.plan)?;
        let task = weights::started(task, &options.plan)
            .map_err(|error| Failure::new(Exit::BadInput, "BAD_START", error))?;
        let seed = options.seed.unwrap_or(plan.seed);
        let limits = read_limits(options.dataset_bytes_max);
        let folder;
        let made;
        let sources = match &options.data[..] {
            [] => {
                folder = tempfile::tempdir().map_err(|error| file_failure(&error))?;
                made = [synthetic(&plan, folder.path(), options.clients as u64, seed)?];
                &made[..]
            }
            given => given,
        };
        let holdings = Holdings::open(options, sources, &plan, limits, seed)?;
        let test = options.test_data.as_ref().map(|source| {
            Dataset::load_within(source, &plan.data, limits).map_err(|error| data_failure(&error))
        });
        let trainer = Trainer::new(&task, options.device)
            .map_err(|error| Failure::new(Exit::BadInput, "DEVICE", error))?;
        let roles = cast(&options.attacks, options.clients, seed);
        for kind in roles.iter().filter_map(|role| role.kind) {
            check_attack(kind, &plan, &holdings)?;
        }
        let variates = match plan.strategy {
            Strategy::Scaffold { .. } => {
                let made = Variates::new(options.clients, task.parameters());
                Some(made.map_err(|error| file_failure(&error))?)
            }
            _ => None,
        };
        let identities: Vec<_> =
            (0..options.clients).map(|one| Arc::new(owner_key(seed, one).identity())).collect();
        let places = identities.iter().enumerate().map(|(place, one)| (one.id(), place)).collect();
        Ok(Self {
            noise: noise(&plan, &task)?,
            plan,
            plan_bytes,
            task,
            trainer,
            seed,
            identities,
            places,
            roles,
            variates,
            test: test.transpose()?,
            holdings,
        })
    }

    /// Whether a client sends the model's last step.
    pub(super) fn replays(&self) -> bool {
        let replays = [FreeRide::Replay, FreeRide::BoostedReplay].map(AttackKind::FreeRider);
        self.roles.iter().any(|role| role.kind.is_some_and(|kind| replays.contains(&kind)))
    }

    /// Examples of all clients together.
    pub(super) fn pooled(&self) -> usize {
        self.holdings.examples()
    }

    /// What a client does with a round: the same as the real program, up to sealing.
    pub(super) fn prepare(
        &self,
        client: usize,
        terms: &RoundConfig,
        opening: &Opening,
    ) -> Result<Prepared, Declined> {
        let Role { kind: attack, share } = self.roles[client];
        let parts = self.holdings.parts(share);
        let Parts { training, holdout } = parts.map_err(|few| Declined::new(Decline::Data, few))?;
        let place = (client as u64).to_le_bytes();
        let (seed, round) = (self.seed.to_le_bytes(), u64::from(terms.round).to_le_bytes());
        let training = match attack {
            Some(kind) => kind.spoil_data(training, &[&seed, &place]),
            None => training,
        };
        let Opening { start, step } = opening;
        let id = self.identities[client].id();
        let (plan, trainer) = (&self.plan, &self.trainer);
        let owner = Owner { plan, trainer, id, training: &training, held_out: holdout.as_ref() };
        let own = match &self.variates {
            Some(variates) => Some(variates.own(client).map_err(Declined::training)?),
            None => None,
        };
        // A simulation's noise follows from its seed, so that it can be done again.
        let secret =
            |kind: &[u8]| Zeroizing::new(hash(Domain::Noise, &[&seed, &round, &place, kind]).0);
        let (training_noise, noise) = (secret(b"training"), secret(b"sealing"));
        let own = (own.as_deref(), Some(&*training_noise));
        let mut work = owner.work(terms, start, own, &Cancel::new(), &mut |_| {})?;
        if let Some(kind) = attack {
            let memory = Memory { clip_norm: terms.quantiser.clip_norm, step: step.as_deref() };
            kind.spoil_update(&mut work.report.update, &memory, &[&seed, &round, &place]);
            work.report.examples = kind.spoil_examples(work.report.examples);
        }
        let Made { quantised, change } = owner.quantise(terms, start, &work, Some(&noise))?;
        if let (Some(variates), Some(change)) = (&self.variates, change) {
            variates.propose(client, &change).map_err(Declined::training)?;
        }
        Ok(Prepared { quantised, loss: work.report.loss })
    }

    /// A client's contribution was counted.
    pub(super) fn counted(&self, client: usize) -> Result<(), Failure> {
        match &self.variates {
            Some(variates) => variates.counted(client).map_err(|error| file_failure(&error)),
            None => Ok(()),
        }
    }
}

/// Whether the attack can do anything with this plan and data.
fn check_attack(kind: AttackKind, plan: &Plan, holdings: &Holdings) -> Result<(), Failure> {
    let bad = |what: String, help: &str| {
        Err(Failure::new(Exit::BadInput, "BAD_SIMULATION", what).with_help(help))
    };
    let classes = holdings.classes();
    match kind {
        kind if kind.needs_labels() && classes == 0 => bad(
            "label-flip, label-noise and poison change classes, and this plan predicts none"
                .to_owned(),
            "use sign-flip, boost, noise or free-rider",
        ),
        AttackKind::Poison { from, to } if from.max(to) as usize >= classes || from == to => bad(
            format!("poison:N:{from}:{to}, and the plan's classes are 0 to {}", classes - 1),
            "name two different classes by their numbers",
        ),
        AttackKind::FeatureNoise(_) if !holdings.has_rows() => bad(
            "feature-noise is added to numbers, and this plan trains on text".to_owned(),
            "use sign-flip, boost, noise or free-rider",
        ),
        AttackKind::Claim(_) if plan.training.weighting == Weighting::Uniform => bad(
            "claim changes how much a client counts, and in this plan all count alike".to_owned(),
            "weigh owners by their examples (training.weighting)",
        ),
        _ => Ok(()),
    }
}

/// Synthetic data of the plan's form.
fn synthetic(plan: &Plan, folder: &Path, clients: u64, seed: u64) -> Result<DataSource, Failure> {
    let rows = clients * mock_examples(plan);
    mock_source(plan, &folder.join("mock"), |path| mock::write(path, &plan.data, rows, seed))
}

/// Synthetic examples of each client: enough for the plan.
pub(crate) fn mock_examples(plan: &Plan) -> u64 {
    MOCK_EXAMPLES.max(2 * u64::from(plan.data.rows().minimum))
}

/// Synthetic data as `write` writes them, in a file with the ending of their form.
pub(crate) fn mock_source(
    plan: &Plan,
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<DataSource, Failure> {
    let is_text = matches!(plan.data, Data::Text(_));
    let path = path.with_extension(if is_text { "txt" } else { "csv" });
    write(&path).map_err(|error| file_failure(&error))?;
    DataSource::at(&path, None, None).map_err(|error| data_failure(&error))
}

pub(crate) fn file_failure(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "FILE", format!("the folder for temporary files: {error}"))
}
