//! Runs of the example: their plans, rounds, evidence and credits.

use covey_aggregation::credit::{Attestation, Evidence, ModelStep, RoundEvidence, evidence_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::{Identity, Statement as Kind};
use covey_aggregation::stop::Ending;
use covey_aggregation::wire;

use super::{BUDGET, Example, draw, some_digest};
use crate::book::Refused;
use crate::document::{Document, Held};
use crate::entry::{
    Attested, EvidenceGiven, FoldOpened, Missing, MissingCode, Participation, PhaseSpan, Published,
    RoundClosed, RoundOutcome, SeatFault, Traffic,
};
use crate::facts::{self, RunFacts};
use crate::statement::{Compute, Says};

/// Examples of a fold.
const FOLD: u32 = 30;

/// How good each owner's data is, in hundredths; then it begins again. The last two are of no use, and
/// harmful.
const QUALITY: [i64; 6] = [100, 82, 64, 45, 2, -30];

const MINUTE_MS: u64 = 60_000;

impl Example {
    /// Accepts the plan of a run.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn begin(&mut self, name: &str) -> Result<Digest, Refused> {
        let run = some_digest(self.shape.seed, &["run", name]);
        let plan = plan_text(name, self.shape.rounds);
        let facts = RunFacts {
            run,
            plan: plan.as_bytes(),
            launched_by: self.researcher.id(),
            rounds: (1, self.shape.rounds),
            parameters: 64 * 32 + 32 + 32 * 10 + 10,
        };
        let rules = self.book.charter().credit;
        let facts = facts::plan(facts, &rules);
        self.write_facts(facts.map_err(|errors| Refused::Plan(errors.to_string()))?)?;
        Ok(run)
    }

    fn model(&self, run: &Digest, round: u32) -> Digest {
        some_digest(self.shape.seed, &["model", &run.to_string(), &round.to_string()])
    }

    /// The model that a run has come to.
    fn last_model(&self, run: &Digest) -> Digest {
        let last = self.book.run(run).and_then(|run| run.last().1);
        last.unwrap_or_else(|| self.model(run, 0))
    }

    /// A round in which the owner at `missing` gives no answer, where there is one.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn close(
        &mut self,
        run: &Digest,
        round: u32,
        missing: Option<usize>,
    ) -> Result<(), Refused> {
        self.wait_ms(4 * MINUTE_MS);
        let digest = |what: &str| some_digest(self.shape.seed, &[what, &round_label(run, round)]);
        let (round_ctx, set) = (digest("terms"), digest("set"));
        let ids: Vec<_> = self.owners.iter().map(Identity::id).collect();
        let participation = |(at, owner): (usize, &PartyId)| Participation {
            owner: *owner,
            missing: (missing == Some(at)).then(|| Missing {
                code: MissingCode::NoAnswer,
                why: "no answer by the deadline".to_owned(),
            }),
        };
        let mut owners: Vec<_> = ids.iter().enumerate().map(participation).collect();
        owners.sort_by_key(|one| one.owner);
        let invited = owners.len() as u32;
        let counted = invited - u32::from(missing.is_some());
        let weights = (0..ids.len()).filter(|at| missing != Some(*at)).map(examples_of);
        let weight = weights.map(u64::from).sum();
        let steps = [("select", 1_900), ("collect", 41_000), ("vote", 2_100), ("audit", 9_400)];
        let steps = steps.into_iter().chain([("release", 3_300), ("credit", 2_800)]);
        let jitter = draw(self.shape.seed, &["ms", &round_label(run, round)]) % 1000;
        let accuracy = Some(1.0 - 0.7 / f64::from(1 + 2 * round) - jitter as f64 / 1e5);
        let loss = Some(2.2 / f64::from(1 + round) + jitter as f64 / 1e5);
        let fault = SeatFault { holder: 3, fault: "no answer in phase Vote".to_owned() };
        let closed = RoundClosed {
            run: *run,
            round,
            round_ctx,
            outcome: if counted == invited { RoundOutcome::Done } else { RoundOutcome::Degraded },
            reason: None,
            invited,
            joined: counted,
            counted,
            owners: Held::Here(owners.clone()),
            faults: if round == 2 { vec![fault] } else { Vec::new() },
            model_before: self.last_model(run),
            model_after: self.model(run, round),
            published: Some(Published {
                document: Document { sha256: digest("publication"), bytes: 180_000 + jitter },
                blake3: digest("publication-blake3"),
                aggregate: digest("aggregate"),
                weight,
                set,
                votes: self.votes(Kind::Vote, &round_ctx, &set),
                released: ["examples", "s", "novelty", "harm"].map(str::to_owned).to_vec(),
                epsilon_millionths: None,
            }),
            metrics: facts::metrics(accuracy, loss, None),
            phases_ms: steps
                .map(|(phase, ms)| PhaseSpan { phase: phase.to_owned(), ms: ms + jitter })
                .collect(),
            traffic: Some(Traffic {
                up: 412_000 * u64::from(counted),
                down: 96_000 * u64::from(invited),
            }),
        };
        self.write(closed)?;
        let counted = owners.iter().filter(|one| one.missing.is_none()).map(|one| one.owner);
        let counted: Vec<_> = counted.collect();
        self.evidence(run, (round, round_ctx), &counted)?;
        self.compute(run, round, &counted)
    }

    /// A round in which too few answered.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn abandon(&mut self, run: &Digest, round: u32) -> Result<(), Refused> {
        self.wait_ms(4 * MINUTE_MS);
        let missing = |code, why: &str| Some(Missing { code, why: why.to_owned() });
        let mut owners: Vec<_> = self.owners.iter().map(Identity::id).collect();
        owners.sort_unstable();
        let owners = owners.into_iter().zip(0..).map(|(owner, at)| Participation {
            owner,
            missing: if at < 3 {
                missing(MissingCode::NoAnswer, "no answer by the deadline")
            } else {
                missing(MissingCode::Abandoned, "the round was abandoned")
            },
        });
        let owners: Vec<_> = owners.collect();
        let invited = owners.len() as u32;
        self.write(RoundClosed {
            run: *run,
            round,
            round_ctx: some_digest(self.shape.seed, &["terms", &round_label(run, round)]),
            outcome: RoundOutcome::Abandoned,
            reason: Some(format!("{} contributions, at least 5 needed", invited - 3)),
            invited,
            joined: 0,
            counted: 0,
            owners: Held::Here(owners),
            faults: Vec::new(),
            model_before: self.last_model(run),
            model_after: self.last_model(run),
            published: None,
            metrics: Vec::new(),
            phases_ms: vec![PhaseSpan { phase: "collect".to_owned(), ms: 60_000 }],
            traffic: None,
        })?;
        Ok(())
    }

    fn evidence(
        &mut self,
        run: &Digest,
        (round, round_ctx): (u32, Digest),
        counted: &[PartyId],
    ) -> Result<(), Refused> {
        let seed = self.shape.seed;
        let first = self.retired.len() as u32;
        let examples: Vec<u32> = (first..first + FOLD).collect();
        let fold = FoldOpened {
            run: *run,
            round,
            pool: self.state.pool,
            examples: Held::Here(examples.clone()),
            retired: first,
        };
        self.write(fold)?;
        self.retired.extend(examples);
        let score = |owner: &PartyId| {
            let at = self.owners.iter().position(|one| one.id() == *owner).unwrap_or(0);
            let label = round_label(run, round);
            let noise = |what| (draw(seed, &[what, &label, &at.to_string()]) % 4000) as i64 - 2000;
            let quality = QUALITY[at % QUALITY.len()] * 100;
            let count = examples_of(at);
            let (s, novelty) = (quality + noise("s"), quality * 3 / 5 + noise("novelty"));
            Evidence { owner: *owner, count, s, novelty, harm: quality + noise("harm") }
        };
        let evidence = RoundEvidence::new(round, round_ctx, counted.iter().map(score).collect())?;
        let before = self.book.run(run).and_then(|run| run.rounds.get(&round));
        let before = before.map_or(Digest::ZERO, |round| round.closed.model_before);
        let step = ModelStep { before, after: self.model(run, round) };
        self.state = self.state.next(&self.retired, step);
        let attestation = Attestation {
            run: *run,
            round,
            evidence: evidence_digest(&evidence),
            state: self.state.clone(),
        };
        let terms = self.book.run(run).and_then(|run| run.terms).ok_or(Refused::OtherTerms)?;
        let votes = self.votes(Kind::Evidence, &round_ctx, &attestation.digest());
        self.write(EvidenceGiven {
            run: *run,
            round,
            terms: terms.digest(),
            evidence: Held::Here(evidence),
            attestation: Held::Here(Attested(wire::encode(&attestation))),
            votes,
        })?;
        Ok(())
    }

    /// What owners say that the round took them; the last one says nothing.
    fn compute(&mut self, run: &Digest, round: u32, counted: &[PartyId]) -> Result<(), Refused> {
        for at in 0..self.owners.len() - 1 {
            if !counted.contains(&self.owners[at].id()) {
                continue;
            }
            let count = u64::from(examples_of(at));
            let compute = Compute {
                run: *run,
                round,
                examples: 2 * count,
                device_ms: 700 + 90 * at as u64 + u64::from(round),
                bytes_up: 412_000,
                bytes_down: 96_000,
                benchmark_mflops: 42_000 - 5_000 * (at as u64 % 5),
            };
            let signed = self.say(&self.owners[at], Says::Compute(compute));
            self.write(signed.into_body())?;
        }
        Ok(())
    }

    /// Ends a run and settles its credits.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn settle(&mut self, run: &Digest) -> Result<(), Refused> {
        let rounds = self.shape.rounds;
        let (ending, model) = (Ending::Done { rounds }, self.last_model(run));
        self.write_facts(facts::ended(*run, rounds, &ending, model))?;
        match facts::credits(&self.book, run) {
            Ok(facts) => self.write_facts(facts),
            Err(facts::NoCredits::Evidence(bad)) => Err(bad.into()),
            Err(_) => Err(Refused::NotSettled(*run)),
        }
    }
}

/// Examples of the owner at a place.
const fn examples_of(at: usize) -> u32 {
    120 + 40 * at as u32
}

fn round_label(run: &Digest, round: u32) -> String {
    format!("{run}/{round}")
}

fn plan_text(name: &str, rounds: u32) -> String {
    format!(
        r#"schema = "plan/1"
name = "{name}"
purpose = "Tell from eight by eight pixels which digit was written"
seed = 42
[data]
kind = "image"
height = 8
width = 8
pixel_max = 16
classes = 10
[model]
layers = [{{ kind = "flatten" }}, {{ kind = "linear", out = 32 }}, {{ kind = "relu" }}, {{ kind = "linear", out = 10 }}]
[training]
rounds = {rounds}
local_epochs = 2
batch_size = 16
optimizer = {{ name = "sgd", lr = 0.1, momentum = 0.9 }}
weighting = {{ capped_examples = 1000 }}
[cohort]
minimum = 5
maximum = 100
deadlines = {{ select = "30s", collect = "60s", vote = "30s", release = "30s" }}
[secure_aggregation]
profile = "B"
bits = 12
range = 1.0
clip_norm = 10.0
audit = "closed"
[credit]
budget = {BUDGET}
"#
    )
}
