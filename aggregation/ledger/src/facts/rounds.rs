//! Rounds.

use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::evaluation::Scores;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{HolderFault, MissingReason, Outcome, Phase, Report};
use covey_aggregation::publication::Publication;
use covey_aggregation::wire;
use covey_privacy::delta::Delta;
use covey_privacy::event::Event;
use covey_privacy::spent::Spent;

use super::Facts;
use crate::book::has_joined;
use crate::document::Document;
use crate::entry::{
    Attested, EvidenceGiven, FoldOpened, INTEGER_MAX, MeasuredBy, Metric, Missing, MissingCode,
    Participation, PhaseSpan, Published, ROUND_DELTA, RoundClosed, RoundOutcome, SeatFault,
    SeatVote, Traffic,
};

/// A round that is over.
#[derive(Clone, Debug)]
pub struct RoundFacts<'a> {
    /// The run.
    pub run: Digest,
    /// The round.
    pub round: u32,
    /// Digest of its terms.
    pub round_ctx: Digest,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// The publication and its bytes; none where nothing was opened.
    pub publication: Option<(&'a Publication, &'a [u8])>,
    /// The model that it began with, and the one that it came to.
    pub models: (Digest, Digest),
    /// Metrics ([`metrics`]).
    pub metrics: Vec<Metric>,
    /// How long each phase took, where it is known.
    pub phases_ms: &'a [(Phase, u64)],
    /// Bytes between owners and coordinator, where they are known.
    pub traffic: Option<Traffic>,
    /// Digest of the terms that its credit will be settled by; none where it will not be: then its
    /// fold alone is told.
    pub terms: Option<Digest>,
}

/// The end of a round, and where it has credit its fold and its evidence.
#[must_use]
pub fn round(facts: &RoundFacts<'_>) -> Facts {
    let (report, abandoned) = match facts.outcome {
        Outcome::Done(report) => (report, None),
        Outcome::Abandoned { reason, report } => (report, Some(reason.to_string())),
    };
    let owners = owners(report);
    let count = |is_one: fn(&Participation) -> bool| {
        owners.iter().filter(|owner| is_one(owner)).count() as u32
    };
    let counted = count(|owner| owner.missing.is_none());
    let outcome = match (abandoned.is_some(), report.is_degraded()) {
        (true, _) => RoundOutcome::Abandoned,
        (false, true) => RoundOutcome::Degraded,
        (false, false) => RoundOutcome::Done,
    };
    let fault = |(holder, fault): &(HolderIndex, HolderFault)| SeatFault {
        holder: holder.0,
        fault: fault.to_string(),
    };
    let span = |(phase, ms): &(Phase, u64)| PhaseSpan { phase: word(*phase).to_owned(), ms: *ms };
    let no_credit = report.no_credit.as_ref().map(ToString::to_string);
    let mut made = Facts::default();
    let (invited, joined) = (owners.len() as u32, count(|one| has_joined(one.missing.as_ref())));
    let closed = RoundClosed {
        run: facts.run,
        round: facts.round,
        round_ctx: facts.round_ctx,
        outcome,
        reason: abandoned.or(no_credit),
        invited,
        joined,
        counted,
        owners: made.hold(owners),
        faults: report.faults.iter().map(fault).collect(),
        model_before: facts.models.0,
        model_after: facts.models.1,
        published: facts.publication.map(|(publication, bytes)| published(publication, bytes)),
        metrics: facts.metrics.clone(),
        phases_ms: facts.phases_ms.iter().map(span).collect(),
        traffic: facts.traffic,
    };
    made.bodies.push(closed.into());
    let audit = facts.publication.and_then(|(publication, _)| publication.result.audit.as_deref());
    if let Some(record) = audit.and_then(|audit| audit.credit.as_deref()) {
        made.append(credit(facts, record));
    }
    made
}

/// What is said of a publication whose bytes these are.
#[must_use]
pub fn published(publication: &Publication, bytes: &[u8]) -> Published {
    let result = &publication.result;
    let credit = result.audit.as_ref().and_then(|audit| audit.credit.as_ref());
    let scores = if credit.is_some() { &["s", "novelty", "harm"][..] } else { &[] };
    let examples = (result.config.declared_max() > 1).then_some("examples");
    let released = examples.into_iter().chain(scores.iter().copied());
    Published {
        document: Document::of(bytes),
        blake3: Digest(*blake3::hash(bytes).as_bytes()),
        aggregate: result.aggregate.digest(),
        weight: result.aggregate.weight,
        set: result.certificate.set,
        votes: result.certificate.votes.iter().map(SeatVote::from).collect(),
        released: released.map(str::to_owned).collect(),
        epsilon_millionths: epsilon_millionths(&result.config),
    }
}

