//! The models of a run, computed again from what it published.

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use covey_aggregation::evaluation::Scores;
use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::published::{Contributions, read_publication, round_folders};
use covey_aggregation::program::rosters::Rosters;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{Publication, verify};
use covey_aggregation::strategy::{Kept, State};
use covey_model::task::Task;
use covey_model::weights;
use serde::Serialize;

use crate::export;
use crate::prepare::check_terms;

/// Where a run is published.
pub(crate) struct Source<'a> {
    /// The folder of its published rounds, or the coordinator's state folder.
    pub(crate) from: &'a Path,
    /// The model after this round is asked for; after the last published one if none is given.
    pub(crate) round: Option<u32>,
    /// With it, everything published is checked.
    pub(crate) roster: Option<&'a Path>,
}

/// A run up to one of its rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Replayed {
    pub(crate) run: String,
    pub(crate) federation: String,
    /// The model is the one after this round.
    pub(crate) round: u32,
    /// Published rounds up to it.
    pub(crate) rounds: Vec<RoundFacts>,
    /// What owners measured of the model itself, in the round that began with it.
    pub(crate) scores: Option<Scores>,
    /// Digest of the roster that everything was checked against.
    pub(crate) roster: Option<String>,
    /// The round that began with the model, where there is one.
    pub(crate) confirmed_by_round: Option<u32>,
    /// Whether the first model follows from the plan, and not from a stored file.
    pub(crate) is_from_plan: bool,
}

/// A published round.
#[derive(Debug, Serialize)]
pub(crate) struct RoundFacts {
    pub(crate) round: u32,
    pub(crate) round_ctx: String,
    pub(crate) began_with: String,
    pub(crate) led_to: String,
    pub(crate) aggregate: String,
    /// Owners in the sum.
    pub(crate) contributions: u32,
    /// Owners that were admitted and are not in it.
    pub(crate) absent: usize,
    /// What owners measured together, of the model that the round began with.
    pub(crate) scores: Option<Scores>,
    /// Why the sum was not applied.
    pub(crate) diverged: Option<String>,
}

impl Replayed {
    pub(crate) fn checked(&self) -> Vec<String> {
        let rounds = self.rounds.len();
        let mut lines = vec![if self.is_from_plan {
            "checked: the first model follows from the plan".to_owned()
        } else {
            "checked: the first model is the stored one that the first round names".to_owned()
        }];
        lines.push(format!(
            "checked: the models of {rounds} published round(s) were computed again from their \
             opened sums, and each round began with the one before it"
        ));
        match self.confirmed_by_round {
            Some(round) => {
                lines.push(format!("checked: round {round} began with the exported model"));
            }
            None => lines.push("no later round is published that began with it".to_owned()),
        }
        lines.push(match &self.roster {
            Some(roster) => format!(
                "checked: signatures, certificates and every ciphertext of these rounds, against \
                 the roster {roster}; the sums were added and opened again"
            ),
            None => "not checked: signatures and ciphertexts; give --roster, or run \
                     covey-committee verify"
                .to_owned(),
        });
        lines.push("not checked, by anybody: that the owners' data are genuine".to_owned());
        lines
    }
}

/// A run on its way from round to round.
pub(crate) struct Walk {
    plan: Plan,
    plan_digest: Digest,
    pub(crate) task: Task,
    roster: Option<Rosters>,
    /// Of the model that the next round begins with.
    pub(crate) parameters: Vec<f32>,
    model: Digest,
    state: State,
    replayed: Replayed,
}

