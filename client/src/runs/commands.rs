//! `covey-client runs`: what was offered to an owner, and what it says to it.

use std::fmt;
use std::path::Path;

use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::clock::now;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::time::Time;
use covey_model::task::Task;
use serde::Serialize;
use serde_json::json;

use super::{Answer, Decision, Offer, Runs, Standing};
use crate::check;
use crate::config::Config;
use crate::plan::{Sheet, duration};
use crate::policy::commands::{Trial, attempt};
use crate::policy::{Outcome, Verdict};

/// Fewest digits that name a run.
const DIGITS_MIN: usize = 4;

/// Everything that was offered, the latest first.
#[derive(Debug, Serialize)]
pub struct List {
    /// The runs.
    pub runs: Vec<Listed>,
}

/// A run, and what the owner said to it.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// What was offered.
    #[serde(flatten)]
    pub offer: Offer,
    /// What the owner said.
    pub decision: Option<Decision>,
}

/// A run with every rule, as the policy is now.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The run.
    #[serde(flatten)]
    pub listed: Listed,
    /// The file with its plan.
    pub plan_file: std::path::PathBuf,
    /// What would become of its next round.
    pub outcome: Outcome,
    /// What comes of every rule.
    pub rules: Verdict,
}

/// What leaves in a run.
#[derive(Debug, Serialize)]
pub struct Leaves {
    /// The run.
    pub run: String,
    /// What leaves.
    #[serde(flatten)]
    pub sheet: Sheet,
    /// What would become of its next round.
    pub outcome: Outcome,
    /// What comes of every rule.
    pub rules: Verdict,
}

/// What an owner said.
#[derive(Debug, Serialize)]
pub struct Said {
    /// The run.
    pub run: String,
    /// Its plan's name.
    pub name: String,
    /// What was said.
    pub decision: Decision,
}

/// Lists what was offered.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn list(config: &Path) -> Result<List, Failure> {
    let runs = Runs::of(&Config::read(config)?.state);
    let offers = runs.all().map_err(|error| Failure::file(&error))?;
    let listed: Result<_, _> =
        offers.into_iter().map(|offer| with_decision(&runs, offer)).collect();
    Ok(List { runs: listed? })
}

/// Shows a run with every rule.
///
/// # Errors
/// [`Failure`], when there is no such run, naming the file.
pub fn show(config: &Path, run: &str) -> Result<Shown, Failure> {
    let case = Case::find(config, run)?;
    let decision = case.listed.decision.clone();
    let Trial { outcome, rules, .. } = case.attempt(decision.as_ref())?;
    let plan_file = case.runs.plan_path(&case.listed.offer.run);
    Ok(Shown { listed: case.listed, plan_file, outcome, rules })
}

/// Tells what leaves in a run.
///
/// # Errors
/// As [`show`].
pub fn leaves(config: &Path, run: &str) -> Result<Leaves, Failure> {
    let case = Case::find(config, run)?;
    let decision = case.listed.decision.clone();
    let Trial { outcome, rules, leaves } = case.attempt(decision.as_ref())?;
    let run = case.listed.offer.run.to_string();
    Ok(Leaves { run, sheet: leaves, outcome, rules })
}

/// Approves a run: its purpose is allowed, for it alone.
///
/// # Errors
/// As [`show`]; with [`Exit::Policy`] where another rule is against it, which only the policy can
/// change.
pub fn approve(config: &Path, run: &str) -> Result<Said, Failure> {
    let case = Case::find(config, run)?;
    let decision = case.decision(Answer::Approved, None);
    let Trial { outcome, rules, .. } = case.attempt(Some(&decision))?;
    if !outcome.allows() {
        let what = format!("the policy is against it: {}", rules.reason());
        return Err(Failure::new(Exit::Policy, "POLICY", what)
            .with_help(
                "nothing is approved; only your policy.toml can allow this, then start again",
            )
            .with_details(json!(rules.against())));
    }
    case.say(decision)
}

/// Denies a run, also one whose purpose is allowed.
///
/// # Errors
/// As [`show`].
pub fn deny(config: &Path, run: &str, reason: Option<String>) -> Result<Said, Failure> {
    let case = Case::find(config, run)?;
    let decision = case.decision(Answer::Denied, reason);
    case.say(decision)
}

/// A run that a command is about.
struct Case {
    config: Config,
    runs: Runs,
    listed: Listed,
    plan: Plan,
    task: Task,
    file: Vec<u8>,
}

impl Case {
    fn find(config: &Path, run: &str) -> Result<Self, Failure> {
        let config = Config::read(config)?;
        let runs = Runs::of(&config.state);
        let offers = runs.all().map_err(|error| Failure::file(&error))?;
        let offer = pick(offers, run)?;
        let file = runs.plan(&offer).map_err(|error| Failure::file(&error))?;
        let (plan, task, file) = check::parse_plan(file, &runs.plan_path(&offer.run))?;
        let listed = with_decision(&runs, offer)?;
        Ok(Self { config, runs, listed, plan, task, file })
    }

    /// What becomes of the run's next round, if the owner has said this.
    fn attempt(&self, decision: Option<&Decision>) -> Result<Trial, Failure> {
        let round = self.listed.offer.last_round;
        attempt(&self.config, (&self.plan, &self.task, &self.file), round, decision)
    }

