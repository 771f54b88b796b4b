//! Numbers for people to read, each with the entries that it follows from.

use std::collections::BTreeSet;

use covey_aggregation::credit::{Explanation, explain};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::Serialize;

use super::Book;
use super::records::{RunRecord, State};
use crate::entry::{MeasuredBy, RoundOutcome};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The round.
    pub round: u32,
    /// When it was over, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The value in millionths.
    pub millionths: i64,
    /// The entry.
    pub entry: u64,
}

/// What a member did and was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemberTotals {
    /// Rounds that it was asked in.
    pub rounds_invited: u32,
    /// Rounds whose sum it is in.
    pub rounds_counted: u32,
    /// Runs whose credits it has an account in.
    pub epochs: u32,
    /// What it is credited, all in all, in micro-credits, resolutions included.
    pub credited_micro: u64,
    /// Of that, what is in a run that can still be disputed, or that it is under dispute in.
    pub pending_micro: u64,
    /// What payouts paid it, in micro-credits.
    pub paid_micro: u64,
    /// What it owes into the next epoch, in micro-credits.
    pub debt_micro: u64,
    /// The entries that all this follows from, ascending.
    pub inputs: Vec<u64>,
}

impl RunRecord {
    /// A metric over the rounds.
    #[must_use]
    pub fn curve(&self, metric: &str, by: MeasuredBy) -> Vec<Point> {
        let points = self.rounds.values().filter_map(|round| {
            let metrics = &round.closed.metrics;
            let found = metrics.iter().find(|one| one.name == metric && one.by == by)?;
            Some(Point {
                round: round.closed.round,
                time_ms: round.closed_ms,
                millionths: found.millionths,
                entry: round.entry,
            })
        });
        points.collect()
    }

    /// The metrics that its rounds have, ascending.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<(String, MeasuredBy)> {
        let metrics = self.rounds.values().flat_map(|round| &round.closed.metrics);
        metrics.map(|metric| (metric.name.clone(), metric.by)).collect()
    }

    /// Rounds that ended so.
    #[must_use]
    pub fn count(&self, outcome: RoundOutcome) -> usize {
        self.rounds.values().filter(|round| round.closed.outcome == outcome).count()
    }

    /// Whether the run goes on.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.ended.is_none()
    }
}

impl Book {
    /// Why an owner is credited what it is in a run; `None` where it has no account there.
    #[must_use]
    pub fn explain(&self, run: &Digest, owner: &PartyId) -> Option<Explanation> {
        let credits = self.run(run)?.credits.as_ref()?;
        explain(&credits.terms, &credits.rounds, &credits.settlement, owner)
    }

    /// The entries that an owner's credit in a run follows from, ascending: the plan, the rounds and
    /// their evidence, the settlement and the one before it, and what review changed.
    #[must_use]
    pub fn inputs(&self, run: &Digest, owner: &PartyId) -> Vec<u64> {
        let Some(record) = self.run(run) else { return Vec::new() };
        let mut inputs = vec![record.entry];
        for round in record.rounds.values() {
            if let Some((entry, _)) = round.evidence {
                inputs.extend([round.entry, entry]);
                inputs.extend(round.fold.iter().map(|(fold, _)| *fold));
            }
        }
        let Some(credits) = &record.credits else { return inputs };
        inputs.push(credits.entry);
        if !credits.carried.is_empty() {
            let before = self.settlements().filter(|one| one.epoch + 1 == credits.epoch);
            inputs.extend(before.map(|one| one.entry));
        }
        for dispute in credits.disputes.iter().filter_map(|id| self.dispute(id)) {
            let touches = dispute.differences.iter().any(|one| one.owner == *owner);
            if touches || dispute.dispute.owner == *owner {
                inputs.push(dispute.entry);
                inputs.extend(dispute.poll.ballots.iter().map(|ballot| ballot.entry));
                if let State::Decided(_, entry) | State::Withdrawn(entry) = dispute.state {
                    inputs.push(entry);
                }
            }
        }
        inputs.extend(record.budget.map(|(_, entry)| entry));
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    /// What a member did and was given up to now, at a time.
    #[must_use]
    pub fn totals(&self, member: &PartyId, now_ms: u64) -> MemberTotals {
        let mut totals = MemberTotals { paid_micro: self.paid_micro(member), ..Default::default() };
        for round in self.runs.iter().flat_map(|run| run.rounds.values()) {
            if let Ok(at) = round.owners.binary_search_by_key(member, |one| one.owner) {
                totals.rounds_invited += 1;
                totals.rounds_counted += u32::from(round.owners[at].missing.is_none());
                totals.inputs.push(round.entry);
            }
        }
        for credits in self.settlements() {
            if credits.settlement.of(member).is_none() {
                continue;
            }
            let micro = credits.payment_micro(member);
            totals.epochs += 1;
            totals.credited_micro = totals.credited_micro.saturating_add(micro);
            if now_ms <= credits.window_end_ms || self.is_disputed(&credits.run, member) {
                totals.pending_micro = totals.pending_micro.saturating_add(micro);
            }
            totals.inputs.extend(self.inputs(&credits.run, member));
        }
        let debt = self.debts.iter().find(|debt| debt.owner == *member);
        totals.debt_micro = debt.map_or(0, |debt| debt.micro);
        totals.inputs.extend(self.member(member).into_iter().flat_map(|one| &one.history));
        totals.inputs.sort_unstable();
        totals.inputs.dedup();
        totals
    }

    /// Whether an owner's credit of a run is under dispute.
    #[must_use]
    pub fn is_disputed(&self, run: &Digest, owner: &PartyId) -> bool {
        let is_it = |dispute: &super::DisputeRecord| {
            let about = &dispute.dispute;
            dispute.state == State::Open && about.run == *run && about.owner == *owner
        };
        self.disputes.values().any(is_it)
    }
}