/// What opening a round's sum told about one owner; none where updates carried no noise.
fn epsilon_millionths(config: &RoundConfig) -> Option<u64> {
    let release = config.release().ok().flatten()?;
    let mut spent = Spent::default();
    spent.add(Event::Distributed(release), 1).ok()?;
    let epsilon = spent.epsilon(Delta::new(ROUND_DELTA).ok()?).least();
    Some((1e6 * epsilon).ceil() as u64)
}

/// What was opened of the pool counts whether or not anybody is credited for it.
fn credit(facts: &RoundFacts<'_>, record: &CreditRecord) -> Facts {
    let (run, round) = (facts.run, facts.round);
    let attestation = &record.attested.attestation;
    let mut made = Facts::default();
    let fold = FoldOpened {
        run,
        round,
        pool: attestation.state.pool,
        examples: made.hold(record.directed.examples.clone()),
        retired: record.retired.len() as u32,
    };
    made.bodies.push(fold.into());
    let Some(terms) = facts.terms else { return made };
    let evidence = EvidenceGiven {
        run,
        round,
        terms,
        evidence: made.hold(record.evidence.clone()),
        attestation: made.hold(Attested(wire::encode(attestation))),
        votes: record.attested.certificate.votes.iter().map(SeatVote::from).collect(),
    };
    made.bodies.push(evidence.into());
    made
}

/// Everybody that a report tells of, ascending.
fn owners(report: &Report) -> Vec<Participation> {
    let counted = report.counted.iter().map(|owner| Participation { owner: *owner, missing: None });
    let missing = report.missing.iter().map(|(owner, reason)| Participation {
        owner: *owner,
        missing: Some(Missing { code: code(reason), why: reason.to_string() }),
    });
    let mut owners: Vec<_> = counted.chain(missing).collect();
    owners.sort_by_key(|one| one.owner);
    owners
}

const fn code(reason: &MissingReason) -> MissingCode {
    match reason {
        MissingReason::NoAnswer => MissingCode::NoAnswer,
        MissingReason::Declined(_) => MissingCode::Declined,
        MissingReason::BadBox(_) => MissingCode::BadBox,
        MissingReason::Disputed(_) => MissingCode::Disputed,
        MissingReason::Abandoned => MissingCode::Abandoned,
        MissingReason::Unproven(_) => MissingCode::Unproven,
        MissingReason::Failed(_) => MissingCode::Failed,
    }
}

const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Select => "select",
        Phase::Collect => "collect",
        Phase::Vote => "vote",
        Phase::Release => "release",
        Phase::Done => "done",
        Phase::Abandon => "abandon",
        Phase::Audit => "audit",
        Phase::Credit => "credit",
    }
}

/// Metrics of a round: what the coordinator measured (share of right answers, mean loss), and what
/// owners measured together. What is no number is left out.
#[must_use]
pub fn metrics(accuracy: Option<f64>, loss: Option<f64>, scores: Option<&Scores>) -> Vec<Metric> {
    let own = [("accuracy", accuracy), ("loss", loss)];
    let own = own.into_iter().filter_map(|(name, value)| {
        let millionths = millionths(value?)?;
        Some(Metric { name: name.to_owned(), by: MeasuredBy::Coordinator, millionths })
    });
    let together = scores.into_iter().flat_map(|scores| &scores.metrics);
    let together = together.filter_map(|(metric, value)| {
        let (name, millionths) = (metric.name().to_owned(), millionths(*value)?);
        Some(Metric { name, by: MeasuredBy::Owners, millionths })
    });
    let mut all: Vec<_> = own.chain(together).collect();
    all.sort_by(|one, other| (&one.name, one.by).cmp(&(&other.name, other.by)));
    all
}

/// A number in millionths, rounded to the nearest; none where it is none, or not counted exactly.
#[must_use]
pub fn millionths(value: f64) -> Option<i64> {
    let scaled = (value * 1e6).round();
    // Below 2^53, so that the conversion is exact.
    (scaled.abs() <= INTEGER_MAX as f64).then_some(scaled as i64)
}
