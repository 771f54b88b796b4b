//! `runs`: what was offered to an owner, and what it says to it.

use clap::Subcommand;

use super::OwnerConfig;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "Examples:
  covey-client runs list --config ./st-marys/client.toml
  covey-client runs show 01d9 --config ./st-marys/client.toml
  covey-client runs leaves 01d9 --config ./st-marys/client.toml --json
  covey-client runs approve 01d9 --config ./st-marys/client.toml
  covey-client runs deny 01d9 --reason 'not for insurers' --config ./st-marys/client.toml";

#[derive(Subcommand)]
pub(crate) enum RunsCommand {
    /// List every run that was offered to this client, the latest first, and how it stands.
    List {
        #[command(flatten)]
        owner: OwnerConfig,
    },
    /// Show a run: its plan and purpose, when it was offered, and what your policy says to it now,
    /// rule by rule.
    Show {
        /// The run: at least four digits of the beginning of its digest, or its plan's name.
        run: String,
        #[command(flatten)]
        owner: OwnerConfig,
    },
    /// Tell what leaves this machine in a run: bytes, numbers, who sees what, what is not sent.
    Leaves {
        /// The run, as of `show`.
        run: String,
        #[command(flatten)]
        owner: OwnerConfig,
    },
    /// Allow the purpose of a run, for this run alone. Every other rule stays.
    ///
    /// A running client joins it by itself, from the next round that is offered. Exit code 5 where
    /// another rule of your policy is against the run; then nothing is approved.
    Approve {
        /// The run, as of `show`.
        run: String,
        #[command(flatten)]
        owner: OwnerConfig,
    },
    /// Take no part in a run, even if its purpose is allowed. A running client sends nothing more of
    /// it; what was sent before cannot be taken back.
    Deny {
        /// The run, as of `show`.
        run: String,
        /// Why, for your own records.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        owner: OwnerConfig,
    },
}
