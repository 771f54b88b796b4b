//! How a run and its rounds are.

use covey_aggregation::evaluation::Layout;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{FRAME_BYTES_MAX, NAMES_TOLD_MAX};
use covey_aggregation::message::{AbandonReason, Outcome};
use covey_aggregation::plan::Plan;
use covey_aggregation::research::{Absence, RoundLine, RunState, RunStatus, Text};
use covey_aggregation::wire;

use super::{Talk, Trouble};
use crate::event::{self, RoundSummary};
use crate::storage::journal::{Journal, RoundRow};
use crate::storage::registry::RunEntry;

impl Talk<'_> {
    /// A run as it is now.
    pub(super) async fn status(&self, run: &Digest) -> Result<RunStatus, Trouble> {
        let mut registry = self.desk.registry.lock().await;
        let entry = registry.entry(run).await?;
        let entry = entry.ok_or(covey_aggregation::research::Refusal::NoSuchRun)?;
        // Only who waits in the queue has somebody before it.
        let open = match entry.state {
            RunState::Queued => registry.rows(false).await?,
            _ => Vec::new(),
        };
        drop(registry);
        Ok(self.status_of(entry, &open))
    }

    /// Likewise; `open`: all runs that are not over, in order.
    pub(super) fn status_of(&self, entry: RunEntry, open: &[RunEntry]) -> RunStatus {
        let now = self.desk.view.borrow().of(&entry.run, self.desk.clock.now());
        let is_before = |other: &&RunEntry| match other.state {
            RunState::Queued => other.number < entry.number,
            RunState::Running | RunState::Pausing | RunState::Stopping => true,
            _ => false,
        };
        let ahead = match entry.state {
            RunState::Queued => open.iter().filter(is_before).count(),
            _ => 0,
        };
        RunStatus {
            run: entry.run,
            name: entry.name,
            plan: entry.plan,
            by: entry.by_name,
            submitted: entry.submitted,
            state: entry.state,
            reason: entry.reason.map(Text::of),
            rounds: entry.rounds,
            rounds_over: entry.rounds_over,
            rounds_done: entry.rounds_done,
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            now,
            faults: entry.faults,
        }
    }

    /// The rounds of a run after this one that are over.
    pub(super) async fn rounds(&self, run: &Digest, after: u32) -> Result<Vec<RoundLine>, Trouble> {
        let place = self.desk.databases.journal_of(&self.desk.state_dir, run);
        let Some(mut journal) = Journal::open_existing(place).await? else {
            return Ok(Vec::new());
        };
        let rows = journal.rounds_after(after).await?;
        journal.close().await?;
        let plan = self.desk.registry.lock().await.plan_bytes(run).await?;
        let layout = plan.and_then(|plan| Plan::from_bytes(&plan).ok()?.layout());
        Ok(rows.into_iter().map(|row| self.line(row, layout.as_ref())).collect())
    }

    fn line(&self, row: RoundRow, layout: Option<&Layout>) -> RoundLine {
        let layout = layout.filter(|_| row.aggregate.is_some());
        let mut line = RoundLine {
            round: row.round,
            abandoned: None,
            counted: 0,
            missing: Vec::new(),
            missing_more: 0,
            faults: Vec::new(),
            model: row.model,
            aggregate: row.aggregate,
            scores: layout.and_then(|layout| layout.read(&row.counters).ok()),
            accuracy: row.accuracy,
            loss: row.loss,
            ended: row.ended,
        };
        match wire::decode::<Outcome>(&row.outcome, FRAME_BYTES_MAX as usize) {
            Ok(outcome) => {
                let summary =
                    RoundSummary::of(row.round, &outcome, &self.desk.guests.now().certified.roster);
                let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                line.abandoned = match outcome {
                    // The operator stops a round for whoever may have the run stopped.
                    Outcome::Abandoned { reason: AbandonReason::Stopped, .. } => {
                        Some(Text::of("the run was stopped"))
                    }
                    _ => summary.reason.map(Text::of),
                };
                line.counted = count(summary.counted.len());
                line.missing_more = count(summary.missing.len().saturating_sub(NAMES_TOLD_MAX));
                line.missing = absences(summary.missing);
                line.faults = absences(summary.faults);
            }
            Err(_) => line.abandoned = Some(Text::of("its record is of another version")),
        }
        line
    }
}

fn absences(absences: Vec<event::Absence>) -> Vec<Absence> {
    let told = absences.into_iter().take(NAMES_TOLD_MAX);
    told.map(|one| Absence { name: one.name, why: Text::of(one.why) }).collect()
}
