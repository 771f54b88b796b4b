//! The end of a round: the new model, its evaluation, the publication, the record. In this order,
//! and each step may be repeated after a crash: the round counts as over only with its record.

use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::audit::record::AuditRecord;
use covey_aggregation::audit::weighing::{Weights, wrong_check_digits};
use covey_aggregation::evaluation::{Implausible, Scores};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{AbandonReason, Outcome, Phase};
use covey_aggregation::plan::OnShortfall;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::round::{Opened, Round};
use covey_aggregation::signing::Identity;
use covey_aggregation::stop::Ending;
use covey_aggregation::strategy::{RoundClip, Stepped};
use covey_aggregation::wire;
use covey_model::evaluate::Metrics;

use super::place::Place;
use super::{Run, Standing};
use crate::directing::stored_rest;
use crate::driver::RoundEnd;
use crate::event::{Event, RoundSummary};
use crate::learning::Learning;
use crate::ledger::Passed;
use crate::storage::blobs::Blobs;
use crate::storage::journal::RoundRow;
use crate::storage::registry::Wish;
use crate::summing::{KEY_SUM, stored_aggregate};
use crate::weighing::Weighing;

/// What the end of a round is made from; everything in it was agreed or opened.
struct Closing {
    /// The result but for its aggregate and key sum, which are on the disk.
    result: RoundResult,
    opened: Opened,
    blobs: Arc<Blobs>,
    learning: Arc<Learning>,
    identity: Arc<Identity>,
    /// What the round began with.
    before: Place,
}

/// What came of it.
struct Closed {
    /// What the next round begins with.
    after: Place,
    counters: Vec<u64>,
    /// Why the aggregate was not applied.
    diverged: Option<String>,
    metrics: Option<Metrics>,
    publication: PathBuf,
    clip: Option<RoundClip>,
}

