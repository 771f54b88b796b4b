//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use covey_aggregation::limits::ROUNDS_MAX;
use covey_aggregation::party::Name;
use covey_aggregation::program::service::ServiceCommand;

use crate::config::{Asked, ResumePoint};

/// The untrusted middle of a federation: collects, adds and publishes sealed updates.
#[derive(Debug, Parser)]
#[command(name = "covey-coordinator", version, arg_required_else_help = true)]
#[command(after_help = "Examples:\n  \
    covey-coordinator init --dir federation --federation digits\n  \
    covey-coordinator enrol --dir federation holder-1/request.json owner-1/request.json\n  \
    covey-coordinator doctor --config federation/coordinator.toml\n  \
    covey-coordinator serve --config federation/coordinator.toml\n  \
    sudo covey-coordinator service install --config federation/coordinator.toml\n  \
    covey-coordinator serve --config again.toml --resume-from federation/state@5\n\n\
    Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no connection or not authorised,\n\
    130 Ctrl-C, 143 SIGTERM")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Answer in JSON on stdout; `serve` prints one event per line.
    #[arg(long, global = true, env = "COVEY_JSON")]
    pub json: bool,
    /// Say less on stderr.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a federation: its authority, this coordinator, a commented coordinator.toml
    Init(Init),
    /// Check members' requests and issue their certificates
    Enrol(Enrol),
    /// Run the plan of the settings, or the plans that researchers submit
    Serve(Serve),
    /// Look for everything that the operator would have to put right before `serve`: settings, keys,
    /// certificate, clock, roster, state folder, port, plan, data. Exit code 1 when there is a problem
    Doctor(Doctor),
    /// Run the coordinator as a service of systemd
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Tell how the run in a state folder is going, and which runs were submitted
    Status(Status),
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// A new folder for the federation.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The federation's name: lower-case letters, digits, '-' and '.'.
    #[arg(long, value_name = "NAME")]
    pub federation: Name,
    /// The coordinator's name.
    #[arg(long, value_name = "NAME", default_value = "coordinator")]
    pub name: Name,
}

/// `enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The federation's folder.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Requests, as `covey-committee init` and `covey-client init` write them.
    #[arg(required = true, value_name = "REQUEST.json")]
    pub requests: Vec<PathBuf>,
    /// Only show what is asked for and whether its proofs hold; change nothing.
    #[arg(long)]
    pub print: bool,
}

/// `serve`.
///
/// With a `plan` in the settings it carries out that plan and ends. Without one it waits for plans
/// that researchers submit (`covey-client run submit`), records each, and carries them out one
/// after another until it is stopped; after a restart it goes on where it was.
///
/// A plan's strategy decides what owners send: the update, clipped and rounded (fedavg, fedavgm,
/// fedadam, fedyogi, fedprox), or with it the change of a control variate, as many numbers again
/// (scaffold). `[evaluation]` adds exact counts of how the model does on held-out examples. All of
/// it is opened as a sum over owners only. A run ends after its rounds, or by the plan's `[stop]`
/// rules, and says why.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Begin a new run from this round of an earlier one: its model and what its strategy keeps.
    /// Rounds count on from there. The earlier run's folder is only read.
    #[arg(long, value_name = "STATE_DIR@ROUND")]
    pub resume_from: Option<ResumePoint>,
    /// Try rounds up to this number, beyond the plan's; also of a run that is done. Owners take
    /// part only if their own limits allow rounds beyond the plan (limits.extra_rounds).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    pub rounds: Option<u32>,
}

impl Serve {
    /// What is asked for beside the plan.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked { resume_from: self.resume_from.clone(), rounds: self.rounds }
    }
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
}
