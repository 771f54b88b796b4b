//! What the coordinator's records say: rosters, runs, rounds. Read anew whenever something may have
//! changed; nothing here remembers what the ledger has already.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::Outcome;
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_aggregation::publication::Publication;
use covey_aggregation::research::RunState;
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::wire;
use covey_ledger::book::{Book, RunRecord};
use covey_ledger::entry::{Ended, Leaving, RunEnded};
use covey_ledger::facts::{self, Facts, RoundFacts, RunFacts};
use covey_model::task::Task;
use tokio::sync::Mutex;

use super::Passing;
use crate::registrar::Registrar;
use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, Depot, round_name};
use crate::storage::journal::{Journal, RoundRow, RunRow};
use crate::storage::members::Standing;
use crate::storage::place::{Databases, Place};
use crate::storage::registry::Registry;

/// Where records are.
pub(super) struct Sources {
    pub(super) registrar: Arc<Registrar>,
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) databases: Databases,
    pub(super) state_dir: PathBuf,
    pub(super) depot: Depot,
    /// Whoever launches the plan of the settings.
    pub(super) coordinator: PartyId,
}

/// A run as its records have it.
pub(super) struct RunSource {
    row: RunRow,
    rounds: Vec<RoundRow>,
    launched_by: PartyId,
    blobs: Blobs,
}

impl Sources {
    /// The rosters that were in force up to now, the first of a complete committee first.
    pub(super) async fn rosters(&self) -> Result<Vec<CertifiedRoster>, StorageError> {
        let now = self.registrar.guests().now();
        let number = now.certified.roster.number;
        let mut rosters = self.registrar.members().await.rosters(0).await?;
        rosters.retain(|one| {
            let roster = &one.roster;
            roster.number <= number
                && (roster.number == 0 || !one.votes.is_empty())
                && roster.validate().is_ok()
        });
        Ok(rosters)
    }

    /// How those who are no longer members went, as the operator has it.
    pub(super) async fn leavings(&self) -> Result<BTreeMap<PartyId, Leaving>, StorageError> {
        let entries = self.registrar.members().await.all().await?;
        let leaving = |standing| match standing {
            Standing::Suspended => Some(Leaving::Suspended),
            Standing::Revoked => Some(Leaving::Revoked),
            Standing::Left => Some(Leaving::Left),
            Standing::Waiting | Standing::Approved => None,
        };
        let all = entries.into_iter();
        Ok(all.filter_map(|one| Some((one.member.id, leaving(one.standing)?))).collect())
    }

    /// The runs that have begun: that of the settings' plan, and those that were submitted, in order.
    pub(super) async fn runs(&self) -> Result<Vec<RunSource>, StorageError> {
        let mut runs = Vec::new();
        let place = self.databases.journal(&self.state_dir);
        runs.extend(self.run(place, self.coordinator, self.depot.read()).await?);
        let entries = self.registry.lock().await.rows(true).await?;
        for entry in entries {
            if matches!(entry.state, RunState::Refused | RunState::Queued) {
                continue;
            }
            let place = self.databases.journal_of(&self.state_dir, &entry.run);
            let blobs = self.depot.of_run(&entry.run).read();
            runs.extend(self.run(place, entry.by, blobs).await?);
        }
        Ok(runs)
    }

    async fn run(
        &self,
        place: Place,
        launched_by: PartyId,
        blobs: Blobs,
    ) -> Result<Option<RunSource>, StorageError> {
        let Some(mut journal) = Journal::open_existing(place).await? else { return Ok(None) };
        let found = match journal.run().await? {
            Some(row) => {
                let rounds = journal.rounds().await?;
                Some(RunSource { row, rounds, launched_by, blobs })
            }
            None => None,
        };
        journal.close().await?;
        Ok(found)
    }
}

impl RunSource {
    /// The run.
    pub(super) const fn run(&self) -> Digest {
        self.row.run
    }

    /// Its beginning; none where its plan cannot be read by this program.
    pub(super) fn plan(&self, book: &Book) -> Result<Option<Facts>, StorageError> {
        let Some(bytes) = self.blobs.object(&self.row.plan)? else { return Ok(None) };
        let task = Plan::from_bytes(&bytes).ok().and_then(|plan| Task::from_plan(&plan).ok());
        let Some(task) = task else { return Ok(None) };
        let run = RunFacts {
            run: self.row.run,
            plan: &bytes,
            launched_by: self.launched_by,
            rounds: (self.row.first_round, self.row.rounds),
            parameters: task.parameters() as u64,
        };
        Ok(facts::plan(run, &book.charter().credit).ok())
    }