impl Run<'_> {
    /// Closes a round. Says whether it was done.
    pub(super) async fn conclude(
        &mut self,
        standing: &mut Standing,
        end: RoundEnd,
    ) -> Result<bool, Failure> {
        let number = standing.next_round();
        let mut summary = RoundSummary::of(number, &end.outcome, &self.driver.roster);
        summary.phases_ms = phases_ms(&end);
        summary.opening_ms = end.opening_ms;
        summary.directing_ms = end.directing_ms;
        let mut row = RoundRow {
            round: number,
            context: self.driver.round().map_or(Digest::ZERO, |round| *round.context()),
            model: standing.place.model,
            state: standing.place.kept,
            counters: Vec::new(),
            aggregate: None,
            outcome: wire::encode(&end.outcome),
            accuracy: None,
            loss: None,
            ended: end.ended,
        };
        let context = row.context;
        let is_done = matches!(end.outcome, Outcome::Done(_));
        let mut diverged = None;
        if is_done {
            let closing = self.closing(standing, &end.outcome)?;
            let opened = closing.opened;
            let work = tokio::task::spawn_blocking(move || closing.carry_out());
            let closed = self.driver.serve_while(work).await?;
            let closed = closed.map_err(|_| broken("the worker that closes the round died"))??;
            row.model = closed.after.model;
            row.state = closed.after.kept;
            row.counters = closed.counters;
            row.aggregate = Some(opened.aggregate);
            row.accuracy = closed.metrics.and_then(|metrics| metrics.accuracy());
            row.loss = closed.metrics.map(|metrics| metrics.loss);
            summary.weight = Some(opened.weight);
            summary.weighing = self.weighing(&end.outcome);
            summary.aggregate = Some(opened.aggregate.to_string());
            summary.publication = Some(closed.publication);
            summary.clip = closed.clip;
            summary.accuracy = row.accuracy;
            summary.loss = row.loss;
            match self.scores(&row) {
                Some(Ok(scores)) => summary.federated = Some(scores),
                Some(Err(why)) => summary.implausible = Some(why.to_string()),
                None => {}
            }
            standing.place = closed.after;
            diverged = closed.diverged.map(|why| Ending::Diverged { round: number, why });
        }
        self.remember_credit()?;
        summary.model = row.model.to_string();
        standing.rounds.push(row);
        let ending = diverged.or_else(|| self.ended_by_shortfall(number, &end.outcome));
        let ending = ending.or_else(|| self.ended_by_rule(standing));
        let ending = ending.or_else(|| self.ended_by_wish(standing, is_done));
        if let Some(row) = standing.rounds.last() {
            self.driver.journal.close_round(row, ending.as_ref()).await?;
        }
        if let Some(ending) = ending {
            standing.run.ending = Some(ending.word().to_owned());
            standing.run.reason = Some(ending.to_string());
        }
        let phases_ms = summary.phases_ms.clone();
        // A program that was started again in the middle saw a part of it.
        let saw_all = end.phases.first().is_some_and(|(phase, _)| *phase == Phase::Select);
        let passed = Passed { phases_ms, traffic: saw_all.then_some(end.traffic) };
        self.driver.ledger.note_passed(context, passed);
        self.driver.ledger.look();
        self.driver.blobs.forget(number)?;
        self.register(standing, standing.rounds.len() - 1).await?;
        self.driver.round_is_over(summary);
        Ok(is_done)
    }

    /// How often each owner of the round at hand counts.
    fn weighing(&self, outcome: &Outcome) -> Option<Weighing> {
        let (Outcome::Done(report), Some(round)) = (outcome, self.driver.round()) else {
            return None;
        };
        Weighing::of(round.config(), &report.counted, &self.driver.roster)
    }

    /// What the owners measured in a round; none where the plan does not ask, or nothing was
    /// opened.
    pub(super) fn scores(&self, row: &RoundRow) -> Option<Result<Scores, Implausible>> {
        let layout = self.learning.plan.layout()?;
        row.aggregate.map(|_| layout.read(&row.counters))
    }

    /// Whether the run is over because its last round is, or because somebody wants it so.
    fn ended_by_wish(&self, standing: &Standing, is_done: bool) -> Option<Ending> {
        let rounds = standing.run.rounds;
        let is_last = standing.next_round() > rounds;
        match self.driver.wish() {
            Wish::Stop { by } if !(is_last && is_done) => Some(Ending::Stopped { by }),
            _ => is_last.then_some(Ending::Done { rounds }),
        }
    }

    /// Whether the run is over because too few contributed, and the plan says so.
    fn ended_by_shortfall(&self, round: u32, outcome: &Outcome) -> Option<Ending> {
        let Outcome::Abandoned { reason, .. } = outcome else { return None };
        let AbandonReason::TooFewContributions { got, needed } = *reason else { return None };
        let stops = self.learning.plan.cohort.on_shortfall == OnShortfall::Stop;
        stops.then_some(Ending::Shortfall { round, got, needed })
    }

    fn ended_by_rule(&self, standing: &Standing) -> Option<Ending> {
        let measured = standing.rounds.iter().filter_map(|row| {
            let scores = self.scores(row)?.ok()?;
            Some((row.round, scores))
        });
        let measured: Vec<_> = measured.collect();
        self.learning.plan.stop.after(standing.rounds.last()?.round, &measured)
    }

    fn closing(&self, standing: &Standing, outcome: &Outcome) -> Result<Closing, Failure> {
        let round = self.driver.round();
        let (Some(round), Outcome::Done(report)) = (round, outcome) else {
            return Err(broken("no round is over"));
        };
        let (Some(certificate), Some(opened)) = (round.certificate(), round.opened()) else {
            return Err(broken("the round is done without a certificate or a result"));
        };
        let number = round.config().round;
        let credit = self.credit_record(round)?.map(Box::new);
        let audit = round.audit().map(|audit| Box::new(AuditRecord { credit, ..audit }));
        if let Some(audit) = &audit {
            self.tell_what_is_off(round, audit)?;
        }
        let result = RoundResult {
            config: round.config().clone(),
            cohort: round.terms().cohort.clone(),
            countersignatures: round.countersignatures().to_vec(),
            headers: set_of(round),
            certificate: certificate.clone(),
            audit,
            key_sum: self.driver.blobs.result(number, KEY_SUM)?,
            aggregate: stored_aggregate(&self.driver.blobs, number, &opened.aggregate)?,
            report: report.clone(),
        };
        Ok(Closing {
            result,
            opened: *opened,
            blobs: Arc::clone(&self.driver.blobs),
            learning: Arc::clone(&self.learning),
            identity: Arc::clone(&self.identity),
            before: standing.place.clone(),
        })
    }

    /// Tells what owners sealed beside their updates that is not as it should be. It passed the audit
    /// and moves nothing.
    fn tell_what_is_off(&self, round: &Round, audit: &AuditRecord) -> Result<(), Failure> {
        let (config, number) = (round.config(), round.config().round);
        let rest = stored_rest(&self.driver.blobs, number)?;
        let owners = round.set().iter().filter_map(|one| audit.declared(&one.header.client));
        let carries = audit.credit.as_ref().map_or(&[][..], |credit| &credit.carries);
        let weights = Weights::of(config, &owners.collect::<Vec<_>>(), &rest, carries);
        if !weights.are_equal() {
            let Weights { declared, sealed } = weights;
            self.driver.tell(&Event::Misweighed { round: number, declared, sealed });
        }
        let wrong = wrong_check_digits(config, &rest);
        if wrong > 0 {
            self.driver.tell(&Event::CheckDigits { round: number, wrong });
        }
        Ok(())
    }
}