    fn decision(&self, answer: Answer, reason: Option<String>) -> Decision {
        Decision { plan: self.listed.offer.plan, answer, reason, at: now() }
    }

    fn say(self, decision: Decision) -> Result<Said, Failure> {
        let offer = self.listed.offer;
        self.runs.decide(&offer.run, &decision).map_err(|error| Failure::file(&error))?;
        Ok(Said { run: offer.run.to_string(), name: offer.name, decision })
    }
}

fn with_decision(runs: &Runs, offer: Offer) -> Result<Listed, Failure> {
    let decision = runs.decision(&offer.run, &offer.plan);
    let decision = decision.map_err(|error| Failure::file(&error))?;
    Ok(Listed { offer, decision })
}

/// The run whose digest begins with `text`, or whose plan has this name.
fn pick(offers: Vec<Offer>, text: &str) -> Result<Offer, Failure> {
    let is_digits = text.len() >= DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = text.to_ascii_lowercase();
    let begins = |run: &Digest| is_digits && run.to_string().starts_with(&digits);
    let by_digits: Vec<&Offer> = offers.iter().filter(|offer| begins(&offer.run)).collect();
    let by_name = || offers.iter().filter(|offer| offer.name == text).collect();
    let found = if by_digits.is_empty() { by_name() } else { by_digits };
    let fail = |code, what: String| {
        Err(Failure::new(Exit::BadInput, code, what).with_help("see covey-client runs list"))
    };
    match &found[..] {
        [one] => Ok((*one).clone()),
        [] => fail("RUN_NOT_FOUND", format!("no run {text} was offered to this client")),
        several => {
            let runs: Vec<_> = several.iter().map(|offer| offer.run.short()).collect();
            fail("RUN_AMBIGUOUS", format!("{text} names several runs: {}", runs.join(", ")))
        }
    }
}

fn ago(time: Time) -> String {
    // A minute is as exact as anybody needs it.
    match now().since_ms(time) / 60_000 * 60_000 {
        0 => "just now".to_owned(),
        ms => format!("{} ago", duration(ms)),
    }
}

impl Listed {
    /// How it stands, in words.
    fn standing(&self) -> String {
        match (&self.decision, self.offer.standing) {
            (Some(Decision { answer: Answer::Denied, .. }), _) => "denied".to_owned(),
            (Some(Decision { answer: Answer::Approved, .. }), Standing::Asks) => {
                "approved".to_owned()
            }
            (_, standing) => standing.to_string(),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return write!(f, "no run was offered yet; covey-client start takes part in rounds");
        }
        write!(
            f,
            "{:<10}{:<10}{:<14}{:<18}{:<20}purpose",
            "run", "standing", "round", "offered", "plan"
        )?;
        for listed in &self.runs {
            let offer = &listed.offer;
            let round = format!("{} of {}", offer.last_round, offer.rounds);
            let (run, standing) = (offer.run.short(), listed.standing());
            write!(
                f,
                "\n{run:<10}{standing:<10}{round:<14}{:<18}{:<20}{:?}",
                ago(offer.last_offered),
                offer.name,
                offer.purpose
            )?;
        }
        if let Some(asks) = self.runs.iter().find(|listed| listed.standing() == "asks") {
            write!(f, "\nnext:  covey-client runs leaves {}", asks.offer.run.short())?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offer = &self.listed.offer;
        writeln!(f, "run      {}", offer.run)?;
        writeln!(f, "plan     {} (digest {})", offer.name, offer.plan)?;
        writeln!(f, "         {}", self.plan_file.display())?;
        writeln!(f, "purpose  {}", offer.purpose)?;
        writeln!(
            f,
            "offered  first {}, with round {}; last {}, with round {} of {}",
            ago(offer.first_offered),
            offer.first_round,
            ago(offer.last_offered),
            offer.last_round,
            offer.rounds
        )?;
        write!(f, "then     {}", offer.standing)?;
        for why in &offer.why {
            write!(f, "\n         {why}")?;
        }
        if let Some(Decision { answer, reason, at, .. }) = &self.listed.decision {
            write!(f, "\nyou      {answer} {}", ago(*at))?;
            if let Some(reason) = reason {
                write!(f, ": {reason}")?;
            }
        }
        write!(f, "\n\n{}\n\nnow      {}", self.rules, self.outcome.said())
    }
}

impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let against = self.rules.against();
        write!(f, "{}\n\npolicy\n  {}", self.sheet, self.rules.counts())?;
        for finding in against {
            write!(f, "\n  {finding}")?;
        }
        write!(f, "\n  {}", self.outcome.said())?;
        if self.outcome == Outcome::Asks {
            let run = &self.run[..8];
            write!(f, "\nnext:  covey-client runs approve {run}    or  runs deny {run}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, name, decision } = self;
        let then = match decision.answer {
            Answer::Approved => "a running client joins it from the next round that is offered",
            Answer::Denied => {
                "a running client sends nothing more of it; what was sent before is sent"
            }
        };
        write!(f, "{}: run {} of plan {name}; {then}", decision.answer, &run[..8])
    }
}
