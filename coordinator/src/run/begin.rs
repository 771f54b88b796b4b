//! The beginning of a run: anew, from a round of an earlier run, or with more rounds than before.
//!
//! # Decisions
//! - Resuming makes a new run in a folder of its own. Its rounds count on from the one that it
//!   resumes from, so what owners draw in a round, and the number of rounds they agreed to, stay
//!   what they would have been; holders sign numbers once for each run, so an earlier run's
//!   rounds can be done again otherwise.
//! - The plan may be another one, if its model has the same tensors. What the strategy keeps is
//!   taken over if it is of the same strategy. SCAFFOLD's is not: owners keep their part by run,
//!   so both sides begin at zero.
//! - Extending goes on with the same run. The plan stays as it is; the change is recorded with
//!   its time and the coordinator's name. Owners refuse rounds beyond the plan unless their own
//!   limits allow so many more.

use std::path::Path;

use covey_aggregation::hash::Digest;
use covey_aggregation::party::Role;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::strategy::Kept;

use super::Run;
use super::place::Place;
use crate::config::ResumePoint;
use crate::coordinator::journal_of;
use crate::event::Event;
use crate::learning::to_bytes;
use crate::storage::journal::{ChangeRow, RunRow};

/// How the journal names a run that went through all its rounds.
const DONE: &str = "done";

