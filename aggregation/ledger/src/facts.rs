//! From what a coordinator knows to entries: pure and deterministic, so that after a crash it makes
//! all of them again, and what the ledger has already is known by its subject ([`Book::has`]).
//!
//! The order in which a ledger takes them: the founding; members as rosters come into force; a run's
//! plan; of each round its end, its fold, its evidence; the run's end; its credits.

use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::credit::{BadEvidence, CreditTerms, settle};
use covey_aggregation::evaluation::Scores;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{HolderFault, MissingReason, Outcome, Phase, Report};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::plan::{Plan, PlanErrors};
use covey_aggregation::publication::Publication;
use covey_aggregation::roster::Roster;
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::stop::Ending;
use covey_aggregation::wire;

use crate::book::{Book, RunRecord};
use crate::charter::{Charter, CreditRules};
use crate::compute::flops_per_example;
use crate::document::{Content, Document, Held};
use crate::entry::{
    Attested, Body, CreditsSettled, Ended, EvidenceGiven, FoldOpened, Founder, Founding,
    HELD_BYTES_MAX, INTEGER_MAX, Leaving, MeasuredBy, MemberJoined, MemberLeft, Metric, Missing,
    MissingCode, Participation, PhaseSpan, PlanAccepted, Published, RosterProof, RoundClosed,
    RoundOutcome, RunEnded, RunExtended, SeatFault, SeatVote, Seated, Traffic,
};

/// Entries to write, in order, and the documents that they name: to be published before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// What they say.
    pub bodies: Vec<Body>,
    /// The documents' bytes; each is known by its SHA-256 digest.
    pub documents: Vec<Vec<u8>>,
}

impl Facts {
    fn one(body: impl Into<Body>) -> Self {
        Self { bodies: vec![body.into()], documents: Vec::new() }
    }

    fn hold<T: Content>(&mut self, value: T) -> Held<T> {
        let (held, document) = Held::new(value, HELD_BYTES_MAX);
        self.documents.extend(document);
        held
    }

    fn append(&mut self, mut other: Self) {
        self.bodies.append(&mut other.bodies);
        self.documents.append(&mut other.documents);
    }
}

/// The founding of the federation of a roster; `reviewers` in any order.
#[must_use]
pub fn founding(roster: &Roster, reviewers: &[PartyId], charter: Charter) -> Option<Facts> {
    let bytes = wire::encode(roster);
    let seat = |member: &covey_aggregation::roster::Member| Seated {
        name: member.name.clone(),
        id: member.id,
    };
    let is_seat = |role| matches!(role, Role::Coordinator | Role::Holder);
    let others = roster.members.iter().filter(|member| !is_seat(member.role));
    let holders: Vec<_> = roster.with_role(Role::Holder).map(seat).collect();
    let shape = covey_aggregation::config::CommitteeShape::of_members(holders.len())?;
    let mut reviewers = reviewers.to_vec();
    reviewers.sort_unstable();
    reviewers.dedup();
    let founding = Founding {
        roster: roster.digest(),
        authority: roster.authority,
        roster_document: Document::of(&bytes),
        coordinator: roster.with_role(Role::Coordinator).next().map(seat)?,
        holders,
        quorum: shape.quorum() as u32,
        members: others
            .map(|one| Founder { name: one.name.clone(), id: one.id, role: one.role })
            .collect(),
        reviewers,
        charter,
    };
    let mut facts = Facts::one(founding);
    facts.documents.push(bytes);
    Some(facts)
}

/// Who came and who left with a roster; `how` says why somebody left.
#[must_use]
pub fn members(
    previous: &Roster,
    next: &CertifiedRoster,
    how: impl Fn(&PartyId) -> (Leaving, String),
) -> Facts {
    let CertifiedRoster { roster, votes } = next;
    let votes = votes.iter().map(SeatVote::from).collect();
    let (digest, bytes) = (roster.digest(), wire::encode(roster));
    let document = Document::of(&bytes);
    let proof = RosterProof { number: roster.number, digest, document, votes };
    let changes = previous.changes(roster);
    let left = changes.left.iter().map(|member| {
        let (how, why) = how(&member.id);
        Body::from(MemberLeft { id: member.id, how, why, roster: proof.clone() })
    });
    let joined = changes.joined.iter().map(|member| {
        let (name, id, role) = (member.name.clone(), member.id, member.role);
        Body::from(MemberJoined { name, id, role, roster: proof.clone() })
    });
    let bodies = left.chain(joined).collect();
    Facts { bodies, documents: vec![bytes] }
}

/// A run whose plan was accepted.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// The run.
    pub run: Digest,
    /// The plan's bytes, as they were hashed.
    pub plan: &'a [u8],
    /// Who launched it.
    pub launched_by: PartyId,
    /// The first round and the last that is asked for.
    pub rounds: (u32, u32),
    /// Numbers that travel in an update.
    pub parameters: u64,
}