/// U by ascending client, as publications list it.
fn set_of(round: &Round) -> Vec<covey_aggregation::message::SignedHeader> {
    let mut headers = round.set().to_vec();
    headers.sort_by_key(|signed| signed.header.client);
    headers
}

impl Closing {
    fn carry_out(self) -> Result<Closed, Failure> {
        let Self { result, blobs, learning, identity, before, .. } = self;
        let place = (before.parameters.as_slice(), &*before.state);
        let step = learning.plan.step(place, &result.config, &result.aggregate);
        let (after, diverged) = match step.map_err(|error| broken(&error.to_string()))? {
            Ok(Stepped { parameters, state, .. }) => {
                let after = Place::new(&learning.task, parameters, state);
                // Durable before the round counts as over, and so before the next begins.
                after.store(&blobs)?;
                (after, None)
            }
            // It is stored since it was begun with.
            Err(why) => (before, Some(why)),
        };
        let metrics = learning.evaluation().and_then(|evaluate| evaluate(&after.parameters));
        let counted: Vec<_> = result.headers.iter().map(|one| one.header.digest()).collect();
        let (number, counters) = (result.config.round, result.aggregate.counters.clone());
        let clip = RoundClip::of(&result.config, &result.aggregate);
        let bundle = Publication::sign(result, &identity).encode();
        let publication = blobs.publish(number, &bundle, &counted)?;
        Ok(Closed { after, counters, diverged, metrics, publication, clip })
    }
}

/// How long each phase took, of those whose beginning was seen.
fn phases_ms(end: &RoundEnd) -> Vec<(Phase, u64)> {
    let ends = end.phases.iter().skip(1).map(|(_, at)| *at).chain([end.ended]);
    let spans = end.phases.iter().zip(ends);
    spans
        .filter(|((phase, _), _)| !matches!(phase, Phase::Done | Phase::Abandon))
        .map(|((phase, began), ended)| (*phase, ended.since_ms(*began)))
        .collect()
}

pub(super) fn broken(what: &str) -> Failure {
    Failure::new(Exit::Failed, "BUG", format!("{what}; this is a bug, please report it"))
}