    /// More rounds than the ledger knows of.
    pub(super) fn extended(&self, book: &Book, known: &RunRecord) -> Option<Facts> {
        let rules = &book.charters().get(known.charter)?.1.credit;
        let by = book.members_with(Role::Coordinator).next()?.id;
        let is_more = self.row.rounds > known.rounds_asked;
        is_more.then(|| facts::extended(known, rules, self.row.rounds, by))
    }

    /// The rounds from the last one on that the ledger has, each with its place here: of that one the fold
    /// and the evidence may be missing.
    pub(super) fn rounds_from<'a>(
        &'a self,
        known: &'a RunRecord,
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        let last = known.rounds.keys().next_back().copied().unwrap_or(0);
        let rounds = self.rounds.iter().enumerate();
        rounds.filter(move |(_, row)| row.round >= last).map(|(at, row)| (at, row.round))
    }

    /// A round that is over.
    pub(super) fn round(
        &self,
        at: usize,
        known: &RunRecord,
        passing: &Passing,
    ) -> Result<Facts, StorageError> {
        let Some(row) = self.rounds.get(at) else { return Ok(Facts::default()) };
        let name = format!("{}/{PUBLICATION_FILE}", round_name(row.round));
        let path = self.blobs.published().join(&name);
        let damaged = |what: String| StorageError::Damaged { path: path.clone(), what };
        let outcome: Outcome = wire::decode(&row.outcome, FRAME_BYTES_MAX as usize)
            .map_err(|error| damaged(format!("the outcome of round {}: {error}", row.round)))?;
        let bytes = match row.aggregate {
            Some(_) => self.blobs.published_file(&name)?,
            None => None,
        };
        let publication = bytes.as_ref().map(|bytes| Publication::decode(bytes)).transpose();
        let publication = publication.map_err(|error| damaged(error.to_string()))?;
        let scores = known_scores(self, row)?;
        let before = match at.checked_sub(1).and_then(|before| self.rounds.get(before)) {
            Some(before) => before.model,
            None => self.row.model,
        };
        let passing = passing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let passed = passing.get(&row.context).cloned().unwrap_or_default();
        Ok(facts::round(&RoundFacts {
            run: self.row.run,
            round: row.round,
            round_ctx: row.context,
            outcome: &outcome,
            publication: publication.as_ref().zip(bytes.as_deref()),
            models: (before, row.model),
            metrics: facts::metrics(row.accuracy, row.loss, scores.as_ref()),
            phases_ms: &passed.phases_ms,
            traffic: passed.traffic,
            terms: known.terms.map(|terms| terms.digest()),
        }))
    }

    /// The end of the run, once it is over.
    pub(super) fn ended(&self) -> Option<RunEnded> {
        let how = match self.row.ending.as_deref()? {
            "target" => Ended::Target,
            "plateau" => Ended::Plateau,
            "diverged" => Ended::Diverged,
            "shortfall" => Ended::Shortfall,
            "stopped" => Ended::Stopped,
            _ => Ended::Done,
        };
        let (last, before) = (self.rounds.last(), self.row.first_round.saturating_sub(1));
        Some(RunEnded {
            run: self.row.run,
            round: last.map_or(before, |row| row.round),
            how,
            why: self.row.reason.clone().unwrap_or_default(),
            model: last.map_or(self.row.model, |row| row.model),
        })
    }
}

/// What the owners measured in a round; none where the plan does not ask, or it is no sound measure.
fn known_scores(
    run: &RunSource,
    row: &RoundRow,
) -> Result<Option<covey_aggregation::evaluation::Scores>, StorageError> {
    if row.aggregate.is_none() {
        return Ok(None);
    }
    let bytes = run.blobs.object(&run.row.plan)?;
    let layout = bytes.and_then(|bytes| Plan::from_bytes(&bytes).ok()?.layout());
    Ok(layout.and_then(|layout| layout.read(&row.counters).ok()))
}
