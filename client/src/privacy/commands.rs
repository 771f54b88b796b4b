//! `covey-client privacy`: what was told about the data, and what may be.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::program::{Exit, Failure};
use covey_privacy::budget::Budget;
use covey_privacy::spent::Spent;
use serde::Serialize;

use super::account::{Account, BadCharge};
use super::delta_of;
use crate::check;
use crate::config::Config;

impl From<BadCharge> for Failure {
    fn from(bad: BadCharge) -> Self {
        match &bad {
            BadCharge::File(error) => Self::file(error),
            BadCharge::Over(_) | BadCharge::Twice(_) => Self::new(Exit::Policy, "BUDGET", bad),
            BadCharge::Differ(..) | BadCharge::Entry(_) => {
                Self::new(Exit::Failed, "BAD_ACCOUNT", bad)
            }
        }
    }
}

/// The account of an owner's data.
#[derive(Debug, Serialize)]
pub struct Statement {
    /// The file beside the data.
    pub account: PathBuf,
    /// Rounds that were charged.
    pub rounds: usize,
    /// What they come to together.
    pub epsilon: f64,
    /// At this delta: the budget's, where there is one.
    pub delta: f64,
    /// What may be spent; none where the policy sets nothing.
    pub budget: Option<f64>,
    /// By run.
    pub runs: Vec<RunCharge>,
}

/// What one run came to by itself.
#[derive(Debug, Serialize)]
pub struct RunCharge {
    /// The run's digest.
    pub run: String,
    /// Rounds that were charged.
    pub rounds: u32,
    /// What they come to by themselves.
    pub epsilon: f64,
}

/// Reads the account of a configuration's data.
///
/// # Errors
/// [`Failure`] when the configuration or the account cannot be read.
pub fn budget(config: &Path) -> Result<Statement, Failure> {
    let config = Config::read(config)?;
    let account = Account::of(&config);
    let charges = account.charges()?;
    let budget = config.policy.require.privacy;
    let delta = delta_of(budget.as_ref());
    let (mut all, mut runs) = (Spent::default(), BTreeMap::<_, (u32, Spent)>::new());
    for charge in charges.values() {
        let (rounds, spent) = runs.entry(charge.run.clone()).or_default();
        *rounds += 1;
        for spent in [&mut all, spent] {
            spent.add(charge.event, charge.count).map_err(BadCharge::from)?;
        }
    }
    let runs = runs.into_iter().map(|(run, (rounds, spent))| {
        let epsilon = spent.epsilon(delta).least();
        RunCharge { run, rounds, epsilon }
    });
    Ok(Statement {
        account: account.path().to_owned(),
        rounds: charges.len(),
        epsilon: all.epsilon(delta).least(),
        delta: delta.get(),
        budget: budget.as_ref().map(Budget::epsilon),
        runs: runs.collect(),
    })
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, epsilon, delta, .. } = self;
        match self.budget {
            Some(budget) => writeln!(
                f,
                "spent    epsilon {epsilon:.3} of {budget} at delta {delta:e}, in {rounds} rounds"
            )?,
            None => writeln!(
                f,
                "spent    epsilon {epsilon:.3} at delta {delta:e}, in {rounds} rounds; no limit: \
                 require.privacy is not set in policy.toml"
            )?,
        }
        for RunCharge { run, rounds, epsilon } in &self.runs {
            let run = run.get(..8).unwrap_or(run);
            writeln!(f, "run      {run}: {rounds} rounds, by themselves {epsilon:.3}")?;
        }
        write!(f, "account  {}", self.account.display())
    }
}

/// What the guarantee is, in plain words.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Epsilon of the whole plan; none without a plan or noise.
    pub epsilon: Option<f64>,
    /// Its delta.
    pub delta: Option<f64>,
    /// What it means, what it covers and what not.
    pub lines: Vec<String>,
}

/// Explains the guarantee, of a plan where one is given.
///
/// # Errors
/// [`Failure`] when it is no valid plan.
pub fn explain(plan: Option<&Path>) -> Result<Explanation, Failure> {
    let mut lines = vec![
        "epsilon bounds how much more likely anything that is opened can become by your data being \
         in it: by a factor of e^epsilon at most (0.5: 1.6 times; 1: 2.7; 2: 7.4; 8: 2,981), but \
         for a probability of delta"
            .to_owned(),
        "costs add up over rounds and runs about the same data, whoever asks: the account beside \
         the data keeps them, and joining again does not reset it"
            .to_owned(),
    ];
    let Some(path) = plan else {
        lines.push("with a plan, this says what it would cost: privacy explain PLAN".to_owned());
        return Ok(Explanation { epsilon: None, delta: None, lines });
    };
    let (plan, task, _) = check::read_plan(path)?;
    let parameters = task.parameters() as u64;
    lines.extend(plan.guarantee(parameters));
    let epsilon = plan.epsilon(parameters, plan.training.rounds);
    Ok(Explanation { epsilon, delta: plan.privacy.map(|privacy| privacy.delta.get()), lines })
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            write!(f, "{}- {line}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
