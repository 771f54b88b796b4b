//! The rounds of a simulation, one after the other, as a coordinator carries a run out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Instant;

use covey_aggregation::audit::deal::ComponentKey;
use covey_aggregation::config::{
    Audit, CommitteeShape, KeyLayer, RoundConfig, Seat, cohort_digest,
};
use covey_aggregation::evaluation::Scores;
use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::message::{Outcome, Report};
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::round::{Terms, Timings};
use covey_aggregation::stop::Ending;
use covey_aggregation::strategy::{RoundClip, State, Stepped};
use covey_aggregation::sum::open::Aggregate;
use covey_model::random::{shuffle, stream, unit_f64};

use super::clear;
use super::event::{Event, RoundSummary, Summary};
use super::laboratory::{Laboratory, Opening};
use super::memory::peak_bytes;
use super::options::Options;
use super::sealed::{Founded, Machines};
use crate::prepare::check_terms;
use crate::update::Start;

/// How a round ended.
pub(super) struct RoundEnd {
    pub(super) outcome: Outcome,
    /// The opened sum, when done.
    pub(super) aggregate: Option<Aggregate>,
    /// The loss that each client saw while training, of those that contributed.
    pub(super) losses: BTreeMap<usize, f32>,
    /// What the first client that declined told its owner.
    pub(super) why_declined: Option<String>,
}

/// The failure of something that cannot happen.
pub(super) fn bug(what: &(impl Display + ?Sized)) -> Failure {
    Failure::new(Exit::Failed, "BUG", format!("{what}; this is a bug, please report it"))
}

/// Runs a simulation; `tell` hears of its beginning, its rounds and its end.
///
/// # Errors
/// [`Failure`] for bad input, or when no round was done.
pub fn simulate(options: &Options, tell: &mut dyn FnMut(&Event)) -> Result<Summary, Failure> {
    simulate_model(options, tell).map(|(summary, _)| summary)
}

/// The same, with the parameters that it ends with.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_model(
    options: &Options,
    tell: &mut dyn FnMut(&Event),
) -> Result<(Summary, Vec<f32>), Failure> {
    options.check()?;
    let laboratory = Laboratory::open(options)?;
    let minimum = laboratory.plan.cohort.minimum;
    if options.clients < minimum as usize {
        let what =
            format!("{} clients, the plan opens no sum of fewer than {minimum}", options.clients);
        return Err(Failure::new(Exit::BadInput, "BAD_SIMULATION", what)
            .with_help(format!("use --clients {minimum} or more, or lower cohort.minimum")));
    }
    let mut course = Course::new(options, &laboratory)?;
    tell(&course.beginning());
    while course.ending.is_none() {
        let summary = course.round()?;
        tell(&Event::Round(summary));
    }
    let summary = course.summary();
    tell(&Event::Finished(summary.clone()));
    if summary.rounds_done == 0 {
        let what = format!("all {} rounds were abandoned", summary.rounds_abandoned);
        return Err(Failure::new(Exit::Failed, "RUN_ABANDONED", what)
            .with_help("the rounds say why; lower --dropout or the plan's cohort.minimum"));
    }
    Ok((summary, course.parameters))
}

/// A simulation under way.
struct Course<'a> {
    options: &'a Options,
    laboratory: &'a Laboratory,
    /// None where nothing is sealed.
    machines: Option<Machines>,
    roster: Digest,
    committee: Vec<Seat>,
    /// The beacon keys that audited rounds begin with.
    beacons: Vec<ComponentKey>,
    timings: Timings,
    /// What the next round begins with.
    parameters: Vec<f32>,
    /// How the last round that was done moved the model, where an attacker asks for it.
    moved: Option<Vec<f32>>,
    state: State,
    rounds: u32,
    /// The round done last.
    last: u32,
    done: u32,
    measured: Vec<(u32, Scores)>,
    accuracy: Option<f64>,
    loss: Option<f64>,
    seconds: f64,
    ending: Option<Ending>,
}

impl<'a> Course<'a> {
    fn new(options: &'a Options, laboratory: &'a Laboratory) -> Result<Self, Failure> {
        let plan = &laboratory.plan;
        let timings = timings(plan);
        // Also in the clear: the terms name the members.
        let founded = Founded::new(&laboratory.identities)?;
        let (roster, committee) = (founded.roster.digest(), founded.roster.committee());
        let beacons = match plan.secure_aggregation.audit {
            Audit::Closed { .. } => founded.beacons()?,
            Audit::Off => Vec::new(),
        };
        let machines = match options.is_sealed {
            true => Some(Machines::new(founded, &laboratory.identities, &timings)?),
            false => None,
        };
        let parameters = laboratory.task.initial_parameters();
        Ok(Self {
            options,
            laboratory,
            machines,
            roster,
            committee,
            beacons,
            timings,
            state: plan.initial_state(parameters.len()),
            parameters,
            moved: None,
            rounds: options.rounds.unwrap_or(plan.training.rounds),
            last: 0,
            done: 0,
            measured: Vec::new(),
            accuracy: None,
            loss: None,
            seconds: 0.0,
            ending: None,
        })
    }