/// The parameters after a round, and how the run came to them; the task with what its plan starts
/// from.
pub(crate) fn replay(
    source: &Source<'_>,
    plan: (&Plan, Digest),
    task: Task,
) -> Result<(Task, Vec<f32>, Replayed), Failure> {
    let (published, objects) = places(source.from);
    let folders = round_folders(&published)?;
    let roster = source.roster.map(|roster| Rosters::read(roster, &published));
    let roster = roster.transpose()?;
    let Some((head, rest)) = folders.split_first() else {
        let message = format!("no round is published in {}", published.display());
        return Err(Failure::new(Exit::BadInput, "NO_ROUND", message)
            .with_help("give the folder that holds round-0001, as the coordinator publishes it"));
    };
    let first = read(head)?;
    let mut walk = Walk::begin(plan, task, objects.as_deref(), roster, &first)?;
    let (mut last, mut is_confirmed) = (0, false);
    let rest = rest.iter().map(|folder| Ok::<_, Failure>((folder, read(folder)?)));
    for published in iter::once(Ok((head, first))).chain(rest) {
        let (folder, publication) = published?;
        let number = publication.result.config.round;
        walk.check(folder, &publication, last)?;
        last = number;
        if source.round.is_some_and(|wanted| number > wanted) {
            // It began with the model that was asked for.
            walk.replayed.scores = walk.scores(&publication);
            walk.replayed.confirmed_by_round = Some(number);
            is_confirmed = true;
            break;
        }
        walk.step(&publication)?;
    }
    let round = source.round.unwrap_or(last);
    if round > last && !is_confirmed {
        let message = format!("round {round} is not published; the last one is round {last}");
        return Err(Failure::new(Exit::BadInput, "NO_ROUND", message)
            .with_help("give an earlier one with --round, or wait for it"));
    }
    walk.replayed.round = round;
    Ok((walk.task, walk.parameters, walk.replayed))
}

/// Where rounds are published, and where models are stored.
pub(crate) fn places(from: &Path) -> (PathBuf, Option<PathBuf>) {
    let published = from.join("published");
    let is_state = published.is_dir();
    let state = if is_state { Some(from) } else { from.parent() };
    let objects = state.map(|state| state.join("objects")).filter(|objects| objects.is_dir());
    (if is_state { published } else { from.to_owned() }, objects)
}

fn read(folder: &Path) -> Result<Publication, Failure> {
    read_publication(folder).map_err(|error| Failure::new(Exit::BadInput, "BAD_ROUND", error))
}

fn unverified(message: String) -> Failure {
    Failure::new(Exit::Unverified, "NOT_VERIFIED", message)
}

impl Walk {
    /// Before the round that `first` published; checked against `roster`, where there is one.
    pub(crate) fn begin(
        (plan, plan_digest): (&Plan, Digest),
        task: Task,
        objects: Option<&Path>,
        roster: Option<Rosters>,
        first: &Publication,
    ) -> Result<Self, Failure> {
        let config = &first.result.config;
        let task = started(task, objects)?;
        let mut parameters = task.initial_parameters();
        let mut model = task.parameters_digest(&parameters);
        let mut state = plan.initial_state(parameters.len());
        let is_from_plan = model == config.model;
        let is_same_plan = config.plan == plan_digest;
        if !is_from_plan && is_same_plan {
            // Control variates begin at zero in a run that goes on from another one.
            let is_carried_over = !matches!(state.kept, Kept::None | Kept::Control { .. });
            if config.round > 1 && is_carried_over {
                let message = format!(
                    "the run goes on from another one, and what its strategy {} kept of that is \
                     not published",
                    plan.strategy.name()
                );
                return Err(Failure::new(Exit::BadInput, "CANNOT_COMPUTE", message).with_help(
                    "give the file of the model instead: objects/DIGEST in the \
                                coordinator's state folder",
                ));
            }
            parameters = stored(objects, &config.model, &task)?;
            model = config.model;
            // A run that goes on begins with the clip that the other had come to.
            state.clip = plan.clip_of(&config.quantiser).unwrap_or(state.clip);
        }
        let replayed = Replayed {
            run: config.run.to_string(),
            federation: config.federation.to_string(),
            round: 0,
            rounds: Vec::new(),
            scores: None,
            roster: roster.as_ref().map(|roster| roster.pinned().digest().to_string()),
            confirmed_by_round: None,
            is_from_plan,
        };
        let plan = plan.clone();
        Ok(Self { plan, plan_digest, task, roster, parameters, model, state, replayed })
    }

