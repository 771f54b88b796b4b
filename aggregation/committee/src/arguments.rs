//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use covey_aggregation::net::TransportChoice;
use covey_aggregation::party::Name;
use covey_aggregation::program::service::ServiceCommand;
use covey_ledger::desk::DeskCommand;

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
  covey-committee join COVEY1-... --dir ./kh-uni
  covey-committee doctor --config ./kh-uni/holder.toml
  covey-committee serve --config ./kh-uni/holder.toml
  sudo covey-committee service install --config ./kh-uni/holder.toml
  covey-committee verify ./published --roster ./roster.json
  covey-committee ledger verify ./published --roster ./roster.json
  covey-committee review list --ledger ./published --config ./kh-uni/holder.toml
  covey-committee review vote 4f1c yes --ledger ./published --config ./kh-uni/holder.toml
  covey-committee payout verify payout.json --ledger ./published --roster ./roster.json

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
    /// Join a federation by an invite: makes the keys here, and waits until the committee is complete.
    Join {
        /// The invite: the line that the operator handed over; `-` reads it from stdin.
        #[arg(env = "COVEY_INVITE", hide_env_values = true)]
        invite: String,
        /// Folder for keys, certificate and configuration; made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// What to reach the coordinator by: auto (QUIC over UDP, and TLS over TCP where nothing
        /// answers), quic or tcp.
        #[arg(long, default_value_t)]
        transport: TransportChoice,
        /// Longest wait for the operator and for the other holders, in seconds.
        #[arg(long, default_value_t = 24 * 3600)]
        timeout_s: u64,
    },
    /// Who comes and goes: show what is to be signed, say yes or no.
    #[command(subcommand)]
    Members(MembersCommand),
    /// Hold a key: answer the coordinator until stopped. Ctrl-C once drains, twice stops.
    Serve {
        /// The holder's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
        config: PathBuf,
        /// Go on although the state folder is older than what this holder has signed, as after a restore
        /// from a backup. Only once every round that was under way when the newer state was lost is over:
        /// what was signed in it is forgotten.
        #[arg(long)]
        accept_loss: bool,
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
    #[command(flatten)]
    Desk(DeskCommand),
}

#[derive(Subcommand)]
pub(crate) enum MembersCommand {
    /// Show the rosters that the coordinator asks to have signed, and who comes and goes with each.
    List {
        /// The holder's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
        config: PathBuf,
    },
    /// Have one signed.
    Approve(Said),
    /// Never have it signed.
    Deny(Said),
}

/// A roster.
#[derive(clap::Args)]
pub(crate) struct Said {
    /// Its digest, or the beginning of it.
    pub(crate) digest: String,
    /// The holder's configuration.
    #[arg(long, env = "COVEY_CONFIG", default_value = "holder.toml")]
    pub(crate) config: PathBuf,
}
