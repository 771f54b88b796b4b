//! The end of a round: the new model, its evaluation, the publication, the record. In this order,
//! and each step may be repeated after a crash: the round counts as over only with its record.

use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::Outcome;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::round::{Opened, Round};
use covey_aggregation::signing::Identity;
use covey_aggregation::wire;
use covey_model::evaluate::Metrics;

use super::{Run, Standing};
use crate::driver::RoundEnd;
use crate::event::{Event, RoundSummary};
use crate::learning::{Learning, to_bytes};
use crate::storage::blobs::Blobs;
use crate::storage::journal::RoundRow;
use crate::summing::{KEY_SUM, stored_aggregate};

/// What the end of a round is made from; everything in it was agreed or opened.
struct Closing {
    /// The result but for its aggregate and key sum, which are on the disk.
    result: RoundResult,
    opened: Opened,
    blobs: Arc<Blobs>,
    learning: Arc<Learning>,
    identity: Arc<Identity>,
    parameters: Arc<Vec<f32>>,
}

/// What came of it.
struct Closed {
    model: Digest,
    parameters: Vec<f32>,
    metrics: Option<Metrics>,
    publication: PathBuf,
}

impl Run {
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
        let mut row = RoundRow {
            round: number,
            context: self.driver.round().map_or(Digest::ZERO, |round| *round.context()),
            model: standing.model,
            aggregate: None,
            outcome: wire::encode(&end.outcome),
            accuracy: None,
            loss: None,
            ended: end.ended,
        };
        let is_done = matches!(end.outcome, Outcome::Done(_));
        if is_done {
            let closing = self.closing(standing, &end.outcome)?;
            let opened = closing.opened;
            let work = tokio::task::spawn_blocking(move || closing.carry_out());
            let closed = self.driver.serve_while(work).await?;
            let closed = closed.map_err(|_| broken("the worker that closes the round died"))??;
            row.model = closed.model;
            row.aggregate = Some(opened.aggregate);
            row.accuracy = closed.metrics.and_then(|metrics| metrics.accuracy());
            row.loss = closed.metrics.map(|metrics| metrics.loss);
            summary.weight = Some(opened.weight);
            summary.aggregate = Some(opened.aggregate.to_string());
            summary.publication = Some(closed.publication);
            summary.accuracy = row.accuracy;
            summary.loss = row.loss;
            standing.model = closed.model;
            standing.parameters = Arc::new(closed.parameters);
        }
        summary.model = row.model.to_string();
        self.driver.journal.close_round(&row).await?;
        standing.rounds.push(row);
        self.driver.blobs.forget(number)?;
        self.driver.tell(&Event::Round(summary));
        Ok(is_done)
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
        let result = RoundResult {
            config: round.config().clone(),
            cohort: round.terms().cohort.clone(),
            countersignatures: round.countersignatures().to_vec(),
            headers: set_of(round),
            certificate: certificate.clone(),
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
            parameters: Arc::clone(&standing.parameters),
        })
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
        let Self { result, blobs, learning, identity, parameters, .. } = self;
        let mean = result.aggregate.mean(&result.config.quantiser);
        let next = learning.plan.training.next_parameters(&parameters, &mean);
        let parameters = next.map_err(|error| broken(&error.to_string()))?;
        let model = learning.task.parameters_digest(&parameters);
        blobs.put(&model, &to_bytes(&parameters))?;
        let metrics = learning.evaluation().and_then(|evaluate| evaluate(&parameters));
        let counted: Vec<_> = result.headers.iter().map(|one| one.header.digest()).collect();
        let number = result.config.round;
        let bundle = Publication::sign(result, &identity).encode();
        let publication = blobs.publish(number, &bundle, &counted)?;
        Ok(Closed { model, parameters, metrics, publication })
    }
}

/// How long each phase took, of those whose beginning was seen.
fn phases_ms(end: &RoundEnd) -> Vec<(covey_aggregation::message::Phase, u64)> {
    let ends = end.phases.iter().skip(1).map(|(_, at)| *at).chain([end.ended]);
    let spans = end.phases.iter().zip(ends);
    spans
        .filter(|((phase, _), _)| {
            use covey_aggregation::message::Phase::{Abandon, Done};
            !matches!(phase, Done | Abandon)
        })
        .map(|((phase, began), ended)| (*phase, ended.since_ms(*began)))
        .collect()
}

fn broken(what: &str) -> Failure {
    Failure::new(Exit::Failed, "BUG", format!("{what}; this is a bug, please report it"))
}