    /// Whether a round is the run's next one, and holds.
    pub(crate) fn check(
        &self,
        folder: &Path,
        publication: &Publication,
        last: u32,
    ) -> Result<(), Failure> {
        let config = &publication.result.config;
        let (round, shown) = (config.round, folder.display());
        if config.plan != self.plan_digest {
            let message = format!(
                "{shown} is of the plan with the digest {}, not of this one ({})",
                config.plan, self.plan_digest
            );
            return Err(Failure::new(Exit::BadInput, "OTHER_PLAN", message)
                .with_help("give the plan of the run, byte by byte: its digest is of its bytes"));
        }
        if config.run.to_string() != self.replayed.run {
            let message = format!("{shown} is of run {}, not of {}", config.run, self.replayed.run);
            return Err(unverified(message));
        }
        if round <= last {
            return Err(unverified(format!("{shown}: round {round} comes after round {last}")));
        }
        check_terms(config, &self.plan, &self.task)
            .map_err(|declined| unverified(format!("{shown}: {}", declined.why)))?;
        let help = "a published round is missing, or somebody changed the model between";
        if config.model != self.model {
            let message = format!(
                "round {round} began with the model {}, the rounds published before it lead to {}",
                config.model, self.model
            );
            return Err(unverified(message).with_help(help));
        }
        if config.quantiser != self.plan.quantiser_at(&self.state) {
            let message = format!(
                "round {round} began with another clip than the rounds published before it lead to"
            );
            return Err(unverified(message).with_help(help));
        }
        let owners = config.control.map_or(0, |control| control.owners);
        let control = self.plan.strategy.control(&self.state, owners, &config.manifest);
        if config.control != control {
            let message = format!(
                "round {round} began with another control variate than the rounds published \
                 before it lead to"
            );
            return Err(unverified(message).with_help(help));
        }
        let Some(rosters) = &self.roster else { return Ok(()) };
        let roster = rosters.of_round(&config.federation);
        verify(publication, roster, &mut Contributions::new(folder, config))
            .map(drop)
            .map_err(|fault| unverified(format!("{shown}: {fault}")))
    }

    /// From the model that a round began with to the next.
    pub(crate) fn step(&mut self, publication: &Publication) -> Result<(), Failure> {
        let result = &publication.result;
        let began_with = self.model;
        let place = (&self.parameters[..], &self.state);
        let step = self.plan.step(place, &result.config, &result.aggregate);
        let step = step.map_err(|error| {
            unverified(format!("the sum of round {}: {error}", result.config.round))
        })?;
        let diverged = match step {
            Ok(stepped) => {
                self.model = self.task.parameters_digest(&stepped.parameters);
                (self.parameters, self.state) = (stepped.parameters, stepped.state);
                None
            }
            Err(why) => Some(why),
        };
        self.replayed.rounds.push(RoundFacts {
            round: result.config.round,
            round_ctx: publication.round_ctx().to_string(),
            began_with: began_with.to_string(),
            led_to: self.model.to_string(),
            aggregate: result.aggregate.digest().to_string(),
            contributions: result.headers.len() as u32,
            absent: result.report.missing.len(),
            scores: self.scores(publication),
            diverged,
        });
        Ok(())
    }

    fn scores(&self, publication: &Publication) -> Option<Scores> {
        self.plan.layout()?.read(&publication.result.aggregate.counters).ok()
    }
}

/// The task with what its plan starts from, where the coordinator stored that.
fn started(task: Task, objects: Option<&Path>) -> Result<Task, Failure> {
    let Some(start) = task.start().filter(|_| task.start_parameters().is_none()) else {
        return Ok(task);
    };
    let path = objects.map(|objects| objects.join(start.digest.to_string()));
    let Some(path) = path.filter(|path| path.is_file()) else {
        // The first round says whether it matters, but with adapters nothing can be done.
        return if task.needs_start() {
            Err(export::refused(covey_model::export::ExportError::NoBase))
        } else {
            Ok(task)
        };
    };
    let bad = |error: &dyn std::fmt::Display| Failure::new(Exit::BadInput, "BAD_START", error);
    let parameters = weights::read(&path, task.start_manifest()).map_err(|error| bad(&error))?;
    task.started(parameters).map_err(|error| bad(&error))
}

/// A stored model.
fn stored(objects: Option<&Path>, digest: &Digest, task: &Task) -> Result<Vec<f32>, Failure> {
    let path = objects.map(|objects| objects.join(digest.to_string()));
    let Some(path) = path.filter(|path| fs::exists(path).unwrap_or(false)) else {
        let message = format!(
            "the first published round began with the model {digest}, which does not follow from \
             the plan"
        );
        return Err(unverified(message).with_help(
            "the first rounds are missing, or the run goes on from another one: give the \
             coordinator's state folder, which has that model",
        ));
    };
    let parameters = weights::read(&path, task.manifest())
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_MODEL", error))?;
    if task.parameters_digest(&parameters) == *digest {
        return Ok(parameters);
    }
    Err(unverified(format!("{} is not the model that its name says", path.display())))
}