/// The beginning of a run, whose credits will be settled by these rules ([`Charter::credit`]).
///
/// # Errors
/// [`PlanErrors`].
pub fn plan(run: RunFacts<'_>, rules: &CreditRules) -> Result<Facts, PlanErrors> {
    let RunFacts { run, plan: bytes, launched_by, rounds: (first_round, rounds), parameters } = run;
    let plan = Plan::from_bytes(bytes)?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut facts = Facts::one(PlanAccepted {
        run,
        name: plan.name.clone(),
        text: (text.len() <= HELD_BYTES_MAX).then_some(text),
        document: Document::of(bytes),
        plan: Plan::digest(bytes),
        launched_by,
        rounds,
        first_round,
        parameters,
        terms: terms(&plan, rounds, rules),
        flops_per_example: flops_per_example(&plan).filter(|flops| *flops <= INTEGER_MAX),
    });
    facts.documents.push(bytes.to_vec());
    Ok(facts)
}

/// What a plan's credits are settled by, under a charter's rules; none where it gives none, or an epoch
/// cannot have so many rounds.
#[must_use]
pub fn terms(plan: &Plan, rounds: u32, rules: &CreditRules) -> Option<CreditTerms> {
    let budget_micro = u64::from(plan.credit?.budget) * covey_aggregation::credit::MICRO;
    rules.terms(budget_micro, rounds).ok()
}

/// A run that is asked for more rounds, by `by`.
#[must_use]
pub fn extended(run: &RunRecord, rules: &CreditRules, rounds: u32, by: PartyId) -> Facts {
    let budget = run.plan.terms.map(|terms| terms.get().budget_micro);
    let terms = budget.and_then(|budget| rules.terms(budget, rounds).ok());
    Facts::one(RunExtended { run: run.plan.run, rounds, terms, by })
}

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
    /// Digest of the terms that its credit will be settled by.
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
    let fault = |(holder, fault): &(covey_aggregation::config::HolderIndex, HolderFault)| {
        SeatFault { holder: holder.0, fault: fault.to_string() }
    };
    let span = |(phase, ms): &(Phase, u64)| PhaseSpan { phase: word(*phase).to_owned(), ms: *ms };
    let no_credit = report.no_credit.as_ref().map(ToString::to_string);
    let mut made = Facts::default();
    let (invited, joined) = (owners.len() as u32, count(has_joined));
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
    if let (Some(record), Some(terms)) =
        (audit.and_then(|audit| audit.credit.as_deref()), facts.terms)
    {
        made.append(credit(facts, record, terms));
    }
    made
}

fn has_joined(one: &Participation) -> bool {
    crate::book::has_joined(one.missing.as_ref())
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
        // No noise is added by any round of today.
        epsilon_millionths: None,
    }
}

fn credit(facts: &RoundFacts<'_>, record: &CreditRecord, terms: Digest) -> Facts {
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
    let evidence = EvidenceGiven {
        run,
        round,
        terms,
        evidence: made.hold(record.evidence.clone()),
        attestation: made.hold(Attested(wire::encode(attestation))),
        votes: record.attested.certificate.votes.iter().map(SeatVote::from).collect(),
    };
    made.bodies.extend([fold.into(), evidence.into()]);
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

/// The end of a run after round `round`, with the model that it came to.
#[must_use]
pub fn ended(run: Digest, round: u32, ending: &Ending, model: Digest) -> Facts {
    let how = match ending {
        Ending::Done { .. } => Ended::Done,
        Ending::Target { .. } => Ended::Target,
        Ending::Plateau { .. } => Ended::Plateau,
        Ending::Diverged { .. } => Ended::Diverged,
        Ending::Shortfall { .. } => Ended::Shortfall,
        Ending::Stopped { .. } => Ended::Stopped,
    };
    Facts::one(RunEnded { run, round, how, why: ending.to_string(), model })
}

/// Why a run has no credits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredits {
    /// Not a run of the ledger.
    #[error("no plan of the run {0} was accepted")]
    UnknownRun(Digest),
    /// It gives none, or was settled.
    #[error("the run gives no credit, or its credits are settled")]
    None,
    /// Its evidence cannot be settled.
    #[error("the evidence cannot be settled: {0}")]
    Evidence(#[from] BadEvidence),
}

/// The credits of a run whose evidence is all in the book, with the debts that the settlement before
/// it left.
///
/// # Errors
/// [`NoCredits`].
pub fn credits(book: &Book, run: &Digest) -> Result<Facts, NoCredits> {
    let record = book.run(run).ok_or(NoCredits::UnknownRun(*run))?;
    let terms = record.terms.filter(|_| record.credits.is_none()).ok_or(NoCredits::None)?;
    let rounds = record.rounds.values().filter_map(|round| round.evidence.as_ref());
    let rounds: Vec<_> = rounds.map(|(_, evidence)| evidence.clone()).collect();
    let settlement = settle(&terms, &rounds, book.debts())?;
    let mut made = Facts::default();
    let body = CreditsSettled {
        run: *run,
        terms,
        carried: made.hold(book.debts().to_vec()),
        settlement: made.hold(settlement),
    };
    made.bodies.push(body.into());
    Ok(made)
}
