//! `covey-client policy`: begin a policy, look at it, try a plan on it.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::config::{CommitteeShape, RoundConfig};
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{FileError, files, read_roster};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_model::task::Task;
use serde::Serialize;

use super::{Asked, Outcome, Policy, Verdict};
use crate::check;
use crate::config::Config;
use crate::plan::Sheet;
use crate::privacy::Account;
use crate::runs::Decision;

/// A policy that was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Where.
    pub file: PathBuf,
}

/// A policy that holds together.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The file.
    pub file: PathBuf,
    /// The policy, with its defaults.
    pub policy: Policy,
}

/// What an owner's policy says to a plan.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// The strictest of all: whether rounds are joined.
    pub outcome: Outcome,
    /// What comes of every rule.
    pub rules: Verdict,
    /// What would leave.
    pub leaves: Sheet,
}

/// Writes a policy to begin with, which allows nothing yet.
///
/// # Errors
/// [`Failure`] when there is one already, or it cannot be written.
pub fn init(path: &Path) -> Result<Written, Failure> {
    if path.exists() {
        let exists = FileError::Exists { path: path.to_owned() };
        return Err(Failure { exit: Exit::BadInput, ..Failure::file(&exists) });
    }
    write_missing(path)?;
    Ok(Written { file: path.to_owned() })
}

/// Writes a policy that allows nothing yet where there is none, in a folder made if need be.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub(crate) fn write_missing(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let write = || {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            files::create_private_folder(folder)?;
        }
        files::write_durably(path, format!("{}\n", Policy::new(Vec::new())).as_bytes())
    };
    write().map_err(|error| Failure::file(&error))
}

/// Reads a policy.
///
/// # Errors
/// [`Failure`] with everything that is wrong.
pub fn check(path: &Path) -> Result<Checked, Failure> {
    Ok(Checked { file: path.to_owned(), policy: Policy::read(path)? })
}

/// Tries a plan on the policy that a configuration names.
///
/// # Errors
/// [`Failure`] when plan, configuration or policy is bad.
pub fn test(config: &Path, plan: &Path) -> Result<Trial, Failure> {
    let config = Config::read(config)?;
    let (plan, task, file) = check::read_plan(plan)?;
    attempt(&config, (&plan, &task, &file), 1, None)
}

/// What a configuration's policy says to a round of a plan before it is offered.
///
/// # Errors
/// [`Failure`] when the account of the data cannot be read.
pub(crate) fn attempt(
    config: &Config,
    (plan, task, file): (&Plan, &Task, &[u8]),
    round: u32,
    decision: Option<&Decision>,
) -> Result<Trial, Failure> {
    let terms = RoundConfig { round, ..terms(config, plan, task) };
    let data = config.data_name.as_ref();
    let standing = match plan.privacy {
        Some(_) => Some(Account::of(config).standing(&terms.context())?),
        None => None,
    };
    let privacy = standing.as_ref();
    let asked =
        Asked { plan, terms: &terms, data, decision, moment: None, privacy, examples: None };
    let rules = config.policy.judge(&asked);
    Ok(Trial { outcome: rules.outcome(), rules, leaves: Sheet::new(plan, &terms, file) })
}

/// The terms of a plan's rounds with the committee of the owner's roster, if there is one.
fn terms(config: &Config, plan: &Plan, task: &Task) -> RoundConfig {
    let roster = read_roster(&config.folder.join(ROSTER_FILE)).ok();
    let committee = roster.map(|roster| roster.committee()).unwrap_or_default();
    let shape = CommitteeShape::of_members(committee.len()).unwrap_or(CommitteeShape::Four);
    RoundConfig { committee, ..check::terms(plan, task, shape) }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "{file}: a policy that allows nothing yet")?;
        write!(f, "next:  set purposes in it, then  covey-client policy check {file}")
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Policy { allow, datasets, .. } = &self.policy;
        let (purposes, datasets) = (allow.purposes.len(), datasets.len());
        write!(f, "policy ok: {}: {purposes} purposes", self.file.display())?;
        if datasets > 0 {
            write!(f, ", {datasets} datasets with a list of columns")?;
        }
        if purposes == 0 {
            write!(
                f,
                "\nnote: with no purpose allowed, no run is joined that you have not approved"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}\n\n{}", self.leaves, self.rules, self.outcome.said())
    }
}
