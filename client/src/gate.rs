//! What stands between an offer and anything that leaves: the owner's policy, with all that it hangs
//! on. The same check is made before training, before sealing, and before sending.

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Decline;
use covey_aggregation::net::FileError;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::plan::{Plan, RoundCost};
use covey_aggregation::program::clock::now;

use crate::config::Config;
use crate::policy::{Asked, Moment, Outcome, Policy, Verdict};
use crate::prepare::Declined;
use crate::privacy::{Account, Charge, Known, cost_of, delta_of};
use crate::runs::{Decision, Offer, RecordError, Runs, Standing};
use crate::sent::Sent;
use crate::volume::Volume;

/// The owner's policy at work.
pub(crate) struct Gate {
    policy: Policy,
    /// The name of the data, if they have one.
    data: Option<Name>,
    runs: Runs,
    sent: Sent,
    account: Account,
}

/// What a charged round came to.
pub(crate) struct Charged {
    /// Epsilon of all rounds about these data.
    pub(crate) epsilon: f64,
    pub(crate) delta: f64,
    /// What the owner allows, if it says.
    pub(crate) budget: Option<f64>,
}

impl Gate {
    /// That of a configuration.
    ///
    /// # Errors
    /// [`FileError`] of the state.
    pub(crate) fn open(config: &Config) -> Result<Self, FileError> {
        Ok(Self {
            policy: config.policy.clone(),
            data: config.data_name.clone(),
            runs: Runs::of(&config.state),
            sent: Sent::open(&config.state)?,
            account: Account::of(config),
        })
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Records an offer of the plan with this text, and whether the owner allows it.
    pub(crate) fn admit(
        &self,
        plan: &Plan,
        text: &[u8],
        terms: &RoundConfig,
    ) -> Result<(), Declined> {
        let verdict = self.judge(plan, terms, None)?;
        let standing = match verdict.outcome() {
            Outcome::Pass | Outcome::Later => Standing::Allowed,
            Outcome::Asks => Standing::Asks,
            Outcome::Fail => Standing::Refused,
        };
        let against = verdict.against();
        let why = against.iter().map(|one| format!("{} {}", one.rule, one.why)).collect();
        let offer = Offer {
            run: terms.run,
            plan: terms.plan,
            name: plan.name.to_string(),
            purpose: plan.purpose.clone(),
            first_round: terms.round,
            last_round: terms.round,
            rounds: plan.training.rounds,
            first_offered: now(),
            last_offered: now(),
            standing,
            why,
        };
        self.runs.record(&offer, text).map_err(|error| match error {
            RecordError::OtherPlan { .. } => Declined::new(Decline::Terms, error),
            RecordError::File(_) => unusable(error),
        })?;
        allowed(&verdict, &terms.run)
    }

    /// Whether the owner allows this round of this plan now, with so many training examples where they
    /// have been read.
    pub(crate) fn allow(
        &self,
        plan: &Plan,
        terms: &RoundConfig,
        examples: Option<u64>,
    ) -> Result<(), Declined> {
        allowed(&self.judge(plan, terms, examples)?, &terms.run)
    }

    /// Counts what is about to be sealed into the day's bytes.
    pub(crate) fn count(&self, terms: &RoundConfig) -> Result<(), Declined> {
        let bytes = Volume::of(terms).total();
        self.sent.add(now(), &terms.context(), bytes).map_err(unusable)
    }

    /// Charges the account of the data with what the round tells about them, before anything of it is
    /// sealed; none where the round carries no noise, and so no cost can be told.
    pub(crate) fn charge(
        &self,
        plan: &Plan,
        terms: &RoundConfig,
        (client, examples): (&PartyId, u64),
    ) -> Result<Option<Charged>, Declined> {
        let Known::Cost(cost) = cost_of(plan, terms, Some(examples)).map_err(unusable)? else {
            return Ok(None);
        };
        let (run, at_ms) = (terms.run.to_string(), now().0);
        let (round, client) = (terms.round, Digest(client.0).to_string());
        let RoundCost { event, count } = cost;
        let charge = Charge { run, round, client, at_ms, event, count };
        let budget = self.policy.require.privacy.as_ref();
        let spent = self.account.charge(&terms.context(), charge, budget).map_err(unusable)?;
        let delta = delta_of(budget);
        Ok(Some(Charged {
            epsilon: spent.epsilon(delta).least(),
            delta: delta.get(),
            budget: budget.map(covey_privacy::budget::Budget::epsilon),
        }))
    }

    /// The plan of terms that were accepted before.
    pub(crate) fn plan(&self, terms: &RoundConfig) -> Result<Plan, Declined> {
        let offer = self.runs.offer(&terms.run).map_err(unusable)?;
        let offer = offer.filter(|offer| offer.plan == terms.plan);
        let offer = offer.ok_or_else(|| unusable("the run is no longer recorded"))?;
        let text = self.runs.plan(&offer).map_err(unusable)?;
        Plan::from_bytes(&text).map_err(unusable)
    }

    fn judge(
        &self,
        plan: &Plan,
        terms: &RoundConfig,
        examples: Option<u64>,
    ) -> Result<Verdict, Declined> {
        // Read every time: the owner may have said something since.
        let decision = self.decision(&terms.run, &terms.plan)?;
        let now = now();
        let sealed_bytes = self.sent.others_on(now, &terms.context());
        let moment = Some(Moment { now, sealed_bytes });
        let (data, decision) = (self.data.as_ref(), decision.as_ref());
        // Without noise there is nothing to account for.
        let standing = match plan.privacy {
            Some(_) => Some(self.account.standing(&terms.context()).map_err(unusable)?),
            None => None,
        };
        let privacy = standing.as_ref();
        Ok(self.policy.judge(&Asked { plan, terms, data, decision, moment, privacy, examples }))
    }

    fn decision(&self, run: &Digest, plan: &Digest) -> Result<Option<Decision>, Declined> {
        self.runs.decision(run, plan).map_err(unusable)
    }
}

/// What the policy hangs on cannot be read or written: nothing is allowed then.
fn unusable(why: impl ToString) -> Declined {
    Declined::new(Decline::Policy, why)
}

fn allowed(verdict: &Verdict, run: &Digest) -> Result<(), Declined> {
    let outcome = verdict.outcome();
    if outcome.allows() {
        return Ok(());
    }
    let mut why = verdict.reason();
    if outcome == Outcome::Asks {
        let run = run.short();
        why += &format!(
            "; look: covey-client runs leaves {run}; then: covey-client runs approve {run}, or \
             runs deny {run}"
        );
    }
    Err(Declined::new(Decline::Policy, why))
}