impl Run<'_> {
    /// Launches the run of a folder that has none.
    pub(super) async fn launch(&mut self) -> Result<RunRow, Failure> {
        let asked = self.config.asked.clone();
        let origin = match &asked.resume_from {
            Some(point) => Some(self.origin(point).await?),
            None => None,
        };
        let plan = &self.learning.plan;
        let (place, round) = match &origin {
            Some((_, place, round)) => (place.clone(), *round),
            None => {
                let parameters = self.learning.task.initial_parameters();
                let state = plan.initial_state(parameters.len());
                (Place::new(&self.learning.task, parameters, state), 0)
            }
        };
        let rounds = asked.rounds.unwrap_or(plan.training.rounds);
        if rounds <= round {
            let what = format!("the last round would be {rounds}, and {round} were done before");
            return Err(Failure::new(Exit::BadInput, "BAD_ROUNDS", what)
                .with_help("resume from an earlier round, or give more with --rounds"));
        }
        place.store(&self.driver.blobs)?;
        let task = &self.learning.task;
        // Owners fetch what they adapt.
        if let Some((start, parameters)) = task.start().zip(task.start_parameters()) {
            self.driver.blobs.put(&start.digest, &to_bytes(parameters))?;
        }
        let mut changes = Vec::new();
        if let Some((run, _, round)) = &origin {
            changes.push(format!("begun from round {round} of run {run}"));
        }
        if rounds != plan.training.rounds {
            changes.push(format!("rounds {rounds}, the plan says {}", plan.training.rounds));
        }
        let change = (!changes.is_empty()).then(|| self.change(changes.join("; ")));
        let run = RunRow {
            run: match self.submitted {
                Some(run) => run,
                None => Digest(*secret()?),
            },
            federation: self.driver.roster.digest(),
            plan: self.learning.plan_digest,
            model: place.model,
            state: place.kept,
            first_round: round + 1,
            rounds,
            origin: origin.map(|(run, _, round)| (run, round)),
            started: self.driver.clock.now(),
            ending: None,
            reason: None,
        };
        self.driver.journal.launch(&run, change.as_ref()).await?;
        self.driver.ledger.look();
        Ok(run)
    }

    /// The run, and what came of its round.
    async fn origin(&self, point: &ResumePoint) -> Result<(Digest, Place, u32), Failure> {
        let ResumePoint { state_dir, round } = point;
        let no = |what: String| {
            Failure::new(Exit::BadInput, "CANNOT_RESUME", what)
                .with_help("covey-coordinator status tells which rounds a run has")
        };
        let shown = state_dir.display();
        if is_same(state_dir, &self.config.state_dir) {
            return Err(no(format!(
                "{shown} is this run's own state_dir; give the new run another"
            )));
        }
        let databases = self.config.databases.of_folder(state_dir)?;
        let mut journal = journal_of(&databases, state_dir).await?;
        let run = journal.run().await?.ok_or_else(|| no(format!("{shown} holds no run")))?;
        let rows = journal.rounds().await?;
        let (model, kept) = if round.checked_add(1) == Some(run.first_round) {
            (run.model, run.state)
        } else {
            let row = rows.iter().find(|row| row.round == *round);
            let row =
                row.ok_or_else(|| no(format!("{shown} has no round {round} that is over")))?;
            (row.model, row.state)
        };
        let blobs = self.driver.depot().elsewhere(state_dir)?.read();
        let place = Place::load(&blobs, &self.learning, &model, kept.as_ref());
        let place = place.map_err(|error| {
            if run.plan == self.learning.plan_digest {
                return Failure::from(error);
            }
            no(format!("the model of round {round} is not one of this plan's model: {error}"))
        })?;
        let (plan, parameters) = (&self.learning.plan, place.parameters.len());
        let is_kept = place.state.fits(&plan.strategy, parameters).is_ok()
            && !matches!(place.state.kept, Kept::Control { .. });
        let mut state = plan.initial_state(parameters);
        if is_kept {
            state.kept.clone_from(&place.state.kept);
        }
        // Another plan begins with its own clip.
        if run.plan == self.learning.plan_digest {
            state.clip = place.state.clip;
        }
        let place = Place::new(&self.learning.task, place.parameters.to_vec(), state);
        Ok((run.run, place, *round))
    }

    /// Checks what is asked of a run that exists, and extends it if that is asked.
    pub(super) async fn take_up(&mut self, mut run: RunRow) -> Result<RunRow, Failure> {
        let asked = self.config.asked.clone();
        let no = |code, what: String, help: &str| {
            Err(Failure::new(Exit::BadInput, code, what).with_help(help))
        };
        if let Some(ResumePoint { state_dir, round }) = &asked.resume_from {
            let databases = self.config.databases.of_folder(state_dir)?;
            let journal = journal_of(&databases, state_dir).await;
            let mut journal = journal
                .map_err(|no| no.with_help("this run has begun: serve it without --resume-from"))?;
            let origin = journal.run().await?.map(|origin| (origin.run, *round));
            if origin.is_none() || run.origin != origin {
                let what = format!("run {} of this state_dir did not begin there", run.run.short());
                return no("OTHER_RUN", what, "give the new run a state_dir of its own");
            }
        }
        let Some(rounds) = asked.rounds.filter(|rounds| *rounds != run.rounds) else {
            return Ok(run);
        };
        if rounds < run.rounds {
            let what = format!("the run has {} rounds already, {rounds} are fewer", run.rounds);
            return no("BAD_ROUNDS", what, "a run can be stopped at any time; serve it no further");
        }
        if let Some(ending) = run.ending.as_deref().filter(|ending| *ending != DONE) {
            let what = format!(
                "the run is over ({ending}): {}",
                run.reason.as_deref().unwrap_or("no reason is recorded")
            );
            let help = "its plan's rule would end it again; begin a new run with --resume-from";
            return no("RUN_OVER", what, help);
        }
        let change = self.change(format!("rounds {rounds} instead of {}", run.rounds));
        self.driver.journal.extend(rounds, &change).await?;
        self.driver.ledger.look();
        run.rounds = rounds;
        (run.ending, run.reason) = (None, None);
        Ok(run)
    }

    /// Tells what is not as the plan says.
    pub(super) async fn tell_changes(&mut self) -> Result<(), Failure> {
        for ChangeRow { by, what, .. } in self.driver.journal.changes().await? {
            self.driver.tell(&Event::Changed { by, what });
        }
        Ok(())
    }

    fn change(&self, what: String) -> ChangeRow {
        let name = self.driver.roster.with_role(Role::Coordinator).next();
        let by = name.map_or_else(|| "the coordinator".to_owned(), |one| one.name.to_string());
        ChangeRow { at: self.driver.clock.now(), by, what }
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
