//! What the entries of a round say.

use covey_aggregation::message::Outcome;
use covey_aggregation::plan::Plan;
use covey_aggregation::publication::{Publication, verify_but_sum};

use super::statements::Teller;
use super::{Standing, Why};
use crate::document::Document;
use crate::entry::{
    Body, EvidenceGiven, FoldOpened, MeasuredBy, Metric, RoundClosed, RoundOutcome,
};
use crate::facts::{self, RoundFacts};

/// Metrics are rounded: another machine may round the last millionth otherwise.
const ROUNDING: u64 = 1;

/// Said of a round whose contributions were not added again.
pub(crate) const ADD_UP: &str =
    "that the contributions add up (with them, another command checks it)";

impl Teller<'_> {
    pub(super) fn round(&mut self, body: &RoundClosed) {
        self.checked("the round follows on the one before it, and begins with its model");
        self.checked("its counts and its outcome are those of its list of owners");
        let Some(published) = &body.published else {
            self.asserted("that nothing was opened, and what became of each owner");
            return;
        };
        let votes = Standing::Attested(published.votes.len());
        self.say(votes, "which contributions are in the certified set");
        match self.publication(&published.document) {
            None => self.asserted(
                "who is in the sum, who is not and why, and what was opened (the publication is not \
                 at hand)",
            ),
            Some(publication) => self.compare(body, &publication),
        }
        self.asserted("the model that the round came to, its metrics on the coordinator's file");
        self.asserted("how long its phases took, and how many bytes were exchanged");
    }

    fn publication(&mut self, document: &Document) -> Option<Publication> {
        let bytes = self.document(document)?;
        let publication = Publication::decode(&bytes).ok();
        if publication.is_none() {
            self.doubt(Why::Publication("it is none"));
        }
        publication
    }

    /// Compares a round with its publication, and checks that.
    fn compare(&mut self, body: &RoundClosed, publication: &Publication) {
        let (result, config) = (&publication.result, &publication.result.config);
        let bytes = publication.encode();
        let made = facts::round(&RoundFacts {
            run: config.run,
            round: config.round,
            round_ctx: publication.round_ctx(),
            outcome: &Outcome::Done(result.report.clone()),
            publication: Some((publication, &bytes)),
            models: (config.model, body.model_after),
            metrics: body.metrics.clone(),
            phases_ms: &[],
            traffic: body.traffic,
            terms: None,
        });
        let same = made.bodies.into_iter().next().is_some_and(|made| match made {
            Body::RoundClosed(mut made) => {
                made.phases_ms.clone_from(&body.phases_ms);
                *made == *body
            }
            _ => false,
        });
        let plan = self.book.run(&body.run).map(|run| run.plan.plan);
        if !same || plan != Some(config.plan) {
            self.doubt(Why::Publication("terms, owners, sum, set or faults are other ones"));
            return;
        }
        self.checked("terms, owners, reasons, set and sum are those of the publication");
        self.owners_metrics(body, publication);
        let document = self.book.roster_document(&config.federation).copied();
        let roster = document.and_then(|document| self.roster_of(&document, &config.federation));
        let what =
            "the publication holds: terms, set, audit, credit and report, with every signature";
        match roster.map(|roster| verify_but_sum(publication, &roster)) {
            None => self.asserted(format!("{what} (the roster is not at hand)")),
            Some(Ok(_)) => self.checked(what),
            Some(Err(fault)) => self.doubt(Why::BadPublication(fault)),
        }
        self.asserted(ADD_UP);
    }

    /// What owners measured is in the opened counters, which the plan says how to read.
    fn owners_metrics(&mut self, body: &RoundClosed, publication: &Publication) {
        let of_owners = |metric: &&Metric| metric.by == MeasuredBy::Owners;
        let said: Vec<_> = body.metrics.iter().filter(of_owners).collect();
        let text = self.book.run(&body.run).and_then(|run| run.plan.text.clone());
        let layout = text.and_then(|text| Plan::parse(&text).ok()?.layout());
        let Some(layout) = layout else {
            if !said.is_empty() {
                self.asserted("what the owners measured together (the plan is not at hand)");
            }
            return;
        };
        let scores = layout.read(&publication.result.aggregate.counters).ok();
        let read = facts::metrics(None, None, scores.as_ref());
        let is_close = |one: &Metric, other: &Metric| {
            one.name == other.name && one.millionths.abs_diff(other.millionths) <= ROUNDING
        };
        let same = said.len() == read.len() && said.iter().zip(&read).all(|(a, b)| is_close(a, b));
        if same {
            self.checked("what the owners measured together is in the opened counters");
        } else {
            self.doubt(Why::Publication("the owners' metrics are other ones"));
        }
    }

    pub(super) fn fold(&mut self, body: &FoldOpened) {
        self.checked("none of the examples was opened before");
        let round = self.book.run(&body.run).and_then(|run| run.rounds.get(&body.round));
        let what = "which examples of the validation pool were opened";
        if round.is_some_and(|round| round.evidence.is_some()) {
            let votes = self.book.founding().quorum as usize;
            self.say(
                Standing::Attested(votes),
                format!("{what}: the evidence's votes are for them"),
            );
        } else {
            self.asserted(what);
        }
    }

    pub(super) fn evidence(&mut self, body: &EvidenceGiven) {
        self.say(Standing::Attested(body.votes.len()), "the scores of each owner in the sum");
        self.checked(
            "the scores are of exactly the owners in the sum, and made for the run's terms",
        );
        let round = self.book.run(&body.run).and_then(|run| run.rounds.get(&body.round));
        let closed = round.map(|round| round.closed.clone());
        let closed = closed.filter(|closed| closed.outcome != RoundOutcome::Abandoned);
        let Some(closed) = closed else { return };
        let published = closed.published.as_ref().map(|published| published.document);
        let Some(publication) = published.and_then(|document| self.publication(&document)) else {
            return;
        };
        let audit = publication.result.audit.as_deref();
        let credit = audit.and_then(|audit| audit.credit.as_deref());
        let evidence = body.evidence.get(self.documents).ok();
        if credit.map(|credit| &credit.evidence) == evidence.as_ref() && evidence.is_some() {
            self.checked("the scores are those of the publication, which follow from its openings");
        } else {
            self.doubt(Why::Publication("its evidence is another one"));
        }
    }
}
