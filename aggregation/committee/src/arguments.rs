//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use covey_aggregation::party::Name;
use covey_aggregation::program::service::ServiceCommand;

/// Key holder of a Covey federation, and offline verifier.
///
/// A holder keeps one part of the key under which owners encrypt. It releases what opens the sum
/// of one agreed set per round, and nothing else, ever.
#[derive(Parser)]
#[command(name = "covey-committee", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Answer with one JSON object on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  covey-committee init --name kh-uni --dir ./kh-uni --coordinator covey.example.org:7443
  covey-committee doctor --config ./kh-uni/holder.toml
  covey-committee serve --config ./kh-uni/holder.toml
  sudo covey-committee service install --config ./kh-uni/holder.toml
  covey-committee verify ./published --roster ./roster.json

Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no access, 6 verification failed,
130 Ctrl-C, 143 SIGTERM.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a holder's keys and the request to send to the operator.
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
    /// Hold a key: answer the coordinator until stopped. Ctrl-C once drains, twice stops.
    Serve {
        /// The holder's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
        config: PathBuf,
    },
    /// Look for everything that a person would have to put right before `serve`: configuration,
    /// keys, certificate, clock, roster, state folder, and the way to the coordinator, which is
    /// dialled and told nothing. Exit code 1 when there is a problem.
    Doctor {
        /// The holder's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
        config: PathBuf,
    },
    /// Run the holder as a service of systemd.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Say who this holder is, what it has signed, and whether it is running.
    Status {
        /// The holder's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
        config: PathBuf,
    },
    /// Check published rounds offline: add the ciphertexts again, open the sum again. Exit code 6
    /// on any doubt.
    Verify {
        /// The folder with round-0001 and so on, or one of these.
        dir: PathBuf,
        /// Your own copy of the federation's roster.
        #[arg(long)]
        roster: PathBuf,
    },
}