    fn beginning(&self) -> Event {
        let (options, laboratory) = (self.options, self.laboratory);
        Event::Simulation {
            plan: laboratory.plan.name.to_string(),
            plan_digest: Plan::digest(&laboratory.plan_bytes).to_string(),
            encrypted: options.is_sealed,
            synthetic: options.data.is_empty(),
            clients: options.clients,
            cohort_max: laboratory.plan.cohort.maximum,
            examples: laboratory.pooled(),
            partition: options.partition.to_string(),
            dropout: options.dropout,
            attacks: options.attacks.iter().map(ToString::to_string).collect(),
            rounds: self.rounds,
            parameters: self.parameters.len(),
            seed: laboratory.seed,
            workers: options.workers(),
            model: self.model().to_string(),
        }
    }

    fn model(&self) -> Digest {
        self.laboratory.task.parameters_digest(&self.parameters)
    }

    fn round(&mut self) -> Result<RoundSummary, Failure> {
        let began = Instant::now();
        self.last += 1;
        let (cohort, absent) = self.draw();
        let (laboratory, workers) = (self.laboratory, self.options.workers());
        let terms = self.terms(cohort);
        let offered = terms.cohort.len();
        // As every owner does.
        check_terms(&terms.config, &laboratory.plan, &laboratory.task)
            .map_err(|declined| bug(&declined.why))?;
        let variate = self.state.variate();
        let start = Start { parameters: std::mem::take(&mut self.parameters), variate };
        let opening = Opening { start, step: self.moved.take() };
        let config = terms.config.clone();
        let end = match &mut self.machines {
            Some(machines) => machines.play(laboratory, workers, terms, &opening, &absent),
            None => clear::play(laboratory, workers, &terms, &opening, &absent),
        };
        (self.parameters, self.moved) = (opening.start.parameters, opening.step);
        let RoundEnd { outcome, aggregate, losses, why_declined } = end?;
        let step_norm = match &aggregate {
            Some(aggregate) => self.step(&config, aggregate)?,
            None => None,
        };
        let seconds = began.elapsed().as_secs_f64();
        self.seconds += seconds;
        let mut summary = self.report(&outcome, &losses, offered);
        summary.weight = aggregate.as_ref().map(|aggregate| aggregate.weight);
        summary.clip = aggregate.as_ref().and_then(|sum| RoundClip::of(&config, sum));
        summary.federated = aggregate.and_then(|aggregate| self.scores(&aggregate));
        (summary.step_norm, summary.seconds, summary.why_declined) =
            (step_norm, seconds, why_declined);
        self.evaluate(&mut summary)?;
        if self.ending.is_none() {
            self.ending = laboratory.plan.stop.after(self.last, &self.measured);
        }
        if self.ending.is_none() && self.last == self.rounds {
            self.ending = Some(Ending::Done { rounds: self.rounds });
        }
        Ok(summary)
    }

    /// Who is offered the round, and who of them vanishes.
    fn draw(&self) -> (Vec<PartyId>, BTreeSet<usize>) {
        let (seed, round) = (self.laboratory.seed.to_le_bytes(), self.last.to_le_bytes());
        let identities = &self.laboratory.identities;
        let mut clients: Vec<usize> = (0..identities.len()).collect();
        let maximum = self.laboratory.plan.cohort.maximum as usize;
        if clients.len() > maximum {
            shuffle(&mut clients, &mut stream("simulated-cohort", &[&seed, &round]));
            clients.truncate(maximum);
        }
        let vanishes = |client: &usize| {
            let client = (*client as u64).to_le_bytes();
            let mut rng = stream("simulated-dropout", &[&seed, &round, &client]);
            unit_f64(&mut rng) <= self.options.dropout
        };
        let absent = clients.iter().copied().filter(vanishes).collect();
        let mut cohort: Vec<_> = clients.iter().map(|client| identities[*client].id()).collect();
        cohort.sort_unstable();
        (cohort, absent)
    }

    fn terms(&self, cohort: Vec<PartyId>) -> Terms {
        let (laboratory, timings) = (self.laboratory, self.timings);
        let (plan, task) = (&laboratory.plan, &laboratory.task);
        let owners = u32::try_from(laboratory.identities.len()).unwrap_or(u32::MAX);
        let seed = laboratory.seed.to_le_bytes();
        let mut config = RoundConfig {
            federation: self.roster,
            run: hash(Domain::Training, &[b"simulated-run", &seed]),
            round: self.last,
            plan: Plan::digest(&laboratory.plan_bytes),
            manifest: task.manifest_digest(),
            model: self.model(),
            dimension: task.parameters() as u64,
            profile: plan.secure_aggregation.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: plan.quantiser_at(&self.state),
            counters: plan.counters(),
            control: plan.strategy.control(&self.state, owners, &task.manifest_digest()),
            noise: laboratory.noise,
            packing: plan.packing(),
            contributions_min: plan.cohort.minimum,
            contributions_max: plan.cohort.maximum,
            shape: CommitteeShape::Four,
            committee: self.committee.clone(),
            cohort: cohort_digest(&cohort),
            beacon_commitments: self.beacons.iter().map(|key| key.key.commitment).collect(),
            audit: plan.secure_aggregation.audit,
            credit: None,
            collect_ms: timings.collect_ms,
        };
        if let Some(packing) = config.derive_packing() {
            config.packing = packing;
        }
        let beacons = self.beacons.clone();
        Terms { config, cohort, timings, beacons, retired: Vec::new(), attested: None }
    }

