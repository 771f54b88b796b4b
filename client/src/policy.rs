//! `policy.toml`: what a data owner allows. It is read on the owner's machine only; nobody upstream
//! can loosen it. [`Policy::judge`] is the one function that enforces it: before training, again
//! before sealing, and again before anything is sent. The coordinator is told only "policy".
//!
//! - [`rule`]: the rules by their codes, and what comes of one
//! - [`judge`]: every rule, applied to a round of a plan
//! - [`hours`]: a part of the day
//! - [`mod@file`]: reading the file; [`settings`]: every setting, as it is written
//! - [`commands`]: `covey-client policy`

pub mod commands;
pub mod file;
pub mod hours;
pub mod judge;
mod pattern;
pub mod rule;
pub mod settings;

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::limits::{CONTRIBUTIONS_FLOOR, COUNTERS_MAX};
use covey_privacy::budget::Budget;
use serde::Serialize;

pub use file::BadPolicy;
pub use hours::Hours;
pub use judge::{Asked, Moment};
pub use rule::{Finding, Outcome, Rule, Verdict};

/// The file's name beside a configuration.
pub const POLICY_FILE: &str = "policy.toml";

/// What an owner allows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// What becomes of a run whose purpose is not allowed.
    pub unknown: Unknown,
    /// How much.
    pub limits: Limits,
    /// What a round must have.
    pub require: Require,
    /// What may run.
    pub allow: Allow,
    /// By the name of data: the columns that may be read. Where there are any, no other data are.
    pub datasets: BTreeMap<String, BTreeSet<String>>,
}

/// What becomes of a run whose purpose is not allowed. There is no word that allows everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It is not joined but recorded, and joined once the owner has approved it.
    #[default]
    Ask,
    /// It is not joined.
    Deny,
}

/// The `[limits]` section: how much of the machine, of the data and of the owner a run may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The part of the day in which updates are trained and sent.
    pub hours: Option<Hours>,
    /// Processor threads of training and of encrypting; all if not given. Training takes them from
    /// the process's pool, which `covey-client start` makes; a program that embeds a client makes
    /// its own.
    pub threads: Option<usize>,
    /// Most bytes of memory that data are read into; half of what is free if not given.
    pub dataset_bytes_max: Option<u64>,
    /// Most bytes of a graphics card's memory to train with. A model that is estimated to need
    /// more is not begun on the card, and training ends there when more is reserved.
    pub device_memory_bytes_max: Option<u64>,
    /// Most bytes of updates that are sealed for sending on a day of UTC. One that is sent again
    /// after a lost link counts once.
    pub upload_bytes_per_day_max: Option<u64>,
    /// No plan with more rounds.
    pub max_rounds: u32,
    /// Rounds beyond the plan's that the operator may extend a run by; none by default, because
    /// the plan is what an owner agreed to. `max_rounds` holds for them, too.
    pub extra_rounds: u32,
    /// Most passes over the owner's data in a round.
    pub max_local_epochs: Option<u32>,
    /// No more counts of held-out examples leave, inside the sum, in a round.
    pub max_counters: u16,
    /// Whether a second vector may leave inside the sum (SCAFFOLD's control variates): as many
    /// numbers about the data as the update again.
    pub control: bool,
    /// No more numbers about this owner alone are published in a round, beside pass or fail: a plan
    /// with credit publishes 3, or 4 where owners count by their examples.
    pub max_released: u8,
    /// Whether the federation is told, in public, what a round took this machine: examples, seconds,
    /// bytes and the speed of its device.
    pub report_compute: bool,
}

/// The `[require]` section: what a round must have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Require {
    /// Whether every update must be audited.
    pub audit: bool,
    /// No sum of fewer contributions is opened.
    pub min_cohort: u32,
    /// Fewest key holders of the committee; any committee if not given.
    pub key_holders_at_least: Option<u32>,
    /// Longest update (L2 norm) that a plan may ask for.
    pub clip_max: Option<f32>,
    /// Only rounds with noise, and what all of them about the same data may cost together.
    pub privacy: Option<Budget>,
}

/// The `[allow]` section: what may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// Purposes of plans that may run: texts in which `*` stands for any text. There is no
    /// default: an owner says what its data may be used for.
    pub purposes: Vec<String>,
    /// Layers that a model may have; any if not given.
    pub layers: Option<BTreeSet<&'static str>>,
    /// Most parameters that are trained.
    pub max_parameters: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hours: None,
            threads: None,
            dataset_bytes_max: None,
            device_memory_bytes_max: None,
            upload_bytes_per_day_max: None,
            max_rounds: 200,
            extra_rounds: 0,
            max_local_epochs: None,
            max_counters: COUNTERS_MAX,
            control: true,
            // As many as a plan can ask for: an owner that wants no credit says so by 0.
            max_released: 4,
            report_compute: false,
        }
    }
}

impl Default for Require {
    fn default() -> Self {
        Self {
            audit: false,
            min_cohort: CONTRIBUTIONS_FLOOR,
            key_holders_at_least: None,
            clip_max: None,
            privacy: None,
        }
    }
}

impl Policy {
    /// A policy with these purposes, and all else as it is where a file does not say.
    #[must_use]
    pub fn new(purposes: Vec<String>) -> Self {
        Self {
            unknown: Unknown::default(),
            limits: Limits::default(),
            require: Require::default(),
            allow: Allow { purposes, layers: None, max_parameters: None },
            datasets: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
