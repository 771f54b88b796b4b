//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use covey_aggregation::party::Name;

/// Take part in federated learning with data that stay here.
#[derive(Parser)]
#[command(name = "covey-client", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Answer with JSON on stdout: one object, or one per line for `start`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  covey-client init --name st-marys --dir ./st-marys --coordinator covey.example.org:7443
  covey-client plan check plan.toml
  covey-client data check ./digits.csv.gz --plan plan.toml
  covey-client start --config ./st-marys/client.toml

Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no access, 5 against the owner's rules,
6 verification failed, 130 Ctrl-C, 143 SIGTERM.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an owner's keys and the request to send to the operator.
    Init {
        /// The name to ask for.
        #[arg(long)]
        name: Name,
        /// Folder for keys, certificate and configuration; made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// The coordinator's address, for the configuration.
        #[arg(long, default_value = "127.0.0.1:7443")]
        coordinator: String,
    },
    /// Take part in rounds until stopped. Ctrl-C once drains, twice stops.
    Start {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    /// Plans.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Data, looked at here only.
    #[command(subcommand)]
    Data(DataCommand),
    /// Say who this owner is, what it has contributed, and whether the program is running.
    Status {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum PlanCommand {
    /// Tell everything that is wrong with a plan, and what it would cost an owner.
    Check {
        /// The plan.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Tell whether data fit a plan. Nothing leaves this machine.
    Check {
        /// A CSV file, or the images of an IDX pair; plain or gzip.
        path: PathBuf,
        /// The labels of an IDX pair.
        #[arg(long)]
        labels: Option<PathBuf>,
        /// The plan.
        #[arg(long)]
        plan: PathBuf,
    },
}