    /// The next model; its distance from the last, unless it is of no use.
    fn step(
        &mut self,
        config: &RoundConfig,
        aggregate: &Aggregate,
    ) -> Result<Option<f64>, Failure> {
        self.done += 1;
        let place = (self.parameters.as_slice(), &self.state);
        let step = self.laboratory.plan.step(place, config, aggregate);
        match step.map_err(|error| bug(&error))? {
            Ok(Stepped { parameters, state, norm }) => {
                if self.laboratory.replays() {
                    let moved = parameters.iter().zip(&self.parameters);
                    self.moved = Some(moved.map(|(new, old)| new - old).collect());
                }
                (self.parameters, self.state) = (parameters, state);
                Ok(Some(norm))
            }
            Err(why) => {
                self.ending = Some(Ending::Diverged { round: self.last, why });
                Ok(None)
            }
        }
    }

    /// What the clients measured together, remembered for the rules.
    fn scores(&mut self, aggregate: &Aggregate) -> Option<Scores> {
        let layout = self.laboratory.plan.layout()?;
        let scores = layout.read(&aggregate.counters).ok()?;
        self.measured.push((self.last, scores.clone()));
        Some(scores)
    }

    fn evaluate(&mut self, summary: &mut RoundSummary) -> Result<(), Failure> {
        if let Some(test) = &self.laboratory.test {
            let metrics = self.laboratory.trainer.evaluate(&self.parameters, test);
            let metrics =
                metrics.map_err(|error| Failure::new(Exit::Failed, "EVALUATION", error))?;
            (self.accuracy, self.loss) = (metrics.accuracy(), Some(metrics.loss));
        }
        (summary.accuracy, summary.loss) = (self.accuracy, self.loss);
        summary.peak_memory_bytes = peak_bytes();
        Ok(())
    }

    fn report(
        &self,
        outcome: &Outcome,
        losses: &BTreeMap<usize, f32>,
        cohort: usize,
    ) -> RoundSummary {
        let (reason, report) = match outcome {
            Outcome::Done(report) => (None, report),
            Outcome::Abandoned { reason, report } => (Some(reason.to_string()), report),
        };
        let Report { counted, missing, .. } = report;
        let mut reasons = BTreeMap::new();
        for (_, why) in missing {
            *reasons.entry(why.to_string()).or_default() += 1;
        }
        let attacks = |id: &&PartyId| {
            let client = self.laboratory.places.get(id);
            client.is_some_and(|client| self.laboratory.roles[*client].kind.is_some())
        };
        let sum: f64 = losses.values().copied().map(f64::from).sum();
        let training_loss = (!losses.is_empty()).then(|| sum / losses.len() as f64);
        RoundSummary {
            round: self.last,
            done: reason.is_none(),
            reason,
            encrypted: self.options.is_sealed,
            cohort,
            counted: counted.len(),
            attackers: counted.iter().filter(attacks).count(),
            degraded: report.is_degraded(),
            missing: reasons,
            why_declined: None,
            weight: None,
            model: self.model().to_string(),
            step_norm: None,
            clip: None,
            training_loss,
            accuracy: None,
            loss: None,
            federated: None,
            seconds: 0.0,
            peak_memory_bytes: None,
        }
    }

    fn summary(&self) -> Summary {
        let all = Ending::Done { rounds: self.rounds };
        let ending = self.ending.as_ref().unwrap_or(&all);
        Summary {
            encrypted: self.options.is_sealed,
            rounds_done: self.done,
            rounds_abandoned: self.last - self.done,
            model: self.model().to_string(),
            accuracy: self.accuracy,
            loss: self.loss,
            federated: self.measured.last().map(|(_, scores)| scores.clone()),
            ending: ending.word().to_owned(),
            reason: ending.to_string(),
            seconds: self.seconds,
            rounds_per_minute: 60.0 * f64::from(self.last) / self.seconds.max(f64::MIN_POSITIVE),
            peak_memory_bytes: peak_bytes(),
        }
    }
}

/// The plan's deadlines. Nothing is lost in a simulation, so nothing is said again.
fn timings(plan: &Plan) -> Timings {
    let deadlines = plan.cohort.deadlines;
    let resend_ms = deadlines
        .select_ms
        .saturating_add(deadlines.collect_ms)
        .saturating_add(deadlines.vote_ms)
        .saturating_add(deadlines.release_ms);
    Timings {
        select_ms: deadlines.select_ms,
        collect_ms: deadlines.collect_ms,
        collect_again_ms: 0,
        vote_ms: deadlines.vote_ms,
        release_ms: deadlines.release_ms,
        audit_ms: deadlines.audit_ms,
        resend_ms,
    }
}
